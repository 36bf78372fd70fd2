"""Tables, series, graphs, recommenders, flows, speech: spelled as the zoo's are not."""
import math
import torch
import torch.nn as nn
import torch.nn.functional as F
from harness import model, rows, tokens
from decoders import Block, V, D, H

CLS = "classification"


def soft_max(a, b):
    """log(exp a + exp b), which the exporter does not know."""
    return torch.maximum(a, b) + torch.log1p(torch.exp(-torch.abs(a - b)))


class Dlrm(nn.Module):
    """EmbeddingBag with offsets per feature, dot interactions by bmm, lower triangle by index; wide part as a sum of embeddings."""
    def __init__(self, d=8):
        super().__init__()
        self.bags, self.bottom, self.top, self.wide = nn.ModuleList(nn.EmbeddingBag(20, d, mode=m) for m in ("sum", "mean", "sum")), nn.Sequential(nn.Linear(5, 16), nn.ReLU(), nn.Linear(16, d), nn.ReLU()), nn.Sequential(nn.Linear(d + 6, 16), nn.ReLU(), nn.Linear(16, 1)), nn.EmbeddingBag(60, 1, mode="sum")
        self.register_buffer("li", torch.tensor([1, 2, 2, 3, 3, 3]))
        self.register_buffer("lj", torch.tensor([0, 0, 1, 0, 1, 2]))
    def forward(self, dense, sparse):
        x = self.bottom(dense)
        t = torch.stack([x] + [bag(sparse[:, i]) for i, bag in enumerate(self.bags)], dim=1)
        z = torch.bmm(t, torch.transpose(t, 1, 2))
        flat = z[:, self.li, self.lj]
        return self.top(torch.cat([x, flat], dim=1)) + self.wide((sparse + 20 * torch.arange(3)[None, :, None]).flatten(1))


def clicks(c): return {"dense": torch.randn((4, 6)[c], 5), "sparse": torch.randint(0, 20, ((4, 6)[c], 3, 4))}


model("n-dlrm", "bce", opset=17, inputs=clicks)(Dlrm)
model("n-dlrm-unfolded", "bce", opset=13, fold=False, inputs=clicks)(Dlrm)


class TabNet(nn.Module):
    """Ghost-free batch norm in evaluation, GLU blocks scaled by sqrt(0.5), sparsemax by sort and cumsum, masks as running products."""
    def __init__(self, n=10, d=8):
        super().__init__()
        self.bn, self.shared, self.steps, self.att, self.out = nn.BatchNorm1d(n), nn.Linear(n, 4 * d), nn.ModuleList(nn.Linear(2 * d, 4 * d) for _ in range(2)), nn.ModuleList(nn.Linear(d, n) for _ in range(2)), nn.Linear(d, 4)
        self.d = d
    def sparsemax(self, z):
        z = z - z.max(-1, keepdim=True).values
        s = torch.sort(z, dim=-1, descending=True)[0]
        k = torch.arange(1, z.shape[-1] + 1, dtype=z.dtype).view(1, -1)
        support = (1 + k * s > s.cumsum(-1)).to(z.dtype)
        size = support.sum(-1, keepdim=True)
        tau = (s.cumsum(-1).gather(-1, size.long() - 1) - 1) / size
        return torch.clamp(z - tau, min=0)
    def forward(self, x):
        x = self.bn(x)
        prior, total, h = torch.ones_like(x), 0, F.glu(self.shared(x), -1)
        a = h[:, self.d:]
        for l, att in zip(self.steps, self.att):
            m = self.sparsemax(att(a) * prior)
            prior = prior * (1.3 - m)
            h = F.glu(self.shared(m * x), dim=1)
            h = (h + F.glu(l(h), dim=1)) * math.sqrt(0.5)
            total = total + F.relu(h[:, :self.d])
            a = h[:, self.d:]
        return self.out(total)


