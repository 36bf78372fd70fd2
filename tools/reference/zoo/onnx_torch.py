"""
Runs an ONNX graph in torch, in float64 whatever the file's float type is, so that autograd gives the gradient of every initializer: the second
oracle, independent of the module that was exported and the only one for graphs written by hand. Written from the operators' specifications.
"""
import math
import numpy as np, onnx, torch
import torch.nn.functional as F
from onnx import numpy_helper

OPS = {}
FLOATS = (1, 10, 11, 16)
TYPES = {1: torch.float64, 11: torch.float64, 10: torch.float64, 11: torch.float64, 16: torch.float64, 2: torch.uint8, 3: torch.int8, 6: torch.int32, 7: torch.int64, 9: torch.bool}


def op(*names):
    def add(f):
        for n in names: OPS[n] = f
        return f
    return add


class Node:
    def __init__(self, proto, opset, run):
        self.proto, self.opset, self.run, self.op = proto, opset, run, proto.op_type
        self.a = {a.name: onnx.helper.get_attribute_value(a) for a in proto.attribute}
        self.a = {k: v.decode() if isinstance(v, bytes) else [x.decode() if isinstance(x, bytes) else x for x in v] if isinstance(v, list) else v for k, v in self.a.items()}

    def get(self, name, otherwise=None): return self.a.get(name, otherwise)


def tensor(proto):
    if proto.data_type == 16:
        raw = proto.raw_data or np.array(proto.int32_data, dtype=np.uint16).tobytes()
        return torch.frombuffer(bytearray(raw), dtype=torch.bfloat16).double().reshape(tuple(proto.dims)) if raw else torch.zeros(tuple(proto.dims), dtype=torch.float64)
    a = numpy_helper.to_array(proto)
    t = torch.from_numpy(a.copy())
    return t.double() if t.is_floating_point() else t


class Graph:
    def __init__(self, model):
        self.model = model
        self.opset = next(o.version for o in model.opset_import if o.domain in ("", "ai.onnx"))
        self.functions = {(f.domain, f.name): f for f in model.functions}
        self.initializers = {i.name: tensor(i) for i in model.graph.initializer if i.data_type != 8}
        if not any(t.is_floating_point() and t.dim() > 1 for t in self.initializers.values()):  # all weights in Constant nodes
            for n in model.graph.node:
                if n.op_type == "Constant" and n.attribute[0].name == "value": self.initializers[n.output[0]] = tensor(n.attribute[0].t)

    def trainable(self):
        return {k: v for k, v in self.initializers.items() if v.is_floating_point()}

    def run(self, inputs, outputs):
        values = dict(self.initializers)
        values.update(inputs)
        return self.sub(self.model.graph, values, outputs)

    def sub(self, graph, values, outputs=None):
        for n in graph.node:
            if n.op_type == "Constant" and n.output[0] in self.initializers: continue
            if (n.domain, n.op_type) in self.functions:
                f = self.functions[n.domain, n.op_type]
                out = self.sub(f, dict(zip(f.input, [values[i] if i else None for i in n.input])), list(f.output))
                for name, v in zip(n.output, out): values[name] = v
                continue
            if any(i and i not in values for i in n.input): continue  # behind an operator that was left out
            if n.op_type in ("ZipMap", "ArrayFeatureExtractor"): continue
            node = Node(n, self.opset, lambda g, extra={}: self.sub(g, {**values, **{i.name: tensor(i) for i in g.initializer}, **extra}))
            f = OPS.get(n.op_type)
            if f is None: raise NotImplementedError(f"{n.op_type} ({n.domain})")
            out = f(node, *[values[i] if i else None for i in n.input])
            if not isinstance(out, (tuple, list)): out = (out,)
            for name, v in zip(n.output, out):
                if name: values[name] = v
        return [values[o] for o in (outputs or [o.name for o in graph.output])]


def ints(t): return None if t is None else [int(v) for v in t.reshape(-1)]


