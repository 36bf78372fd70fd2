"""Compact encoder-decoders: T5, BART, Whisper."""
import math
import torch
import torch.nn as nn
import torch.nn.functional as F
from harness import model
from decoders import Block, V, D, H, L

HD = D // H


class T5Norm(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(D))
    def forward(self, x):
        variance = x.to(torch.float32 if x.dtype != torch.float64 else x.dtype).pow(2).mean(-1, keepdim=True)
        x = x * torch.rsqrt(variance + 1e-6)
        if self.weight.dtype in (torch.float16, torch.bfloat16): x = x.to(self.weight.dtype)
        return self.weight * x


def bucket(relative, bidirectional, buckets=8, most=16):
    out = 0
    if bidirectional:
        buckets //= 2
        out = out + (relative > 0).to(torch.long) * buckets
        relative = torch.abs(relative)
    else: relative = -torch.min(relative, torch.zeros_like(relative))
    exact = buckets // 2
    small = relative < exact
    large = exact + (torch.log(relative.float() / exact) / math.log(most / exact) * (buckets - exact)).to(torch.long)
    large = torch.min(large, torch.full_like(large, buckets - 1))
    return out + torch.where(small, relative, large)


class T5Attention(nn.Module):
    def __init__(self, bias=False):
        super().__init__()
        self.q, self.k, self.v, self.o = (nn.Linear(D, D, bias=False) for _ in range(4))
        if bias: self.relative_attention_bias = nn.Embedding(8, H)

    def positions(self, q, k, bidirectional):
        relative = torch.arange(k)[None, :] - torch.arange(q)[:, None]
        return self.relative_attention_bias(bucket(relative, bidirectional)).permute(2, 0, 1).unsqueeze(0)

    def forward(self, x, other, bias):
        b = x.shape[0]
        split = lambda t: t.view(b, -1, H, HD).transpose(1, 2)
        w = torch.matmul(split(self.q(x)), split(self.k(other)).transpose(3, 2)) + bias
        w = F.softmax(w.float() if w.dtype != torch.float64 else w, dim=-1).type_as(w)
        return self.o(torch.matmul(w, split(self.v(other))).transpose(1, 2).contiguous().view(b, -1, D))


class T5(nn.Module):
    def __init__(self, gated=False):
        super().__init__()
        self.gated = gated
        self.shared = nn.Embedding(V, D)
        self.encoder, self.decoder = self.stack(False), self.stack(True)
        self.lm_head = nn.Linear(D, V, bias=False)
        if not gated: self.lm_head.weight = self.shared.weight

    def stack(self, decoder):
        s = Block()
        s.block = nn.ModuleList()
        for i in range(L):
            b = Block()
            b.layer = nn.ModuleList()
            a = Block(); a.SelfAttention, a.layer_norm = T5Attention(i == 0), T5Norm()
            b.layer.append(a)
            if decoder:
                c = Block(); c.EncDecAttention, c.layer_norm = T5Attention(), T5Norm()
                b.layer.append(c)
            f = Block(); f.DenseReluDense, f.layer_norm = Block(), T5Norm()
            if self.gated: f.DenseReluDense.wi_0, f.DenseReluDense.wi_1 = nn.Linear(D, 48, bias=False), nn.Linear(D, 48, bias=False)
            else: f.DenseReluDense.wi = nn.Linear(D, 48, bias=False)
            f.DenseReluDense.wo = nn.Linear(48, D, bias=False)
            b.layer.append(f)
            s.block.append(b)
        s.final_layer_norm = T5Norm()
        return s

    def run(self, s, x, bias, other=None, cross=None):
        for b in s.block:
            x = x + b.layer[0].SelfAttention(n := b.layer[0].layer_norm(x), n, bias)
            if other is not None: x = x + b.layer[1].EncDecAttention(b.layer[1].layer_norm(x), other, cross)
            f = b.layer[-1]
            h = f.layer_norm(x)
            h = F.gelu(f.DenseReluDense.wi_0(h), approximate="tanh") * f.DenseReluDense.wi_1(h) if self.gated else F.relu(f.DenseReluDense.wi(h))
            x = x + f.DenseReluDense.wo(h)
        return s.final_layer_norm(x)

    def forward(self, ids, mask, decoder_ids):
        x, y = self.shared(ids), self.shared(decoder_ids)
        low = torch.finfo(x.dtype).min
        s, t = ids.shape[1], decoder_ids.shape[1]
        pad = (1.0 - mask[:, None, None, :].to(x.dtype)) * low
        memory = self.run(self.encoder, x, self.encoder.block[0].layer[0].SelfAttention.positions(s, s, True) + pad)
        at = torch.arange(t)
        causal = (at[None, None, :].repeat(decoder_ids.shape[0], t, 1) <= at[None, :, None]).to(x.dtype)
        own = self.decoder.block[0].layer[0].SelfAttention.positions(t, t, False) + (1.0 - causal[:, None]) * low
        out = self.run(self.decoder, y, own, memory, pad)
        if not self.gated: out = out * (D ** -0.5)
        return self.lm_head(out)


