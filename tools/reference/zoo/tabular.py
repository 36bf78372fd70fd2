"""Tabular and sequence models that are no transformers of tokens: MLPs, TabTransformer, FT-Transformer, state-space scan, RWKV, TCN, DeepFM."""
import math
import torch
import torch.nn as nn
import torch.nn.functional as F
from harness import model, rows, tokens
from decoders import Block, V, D, H

HD = D // H


class Tabular(nn.Module):
    def __init__(self, outputs=3, act=nn.ReLU, norm=nn.BatchNorm1d, end=None):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(10, 24), norm(24), act(), nn.Dropout(0.2), nn.Linear(24, 16), norm(16), act(), nn.Linear(16, outputs))
        self.end = end
    def forward(self, x):
        y = self.net(x)
        return self.end(y) if self.end else y


model("tabular", "classification", opset=17, inputs=rows(10))(Tabular)
model("tabular-preserve", "classification", opset=13, training="preserve", inputs=rows(10))(lambda: Tabular(act=nn.LeakyReLU))
model("tabular-train", "classification", opset=17, training="train", inputs=rows(10), by_graph=True)(lambda: nn.Sequential(nn.Linear(10, 24), nn.BatchNorm1d(24), nn.ReLU(), nn.Linear(24, 3)))
model("tabular-regression", "mse", opset=17, inputs=rows(10))(lambda: Tabular(2, nn.SiLU, nn.LayerNorm))
model("tabular-binary", "bce", opset=15, inputs=rows(10))(lambda: Tabular(1, nn.Mish, nn.LayerNorm))
model("tabular-softmax", "classification", opset=17, inputs=rows(10), call=lambda m, x: m(x))(lambda: Tabular(4, nn.Tanh, nn.LayerNorm))
model("tabular-half", "classification", opset=17, dtype=torch.float16, inputs=rows(10))(lambda: Tabular(norm=nn.LayerNorm))
model("tabular-activations", "classification", opset=17, inputs=rows(10))(lambda: nn.Sequential(nn.Linear(10, 12), nn.Hardtanh(), nn.Linear(12, 12), nn.CELU(), nn.Linear(12, 12), nn.GELU("tanh"), nn.Linear(12, 12), nn.Hardswish(),
    nn.Linear(12, 12), nn.LogSigmoid(), nn.Linear(12, 12), nn.Softsign(), nn.Linear(12, 12), nn.Tanhshrink(), nn.Linear(12, 12), nn.Softshrink(), nn.Linear(12, 12), nn.Hardshrink(0.1), nn.Linear(12, 12), nn.Threshold(0.0, 0.0), nn.Linear(12, 3)))


class TabTransformer(nn.Module):
    def __init__(self):
        super().__init__()
        self.embeddings = nn.ModuleList(nn.Embedding(n, D) for n in (5, 7, 3))
        self.column, self.qkv, self.proj = nn.Parameter(torch.randn(3, D)), nn.Linear(D, 3 * D), nn.Linear(D, D)
        self.norm1, self.norm2, self.cont = nn.LayerNorm(D), nn.LayerNorm(D), nn.LayerNorm(4)
        self.ff, self.head = nn.Linear(D, D), nn.Sequential(nn.Linear(3 * D + 4, 24), nn.ReLU(), nn.Linear(24, 2))
    def forward(self, categories, x):
        e = torch.stack([m(categories[:, i]) for i, m in enumerate(self.embeddings)], 1) + self.column
        b = e.shape[0]
        q, k, v = (t.view(b, 3, H, HD).transpose(1, 2) for t in self.qkv(self.norm1(e)).chunk(3, -1))
        e = e + self.proj(F.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(b, 3, D))
        e = e + F.gelu(self.ff(self.norm2(e)))
        return self.head(torch.cat([e.flatten(1), self.cont(x)], 1))


def mixed(c):
    b = (4, 3)[c]
    return {"categories": torch.stack([torch.randint(0, n, (b,)) for n in (5, 7, 3)], 1), "x": torch.randn(b, 4)}


model("tab-transformer", "classification", opset=17, inputs=mixed)(TabTransformer)


