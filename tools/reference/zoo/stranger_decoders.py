"""Decoders spelled as the zoo's are not: transformers' mask code, packed and low-rank projections, ALiBi, experts, state spaces, retention, LoRA."""
import math
import torch
import torch.nn as nn
import torch.nn.functional as F
from harness import model, tokens
from decoders import Block, V, D, H, L, RMSNorm

HD = D // H


def transformers_mask(x, attention_mask, window=None):
    """transformers' 4-D mask: full of finfo.min, triu, comparison of positions, clone, masked_fill where the sum with the padding mask is zero."""
    b, s, _ = x.shape
    low = torch.finfo(x.dtype).min
    at = torch.arange(s)
    mask = torch.full((s, s), fill_value=low, dtype=x.dtype)
    attend = at > at.reshape(-1, 1)
    if window: attend = attend.bitwise_or(at <= (at.reshape(-1, 1) - window))
    mask = mask * attend
    mask = mask[None, None, :, :].expand(b, 1, -1, -1).clone()
    padding = mask[:, :, :, :s] + attention_mask[:, None, None, :].to(mask.dtype)
    return mask.masked_fill(padding == 0, low)


def positions_of(attention_mask):
    p = attention_mask.long().cumsum(-1) - 1
    return p.masked_fill(attention_mask == 0, 1)


def tables(position_ids, dim, dtype, base=10000.0, scale=None):
    inv = 1.0 / (base ** (torch.arange(0, dim, 2, dtype=torch.int64).to(torch.float32 if dtype != torch.float64 else dtype) / dim))
    if scale is not None: inv = inv / scale
    angle = torch.einsum("bs,d->bsd", position_ids.to(inv.dtype), inv)
    return angle.cos().repeat(1, 1, 2)[:, None].to(dtype), angle.sin().repeat(1, 1, 2)[:, None].to(dtype)


def turned(x, cos, sin):
    h = x.shape[-1] // 2
    return x * cos + torch.cat([x[..., h:].neg(), x[..., :h]], dim=-1) * sin


def interleaved(x, cos, sin):
    """Pairs side by side, by unflatten and stack; cos and sin as [.., d] whose halves are equal."""
    h = x.shape[-1] // 2
    a, b = x.unflatten(-1, (h, 2)).unbind(-1)
    c, s = cos[..., :h], sin[..., :h]
    return torch.stack([a * c - b * s, a * s + b * c], -1).flatten(-2)


def linears(block, bias, **sizes):
    for n, (i, o) in sizes.items(): setattr(block, n, nn.Linear(i, o, bias=bias))
    return block


