"""Causal language models that are no plain transformers (retention, state spaces, linear attention, experts with capacity), LoRA, and decoders of older papers."""
import math
import torch
import torch.nn as nn
import torch.nn.functional as F
from harness import model, tokens
from decoders import Block, V, D, H, L, RMSNorm
from stranger_decoders import HD, linears, tables, turned, transformers_mask

short = lambda **k: tokens(pairs=((2, 8), (3, 8)), **k)


class Language(nn.Module):
    """Embedding, blocks of a kind, head: the block is what differs."""
    def __init__(self, block, n=2, norm=nn.LayerNorm, tied=True):
        super().__init__()
        self.embed, self.blocks, self.norm = nn.Embedding(V, D), nn.ModuleList(block() for _ in range(n)), norm(D)
        self.head = None if tied else nn.Linear(D, V)
    def forward(self, ids, *more):
        x = self.embed(ids)
        for b in self.blocks: x = b(x, *more)
        x = self.norm(x)
        return self.head(x) if self.head else torch.einsum("bsd,vd->bsv", x, self.embed.weight)


class Retention(nn.Module):
    """RetNet's parallel form: decay by distance, GroupNorm over heads, swish gate."""
    def __init__(self):
        super().__init__()
        linears(self, False, q=(D, D), k=(D, D), v=(D, D), g=(D, D), o=(D, D))
        self.norm, self.group = RMSNorm(D), nn.GroupNorm(H, D)
    def forward(self, x):
        b, s, _ = x.shape
        h = self.norm(x)
        q, k, v = (p(h).view(b, s, H, HD) for p in (self.q, self.k, self.v))
        gamma = 1 - 2.0 ** (-5 - torch.arange(H, dtype=x.dtype))
        n = torch.arange(s)
        distance = (n.unsqueeze(-1) - n.unsqueeze(0)).to(x.dtype)
        decay = torch.where(distance >= 0, torch.pow(gamma[:, None, None], distance.clamp(min=0)), torch.zeros((), dtype=x.dtype))
        w = torch.einsum("bnhd,bmhd->bhnm", q, k) * HD ** -0.5 * decay
        w = w / w.detach().abs().sum(-1, keepdim=True).clamp(min=1.0)
        y = torch.einsum("bhnm,bmhd->bnhd", w, v).reshape(b * s, D)
        y = self.group(y).view(b, s, D)
        return x + self.o(F.silu(self.g(h)) * y)


model("n-retnet", opset=17, inputs=tokens(), by_graph=True)(lambda: Language(Retention))
model("n-retnet-unfolded", opset=13, fold=False, inputs=tokens(), by_graph=True)(lambda: Language(Retention, norm=RMSNorm))


class Mamba2(nn.Module):
    """State space duality: segment sums by cumsum and tril, exp of them, einsums over heads; causal depthwise conv before, gated RMS norm after."""
    def __init__(self, state=6):
        super().__init__()
        self.state = state
        self.in_proj = nn.Linear(D, 2 * D + 2 * state + H, bias=False)
        self.conv1d = nn.Conv1d(D + 2 * state, D + 2 * state, 4, groups=D + 2 * state, padding=3)
        self.A_log, self.D, self.dt_bias = nn.Parameter(torch.log(torch.arange(1, H + 1).float())), nn.Parameter(torch.ones(H)), nn.Parameter(torch.zeros(H))
        self.norm, self.gated, self.out_proj = RMSNorm(D), RMSNorm(D), nn.Linear(D, D, bias=False)
    def forward(self, x):
        b, s, _ = x.shape
        z, xbc, dt = torch.split(self.in_proj(self.norm(x)), [D, D + 2 * self.state, H], dim=-1)
        xbc = F.silu(self.conv1d(xbc.transpose(1, 2))[..., :s].transpose(1, 2))
        u, B, C = torch.split(xbc, [D, self.state, self.state], dim=-1)
        dt = F.softplus(dt + self.dt_bias)
        a = (-torch.exp(self.A_log) * dt).permute(0, 2, 1)
        c = a.cumsum(-1)
        seg = (c[..., :, None] - c[..., None, :]).masked_fill(~torch.tril(torch.ones(s, s, dtype=torch.bool)), -torch.inf)
        u = u.unflatten(-1, (H, HD))
        y = torch.einsum("bln,bsn,bhls,bshp->blhp", C, B, torch.exp(seg), u * dt[..., None])
        y = (y + u * self.D[:, None]).flatten(2)
        return x + self.out_proj(self.gated(y * F.silu(z)))


model("n-mamba2", opset=17, inputs=tokens(), by_graph=True)(lambda: Language(Mamba2, norm=RMSNorm))
model("n-mamba2-unfolded", opset=14, fold=False, inputs=tokens(), by_graph=True)(lambda: Language(Mamba2, norm=RMSNorm))


