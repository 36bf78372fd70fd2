"""Encoder-decoders and pairs of modalities spelled as the zoo's are not."""
import math
import torch
import torch.nn as nn
import torch.nn.functional as F
from harness import model, images
from decoders import Block, V, D, H, RMSNorm
from stranger_decoders import HD, linears

pairs = lambda *shapes: (lambda c: {"input_ids": torch.randint(1, V, (shapes[c][0], shapes[c][1])), "decoder_input_ids": torch.randint(1, V, (shapes[c][0], shapes[c][2]))})
AXES = {"input_ids": {0: "b", 1: "s"}, "decoder_input_ids": {0: "b", 1: "t"}, "logits": {0: "b", 1: "t"}}


class Cross(nn.Module):
    """Attention by three einsums; keys and values may come from elsewhere."""
    def __init__(self):
        super().__init__()
        linears(self, True, q=(D, D), k=(D, D), v=(D, D), o=(D, D))
        self.norm = nn.LayerNorm(D)
    def forward(self, x, other=None, mask=None):
        h = self.norm(x)
        m = h if other is None else other
        q, k, v = (y.unflatten(-1, (H, HD)) for y in (self.q(h), self.k(m), self.v(m)))
        w = torch.einsum("bqhc,bkhc->bhqk", q, k).mul_(1 / math.sqrt(HD))
        if mask is not None: w = w.masked_fill_(mask, float("-inf"))
        return x + self.o(torch.einsum("bhqk,bkhc->bqhc", w.softmax(dim=-1), v).flatten(-2))


class Ffn(nn.Module):
    def __init__(self, act=F.relu):
        super().__init__()
        self.norm, self.a, self.b, self.act = nn.LayerNorm(D), nn.Linear(D, 2 * D), nn.Linear(2 * D, D), act
    def forward(self, x): return x + self.b(self.act(self.a(self.norm(x))))