def pair(case):
    b, s, t = ((2, 9, 6), (3, 5, 8))[case]
    mask = torch.ones(b, s, dtype=torch.int64)
    mask[1:, s - 2:] = 0
    return {"input_ids": torch.randint(1, V, (b, s)), "attention_mask": mask, "decoder_input_ids": torch.randint(1, V, (b, t))}


AXES = {"input_ids": {0: "batch", 1: "encoder_sequence"}, "attention_mask": {0: "batch", 1: "encoder_sequence"}, "decoder_input_ids": {0: "batch", 1: "decoder_sequence"}, "logits": {0: "batch", 1: "decoder_sequence"}}
model("t5", "seq2seq_lm", opset=17, inputs=pair, axes=AXES)(T5)
model("t5-unfolded", "seq2seq_lm", opset=12, fold=False, inputs=pair, axes=AXES)(T5)
model("t5-gated", "seq2seq_lm", opset=18, inputs=pair, axes=AXES)(lambda: T5(True))
model("t5-half", "seq2seq_lm", opset=17, dtype=torch.float16, inputs=pair, axes=AXES)(lambda: T5(True))


class BartAttention(nn.Module):
    def __init__(self):
        super().__init__()
        self.k_proj, self.v_proj, self.q_proj, self.out_proj = (nn.Linear(D, D) for _ in range(4))
    def forward(self, x, other, mask):
        b, t, _ = x.shape
        shape = lambda v: v.view(b, -1, H, HD).transpose(1, 2).contiguous()
        q, k, v = (shape(p).view(b * H, -1, HD) for p in (self.q_proj(x) * HD ** -0.5, self.k_proj(other), self.v_proj(other)))
        w = torch.bmm(q, k.transpose(1, 2))
        if mask is not None: w = (w.view(b, H, t, -1) + mask).view(b * H, t, -1)
        a = torch.bmm(F.softmax(w, dim=-1), v)
        return self.out_proj(a.view(b, H, t, HD).transpose(1, 2).reshape(b, t, D))


def bart_layer(decoder):
    l = Block()
    l.self_attn, l.self_attn_layer_norm = BartAttention(), nn.LayerNorm(D)
    if decoder: l.encoder_attn, l.encoder_attn_layer_norm = BartAttention(), nn.LayerNorm(D)
    l.fc1, l.fc2, l.final_layer_norm = nn.Linear(D, 2 * D), nn.Linear(2 * D, D), nn.LayerNorm(D)
    return l


def causal_mask(t, dtype):
    mask = torch.full((t, t), torch.finfo(dtype).min, dtype=dtype)
    at = torch.arange(mask.size(-1))
    return mask.masked_fill(at < (at + 1).view(mask.size(-1), 1), 0)[None, None]