class FTTransformer(nn.Module):
    """Feature tokens: a weight and a bias per number, class token, ReGLU."""
    def __init__(self):
        super().__init__()
        self.weight, self.bias, self.cls = nn.Parameter(torch.randn(4, D)), nn.Parameter(torch.randn(4, D)), nn.Parameter(torch.randn(D))
        self.category, self.offset = nn.Embedding(15, D), torch.tensor([0, 5, 12])
        self.attention, self.norm = nn.ModuleList(nn.Linear(D, D) for _ in range(4)), nn.LayerNorm(D)
        self.ff1, self.ff2, self.head = nn.Linear(D, 2 * D), nn.Linear(D, D), nn.Linear(D, 2)
    def forward(self, categories, x):
        t = torch.cat([self.cls.expand(x.shape[0], 1, D), self.weight[None] * x[..., None] + self.bias[None], self.category(categories + self.offset[None])], 1)
        b, s, _ = t.shape
        q, k, v = (l(t).reshape(b, s, H, HD).transpose(1, 2).reshape(b * H, s, HD) for l in self.attention[:3])
        a = F.softmax(q @ k.transpose(1, 2) / math.sqrt(HD), -1) @ v
        t = t + self.attention[3](a.reshape(b, H, s, HD).transpose(1, 2).reshape(b, s, D))
        u, g = self.ff1(self.norm(t)).chunk(2, -1)
        t = t + self.ff2(u * F.relu(g))
        return self.head(F.relu(t[:, 0]))


model("ft-transformer", "classification", opset=17, inputs=mixed)(FTTransformer)
model("ft-transformer-unfolded", "classification", opset=12, fold=False, inputs=mixed)(FTTransformer)