@op("Constant")
def _(n):
    for k, v in n.a.items():
        if k == "value": return tensor(v)
        if k in ("value_float", "value_floats"): return torch.tensor(v, dtype=torch.float64)
        if k in ("value_int", "value_ints"): return torch.tensor(v, dtype=torch.int64)

for name, f in {
    "Add": torch.add, "Sub": torch.sub, "Mul": torch.mul, "And": torch.logical_and, "Or": torch.logical_or, "Xor": torch.logical_xor, "Not": torch.logical_not,
    "Equal": torch.eq, "Less": torch.lt, "LessOrEqual": torch.le, "Greater": torch.gt, "GreaterOrEqual": torch.ge,
    "Neg": torch.neg, "Abs": torch.abs, "Exp": torch.exp, "Log": torch.log, "Sqrt": torch.sqrt, "Sin": torch.sin, "Cos": torch.cos, "Tan": torch.tan, "Tanh": torch.tanh, "Sigmoid": torch.sigmoid,
    "Erf": torch.erf, "Relu": torch.relu, "Reciprocal": torch.reciprocal, "Floor": torch.floor, "Ceil": torch.ceil, "Round": torch.round, "Sign": torch.sign,
    "Softplus": F.softplus, "Softsign": F.softsign, "Atan": torch.atan, "Mish": F.mish, "IsNaN": torch.isnan, "Identity": lambda x: x, "MatMul": torch.matmul,
    "HardSwish": F.hardswish, "Asin": torch.asin, "Acos": torch.acos, "Sinh": torch.sinh, "Cosh": torch.cosh, "Asinh": torch.asinh, "Acosh": torch.acosh, "Atanh": torch.atanh, "IsInf": torch.isinf}.items():
    OPS[name] = (lambda f: lambda n, *x: f(*x))(f)


@op("Div")
def _(n, a, b): return a / b if a.is_floating_point() else torch.div(a, b, rounding_mode="trunc")
@op("Mod")
def _(n, a, b): return torch.fmod(a, b) if n.get("fmod") else torch.remainder(a, b)
@op("Pow")
def _(n, a, b): return torch.pow(a, b.item() if b.numel() == 1 else b)
@op("Max", "Min", "Sum", "Mean")
def _(n, *x):
    y = x[0]
    for t in x[1:]: y = torch.maximum(y, t) if n.op == "Max" else torch.minimum(y, t) if n.op == "Min" else y + t
    return y / len(x) if n.op == "Mean" else y
@op("Where")
def _(n, c, a, b): return torch.where(c, a, b)
@op("Cast")
def _(n, x):
    t = TYPES[n.get("to")]
    if x.is_floating_point() and t == torch.float64: return x
    return x.to(t)
@op("CastLike")
def _(n, x, y): return x.to(y.dtype)
@op("Clip")
def _(n, x, low=None, high=None):
    if n.opset >= 11 and low is None and high is None: return x
    low, high = n.get("min", low), n.get("max", high)
    f = lambda v: v.item() if torch.is_tensor(v) else v
    return torch.clamp(x, f(low), f(high))
@op("LeakyRelu")
def _(n, x): return F.leaky_relu(x, n.get("alpha", 0.01))
@op("Elu")
def _(n, x): return F.elu(x, n.get("alpha", 1.0))
@op("Celu")
def _(n, x): return F.celu(x, n.get("alpha", 1.0))
@op("Selu")
def _(n, x): return F.selu(x)
@op("PRelu")
def _(n, x, s): return torch.where(x < 0, x * s, x)
@op("ThresholdedRelu")
def _(n, x): return torch.where(x > n.get("alpha", 1.0), x, torch.zeros_like(x))
@op("HardSigmoid")
def _(n, x): return torch.clamp(x * n.get("alpha", 0.2) + n.get("beta", 0.5), 0, 1)
@op("Gelu")
def _(n, x): return F.gelu(x, approximate=n.get("approximate", "none"))
@op("Dropout")
def _(n, x, *r): return x, torch.ones_like(x, dtype=torch.bool)
@op("Gemm")
def _(n, a, b, c=None):
    y = n.get("alpha", 1.0) * ((a.t() if n.get("transA") else a) @ (b.t() if n.get("transB") else b))
    return y if c is None else y + n.get("beta", 1.0) * c
