"""Small decoders with a key/value cache, written for these files in the layouts of the public ones. Every one takes and gives its cache as a flat list."""
import math
import torch
from torch import nn
import torch.nn.functional as F


def causal_bias(mask, queries, dtype):
    """[batch, 1, queries, total]: 0 where a query may look, the type's least number where it may not; mask is [batch, total], the past included."""
    total = mask.shape[1]
    keys = torch.arange(total)
    rows = torch.arange(queries) + (total - queries)
    seen = (keys[None, :] <= rows[:, None])[None, None] & (mask[:, None, None, :] > 0)
    return torch.where(seen, torch.zeros((), dtype=dtype), torch.full((), torch.finfo(torch.float32).min, dtype=dtype))


class Gpt2(nn.Module):
    """GPT-2: learned positions, fused qkv, tanh GELU, tied head. Cache: key and value [batch, heads, past, dim] per layer, or one [2, batch, heads, past, dim]."""

    def __init__(self, vocab=40, width=16, heads=2, layers=2, context=32, joined=False):
        super().__init__()
        self.heads, self.layers, self.joined = heads, layers, joined
        self.wte, self.wpe = nn.Embedding(vocab, width), nn.Embedding(context, width)
        self.h = nn.ModuleList(nn.ModuleDict(dict(
            ln_1=nn.LayerNorm(width), c_attn=nn.Linear(width, 3 * width), c_proj=nn.Linear(width, width),
            ln_2=nn.LayerNorm(width), c_fc=nn.Linear(width, 4 * width), mlp_proj=nn.Linear(4 * width, width))) for _ in range(layers))
        self.ln_f = nn.LayerNorm(width)

    def forward(self, input_ids, attention_mask, position_ids, past):
        x = self.wte(input_ids) + self.wpe(position_ids)
        present = []
        bias = causal_bias(attention_mask, input_ids.shape[1], x.dtype)
        for i, layer in enumerate(self.h):
            q, k, v = layer.c_attn(layer.ln_1(x)).split(x.shape[-1], -1)
            q, k, v = (t.view(t.shape[0], t.shape[1], self.heads, -1).transpose(1, 2) for t in (q, k, v))
            if past is not None:
                pk, pv = (past[i][0], past[i][1]) if self.joined else (past[2 * i], past[2 * i + 1])
                k, v = torch.cat([pk, k], -2), torch.cat([pv, v], -2)
            present += [torch.stack([k, v])] if self.joined else [k, v]
            w = torch.softmax(q @ k.transpose(-1, -2) / math.sqrt(q.shape[-1]) + bias, -1)
            a = (w @ v).transpose(1, 2).reshape(x.shape)
            x = x + layer.c_proj(a)
            x = x + layer.mlp_proj(F.gelu(layer.c_fc(layer.ln_2(x)), approximate="tanh"))
        return self.ln_f(x) @ self.wte.weight.T, present

    def cache(self, batch, length, dtype=torch.float32):
        dim = self.wte.embedding_dim // self.heads
        if self.joined: return [torch.zeros(2, batch, self.heads, length, dim, dtype=dtype) for _ in self.h]
        return [torch.zeros(batch, self.heads, length, dim, dtype=dtype) for _ in range(2 * self.layers)]


class Rms(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))

    def forward(self, x):
        return self.weight * (x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + 1e-5))