class Qwen2Sliding(nn.Module):
    def __init__(self, window=4, kv=2):
        super().__init__()
        self.window, self.kv = window, kv
        m = self.model = Block()
        m.embed_tokens, m.norm = nn.Embedding(V, D), RMSNorm(D)
        m.layers = nn.ModuleList()
        for _ in range(L):
            l = Block()
            l.self_attn = linears(Block(), True, q_proj=(D, D), k_proj=(D, kv * HD), v_proj=(D, kv * HD))
            l.self_attn.o_proj = nn.Linear(D, D, bias=False)
            l.mlp = linears(Block(), False, gate_proj=(D, 48), up_proj=(D, 48), down_proj=(48, D))
            l.input_layernorm, l.post_attention_layernorm = RMSNorm(D), RMSNorm(D)
            m.layers.append(l)
        self.lm_head = nn.Linear(D, V, bias=False)
        self.lm_head.weight = m.embed_tokens.weight

    def forward(self, input_ids, attention_mask):
        x = self.model.embed_tokens(input_ids)
        b, s, _ = x.shape
        full, near = transformers_mask(x, attention_mask), transformers_mask(x, attention_mask, self.window)
        cos, sin = tables(positions_of(attention_mask), HD, x.dtype, 1e6)
        for i, l in enumerate(self.model.layers):
            h = l.input_layernorm(x)
            q = l.self_attn.q_proj(h).view(b, s, -1, HD).transpose(1, 2)
            k, v = (p(h).view(b, s, self.kv, HD).transpose(1, 2) for p in (l.self_attn.k_proj, l.self_attn.v_proj))
            q, k = turned(q, cos, sin), turned(k, cos, sin)
            k, v = k.repeat_interleave(H // self.kv, dim=1), v.repeat_interleave(H // self.kv, dim=1)
            w = torch.matmul(q, k.transpose(2, 3)) * HD ** -0.5 + (near if i % 2 else full)[:, :, :, :k.shape[-2]]
            w = F.softmax(w, dim=-1, dtype=torch.float32 if w.dtype != torch.float64 else None).to(q.dtype)
            x = x + l.self_attn.o_proj(torch.matmul(w, v).transpose(1, 2).contiguous().reshape(*input_ids.shape, -1).contiguous())
            h = l.post_attention_layernorm(x)
            x = x + l.mlp.down_proj(F.silu(l.mlp.gate_proj(h)) * l.mlp.up_proj(h))
        return self.lm_head(self.model.norm(x)).to(torch.float32 if x.dtype != torch.float64 else x.dtype)


model("n-qwen2-sliding", opset=14, inputs=tokens(mask=True, pad_left=True))(Qwen2Sliding)
model("n-qwen2-sliding-unfolded", opset=18, fold=False, inputs=tokens(mask=True))(Qwen2Sliding)
model("n-qwen2-sliding-half", opset=17, dtype=torch.float16, inputs=tokens(mask=True, pad_left=True))(Qwen2Sliding)


class Gemma3(nn.Module):
    """Norms of q and k, four norms a layer, two rotary bases, bool masks by logical_and, soft cap, tied head scaled."""
    def __init__(self, window=3, cap=30.0):
        super().__init__()
        self.window, self.cap = window, cap
        m = self.model = Block()
        m.embed_tokens, m.norm = nn.Embedding(V, D, padding_idx=None), RMSNorm(D, one=True)
        m.layers = nn.ModuleList()
        for _ in range(L):
            l = Block()
            l.self_attn = linears(Block(), False, q_proj=(D, D), k_proj=(D, HD), v_proj=(D, HD), o_proj=(D, D))
            l.self_attn.q_norm, l.self_attn.k_norm = RMSNorm(HD, one=True), RMSNorm(HD, one=True)
            l.mlp = linears(Block(), False, gate_proj=(D, 40), up_proj=(D, 40), down_proj=(40, D))
            for n in ("input", "post_attention", "pre_feedforward", "post_feedforward"): setattr(l, n + "_layernorm", RMSNorm(D, one=True))
            m.layers.append(l)
        m.register_buffer("embed_scale", torch.tensor(D ** 0.5), persistent=False)

    def forward(self, ids, attention_mask):
        b, s = ids.shape
        m = self.model
        x = m.embed_tokens(ids) * m.embed_scale.to(m.embed_tokens.weight.dtype)
        at = torch.arange(s)
        causal = at[:, None] >= at[None]
        near = torch.logical_and(causal, (at[:, None] - at[None]) < self.window)
        real = attention_mask[:, None, None].bool()
        for i, l in enumerate(m.layers):
            a = l.self_attn
            h = l.input_layernorm(x)
            q, k, v = (p(h).unflatten(-1, (-1, HD)).transpose(1, 2) for p in (a.q_proj, a.k_proj, a.v_proj))
            q, k = a.q_norm(q), a.k_norm(k)
            cos, sin = tables(at[None], HD, x.dtype, 1e4 if i % 2 == 0 else 1e6, None if i % 2 == 0 else 8.0)
            q, k = turned(q, cos, sin), turned(k, cos, sin)
            allowed = (near if i % 2 == 0 else causal)[None, None] & real | (at[:, None] == at)
            o = F.scaled_dot_product_attention(q, k.expand(-1, H, -1, -1), v.expand(-1, H, -1, -1), attn_mask=allowed, scale=24 ** -0.5)
            x = x + l.post_attention_layernorm(a.o_proj(o.transpose(1, 2).flatten(2)))
            h = l.pre_feedforward_layernorm(x)
            x = x + l.post_feedforward_layernorm(l.mlp.down_proj(F.gelu(l.mlp.gate_proj(h), approximate="tanh") * l.mlp.up_proj(h)))
        logits = F.linear(m.norm(x), m.embed_tokens.weight)
        return torch.tanh(logits / self.cap) * self.cap


model("n-gemma3", opset=18, inputs=tokens(mask=True))(Gemma3)
model("n-gemma3-unfolded", opset=20, fold=False, inputs=tokens(mask=True))(Gemma3)
model("n-gemma3-half", opset=16, dtype=torch.float16, inputs=tokens(mask=True))(Gemma3)


class Falcon40(nn.Module):
    """New decoder architecture: groups of queries with one key and value, two norms, parallel; ALiBi in the masked form of the 7b-rw model."""
    def __init__(self, alibi=False, kv=2):
        super().__init__()
        self.alibi, self.kv = alibi, kv
        t = self.transformer = Block()
        t.word_embeddings = nn.Embedding(V, D)
        t.h = nn.ModuleList()
        for _ in range(L):
            l = Block()
            l.ln_attn, l.ln_mlp = nn.LayerNorm(D), nn.LayerNorm(D)
            l.self_attention = linears(Block(), False, query_key_value=(D, (H + 2 * kv) * HD), dense=(D, D))
            l.mlp = linears(Block(), False, dense_h_to_4h=(D, 4 * D), dense_4h_to_h=(4 * D, D))
            t.h.append(l)
        t.ln_f = nn.LayerNorm(D)
        self.lm_head = nn.Linear(D, V, bias=False)

    def forward(self, ids, attention_mask):
        t, g = self.transformer, H // self.kv
        x = t.word_embeddings(ids)
        b, s, _ = x.shape
        low = torch.finfo(x.dtype).min
        if self.alibi:
            closest = 2 ** math.floor(math.log2(H))
            powers = torch.arange(1, 1 + closest, dtype=torch.int32)
            slopes = torch.pow(torch.tensor(2 ** (-(2 ** -(math.log2(closest) - 3))), dtype=torch.float32), powers)
            places = ((attention_mask.cumsum(dim=-1) - 1) * attention_mask)[:, None, :]
            alibi = (slopes[..., None].to(x.dtype) * places).reshape(b * H, 1, s).to(x.dtype)
        mask = torch.ones(s, s, dtype=torch.bool).tril().logical_not()[None, None] | (attention_mask[:, None, None, :] == 0)
        cos, sin = tables(torch.arange(s).unsqueeze(0), HD, x.dtype)
        for l in t.h:
            qkv = l.self_attention.query_key_value(l.ln_attn(x)).view(b, s, self.kv, g + 2, HD)
            q, k, v = qkv[:, :, :, :-2], qkv[:, :, :, [-2]], qkv[:, :, :, [-1]]
            k, v = torch.broadcast_to(k, q.shape), torch.broadcast_to(v, q.shape)
            q, k, v = (y.flatten(2, 3).transpose(1, 2).reshape(b * H, s, HD) for y in (q, k, v))
            q, k, v = (y.view(b, H, s, HD) for y in (q, k, v))
            if self.alibi:
                w = (q @ k.transpose(-1, -2)).view(b, H, s, s) + alibi.view(b, H, 1, -1)
                w = torch.softmax((w / math.sqrt(HD)).masked_fill(mask, low), dim=-1)
            else: w = torch.softmax((turned(q, cos, sin) @ turned(k, cos, sin).transpose(-2, -1) / math.sqrt(HD)).masked_fill(mask, low), dim=-1)
            a = l.self_attention.dense((w @ v).permute(0, 2, 1, 3).reshape(b, s, H * HD))
            x = x + (a + l.mlp.dense_4h_to_h(F.gelu(l.mlp.dense_h_to_4h(l.ln_mlp(x)))))
        return self.lm_head(t.ln_f(x))


model("n-falcon-groups", opset=17, inputs=tokens(mask=True))(Falcon40)
model("n-falcon-alibi", opset=14, fold=False, inputs=tokens(mask=True))(lambda: Falcon40(True))


class Mpt(nn.Module):
    """ALiBi added to the mask once, packed Wqkv clamped, LayerNorm without bias, chunk of three."""
    def __init__(self):
        super().__init__()
        t = self.transformer = Block()
        t.wte, t.norm_f = nn.Embedding(V, D), nn.LayerNorm(D, bias=False)
        t.blocks = nn.ModuleList()
        for _ in range(L):
            l = Block()
            l.norm_1, l.norm_2 = nn.LayerNorm(D, bias=False), nn.LayerNorm(D, bias=False)
            l.attn, l.ffn = linears(Block(), False, Wqkv=(D, 3 * D), out_proj=(D, D)), linears(Block(), False, up_proj=(D, 64), down_proj=(64, D))
            t.blocks.append(l)

    def forward(self, ids):
        t = self.transformer
        x = t.wte(ids)
        b, s, _ = x.shape
        alibi = torch.arange(1 - 64, 1, dtype=torch.int32).view(1, 1, 1, 64)
        m = torch.arange(1, H + 1).to(x.dtype) * (8 / H)
        alibi = (alibi * (1.0 / torch.pow(2, m)).view(1, H, 1, 1)).squeeze(0)
        bias = alibi[:, :, -s:]
        causal = torch.ones((s, s), dtype=torch.int64).triu(1).bool()
        for l in t.blocks:
            q, k, v = l.attn.Wqkv(l.norm_1(x)).clamp(min=-0.8, max=0.8).chunk(3, dim=2)
            q, k, v = q.reshape(b, s, H, HD).transpose(1, 2), k.reshape(b, s, H, HD).permute(0, 2, 3, 1), v.reshape(b, s, H, HD).transpose(1, 2)
            w = torch.matmul(q, k) * (1 / math.sqrt(HD)) + bias
            w = F.softmax(w.masked_fill(causal, torch.finfo(q.dtype).min), dim=-1)
            x = x + l.attn.out_proj(torch.matmul(w, v).permute(0, 2, 1, 3).contiguous().view(b, s, -1))
            x = x + l.ffn.down_proj(F.gelu(l.ffn.up_proj(l.norm_2(x)), approximate="none"))
        return t.norm_f(x) @ t.wte.weight.T


model("n-mpt", opset=17, inputs=tokens())(Mpt)
model("n-mpt-unfolded", opset=15, fold=False, inputs=tokens())(Mpt)
model("n-mpt-half", opset=17, dtype=torch.float16, inputs=tokens())(Mpt)
model("n-mpt-bfloat16", opset=17, fold=False, dtype=torch.bfloat16, inputs=tokens())(Mpt)


class CodeGen(nn.Module):
    """qkv in four slices of the tensor-parallel layout (query, value, key), rotary by duplicate_interleave and einsum, half of the head turned."""
    def __init__(self, mp=2, rot=4):
        super().__init__()
        self.mp, self.rot = mp, rot
        t = self.transformer = Block()
        t.wte, t.ln_f = nn.Embedding(V, D), nn.LayerNorm(D)
        t.h = nn.ModuleList()
        for _ in range(L):
            l = Block()
            l.ln_1 = nn.LayerNorm(D)
            l.attn, l.mlp = linears(Block(), False, qkv_proj=(D, 3 * D), out_proj=(D, D)), linears(Block(), True, fc_in=(D, 2 * D), fc_out=(2 * D, D))
            t.h.append(l)
        self.lm_head = nn.Linear(D, V)

    def forward(self, ids, position_ids):
        t, mp = self.transformer, self.mp
        x = t.wte(ids)
        b, s, _ = x.shape
        inv = 1.0 / (10000 ** (torch.arange(0, self.rot, 2, dtype=torch.int64) / self.rot))
        sinusoid = torch.einsum("i,j->ij", torch.arange(64, dtype=torch.int64).float(), inv.float()).to(x.dtype)
        table = torch.cat((torch.sin(sinusoid), torch.cos(sinusoid)), dim=1)
        sin, cos = table[position_ids].split(self.rot // 2, dim=-1)
        every = lambda m: torch.repeat_interleave(m[:, :, None, :], 2, 3)
        split = lambda y: y.reshape(y.shape[:-1] + (H // mp, HD)).reshape(b, s, H, HD)
        def turn(y):
            r, rest = y[..., :self.rot], y[..., self.rot:]
            back = torch.stack((-r[:, :, :, 1::2], r[:, :, :, ::2]), dim=-1).flatten(-2)
            return torch.cat([r * every(cos) + back * every(sin), rest], dim=-1).permute(0, 2, 1, 3)
        causal = torch.tril(torch.ones((64, 64), dtype=torch.bool)).view(1, 1, 64, 64)[:, :, :s, :s]
        for l in t.h:
            h = l.ln_1(x)
            q, v, k = (split(y) for y in torch.split(l.attn.qkv_proj(h).reshape(b, s, mp, -1), D // mp, dim=-1))
            w = torch.matmul(turn(q), turn(k).transpose(-1, -2))
            w = torch.where(causal, w / HD ** 0.5, torch.tensor(-3.4e38, dtype=w.dtype))
            a = torch.matmul(nn.Softmax(dim=-1)(w), v.permute(0, 2, 1, 3)).permute(0, 2, 1, 3).contiguous()
            u = l.mlp.fc_in(h)
            u = 0.5 * u * (1.0 + torch.tanh(math.sqrt(2.0 / math.pi) * (u + 0.044715 * torch.pow(u, 3.0))))
            x = l.attn.out_proj(a.view(a.shape[:-2] + (D,))) + l.mlp.fc_out(u) + x
        return self.lm_head(t.ln_f(x))


model("n-codegen", opset=17, inputs=tokens(positions=True))(CodeGen)
model("n-codegen-unfolded", opset=13, fold=False, inputs=tokens(positions=True))(CodeGen)


class Cohere(nn.Module):
    """LayerNorm by hand without bias, interleaved rotary, norms of q and k by head, parallel block, logits scaled."""
    class Norm(nn.Module):
        def __init__(self, *shape):
            super().__init__()
            self.weight = nn.Parameter(torch.ones(*shape))
        def forward(self, x):
            m = x.mean(-1, keepdim=True)
            return self.weight * ((x - m) * torch.rsqrt((x - m).pow(2).mean(-1, keepdim=True) + 1e-5))

    def __init__(self, qk=True):
        super().__init__()
        self.qk = qk
        m = self.model = Block()
        m.embed_tokens, m.norm = nn.Embedding(V, D), self.Norm(D)
        m.layers = nn.ModuleList()
        for _ in range(L):
            l = Block()
            l.self_attn = linears(Block(), False, q_proj=(D, D), k_proj=(D, D), v_proj=(D, D), o_proj=(D, D))
            l.self_attn.q_norm, l.self_attn.k_norm = self.Norm(H, HD), self.Norm(H, HD)
            l.mlp, l.input_layernorm = linears(Block(), False, gate_proj=(D, 40), up_proj=(D, 40), down_proj=(40, D)), self.Norm(D)
            m.layers.append(l)

    def forward(self, ids, position_ids):
        m = self.model
        x = m.embed_tokens(ids)
        b, s, _ = x.shape
        inv = 1.0 / (10000 ** (torch.arange(0, HD, 2).to(x.dtype) / HD))
        freqs = (inv[None, :, None].expand(position_ids.shape[0], -1, 1) @ position_ids[:, None, :].to(x.dtype)).transpose(1, 2)
        emb = torch.repeat_interleave(freqs, 2, dim=2)
        cos, sin = emb.cos().unsqueeze(1), emb.sin().unsqueeze(1)
        rot = lambda y: torch.stack([-y[..., 1::2], y[..., ::2]], dim=-1).flatten(-2)
        for l in m.layers:
            h, a = l.input_layernorm(x), l.self_attn
            q, k, v = (p(h).view(b, s, H, HD) for p in (a.q_proj, a.k_proj, a.v_proj))
            if self.qk: q, k = a.q_norm(q), a.k_norm(k)
            q, k, v = q.transpose(1, 2), k.transpose(1, 2), v.transpose(1, 2)
            q, k = q * cos + rot(q) * sin, k * cos + rot(k) * sin
            o = F.scaled_dot_product_attention(q, k, v, is_causal=True)
            x = x + a.o_proj(o.transpose(1, 2).reshape(b, s, D)) + l.mlp.down_proj(F.silu(l.mlp.gate_proj(h)) * l.mlp.up_proj(h))
        return F.linear(m.norm(x), m.embed_tokens.weight) * 0.0625


model("n-cohere", opset=17, inputs=tokens(positions=True))(Cohere)
model("n-cohere-unfolded", opset=14, fold=False, inputs=tokens(positions=True))(Cohere)


class DeepSeek(nn.Module):
    """Multi-head latent attention: compressed queries, compressed keys and values with one rotary part for all heads; experts by sigmoid scores in groups."""
    def __init__(self, rank=12, nope=6, rope=4, value=5, experts=4, top=2):
        super().__init__()
        self.rank, self.nope, self.rope, self.value, self.top = rank, nope, rope, value, top
        m = self.model = Block()
        m.embed_tokens, m.norm = nn.Embedding(V, D), RMSNorm(D)
        m.layers = nn.ModuleList()
        for _ in range(L):
            l = Block()
            l.self_attn = linears(Block(), False, q_a_proj=(D, rank), q_b_proj=(rank, H * (nope + rope)), kv_a_proj_with_mqa=(D, rank + rope), kv_b_proj=(rank, H * (nope + value)), o_proj=(H * value, D))
            l.self_attn.q_a_layernorm, l.self_attn.kv_a_layernorm = RMSNorm(rank), RMSNorm(rank)
            l.input_layernorm, l.post_attention_layernorm = RMSNorm(D), RMSNorm(D)
            l.mlp = linears(Block(), False, gate=(D, experts))
            l.mlp.gate.e_score_correction_bias = nn.Parameter(torch.zeros(experts))
            l.mlp.experts = nn.ModuleList(linears(Block(), False, gate_proj=(D, 16), up_proj=(D, 16), down_proj=(16, D)) for _ in range(experts))
            l.mlp.shared_experts = linears(Block(), False, gate_proj=(D, 16), up_proj=(D, 16), down_proj=(16, D))
            m.layers.append(l)
        self.lm_head = nn.Linear(D, V, bias=False)

    def forward(self, ids):
        m = self.model
        x = m.embed_tokens(ids)
        b, s, _ = x.shape
        cos, sin = tables(torch.arange(s)[None], self.rope, x.dtype)
        shuffled = lambda y: turned(y.view(b, y.shape[1], s, self.rope // 2, 2).transpose(4, 3).reshape(b, y.shape[1], s, self.rope), cos, sin)
        low = torch.full((s, s), float("-inf"), dtype=x.dtype).triu_(1)
        ffn = lambda e, y: e.down_proj(F.silu(e.gate_proj(y)) * e.up_proj(y))
        for l in m.layers:
            a, h = l.self_attn, l.input_layernorm(x)
            q = a.q_b_proj(a.q_a_layernorm(a.q_a_proj(h))).view(b, s, H, -1).transpose(1, 2)
            qn, qr = torch.split(q, [self.nope, self.rope], dim=-1)
            c, kr = torch.split(a.kv_a_proj_with_mqa(h), [self.rank, self.rope], dim=-1)
            kn, v = torch.split(a.kv_b_proj(a.kv_a_layernorm(c)).view(b, s, H, -1).transpose(1, 2), [self.nope, self.value], dim=-1)
            kr = shuffled(kr.view(b, 1, s, self.rope))
            q, k = torch.cat((qn, shuffled(qr)), -1), torch.cat((kn, kr.expand(b, H, s, self.rope)), -1)
            w = ((q @ k.transpose(-2, -1)) * (self.nope + self.rope) ** -0.5 + low).softmax(-1)
            x = x + a.o_proj((w @ v).transpose(1, 2).reshape(b, s, -1))
            h = l.post_attention_layernorm(x)
            flat = h.reshape(-1, D)
            scores = l.mlp.gate(flat).sigmoid()
            choice = torch.topk((scores + l.mlp.gate.e_score_correction_bias).detach(), self.top, dim=-1, sorted=False)[1]
            gates = scores.gather(1, choice)
            gates = gates / (gates.sum(dim=-1, keepdim=True) + 1e-20) * 1.5
            dense = torch.zeros_like(scores).scatter(1, choice, gates)
            routed = torch.stack([ffn(e, flat) for e in l.mlp.experts], dim=1)
            x = x + (routed * dense.unsqueeze(-1)).sum(1).view(b, s, D) + ffn(l.mlp.shared_experts, h)
        return self.lm_head(m.norm(x))


model("n-deepseek", opset=18, inputs=tokens())(DeepSeek)
model("n-deepseek-unfolded", opset=14, fold=False, inputs=tokens())(DeepSeek)
