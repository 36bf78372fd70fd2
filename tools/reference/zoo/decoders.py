"""Compact decoders of published architectures, with the parameter names of the public checkpoints."""
import math, os
import torch
import torch.nn as nn
import torch.nn.functional as F
from harness import model, tokens

V, D, H, L = (41, 16, 2, 1) if os.environ.get("ZOO_SIZE") == "small" else (97, 32, 4, 2)


class RMSNorm(nn.Module):
    def __init__(self, d, eps=1e-6, one=False):
        super().__init__()
        self.weight, self.eps, self.one = nn.Parameter(torch.zeros(d) if one else torch.ones(d)), eps, one

    def forward(self, x):
        t = x.dtype
        h = x.to(torch.float32) if t in (torch.float16, torch.bfloat16) else x
        h = h * torch.rsqrt(h.pow(2).mean(-1, keepdim=True) + self.eps)
        if self.one: return (h * (1.0 + self.weight.to(h.dtype))).to(t)
        return self.weight * h.to(t)


def rotate_half(x):
    a, b = x.chunk(2, dim=-1)
    return torch.cat((-b, a), dim=-1)


class Rotary(nn.Module):
    def __init__(self, dim, base=10000.0):
        super().__init__()
        self.register_buffer("inv_freq", 1.0 / (base ** (torch.arange(0, dim, 2).float() / dim)), persistent=False)

    def forward(self, x, position_ids):
        inv = self.inv_freq[None, :, None].expand(position_ids.shape[0], -1, 1).to(x.dtype if x.dtype == torch.float64 else torch.float32)
        freqs = (inv @ position_ids[:, None, :].to(inv.dtype)).transpose(1, 2)
        emb = torch.cat((freqs, freqs), dim=-1)
        return emb.cos().to(x.dtype), emb.sin().to(x.dtype)


def rope(q, k, cos, sin):
    cos, sin = cos.unsqueeze(1), sin.unsqueeze(1)
    return q * cos + rotate_half(q) * sin, k * cos + rotate_half(k) * sin


def repeat_kv(x, n):
    if n == 1: return x
    b, h, s, d = x.shape
    return x[:, :, None].expand(b, h, n, s, d).reshape(b, h * n, s, d)


def additive_mask(x, attention_mask, window=None, compare=False):
    """finfo.min above the diagonal and at padding, [b, 1, s, s]."""
    s = x.shape[1]
    low = torch.finfo(x.dtype).min
    if compare:  # positions compared, for opsets without Trilu
        at = torch.arange(s)
        mask = torch.zeros(s, s, dtype=x.dtype).masked_fill(at[None, :] > at[:, None], low)
    else:
        mask = torch.triu(torch.full((s, s), low, dtype=x.dtype), diagonal=1)
    if window:
        mask = mask + torch.tril(torch.full((s, s), low, dtype=x.dtype), diagonal=-window)
        mask = mask.clamp(min=low)
    mask = mask[None, None].expand(x.shape[0], 1, s, s)
    if attention_mask is not None:
        mask = mask.masked_fill(attention_mask[:, None, None, :] == 0, low)
    return mask


# ---- Llama family: Qwen2, Qwen3, Mistral, Gemma, Gemma 2 ----------------------------------------------------------