class Llama(nn.Module):
    """Llama: RMS norm, rotary positions, grouped-query attention, SwiGLU, separate head. Cache: [batch, kv heads, past, dim]."""

    def __init__(self, vocab=40, width=32, heads=2, kv=1, hidden=32, layers=2):
        super().__init__()
        self.heads, self.kv, self.dim, self.layers = heads, kv, width // heads, layers
        self.embed_tokens = nn.Embedding(vocab, width)
        lin = lambda a, b: nn.Linear(a, b, bias=False)
        self.layer = nn.ModuleList(nn.ModuleDict(dict(
            input_layernorm=Rms(width), q_proj=lin(width, width), k_proj=lin(width, kv * self.dim), v_proj=lin(width, kv * self.dim), o_proj=lin(width, width),
            post_attention_layernorm=Rms(width), gate_proj=lin(width, hidden), up_proj=lin(width, hidden), down_proj=lin(hidden, width))) for _ in range(layers))
        self.norm = Rms(width)
        self.lm_head = lin(width, vocab)

    def tables(self, positions, dtype):
        frequency = 1.0 / (10000 ** (torch.arange(0, self.dim, 2).double() / self.dim)).to(dtype)
        angle = positions[:, :, None].to(dtype) * frequency
        angle = torch.cat([angle, angle], -1)
        return angle.cos()[:, None], angle.sin()[:, None]

    def forward(self, input_ids, attention_mask, position_ids, past):
        x = self.embed_tokens(input_ids)
        cos, sin = self.tables(position_ids, x.dtype)
        bias = causal_bias(attention_mask, input_ids.shape[1], x.dtype)
        present = []
        turn = lambda t: t * cos + torch.cat([-t[..., t.shape[-1] // 2:], t[..., :t.shape[-1] // 2]], -1) * sin
        for i, layer in enumerate(self.layer):
            n = layer.input_layernorm(x)
            split = lambda t, h: t.view(t.shape[0], t.shape[1], h, self.dim).transpose(1, 2)
            q, k, v = turn(split(layer.q_proj(n), self.heads)), turn(split(layer.k_proj(n), self.kv)), split(layer.v_proj(n), self.kv)
            if past is not None: k, v = torch.cat([past[2 * i], k], 2), torch.cat([past[2 * i + 1], v], 2)
            present += [k, v]
            group = self.heads // self.kv
            wide = lambda t: t[:, :, None].expand(t.shape[0], self.kv, group, t.shape[2], self.dim).reshape(t.shape[0], self.heads, t.shape[2], self.dim)
            w = torch.softmax(q @ wide(k).transpose(2, 3) / math.sqrt(self.dim) + bias, -1)
            x = x + layer.o_proj((w @ wide(v)).transpose(1, 2).reshape(x.shape))
            n = layer.post_attention_layernorm(x)
            x = x + layer.down_proj(F.silu(layer.gate_proj(n)) * layer.up_proj(n))
        return self.lm_head(self.norm(x)), present

    def cache(self, batch, length, dtype=torch.float32):
        return [torch.zeros(batch, self.kv, length, self.dim, dtype=dtype) for _ in range(2 * self.layers)]


class Bloom(nn.Module):
    """Bloom as its first exports: heads and batch are one axis of the cache, keys lie [batch·heads, dim, past], values [batch·heads, past, dim]; ALiBi counted from the mask, no position_ids."""

    def __init__(self, vocab=40, width=16, heads=2, layers=2):
        super().__init__()
        self.heads, self.dim, self.layers = heads, width // heads, layers
        self.word_embeddings = nn.Embedding(vocab, width)
        self.h = nn.ModuleList(nn.ModuleDict(dict(
            input_layernorm=nn.LayerNorm(width), query_key_value=nn.Linear(width, 3 * width), dense=nn.Linear(width, width),
            post_attention_layernorm=nn.LayerNorm(width), up=nn.Linear(width, 4 * width), down=nn.Linear(4 * width, width))) for _ in range(layers))
        self.ln_f = nn.LayerNorm(width)

    def forward(self, input_ids, attention_mask, position_ids, past):
        x = self.word_embeddings(input_ids)
        batch, length, width = x.shape
        slopes = torch.tensor([2 ** (-4.0 * (i + 1)) for i in range(self.heads)], dtype=x.dtype)
        count = ((attention_mask.cumsum(-1) - 1) * attention_mask)[:, None, :].to(x.dtype)
        alibi = (slopes[None, :, None] * count).reshape(batch * self.heads, 1, -1)
        bias = causal_bias(attention_mask, length, x.dtype)
        present = []
        for i, layer in enumerate(self.h):
            qkv = layer.query_key_value(layer.input_layernorm(x)).view(batch, length, self.heads, 3, self.dim)
            q, k, v = qkv[..., 0, :], qkv[..., 1, :], qkv[..., 2, :]
            q = q.transpose(1, 2).reshape(batch * self.heads, length, self.dim)
            k = k.permute(0, 2, 3, 1).reshape(batch * self.heads, self.dim, length)
            v = v.transpose(1, 2).reshape(batch * self.heads, length, self.dim)
            if past is not None: k, v = torch.cat([past[2 * i], k], 2), torch.cat([past[2 * i + 1], v], 1)
            present += [k, v]
            scores = (alibi + q @ k / math.sqrt(self.dim)).view(batch, self.heads, length, -1)
            w = torch.softmax(scores + bias, -1).view(batch * self.heads, length, -1)
            x = x + layer.dense((w @ v).view(batch, self.heads, length, self.dim).transpose(1, 2).reshape(batch, length, width))
            x = x + layer.down(F.gelu(layer.up(layer.post_attention_layernorm(x)), approximate="tanh"))
        return self.ln_f(x) @ self.word_embeddings.weight.T, present

    def cache(self, batch, length, dtype=torch.float32):
        shape = lambda i: (batch * self.heads, self.dim, length) if i % 2 == 0 else (batch * self.heads, length, self.dim)
        return [torch.zeros(shape(i), dtype=dtype) for i in range(2 * self.layers)]


class Mpt(nn.Module):
    """MPT's order: keys [batch, heads, dim, past], values [batch, heads, past, dim]; ALiBi by place; no position_ids."""

    def __init__(self, vocab=40, width=16, heads=2, layers=1):
        super().__init__()
        self.heads, self.dim, self.layers = heads, width // heads, layers
        self.wte = nn.Embedding(vocab, width)
        lin = lambda a, b: nn.Linear(a, b, bias=False)
        self.blocks = nn.ModuleList(nn.ModuleDict(dict(norm_1=nn.LayerNorm(width), Wqkv=lin(width, 3 * width), out_proj=lin(width, width),
            norm_2=nn.LayerNorm(width), up_proj=lin(width, 4 * width), down_proj=lin(4 * width, width))) for _ in range(layers))
        self.norm_f = nn.LayerNorm(width)

    def forward(self, input_ids, attention_mask, position_ids, past):
        x = self.wte(input_ids)
        total = attention_mask.shape[1]
        slopes = torch.tensor([2 ** (-4.0 * (i + 1)) for i in range(self.heads)], dtype=x.dtype)
        bias = causal_bias(attention_mask, x.shape[1], x.dtype) + slopes[None, :, None, None] * torch.arange(1 - total, 1).to(x.dtype)
        present = []
        for i, block in enumerate(self.blocks):
            q, k, v = block.Wqkv(block.norm_1(x)).chunk(3, -1)
            q, k, v = (t.view(t.shape[0], t.shape[1], self.heads, self.dim).transpose(1, 2) for t in (q, k, v))
            k = k.transpose(2, 3)
            if past is not None: k, v = torch.cat([past[2 * i], k], 3), torch.cat([past[2 * i + 1], v], 2)
            present += [k, v]
            w = torch.softmax(q @ k / math.sqrt(self.dim) + bias, -1)
            x = x + block.out_proj((w @ v).transpose(1, 2).reshape(x.shape))
            x = x + block.down_proj(F.gelu(block.up_proj(block.norm_2(x))))
        return self.norm_f(x) @ self.wte.weight.T, present

    def cache(self, batch, length, dtype=torch.float32):
        return [torch.zeros((batch, self.heads, self.dim, length) if i % 2 == 0 else (batch, self.heads, length, self.dim), dtype=dtype) for i in range(2 * self.layers)]


class T5Decoder(nn.Module):
    """T5's decoder: relative position bias in the first layer, cross-attention; cache per layer: decoder key, value, encoder key, value, all [batch, heads, length, dim]."""

    def __init__(self, vocab=40, width=16, heads=2, layers=2, buckets=8):
        super().__init__()
        self.heads, self.dim, self.layers, self.buckets = heads, width // heads, layers, buckets
        self.shared = nn.Embedding(vocab, width)
        self.relative_attention_bias = nn.Embedding(buckets, heads)
        lin = lambda a, b: nn.Linear(a, b, bias=False)
        self.block = nn.ModuleList(nn.ModuleDict(dict(
            norm_0=Rms(width), q=lin(width, width), k=lin(width, width), v=lin(width, width), o=lin(width, width),
            norm_1=Rms(width), cross_q=lin(width, width), cross_k=lin(width, width), cross_v=lin(width, width), cross_o=lin(width, width),
            norm_2=Rms(width), wi=lin(width, 2 * width), wo=lin(2 * width, width))) for _ in range(layers))
        self.final = Rms(width)

    def forward(self, input_ids, encoder_hidden_states, encoder_attention_mask, past):
        x = self.shared(input_ids)
        split = lambda t: t.view(t.shape[0], t.shape[1], self.heads, self.dim).transpose(1, 2)
        past_length = 0 if past is None else past[0].shape[2]
        total = past_length + x.shape[1]
        rows, keys = torch.arange(x.shape[1]) + past_length, torch.arange(total)
        distance = (rows[:, None] - keys[None, :]).clamp(0, self.buckets - 1)
        bias = self.relative_attention_bias(distance).permute(2, 0, 1)[None]
        least = torch.finfo(torch.float32).min
        bias = bias + torch.where(keys[None, :] <= rows[:, None], 0.0, least).to(x.dtype)
        outside = ((1 - encoder_attention_mask.to(x.dtype)) * least)[:, None, None, :]
        present = []
        for i, b in enumerate(self.block):
            n = b.norm_0(x)
            q, k, v = split(b.q(n)), split(b.k(n)), split(b.v(n))
            if past is not None: k, v = torch.cat([past[4 * i], k], 2), torch.cat([past[4 * i + 1], v], 2)
            x = x + b.o((torch.softmax(q @ k.transpose(2, 3) + bias, -1) @ v).transpose(1, 2).reshape(x.shape))
            ek, ev = (split(b.cross_k(encoder_hidden_states)), split(b.cross_v(encoder_hidden_states))) if past is None else (past[4 * i + 2], past[4 * i + 3])
            present += [k, v] + ([ek, ev] if past is None else [])
            q = split(b.cross_q(b.norm_1(x)))
            x = x + b.cross_o((torch.softmax(q @ ek.transpose(2, 3) + outside, -1) @ ev).transpose(1, 2).reshape(x.shape))
            x = x + b.wo(F.relu(b.wi(b.norm_2(x))))
        return self.final(x) @ self.shared.weight.T, present

    def cache(self, batch, length, encoder, dtype=torch.float32):
        return [torch.zeros(batch, self.heads, length if i % 4 < 2 else encoder, self.dim, dtype=dtype) for i in range(4 * self.layers)]