class MLstm(nn.Module):
    """xLSTM's matrix memory, parallel form: logsigmoid, cumsum, amax for stability, exp, maximum of the normaliser and exp(-m)."""
    def __init__(self):
        super().__init__()
        linears(self, True, q=(D, D), k=(D, D), v=(D, D), i=(D, H), f=(D, H), o=(D, D), out=(D, D))
        self.norm = nn.LayerNorm(D)
    def forward(self, x):
        b, s, _ = x.shape
        h = self.norm(x)
        q, k, v = (p(h).view(b, s, H, HD).transpose(2, 1) for p in (self.q, self.k, self.v))
        i, f = self.i(h).permute(0, 2, 1), F.logsigmoid(self.f(h)).permute(0, 2, 1)
        c = torch.cumsum(f, -1)
        d = c.unsqueeze(-1) - c.unsqueeze(-2) + i.unsqueeze(-2)
        d = torch.where(torch.ones(s, s, dtype=torch.bool).tril(), d, float("-inf"))
        m = d.amax(-1, keepdim=True)
        w = (q @ k.transpose(-2, -1)) / math.sqrt(HD) * torch.exp(d - m)
        n = torch.maximum(w.sum(-1, keepdim=True).abs(), torch.exp(-m))
        y = ((w / (n + 1e-6)) @ v).transpose(1, 2).reshape(b, s, D)
        return x + self.out(torch.sigmoid(self.o(h)) * y)


model("n-xlstm", opset=18, inputs=tokens())(lambda: Language(MLstm))
model("n-xlstm-unfolded", opset=14, fold=False, inputs=tokens())(lambda: Language(MLstm, tied=False))


class S4D(nn.Module):
    """Diagonal state space as a long convolution: kernel from exp and cos of a geometric series, applied as a Toeplitz matrix gathered from it."""
    def __init__(self, n=4):
        super().__init__()
        self.log_dt, self.log_a, self.im, self.c = nn.Parameter(torch.randn(D)), nn.Parameter(torch.randn(D, n)), nn.Parameter(torch.randn(D, n)), nn.Parameter(torch.randn(D, n, 2))
        self.skip, self.norm, self.mix = nn.Parameter(torch.randn(D)), nn.LayerNorm(D), nn.Linear(D, 2 * D)
    def forward(self, x):
        s = x.shape[1]
        dt = self.log_dt.exp()[:, None]
        re, im = -(self.log_a.exp() * dt)[..., None], (self.im * dt)[..., None]
        t = torch.arange(s, dtype=x.dtype)
        kernel = (torch.exp(re * t) * (self.c[..., 0:1] * torch.cos(im * t) - self.c[..., 1:2] * torch.sin(im * t))).sum(1)
        lag = torch.arange(s)[:, None] - torch.arange(s)[None]
        toeplitz = F.pad(kernel, (1, 0))[:, (lag + 1).clamp_min(0)]
        u = self.norm(x)
        y = torch.einsum("dts,bsd->btd", toeplitz, u) + u * self.skip
        return x + F.glu(self.mix(F.gelu(y)), dim=-1)


model("n-s4d", opset=17, inputs=tokens(), by_graph=True)(lambda: Language(S4D))


class LinearAttention(nn.Module):
    """elu + 1 features, prefix sums of outer products, normaliser."""
    def __init__(self):
        super().__init__()
        linears(self, False, qkv=(D, 3 * D), o=(D, D), up=(D, 40), down=(40, D))
        self.n1, self.n2 = nn.LayerNorm(D), nn.LayerNorm(D)
    def forward(self, x):
        b, s, _ = x.shape
        q, k, v = self.qkv(self.n1(x)).reshape(b, s, 3, H, HD).unbind(2)
        q, k = F.elu(q) + 1, F.elu(k) + 1
        kv = torch.einsum("bshd,bshe->bshde", k, v).cumsum(1)
        z = 1 / (torch.einsum("bshd,bshd->bsh", q, k.cumsum(1)) + 1e-6)
        x = x + self.o((torch.einsum("bshd,bshde->bshe", q, kv) * z[..., None]).flatten(-2))
        return x + self.down(F.relu(self.up(self.n2(x))).square())


model("n-linear-attention", opset=17, inputs=tokens())(lambda: Language(LinearAttention, norm=RMSNorm))
model("n-linear-attention-half", opset=17, fold=False, dtype=torch.float16, inputs=tokens())(lambda: Language(LinearAttention))