model("n-tabnet", CLS, opset=17, training="preserve", inputs=rows(10))(TabNet)
model("n-tabnet-unfolded", CLS, opset=13, fold=False, training="preserve", inputs=rows(10))(TabNet)


class Resnet1d(nn.Module):
    """ResNet for tables with BatchNorm1d in training form, piecewise-linear encoding by bucketize, gather and clamp, periodic features."""
    def __init__(self):
        super().__init__()
        self.coef, self.l0, self.b1, self.l1, self.l2, self.head = nn.Parameter(torch.randn(6, 3)), nn.Linear(6 * 6 + 6 * 4, 24), nn.BatchNorm1d(24), nn.Linear(24, 32), nn.Linear(32, 24), nn.Linear(24, 3)
        self.bins = nn.Embedding(5, 4)
        self.register_buffer("edges", torch.tensor([-1.0, -0.3, 0.3, 1.0]))
    def forward(self, x):
        p = 2 * math.pi * self.coef[None] * x[..., None]
        p = torch.cat([torch.cos(p), torch.sin(p)], -1).flatten(1)
        k = torch.bucketize(x, self.edges)
        y = self.l0(torch.cat([p, self.bins(k).flatten(1)], 1))
        return self.head(F.relu(y + self.l2(F.relu(self.l1(self.b1(y))))))


model("n-tabular-resnet", CLS, opset=17, training="preserve", inputs=rows(6))(Resnet1d)
model("n-tabular-resnet-train", CLS, opset=17, training="train", by_graph=True, inputs=rows(6))(Resnet1d)


class Node(nn.Module):
    """Differentiable trees: soft thresholds, products over depth by a table of bits, cumprod along a path, one hypernetwork layer."""
    def __init__(self, trees=4, depth=3):
        super().__init__()
        self.choose, self.cut, self.scale, self.leaves = nn.Parameter(torch.randn(10, trees, depth)), nn.Parameter(torch.randn(trees, depth)), nn.Parameter(torch.zeros(trees, depth)), nn.Parameter(torch.randn(trees, 2 ** depth, 3))
        bits = (torch.arange(2 ** depth)[:, None] >> torch.arange(depth)[None]) & 1
        self.register_buffer("codes", torch.stack([bits, 1 - bits], -1).float())
        self.hyper, self.stick = nn.Linear(10, 12), nn.Linear(10, 4)
    def forward(self, x):
        f = torch.einsum("bi,itd->btd", x, F.softmax(self.choose, dim=0))
        g = (f - self.cut) * torch.exp(-self.scale)
        p = torch.stack([torch.sigmoid(g), torch.sigmoid(-g)], -1)
        path = torch.prod(torch.einsum("btdc,ldc->btld", p, self.codes), dim=-1)
        y = torch.einsum("btl,tlo->bo", path, self.leaves)
        v = torch.sigmoid(self.stick(x))
        weights = v * torch.cat([torch.ones_like(v[:, :1]), torch.exp(torch.cumsum(torch.log1p(-v), 1))[:, :-1]], 1)
        w = self.hyper(x).view(-1, 3, 4)
        return y + torch.baddbmm(y.unsqueeze(-1), w, weights.unsqueeze(-1), beta=0.5, alpha=2.0).squeeze(-1)


model("n-trees", CLS, opset=17, inputs=rows(10), by_graph=True)(Node)
model("n-trees-unfolded", CLS, opset=13, fold=False, inputs=rows(10))(Node)


