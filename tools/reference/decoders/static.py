"""The decoder of gpt2-merged with caches of fixed length, in four ways of writing them. See README.md; what it computes is in gpt2-merged/golden.json."""
import math, os, sys
import torch
import torch.nn.functional as F
from torch import nn
from networks import Gpt2, causal_bias

out, size = sys.argv[1], 24
least = torch.finfo(torch.float32).min


def seeded(model, seed):  # as in make.py
    torch.manual_seed(seed)
    for name, p in model.named_parameters():
        one = 1.0 if p.dim() == 1 and "weight" in name else 0.0
        p.data = one + torch.randn_like(p) * (0.35 if p.dim() > 1 else 0.1)
    return model.eval()


class Fixed(nn.Module):
    def __init__(self, model, way):
        super().__init__()
        self.model, self.way = model, way

    def forward(self, input_ids, *rest):
        m, layer, heads = self.model, self.model.h[0], self.model.heads
        *given, pk, pv = rest
        length, keys = input_ids.shape[1], torch.arange(size)
        if self.way == "places":  # transformers' StaticCache: one place per token, the same in each row
            mask, positions, places = given
            seen = (keys[None] <= places[:, None])[None, None] & (mask[:, None, None, :] > 0)
        elif self.way == "rows":  # each row at its own positions, no mask
            (positions,) = given
            seen = (keys[None, None] <= positions[:, :, None])[:, None]
        elif self.way == "length":  # a number of past tokens, and a mask of queries over keys
            bias, past = given
            places = past + torch.arange(length)
            positions = places[None]
        else:  # window: new ones come in behind
            mask, positions = given
        x = m.wte(input_ids) + m.wpe(positions)
        q, k, v = layer.c_attn(layer.ln_1(x)).split(x.shape[-1], -1)
        q, k, v = (t.view(t.shape[0], t.shape[1], heads, -1).transpose(1, 2) for t in (q, k, v))
        if self.way == "rows":
            at = positions[:, None, :, None].expand(-1, heads, -1, k.shape[-1])
            k, v = pk.scatter(2, at, k), pv.scatter(2, at, v)
        elif self.way == "window": k, v = torch.cat([pk, k], 2), torch.cat([pv, v], 2)
        else: k, v = pk.index_copy(2, places, k), pv.index_copy(2, places, v)
        if self.way == "window":
            bias = causal_bias(mask, length, x.dtype)
            present = k[:, :, -size:], v[:, :, -size:]
        else: present = k, v
        if self.way in ("places", "rows"): bias = torch.where(seen, 0.0, least)
        w = torch.softmax(q @ k.transpose(-1, -2) / math.sqrt(q.shape[-1]) + bias, -1)
        x = x + layer.c_proj((w @ v).transpose(1, 2).reshape(x.shape))
        x = x + layer.mlp_proj(F.gelu(layer.c_fc(layer.ln_2(x)), approximate="tanh"))
        return (m.ln_f(x) @ m.wte.weight.T, *present)


model = seeded(Gpt2(layers=1), 6)
batch, text = {0: "batch_size"}, {0: "batch_size", 1: "sequence_length"}
for way in ("places", "rows", "length", "window"):
    ids, ones = torch.ones(2, 3, dtype=torch.int64), lambda n: torch.ones(2, n, dtype=torch.int64)
    positions, cache = torch.arange(3)[None].repeat(2, 1), [torch.zeros(2, 2, size, 8) for _ in range(2)]
    inputs = {
        "places": dict(attention_mask=(ones(size), batch), position_ids=(positions, text), cache_position=(torch.arange(3), {0: "sequence_length"})),
        "rows": dict(position_ids=(positions, text)),
        "length": dict(attention_mask=(torch.zeros(2, 1, 3, size), {0: "batch_size", 2: "sequence_length"}), past_seq_len=(torch.tensor([0]), {})),
        "window": dict(attention_mask=(ones(size + 3), {0: "batch_size", 1: "total_length"}), position_ids=(positions, text)),
    }[way]
    names = ["input_ids", *inputs, "past_key_values.0.key", "past_key_values.0.value"]
    axes = {"input_ids": text, "logits": text, **{n: a for n, (_, a) in inputs.items() if a}, **{n: batch for n in names[-2:] + ["present.0.key", "present.0.value"]}}
    os.makedirs(f"{out}/gpt2-{way}", exist_ok=True)
    torch.onnx.export(Fixed(model, way), (ids, *(v for v, _ in inputs.values()), *cache), f"{out}/gpt2-{way}/model.onnx", input_names=names,
                      output_names=["logits", "present.0.key", "present.0.value"], dynamic_axes=axes, opset_version=17, dynamo=False)
    print(way, os.path.getsize(f"{out}/gpt2-{way}/model.onnx"))
