"""Exports a torch module as the models of the golden material are exported, and records golden losses, scores and gradients beside it."""
import copy, json, os, shutil, warnings, zlib
import numpy as np, onnx, onnxruntime, torch
from torch.nn.attention import SDPBackend, sdpa_kernel
import torch.nn.functional as F
import onnx_torch

warnings.filterwarnings("ignore")
torch.set_num_threads(1)
torch.backends.mha.set_fastpath_enabled(False)
OUT = os.environ.get("ZOO_OUT", "/here/out")
MODELS, VOCABULARIES = {}, {}


def model(name, task="causal_lm", opset=17, fold=True, dtype=torch.float32, inputs=None, labels=None, axes=None, **more):
    """Registers a builder: the decorated function answers the module; everything else says how it is exported and run."""
    def add(build):
        MODELS[name] = dict(name=name, task=task, opset=opset, fold=fold, dtype=dtype, build=build, inputs=inputs, labels=labels, axes=axes, **more)
        return build
    return add


def seeded(name):
    torch.manual_seed(zlib.crc32(name.encode()) % 100000)


def randomise(module, scale=None):
    """Seeded weights that differ from each other everywhere: biases, norms and running statistics too."""
    for n, p in module.named_parameters():
        with torch.no_grad():
            if p.dim() > 1:
                fan = p[0].numel()
                p.copy_(torch.randn_like(p) * (scale or min(0.5, 1.4 / fan ** 0.5)))
            elif n.endswith("bias") or abs(float(p.mean())) < 0.5:
                p.copy_(torch.randn_like(p) * 0.1)
            else:
                p.copy_(1 + torch.randn_like(p) * 0.1)
    for n, b in module.named_buffers():
        if n.endswith("running_mean"): b.copy_(torch.randn_like(b) * 0.2)
        if n.endswith("running_var"): b.copy_(0.5 + torch.rand_like(b))
    return module


# ---- inputs -------------------------------------------------------------------------------------------------------