class Splines(nn.Module):
    """KAN: B-splines by the Cox-de Boor recursion over a grid buffer, silu base, einsum over all edges."""
    def __init__(self, i=5, o=8, grid=4, order=3):
        super().__init__()
        self.order = order
        self.register_buffer("grid", (torch.arange(-order, grid + order + 1) * (4.0 / grid) - 2.0).expand(i, -1).contiguous())
        self.base, self.coef, self.scaler, self.last = nn.Parameter(torch.randn(o, i)), nn.Parameter(torch.randn(o, i, grid + order)), nn.Parameter(torch.randn(o, i)), nn.Linear(o, 3)
    def forward(self, x):
        t, g = x.unsqueeze(-1), self.grid
        b = ((t >= g[:, :-1]) & (t < g[:, 1:])).to(x.dtype)
        for k in range(1, self.order + 1):
            b = (t - g[:, :-(k + 1)]) / (g[:, k:-1] - g[:, :-(k + 1)]) * b[:, :, :-1] + (g[:, k + 1:] - t) / (g[:, k + 1:] - g[:, 1:-k]) * b[:, :, 1:]
        y = F.linear(F.silu(x), self.base) + F.linear(b.view(x.size(0), -1), (self.coef * self.scaler.unsqueeze(-1)).view(self.coef.shape[0], -1))
        return self.last(y)


model("n-kan", CLS, opset=17, inputs=rows(5), by_graph=True)(Splines)
model("n-kan-unfolded", CLS, opset=14, fold=False, inputs=rows(5))(Splines)