class SwitchBlock(nn.Module):
    """Experts with capacity: one_hot, cumsum of places, dispatch and combine by einsum (Switch, GShard)."""
    def __init__(self, experts=4, capacity=6):
        super().__init__()
        self.capacity = capacity
        self.norm, self.router = RMSNorm(D), nn.Linear(D, experts, bias=False)
        self.wi, self.wo = nn.Parameter(torch.randn(experts, D, 24)), nn.Parameter(torch.randn(experts, 24, D))
    def forward(self, x):
        h = self.norm(x)
        p = F.softmax(self.router(h), dim=-1)
        gate, index = torch.max(p, dim=-1)
        chosen = F.one_hot(index, num_classes=4)
        place = torch.cumsum(chosen, dim=-2) * chosen
        inside = (place <= self.capacity) & (chosen > 0)
        slot = F.one_hot((place - 1).clamp(0, self.capacity - 1), self.capacity) * inside[..., None]
        dispatch = slot.to(x.dtype)
        packed = torch.einsum("bsec,bsd->becd", dispatch, h)
        out = torch.einsum("becf,efd->becd", F.gelu(torch.einsum("becd,edf->becf", packed, self.wi)), self.wo)
        return x + torch.einsum("bsec,bs,becd->bsd", dispatch, gate, out)


class Causal(nn.Module):
    def __init__(self):
        super().__init__()
        self.norm, self.qkv, self.o = nn.LayerNorm(D), nn.Linear(D, 3 * D), nn.Linear(D, D)
    def forward(self, x, *_):
        b, s, _ = x.shape
        q, k, v = self.qkv(self.norm(x)).split(D, dim=2)
        q, k, v = (t.view(b, s, H, HD).transpose(1, 2) for t in (q, k, v))
        return x + self.o(F.scaled_dot_product_attention(q, k, v, is_causal=True).transpose(1, 2).contiguous().view(b, s, D))


class Pair(nn.Module):
    def __init__(self, *parts):
        super().__init__()
        self.parts = nn.ModuleList(parts)
    def forward(self, x, *more):
        for p in self.parts: x = p(x, *more)
        return x


model("n-switch", opset=17, inputs=short(), by_graph=True)(lambda: Language(lambda: Pair(Causal(), SwitchBlock())))
model("n-switch-unfolded", opset=14, fold=False, inputs=short(), by_graph=True)(lambda: Language(lambda: Pair(Causal(), SwitchBlock())))


class LoraLinear(nn.Module):
    """W x + scale B A x, as PEFT leaves it unmerged."""
    def __init__(self, i, o, r=3):
        super().__init__()
        self.base_layer, self.lora_A, self.lora_B, self.scaling = nn.Linear(i, o), nn.Linear(i, r, bias=False), nn.Linear(r, o, bias=False), 2.0
    def forward(self, x): return self.base_layer(x) + self.lora_B(self.lora_A(x)) * self.scaling


class LoraMerged(nn.Module):
    """The delta is formed in the graph: (W + scale (B A)) x, DoRA's column norm as well."""
    def __init__(self, i, o, r=3):
        super().__init__()
        self.weight, self.a, self.b, self.magnitude = nn.Parameter(torch.randn(o, i)), nn.Parameter(torch.randn(r, i)), nn.Parameter(torch.randn(o, r)), nn.Parameter(torch.ones(o))
    def forward(self, x):
        w = self.weight + 0.5 * (self.b @ self.a)
        w = w * (self.magnitude / torch.linalg.norm(w, dim=1)).unsqueeze(-1)
        return F.linear(x, w)


class LoraBlock(nn.Module):
    def __init__(self, kind):
        super().__init__()
        self.norm, self.causal, self.up, self.down = nn.LayerNorm(D), Causal(), kind(D, 40), kind(40, D)
    def forward(self, x): return self.causal(x) + self.down(F.gelu(self.up(self.norm(x))))


model("n-lora", opset=17, inputs=tokens())(lambda: Language(lambda: LoraBlock(LoraLinear)))
model("n-dora-unfolded", opset=16, fold=False, inputs=tokens())(lambda: Language(lambda: LoraBlock(LoraMerged)))


