"""Losses and their gradients as PyTorch 2.6 computes them, in float64; writes losses.json. See README.md."""
import json, torch, torch.nn.functional as F

torch.manual_seed(1)
cases = []

def case(name, note, scores, labels, formula, options=None, inputs=None):
    x = scores.to(torch.float32).double().requires_grad_()
    loss = formula(x, labels)
    loss.backward()
    cases.append({
        "loss": name, "note": note, "options": options or {},
        "scores": {"shape": list(x.shape), "data": [round(v, 7) for v in scores.to(torch.float32).flatten().tolist()]},
        "labels": None if labels is None else {"dtype": "int64" if labels.dtype == torch.int64 else "float32", "shape": list(labels.shape), "data": labels.flatten().tolist()},
        "inputs": {k: {"shape": list(v.shape), "data": v.flatten().tolist()} for k, v in (inputs or {}).items()},
        "value": loss.item(), "gradient": x.grad.flatten().tolist()})

def scores(*shape): return torch.round(torch.randn(*shape) * 1000) / 1000
def floats(*shape): return torch.round(torch.rand(*shape) * 1000) / 1000

w5 = torch.tensor([0.5, 1, 2, 0.25, 1.5], dtype=torch.float64)
y = torch.tensor([1, -100, 0, 4, 2, 3])
case("cross-entropy", "rows", scores(6, 5), y, lambda x, y: F.cross_entropy(x, y))
case("cross-entropy", "tokens", scores(2, 3, 5), y.reshape(2, 3), lambda x, y: F.cross_entropy(x.reshape(-1, 5), y.reshape(-1)))
case("cross-entropy", "pixels", scores(2, 5, 3, 2), torch.tensor([1, -100, 0, 4, 2, 3, 0, 0, 1, -100, 2, 4]).reshape(2, 3, 2), lambda x, y: F.cross_entropy(x, y))
case("cross-entropy", "tokens, classes on axis 1", scores(2, 5, 3), y.reshape(2, 3), lambda x, y: F.cross_entropy(x, y), {"class_axis": "first"})
case("cross-entropy", "pixels, classes last", scores(1, 2, 3, 5), y.reshape(1, 2, 3), lambda x, y: F.cross_entropy(x.permute(0, 3, 1, 2), y), {"class_axis": "last"})
case("cross-entropy", "smoothed", scores(6, 5), y, lambda x, y: F.cross_entropy(x, y, label_smoothing=0.1), {"label_smoothing": 0.1})
case("cross-entropy", "weighted", scores(6, 5), y, lambda x, y: F.cross_entropy(x, y, weight=w5), {"class_weights": w5.tolist()})
case("cross-entropy", "weighted, smoothed pixels", scores(2, 5, 3, 1), y.reshape(2, 3, 1), lambda x, y: F.cross_entropy(x, y, weight=w5, label_smoothing=0.2), {"class_weights": w5.tolist(), "label_smoothing": 0.2})
case("causal-lm", "shifted", scores(2, 4, 5), torch.tensor([[3, 1, 4, 0], [-100, -100, 2, 1]]), lambda x, y: F.cross_entropy(x[:, :-1].reshape(-1, 5), y[:, 1:].reshape(-1)))
case("causal-lm", "smoothed", scores(2, 4, 5), torch.tensor([[3, 1, 4, 0], [-100, -100, 2, 1]]), lambda x, y: F.cross_entropy(x[:, :-1].reshape(-1, 5), y[:, 1:].reshape(-1), label_smoothing=0.1), {"label_smoothing": 0.1})
case("seq2seq", "not shifted", scores(2, 3, 5), torch.tensor([[3, 1, -100], [2, 4, 0]]), lambda x, y: F.cross_entropy(x.reshape(-1, 5), y.reshape(-1)))
case("soft-label", "rows", scores(4, 5), torch.softmax(scores(4, 5), -1).float(), lambda x, y: F.cross_entropy(x, y.double()))
case("soft-label", "pixels", scores(2, 5, 2, 2), torch.softmax(scores(2, 5, 2, 2), 1).float(), lambda x, y: F.cross_entropy(x, y.double()))
case("mse", "values", scores(4, 3), floats(4, 3), lambda x, y: F.mse_loss(x, y.double()))
case("mae", "values", scores(4, 3), floats(4, 3), lambda x, y: F.l1_loss(x, y.double()))
case("huber", "delta 0.7", scores(4, 3) * 2, floats(4, 3), lambda x, y: F.huber_loss(x, y.double(), delta=0.7), {"delta": 0.7})
case("smooth-l1", "delta 0.7", scores(4, 3) * 2, floats(4, 3), lambda x, y: F.smooth_l1_loss(x, y.double(), beta=0.7), {"delta": 0.7})
case("bce", "values", scores(4, 3), floats(4, 3), lambda x, y: F.binary_cross_entropy_with_logits(x, y.double()))
p3 = torch.tensor([0.5, 2, 3], dtype=torch.float64)
case("bce", "positive weights", scores(4, 3), floats(4, 3).round(), lambda x, y: F.binary_cross_entropy_with_logits(x, y.double(), pos_weight=p3), {"positive_weights": p3.tolist()})
ignored = torch.tensor([[1., 0, -100], [-100, 1, 1], [0, 0, 1], [-100, -100, -100]])
case("bce", "ignored", scores(4, 3), ignored, lambda x, y: F.binary_cross_entropy_with_logits(x[y >= 0], y[y >= 0].double()))
case("hinge", "values", scores(4, 3), torch.sign(scores(4, 3)), lambda x, y: torch.clamp(0.5 - y.double() * x, min=0).mean(), {"margin": 0.5})

