"""Three steps of PyTorch 2.6 on a small classifier with batch normalisation, in training form; writes model.onnx, half.onnx, rows.jsonl and steps.json. See README.md."""
import copy, json, torch, torch.nn as nn, torch.nn.functional as F

torch.manual_seed(3)

class Classifier(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(2, 3, 3, padding=1, bias=False)
        self.bn = nn.BatchNorm2d(3)
        self.mix = nn.Linear(3, 3, bias=False)
        self.twice = nn.BatchNorm1d(3, momentum=0.25)
        self.head = nn.Linear(3, 3)

    def forward(self, x):
        x = torch.relu(self.bn(self.conv(x))).mean((2, 3))
        x = torch.tanh(self.twice(self.mix(x)))
        return self.head(self.twice(x * 2))  # one layer, used twice: its statistics are renewed twice

model = Classifier()
model.bn.running_mean.copy_(torch.tensor([0.1, -0.2, 0.3]))
model.bn.running_var.copy_(torch.tensor([1.5, 0.5, 2.0]))
rows = [{"x": torch.round(torch.randn(2, 4, 4) * (1 + i % 3) * 100) / 100, "label": i % 3} for i in range(24)]
model.train()
torch.onnx.export(model, (torch.stack([r["x"] for r in rows[:4]]),), "model.onnx", training=torch.onnx.TrainingMode.TRAINING, do_constant_folding=False,
                  input_names=["x"], output_names=["logits"], dynamic_axes={"x": {0: "batch"}, "logits": {0: "batch"}}, opset_version=17, dynamo=False)  # the exporter runs the model once, so that the statistics in the file are those after a batch, as the model has them now
with open("rows.jsonl", "w") as f:
    for r in rows: f.write(json.dumps({"x": [[[round(v, 2) for v in l] for l in c] for c in r["x"].tolist()], "label": r["label"]}) + "\n")

batch = lambda i: (torch.stack([r["x"] for r in rows[4 * i:4 * i + 4]]), torch.tensor([r["label"] for r in rows[4 * i:4 * i + 4]]))
names = [n for n, b in model.named_buffers() if "running" in n]

def train(accumulate, steps):
    net = copy.deepcopy(model).train()
    adam = torch.optim.AdamW(net.parameters(), lr=0.02, betas=(0.9, 0.95), eps=1e-6, weight_decay=0)
    log = []
    for s in range(steps):
        adam.zero_grad()
        losses = [F.cross_entropy(net(x), y) for x, y in (batch(s * accumulate + k) for k in range(accumulate))]
        loss = sum(losses) / accumulate
        loss.backward()
        adam.step()
        state = net.state_dict()
        log.append({"loss": loss.item(), "statistics": {n: state[n].tolist() for n in names}})
    net.eval()
    with torch.no_grad():
        evaluated = torch.stack([F.cross_entropy(net(x), y) for x, y in (batch(i) for i in range(6))]).mean().item()
    return {"accumulate": accumulate, "steps": log, "evaluated": evaluated}

json.dump([train(1, 3), train(2, 3)], open("steps.json", "w"), indent=1)

# The same file in float16.
import numpy as np, onnx
from onnx import TensorProto, numpy_helper
half = onnx.load("model.onnx")
for tensor in half.graph.initializer: tensor.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(tensor).astype(np.float16) if tensor.data_type == TensorProto.FLOAT else numpy_helper.to_array(tensor), tensor.name))
for node in half.graph.node:
    for a in node.attribute:
        if a.HasField("t") and a.t.data_type == TensorProto.FLOAT: a.t.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(a.t).astype(np.float16), a.t.name))
for value in [*half.graph.input, *half.graph.output, *half.graph.value_info]:
    if value.type.tensor_type.elem_type == TensorProto.FLOAT: value.type.tensor_type.elem_type = TensorProto.FLOAT16
onnx.save(half, "half.onnx")
