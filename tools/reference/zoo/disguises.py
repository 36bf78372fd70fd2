"""
The same networks in other clothes: after the golden values are recorded, the file is rewritten (names, storage, order, functions, branches), and golden.json follows. A disguise
answers a dictionary of renamed values, or nothing; the outputs of the rewritten file in ONNX Runtime must equal the original's.
"""
import copy, json, os, random
import numpy as np, onnx, onnxruntime, torch
import torch.nn as nn
import torch.nn.functional as F
from onnx import TensorProto as T, helper as oh, numpy_helper as nh
import harness
from harness import MODELS, images, model, rows, tokens
from decoders import D, H, L, V, Block, RMSNorm, additive_mask
from stranger_sequences import Causal, LoraBlock, LoraLinear, Language
from stranger_vision import ConvNeXtV2, UNetPad


class Mlp(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.n, self.b, self.c = nn.Linear(10, 16), nn.LayerNorm(16), nn.Linear(16, 16), nn.Linear(16, 4)
    def forward(self, x): return self.c(F.gelu(self.b(self.n(torch.relu(self.a(x))))))


class Decoder(nn.Module):
    def __init__(self): super().__init__(); self.net = Language(lambda: LoraBlock(LoraLinear))
    def forward(self, ids): return self.net(ids)


class ConvNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.n, self.b, self.head = nn.Conv2d(3, 8, 3, 2, 1), nn.BatchNorm2d(8), nn.Conv2d(8, 8, 3, padding=1, groups=4), nn.Linear(8, 5)
    def forward(self, x): return self.head(torch.sigmoid(self.b(F.relu(self.n(self.a(x))))).mean((2, 3)))


BASES = {"mlp": (Mlp, "classification", dict(inputs=rows(10))), "decoder": (Decoder, "causal_lm", dict(inputs=tokens())), "conv": (ConvNet, "classification", dict(inputs=images(size=(12, 12)), training="preserve"))}


def halves(m):
    """Weights that float16 holds exactly."""
    with torch.no_grad():
        for p in m.parameters(): p.copy_(p.half().float())
    return m


def sparse(m):
    with torch.no_grad():
        for p in m.parameters():
            if p.dim() == 2: p.mul_((torch.rand_like(p) > 0.8).float())
    return m


def disguise(name, bases=("mlp", "decoder", "conv"), prepare=None, **more):
    def add(f):
        for base in bases:
            build, task, spec = BASES[base]
            model(f"n-{name}-{base}", task, **{**dict(opset=17, fold=True), **spec, **more})(build)
            MODELS[f"n-{name}-{base}"].update(disguise=f, prepare=prepare)
        return f
    return add


def each(g):
    for n in g.node:
        yield n
        for a in n.attribute:
            if a.HasField("g"): yield from each(a.g)


def rename(g, to):
    """Every value's name."""
    for n in g.node:
        for part in (n.input, n.output):
            for i, v in enumerate(part): part[i] = to.get(v, v)
        for a in n.attribute:
            if a.HasField("g"): rename(a.g, to)
    for t in list(g.initializer) + list(g.input) + list(g.output) + list(g.value_info): t.name = to.get(t.name, t.name)


def values(g): return [v for n in g.node for v in n.output if v] + [i.name for i in g.initializer] + [i.name for i in g.input]


@disguise("names-of-ours")
def _(m):
    """Values called as training graphs call theirs."""
    g, to = m.graph, {}
    wanted = iter(["labels", "labels_1", "lift", "loss_scale", "gradient", "logits_grad", "onnx::loss", "weights", "one", "zero", "lift.loss", "accumulated", "lazy_reset_grad", "params", "AdamW", "seed", "0", "1"])
    inner = [v for n in g.node for v in n.output if v not in {o.name for o in g.output}]
    for v in inner[::max(1, len(inner) // 12)]: to[v] = next(wanted)
    to[g.output[0].name] = "loss"
    floats = [i.name for i in g.initializer if i.data_type == 1 and len(i.dims)]
    for a, b in zip(floats, ["loss_grad", "labels_grad", "lift/labels", "x_grad", "lift.x", "loss.accumulation.buffer"]): to[a] = b
    rename(g, to)
    return to


@disguise("strange-names")
def _(m):
    g = m.graph
    odd = ["μ weights:0", "a b c", "模型/層/重み", "x" * 300, "./../up", "q\"uote'", "semi;colon", "back\\slash", "tab\tname", "%s{0}$HOME", "emoji 🙂", "CON", "a|b", "<tag>", "name.with..dots", "UPPER", "upper"]
    to = {v: odd[i % len(odd)] + ("" if i < len(odd) else str(i)) for i, v in enumerate(values(g)) if v not in {x.name for x in g.input} | {o.name for o in g.output}}
    rename(g, to)
    for i, n in enumerate(g.node): n.name = "" if i % 3 == 0 else f"{i}:/same" if i % 3 == 1 else "node " + str(i)
    g.name = ""
    return to


@disguise("constants")
def _(m):
    g = m.graph
    nodes = [oh.make_node("Constant", [], [i.name], value=i) for i in g.initializer]
    rest = list(g.node)
    del g.initializer[:], g.node[:]
    g.node.extend(nodes + rest)


@disguise("half-storage", prepare=halves)
def _(m):
    """Weights kept as float16 and cast where they are read."""
    g, casts = m.graph, []
    for i in g.initializer:
        if i.data_type != 1 or len(i.dims) == 0: continue
        a, name = nh.to_array(i), i.name
        i.CopyFrom(nh.from_array(a.astype(np.float16), name))
        for n in each(g):
            for k, v in enumerate(n.input):
                if v == name: n.input[k] = name + "_as_float"
        casts.append(oh.make_node("Cast", [name], [name + "_as_float"], to=T.FLOAT))
    rest = list(g.node)
    del g.node[:]
    g.node.extend(casts + rest)


@disguise("identities")
def _(m):
    g, more = m.graph, []
    for i in g.initializer:
        for n in each(g):
            for k, v in enumerate(n.input):
                if v == i.name: n.input[k] = i.name + "/b"
        more += [oh.make_node("Identity", [i.name], [i.name + "/a"]), oh.make_node("Identity", [i.name + "/a"], [i.name + "/b"])]
    rest = list(g.node)
    del g.node[:]
    g.node.extend(more + rest)


@disguise("backwards")
def _(m):
    """Nodes in reverse order, initializers shuffled, value_info thrown away."""
    g = m.graph
    nodes, inits = list(g.node)[::-1], list(g.initializer)
    random.Random(0).shuffle(inits)
    del g.node[:], g.initializer[:], g.value_info[:]
    g.node.extend(nodes); g.initializer.extend(inits)


@disguise("float-data")
def _(m):
    """Typed fields instead of raw bytes; every tensor with a doc string; old IR with weights listed as inputs."""
    g = m.graph
    for i in g.initializer:
        a, name = nh.to_array(i), i.name
        if i.data_type == 1: i.CopyFrom(oh.make_tensor(name, T.FLOAT, a.shape, a.reshape(-1).tolist()))
        elif i.data_type == 7: i.CopyFrom(oh.make_tensor(name, T.INT64, a.shape, a.reshape(-1).tolist()))
        i.doc_string = "weights"
        g.input.append(oh.make_tensor_value_info(name, i.data_type, list(i.dims)))
    m.ir_version = 3


def external(folder, proto):
    """Each tensor at an unaligned place of one of two files, in folders of their own; some in the model."""
    os.makedirs(os.path.join(folder, "data"), exist_ok=True)
    at = {}
    for k, i in enumerate(x for x in proto.graph.initializer if x.data_type == 1 and len(x.dims)):
        if k % 3 == 2: continue
        file = ("data/first.bin", "second part.bin")[k % 3]
        raw = nh.to_array(i).tobytes()
        with open(os.path.join(folder, file), "ab") as f:
            if f.tell() == 0: f.write(b"xyz")
            offset = f.tell()
            f.write(raw)
        i.ClearField("raw_data"); i.ClearField("float_data")
        i.data_location = T.EXTERNAL
        for key, v in (("location", file), ("offset", offset), ("length", len(raw))): i.external_data.add(key=key, value=str(v))


@disguise("external", after_save=external)
def _(m): pass


@disguise("sparse", bases=("mlp",), prepare=sparse, opset=13)
def _(m):
    g = m.graph
    for i in [x for x in g.initializer if len(x.dims) == 2]:
        a = nh.to_array(i)
        at = np.flatnonzero(a)
        s = onnx.SparseTensorProto(values=nh.from_array(a.reshape(-1)[at], i.name), indices=nh.from_array(at.astype(np.int64), ""), dims=list(a.shape))
        g.sparse_initializer.append(s)
        g.initializer.remove(i)


@disguise("extras")
def _(m):
    """An unused input, an unused initializer, dead nodes, an intermediate and a weight as further outputs, other domains imported, metadata."""
    g = m.graph
    g.input.append(oh.make_tensor_value_info("unused", T.FLOAT, ["n", 3]))
    g.initializer.append(nh.from_array(np.random.default_rng(0).standard_normal((4, 4)).astype(np.float32), "nobody_reads_this"))
    g.node.append(oh.make_node("Relu", [g.node[0].output[0]] if g.node[0].op_type != "Gather" and g.node[0].op_type != "Constant" else [g.output[0].name], ["dead"]))
    g.node.append(oh.make_node("Softmax", [g.output[0].name], ["probabilities"], axis=-1))
    g.node.append(oh.make_node("ArgMax", ["probabilities"], ["predicted"], axis=-1, keepdims=0))
    rank = len(g.output[0].type.tensor_type.shape.dim)
    g.output.append(oh.make_tensor_value_info("probabilities", T.FLOAT, [None] * rank))
    g.output.append(oh.make_tensor_value_info("predicted", T.INT64, [None] * (rank - 1)))
    for d, v in (("ai.onnx.ml", 3), ("com.microsoft", 1), ("ai.onnx.training", 1), ("ai.onnx.preview.training", 1), ("org.example", 7)): m.opset_import.append(oh.make_opsetid(d, v))
    m.producer_name, m.model_version, m.doc_string = "somebody", 2 ** 40, "doc"
    m.metadata_props.add(key="k", value="v")


@disguise("functions")
def _(m):
    """Every Gemm, MatMul, Add, Relu and LayerNormalization called through a function of its own domain, attributes passed by reference; one function calls another."""
    made = {}
    for n in m.graph.node:
        if n.op_type not in ("Gemm", "MatMul", "Add", "Relu", "Mul", "Conv", "LayerNormalization", "Softmax"): continue
        key = (n.op_type, tuple(bool(i) for i in n.input), tuple(a.name for a in n.attribute))
        if key not in made:
            name = f"fn_{n.op_type}_{len(made)}"
            made[key] = name
            ins = [f"i{k}" if v else "" for k, v in enumerate(n.input)]
            body = oh.make_node(n.op_type, ins, ["y"])
            for a in n.attribute:
                r = onnx.AttributeProto(name=a.name, type=a.type, ref_attr_name=a.name)
                body.attribute.append(r)
            inner = oh.make_function("pkg.inner", name, [i for i in ins if i], ["y"], [body], [oh.make_opsetid("", 17)], [a.name for a in n.attribute])
            call = oh.make_node(name, [i for i in ins if i], ["t"], domain="pkg.inner")
            for a in n.attribute: call.attribute.append(onnx.AttributeProto(name=a.name, type=a.type, ref_attr_name=a.name))
            outer = oh.make_function("pkg.outer", name, [i for i in ins if i], ["z"], [call, oh.make_node("Identity", ["t"], ["z"])], [oh.make_opsetid("", 17), oh.make_opsetid("pkg.inner", 1)], [a.name for a in n.attribute])
            m.functions.extend([outer, inner])
        n.op_type, n.domain = made[key], "pkg.outer"
        kept = [v for v in n.input if v]
        del n.input[:]
        n.input.extend(kept)
    m.opset_import.extend([oh.make_opsetid("pkg.outer", 1), oh.make_opsetid("pkg.inner", 1)])
    m.ir_version = 8


@disguise("branches")
def _(m):
    """The second half of the graph inside If branches: one by a constant, nested in one by a comparison of the input's shape; weights partly initializers of the branch."""
    g = m.graph
    cut = len(g.node) // 2
    tail = list(g.node)[cut:]
    out = g.output[0]
    inner = oh.make_graph([copy.deepcopy(n) for n in tail], "then_inner", [], [copy.deepcopy(out)])
    moved = [i for i in g.initializer if any(i.name in n.input for n in tail) and not any(i.name in n.input for n in list(g.node)[:cut])]
    inner.initializer.extend(moved[: len(moved) // 2])
    for i in moved[: len(moved) // 2]: g.initializer.remove(i)
    def zeros(name):
        src = g.input[0].name
        return oh.make_graph([oh.make_node("ConstantOfShape", ["zero_shape"], [name], value=oh.make_tensor("v", T.FLOAT, [1], [0.0]))], "else_" + name, [], [oh.make_tensor_value_info(name, T.FLOAT, None)],
                             [nh.from_array(np.array([1] * len(out.type.tensor_type.shape.dim), np.int64), "zero_shape")])
    wrapped = oh.make_graph([oh.make_node("If", ["always"], ["inner_out"], then_branch=inner, else_branch=zeros("e1"))], "then_outer", [], [oh.make_tensor_value_info("inner_out", T.FLOAT, None)])
    head = list(g.node)[:cut]
    del g.node[:]
    g.node.extend(head + [oh.make_node("Constant", [], ["always"], value=nh.from_array(np.array(True))), oh.make_node("Shape", [g.input[0].name], ["in_shape"]), oh.make_node("Size", ["in_shape"], ["in_rank"]),
        oh.make_node("Constant", [], ["none"], value=nh.from_array(np.array(0, np.int64))), oh.make_node("Greater", ["in_rank", "none"], ["ranked"]), oh.make_node("If", ["ranked"], [out.name], then_branch=wrapped, else_branch=zeros("e2"))])


@disguise("axes")
def _(m):
    """Negative axes everywhere they are allowed, ends at the largest integers, Flatten and Squeeze without axes made explicit, no shapes on any output."""
    known = onnx.shape_inference.infer_shapes(m, data_prop=True)
    ranks = {v.name: len(v.type.tensor_type.shape.dim) for v in list(known.graph.value_info) + list(known.graph.input) + list(known.graph.output) if v.type.tensor_type.HasField("shape")}
    ranks.update({i.name: len(i.dims) for i in m.graph.initializer})
    for n in m.graph.node:
        for a in n.attribute:
            if a.name == "axis" and a.i >= 0 and n.op_type in ("Concat", "Gather", "Softmax", "Split", "LayerNormalization", "Flatten") and n.input[0] in ranks and ranks[n.input[0]]: a.i -= ranks[n.input[0]]
            if a.name == "axes" and n.input[0] in ranks and n.op_type.startswith("Reduce"):
                v = [x - ranks[n.input[0]] if x >= 0 else x for x in a.ints]
                del a.ints[:]
                a.ints.extend(v)
    del m.graph.value_info[:]
    for o in m.graph.output: o.type.tensor_type.ClearField("shape")


@disguise("transposed", bases=("mlp", "decoder"))
def _(m):
    """Every matrix is kept turned and turned back by a node; gradients are compared through the other layout."""
    g, nodes, layouts = m.graph, [], {}
    for i in g.initializer:
        if i.data_type != 1 or len(i.dims) != 2: continue
        a, name = nh.to_array(i), i.name
        i.CopyFrom(nh.from_array(np.ascontiguousarray(a.T), name))
        for n in each(g):
            for k, v in enumerate(n.input):
                if v == name: n.input[k] = name + ".T"
        nodes.append(oh.make_node("Transpose", [name], [name + ".T"]))  # perm left to its default
        layouts[name] = {"as_is": "transposed", "transposed": "as_is"}
    rest = list(g.node)
    del g.node[:]
    g.node.extend(nodes + rest)
    return {"layouts": layouts}


def dress(folder, spec, rewrite_only=False):
    """Rewrites a recorded model and its golden.json."""
    path = os.path.join(folder, "model.onnx")
    proto = onnx.load(path)
    before = copy.deepcopy(proto)
    to = spec["disguise"](proto) or {}
    layouts = to.pop("layouts", {})
    if spec.get("after_save"): spec["after_save"](folder, proto)
    onnx.save(proto, path)
    golden = json.load(open(os.path.join(folder, "golden.json")))
    for p in golden["parameters"]:
        for i in p["initializers"]:
            if i["name"] in layouts: i["layout"] = layouts[i["name"]][i["layout"]]
            i["name"] = to.get(i["name"], i["name"])
    golden["scored"] = to.get(golden["scored"], golden["scored"])
    if len(proto.graph.output) > 1: golden["output"] = golden["scored"]
    golden["disguise"] = spec["disguise"].__doc__ or ""
    for c in golden["cases"]: c["inputs"] = {to.get(k, k): v for k, v in c["inputs"].items()}
    if any(i.name == "unused" for i in proto.graph.input):
        for c in golden["cases"]:
            rows_, blob = list(c["inputs"].values())[0]["shape"][0], np.zeros((1, 3), np.float32)
            blob = np.zeros((rows_, 3), np.float32)
            blob.tofile(os.path.join(folder, f"case{c['case']}.unused.f32.bin"))
            c["inputs"]["unused"] = {"dtype": "float32", "shape": [rows_, 3], "file": f"case{c['case']}.unused.f32.bin"}
    json.dump(golden, open(os.path.join(folder, "golden.json"), "w"))
    case = golden["cases"][0]
    feed = {}
    for k, v in case["inputs"].items():
        feed[k] = np.fromfile(os.path.join(folder, v["file"]), np.float32).reshape(v["shape"]) if "file" in v else np.array(v["data"], np.int64).reshape(v["shape"])
    try:
        options = onnxruntime.SessionOptions(); options.log_severity_level = 4
        s = onnxruntime.InferenceSession(path, options)
        names = {i.name for i in s.get_inputs()}
        got = s.run([golden["scored"]], {k: v for k, v in feed.items() if k in names})[0]
        want = np.fromfile(os.path.join(folder, case["logits"]["file"]), np.float32).reshape(case["logits"]["shape"])
        print(f"{spec['name']:28}   in ONNX Runtime off by {np.abs(got - want).max():.0e}", flush=True)
    except Exception as e: print(f"{spec['name']:28}   ONNX Runtime: {str(e)[:300]}", flush=True)
