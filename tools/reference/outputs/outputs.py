"""Models with several outputs, and three steps of PyTorch 2.6 on each with one loss over two outputs, or several losses; writes *.onnx, *.jsonl and steps.json. See README.md."""
import copy, json, math, torch, torch.nn as nn, torch.nn.functional as F

torch.manual_seed(5)

class Clip(nn.Module):
    """An image tower and a text tower, a learned scale, and CLIP's four outputs."""
    def __init__(self):
        super().__init__()
        self.vision = nn.Conv2d(3, 6, 2, stride=2)
        self.vision_mlp = nn.Linear(24, 5)
        self.words = nn.Embedding(11, 6)
        self.text_mlp = nn.Linear(6, 5)
        self.logit_scale = nn.Parameter(torch.tensor(math.log(4.0)))

    def forward(self, pixel_values, input_ids, attention_mask):
        image = self.vision_mlp(torch.tanh(self.vision(pixel_values)).flatten(1))
        m = attention_mask.unsqueeze(-1).to(torch.float32)
        text = self.text_mlp((self.words(input_ids) * m).sum(1) / m.sum(1))
        image, text = image / image.norm(dim=-1, keepdim=True), text / text.norm(dim=-1, keepdim=True)
        scale = self.logit_scale.exp()
        per_image = scale * image @ text.t()
        return per_image, per_image.t(), text, image, scale

class Tasks(nn.Module):
    """One trunk, three heads: a class, a number, several yes or no."""
    def __init__(self):
        super().__init__()
        self.trunk = nn.Linear(6, 8)
        self.kind, self.price, self.tags = nn.Linear(8, 3), nn.Linear(8, 1), nn.Linear(8, 4)

    def forward(self, x):
        h = torch.tanh(self.trunk(x))
        return self.kind(h), self.price(h), self.tags(h)

def rounded(*shape): return torch.round(torch.randn(*shape) * 100) / 100

def export(model, inputs, names, outputs, file):
    axes = {n: {0: "batch", **({1: "length"} if n in ("input_ids", "attention_mask") else {})} for n in names}
    torch.onnx.export(model.eval(), inputs, file, input_names=names, output_names=outputs, dynamic_axes=axes, opset_version=17, dynamo=False)

def steps(model, loss_of, batches):
    net = copy.deepcopy(model)
    adam = torch.optim.AdamW(net.parameters(), lr=0.02, betas=(0.9, 0.95), eps=1e-6, weight_decay=0)
    losses = []
    for batch in batches:
        adam.zero_grad()
        loss = loss_of(net, batch)
        loss.backward()
        adam.step()
        losses.append(loss.item())
    with torch.no_grad(): after = [loss_of(net, b).item() for b in batches]
    return {"losses": losses, "after": sum(after) / len(after)}

clip, tasks = Clip(), Tasks()
pairs = [{"pixels": rounded(3, 4, 4), "ids": torch.randint(0, 11, (2 + i % 3,)).tolist()} for i in range(12)]
def pair_batch(i):
    rows = pairs[4 * i:4 * i + 4]; longest = max(len(r["ids"]) for r in rows)
    ids = torch.tensor([r["ids"] + [0] * (longest - len(r["ids"])) for r in rows]); mask = torch.tensor([[1] * len(r["ids"]) + [0] * (longest - len(r["ids"])) for r in rows])
    return torch.stack([r["pixels"] for r in rows]), ids, mask
export(clip, pair_batch(0), ["pixel_values", "input_ids", "attention_mask"], ["logits_per_image", "logits_per_text", "text_embeds", "image_embeds", "scale"], "clip.onnx")
with open("clip.jsonl", "w") as f:
    for r in pairs: f.write(json.dumps({"pixel_values": [[[round(v, 2) for v in l] for l in c] for c in r["pixels"].tolist()], "input_ids": r["ids"]}) + "\n")

rows = [{"x": rounded(6), "kind": ["cat", "dog", "emu"][i % 3], "price": round(i * 0.25 - 1, 2), "tags": [(i >> b) & 1 for b in range(4)]} for i in range(12)]
rows[2]["kind"] = -100
export(tasks, (torch.stack([r["x"] for r in rows[:4]]),), ["x"], ["logits_kind", "price", "logits_tags"], "tasks.onnx")
with open("tasks.jsonl", "w") as f:
    for r in rows: f.write(json.dumps({**r, "x": [round(v, 2) for v in r["x"].tolist()]}) + "\n")
names = {"cat": 0, "dog": 1, "emu": 2, -100: -100}
def task_batch(i):
    part = rows[4 * i:4 * i + 4]
    return torch.stack([r["x"] for r in part]), torch.tensor([names[r["kind"]] for r in part]), torch.tensor([[r["price"]] for r in part]), torch.tensor([r["tags"] for r in part], dtype=torch.float32)

def both(s): y = torch.arange(len(s)); return (F.cross_entropy(s, y) + F.cross_entropy(s.t(), y)) / 2
def weighed(net, b):
    kind, price, tags = net(b[0])
    return F.cross_entropy(kind, b[1]) + 0.5 * F.mse_loss(price, b[2]) + 2 * F.binary_cross_entropy_with_logits(tags, b[3])
pair_batches, task_batches = [pair_batch(i) for i in range(3)], [task_batch(i) for i in range(3)]
def embeds(net, b): o = net(*b); return o[3], o[2], o[4]
json.dump({
    "matching": steps(clip, lambda n, b: both(n(*b)[0]), pair_batches),
    "scaled": steps(clip, lambda n, b: (lambda i, t, s: both(s * i @ t.t()))(*embeds(n, b)), pair_batches),
    "temperature": steps(clip, lambda n, b: (lambda i, t, s: both(i @ t.t() / 0.2))(*embeds(n, b)), pair_batches),
    "one way": steps(clip, lambda n, b: (lambda i, t, s: F.cross_entropy(i @ t.t() / 0.2, torch.arange(4)))(*embeds(n, b)), pair_batches),
    "tasks": steps(tasks, weighed, task_batches),
}, open("steps.json", "w"), indent=1)