class Bart(nn.Module):
    """Post-norm, learned positions with offset 2, final_logits_bias."""
    def __init__(self):
        super().__init__()
        m = self.model = Block()
        m.shared, m.encoder, m.decoder = nn.Embedding(V, D), Block(), Block()
        for s, d in ((m.encoder, False), (m.decoder, True)):
            s.embed_positions, s.layernorm_embedding = nn.Embedding(66, D), nn.LayerNorm(D)
            s.layers = nn.ModuleList(bart_layer(d) for _ in range(1))
        self.register_buffer("final_logits_bias", torch.randn(1, V) * 0.1)

    def embed(self, s, ids): return s.layernorm_embedding(self.model.shared(ids) * math.sqrt(D) + s.embed_positions(torch.arange(ids.shape[1])[None].expand(ids.shape[0], -1) + 2))

    def forward(self, ids, mask, decoder_ids):
        m = self.model
        x, y = self.embed(m.encoder, ids), self.embed(m.decoder, decoder_ids)
        inverted = 1.0 - mask[:, None, None, :].expand(mask.shape[0], 1, mask.shape[1], mask.shape[1]).to(x.dtype)
        pad = inverted.masked_fill(inverted.to(torch.bool), torch.finfo(x.dtype).min)
        for l in m.encoder.layers:
            x = l.self_attn_layer_norm(x + l.self_attn(x, x, pad))
            x = l.final_layer_norm(x + l.fc2(F.gelu(l.fc1(x))))
        cross = pad[:, :, :1, :]
        for l in m.decoder.layers:
            y = l.self_attn_layer_norm(y + l.self_attn(y, y, causal_mask(y.shape[1], y.dtype)))
            y = l.encoder_attn_layer_norm(y + l.encoder_attn(y, x, cross))
            y = l.final_layer_norm(y + l.fc2(F.gelu(l.fc1(y))))
        return F.linear(y, m.shared.weight) + self.final_logits_bias


model("bart", "seq2seq_lm", opset=17, inputs=pair, axes=AXES)(Bart)
model("bart-unfolded", "seq2seq_lm", opset=14, fold=False, inputs=pair, axes=AXES)(Bart)


class Whisper(nn.Module):
    """Two Conv1d with GELU over log-mel features, sinusoidal positions, pre-norm layers, tied head."""
    def __init__(self, mels=12, frames=32):
        super().__init__()
        m = self.model = Block()
        e, d = m.encoder, m.decoder = Block(), Block()
        e.conv1, e.conv2 = nn.Conv1d(mels, D, 3, padding=1), nn.Conv1d(D, D, 3, stride=2, padding=1)
        e.embed_positions = nn.Embedding(frames // 2, D)
        d.embed_tokens, d.embed_positions = nn.Embedding(V, D), nn.Embedding(64, D)
        e.layers, d.layers = nn.ModuleList([bart_layer(False)]), nn.ModuleList([bart_layer(True)])
        e.layer_norm, d.layer_norm = nn.LayerNorm(D), nn.LayerNorm(D)

    def forward(self, features, decoder_ids):
        e, d = self.model.encoder, self.model.decoder
        x = F.gelu(e.conv2(F.gelu(e.conv1(features)))).permute(0, 2, 1) + e.embed_positions.weight
        for l in e.layers:
            h = l.self_attn_layer_norm(x)
            x = x + l.self_attn(h, h, None)
            x = x + l.fc2(F.gelu(l.fc1(l.final_layer_norm(x))))
        x = e.layer_norm(x)
        t = decoder_ids.shape[1]
        y = d.embed_tokens(decoder_ids) + d.embed_positions.weight[:t]
        for l in d.layers:
            h = l.self_attn_layer_norm(y)
            y = y + l.self_attn(h, h, causal_mask(t, y.dtype))
            y = y + l.encoder_attn(l.encoder_attn_layer_norm(y), x, None)
            y = y + l.fc2(F.gelu(l.fc1(l.final_layer_norm(y))))
        return d.layer_norm(y) @ d.embed_tokens.weight.transpose(0, 1)


def speech(case):
    b, t = ((2, 6), (3, 9))[case]
    return {"input_features": torch.randn(b, 12, 32), "decoder_input_ids": torch.randint(1, V, (b, t))}


WAXES = {"input_features": {0: "batch"}, "decoder_input_ids": {0: "batch", 1: "decoder_sequence"}, "logits": {0: "batch", 1: "decoder_sequence"}}
model("whisper", "seq2seq_lm", opset=17, inputs=speech, axes=WAXES)(Whisper)
model("whisper-unfolded", "seq2seq_lm", opset=13, fold=False, inputs=speech, axes=WAXES)(Whisper)
model("whisper-half", "seq2seq_lm", opset=17, dtype=torch.float16, inputs=speech, axes=WAXES)(Whisper)