@op("Einsum")
def _(n, *x): return torch.einsum(n.get("equation"), *x)
@op("Softmax", "LogSoftmax")
def _(n, x):
    f = F.softmax if n.op == "Softmax" else F.log_softmax
    if n.opset >= 13: return f(x, n.get("axis", -1))
    a = n.get("axis", 1) % x.dim()
    return f(x.reshape(int(np.prod(x.shape[:a])), -1), 1).reshape(x.shape)

# ---- reductions
@op("ReduceMean", "ReduceSum", "ReduceMax", "ReduceMin", "ReduceProd", "ReduceL1", "ReduceL2", "ReduceSumSquare", "ReduceLogSumExp", "ReduceLogSum")
def _(n, x, axes=None):
    axes = n.get("axes") if axes is None else ints(axes)
    if not axes:
        if n.get("noop_with_empty_axes"): return x
        axes = list(range(x.dim()))
    keep = bool(n.get("keepdims", 1))
    axes = sorted(a % x.dim() for a in axes)
    if not axes: return x
    f = {"ReduceMean": lambda v: v.mean(axes, keep) if v.is_floating_point() else v.double().mean(axes, keep).to(v.dtype), "ReduceSum": lambda v: v.sum(axes, keep), "ReduceMax": lambda v: v.amax(axes, keep), "ReduceMin": lambda v: v.amin(axes, keep),
        "ReduceL1": lambda v: v.abs().sum(axes, keep), "ReduceL2": lambda v: torch.linalg.vector_norm(v, dim=axes, keepdim=keep), "ReduceSumSquare": lambda v: v.pow(2).sum(axes, keep),
        "ReduceLogSumExp": lambda v: torch.logsumexp(v, axes, keep), "ReduceLogSum": lambda v: v.sum(axes, keep).log()}
    if n.op == "ReduceProd":
        for a in reversed(axes): x = x.prod(a, keepdim=keep)
        return x
    return f[n.op](x)
@op("ArgMax", "ArgMin")
def _(n, x): return (x.argmax if n.op == "ArgMax" else x.argmin)(n.get("axis", 0), bool(n.get("keepdims", 1)))
@op("CumSum")
def _(n, x, axis):
    a = int(axis)
    y = x.flip(a) if n.get("reverse") else x
    y = torch.cumsum(y, a) - (y if n.get("exclusive") else 0)
    return (y.flip(a) if n.get("reverse") else y).to(x.dtype)
@op("TopK")
def _(n, x, k): return torch.topk(x, int(k), n.get("axis", -1), bool(n.get("largest", 1)), bool(n.get("sorted", 1)))

# ---- shapes
@op("Shape")
def _(n, x):
    s = list(x.shape)
    return torch.tensor(s[n.get("start", 0):n.get("end", len(s))], dtype=torch.int64)
@op("Size")
def _(n, x): return torch.tensor(x.numel())
@op("Reshape")
def _(n, x, shape):
    s = [x.shape[i] if v == 0 and not n.get("allowzero") else v for i, v in enumerate(ints(shape))]
    return x.reshape(s)
@op("Flatten")
def _(n, x):
    a = n.get("axis", 1)
    a = a + x.dim() if a < 0 else a
    return x.reshape(int(np.prod(x.shape[:a])), -1)
@op("Transpose")
def _(n, x): return x.permute(n.get("perm") or list(range(x.dim()))[::-1])
@op("Squeeze")
def _(n, x, axes=None):
    axes = n.get("axes") if axes is None else ints(axes)
    axes = [i for i, d in enumerate(x.shape) if d == 1] if axes is None else [a % x.dim() for a in axes]
    return x.reshape([d for i, d in enumerate(x.shape) if i not in axes])