def nearest(a, c, t): return F.cross_entropy(a @ c.T / t, torch.arange(len(a)))
def groups(x, g): x = x.reshape(-1, g, x.shape[-1]); return [x[:, i] for i in range(g)]
def unit(x): return F.normalize(x, dim=-1)
def info(x, t=0.05, g=2):
    p = groups(unit(x), g)
    return nearest(p[0], torch.cat(p[1:]), t)
mask = torch.tensor([[1, 1, 1], [1, 1, 0], [1, 0, 0], [1, 1, 1]])
def mean(x): m = mask.double().unsqueeze(-1); return (x * m).sum(1) / m.sum(1)
def last(x): return x[torch.arange(4), mask.sum(1) - 1]
case("contrastive", "pairs", scores(6, 4), None, lambda x, y: info(x))
case("contrastive", "hard negatives", scores(6, 4), None, lambda x, y: info(x, 0.3, 3), {"group": 3, "temperature": 0.3})
case("contrastive", "symmetric, plain dot", scores(6, 4), None, lambda x, y: (nearest(*groups(x, 2), 2.) + nearest(*groups(x, 2)[::-1], 2.)) / 2, {"symmetric": True, "normalize": False, "temperature": 2})
case("contrastive", "mean pooling", scores(4, 3, 4), None, lambda x, y: info(mean(x), 0.5), {"temperature": 0.5}, inputs={"attention_mask": mask})
case("contrastive", "last pooling", scores(4, 3, 4), None, lambda x, y: info(last(x), 0.5), {"pooling": "last", "temperature": 0.5}, {"attention_mask": mask})
case("contrastive", "cls pooling", scores(4, 3, 4), None, lambda x, y: info(x[:, 0], 0.5), {"pooling": "cls", "temperature": 0.5}, {"attention_mask": mask})
case("contrastive", "mean pooling without a mask", scores(4, 3, 4), None, lambda x, y: info(x.mean(1)), {"pooling": "mean"})
case("cosine", "pairs", scores(6, 4), floats(3), lambda x, y: F.mse_loss(F.cosine_similarity(*groups(x, 2)), y.double()))
case("triplet", "threes", scores(9, 4), None, lambda x, y: torch.clamp(torch.linalg.norm(groups(x, 3)[0] - groups(x, 3)[1], dim=-1) - torch.linalg.norm(groups(x, 3)[0] - groups(x, 3)[2], dim=-1) + 1, min=0).mean())
case("triplet", "unit length", scores(9, 4), None, lambda x, y: F.triplet_margin_loss(*groups(unit(x), 3), margin=0.5, eps=0), {"normalize": True, "margin": 0.5})

def ctc(x, y, blank=0): return F.ctc_loss(F.log_softmax(x, -1).transpose(0, 1), y.clamp(min=0), torch.full((len(x),), x.shape[1]), (y >= 0).sum(1), blank=blank, reduction="none", zero_infinity=True)
targets = torch.tensor([[1, 2, 2], [3, -100, -100], [4, 1, -100]])
case("ctc", "repeats and lengths", scores(3, 6, 5), targets, lambda x, y: (ctc(x, y) / (y >= 0).sum(1)).mean())
case("ctc", "blank last", scores(2, 5, 4), torch.tensor([[0, 1, 0], [2, 2, -100]]), lambda x, y: (ctc(x, y, 3) / (y >= 0).sum(1)).mean(), {"blank": 3})
case("ctc", "too long for its time", scores(2, 3, 4), torch.tensor([[1, 1, 2], [2, -100, -100]]), lambda x, y: (ctc(x, y) / (y >= 0).sum(1)).mean())
frames = torch.tensor([4, 6, 2])
def ctc_of(x, y, lengths): return (F.ctc_loss(F.log_softmax(x, -1).transpose(0, 1), y.clamp(min=0), lengths, (y >= 0).sum(1), reduction="none", zero_infinity=True) / (y >= 0).sum(1)).mean()
case("ctc", "lengths of the sound", scores(3, 6, 5), targets, lambda x, y: ctc_of(x, y, frames), {"lengths": "frames"}, {"frames": frames})
case("ctc", "a sound too short", scores(2, 6, 4), torch.tensor([[1, 1, 2], [2, -100, -100]]), lambda x, y: ctc_of(x, y, torch.tensor([3, 1])), {"lengths": "frames"}, {"frames": torch.tensor([3, 1])})
case("matching", "CLIP's logits", scores(4, 4), None, lambda x, y: (F.cross_entropy(x, torch.arange(4)) + F.cross_entropy(x.T, torch.arange(4))) / 2)
json.dump(cases, open("losses.json", "w"), indent=None, separators=(",", ":"))
print(len(cases), [c["value"] for c in cases])