def sinusoid(n, d, dtype):
    """Pegasus and Marian: sines in the first half, cosines in the second."""
    angle = torch.arange(n, dtype=dtype)[:, None] / torch.pow(10000, 2 * torch.div(torch.arange(d // 2), 1, rounding_mode="floor").to(dtype) / d)
    return torch.cat([angle.sin(), angle.cos()], 1)


class Pegasus(nn.Module):
    def __init__(self, act=F.silu, bias=True):
        super().__init__()
        self.shared = nn.Embedding(V, D, padding_idx=0)
        self.enc, self.dec = nn.ModuleList([Cross(), Ffn(act)]), nn.ModuleList([Cross(), Cross(), Ffn(act)])
        self.n1, self.n2 = nn.LayerNorm(D), nn.LayerNorm(D)
        if bias: self.register_buffer("final_logits_bias", torch.randn(1, V) * 0.1)
        self.bias = bias
    def forward(self, ids, decoder_ids):
        s, t = ids.shape[1], decoder_ids.shape[1]
        x = self.shared(ids) * math.sqrt(D)
        x = x + sinusoid(64, D, x.dtype)[:s]
        gone = ids.eq(7)[:, None, None, :]
        x = self.enc[1](self.enc[0](x, None, gone))
        memory = self.n1(x)
        y = self.shared(decoder_ids) * math.sqrt(D) + sinusoid(64, D, x.dtype)[torch.arange(t)]
        late = torch.ones(t, t).triu(1).gt(0)
        y = self.dec[2](self.dec[1](self.dec[0](y, None, late), memory, gone))
        out = self.n2(y) @ self.shared.weight.T
        return out + self.final_logits_bias if self.bias else out


model("n-pegasus", "seq2seq_lm", opset=17, inputs=pairs((2, 9, 6), (3, 5, 8)), axes=AXES)(Pegasus)
model("n-pegasus-unfolded", "seq2seq_lm", opset=14, fold=False, inputs=pairs((2, 9, 6), (3, 5, 8)), axes=AXES)(lambda: Pegasus(F.relu, False))
model("n-pegasus-half", "seq2seq_lm", opset=17, dtype=torch.float16, inputs=pairs((2, 9, 6), (3, 5, 8)), axes=AXES)(Pegasus)


class Blip(nn.Module):
    """Image to text: patches with a class token, queries (Q-Former) read the image, the text decoder reads the queries; LayerNorm in both orders."""
    def __init__(self):
        super().__init__()
        self.patch, self.cls, self.pos, self.queries = nn.Conv2d(3, D, 8, 8), nn.Parameter(torch.randn(1, 1, D)), nn.Parameter(torch.randn(1, 17, D)), nn.Parameter(torch.randn(1, 4, D))
        self.vision, self.former, self.text = nn.ModuleList([Cross(), Ffn(F.gelu)]), nn.ModuleList([Cross(), Cross(), Ffn(F.gelu)]), nn.ModuleList([Cross(), Cross(), Ffn(F.gelu)])
        self.embed, self.places, self.norm, self.project, self.head = nn.Embedding(V, D), nn.Embedding(32, D), nn.LayerNorm(D), nn.Linear(D, D), nn.Linear(D, V)
    def forward(self, pixels, decoder_ids):
        p = self.patch(pixels).flatten(2).transpose(1, 2)
        x = torch.cat([self.cls.expand(p.size(0), -1, -1).to(p.dtype), p], dim=1)
        x = x + self.pos[:, : x.size(1), :].to(x.dtype)
        for l in self.vision: x = l(x)
        q = self.queries.expand(x.shape[0], -1, -1)
        q = self.former[2](self.former[1](self.former[0](q), self.norm(x)))
        t = decoder_ids.shape[1]
        at = torch.arange(t)
        causal = at[None, None, :].repeat(decoder_ids.shape[0], t, 1) > at[None, :, None]
        y = self.embed(decoder_ids) + self.places(at)
        y = self.text[2](self.text[1](self.text[0](y, None, causal[:, None]), self.project(q)))
        return self.head(y)


def captions(c): return {**images(batches=(2, 3))(c), "decoder_input_ids": torch.randint(1, V, ((2, 6), (3, 9))[c])}


model("n-blip", "seq2seq_lm", opset=17, inputs=captions, axes={"pixel_values": {0: "b"}, "decoder_input_ids": {0: "b", 1: "t"}, "logits": {0: "b", 1: "t"}})(Blip)
model("n-blip-unfolded", "seq2seq_lm", opset=14, fold=False, inputs=captions, axes={"pixel_values": {0: "b"}, "decoder_input_ids": {0: "b", 1: "t"}, "logits": {0: "b", 1: "t"}})(Blip)


class Pointer(nn.Module):
    """Pointer-generator over LSTMs: additive attention of all steps at once, generation gate, copy probabilities added by scatter_add over the vocabulary, logarithm at the end."""
    def __init__(self):
        super().__init__()
        self.embed, self.enc, self.dec = nn.Embedding(V, D), nn.LSTM(D, D // 2, bidirectional=True, batch_first=True), nn.LSTM(D, D, batch_first=True)
        self.wh, self.ws, self.v, self.gate, self.out = nn.Linear(D, D, bias=False), nn.Linear(D, D), nn.Linear(D, 1, bias=False), nn.Linear(3 * D, 1), nn.Linear(2 * D, V)
    def forward(self, ids, decoder_ids):
        h, _ = self.enc(self.embed(ids))
        y = self.embed(decoder_ids)
        s, _ = self.dec(y)
        e = self.v(torch.tanh(self.wh(h).unsqueeze(1) + self.ws(s).unsqueeze(2))).squeeze(-1)
        a = F.softmax(e, dim=-1)
        c = torch.bmm(a, h)
        g = torch.sigmoid(self.gate(torch.cat((c, s, y), -1)))
        p = g * F.softmax(self.out(torch.cat((s, c), -1)), dim=-1)
        p = p.scatter_add(2, ids.unsqueeze(1).expand(-1, decoder_ids.shape[1], -1), (1 - g) * a)
        return torch.log(p + 1e-12)


model("n-pointer-generator", "seq2seq_lm", opset=17, inputs=pairs((2, 9, 6), (3, 5, 8)), axes=AXES, by_graph=True)(Pointer)
model("n-pointer-generator-unfolded", "seq2seq_lm", opset=16, fold=False, inputs=pairs((2, 9, 6), (3, 5, 8)), axes=AXES, by_graph=True)(Pointer)


class SpeechToText(nn.Module):
    """Convolutions with GLU halve the frames, gated residual adapters, cross attention with relative position bias of T5 by log buckets."""
    def __init__(self):
        super().__init__()
        self.c1, self.c2, self.bias = nn.Conv1d(10, 2 * D, 5, 2, 2), nn.Conv1d(D, 2 * D, 5, stride=2, padding=2), nn.Embedding(8, 1)
        self.enc, self.embed, self.dec, self.adapter, self.alpha, self.norm = nn.ModuleList([Cross(), Ffn()]), nn.Embedding(V, D), nn.ModuleList([Cross(), Cross(), Ffn()]), nn.Sequential(RMSNorm(D), nn.Linear(D, 6), nn.SiLU(), nn.Linear(6, D)), nn.Parameter(torch.tensor([0.5])), RMSNorm(D)
    def forward(self, features, decoder_ids):
        x = features.transpose(1, 2).contiguous()
        for c in (self.c1, self.c2): x = F.glu(c(x), dim=1)
        x = x.transpose(1, 2).contiguous() * math.sqrt(D)
        x = self.enc[1](self.enc[0](x))
        x = x + torch.tanh(self.alpha) * self.adapter(x)
        t = decoder_ids.shape[1]
        y = self.embed(decoder_ids)
        d = torch.arange(t)[None, :] - torch.arange(t)[:, None]
        n = -torch.min(d, torch.zeros_like(d))
        large = 4 + (torch.log(n.float() / 4 + 1e-9) / math.log(5) * 4).to(torch.long)
        bucket = torch.where(n < 4, n, torch.min(large, torch.full_like(large, 7)))
        y = y + (self.bias(bucket)[..., 0].tril() @ y) * 0.1
        y = self.dec[2](self.dec[1](self.dec[0](y, None, torch.triu(torch.ones(t, t, dtype=torch.bool), 1)), x))
        return F.linear(self.norm(y), self.embed.weight)


model("n-speech-to-text", "seq2seq_lm", opset=17, inputs=lambda c: {"input_features": torch.randn((2, 3)[c], (25, 32)[c], 10), "decoder_input_ids": torch.randint(1, V, ((2, 6), (3, 9))[c])},
      axes={"input_features": {0: "b", 1: "frames"}, "decoder_input_ids": {0: "b", 1: "t"}, "logits": {0: "b", 1: "t"}})(SpeechToText)