class LlamaAttention(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.c, self.hd = c, c.get("head_dim", D // H)
        kv, hd = c.get("kv", 2), self.hd
        self.q_proj = nn.Linear(D, H * hd, bias=c.get("qkv_bias", False))
        self.k_proj = nn.Linear(D, kv * hd, bias=c.get("qkv_bias", False))
        self.v_proj = nn.Linear(D, kv * hd, bias=c.get("qkv_bias", False))
        self.o_proj = nn.Linear(H * hd, D, bias=False)
        if c.get("qk_norm"): self.q_norm, self.k_norm = RMSNorm(hd), RMSNorm(hd)

    def forward(self, x, cos, sin, mask):
        b, s, _ = x.shape
        q, k, v = self.q_proj(x).view(b, s, -1, self.hd), self.k_proj(x).view(b, s, -1, self.hd), self.v_proj(x).view(b, s, -1, self.hd)
        if self.c.get("qk_norm"): q, k = self.q_norm(q), self.k_norm(k)
        q, k, v = q.transpose(1, 2), k.transpose(1, 2), v.transpose(1, 2)
        q, k = rope(q, k, cos, sin)
        k, v = repeat_kv(k, q.shape[1] // k.shape[1]), repeat_kv(v, q.shape[1] // v.shape[1])
        if self.c.get("sdpa"):
            a = F.scaled_dot_product_attention(q, k, v, attn_mask=mask, is_causal=mask is None)
        else:
            w = q @ k.transpose(2, 3) * self.c.get("scale", self.hd ** -0.5)
            if self.c.get("softcap"): w = torch.tanh(w / self.c["softcap"]) * self.c["softcap"]
            if mask is not None: w = w + mask[:, :, :, :k.shape[-2]]
            w = F.softmax(w, dim=-1, dtype=w.dtype if w.dtype == torch.float64 else torch.float32).to(q.dtype)
            a = w @ v
        return self.o_proj(a.transpose(1, 2).contiguous().reshape(b, s, -1))


class LlamaMLP(nn.Module):
    def __init__(self, c, f=48):
        super().__init__()
        self.gate_proj, self.up_proj, self.down_proj = nn.Linear(D, f, bias=False), nn.Linear(D, f, bias=False), nn.Linear(f, D, bias=False)
        self.act = {"silu": F.silu, "gelu_tanh": lambda x: F.gelu(x, approximate="tanh"), "gelu": F.gelu}[c.get("act", "silu")]

    def forward(self, x):
        return self.down_proj(self.act(self.gate_proj(x)) * self.up_proj(x))


class LlamaLayer(nn.Module):
    def __init__(self, c, index):
        super().__init__()
        one = c.get("norm_one", False)
        self.self_attn, self.mlp, self.c, self.index = LlamaAttention(c), c["mlp"](c) if "mlp" in c else LlamaMLP(c), c, index
        self.input_layernorm, self.post_attention_layernorm = RMSNorm(D, one=one), RMSNorm(D, one=one)
        if c.get("four_norms"): self.pre_feedforward_layernorm, self.post_feedforward_layernorm = RMSNorm(D, one=one), RMSNorm(D, one=one)

    def forward(self, x, cos, sin, masks):
        a = self.self_attn(self.input_layernorm(x), cos, sin, masks[self.index % len(masks)])
        if self.c.get("four_norms"):
            x = x + self.post_attention_layernorm(a)
            return x + self.post_feedforward_layernorm(self.mlp(self.pre_feedforward_layernorm(x)))
        x = x + a
        return x + self.mlp(self.post_attention_layernorm(x))


class LlamaModel(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.c = c
        self.embed_tokens = nn.Embedding(V, D)
        self.layers = nn.ModuleList(LlamaLayer(c, i) for i in range(L))
        self.norm = RMSNorm(D, one=c.get("norm_one", False))
        self.rotary_emb = Rotary(c.get("head_dim", D // H), c.get("theta", 10000.0))

    def forward(self, ids, attention_mask=None, position_ids=None):
        x = self.embed_tokens(ids)
        if self.c.get("scale_embedding"): x = x * torch.tensor(D ** 0.5, dtype=x.dtype)
        if position_ids is None: position_ids = torch.arange(ids.shape[1])[None]
        cos, sin = self.rotary_emb(x, position_ids)
        if self.c.get("no_mask"): masks = [None]
        else:
            masks = [additive_mask(x, attention_mask, self.c.get("window"), self.c.get("compare"))]
            if self.c.get("alternate"): masks = [masks[0], additive_mask(x, attention_mask)]
        for layer in self.layers: x = layer(x, cos, sin, masks)
        return self.norm(x)


class CausalLM(nn.Module):
    def __init__(self, **c):
        super().__init__()
        self.c, self.model = c, LlamaModel(c)
        self.lm_head = nn.Linear(D, V, bias=False)
        if c.get("tied"): self.lm_head.weight = self.model.embed_tokens.weight

    def forward(self, ids, attention_mask=None, position_ids=None):
        y = self.lm_head(self.model(ids, attention_mask, position_ids))
        if self.c.get("final_softcap"): y = torch.tanh(y / self.c["final_softcap"]) * self.c["final_softcap"]
        return y.float() if y.dtype in (torch.float16, torch.bfloat16) and self.c.get("float_logits", True) else y


qwen2 = dict(qkv_bias=True, theta=1e6, tied=True)
model("qwen2", opset=17, fold=True, inputs=tokens(mask=True))(lambda: CausalLM(**qwen2))
model("qwen2-unfolded", opset=14, fold=False, inputs=tokens(mask=True))(lambda: CausalLM(**qwen2))
model("qwen2-positions-sdpa", opset=18, fold=True, inputs=tokens(mask=True, positions=True, pad_left=True))(lambda: CausalLM(**qwen2, sdpa=True))
model("qwen3", opset=19, fold=True, inputs=tokens(mask=True))(lambda: CausalLM(qk_norm=True, head_dim=12, theta=1e6))
model("qwen3-unfolded", opset=20, fold=False, inputs=tokens())(lambda: CausalLM(qk_norm=True, head_dim=12, sdpa=True, no_mask=True))
model("mistral", opset=17, fold=True, inputs=tokens(mask=True))(lambda: CausalLM(window=4))
model("gemma", opset=17, fold=True, inputs=tokens(mask=True))(lambda: CausalLM(norm_one=True, act="gelu_tanh", scale_embedding=True, kv=1, head_dim=12, tied=True))
model("gemma-unfolded", opset=20, fold=False, inputs=tokens(mask=True))(lambda: CausalLM(norm_one=True, act="gelu_tanh", scale_embedding=True, kv=1, head_dim=12, tied=True))
gemma2 = dict(norm_one=True, act="gelu_tanh", scale_embedding=True, head_dim=12, tied=True, softcap=50.0, final_softcap=30.0, four_norms=True, window=4, alternate=True, scale=0.2)
model("gemma2", opset=17, fold=True, inputs=tokens(mask=True))(lambda: CausalLM(**gemma2))
model("gemma2-unfolded", opset=14, fold=False, inputs=tokens())(lambda: CausalLM(**gemma2))
model("llama-is-causal", opset=14, fold=True, inputs=tokens())(lambda: CausalLM(sdpa=True, no_mask=True))
model("llama-opset11", opset=11, fold=True, inputs=tokens(mask=True))(lambda: CausalLM(compare=True))
model("llama-opset12", opset=12, fold=False, inputs=tokens(mask=True))(lambda: CausalLM(compare=True))
model("llama-half", opset=17, fold=True, dtype=torch.float16, inputs=tokens(mask=True))(lambda: CausalLM())
model("llama-half-sdpa", opset=17, fold=False, dtype=torch.float16, inputs=tokens())(lambda: CausalLM(sdpa=True, no_mask=True))
model("llama-bfloat16", opset=17, fold=True, dtype=torch.bfloat16, inputs=tokens(mask=True))(lambda: CausalLM())
model("qwen2-half-logits", opset=18, fold=True, dtype=torch.float16, inputs=tokens(mask=True))(lambda: CausalLM(**qwen2, float_logits=False))
model("gemma2-half", opset=17, fold=True, dtype=torch.float16, inputs=tokens(mask=True))(lambda: CausalLM(**gemma2))


class Moe(nn.Module):
    """Mixtral: every expert sees every token, weighted by the routing of the best two."""
    def __init__(self, c, experts=4, f=24, best=2):
        super().__init__()
        self.best, self.gate = best, nn.Linear(D, experts, bias=False)
        class Expert(nn.Module):
            def __init__(self):
                super().__init__()
                self.w1, self.w2, self.w3 = nn.Linear(D, f, bias=False), nn.Linear(f, D, bias=False), nn.Linear(D, f, bias=False)
            def forward(self, x): return self.w2(F.silu(self.w1(x)) * self.w3(x))
        self.experts = nn.ModuleList(Expert() for _ in range(experts))

    def forward(self, x):
        shape = x.shape
        x = x.reshape(-1, shape[-1])
        w = F.softmax(self.gate(x), dim=1, dtype=x.dtype)
        top, index = torch.topk(w, self.best, dim=-1)
        top = top / top.sum(dim=-1, keepdim=True)
        hot = F.one_hot(index, len(self.experts)).to(x.dtype)  # [t, best, experts]
        weight = (hot * top[..., None]).sum(1)
        out = torch.zeros_like(x)
        for i, e in enumerate(self.experts): out = out + e(x) * weight[:, i, None]
        return out.reshape(shape)


class SparseMoe(Moe):
    """The same with tokens gathered by nonzero and added back by index_add, as the public implementation does."""
    def forward(self, x):
        shape = x.shape
        x = x.reshape(-1, shape[-1])
        w = F.softmax(self.gate(x), dim=1, dtype=x.dtype)
        top, index = torch.topk(w, self.best, dim=-1)
        top = top / top.sum(dim=-1, keepdim=True)
        out = torch.zeros_like(x)
        mask = F.one_hot(index, len(self.experts)).permute(2, 1, 0)
        for i, e in enumerate(self.experts):
            where, token = torch.where(mask[i])
            out = out.index_add(0, token, e(x[token]) * top[token, where, None])
        return out.reshape(shape)


model("mixtral", opset=17, fold=True, inputs=tokens(mask=True))(lambda: CausalLM(mlp=Moe))
model("mixtral-sparse", opset=17, fold=False, inputs=tokens(mask=True))(lambda: CausalLM(mlp=SparseMoe))


# ---- Phi, Phi-3, GPT-NeoX, GPT-J, OPT, Bloom, Falcon, GPT-2 --------------------------------------------------------

class Block(nn.Module):
    pass


class Phi(nn.Module):
    """Parallel block, partial rotary, biases everywhere."""
    def __init__(self, fraction=0.5):
        super().__init__()
        hd = D // H
        self.hd, self.rot = hd, int(hd * fraction)
        self.model = Block()
        self.model.embed_tokens = nn.Embedding(V, D)
        self.model.layers = nn.ModuleList()
        for _ in range(L):
            b = Block()
            b.self_attn = Block()
            for n in ("q_proj", "k_proj", "v_proj", "dense"): setattr(b.self_attn, n, nn.Linear(D, D))
            b.mlp = Block()
            b.mlp.fc1, b.mlp.fc2 = nn.Linear(D, 4 * D), nn.Linear(4 * D, D)
            b.input_layernorm = nn.LayerNorm(D)
            self.model.layers.append(b)
        self.model.final_layernorm = nn.LayerNorm(D)
        self.rotary = Rotary(self.rot)
        self.lm_head = nn.Linear(D, V)

    def forward(self, ids, attention_mask=None):
        b, s = ids.shape
        x = self.model.embed_tokens(ids)
        cos, sin = self.rotary(x, torch.arange(s)[None])
        mask = additive_mask(x, attention_mask)
        for l in self.model.layers:
            h = l.input_layernorm(x)
            q, k, v = (getattr(l.self_attn, n)(h).view(b, s, H, self.hd).transpose(1, 2) for n in ("q_proj", "k_proj", "v_proj"))
            qr, qp, kr, kp = q[..., :self.rot], q[..., self.rot:], k[..., :self.rot], k[..., self.rot:]
            qr, kr = rope(qr, kr, cos, sin)
            q, k = torch.cat((qr, qp), -1), torch.cat((kr, kp), -1)
            w = torch.matmul(q, k.transpose(2, 3)) / math.sqrt(self.hd) + mask
            a = (F.softmax(w, dim=-1) @ v).transpose(1, 2).reshape(b, s, D)
            x = l.self_attn.dense(a) + l.mlp.fc2(F.gelu(l.mlp.fc1(h), approximate="tanh")) + x
        return self.lm_head(self.model.final_layernorm(x))


model("phi", opset=17, fold=True, inputs=tokens(mask=True))(Phi)
model("phi-unfolded", opset=16, fold=False, inputs=tokens())(Phi)
model("phi-half", opset=17, fold=True, dtype=torch.float16, inputs=tokens(mask=True))(Phi)


class Phi3(nn.Module):
    """Packed qkv_proj and gate_up_proj."""
    def __init__(self, f=48, kv=2):
        super().__init__()
        self.kv, self.hd = kv, D // H
        self.model = Block()
        self.model.embed_tokens = nn.Embedding(V, D)
        self.model.layers = nn.ModuleList()
        for _ in range(L):
            b = Block()
            b.self_attn, b.mlp = Block(), Block()
            b.self_attn.qkv_proj, b.self_attn.o_proj = nn.Linear(D, (H + 2 * kv) * self.hd, bias=False), nn.Linear(D, D, bias=False)
            b.mlp.gate_up_proj, b.mlp.down_proj = nn.Linear(D, 2 * f, bias=False), nn.Linear(f, D, bias=False)
            b.input_layernorm, b.post_attention_layernorm = RMSNorm(D), RMSNorm(D)
            self.model.layers.append(b)
        self.model.norm = RMSNorm(D)
        self.rotary = Rotary(self.hd)
        self.lm_head = nn.Linear(D, V, bias=False)

    def forward(self, ids, attention_mask=None):
        b, s = ids.shape
        x = self.model.embed_tokens(ids)
        cos, sin = self.rotary(x, torch.arange(s)[None])
        mask = additive_mask(x, attention_mask, window=5)
        for l in self.model.layers:
            h = l.self_attn.qkv_proj(l.input_layernorm(x))
            at = H * self.hd
            q = h[..., :at]
            k = h[..., at:at + self.kv * self.hd]
            v = h[..., at + self.kv * self.hd:]
            q, k, v = (t.view(b, s, -1, self.hd).transpose(1, 2) for t in (q, k, v))
            q, k = rope(q, k, cos, sin)
            k, v = repeat_kv(k, H // self.kv), repeat_kv(v, H // self.kv)
            a = F.scaled_dot_product_attention(q, k, v, attn_mask=mask)
            x = x + l.self_attn.o_proj(a.transpose(1, 2).reshape(b, s, D))
            g, u = l.mlp.gate_up_proj(l.post_attention_layernorm(x)).chunk(2, dim=-1)
            x = x + l.mlp.down_proj(u * F.silu(g))
        return self.lm_head(self.model.norm(x))


model("phi3", opset=17, fold=True, inputs=tokens(mask=True))(Phi3)
model("phi3-unfolded", opset=18, fold=False, inputs=tokens(mask=True))(Phi3)


class NeoX(nn.Module):
    """qkv interleaved by head, rotary_pct, parallel residual."""
    def __init__(self, pct=0.25, parallel=True):
        super().__init__()
        self.hd, self.parallel = D // H, parallel
        self.rot = int(self.hd * pct)
        self.gpt_neox = Block()
        self.gpt_neox.embed_in = nn.Embedding(V, D)
        self.gpt_neox.layers = nn.ModuleList()
        for _ in range(L):
            b = Block()
            b.attention, b.mlp = Block(), Block()
            b.attention.query_key_value, b.attention.dense = nn.Linear(D, 3 * D), nn.Linear(D, D)
            b.mlp.dense_h_to_4h, b.mlp.dense_4h_to_h = nn.Linear(D, 4 * D), nn.Linear(4 * D, D)
            b.input_layernorm, b.post_attention_layernorm = nn.LayerNorm(D), nn.LayerNorm(D)
            self.gpt_neox.layers.append(b)
        self.gpt_neox.final_layer_norm = nn.LayerNorm(D)
        self.embed_out = nn.Linear(D, V, bias=False)
        self.rotary = Rotary(self.rot)
        self.register_buffer("bias", torch.tril(torch.ones(64, 64, dtype=torch.bool))[None, None], persistent=False)

    def forward(self, ids, attention_mask=None):
        b, s = ids.shape
        x = self.gpt_neox.embed_in(ids)
        cos, sin = self.rotary(x, torch.arange(s)[None])
        for l in self.gpt_neox.layers:
            h = l.input_layernorm(x)
            qkv = l.attention.query_key_value(h).view(b, s, H, 3 * self.hd)
            q, k, v = qkv[..., :self.hd].permute(0, 2, 1, 3), qkv[..., self.hd:2 * self.hd].permute(0, 2, 1, 3), qkv[..., 2 * self.hd:].permute(0, 2, 1, 3)
            qr, kr = rope(q[..., :self.rot], k[..., :self.rot], cos, sin)
            q, k = torch.cat((qr, q[..., self.rot:]), -1), torch.cat((kr, k[..., self.rot:]), -1)
            q2, k2 = q.reshape(b * H, s, self.hd), k.reshape(b * H, s, self.hd)
            w = torch.zeros(b * H, s, s, dtype=q.dtype)
            w = torch.baddbmm(w, q2, k2.transpose(1, 2), beta=1.0, alpha=self.hd ** -0.5).view(b, H, s, s)
            w = torch.where(self.bias[:, :, :s, :s], w, torch.finfo(w.dtype).min)
            if attention_mask is not None: w = w + (1.0 - attention_mask[:, None, None, :].to(w.dtype)) * torch.finfo(w.dtype).min / 2
            a = l.attention.dense((F.softmax(w, -1) @ v).permute(0, 2, 1, 3).contiguous().view(b, s, D))
            if self.parallel:
                x = x + a + l.mlp.dense_4h_to_h(F.gelu(l.mlp.dense_h_to_4h(l.post_attention_layernorm(x))))
            else:
                x = x + a
                x = x + l.mlp.dense_4h_to_h(F.gelu(l.mlp.dense_h_to_4h(l.post_attention_layernorm(x))))
        return self.embed_out(self.gpt_neox.final_layer_norm(x))


model("gpt-neox", opset=17, fold=True, inputs=tokens(mask=True))(NeoX)
model("gpt-neox-unfolded", opset=13, fold=False, inputs=tokens())(lambda: NeoX(0.5, False))
model("gpt-neox-half", opset=17, fold=True, dtype=torch.float16, inputs=tokens())(NeoX)


def rotate_every_two(x):
    a, b = x[..., ::2], x[..., 1::2]
    return torch.stack((-b, a), dim=-1).flatten(-2)


class GPTJ(nn.Module):
    def __init__(self, rot=4):
        super().__init__()
        self.hd, self.rot = D // H, rot
        self.transformer = Block()
        self.transformer.wte = nn.Embedding(V, D)
        self.transformer.h = nn.ModuleList()
        for _ in range(L):
            b = Block()
            b.ln_1, b.attn, b.mlp = nn.LayerNorm(D), Block(), Block()
            for n in ("q_proj", "k_proj", "v_proj", "out_proj"): setattr(b.attn, n, nn.Linear(D, D, bias=False))
            b.mlp.fc_in, b.mlp.fc_out = nn.Linear(D, 4 * D), nn.Linear(4 * D, D)
            self.transformer.h.append(b)
        self.transformer.ln_f = nn.LayerNorm(D)
        self.lm_head = nn.Linear(D, V)
        inv = 1.0 / (10000 ** (torch.arange(0, rot, 2) / rot))
        sinusoid = torch.einsum("i,j->ij", torch.arange(64).float(), inv).float()
        self.register_buffer("embed_positions", torch.cat((torch.sin(sinusoid), torch.cos(sinusoid)), dim=1), persistent=False)
        self.register_buffer("bias", torch.tril(torch.ones(64, 64, dtype=torch.bool)).view(1, 1, 64, 64), persistent=False)

    def forward(self, ids):
        b, s = ids.shape
        x = self.transformer.wte(ids)
        pos = torch.arange(s)[None]
        table = self.embed_positions[None].expand(1, -1, -1)
        sincos = torch.gather(table, 1, pos.unsqueeze(-1).repeat(1, 1, self.rot))
        sin, cos = torch.split(sincos, self.rot // 2, dim=-1)
        sin, cos = torch.repeat_interleave(sin[:, :, None, :], 2, 3), torch.repeat_interleave(cos[:, :, None, :], 2, 3)
        for l in self.transformer.h:
            h = l.ln_1(x)
            q, k, v = (getattr(l.attn, n)(h).view(b, s, H, self.hd) for n in ("q_proj", "k_proj", "v_proj"))
            qr, kr = q[:, :, :, :self.rot], k[:, :, :, :self.rot]
            qr, kr = qr * cos + rotate_every_two(qr) * sin, kr * cos + rotate_every_two(kr) * sin
            q, k = torch.cat([qr, q[:, :, :, self.rot:]], -1).permute(0, 2, 1, 3), torch.cat([kr, k[:, :, :, self.rot:]], -1).permute(0, 2, 1, 3)
            v = v.permute(0, 2, 1, 3)
            w = torch.matmul(q, k.transpose(-1, -2))
            w = torch.where(self.bias[:, :, :s, :s], w, torch.full([], torch.finfo(w.dtype).min, dtype=w.dtype)) / torch.sqrt(torch.tensor(self.hd, dtype=torch.float32)).to(w.dtype)
            a = l.attn.out_proj((F.softmax(w, -1) @ v).permute(0, 2, 1, 3).reshape(b, s, D))
            x = a + l.mlp.fc_out(F.gelu(l.mlp.fc_in(h), approximate="tanh")) + x
        return self.lm_head(self.transformer.ln_f(x))


model("gptj", opset=16, fold=True, inputs=tokens())(GPTJ)
model("gptj-unfolded", opset=12, fold=False, inputs=tokens())(GPTJ)


class OPT(nn.Module):
    """Learned positions with offset 2 from the mask's running sum, ReLU, bmm attention."""
    def __init__(self, compare=False):
        super().__init__()
        self.compare = compare
        self.hd = D // H
        self.model = Block()
        self.model.decoder = d = Block()
        d.embed_tokens, d.embed_positions = nn.Embedding(V, D), nn.Embedding(66, D)
        d.layers = nn.ModuleList()
        for _ in range(L):
            b = Block()
            b.self_attn = Block()
            for n in ("k_proj", "v_proj", "q_proj", "out_proj"): setattr(b.self_attn, n, nn.Linear(D, D))
            b.self_attn_layer_norm, b.final_layer_norm = nn.LayerNorm(D), nn.LayerNorm(D)
            b.fc1, b.fc2 = nn.Linear(D, 4 * D), nn.Linear(4 * D, D)
            d.layers.append(b)
        d.final_layer_norm = nn.LayerNorm(D)
        self.lm_head = nn.Linear(D, V, bias=False)
        self.lm_head.weight = d.embed_tokens.weight

    def forward(self, ids, attention_mask):
        d = self.model.decoder
        b, s = ids.shape
        positions = (torch.cumsum(attention_mask, dim=1) * attention_mask).long() - 1
        x = d.embed_tokens(ids) + d.embed_positions(positions + 2)
        mask = additive_mask(x, attention_mask, compare=self.compare)
        for l in d.layers:
            h = l.self_attn_layer_norm(x)
            q = l.self_attn.q_proj(h) * self.hd ** -0.5
            q, k, v = (t.view(b, s, H, self.hd).transpose(1, 2).reshape(b * H, -1, self.hd) for t in (q, l.self_attn.k_proj(h), l.self_attn.v_proj(h)))
            w = torch.bmm(q, k.transpose(1, 2)).view(b, H, s, s) + mask
            w = torch.max(w, torch.tensor(torch.finfo(w.dtype).min, dtype=w.dtype)).view(b * H, s, s)
            a = torch.bmm(F.softmax(w, dim=-1), v).view(b, H, s, self.hd).transpose(1, 2).reshape(b, s, D)
            x = x + l.self_attn.out_proj(a)
            h = l.final_layer_norm(x).reshape(-1, D)
            x = (x.reshape(-1, D) + l.fc2(F.relu(l.fc1(h)))).view(x.shape)
        return self.lm_head(d.final_layer_norm(x))


model("opt", opset=14, fold=True, inputs=tokens(mask=True))(OPT)
model("opt-unfolded", opset=11, fold=False, inputs=tokens(mask=True, pad_left=True))(lambda: OPT(True))


class Bloom(nn.Module):
    """Alibi from the attention mask's running sum, packed qkv by head, tanh GELU written out."""
    def __init__(self):
        super().__init__()
        self.hd = D // H
        self.transformer = t = Block()
        t.word_embeddings, t.word_embeddings_layernorm = nn.Embedding(V, D), nn.LayerNorm(D)
        t.h = nn.ModuleList()
        for _ in range(L):
            b = Block()
            b.input_layernorm, b.post_attention_layernorm, b.self_attention, b.mlp = nn.LayerNorm(D), nn.LayerNorm(D), Block(), Block()
            b.self_attention.query_key_value, b.self_attention.dense = nn.Linear(D, 3 * D), nn.Linear(D, D)
            b.mlp.dense_h_to_4h, b.mlp.dense_4h_to_h = nn.Linear(D, 4 * D), nn.Linear(4 * D, D)
            t.h.append(b)
        t.ln_f = nn.LayerNorm(D)
        self.lm_head = nn.Linear(D, V, bias=False)
        self.lm_head.weight = t.word_embeddings.weight

    def forward(self, ids, attention_mask):
        b, s = ids.shape
        t = self.transformer
        x = t.word_embeddings_layernorm(t.word_embeddings(ids))
        base = torch.tensor(2 ** (-(2 ** -(math.log2(H) - 3))), dtype=torch.float32)
        slopes = torch.pow(base, torch.arange(1, 1 + H, dtype=torch.int32))
        running = ((attention_mask.cumsum(dim=-1) - 1) * attention_mask)[:, None, :]
        alibi = (slopes[..., None] * running).reshape(b * H, 1, s).to(x.dtype)
        mask = additive_mask(x, attention_mask)
        for l in t.h:
            h = l.input_layernorm(x)
            qkv = l.self_attention.query_key_value(h).view(b, s, H, 3, self.hd)
            q, k, v = qkv[..., 0, :].transpose(1, 2), qkv[..., 1, :].transpose(1, 2), qkv[..., 2, :].transpose(1, 2)
            q, k, v = q.reshape(b * H, s, self.hd), k.reshape(b * H, s, self.hd).transpose(-1, -2), v.reshape(b * H, s, self.hd)
            w = alibi.baddbmm(batch1=q, batch2=k, beta=1.0, alpha=1 / math.sqrt(self.hd)).view(b, H, s, s) + mask
            p = F.softmax(w, dim=-1).view(b * H, s, s)
            a = torch.bmm(p, v).view(b, H, s, self.hd).permute(0, 2, 1, 3).reshape(b, s, D)
            x = l.self_attention.dense(a) + x
            m = l.mlp.dense_h_to_4h(l.post_attention_layernorm(x))
            m = m * 0.5 * (1.0 + torch.tanh(0.79788456 * m * (1 + 0.044715 * m * m)))
            x = l.mlp.dense_4h_to_h(m) + x
        return self.lm_head(t.ln_f(x))


model("bloom", opset=14, fold=True, inputs=tokens(mask=True))(Bloom)
model("bloom-unfolded", opset=15, fold=False, inputs=tokens(mask=True))(Bloom)


class Falcon(nn.Module):
    """Multi-query: one key/value head in the packed projection; parallel attention with one norm."""
    def __init__(self):
        super().__init__()
        self.hd = D // H
        self.transformer = t = Block()
        t.word_embeddings = nn.Embedding(V, D)
        t.h = nn.ModuleList()
        for _ in range(L):
            b = Block()
            b.input_layernorm, b.self_attention, b.mlp = nn.LayerNorm(D), Block(), Block()
            b.self_attention.query_key_value, b.self_attention.dense = nn.Linear(D, D + 2 * self.hd, bias=False), nn.Linear(D, D, bias=False)
            b.mlp.dense_h_to_4h, b.mlp.dense_4h_to_h = nn.Linear(D, 4 * D, bias=False), nn.Linear(4 * D, D, bias=False)
            t.h.append(b)
        t.ln_f = nn.LayerNorm(D)
        self.rotary = Rotary(self.hd)
        self.lm_head = nn.Linear(D, V, bias=False)

    def forward(self, ids, attention_mask):
        b, s = ids.shape
        x = self.transformer.word_embeddings(ids)
        cos, sin = self.rotary(x, torch.arange(s)[None])
        mask = additive_mask(x, attention_mask)
        for l in self.transformer.h:
            h = l.input_layernorm(x)
            qkv = l.self_attention.query_key_value(h).view(b, s, H + 2, self.hd)
            q, k, v = qkv[..., :-2, :], qkv[..., [-2], :], qkv[..., [-1], :]
            q, k, v = q.transpose(1, 2), k.transpose(1, 2), v.transpose(1, 2)
            q, k = rope(q, k, cos, sin)
            a = F.scaled_dot_product_attention(q, k, v, attn_mask=mask).permute(0, 2, 1, 3).reshape(b, s, D)
            x = x + l.self_attention.dense(a) + l.mlp.dense_4h_to_h(F.gelu(l.mlp.dense_h_to_4h(h)))
        return self.lm_head(self.transformer.ln_f(x))


model("falcon", opset=17, fold=True, inputs=tokens(mask=True))(Falcon)
model("falcon-unfolded", opset=14, fold=False, inputs=tokens(mask=True))(Falcon)