def tokens(vocabulary=41 if os.environ.get("ZOO_SIZE") == "small" else 97, pairs=((2, 11), (3, 7)), mask=False, types=False, positions=False, pad_left=False):
    """Token batches of two shapes, with padding where there is a mask."""
    def make(case):
        batch, length = pairs[case]
        out = {"input_ids": torch.randint(1, vocabulary, (batch, length))}
        if mask:
            m = torch.ones(batch, length, dtype=torch.int64)
            for b in range(1, batch):
                cut = (2 * b) % (length // 2) + 1
                if pad_left: m[b, :cut] = 0
                else: m[b, length - cut:] = 0
            out["attention_mask"] = m
        if types: out["token_type_ids"] = (torch.arange(length) >= length // 2).long().expand(batch, length).contiguous()
        if positions: out["position_ids"] = torch.arange(length).expand(batch, length).contiguous()
        return out
    return make


def images(channels=3, size=(32, 32), batches=(1, 2) if os.environ.get("ZOO_SIZE") == "small" else (2, 3), name="pixel_values", sizes=None):
    def make(case):
        h, w = (sizes or (size, size))[case]
        return {name: torch.randn(batches[case], channels, h, w)}
    return make


def rows(features, batches=(8, 3), name="x"):
    return lambda case: {name: torch.randn(batches[case], features)}


# ---- losses -------------------------------------------------------------------------------------------------------

TEXTS = {
    "causal_lm": "mean over kept positions of cross entropy(logits[:, t], labels[:, t+1]); -100 is ignored",
    "seq2seq_lm": "mean over kept positions of cross entropy(logits[:, t], labels[:, t]); -100 is ignored",
    "token_classification": "mean over kept positions of cross entropy(logits[:, t], labels[:, t]); -100 is ignored",
    "segmentation": "mean over all pixels of cross entropy(logits[:, :, h, w], labels[:, h, w]); -100 is ignored",
    "classification": "mean over the batch of cross entropy(logits, labels); -100 is ignored",
    "mse": "mean of (scores - labels)^2", "bce": "mean of binary cross entropy with logits",
}


def loss_of(task, logits, labels):
    if task == "causal_lm": return F.cross_entropy(logits[:, :-1].reshape(-1, logits.shape[-1]), labels[:, 1:].reshape(-1), ignore_index=-100)
    if task == "mse": return ((logits - labels.to(logits.dtype)) ** 2).mean()
    if task == "bce": return F.binary_cross_entropy_with_logits(logits, labels.to(logits.dtype))
    if task == "segmentation": return F.cross_entropy(logits, labels, ignore_index=-100)
    return F.cross_entropy(logits.reshape(-1, logits.shape[-1]), labels.reshape(-1), ignore_index=-100)


def labels_for(task, inputs, logits, case):
    if task in ("mse",): return torch.randn(logits.shape)
    if task == "bce": return (torch.rand(logits.shape) > 0.5).float()
    if task == "causal_lm":
        labels = inputs["input_ids"].clone()
        if "attention_mask" in inputs: labels[inputs["attention_mask"] == 0] = -100
        labels[0, :3] = -100
        return labels
    labels = torch.randint(0, logits.shape[1], logits.shape[:1] + logits.shape[2:]) if task == "segmentation" else torch.randint(0, logits.shape[-1], logits.shape[:-1])
    if labels.dim() > 1: labels.view(-1)[::5] = -100
    return labels


# ---- export -------------------------------------------------------------------------------------------------------

def cast_inputs(inputs, dtype):
    return {k: v.to(dtype) if v.is_floating_point() else v for k, v in inputs.items()}


def make(name, out=OUT):
    spec = MODELS[name]
    seeded(name.split("@")[0])
    module = spec["build"]()
    training = spec.get("training")
    module = module.train() if training == "train" else module.eval()
    if spec.get("random", True): randomise(module)
    if spec.get("prepare"): spec["prepare"](module)
    module = module.to(spec["dtype"])
    folder = os.path.join(out, name)
    os.makedirs(folder, exist_ok=True)
    for f in os.listdir(folder): (shutil.rmtree if os.path.isdir(os.path.join(folder, f)) else os.remove)(os.path.join(folder, f))
    path = os.path.join(folder, "model.onnx")
    cases = [cast_inputs(spec["inputs"](c), spec["dtype"]) for c in range(2)]
    outputs = spec.get("outputs", ["logits"])
    axes = spec["axes"]
    if axes is None:
        axes = {}
        for k, v in cases[0].items():
            names = ["batch", "sequence"] if not v.is_floating_point() else ["batch"] + ["dim%d" % i for i in range(1, v.dim())]
            d = {i: names[min(i, len(names) - 1)] for i in range(v.dim()) if v.shape[i] != cases[1][k].shape[i]}
            if d: axes[k] = d
        axes[outputs[0]] = {0: "batch", 1: "sequence"} if spec["task"] in ("causal_lm", "seq2seq_lm", "token_classification") else {0: "batch"}
    modes = {"preserve": torch.onnx.TrainingMode.PRESERVE, "train": torch.onnx.TrainingMode.TRAINING, None: torch.onnx.TrainingMode.EVAL}
    wrapped = Named(module, list(cases[0]), outputs, spec.get("call"))
    wrapped.train(training == "train")
    with torch.no_grad():
        torch.onnx.export(wrapped, tuple(cases[0].values()), path, input_names=list(cases[0]), output_names=outputs, opset_version=spec["opset"],
            do_constant_folding=spec["fold"], dynamic_axes=axes, training=modes[training], dynamo=False, **spec.get("export", {}))
    module.train(training == "train")
    proto = onnx.load(path)
    strip_prefix(proto)
    if spec.get("after"): proto = spec["after"](proto) or proto
    onnx.save(proto, path)
    golden = spec["golden"](module) if spec.get("golden") else module
    record(folder, proto, spec, golden, cases, outputs)
    if spec.get("disguise"): __import__("disguises").dress(folder, spec)
    if spec.get("merge"): onnx.save(spec["merge"](proto, module), path)
    return folder


def make_graph(name, out=OUT):
    """A graph written by hand: checked by onnx.checker, golden values by autograd of the graph."""
    spec = VOCABULARIES[name]
    seeded(name)
    folder = os.path.join(out, name)
    os.makedirs(folder, exist_ok=True)
    for f in os.listdir(folder): os.remove(os.path.join(folder, f))
    proto = spec["build"]()
    if not any(o.domain.startswith(("com.microsoft", "ai.onnx.ml")) for o in proto.opset_import): onnx.checker.check_model(proto, full_check=True)
    onnx.save(proto, os.path.join(folder, "model.onnx"))
    record(folder, proto, spec, None, [spec["inputs"](c) for c in range(2)], spec["outputs"])
    return folder


class Named(torch.nn.Module):
    """Keyword call and choice of outputs."""
    def __init__(self, module, names, outputs, call):
        super().__init__()
        self.zoo, self.names, self.outputs, self.call = module, names, outputs, call

    def forward(self, *args):
        if self.call: return self.call(self.zoo, *args)
        return self.zoo(*args)


def strip_prefix(proto):
    """The wrapper's name is not in a public checkpoint's names."""
    strip(proto.graph)


def strip(g):
    def clean(s): return s[4:] if s.startswith("zoo.") else s.replace("/zoo/", "/")
    for n in g.node:
        for a in n.attribute:
            if a.HasField("g"): strip(a.g)
        n.name = clean(n.name)
        for part in (n.input, n.output):
            for i, v in enumerate(part): part[i] = clean(v)
    for t in list(g.initializer) + list(g.input) + list(g.output) + list(g.value_info): t.name = clean(t.name)


def match(parameter, initializers, name):
    """Where a parameter is stored, by name first, by value then."""
    value = parameter.detach().double().numpy()
    found = []
    close = lambda a: a.shape == value.shape and np.allclose(a, value, rtol=2e-6, atol=1e-7)
    for n, a in initializers.items():
        if a.size != value.size: continue
        if close(a): found.append((n, "as_is"))
        elif a.ndim == 2 and close(a.T) : found.append((n, "transposed"))
        elif n != name and a.shape != value.shape and np.allclose(a.reshape(-1), value.reshape(-1), rtol=2e-6, atol=1e-7): found.append((n, "reshaped"))
    if any(n == name for n, _ in found) and not any(l == "transposed" for _, l in found): found = [f for f in found if f[0] == name]
    return found


def record(folder, proto, spec, module, cases, outputs):
    """Autograd of the module in float64 for every parameter found in the file; autograd of the graph itself (onnx_torch) for every other float initializer."""
    double = copy.deepcopy(module).double() if module is not None else None
    graph = onnx_torch.Graph(proto)
    used = {v for n in proto.graph.node for v in n.input} | {v for n in proto.graph.node for a in n.attribute if a.HasField("g") for m in a.g.node for v in m.input}
    initializers = {k: v.numpy() for k, v in graph.trainable().items() if k in used}
    parameters, homes = [], {}
    for n, p in (double.named_parameters() if double is not None else []):
        found = match(p, initializers, n)
        parameters.append({"name": n, "shape": list(p.shape), "initializers": [{"name": i, "layout": l} for i, l in found]})
        for i, _ in found: homes.setdefault(i, []).append(n)
    others = [i for i in initializers if i not in homes]
    known = {p["name"] for p in parameters}
    lost = [p["name"] for p in parameters if not p["initializers"]]
    by_graph = spec.get("by_graph", spec["dtype"] in (torch.float16, torch.bfloat16))  # constants are rounded in a 16-bit file, so the file decides
    result = {
        "name": spec["name"], "task": spec["task"], "loss": TEXTS[spec["task"]], "opset": graph.opset,
        "exporter": spec.get("exporter", "torch.onnx.export (TorchScript-based), torch " + torch.__version__), "constant_folding": spec["fold"], "weight_dtype": str(spec["dtype"]).split(".")[1],
        "oracle": "graph" if by_graph or double is None else "module", "scored": outputs[0], "node_count": len(proto.graph.node), "onnx_inputs": [i.name for i in proto.graph.input],
        "parameters": parameters, "parameters_not_found_as_initializers": lost,
        "initializers_shared_by_several_parameters": {i: ps for i, ps in homes.items() if len(ps) > 1}, "cases": [],
    }
    if spec.get("choose"): result["output"] = spec["choose"]
    session, says = None, []
    try:
        options = onnxruntime.SessionOptions(); options.log_severity_level = 4
        session = onnxruntime.InferenceSession(os.path.join(folder, "model.onnx"), options)
    except Exception as e: says.append("ORT: " + str(e)[:200])
    for c, inputs in enumerate(cases):
        feed = {k: v.double() if v.is_floating_point() else v for k, v in inputs.items()}
        labels = loss = None
        if double is not None:
            double.zero_grad()
            with sdpa_kernel(SDPBackend.MATH):  # the fused backward is wrong where a whole row is masked
                out = spec["call"](double, *feed.values()) if spec.get("call") else double(*feed.values())
            logits = out[0] if isinstance(out, (tuple, list)) else out
            labels = spec["labels"](inputs, logits, c) if spec["labels"] else labels_for(spec["task"], inputs, logits, c)
            loss = loss_of(spec["task"], logits, labels)
            loss.backward()
        try:
            for k in initializers: graph.initializers[k] = graph.initializers[k].detach().requires_grad_()
            by = graph.run(feed, [spec.get("scores", outputs[0])])[0]
            if labels is None: labels = spec["labels"](inputs, by, c) if spec["labels"] else labels_for(spec["task"], inputs, by, c)
            graph_loss = loss_of(spec["task"], by, labels)
            graph_loss.backward()
            if c == 0: initializers = {k: v for k, v in initializers.items() if graph.initializers[k].grad is not None}  # the loss depends on it
            graph_grads = {k: graph.initializers[k].grad for k in initializers}
            if double is not None:
                off = abs(graph_loss.item() - loss.item()) / abs(loss.item())
                if off > 1e-7 and not by_graph: says.append(f"case {c}: graph and module differ in loss by {off:.1e}")
                says += compare(double, homes, parameters, graph_grads, c) if not by_graph else []
            if double is None or by_graph: logits, loss = by, graph_loss
        except NotImplementedError as e:
            says.append("no graph oracle: " + str(e)); graph_grads = None
        entry = {"case": c, "inputs": {}, "loss": loss.item(), "labels": describe(folder, f"case{c}.labels", labels)}
        for k, v in inputs.items(): entry["inputs"][k] = describe(folder, f"case{c}.{k}", v)
        l32 = logits.detach().float().numpy()
        if spec.get("shown", True) and "scores" not in spec:
            l32.tofile(os.path.join(folder, f"case{c}.logits.f32.bin"))
            entry["logits"] = {"file": f"case{c}.logits.f32.bin", "shape": list(l32.shape)}
        blob, grads = b"", []
        def put(name, g):
            nonlocal blob
            g = g.detach().float().numpy()
            grads.append({"name": name, "shape": list(g.shape), "offset": len(blob), "bytes": g.nbytes})
            blob += g.tobytes()
        if by_graph or double is None:
            result["parameters"] = [{"name": k, "shape": list(v.shape), "initializers": [{"name": k, "layout": "as_is"}]} for k, v in initializers.items() if trained(proto, k)]
            for k in initializers:
                if trained(proto, k): put(k, graph_grads[k])
        else:
            for n, p in double.named_parameters():
                if p.grad is not None: put(n, p.grad)
            result["parameters"] = [p for p in result["parameters"] if p["name"].startswith("initializer ") or any(g["name"] == p["name"] for g in grads)]  # the loss depends on it
            if graph_grads is not None:
                for k in others:
                    if k not in initializers or not trained(proto, k): continue
                    if c == 0: result["parameters"].append({"name": "initializer " + k, "shape": list(initializers[k].shape), "initializers": [{"name": k, "layout": "as_is"}]})
                    put("initializer " + k, graph_grads[k])
        open(os.path.join(folder, f"case{c}.grads.f32.bin"), "wb").write(blob)
        entry["grads_file"], entry["grads"] = f"case{c}.grads.f32.bin", grads
        if session:
            try:
                names = {i.name for i in session.get_inputs()}
                got = session.run([spec.get("scores", outputs[0])] if "scores" not in spec else [outputs[0]], {k: v.numpy() for k, v in inputs.items() if k in names})[0]
                off = float(np.abs(got.astype(np.float64) - logits.detach().numpy()).max())
                entry["ort_logits_max_abs_diff"] = off if "scores" not in spec and off == off else None
                if off != off: says.append(f"case {c}: ONNX Runtime puts out NaN")
            except Exception as e: says.append(f"case {c} ORT: " + str(e)[:200])
        result["cases"].append(entry)
    json.dump(result, open(os.path.join(folder, "golden.json"), "w"), indent=None)
    diffs = ["%.0e" % c["ort_logits_max_abs_diff"] for c in result["cases"] if c.get("ort_logits_max_abs_diff") is not None]
    print(f"{spec['name']:28} {len(proto.graph.node):5} nodes  loss {result['cases'][0]['loss']:.4f} ort {' '.join(diffs)} {os.path.getsize(os.path.join(folder, 'model.onnx')) // 1024} KB"
          + (f"  lost {len(lost)}" if lost else "") + (f" other {len(others)}" if others else "") + ("  " + "; ".join(says) if says else ""), flush=True)


def trained(proto, name):
    """Running statistics are never trained; numbers of hand-written graphs (epsilons, scales, bounds) are left out."""
    if not any(i.name == name and (i.dims or i.data_type != 1) for i in proto.graph.initializer) and name in {i.name for i in proto.graph.initializer}: return False
    return not any(n.op_type == "BatchNormalization" and name in list(n.input)[3:5] for n in proto.graph.node)


def compare(double, homes, parameters, graph_grads, case):
    """The two oracles against each other."""
    says, values = [], dict(double.named_parameters())
    shared = {n for ps in homes.values() if len(ps) > 1 for n in ps}
    for p in parameters:
        if not p["initializers"] or p["name"] in shared or p["name"] not in values: continue
        g = values[p["name"]].grad
        g = torch.zeros_like(values[p["name"]]) if g is None else g
        total = 0
        for i in p["initializers"]:
            h = graph_grads.get(i["name"], torch.zeros_like(g))
            total = total + (h.t() if i["layout"] == "transposed" else h.reshape(g.shape))
        off = float((total - g).norm() / max(float(g.norm()), 1e-6))
        if off > 1e-5: says.append(f"case {case}: oracles differ at {p['name']} by {off:.1e}")
    return says[:3]


def describe(folder, stem, tensor):
    if tensor.is_floating_point():
        tensor.float().numpy().tofile(os.path.join(folder, stem + ".f32.bin"))
        return {"dtype": str(tensor.dtype).split(".")[1], "shape": list(tensor.shape), "file": stem + ".f32.bin"}
    return {"dtype": str(tensor.dtype).split(".")[1], "shape": list(tensor.shape), "data": tensor.reshape(-1).int().tolist()}
