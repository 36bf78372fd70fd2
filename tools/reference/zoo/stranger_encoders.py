"""Encoders, taggers and pairs spelled as the zoo's are not: sharing, chunks, kernels, landmarks, frequencies, layouts, conditional fields, packed recurrences."""
import math
import torch
import torch.nn as nn
import torch.nn.functional as F
from harness import model, tokens
from decoders import Block, V, D, H, L, RMSNorm
from stranger_decoders import HD, linears, tables, turned

TOK = "token_classification"
even = lambda **k: tokens(pairs=((2, 12), (3, 12)), **k)
fixed = {"input_ids": {0: "batch"}, "attention_mask": {0: "batch"}, "logits": {0: "batch"}}


class Tagger(nn.Module):
    def __init__(self, block, n=2, outs=5, shared=False, positions=True):
        super().__init__()
        self.embed = nn.Embedding(V, D)
        self.places = nn.Embedding(64, D) if positions else None
        self.blocks = nn.ModuleList([block()] if shared else [block() for _ in range(n)])
        self.n, self.head = n, nn.Linear(D, outs)
    def forward(self, ids, mask=None):
        x = self.embed(ids)
        if self.places is not None: x = x + self.places.weight[:ids.size(1)].unsqueeze(0)
        for i in range(self.n): x = self.blocks[i % len(self.blocks)](x, mask)
        return self.head(x)


def ffn(d=D, f=2 * D, act=nn.GELU): return nn.Sequential(nn.Linear(d, f), act(), nn.Dropout(0.1), nn.Linear(f, d))


class Albert(nn.Module):
    """einsum projections of ALBERT's first release, one group used for every layer, gelu_new written out."""
    def __init__(self):
        super().__init__()
        linears(self, True, q=(D, D), k=(D, D), v=(D, D), f1=(D, 2 * D), f2=(2 * D, D))
        self.dense, self.n1, self.n2 = nn.Linear(D, D), nn.LayerNorm(D), nn.LayerNorm(D)
    def forward(self, x, mask):
        b, s, _ = x.shape
        q, k, v = (p(x).view(b, s, H, HD).transpose(1, 2) for p in (self.q, self.k, self.v))
        w = torch.matmul(q, k.transpose(-1, -2)) / math.sqrt(HD) + (1.0 - mask.view(b, 1, 1, s)) * -10000.0
        c = (nn.Softmax(dim=-1)(w) @ v).permute(0, 2, 1, 3).contiguous()
        w = self.dense.weight.t().view(H, HD, D)
        x = self.n1(x + torch.einsum("bfnd,ndh->bfh", c, w) + self.dense.bias)
        h = self.f1(x)
        h = 0.5 * h * (1.0 + torch.tanh(math.sqrt(2.0 / math.pi) * (h + 0.044715 * torch.pow(h, 3.0))))
        return self.n2(self.f2(h) + x)


model("n-albert", TOK, opset=17, inputs=tokens(mask=True))(lambda: Tagger(Albert, 3, shared=True))
model("n-albert-opset12", TOK, opset=12, fold=False, inputs=tokens(mask=True))(lambda: Tagger(Albert, 3, shared=True))