class DeepFM(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear, self.embedding = nn.Embedding(15, 1), nn.Embedding(15, 8)
        self.register_buffer("offset", torch.tensor([0, 5, 12]))
        self.mlp, self.bias = nn.Sequential(nn.Linear(24, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Linear(16, 1)), nn.Parameter(torch.zeros(1))
    def forward(self, categories):
        c = categories + self.offset
        e = self.embedding(c)
        fm = 0.5 * (e.sum(1) ** 2 - (e ** 2).sum(1)).sum(1, keepdim=True)
        return self.linear(c).sum(1) + self.bias + fm + self.mlp(e.view(-1, 24))


model("deepfm", "bce", opset=17, inputs=lambda c: {"categories": mixed(c)["categories"]})(DeepFM)


class Mamba(nn.Module):
    """Selective scan, unrolled over eight steps; causal depthwise Conv1d."""
    def __init__(self, inner=16, state=4):
        super().__init__()
        self.inner, self.state = inner, state
        self.backbone = Block()
        self.backbone.embeddings = nn.Embedding(V, D)
        self.backbone.layers = nn.ModuleList()
        for _ in range(1):
            m = Block()
            m.in_proj, m.conv1d = nn.Linear(D, 2 * inner, bias=False), nn.Conv1d(inner, inner, 4, groups=inner, padding=3)
            m.x_proj, m.dt_proj, m.out_proj = nn.Linear(inner, 2 + 2 * state, bias=False), nn.Linear(2, inner), nn.Linear(inner, D, bias=False)
            m.A_log, m.D = nn.Parameter(torch.log(torch.arange(1, state + 1).float()).repeat(inner, 1)), nn.Parameter(torch.ones(inner))
            self.backbone.layers.append(m)
        self.norm, self.lm_head = nn.LayerNorm(D), nn.Linear(D, V, bias=False)
    def forward(self, ids):
        x = self.backbone.embeddings(ids)
        s = ids.shape[1]
        for m in self.backbone.layers:
            h, gate = m.in_proj(self.norm(x)).transpose(1, 2).chunk(2, dim=1)
            h = F.silu(m.conv1d(h)[..., :s])
            dt, b, c = torch.split(m.x_proj(h.transpose(1, 2)), [2, self.state, self.state], dim=-1)
            dt = F.softplus(m.dt_proj(dt)).transpose(1, 2)
            a = -torch.exp(m.A_log)
            da = torch.exp(a[None, :, None, :] * dt[:, :, :, None])
            db = dt[:, :, :, None] * b[:, None, :, :]
            u = db * h[:, :, :, None]
            state = torch.zeros(ids.shape[0], self.inner, self.state, dtype=x.dtype)
            ys = []
            for i in range(8):
                state = da[:, :, i, :] * state + u[:, :, i, :]
                ys.append(torch.matmul(state, c[:, i, :].unsqueeze(-1))[:, :, 0])
            y = (torch.stack(ys, dim=-1) + h * m.D[None, :, None]) * F.silu(gate)
            x = x + m.out_proj(y.transpose(1, 2))
        return self.lm_head(x)


fixed = tokens(pairs=((2, 8), (3, 8)))
model("mamba", "causal_lm", opset=17, inputs=fixed)(Mamba)
model("mamba-unfolded", "causal_lm", opset=13, fold=False, inputs=fixed)(Mamba)


class Rwkv(nn.Module):
    """Time mixing with shifted tokens and the numerically safe recurrence, unrolled."""
    def __init__(self):
        super().__init__()
        self.emb, self.ln0, self.ln1, self.ln2 = nn.Embedding(V, D), nn.LayerNorm(D), nn.LayerNorm(D), nn.LayerNorm(D)
        self.time_decay, self.time_first = nn.Parameter(torch.randn(D)), nn.Parameter(torch.randn(D))
        self.time_mix_key, self.time_mix_value, self.time_mix_receptance = (nn.Parameter(torch.rand(1, 1, D)) for _ in range(3))
        self.key, self.value, self.receptance, self.output = (nn.Linear(D, D, bias=False) for _ in range(4))
        self.ffn_key, self.ffn_value, self.ffn_receptance = nn.Linear(D, 2 * D, bias=False), nn.Linear(2 * D, D, bias=False), nn.Linear(D, D, bias=False)
        self.time_shift, self.head = nn.ZeroPad2d((0, 0, 1, -1)), nn.Linear(D, V, bias=False)
    def forward(self, ids):
        x = self.ln0(self.emb(ids))
        h = self.ln1(x)
        p = self.time_shift(h)
        mix = lambda t: h * t + p * (1 - t)
        k, v, r = self.key(mix(self.time_mix_key)), self.value(mix(self.time_mix_value)), torch.sigmoid(self.receptance(mix(self.time_mix_receptance)))
        num = den = torch.zeros_like(k[:, 0])
        most = torch.zeros_like(k[:, 0]) - 1e38
        decay, out = -torch.exp(self.time_decay), []
        for i in range(6):
            kk, vv = k[:, i], v[:, i]
            q = torch.maximum(most, kk + self.time_first)
            e1, e2 = torch.exp(most - q), torch.exp(kk + self.time_first - q)
            out.append((e1 * num + e2 * vv) / (e1 * den + e2))
            q = torch.maximum(most + decay, kk)
            e1, e2 = torch.exp(most + decay - q), torch.exp(kk - q)
            num, den, most = e1 * num + e2 * vv, e1 * den + e2, q
        x = x + self.output(r * torch.stack(out, 1))
        h = self.ln2(x)
        x = x + torch.sigmoid(self.ffn_receptance(h)) * self.ffn_value(torch.square(torch.relu(self.ffn_key(h))))
        return self.head(x)


model("rwkv", "causal_lm", opset=17, by_graph=True, inputs=tokens(pairs=((2, 6), (3, 6))))(Rwkv)


class Tcn(nn.Module):
    def __init__(self):
        super().__init__()
        wn = nn.utils.weight_norm
        self.a, self.b, self.fc = wn(nn.Conv1d(4, 12, 3, dilation=1, padding=2)), wn(nn.Conv1d(12, 12, 3, dilation=2, padding=4)), nn.Linear(12, 2)
    def forward(self, x):
        x = x.transpose(1, 2)
        x = F.relu(self.a(x)[:, :, :-2])
        x = F.relu(self.b(x)[:, :, :-4] + x)
        return self.fc(x[:, :, -1])


series = lambda c: {"x": torch.randn(((2, 20, 4), (3, 20, 4))[c])}
model("tcn", "mse", opset=17, fold=False, inputs=series)(Tcn)


class SeriesTransformer(nn.Module):
    """Patches by unfold, reversible instance normalisation, linear head over the flattened patches."""
    def __init__(self):
        super().__init__()
        self.affine, self.shift = nn.Parameter(torch.ones(4)), nn.Parameter(torch.zeros(4))
        self.embed, self.pos = nn.Linear(5, D), nn.Parameter(torch.randn(1, 4, D))
        self.qkv, self.proj, self.bn, self.head = nn.Linear(D, 3 * D), nn.Linear(D, D), nn.BatchNorm1d(D), nn.Linear(4 * D, 3)
    def forward(self, x):
        m = x.mean(1, keepdim=True).detach()
        d = torch.sqrt(torch.var(x, dim=1, keepdim=True, unbiased=False) + 1e-5).detach()
        x = ((x - m) / d * self.affine + self.shift).permute(0, 2, 1)
        b = x.shape[0]
        x = self.embed(x.unfold(-1, 5, 5)).reshape(b * 4, 4, D) + self.pos
        q, k, v = (t.reshape(b * 4, 4, H, HD).transpose(1, 2) for t in self.qkv(x).chunk(3, -1))
        x = x + self.proj((F.softmax(q @ k.transpose(-1, -2) * HD ** -0.5, -1) @ v).transpose(1, 2).reshape(b * 4, 4, D))
        x = self.bn(x.transpose(1, 2)).transpose(1, 2)
        return self.head(x.reshape(b, 4, 4 * D)).permute(0, 2, 1)


model("patch-series", "mse", opset=17, inputs=series, training="preserve")(SeriesTransformer)


class Gcn(nn.Module):
    """Graph convolution: messages gathered by edges and added by scatter; pooled by segment."""
    def __init__(self):
        super().__init__()
        self.lin1, self.lin2, self.att, self.out = nn.Linear(6, 12), nn.Linear(12, 12), nn.Parameter(torch.randn(12)), nn.Linear(12, 3)
    def forward(self, x, edges):
        n = x.shape[0]
        degree = torch.zeros(n, dtype=x.dtype).scatter_add(0, edges[1], torch.ones_like(edges[1], dtype=x.dtype))
        for l in (self.lin1, self.lin2):
            h = l(x)
            norm = (degree[edges[0]] * degree[edges[1]] + 1).rsqrt()
            m = h[edges[0]] * norm[:, None]
            x = F.relu(h + torch.zeros_like(h).index_add(0, edges[1], m))
        a = torch.sigmoid(x @ self.att)
        return self.out(x * a[:, None])


model("graph-convolution", "classification", opset=17, by_graph=True, inputs=lambda c: {"x": torch.randn((6, 9)[c], 6), "edges": torch.randint(0, 6, (2, (10, 15)[c]))},
    axes={"x": {0: "nodes"}, "edges": {1: "edges"}, "logits": {0: "nodes"}})(Gcn)


class Kan(nn.Module):
    """Radial basis features and a learned power; ragged shapes by broadcasting; cdist-like distances."""
    def __init__(self):
        super().__init__()
        self.centres, self.width, self.w = nn.Parameter(torch.randn(10, 8)), nn.Parameter(torch.ones(10)), nn.Linear(8, 3)
        self.proto = nn.Parameter(torch.randn(4, 3))
    def forward(self, x):
        r = torch.exp(-((x[:, :, None] - self.centres) ** 2) * F.softplus(self.width)[None, :, None]).prod(1)
        y = self.w(r + torch.atan2(x[:, :1], x[:, 1:2].abs() + 1).expand(-1, 8))
        d = ((y[:, None, :] - self.proto[None]) ** 2).sum(-1)
        return -torch.sqrt(d + 1e-6) + torch.logsumexp(y, 1, keepdim=True)


model("radial-basis", "classification", opset=17, inputs=rows(10))(Kan)
