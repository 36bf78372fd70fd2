"""An encoder for the decoder t5-merged, and what both write about four sources. See README.md."""
import json, math, sys
import onnx
import torch
from torch import nn
import torch.nn.functional as F
from networks import Rms, T5Decoder

out = sys.argv[1]


def seeded(model, seed):  # as in make.py
    torch.manual_seed(seed)
    for name, p in model.named_parameters():
        one = 1.0 if p.dim() == 1 and "weight" in name else 0.0
        p.data = one + torch.randn_like(p) * (0.35 if p.dim() > 1 else 0.1)
    return model.eval()


class T5Encoder(nn.Module):
    """One layer, relative positions in both directions."""

    def __init__(self, vocab=40, width=16, heads=2, buckets=4):
        super().__init__()
        self.heads, self.dim, self.buckets = heads, width // heads, buckets
        self.shared, self.bias = nn.Embedding(vocab, width), nn.Embedding(2 * buckets - 1, heads)
        lin = lambda a, b: nn.Linear(a, b, bias=False)
        self.norm_0, self.q, self.k, self.v, self.o = Rms(width), lin(width, width), lin(width, width), lin(width, width), lin(width, width)
        self.norm_1, self.wi, self.wo, self.final = Rms(width), lin(width, 2 * width), lin(2 * width, width), Rms(width)

    def forward(self, input_ids, attention_mask):
        x = self.shared(input_ids)
        split = lambda t: t.view(t.shape[0], t.shape[1], self.heads, self.dim).transpose(1, 2)
        at = torch.arange(x.shape[1])
        bias = self.bias((at[None] - at[:, None]).clamp(1 - self.buckets, self.buckets - 1) + self.buckets - 1).permute(2, 0, 1)[None]
        outside = ((1 - attention_mask.to(x.dtype)) * torch.finfo(torch.float32).min)[:, None, None, :]
        n = self.norm_0(x)
        w = torch.softmax(split(self.q(n)) @ split(self.k(n)).transpose(2, 3) + bias + outside, -1)
        x = x + self.o((w @ split(self.v(n))).transpose(1, 2).reshape(x.shape))
        return self.final(x + self.wo(F.relu(self.wi(self.norm_1(x)))))


encoder, decoder = seeded(T5Encoder(), 20), seeded(T5Decoder(layers=1), 15)
for b in decoder.block:
    for p in (b.o, b.cross_o, b.wo): p.weight.data *= 8  # as in make.py
axes = {0: "batch_size", 1: "encoder_sequence_length"}
torch.onnx.export(encoder, (torch.ones(2, 5, dtype=torch.int64), torch.ones(2, 5, dtype=torch.int64)), f"{out}/t5-merged/encoder_model.onnx", input_names=["input_ids", "attention_mask"],
                  output_names=["last_hidden_state"], dynamic_axes={n: axes for n in ("input_ids", "attention_mask", "last_hidden_state")}, opset_version=13, dynamo=False)

texts = []
encoder, decoder = encoder.double(), decoder.double()
for source in ([5, 17, 9, 30, 1], [8, 22, 1], [31, 4, 12, 6, 19, 25, 7, 1], [11, 13, 1]):
    row = torch.tensor([source])
    with torch.no_grad():
        states, ids = encoder(row, torch.ones_like(row)), [0]
        for _ in range(12):
            logits, _ = decoder(torch.tensor([ids]), states, torch.ones_like(row), None)
            top = logits[0, -1].topk(2).values
            assert top[0] - top[1] > 1e-4, "a tie"
            ids.append(int(logits[0, -1].argmax()))
    texts.append({"source": source, "tokens": ids[1:]})
json.dump(texts, open(f"{out}/t5-merged/greedy.json", "w"))
print(texts)