class Chunked(nn.Module):
    """Attention to the own and both neighbouring chunks from the padded sequence in blocks (Longformer, LongT5, LocalTransformer)."""
    def __init__(self, chunk=4):
        super().__init__()
        self.chunk = chunk
        linears(self, True, qkv=(D, 3 * D), o=(D, D))
        self.norm, self.ffn, self.n2 = nn.LayerNorm(D), ffn(), nn.LayerNorm(D)
    def forward(self, x, mask=None):
        c = self.chunk
        b, s, _ = x.shape
        q, k, v = (y.view(b, s, H, HD).transpose(1, 2) for y in self.qkv(self.norm(x)).chunk(3, -1))
        q = q.reshape(b, H, s // c, c, HD)
        def near(y):
            y = F.pad(y, (0, 0, c, c)).reshape(y.shape[0], y.shape[1], s // c + 2, c, y.shape[3])
            return torch.cat([y[:, :, :-2], y[:, :, 1:-1], y[:, :, 2:]], 3)  # [b, h, n, 3c, d]
        w = torch.einsum("bhncd,bhnkd->bhnck", q, near(k)) * HD ** -0.5
        w = w + near(torch.ones(1, 1, s, 1, dtype=x.dtype)).sub(1).mul(1e4).transpose(-1, -2)
        y = torch.einsum("bhnck,bhnkd->bhncd", w.softmax(-1), near(v)).reshape(b, H, s, HD)
        x = x + self.o(y.transpose(1, 2).flatten(2))
        return x + self.ffn(self.n2(x))


model("n-longformer", TOK, opset=17, inputs=even(), axes=fixed)(lambda: Tagger(Chunked))
model("n-longformer-unfolded", TOK, opset=13, fold=False, inputs=even(), axes=fixed)(lambda: Tagger(Chunked))


class BigBird(nn.Module):
    """Blocks: global first block, rolled neighbours, gathered random blocks; bmm chains."""
    def __init__(self, c=3):
        super().__init__()
        self.c = c
        linears(self, True, q=(D, D), k=(D, D), v=(D, D), o=(D, D))
        self.norm = nn.LayerNorm(D)
        self.register_buffer("chosen", torch.tensor([2, 0, 3, 1]))
    def forward(self, x, mask):
        b, s, _ = x.shape
        n = s // self.c
        q, k, v = (p(x).view(b, n, self.c, H, HD).permute(0, 3, 1, 2, 4) for p in (self.q, self.k, self.v))
        gather = lambda y: torch.cat([torch.roll(y, 1, 2), y, y.roll(-1, dims=2), torch.index_select(y, 2, self.chosen), y[:, :, :1].expand_as(y)], dim=3)
        m = mask.view(b, 1, n, self.c)
        keep = torch.cat([m.roll(1, 2), m, m.roll(-1, 2), m.index_select(2, self.chosen), m[:, :, :1].repeat(1, 1, n, 1)], -1)[:, :, :, None, :]
        w = torch.matmul(q, gather(k).transpose(-1, -2)) / math.sqrt(HD)
        w = w.masked_fill(keep.eq(0).expand_as(w), -1e9)
        y = torch.matmul(w.softmax(-1), gather(v)).permute(0, 2, 3, 1, 4).reshape(b, s, D)
        return self.norm(x + self.o(y))


model("n-bigbird", TOK, opset=17, inputs=even(mask=True), axes=fixed)(lambda: Tagger(BigBird))


class Performer(nn.Module):
    """Softmax kernel features: exp(projected - half norm - max), by a fixed random matrix."""
    def __init__(self, m=10):
        super().__init__()
        linears(self, False, qkv=(D, 3 * D), o=(D, D))
        self.norm = nn.LayerNorm(D)
        self.register_buffer("projection", torch.randn(m, HD))
    def features(self, y, query):
        y = y * HD ** -0.25
        dash = torch.einsum("...id,jd->...ij", y, self.projection)
        diag = (torch.sum(y ** 2, dim=-1) / 2.0).unsqueeze(-1)
        top = torch.amax(dash, dim=-1, keepdim=True) if query else torch.amax(dash, dim=(-1, -2), keepdim=True)
        return self.projection.shape[0] ** -0.5 * (torch.exp(dash - diag - top.detach()) + 1e-4)
    def forward(self, x, mask):
        b, s, _ = x.shape
        q, k, v = self.qkv(self.norm(x)).view(b, s, 3, H, HD).permute(2, 0, 3, 1, 4)
        q, k = self.features(q, True), self.features(k, False)
        k = k * mask[:, None, :, None].type_as(k)
        inv = 1.0 / torch.einsum("bhnd,bhd->bhn", q, k.sum(dim=-2))
        y = torch.einsum("...de,...nd->...ne", torch.einsum("...nd,...ne->...de", k, v), q) * inv[..., None]
        return x + self.o(y.permute(0, 2, 1, 3).flatten(2))


model("n-performer", TOK, opset=17, inputs=tokens(mask=True), by_graph=True)(lambda: Tagger(Performer))
model("n-performer-unfolded", TOK, opset=14, fold=False, inputs=tokens(mask=True), by_graph=True)(lambda: Tagger(Performer))


class Linformer(nn.Module):
    def __init__(self, s=12, k=5):
        super().__init__()
        linears(self, False, q=(D, D), k=(D, D), v=(D, D), o=(D, D))
        self.E, self.Fp, self.norm = nn.Parameter(torch.randn(k, s)), nn.Parameter(torch.randn(k, s)), RMSNorm(D)
    def forward(self, x, mask=None):
        b, s, _ = x.shape
        h = self.norm(x)
        k, v = torch.matmul(self.E, self.k(h)), torch.einsum("ks,bsd->bkd", self.Fp, self.v(h))
        q, k, v = (y.reshape(b, -1, H, HD).permute(0, 2, 1, 3) for y in (self.q(h), k, v))
        return x + self.o(F.scaled_dot_product_attention(q, k, v).permute(0, 2, 1, 3).reshape(b, s, D))


model("n-linformer", TOK, opset=17, inputs=even(), axes=fixed)(lambda: Tagger(Linformer))


class Nystrom(nn.Module):
    """Landmarks by segment means, pseudo-inverse by six iterations, depthwise convolution of the values as skip."""
    def __init__(self, m=4):
        super().__init__()
        self.m = m
        linears(self, True, q=(D, D), k=(D, D), v=(D, D), o=(D, D))
        self.norm, self.conv = nn.LayerNorm(D), nn.Conv2d(H, H, (3, 1), padding=(1, 0), bias=False, groups=H)
    def inverse(self, mat):
        eye = torch.eye(mat.size(-1), dtype=mat.dtype)
        z = 1 / torch.max(torch.sum(mat, dim=-2), dim=-1).values[:, :, None, None] * mat.transpose(-1, -2)
        for _ in range(6):
            kv = torch.matmul(mat, z)
            z = torch.matmul(0.25 * z, 13 * eye - torch.matmul(kv, 15 * eye - torch.matmul(kv, 7 * eye - kv)))
        return z
    def forward(self, x, mask=None):
        b, s, _ = x.shape
        q, k, v = (p(x).view(b, s, H, HD).transpose(1, 2) for p in (self.q, self.k, self.v))
        q, k = q / math.sqrt(math.sqrt(HD)), k / math.sqrt(math.sqrt(HD))
        ql, kl = (y.reshape(-1, H, self.m, s // self.m, HD).mean(dim=-2) for y in (q, k))
        one, two, three = (torch.softmax(a @ c.transpose(-1, -2), -1) for a, c in ((q, kl), (ql, kl), (ql, k)))
        y = torch.matmul(torch.matmul(one, self.inverse(two)), torch.matmul(three, v)) + self.conv(v)
        return self.norm(x + self.o(y.transpose(1, 2).reshape(b, s, D)))


model("n-nystrom", TOK, opset=17, inputs=even(), axes=fixed)(lambda: Tagger(Nystrom))
model("n-nystrom-unfolded", TOK, opset=11, fold=False, inputs=even(), axes=fixed)(lambda: Tagger(Nystrom))


class FNet(nn.Module):
    """Real part of the 2-D DFT by two einsums with cosine and sine matrices (torch.fft does not export)."""
    def __init__(self, s=12):
        super().__init__()
        self.n1, self.n2, self.ffn = nn.LayerNorm(D), nn.LayerNorm(D), ffn()
        for n, k in (("s", s), ("d", D)):
            angle = 2 * math.pi / k * torch.outer(torch.arange(k), torch.arange(k)).double()
            self.register_buffer("cos_" + n, torch.cos(angle).float())
            self.register_buffer("sin_" + n, torch.sin(angle).float())
    def forward(self, x, mask=None):
        y = torch.einsum("bsd,de,st->bte", x, self.cos_d, self.cos_s) - torch.einsum("bsd,de,st->bte", x, self.sin_d, self.sin_s)
        x = self.n1(x + y)
        return self.n2(x + self.ffn(x))


model("n-fnet", TOK, opset=17, inputs=even(), axes=fixed)(lambda: Tagger(FNet))


class SqueezeBert(nn.Module):
    """Everything is a grouped Conv1d over [b, d, s]; LayerNorm between transposes."""
    def __init__(self):
        super().__init__()
        self.q, self.k, self.v = (nn.Conv1d(D, D, 1, groups=2) for _ in range(3))
        self.o, self.up, self.down, self.n1, self.n2 = nn.Conv1d(D, D, 1), nn.Conv1d(D, 2 * D, 1, groups=4), nn.Conv1d(2 * D, D, 1, groups=4), nn.LayerNorm(D), nn.LayerNorm(D)
    def forward(self, x, mask):
        x = x.permute(0, 2, 1)
        b, _, s = x.shape
        heads = lambda y: y.view(b, H, HD, s)
        q, k, v = heads(self.q(x)).permute(0, 1, 3, 2), heads(self.k(x)), heads(self.v(x)).permute(0, 1, 3, 2)
        w = q @ k / math.sqrt(HD) + (mask[:, None, None].to(q.dtype) - 1) * 1e4
        y = (w.softmax(-1) @ v).permute(0, 1, 3, 2).reshape(b, D, s)
        x = self.n1((x + self.o(y)).permute(0, 2, 1)).permute(0, 2, 1)
        x = self.n2((x + self.down(F.gelu(self.up(x)))).permute(0, 2, 1)).permute(0, 2, 1)
        return x.permute(0, 2, 1)


model("n-squeezebert", TOK, opset=17, inputs=tokens(mask=True))(lambda: Tagger(SqueezeBert))
model("n-squeezebert-half", TOK, opset=15, dtype=torch.float16, inputs=tokens(mask=True))(lambda: Tagger(SqueezeBert))


class MobileBert(nn.Module):
    """Trigram embeddings by padded slices, bottleneck, NoNorm (scale and shift), stacked feed-forwards."""
    class NoNorm(nn.Module):
        def __init__(self, d):
            super().__init__()
            self.weight, self.bias = nn.Parameter(torch.ones(d)), nn.Parameter(torch.zeros(d))
        def forward(self, x): return x * self.weight + self.bias
    def __init__(self, small=12):
        super().__init__()
        self.embed, self.trigram, self.down, self.shared = nn.Embedding(V, 10), nn.Linear(30, D), nn.Linear(D, small), nn.Linear(D, small)
        linears(self, True, q=(small, small), k=(small, small), v=(D, small), o=(small, small), back=(small, D))
        self.ffns = nn.ModuleList(ffn(small, 24, nn.ReLU) for _ in range(2))
        self.norms, self.last, self.head = nn.ModuleList(self.NoNorm(small) for _ in range(4)), self.NoNorm(D), nn.Linear(D, 5)
    def forward(self, ids, mask):
        e = self.embed(ids)
        x = self.trigram(torch.cat([F.pad(e[:, 1:], [0, 0, 0, 1, 0, 0], value=0.0), e, F.pad(e[:, :-1], [0, 0, 1, 0, 0, 0], value=0.0)], dim=2))
        layer, shared = self.norms[0](self.down(x)), self.norms[1](self.shared(x))
        q, k, v = (y.unflatten(2, (2, 6)).transpose(1, 2) for y in (self.q(shared), self.k(shared), self.v(x)))
        a = F.scaled_dot_product_attention(q, k, v, attn_mask=mask[:, None, None, :].to(torch.bool).expand(-1, -1, ids.shape[1], -1))
        y = self.norms[2](self.o(a.transpose(1, 2).flatten(2)) + layer)
        for f in self.ffns: y = self.norms[3](f(y) + y)
        return self.head(self.last(self.back(y) + x))


model("n-mobilebert", TOK, opset=17, inputs=tokens(mask=True))(MobileBert)
model("n-mobilebert-unfolded", TOK, opset=14, fold=False, inputs=tokens(mask=True))(MobileBert)


class Esm(nn.Module):
    """Token-dropout rescaling from the mask's sums, rotary on q and k, embedding layer norm before, contact regression from attention maps with APC."""
    def __init__(self):
        super().__init__()
        self.embed, self.norm, self.qkv, self.contact = nn.Embedding(V, D), nn.LayerNorm(D), nn.Linear(D, 3 * D), nn.Linear(H, 1)
    def forward(self, ids, mask):
        x = self.embed(ids)
        x = x.masked_fill((ids == 5).unsqueeze(-1), 0.0)
        lengths = mask.sum(-1)
        observed = ((ids == 5) & mask.bool()).sum(-1).to(x.dtype) / lengths
        x = (x * (1 - 0.15 * 0.8) / (1 - observed)[:, None, None]).to(x.dtype) * mask.unsqueeze(-1).to(x.dtype)
        b, s, _ = x.shape
        q, k, v = self.qkv(self.norm(x)).view(b, s, 3, H, HD).permute(2, 0, 3, 1, 4).unbind(0)
        cos, sin = tables(torch.arange(s)[None], HD, x.dtype)
        w = (turned(q * HD ** -0.5, cos, sin) @ turned(k, cos, sin).transpose(-1, -2)).masked_fill(mask[:, None, None] == 0, torch.finfo(x.dtype).min).softmax(-1)
        w = w + w.transpose(-1, -2)
        a1, a2, a12 = w.sum(-1, keepdim=True), w.sum(-2, keepdim=True), w.sum((-1, -2), keepdim=True)
        w = w - (a1 * a2).div(a12)
        return self.contact(w.permute(0, 2, 3, 1)).squeeze(3)


model("n-esm-contacts", "bce", opset=17, inputs=tokens(mask=True), axes={"input_ids": {0: "batch", 1: "s"}, "attention_mask": {0: "batch", 1: "s"}, "logits": {0: "batch", 1: "s", 2: "s"}})(Esm)


class LayoutLM(nn.Module):
    """Boxes as six embeddings, spatial bias from bucketed distances through one_hot and a linear layer."""
    def __init__(self):
        super().__init__()
        self.word, self.x, self.y, self.h, self.w = nn.Embedding(V, D), nn.Embedding(32, D), nn.Embedding(32, D), nn.Embedding(32, D), nn.Embedding(32, D)
        self.bias, self.qkv, self.norm, self.o, self.head = nn.Linear(8, H, bias=False), nn.Linear(D, 3 * D), nn.LayerNorm(D), nn.Linear(D, D), nn.Linear(D, 5)
    def forward(self, ids, bbox):
        x = self.word(ids) + self.x(bbox[:, :, 0]) + self.y(bbox[:, :, 1]) + self.x(bbox[:, :, 2]) + self.y(bbox[:, :, 3])
        x = self.norm(x + self.h(bbox[:, :, 3] - bbox[:, :, 1]) + self.w(bbox[:, :, 2] - bbox[:, :, 0]))
        b, s, _ = x.shape
        at = torch.arange(s)
        rel = at.unsqueeze(-2) - at.unsqueeze(-1)
        n = torch.abs(rel)
        big = 2 + (torch.log(n.float() / 2) / math.log(16 / 2) * 2).to(torch.long)
        bucket = (rel > 0).long() * 4 + torch.where(n < 2, n, torch.min(big, torch.full_like(big, 3)))
        bias = self.bias(F.one_hot(bucket, num_classes=8).type_as(x)).permute(2, 0, 1)
        q, k, v = self.qkv(x).view(b, s, 3, H, HD).permute(2, 0, 3, 1, 4)
        w = q / math.sqrt(HD) @ k.transpose(-1, -2)
        w = (w + bias) / 2.0
        w = w - w.amax(dim=-1).unsqueeze(-1)
        y = torch.einsum("bhst,bhtd->bshd", w.softmax(-1), v).flatten(2)
        return self.head(x + self.o(y))


def boxed(case):
    ids = tokens()(case)["input_ids"]
    low = torch.randint(0, 12, ids.shape + (2,))
    return {"input_ids": ids, "bbox": torch.cat([low, low + torch.randint(1, 12, ids.shape + (2,))], -1)}


model("n-layoutlm", TOK, opset=17, inputs=boxed, axes={"input_ids": {0: "b", 1: "s"}, "bbox": {0: "b", 1: "s"}, "logits": {0: "b", 1: "s"}})(LayoutLM)