@op("Unsqueeze")
def _(n, x, axes=None):
    axes = n.get("axes") if axes is None else ints(axes)
    rank = x.dim() + len(axes)
    for a in sorted(a % rank for a in axes): x = x.unsqueeze(a)
    return x
@op("Concat")
def _(n, *x): return torch.cat(x, n.get("axis"))
@op("Split")
def _(n, x, split=None):
    sizes, a = n.get("split") if split is None else ints(split), n.get("axis", 0)
    if sizes is None:
        k = len(n.proto.output)
        each = -(-x.shape[a] // k)
        sizes = [min(each, x.shape[a] - i * each) for i in range(k)]
    return torch.split(x, sizes, a)
@op("Slice")
def _(n, x, starts=None, ends=None, axes=None, steps=None):
    starts, ends = n.get("starts") if starts is None else ints(starts), n.get("ends") if ends is None else ints(ends)
    axes = (n.get("axes") if axes is None else ints(axes)) or list(range(len(starts)))
    steps = ints(steps) or [1] * len(starts)
    for s, e, a, t in zip(starts, ends, axes, steps):
        at = list(range(x.shape[a]))[slice(s, None if t < 0 and e < -x.shape[a] else e, t)]
        x = x.index_select(a, torch.tensor(at, dtype=torch.int64))
    return x
@op("Expand")
def _(n, x, shape):
    s = ints(shape)
    return x.expand(torch.broadcast_shapes(tuple(x.shape), tuple(s)))
@op("Tile")
def _(n, x, r): return x.repeat(ints(r)) if x.dim() else x
@op("Pad")
def _(n, x, pads=None, value=None, axes=None):
    p = n.get("pads") if pads is None else ints(pads)
    axes = ints(axes) if axes is not None else list(range(x.dim()))
    before, after = [0] * x.dim(), [0] * x.dim()
    for i, a in enumerate(axes): before[a], after[a] = p[i], p[i + len(axes)]
    mode = n.get("mode", "constant")
    if mode == "constant":
        v = n.get("value", 0.0) if value is None else value.item()
        return F.pad(x, [q for b, a in zip(before[::-1], after[::-1]) for q in (b, a)], value=v)
    for a in range(x.dim()):
        size = x.shape[a]
        at = []
        for i in range(-before[a], size + after[a]):
            if mode == "edge": i = min(max(i, 0), size - 1)
            elif mode == "wrap": i %= size
            else: i = abs(i) if i < size else 2 * (size - 1) - i
            at.append(i)
        x = x.index_select(a, torch.tensor(at))
    return x
@op("Range")
def _(n, a, b, c): return torch.arange(a.item(), b.item(), c.item(), dtype=a.dtype)
@op("ConstantOfShape")
def _(n, s):
    v = tensor(n.get("value")) if n.get("value") is not None else torch.zeros(1, dtype=torch.float64)
    return torch.full(ints(s), v.item(), dtype=v.dtype)
@op("EyeLike")
def _(n, x): return torch.diag_embed(torch.ones(max(x.shape), dtype=TYPES[n.get("dtype", 1)]), n.get("k", 0))[:x.shape[0], :x.shape[1]]
@op("Trilu")
def _(n, x, k=None): return (torch.triu if n.get("upper", 1) else torch.tril)(x, 0 if k is None else int(k))
@op("NonZero")
def _(n, x): return torch.nonzero(x).t()
@op("OneHot")
def _(n, i, depth, values):
    d, a = int(depth), n.get("axis", -1)
    h = F.one_hot(torch.where(i < 0, i + d, i).long(), d)
    h = torch.where(h == 1, values[1], values[0])
    return h.movedim(-1, a)
@op("DepthToSpace")
def _(n, x):
    b, c, h, w = x.shape
    s = n.get("blocksize")
    if n.get("mode", "DCR") == "DCR": return x.reshape(b, s, s, c // s ** 2, h, w).permute(0, 3, 4, 1, 5, 2).reshape(b, c // s ** 2, h * s, w * s)
    return x.reshape(b, c // s ** 2, s, s, h, w).permute(0, 1, 4, 2, 5, 3).reshape(b, c // s ** 2, h * s, w * s)
@op("SpaceToDepth")
def _(n, x):
    b, c, h, w = x.shape
    s = n.get("blocksize")
    return x.reshape(b, c, h // s, s, w // s, s).permute(0, 3, 5, 1, 2, 4).reshape(b, c * s * s, h // s, w // s)

# ---- indexing
def positive(i, size): return torch.where(i < 0, i + size, i).long()
@op("Gather")
def _(n, x, i):
    a = n.get("axis", 0) % x.dim()
    i = positive(i, x.shape[a])
    return x.index_select(a, i.reshape(-1)).reshape(x.shape[:a] + i.shape + x.shape[a + 1:])
@op("GatherElements")
def _(n, x, i): return torch.gather(x, n.get("axis", 0), positive(i, x.shape[n.get("axis", 0)]))
@op("GatherND")
def _(n, x, i):
    b = n.get("batch_dims", 0)
    if b == 0:
        return x[tuple(positive(i[..., k], x.shape[k]) for k in range(i.shape[-1]))]
    return torch.stack([OPS["GatherND"](type("N", (), {"get": lambda s, k, d=None: b - 1})(), x[j], i[j]) for j in range(x.shape[0])])
@op("ScatterElements", "Scatter")
def _(n, x, i, u):
    a = n.get("axis", 0)
    i = positive(i, x.shape[a])
    r = n.get("reduction", "none")
    return x.scatter(a, i, u) if r == "none" else x.scatter_add(a, i, u) if r == "add" else x.scatter_reduce(a, i, u, {"mul": "prod", "max": "amax", "min": "amin"}[r])
@op("ScatterND")
def _(n, x, i, u):
    at = tuple(positive(i[..., k], x.shape[k]) for k in range(i.shape[-1]))
    r = n.get("reduction", "none")
    return x.index_put(at, u, accumulate=r == "add")

# ---- normalisation
@op("LayerNormalization")
def _(n, x, s, b=None):
    a = n.get("axis", -1) % x.dim()
    d = list(range(a, x.dim()))
    m = x.mean(d, True)
    v = (x - m).pow(2).mean(d, True)
    y = (x - m) / torch.sqrt(v + n.get("epsilon", 1e-5)) * s
    return y if b is None else y + b
@op("SimplifiedLayerNormalization", "RMSNormalization")
def _(n, x, s):
    d = list(range(n.get("axis", -1) % x.dim(), x.dim()))
    return x / torch.sqrt(x.pow(2).mean(d, True) + n.get("epsilon", 1e-5)) * s
@op("BatchNormalization")
def _(n, x, s, b, m, v):
    c = [1, -1] + [1] * (x.dim() - 2)
    e = n.get("epsilon", 1e-5)
    if n.get("training_mode"):
        d = [i for i in range(x.dim()) if i != 1]
        bm, bv = x.mean(d), x.var(d, unbiased=False)
        k = n.get("momentum", 0.9)
        return (x - bm.reshape(c)) / torch.sqrt(bv.reshape(c) + e) * s.reshape(c) + b.reshape(c), m * k + bm * (1 - k), v * k + bv * (1 - k)
    return (x - m.reshape(c)) / torch.sqrt(v.reshape(c) + e) * s.reshape(c) + b.reshape(c)
@op("InstanceNormalization")
def _(n, x, s, b): return F.instance_norm(x, weight=s, bias=b, eps=n.get("epsilon", 1e-5))
@op("GroupNormalization")
def _(n, x, s, b):
    g = n.get("num_groups")
    if s.numel() == g and x.shape[1] != g: s, b = s.repeat_interleave(x.shape[1] // g), b.repeat_interleave(x.shape[1] // g)
    return F.group_norm(x, g, s, b, n.get("epsilon", 1e-5))
@op("LpNormalization")
def _(n, x): return x / x.norm(p=n.get("p", 2), dim=n.get("axis", -1), keepdim=True)
@op("LRN")
def _(n, x): return F.local_response_norm(x, n.get("size"), n.get("alpha", 1e-4), n.get("beta", 0.75), n.get("bias", 1.0))

# ---- convolution and pooling
def padded(n, x, kernel, value=0.0, strides=None, dilations=None):
    r = len(kernel)
    strides, dilations = strides or [1] * r, dilations or [1] * r
    mode = n.get("auto_pad", "NOTSET")
    pads = n.get("pads") or [0] * 2 * r
    if mode in ("SAME_UPPER", "SAME_LOWER"):
        begin, end = [], []
        for i in range(r):
            size = x.shape[2 + i]
            total = max((-(-size // strides[i]) - 1) * strides[i] + (kernel[i] - 1) * dilations[i] + 1 - size, 0)
            lo = total // 2 if mode == "SAME_UPPER" else total - total // 2
            begin.append(lo); end.append(total - lo)
        pads = begin + end
    return F.pad(x, [q for i in reversed(range(r)) for q in (pads[i], pads[i + r])], value=value)
@op("Conv")
def _(n, x, w, b=None):
    r = w.dim() - 2
    s, d = n.get("strides"), n.get("dilations")
    x = padded(n, x, list(w.shape[2:]), 0.0, s, d)
    return [None, F.conv1d, F.conv2d, F.conv3d][r](x, w, b, s or 1, 0, d or 1, n.get("group", 1))
@op("ConvTranspose")
def _(n, x, w, b=None):
    r = w.dim() - 2
    p = n.get("pads") or [0] * 2 * r
    o = n.get("output_padding") or [0] * r
    full = [None, F.conv_transpose1d, F.conv_transpose2d, F.conv_transpose3d][r](x, w, b, n.get("strides") or 1, 0, 0, n.get("group", 1), n.get("dilations") or 1)
    full = F.pad(full, [q for i in reversed(range(r)) for q in (0, o[i])]) if any(o) else full
    if any(o) and b is not None:
        full = full - b.reshape([1, -1] + [1] * r)
        full = [None, F.conv_transpose1d, F.conv_transpose2d, F.conv_transpose3d][r](x, w, None, n.get("strides") or 1, 0, 0, n.get("group", 1), n.get("dilations") or 1)
        full = F.pad(full, [q for i in reversed(range(r)) for q in (0, o[i])]) + b.reshape([1, -1] + [1] * r)
    for i in range(r): full = full.narrow(2 + i, p[i], full.shape[2 + i] - p[i] - p[i + r])
    return full
@op("MaxPool")
def _(n, x):
    k = n.get("kernel_shape")
    if n.get("ceil_mode"):
        p = n.get("pads") or [0] * 2 * len(k)
        return [None, F.max_pool1d, F.max_pool2d, F.max_pool3d][len(k)](x, k, n.get("strides") or 1, p[:len(k)], n.get("dilations") or 1, True)
    x = padded(n, x, k, -math.inf, n.get("strides"), n.get("dilations"))
    return [None, F.max_pool1d, F.max_pool2d, F.max_pool3d][len(k)](x, k, n.get("strides") or [1] * len(k), 0, n.get("dilations") or 1)
@op("AveragePool")
def _(n, x):
    k = n.get("kernel_shape")
    s = n.get("strides") or [1] * len(k)
    p = n.get("pads") or [0] * 2 * len(k)
    f = [None, F.avg_pool1d, F.avg_pool2d, F.avg_pool3d][len(k)]
    if n.get("ceil_mode"): return f(x, k, s, p[:len(k)], True, bool(n.get("count_include_pad")))
    y = padded(n, x, k, 0.0, s)
    size = math.prod(k)
    total = f(y, k, s) * size
    if n.get("count_include_pad"): return total / size
    return total / (f(padded(n, torch.ones_like(x), k, 0.0, s), k, s) * size)
@op("GlobalAveragePool")
def _(n, x): return x.mean(list(range(2, x.dim())), True)
@op("GlobalMaxPool")
def _(n, x): return x.amax(list(range(2, x.dim())), True)
@op("Resize", "Upsample")
def _(n, x, roi=None, scales=None, sizes=None):
    if n.op == "Upsample": scales = roi if roi is not None else torch.tensor(n.get("scales"))
    if n.get("axes") is not None and sizes is not None:
        full = list(x.shape)
        for axis, size in zip(n.get("axes"), ints(sizes)): full[axis] = size
        sizes = torch.tensor(full)
    out = ints(sizes) if sizes is not None and sizes.numel() else [int(math.floor(d * float(s))) for d, s in zip(x.shape, scales)]
    mode, coord = n.get("mode", "nearest"), n.get("coordinate_transformation_mode", "half_pixel" if n.op == "Resize" else "asymmetric")
    for a in range(x.dim()):
        size = x.shape[a]
        if out[a] == size: continue
        scale = out[a] / size if sizes is not None and sizes.numel() else float(scales[a])
        at = torch.arange(out[a], dtype=torch.float64)
        if coord == "half_pixel": p = (at + 0.5) / scale - 0.5
        elif coord == "pytorch_half_pixel": p = (at + 0.5) / scale - 0.5 if out[a] > 1 else at * 0
        elif coord == "align_corners": p = at * (size - 1) / (out[a] - 1) if out[a] > 1 else at * 0
        else: p = at / scale
        if mode == "nearest":
            r = n.get("nearest_mode", "round_prefer_floor")
            i = {"floor": torch.floor(p), "ceil": torch.ceil(p), "round_prefer_floor": torch.ceil(p - 0.5), "round_prefer_ceil": torch.floor(p + 0.5)}[r if n.op == "Resize" else "floor"]
            x = x.index_select(a, i.long().clamp(0, size - 1))
        else:
            low = torch.floor(p)
            shape = [1] * x.dim(); shape[a] = -1
            if mode in ("linear", "bilinear"): taps = [(0, 1 - (p - low)), (1, p - low)]
            else:
                c, t = n.get("cubic_coeff_a", -0.75), p - low
                near, far = lambda d: ((c + 2) * d - (c + 3)) * d * d + 1, lambda d: ((c * d - 5 * c) * d + 8 * c) * d - 4 * c
                taps = [(-1, far(t + 1)), (0, near(t)), (1, near(1 - t)), (2, far(2 - t))]
            y = 0
            for o, w in taps: y = y + x.index_select(a, (low + o).long().clamp(0, size - 1)) * w.reshape(shape)
            x = y
    return x

# ---- recurrent
def directions(n, w, f):
    d = {"forward": [0], "reverse": [1], "bidirectional": [0, 1]}[n.get("direction", "forward")]
    return [f(i, bool(r)) for i, r in enumerate(d)]
@op("LSTM", "GRU", "RNN")
def _(n, x, w, r, b=None, lens=None, h0=None, c0=None, p=None):
    h = n.get("hidden_size")
    gates = {"LSTM": 4, "GRU": 3, "RNN": 1}[n.op]
    def one(i, back):
        W, R = w[i], r[i]
        wb, rb = (b[i][:gates * h], b[i][gates * h:]) if b is not None else (torch.zeros(gates * h, dtype=torch.float64),) * 2
        H = h0[i] if h0 is not None else torch.zeros(x.shape[1], h, dtype=torch.float64)
        C = c0[i] if c0 is not None else torch.zeros(x.shape[1], h, dtype=torch.float64)
        ys = []
        for t in (range(x.shape[0] - 1, -1, -1) if back else range(x.shape[0])):
            before = (H, C)
            if n.op == "LSTM":
                ii, o, f, c = (x[t] @ W.t() + H @ R.t() + wb + rb).split(h, -1)
                C = torch.sigmoid(f) * C + torch.sigmoid(ii) * torch.tanh(c)
                H = torch.sigmoid(o) * torch.tanh(C)
            elif n.op == "GRU":
                xz, xr, xh = (x[t] @ W.t() + wb).split(h, -1)
                z, rr = torch.sigmoid(xz + H @ R[:h].t() + rb[:h]), torch.sigmoid(xr + H @ R[h:2 * h].t() + rb[h:2 * h])
                if n.get("linear_before_reset"): g = torch.tanh(xh + rr * (H @ R[2 * h:].t() + rb[2 * h:]))
                else: g = torch.tanh(xh + (rr * H) @ R[2 * h:].t() + rb[2 * h:])
                H = (1 - z) * g + z * H
            else: H = torch.tanh(x[t] @ W.t() + H @ R.t() + wb + rb)
            if lens is None: ys.append(H)
            else:
                real = (lens > t)[:, None]
                ys.append(torch.where(real, H, torch.zeros_like(H)))
                H, C = torch.where(real, H, before[0]), torch.where(real, C, before[1])
        return torch.stack(ys[::-1] if back else ys), H, C
    outs = directions(n, w, one)
    y, yh, yc = torch.stack([o[0] for o in outs], 1), torch.stack([o[1] for o in outs]), torch.stack([o[2] for o in outs])
    return (y, yh, yc) if n.op == "LSTM" else (y, yh)

# ---- control flow
@op("If")
def _(n, c): return n.run(n.get("then_branch") if bool(c) else n.get("else_branch"))

# ---- ai.onnx.ml
@op("Scaler")
def _(n, x): return (x - torch.tensor(n.get("offset"), dtype=torch.float64)) * torch.tensor(n.get("scale"), dtype=torch.float64)

# ---- com.microsoft
@op("FastGelu")
def _(n, x, b=None): return F.gelu(x if b is None else x + b, approximate="tanh")
@op("BiasGelu")
def _(n, x, b): return F.gelu(x + b)
@op("QuickGelu")
def _(n, x): return x * torch.sigmoid(n.get("alpha", 1.702) * x)
@op("FusedMatMul")
def _(n, a, b):
    if n.get("transA"): a = a.transpose(-1, -2)
    if n.get("transB"): b = b.transpose(-1, -2)
    return n.get("alpha", 1.0) * (a @ b)
@op("SkipLayerNormalization")
def _(n, x, s, g, b=None, bias=None):
    t = x + s + (0 if bias is None else bias)
    return OPS["LayerNormalization"](type("N", (), {"get": lambda q, k, d=None: n.get("epsilon", 1e-12) if k == "epsilon" else d})(), t, g, b), None, None, t


@op("Normalizer")
def _(n, x): return x / {"L2": lambda: x.norm(dim=1, keepdim=True), "L1": lambda: x.abs().sum(1, keepdim=True), "MAX": lambda: x.amax(1, keepdim=True)}[n.get("norm", "MAX")]()
@op("Imputer")
def _(n, x): return torch.where(x.isnan(), torch.tensor(n.get("imputed_value_floats"), dtype=x.dtype), x)
@op("GridSample")
def _(n, x, g):
    mode = {"linear": "bilinear", "cubic": "bicubic"}.get(n.get("mode", "bilinear"), n.get("mode", "bilinear"))
    return F.grid_sample(x, g, mode, n.get("padding_mode", "zeros"), bool(n.get("align_corners", 0)))
@op("AffineGrid")
def _(n, theta, size): return F.affine_grid(theta, ints(size), bool(n.get("align_corners", 0)))
@op("LpPool")
def _(n, x):
    k, s = n.get("kernel_shape"), n.get("strides") or [1] * len(n.get("kernel_shape"))
    p = n.get("p", 2)
    return ((F.avg_pool1d if len(k) == 1 else F.avg_pool2d)(x.abs().pow(p), k, s) * float(np.prod(k))).pow(1 / p)