class Gpt1Conv1D(nn.Module):
    """Conv1D by addmm, split heads by view and permute, mask buffer as b and 1e4 (1 - b), post-norm."""
    def __init__(self):
        super().__init__()
        c = lambda i, o: nn.ParameterDict({"weight": nn.Parameter(torch.randn(i, o)), "bias": nn.Parameter(torch.zeros(o))})
        self.c_attn, self.c_proj, self.c_fc, self.c_out = c(D, 3 * D), c(D, D), c(D, 4 * D), c(4 * D, D)
        self.ln_1, self.ln_2 = nn.LayerNorm(D), nn.LayerNorm(D)
        self.register_buffer("bias", torch.tril(torch.ones(32, 32)).view(1, 1, 32, 32))
    def conv(self, p, x):
        return torch.addmm(p["bias"], x.view(-1, x.size(-1)), p["weight"]).view(x.size()[:-1] + (p["bias"].shape[0],))
    def forward(self, x):
        q, k, v = self.conv(self.c_attn, x).split(D, dim=2)
        heads = lambda y, key=False: y.view(y.size()[:-1] + (H, y.size(-1) // H)).permute(*((0, 2, 3, 1) if key else (0, 2, 1, 3)))
        w = torch.matmul(heads(q), heads(k, True)) / math.sqrt(HD)
        b = self.bias[:, :, :w.size(-2), :w.size(-1)]
        w = w * b + -1e4 * (1 - b)
        a = torch.matmul(nn.functional.softmax(w, dim=-1), heads(v)).permute(0, 2, 1, 3).contiguous()
        n = self.ln_1(x + self.conv(self.c_proj, a.view(a.size()[:-2] + (D,))))
        return self.ln_2(n + self.conv(self.c_out, F.gelu(self.conv(self.c_fc, n), approximate="tanh")))


model("n-gpt1", opset=17, inputs=tokens())(lambda: Language(Gpt1Conv1D))
model("n-gpt1-opset11", opset=11, fold=False, inputs=tokens())(lambda: Language(Gpt1Conv1D, tied=False))


class TransformerXL(nn.Module):
    """Relative positions by sinusoids and the shift trick: pad, view, slice."""
    def __init__(self):
        super().__init__()
        linears(self, False, qkv=(D, 3 * D), r=(D, D), o=(D, D))
        self.norm, self.u, self.v = nn.LayerNorm(D), nn.Parameter(torch.randn(H, HD)), nn.Parameter(torch.randn(H, HD))
    def forward(self, x):
        b, s, _ = x.shape
        pos = torch.arange(s - 1, -1, -1.0, dtype=x.dtype)
        inv = 1 / (10000 ** (torch.arange(0.0, D, 2.0, dtype=x.dtype) / D))
        sinusoid = torch.outer(pos, inv)
        r = self.r(torch.cat([sinusoid.sin(), sinusoid.cos()], dim=-1)).view(s, H, HD)
        q, k, v = torch.chunk(self.qkv(x.transpose(0, 1)), 3, dim=-1)
        q, k, v = (t.view(s, b, H, HD) for t in (q, k, v))
        ac = torch.einsum("ibnd,jbnd->ijbn", (q + self.u, k))
        bd = torch.einsum("ibnd,jnd->ijbn", (q + self.v, r))
        padded = torch.cat([torch.zeros((s, 1, b, H), dtype=x.dtype), bd], dim=1)
        bd = padded.view(s + 1, s, b, H)[1:].view_as(bd)
        w = (ac + bd).mul(HD ** -0.5)
        w = w.masked_fill(torch.ones(s, s).triu(1).bool()[:, :, None, None], -1e30)
        y = torch.einsum("ijbn,jbnd->ibnd", (F.softmax(w, dim=1), v)).reshape(s, b, D)
        return self.norm(x + self.o(y).transpose(0, 1))


model("n-transformer-xl", opset=17, inputs=tokens())(lambda: Language(TransformerXL))
model("n-transformer-xl-unfolded", opset=14, fold=False, inputs=short(), axes={"input_ids": {0: "batch"}, "logits": {0: "batch"}})(lambda: Language(TransformerXL))


class TokenShift(nn.Module):
    """Static token shift by ZeroPad2d, square relu, learned decay as a table of powers (RWKV-like), short unrolled recurrence of a gated unit."""
    def __init__(self):
        super().__init__()
        self.shift, self.mix = nn.ZeroPad2d((0, 0, 1, -1)), nn.Parameter(torch.rand(1, 1, D))
        linears(self, False, k=(D, 40), v=(40, D), r=(D, D), a=(D, D), b=(D, D))
        self.n1, self.n2 = nn.LayerNorm(D), nn.LayerNorm(D)
    def forward(self, x):
        h = self.n1(x)
        mixed = torch.lerp(self.shift(h), h, self.mix)
        x = x + torch.sigmoid(self.r(mixed)) * self.v(torch.square(torch.relu(self.k(mixed))))
        h = self.n2(x)
        f, z = torch.sigmoid(self.a(h)), torch.tanh(self.b(h))
        state, out = torch.zeros_like(z[:, 0]), []
        for t in range(8):
            state = f[:, t] * state + (1 - f[:, t]) * z[:, t]
            out.append(state)
        return x + torch.stack(out, dim=1)


model("n-token-shift", opset=17, inputs=short(), by_graph=True)(lambda: Language(TokenShift))