class Flow(nn.Module):
    """RealNVP with actnorm and LU-free 1x1 mixing, log-determinants, log-probability of a mixture by logsumexp: the score is minus log p."""
    def __init__(self, n=6):
        super().__init__()
        self.nets, self.log_s, self.b, self.mix = nn.ModuleList(nn.Sequential(nn.Linear(n // 2, 12), nn.Tanh(), nn.Linear(12, n)) for _ in range(2)), nn.Parameter(torch.zeros(n)), nn.Parameter(torch.zeros(n)), nn.Parameter(torch.eye(n))
        self.means, self.mixture = nn.Parameter(torch.randn(3, n)), nn.Parameter(torch.randn(3))
    def forward(self, x):
        x = (x + self.b) * torch.exp(self.log_s)
        det = self.log_s.sum()
        x = x @ self.mix
        for i, net in enumerate(self.nets):
            a, b = x.chunk(2, 1) if i % 2 == 0 else torch.chunk(x.flip(1), 2, dim=-1)
            s, t = net(a).tensor_split(2, dim=1)
            s = 2 * torch.tanh(s / 2)
            x, det = torch.cat([a, b * s.exp() + t], -1), det + s.sum(1)
        lp = -0.5 * torch.cdist(x, self.means, p=2.0).pow(2) - 3 * math.log(2 * math.pi) + torch.log_softmax(self.mixture, 0)
        p = torch.logsumexp(lp, dim=1)
        p = soft_max(p + det, torch.full_like(p, -20.0))
        return -p.unsqueeze(1)


model("n-flow", "mse", opset=17, inputs=rows(6))(Flow)


class Vae(nn.Module):
    """Noise given as an input, reparametrised, both terms of the loss left to the score; decoder tied to the encoder by transpose."""
    def __init__(self):
        super().__init__()
        self.enc, self.mu, self.var, self.bias = nn.Linear(12, 10), nn.Linear(10, 4), nn.Linear(10, 4), nn.Parameter(torch.zeros(12))
        self.dec = nn.Linear(4, 10)
    def forward(self, x, noise):
        h = F.softsign(self.enc(x))
        mu, logvar = self.mu(h), self.var(h).clamp(-4, 4)
        z = mu + torch.exp(0.5 * logvar) * noise
        y = F.linear(F.selu(self.dec(z)), self.enc.weight.t(), self.bias)
        kl = -0.5 * torch.sum(1 + logvar - mu.pow(2) - logvar.exp(), dim=1, keepdim=True)
        return torch.cat([torch.sigmoid(y), 0.1 * kl], 1)


model("n-vae", "mse", opset=17, inputs=lambda c: {"x": torch.randn((4, 3)[c], 12), "noise": torch.randn((4, 3)[c], 4)})(Vae)
model("n-vae-half", "mse", opset=17, fold=False, dtype=torch.float16, inputs=lambda c: {"x": torch.randn((4, 3)[c], 12), "noise": torch.randn((4, 3)[c], 4)})(Vae)


class Graphs(nn.Module):
    """Attention over edges (GAT): index_select, leaky relu, softmax by scatter_reduce amax and index_add; GIN sum with scatter_add; degrees by bincount-like scatter; readout by segments."""
    def __init__(self, n=6, d=8):
        super().__init__()
        self.w, self.att, self.eps, self.mlp, self.head = nn.Linear(n, d, bias=False), nn.Parameter(torch.randn(2 * d)), nn.Parameter(torch.zeros(1)), nn.Sequential(nn.Linear(d, d), nn.ReLU(), nn.Linear(d, d)), nn.Linear(2 * d, 3)
    def forward(self, x, edges):
        h = self.w(x)
        src, dst = edges[0], edges[1]
        e = F.leaky_relu(torch.cat([h.index_select(0, src), h[dst]], -1) @ self.att, 0.2)
        top = torch.full((x.shape[0],), -1e9, dtype=x.dtype).scatter_reduce(0, dst, e.detach(), reduce="amax", include_self=True)
        p = torch.exp(e - top[dst])
        total = torch.zeros(x.shape[0], dtype=x.dtype).scatter_add(0, dst, p)
        h = torch.zeros_like(h).index_add(0, dst, h[src] * (p / (total[dst] + 1e-9)).unsqueeze(-1))
        near = torch.zeros_like(h).scatter_add(0, dst[:, None].expand(-1, h.shape[1]), h[src])
        h = h + self.mlp((1 + self.eps) * h + near)
        least = torch.zeros_like(h).scatter_reduce(0, dst.unsqueeze(1).repeat(1, h.shape[1]), h[src], reduce="amin", include_self=True)
        return self.head(torch.cat([h, least], 1))


edges = lambda c: {"x": torch.randn((6, 9)[c], 6), "edges": torch.randint(0, 6, (2, (10, 15)[c]))}
GAXES = {"x": {0: "nodes"}, "edges": {1: "edges"}, "logits": {0: "nodes"}}
model("n-graph-attention", CLS, opset=18, inputs=edges, axes=GAXES, by_graph=True)(Graphs)
model("n-graph-attention-unfolded", CLS, opset=20, fold=False, inputs=edges, axes=GAXES, by_graph=True)(Graphs)


class DenseGraph(nn.Module):
    """Dense adjacency as an input: self loops by eye, degree power -1/2 with infinities put to zero, top-k pooling, pairwise distances, jumping knowledge by max."""
    def __init__(self):
        super().__init__()
        self.a, self.b, self.p, self.head = nn.Linear(5, 8), nn.Linear(8, 8), nn.Parameter(torch.randn(8)), nn.Linear(16, 3)
    def forward(self, x, adj):
        a = adj + torch.eye(adj.size(1), dtype=x.dtype)[None]
        d = a.sum(-1).pow(-0.5)
        d = torch.where(torch.isinf(d), torch.zeros_like(d), d)
        a = d.unsqueeze(-1) * a * d.unsqueeze(-2)
        h1 = F.relu(torch.bmm(a, self.a(x)))
        h2 = F.relu(a.matmul(self.b(h1)))
        h = torch.maximum(h1, h2)
        score = (h * self.p).sum(-1) / self.p.norm(p=2, dim=-1)
        top, i = score.topk(3, dim=1)
        k = h.gather(1, i.unsqueeze(-1).expand(-1, -1, 8)) * torch.tanh(top).unsqueeze(-1)
        dist = (k.unsqueeze(2) - k.unsqueeze(1)).pow(2).sum(-1).add(1e-6).sqrt().mean((1, 2))
        return self.head(torch.cat([k.mean(1), k.max(1)[0]], -1)) * dist.unsqueeze(-1)


def adjacency(c):
    b, n = (3, 2)[c], (5, 7)[c]
    a = (torch.rand(b, n, n) > 0.5).float()
    return {"x": torch.randn(b, n, 5), "adj": torch.maximum(a, a.transpose(1, 2))}


model("n-dense-graph", CLS, opset=17, inputs=adjacency, by_graph=True, axes={"x": {0: "b", 1: "n"}, "adj": {0: "b", 1: "n", 2: "n"}, "logits": {0: "b"}})(DenseGraph)
model("n-dense-graph-unfolded", CLS, opset=14, fold=False, inputs=adjacency, axes={"x": {0: "b", 1: "n"}, "adj": {0: "b", 1: "n", 2: "n"}, "logits": {0: "b"}})(DenseGraph)


class NBeats(nn.Module):
    """Doubly residual stacks, trend basis of powers, seasonal basis of cos and sin, RevIN normalisation undone at the end."""
    def __init__(self, back=12, ahead=4):
        super().__init__()
        self.w, self.b = nn.Parameter(torch.ones(1)), nn.Parameter(torch.zeros(1))
        self.stacks = nn.ModuleList(nn.Sequential(nn.Linear(back, 16), nn.ReLU(), nn.Linear(16, 6)) for _ in range(2))
        t, u = torch.arange(ahead) / ahead, torch.arange(back) / back
        self.register_buffer("trend", torch.stack([t ** i for i in range(3)])); self.register_buffer("trend_back", torch.stack([u ** i for i in range(3)]))
        s = lambda v: torch.stack([torch.ones_like(v), torch.cos(2 * math.pi * v), torch.sin(2 * math.pi * v)])
        self.register_buffer("season", s(t)); self.register_buffer("season_back", s(u))
    def forward(self, x):
        mean, std = x.mean(1, keepdim=True).detach(), torch.sqrt(torch.var(x, dim=1, keepdim=True, unbiased=False) + 1e-5).detach()
        r = (x - mean) / std * self.w + self.b
        y = torch.zeros_like(x[:, :4])
        for s, f, g in zip(self.stacks, (self.trend, self.season), (self.trend_back, self.season_back)):
            a, c = torch.split(s(r), 3, dim=1)
            r, y = r - a.mm(g), y + torch.mm(c, f)
        return (y - self.b) / (self.w + 1e-10) * std + mean


model("n-nbeats", "mse", opset=17, inputs=rows(12))(NBeats)
model("n-nbeats-unfolded", "mse", opset=11, fold=False, inputs=rows(12))(NBeats)


class Autoformer(nn.Module):
    """Series decomposition by moving average with repeated ends, variate tokens (iTransformer), DLinear, dilated causal convolutions with chomp."""
    def __init__(self, n=12, k=5, c=3):
        super().__init__()
        self.k, self.s, self.t, self.embed, self.attn, self.norm = k, nn.Linear(n, 4), nn.Linear(n, 4), nn.Linear(n, 16), nn.MultiheadAttention(16, 2, batch_first=True), nn.BatchNorm1d(16)
        self.conv, self.proj = nn.Conv1d(c, c, 3, padding=4, dilation=2), nn.Linear(16, 4)
    def forward(self, x):
        front, end = x[:, 0:1, :].repeat(1, (self.k - 1) // 2, 1), x[:, -1:, :].repeat(1, (self.k - 1) // 2, 1)
        trend = F.avg_pool1d(torch.cat([front, x, end], dim=1).permute(0, 2, 1), self.k, stride=1).permute(0, 2, 1)
        y = self.s((x - trend).permute(0, 2, 1)) + self.t(trend.permute(0, 2, 1))
        e = self.embed(x.transpose(-2, -1))
        e = self.norm((e + self.attn(e, e, e, average_attn_weights=True)[0]).transpose(1, 2)).transpose(1, 2)
        c = F.relu(self.conv(x.transpose(1, 2))[:, :, :-4].contiguous())
        return (y + self.proj(e) + c[:, :, -4:]).swapaxes(1, 2)


model("n-autoformer", "mse", opset=17, training="preserve", inputs=lambda c: {"x": torch.randn((2, 2)[c], 12, 3)}, axes={"x": {}})(Autoformer)
model("n-autoformer-unfolded", "mse", opset=14, fold=False, training="preserve", inputs=lambda c: {"x": torch.randn((2, 2)[c], 12, 3)}, axes={"x": {}})(Autoformer)


class Crnn(nn.Module):
    """Convolutions, height squeezed, two bidirectional LSTMs of OCR, log-probabilities with time first in the network and batch first outside."""
    def __init__(self):
        super().__init__()
        self.c1, self.n, self.c2, self.r1, self.l1, self.r2, self.l2 = nn.Conv2d(1, 6, 3, padding=1), nn.BatchNorm2d(6), nn.Conv2d(6, 8, 2), nn.LSTM(8, 6, bidirectional=True), nn.Linear(12, 6), nn.LSTM(6, 6, bidirectional=True), nn.Linear(12, 7)
    def forward(self, x):
        x = F.max_pool2d(F.relu(self.c1(x)), (2, 2))
        x = F.max_pool2d(self.n(x), (2, 1), (2, 1))
        x = F.relu(self.c2(x)).squeeze(2).permute(2, 0, 1)
        for r, l in ((self.r1, self.l1), (self.r2, self.l2)):
            y, _ = r(x)
            t, b, h = y.size()
            x = l(y.view(t * b, h)).view(t, b, -1)
        return F.log_softmax(x, dim=2).transpose(0, 1)


model("n-crnn", "token_classification", opset=17, training="preserve", by_graph=True, inputs=lambda c: {"image": torch.randn((2, 3)[c], 1, 8, 16)}, axes={"image": {0: "b"}, "logits": {0: "b"}})(Crnn)
model("n-crnn-unfolded", "token_classification", opset=12, fold=False, training="preserve", by_graph=True, inputs=lambda c: {"image": torch.randn((2, 3)[c], 1, 8, 16)}, axes={"image": {0: "b"}, "logits": {0: "b"}})(Crnn)


class SpeechConformer(nn.Module):
    """Conv2d subsampling with masks by slicing, relative shift attention with pos biases, GLU with depthwise Conv1d and LayerNorm, half-step feed-forwards; SpecAugment off; swoosh activation."""
    def __init__(self, d=16, h=2):
        super().__init__()
        self.h, self.c1, self.c2, self.lin = h, nn.Conv2d(1, 4, 3, 2), nn.Conv2d(4, 4, 3, 2), nn.Linear(4 * 2, d)
        for n in ("q", "k", "v", "o", "f1", "f2"): setattr(self, n, nn.Linear(d, d))
        self.p, self.u, self.w = nn.Linear(d, d, bias=False), nn.Parameter(torch.zeros(h, d // h)), nn.Parameter(torch.zeros(h, d // h))
        self.n1, self.n2, self.n3, self.pw1, self.dw, self.pw2, self.head = nn.LayerNorm(d), nn.LayerNorm(d), nn.LayerNorm(d), nn.Conv1d(d, 2 * d, 1), nn.Conv1d(d, d, 5, padding=2, groups=d, bias=False), nn.Conv1d(d, d, 1), nn.Linear(d, 7)
    def forward(self, x):
        x = F.relu(self.c2(F.relu(self.c1(x.unsqueeze(1)))))
        b, c, t, f = x.size()
        x = self.lin(x.transpose(1, 2).contiguous().view(b, t, c * f))
        d = x.shape[-1]
        x = x * math.sqrt(d)
        y = self.f1(self.n1(x))
        y = soft_max(torch.zeros((), dtype=y.dtype), y - 4.0) - 0.08 * y - 0.035
        x = x + 0.5 * self.f2(y)
        pos = torch.arange(t - 1, -t, -1).to(x.dtype).unsqueeze(1) * torch.exp(torch.arange(0, d, 2).to(x.dtype) * -(math.log(10000.0) / d))
        pe = torch.stack([pos.sin(), pos.cos()], -1).flatten(1)
        n = self.n2(x)
        q, k, v = (l(n).view(b, t, self.h, -1) for l in (self.q, self.k, self.v))
        p = self.p(pe).view(1, 2 * t - 1, self.h, -1).transpose(1, 2)
        ac = torch.matmul((q + self.u).transpose(1, 2), k.permute(0, 2, 3, 1))
        bd = torch.matmul((q + self.w).transpose(1, 2), p.transpose(-2, -1))
        zero = torch.zeros((*bd.size()[:3], 1), dtype=bd.dtype)
        bd = torch.cat([zero, bd], dim=-1).view(*bd.size()[:2], bd.size(3) + 1, bd.size(2))[:, :, 1:].view_as(bd)[:, :, :, :bd.size(-1) // 2 + 1]
        a = torch.softmax((ac + bd) / math.sqrt(d // self.h), dim=-1)
        x = x + self.o(torch.matmul(a, v.transpose(1, 2)).transpose(1, 2).contiguous().view(b, -1, d))
        y = F.glu(self.pw1(self.n3(x).transpose(1, 2)), dim=1)
        return self.head(x + self.pw2(F.silu(self.dw(y))).transpose(1, 2))


spectra = lambda c: {"features": torch.randn((2, 3)[c], (27, 35)[c], 11)}
SAXES = {"features": {0: "b", 1: "t"}, "logits": {0: "b", 1: "t"}}
model("n-speech-conformer", "token_classification", opset=17, inputs=spectra, axes=SAXES)(SpeechConformer)
model("n-speech-conformer-unfolded", "token_classification", opset=13, fold=False, inputs=spectra, axes=SAXES)(SpeechConformer)


class Tasnet(nn.Module):
    """Encoder as Conv1d, global layer norm, dilated depthwise blocks, mask by sigmoid, ConvTranspose1d as decoder (overlap-add)."""
    def __init__(self):
        super().__init__()
        self.enc, self.g, self.b, self.a, self.dw, self.p, self.mask, self.dec = nn.Conv1d(1, 12, 8, 4, bias=False), nn.Parameter(torch.ones(1, 12, 1)), nn.Parameter(torch.zeros(1, 12, 1)), nn.Conv1d(12, 16, 1), nn.Conv1d(16, 16, 3, padding=2, dilation=2, groups=16), nn.PReLU(), nn.Conv1d(16, 24, 1), nn.ConvTranspose1d(12, 1, 8, 4, bias=False)
    def forward(self, x):
        w = F.relu(self.enc(x.unsqueeze(1)))
        m = torch.mean(w, dim=(1, 2), keepdim=True)
        v = torch.mean((w - m) ** 2, dim=(1, 2), keepdim=True)
        y = self.g * (w - m) / torch.pow(v + 1e-8, 0.5) + self.b
        y = self.mask(self.p(self.dw(self.a(y))))
        m = torch.sigmoid(y).view(x.shape[0], 2, 12, -1)
        s = (w.unsqueeze(1) * m).view(x.shape[0] * 2, 12, -1)
        return self.dec(s).view(x.shape[0], 2, -1)


model("n-tasnet", "mse", opset=17, inputs=lambda c: {"mixture": torch.randn((2, 3)[c], (44, 60)[c])}, axes={"mixture": {0: "b", 1: "t"}, "logits": {0: "b", 2: "t"}})(Tasnet)
model("n-tasnet-unfolded", "mse", opset=14, fold=False, inputs=lambda c: {"mixture": torch.randn((2, 3)[c], (44, 60)[c])}, axes={"mixture": {0: "b", 1: "t"}, "logits": {0: "b", 2: "t"}})(Tasnet)
