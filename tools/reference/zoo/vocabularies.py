"""
Graphs as other exporters write them: names, operator vocabulary, layouts, opsets and habits of tf2onnx, keras2onnx, paddle2onnx, skl2onnx, the torch dynamo
exporter, the ONNX Runtime transformer optimizer and older files. Written with onnx.helper, checked by onnx.checker, run by ONNX Runtime, golden values by
autograd of the graph itself (onnx_torch).
"""
import math
import numpy as np, onnx, torch
from onnx import TensorProto as T, helper as oh, numpy_helper as nh
import harness
from harness import VOCABULARIES


class Builder:
    """Nodes and initializers in order."""
    def __init__(self, seed): self.nodes, self.inits, self.n, self.rng = [], [], 0, np.random.default_rng(seed)

    def w(self, name, *shape, scale=None, one=False, dtype=np.float32):
        fan = int(np.prod(shape[1:])) if len(shape) > 1 else shape[0] if shape else 1
        a = self.rng.standard_normal(shape) * (scale or min(0.5, 1.4 / max(fan, 1) ** 0.5))
        if one: a = 1 + self.rng.standard_normal(shape) * 0.1
        self.inits.append(nh.from_array(a.astype(dtype), name))
        return name

    def c(self, name, value, dtype=np.int64):
        self.inits.append(nh.from_array(np.array(value, dtype=dtype), name))
        return name

    def constant(self, name, value, dtype=np.int64):
        """As a Constant node."""
        self.nodes.append(oh.make_node("Constant", [], [name], name=name, value=nh.from_array(np.array(value, dtype=dtype), "value")))
        return name

    def __call__(self, op, inputs, out=None, name=None, domain="", n=1, **attributes):
        self.n += 1
        out = out or f"{op.lower()}_{self.n}.tmp_0"
        outs = out if isinstance(out, list) else [out]
        self.nodes.append(oh.make_node(op, inputs, outs, name=name if name is not None else outs[0], domain=domain, **attributes))
        return outs[0] if len(outs) == 1 else outs

    def model(self, inputs, outputs, opset, domains={}, ir=8, producer="", name="graph"):
        v = lambda x: oh.make_tensor_value_info(*x)
        g = oh.make_graph(self.nodes, name, [v(i) for i in inputs], [v(o) for o in outputs], self.inits)
        m = oh.make_model(g, opset_imports=[oh.make_opsetid("", opset)] + [oh.make_opsetid(d, k) for d, k in domains.items()], producer_name=producer)
        m.ir_version = ir
        return m


def graph(name, task, inputs, outputs, exporter, labels=None, scores=None, choose=None, dtype=torch.float32):
    """outputs: the recorded output first; scores: the value the loss is taken of where the file ends in a Softmax or Sigmoid; choose: --output."""
    def add(build):
        VOCABULARIES[name] = dict(name=name, task=task, inputs=inputs, outputs=outputs, exporter=exporter, labels=labels, build=build, fold=True, dtype=dtype, by_graph=True, check=True)
        if scores: VOCABULARIES[name]["scores"] = scores
        if choose: VOCABULARIES[name]["choose"] = choose
        return build
    return add


# ---- tf2onnx ------------------------------------------------------------------------------------------------------

nhwc = lambda c: {"input_1": torch.randn((2, 3)[c], 16, 16, 3)}


@graph("tf2onnx-cnn", "classification", nhwc, ["predictions"], "tf2onnx 1.16 vocabulary, opset 15", scores="StatefulPartitionedCall/model/predictions/BiasAdd:0")
def _():
    b = Builder(1)
    p = "StatefulPartitionedCall/model/"
    x = b("Transpose", ["input_1"], p + "conv1/Conv2D__6:0", p + "conv1/Conv2D__6", perm=[0, 3, 1, 2])
    b.w(p + "conv1/Conv2D/ReadVariableOp:0", 8, 3, 3, 3)
    b.w(p + "conv1/BiasAdd/ReadVariableOp:0", 8)
    x = b("Conv", [x, p + "conv1/Conv2D/ReadVariableOp:0", p + "conv1/BiasAdd/ReadVariableOp:0"], p + "conv1/BiasAdd:0", p + "conv1/BiasAdd", auto_pad="SAME_UPPER", strides=[2, 2], dilations=[1, 1], kernel_shape=[3, 3], group=1)
    for i, k in enumerate(("gamma", "beta", "moving_mean", "moving_variance")):
        b.w(p + f"bn1/{k}:0", 8, one=k in ("gamma", "moving_variance"))
    x = b("BatchNormalization", [x] + [p + f"bn1/{k}:0" for k in ("gamma", "beta", "moving_mean", "moving_variance")], p + "bn1/FusedBatchNormV3:0", epsilon=0.001)
    x = b("Relu", [x], p + "re_lu/Relu:0")
    b.w(p + "depthwise/weights:0", 8, 1, 3, 3)
    x = b("Conv", [x, p + "depthwise/weights:0"], p + "depthwise/depthwise:0", auto_pad="SAME_LOWER", strides=[1, 1], kernel_shape=[3, 3], group=8)
    x = b("Clip", [x, b.c("zero__1", 0.0, np.float32), b.c("six__1", 6.0, np.float32)], p + "re_lu6/Relu6:0")
    x = b("MaxPool", [x], p + "pool/MaxPool:0", auto_pad="VALID", kernel_shape=[2, 2], strides=[2, 2])
    x = b("Transpose", [x], p + "gap/Mean__18:0", perm=[0, 2, 3, 1])
    x = b("Identity", [x], p + "act/Identity:0")
    x = b("ReduceMean", [x], p + "gap/Mean:0", axes=[1, 2], keepdims=0)
    b.w(p + "predictions/MatMul/ReadVariableOp:0", 8, 5)
    b.w(p + "predictions/BiasAdd/ReadVariableOp:0", 5)
    x = b("MatMul", [x, p + "predictions/MatMul/ReadVariableOp:0"], p + "predictions/MatMul:0", p + "predictions/MatMul")
    x = b("Add", [x, p + "predictions/BiasAdd/ReadVariableOp:0"], p + "predictions/BiasAdd:0", p + "predictions/BiasAdd")
    b("Softmax", [x], "predictions", p + "predictions/Softmax", axis=-1)
    return b.model([("input_1", T.FLOAT, ["unk__20", 16, 16, 3])], [("predictions", T.FLOAT, ["unk__21", 5])], 15, producer="tf2onnx", name="tf2onnx")


ids = lambda c: {"input_ids": torch.randint(1, 50, ((2, 7), (3, 5))[c]).int(), "attention_mask": torch.tensor([[1] * (7, 5)[c]] * (2, 3)[c]).int()}


@graph("tf2onnx-bert", "classification", ids, ["logits"], "tf2onnx 1.14 vocabulary, opset 13, int32 inputs, dynamic Reshape")
def _():
    """Keras BERT: everything with :0, LayerNorm as moments with Rsqrt as Reciprocal(Sqrt), matrices flattened before each product, erf GELU."""
    b = Builder(2)
    p = "StatefulPartitionedCall/tf_bert/bert/"
    d, h = 16, 2
    b.w(p + "embeddings/Gather/resource:0", 50, d)
    b.w(p + "embeddings/position:0", 16, d)
    x = b("Gather", [p + "embeddings/Gather/resource:0", "input_ids"], p + "embeddings/Gather:0", axis=0)
    shape = b("Cast", [b("Shape", ["input_ids"], p + "Shape:0")], p + "Shape__12:0", to=T.INT32)
    n = b("Slice", [shape, b.c("s0", [1]), b.c("s1", [2]), b.c("s2", [0])], p + "strided_slice:0")
    n = b("Squeeze", [n, b.c("s3", [0])], p + "strided_slice__13:0")
    r = b("Range", [b.c("r0", 0, np.int32), n, b.c("r1", 1, np.int32)], p + "range:0")
    pos = b("Gather", [p + "embeddings/position:0", r], p + "embeddings/Gather_1:0", axis=0)
    x = b("Add", [x, b("Unsqueeze", [pos, b.c("u0", [0])], p + "embeddings/expand:0")], p + "embeddings/add:0")

    def norm(x, at):
        m = b("ReduceMean", [x], at + "moments/mean:0", axes=[2], keepdims=1)
        diff = b("Sub", [x, m], at + "moments/SquaredDifference__7:0")
        v = b("ReduceMean", [b("Mul", [diff, diff], at + "moments/SquaredDifference:0")], at + "moments/variance:0", axes=[2], keepdims=1)
        s = b("Sqrt", [b("Add", [v, b.c(at + "eps", 1e-12, np.float32)], at + "batchnorm/add:0")], at + "batchnorm/Rsqrt__1:0")
        inv = b("Reciprocal", [s], at + "batchnorm/Rsqrt:0")
        b.w(at + "gamma:0", d, one=True), b.w(at + "beta:0", d)
        k = b("Mul", [inv, at + "gamma:0"], at + "batchnorm/mul:0")
        shift = b("Sub", [at + "beta:0", b("Mul", [m, k], at + "batchnorm/mul_2:0")], at + "batchnorm/sub:0")
        return b("Add", [b("Mul", [x, k], at + "batchnorm/mul_1:0"), shift], at + "batchnorm/add_1:0")

    def dense(x, at, i, o):
        """tensordot: flatten, MatMul, put back."""
        b.w(at + "Tensordot/ReadVariableOp:0", i, o), b.w(at + "BiasAdd/ReadVariableOp:0", o)
        s = b("Shape", [x], at + "Tensordot/Shape:0")
        f = b("Reshape", [x, b.c(at + "flat", [-1, i])], at + "Tensordot/Reshape:0")
        y = b("MatMul", [f, at + "Tensordot/ReadVariableOp:0"], at + "Tensordot/MatMul:0")
        out = b("Concat", [b("Slice", [s, b.c(at + "a", [0]), b.c(at + "b", [2]), b.c(at + "c", [0])], at + "Tensordot/GatherV2:0"), b.c(at + "o", [o])], at + "Tensordot/concat_1:0", axis=0)
        y = b("Reshape", [y, out], at + "Tensordot:0")
        return b("Add", [y, at + "BiasAdd/ReadVariableOp:0"], at + "BiasAdd:0")

    def heads(x, at, perm):
        y = b("Reshape", [x, b("Concat", [b("Slice", [b("Shape", [x], at + "Shape:0"), b.c(at + "0", [0]), b.c(at + "1", [1]), b.c(at + "2", [0])], at + "ss:0"), b.c(at + "3", [-1, h, d // h])], at + "pack:0", axis=0)], at + "Reshape:0")
        return b("Transpose", [y], at + "transpose:0", perm=perm)

    x = norm(x, p + "embeddings/LayerNorm/")
    m = b("Cast", ["attention_mask"], p + "Cast:0", to=T.FLOAT)
    m = b("Mul", [b("Sub", [b.c("one", 1.0, np.float32), b("Unsqueeze", [m, b.c("u1", [1, 2])], p + "m1:0")], p + "sub:0"), b.c("low", -10000.0, np.float32)], p + "mul:0")
    at = p + "encoder/layer_._0/"
    q = heads(dense(x, at + "attention/self/query/", d, d), at + "attention/self/q/", [0, 2, 1, 3])
    k = heads(dense(x, at + "attention/self/key/", d, d), at + "attention/self/k/", [0, 2, 3, 1])
    v = heads(dense(x, at + "attention/self/value/", d, d), at + "attention/self/v/", [0, 2, 1, 3])
    w = b("Div", [b("MatMul", [q, k], at + "MatMul:0"), b.c("sqrt_d", math.sqrt(d // h), np.float32)], at + "truediv:0")
    w = b("Softmax", [b("Add", [w, m], at + "add:0")], at + "Softmax:0", axis=3)
    a = b("Transpose", [b("MatMul", [w, v], at + "MatMul_1:0")], at + "transpose_3:0", perm=[0, 2, 1, 3])
    a = b("Reshape", [a, b("Concat", [b("Slice", [b("Shape", [a], at + "S3:0"), b.c("q0", [0]), b.c("q1", [1]), b.c("q2", [0])], at + "S4:0"), b.c("q3", [-1, d])], at + "S5:0", axis=0)], at + "Reshape_3:0")
    x = norm(b("Add", [dense(a, at + "attention/output/dense/", d, d), x], at + "attention/output/add:0"), at + "attention/output/LayerNorm/")
    g = dense(x, at + "intermediate/dense/", d, 24)
    e = b("Add", [b("Erf", [b("Div", [g, b.c("sqrt2", math.sqrt(2), np.float32)], at + "Gelu/truediv:0")], at + "Gelu/Erf:0"), b.c("one2", 1.0, np.float32)], at + "Gelu/add:0")
    g = b("Mul", [b("Mul", [g, b.c("half", 0.5, np.float32)], at + "Gelu/mul:0"), e], at + "Gelu/mul_1:0")
    x = norm(b("Add", [dense(g, at + "output/dense/", 24, d), x], at + "output/add:0"), at + "output/LayerNorm/")
    first = b("Squeeze", [b("Slice", [x, b.c("f0", [0]), b.c("f1", [1]), b.c("f2", [1])], p + "pooler/ss__1:0"), b.c("f3", [1])], p + "pooler/ss:0")
    b.w(p + "pooler/dense/MatMul/ReadVariableOp:0", d, d), b.w(p + "pooler/dense/BiasAdd/ReadVariableOp:0", d)
    t = b("Tanh", [b("Add", [b("MatMul", [first, p + "pooler/dense/MatMul/ReadVariableOp:0"], p + "pooler/dense/MatMul:0"), p + "pooler/dense/BiasAdd/ReadVariableOp:0"], p + "pooler/dense/BiasAdd:0")], p + "pooler/dense/Tanh:0")
    b.w("classifier/MatMul/ReadVariableOp:0", d, 3), b.w("classifier/BiasAdd/ReadVariableOp:0", 3)
    b("Add", [b("MatMul", [t, "classifier/MatMul/ReadVariableOp:0"], "classifier/MatMul:0"), "classifier/BiasAdd/ReadVariableOp:0"], "logits", "Identity")
    return b.model([("input_ids", T.INT32, ["unk__1", "unk__2"]), ("attention_mask", T.INT32, ["unk__3", "unk__4"])], [("logits", T.FLOAT, ["unk__5", 3])], 13, producer="tf2onnx", ir=7)


@graph("keras-lstm", "mse", lambda c: {"lstm_input": torch.randn((2, 3)[c], 6, 4)}, ["dense"], "keras2onnx vocabulary, opset 11: LSTM with time first, Squeeze of the direction")
def _():
    b = Builder(3)
    x = b("Transpose", ["lstm_input"], "lstm/transposed", perm=[1, 0, 2])
    y, yh, yc = b("LSTM", [x, b.w("lstm_W", 1, 24, 4), b.w("lstm_R", 1, 24, 6), b.w("lstm_B", 1, 48)], ["lstm_Y", "lstm_Y_h", "lstm_Y_c"], hidden_size=6, direction="forward", activations=["Sigmoid", "Tanh", "Tanh"])
    s = b("Squeeze", [yh], "lstm/squeezed", axes=[0])
    y = b("MatMul", [s, b.w("dense/kernel:0", 6, 2)], "dense/MatMul")
    b("Add", [y, b.w("dense/bias:0", 2)], "dense", "dense/BiasAdd")
    return b.model([("lstm_input", T.FLOAT, ["N", 6, 4])], [("dense", T.FLOAT, ["N", 2])], 11, producer="keras2onnx", ir=6)


# ---- paddle2onnx --------------------------------------------------------------------------------------------------

@graph("paddle-classifier", "classification", lambda c: {"x": torch.randn((2, 3)[c], 3, 16, 16)}, ["softmax_0.tmp_0"], "paddle2onnx vocabulary, opset 11: Constant nodes hold shapes, scale as Mul and Add, HardSigmoid gates",
       scores="linear_0.tmp_1")
def _():
    b = Builder(4)
    def conv(x, i, cin, cout, k, s, g=1):
        y = b("Conv", [x, b.w(f"conv2d_{i}.w_0", cout, cin // g, k, k)], f"conv2d_{i}.tmp_0", f"Conv_{i}", dilations=[1, 1], kernel_shape=[k, k], strides=[s, s], group=g, pads=[k // 2] * 4)
        ps = [b.w(f"batch_norm2d_{i}.w_0", cout, one=True), b.w(f"batch_norm2d_{i}.b_0", cout), b.w(f"batch_norm2d_{i}.w_1", cout), b.w(f"batch_norm2d_{i}.w_2", cout, one=True)]
        return b("BatchNormalization", [y] + ps, f"batch_norm_{i}.tmp_2", f"BatchNormalization_{i}", epsilon=1e-5, momentum=0.9)
    def hard_swish(x, i):
        o = b.constant(f"c3_{i}", [3.0], np.float32)
        t = b("Clip", [b("Add", [x, o], f"hs_add_{i}"), b.constant(f"c0_{i}", 0.0, np.float32), b.constant(f"c6_{i}", 6.0, np.float32)], f"hs_clip_{i}")
        return b("Mul", [x, b("Div", [t, b.constant(f"cd_{i}", [6.0], np.float32)], f"hs_div_{i}")], f"hardswish_{i}.tmp_0")
    x = hard_swish(conv("x", 0, 3, 8, 3, 2), 0)
    y = hard_swish(conv(x, 1, 8, 8, 3, 1, 8), 1)
    g = b("GlobalAveragePool", [y], "pool2d_0.tmp_0")
    g = b("Relu", [b("Add", [b("Conv", [g, b.w("conv2d_2.w_0", 4, 8, 1, 1)], "conv2d_8.tmp_0", kernel_shape=[1, 1]), b("Reshape", [b.w("conv2d_2.b_0", 4), b.constant("rs", [1, 4, 1, 1])], "rb")], "conv2d_8.tmp_1")], "relu_0.tmp_0")
    g = b("HardSigmoid", [b("Conv", [g, b.w("conv2d_3.w_0", 8, 4, 1, 1), b.w("conv2d_3.b_0", 8)], "conv2d_9.tmp_0", kernel_shape=[1, 1])], "hardsigmoid_0.tmp_0", alpha=0.2, beta=0.5)
    y = b("Mul", [y, g], "tmp_3")
    x = b("Add", [conv(y, 4, 8, 8, 1, 1), x], "tmp_4")
    s = b("Mul", [x, b.constant("scale", [0.7], np.float32)], "scale_0.tmp_0")
    s = b("Add", [s, b.constant("shift", [0.1], np.float32)], "scale_0.tmp_1")
    p = b("GlobalAveragePool", [s], "pool2d_1.tmp_0")
    f = b("Reshape", [p, b.constant("flat", [0, -1])], "flatten_0.tmp_0")
    m = b("MatMul", [f, b.w("linear_0.w_0", 8, 5)], "linear_0.tmp_0")
    a = b("Add", [m, b.w("linear_0.b_0", 5)], "linear_0.tmp_1")
    b("Softmax", [a], "softmax_0.tmp_0", axis=-1)
    return b.model([("x", T.FLOAT, [-1, 3, 16, 16])], [("softmax_0.tmp_0", T.FLOAT, [-1, 5])], 11, producer="PaddlePaddle", ir=7, name="Model from PaddlePaddle.")


@graph("paddle-ernie", "classification", lambda c: {"input_ids": torch.randint(1, 40, ((2, 6), (3, 8))[c])}, ["linear_7.tmp_1"], "paddle2onnx vocabulary, opset 12: layer norm in primitives, slices with Cast indices, packed shapes")
def _():
    b = Builder(5)
    d, h = 16, 2
    x = b("Gather", [b.w("embedding_0.w_0", 40, d), "input_ids"], "embedding_0.tmp_0")
    ones = b("Cast", [b("Equal", ["input_ids", "input_ids"], "eq")], "full_like", to=T.INT64)
    pos = b("Sub", [b("CumSum", [ones, b.constant("ax1", 1)], "cumsum_0.tmp_0"), ones], "pos")
    x = b("Add", [x, b("Gather", [b.w("embedding_1.w_0", 16, d), pos], "embedding_1.tmp_0")], "tmp_0")
    def norm(x, i):
        m = b("ReduceMean", [x], f"ln{i}_m", axes=[-1], keepdims=1)
        s = b("Sub", [x, m], f"ln{i}_s")
        v = b("ReduceMean", [b("Pow", [s, b.constant(f"two{i}", 2.0, np.float32)], f"ln{i}_p")], f"ln{i}_v", axes=[-1], keepdims=1)
        q = b("Sqrt", [b("Add", [v, b.constant(f"eps{i}", 1e-5, np.float32)], f"ln{i}_e")], f"ln{i}_q")
        return b("Add", [b("Mul", [b("Div", [s, q], f"ln{i}_d"), b.w(f"layer_norm_{i}.w_0", d, one=True)], f"ln{i}_g"), b.w(f"layer_norm_{i}.b_0", d)], f"layer_norm_{i}.tmp_2")
    def linear(x, i, a, o): return b("Add", [b("MatMul", [x, b.w(f"linear_{i}.w_0", a, o)], f"linear_{i}.tmp_0"), b.w(f"linear_{i}.b_0", o)], f"linear_{i}.tmp_1")
    x = norm(x, 0)
    def split(y, i): return b("Transpose", [b("Reshape", [y, b.constant(f"shape_{i}", [0, 0, h, d // h])], f"reshape2_{i}.tmp_0")], f"transpose_{i}.tmp_0", perm=[0, 2, 1, 3])
    q, k, v = split(linear(x, 0, d, d), 0), split(linear(x, 1, d, d), 1), split(linear(x, 2, d, d), 2)
    q = b("Mul", [q, b.constant("sc", [(d // h) ** -0.5], np.float32)], "scale_1.tmp_0")
    w = b("Softmax", [b("MatMul", [q, b("Transpose", [k], "kt", perm=[0, 1, 3, 2])], "matmul_0.tmp_0")], "softmax_1.tmp_0", axis=-1)
    a = b("Reshape", [b("Transpose", [b("MatMul", [w, v], "matmul_1.tmp_0")], "transpose_9.tmp_0", perm=[0, 2, 1, 3]), b.constant("shape_9", [0, 0, d])], "reshape2_9.tmp_0")
    x = norm(b("Add", [x, linear(a, 3, d, d)], "tmp_1"), 1)
    f = linear(x, 4, d, 24)
    e = b("Erf", [b("Div", [f, b.constant("s2", 1.4142135381698608, np.float32)], "g0")], "g1")
    f = b("Mul", [b("Mul", [f, b("Add", [e, b.constant("g_1", 1.0, np.float32)], "g2")], "g3"), b.constant("g_5", 0.5, np.float32)], "gelu_0.tmp_0")
    x = norm(b("Add", [x, linear(f, 5, 24, d)], "tmp_2"), 2)
    first = b("Squeeze", [b("Slice", [x, b("Cast", [b.constant("st", [0], np.int32)], "st64", to=T.INT64), b("Cast", [b.constant("en", [1], np.int32)], "en64", to=T.INT64), b.constant("axx", [1])], "slice_0")], "slice_0.sq", axes=[1])
    linear(b("Tanh", [linear(first, 6, d, d)], "tanh_0.tmp_0"), 7, d, 3)
    return b.model([("input_ids", T.INT64, [-1, -1])], [("linear_7.tmp_1", T.FLOAT, [-1, 3])], 12, producer="PaddlePaddle", ir=7)


# ---- scikit-learn -------------------------------------------------------------------------------------------------

table = lambda c: {"X": torch.randn((8, 3)[c], 6)}


@graph("sklearn-mlp-classifier", "classification", table, ["probabilities"], "skl2onnx MLPClassifier, opset 15 and ai.onnx.ml 1: label by ArgMax and ArrayFeatureExtractor, probabilities by Softmax", scores="add_result1")
def _():
    b = Builder(6)
    x = b("Cast", ["X"], "cast_input", "Cast", to=T.FLOAT)
    y = b("MatMul", [x, b.w("coefficient", 6, 16)], "mul_result", "MatMul")
    y = b("Relu", [b("Add", [y, b.w("intercepts", 1, 16)], "add_result", "Add")], "next_activations", "Relu")
    y = b("MatMul", [y, b.w("coefficient1", 16, 4)], "mul_result1", "MatMul1")
    y = b("Add", [y, b.w("intercepts1", 1, 4)], "add_result1", "Add1")
    b("Softmax", [y], "probabilities", "Softmax", axis=-1)
    a = b("ArgMax", ["probabilities"], "argmax_output", "ArgMax", axis=1)
    e = b("ArrayFeatureExtractor", [b.c("classes", [[0, 1, 2, 3]], np.int32), a], "array_feature_extractor_result", "AFE", domain="ai.onnx.ml")
    r = b("Reshape", [e, b.c("shape_tensor", [-1])], "reshaped_result", "Reshape")
    b("Cast", [r], "label", "Cast1", to=T.INT64)
    return b.model([("X", T.FLOAT, [None, 6])], [("label", T.INT64, [None]), ("probabilities", T.FLOAT, [None, 4])], 15, {"ai.onnx.ml": 1}, producer="skl2onnx")


@graph("sklearn-mlp-zipmap", "classification", table, ["probabilities"], "skl2onnx MLPClassifier with ZipMap and string labels", scores="add_result1", choose="probabilities")
def _():
    b = Builder(7)
    y = b("MatMul", ["X", b.w("coefficient", 6, 16)], "mul_result", "MatMul")
    y = b("Tanh", [b("Add", [y, b.w("intercepts", 1, 16)], "add_result", "Add")], "next_activations", "Tanh")
    y = b("Add", [b("MatMul", [y, b.w("coefficient1", 16, 3)], "mul_result1", "MatMul1"), b.w("intercepts1", 1, 3)], "add_result1", "Add1")
    b("Softmax", [y], "probabilities", "Softmax", axis=-1)
    a = b("ArgMax", ["probabilities"], "argmax_output", "ArgMax", axis=1)
    b.inits.append(oh.make_tensor("classes", T.STRING, [3], [b"ham", b"eggs", b"spam"]))
    e = b("ArrayFeatureExtractor", ["classes", a], "output_label", "AFE", domain="ai.onnx.ml")
    b("ZipMap", ["probabilities"], "output_probability", "ZipMap", domain="ai.onnx.ml", classlabels_strings=["ham", "eggs", "spam"])
    m = b.model([("X", T.FLOAT, [None, 6])], [("output_label", T.STRING, [None])], 17, {"ai.onnx.ml": 1}, producer="skl2onnx")
    o = onnx.ValueInfoProto(name="output_probability")
    o.type.CopyFrom(oh.make_sequence_type_proto(oh.make_map_type_proto(T.STRING, oh.make_tensor_type_proto(T.FLOAT, []))))
    m.graph.output.append(o)
    m.graph.output.append(oh.make_tensor_value_info("probabilities", T.FLOAT, [None, 3]))
    return m


@graph("sklearn-mlp-binary", "bce", table, ["score"], "skl2onnx binary MLPClassifier: Sigmoid, one minus it, both in one table; the score before the Sigmoid is chosen by --output", scores="add_result1", choose="score")
def _():
    b = Builder(8)
    y = b("Relu", [b("Add", [b("MatMul", ["X", b.w("coefficient", 6, 12)], "mul_result"), b.w("intercepts", 1, 12)], "add_result")], "next_activations")
    y = b("Add", [b("MatMul", [y, b.w("coefficient1", 12, 1)], "mul_result1"), b.w("intercepts1", 1, 1)], "add_result1")
    s = b("Sigmoid", [y], "score")
    n = b("Sub", [b.c("unity", 1.0, np.float32), s], "negative")
    p = b("Concat", [n, s], "probability", axis=1)
    a = b("ArgMax", [p], "argmax", axis=1)
    b("Reshape", [b("Cast", [a], "cast_label", to=T.INT64), b.c("shape", [-1])], "label")
    return b.model([("X", T.FLOAT, [None, 6])], [("label", T.INT64, [None]), ("score", T.FLOAT, [None, 1]), ("probability", T.FLOAT, [None, 2])], 13, producer="skl2onnx", ir=7)


@graph("sklearn-mlp-regressor", "mse", table, ["variable"], "skl2onnx pipeline: Scaler in ai.onnx.ml, then MLPRegressor, logistic activation")
def _():
    b = Builder(9)
    x = b("Scaler", ["X"], "variable1", "Scaler", domain="ai.onnx.ml", offset=[0.1, -0.2, 0.3, 0.0, 0.05, 0.4], scale=[1.0, 0.5, 2.0, 1.5, 1.0, 0.7])
    y = b("Sigmoid", [b("Add", [b("MatMul", [x, b.w("coefficient", 6, 16)], "mul_result"), b.w("intercepts", 1, 16)], "add_result")], "next_activations")
    y = b("Add", [b("MatMul", [y, b.w("coefficient1", 16, 1)], "mul_result1"), b.w("intercepts1", 1, 1)], "add_result1")
    b("Reshape", [y, b.c("shape_tensor", [-1, 1])], "variable", "Reshape")
    return b.model([("X", T.FLOAT, [None, 6])], [("variable", T.FLOAT, [None, 1])], 17, {"ai.onnx.ml": 1}, producer="skl2onnx")


# ---- the dynamo exporter, and onnxscript functions -----------------------------------------------------------------

@graph("dynamo-functions", "causal_lm", lambda c: {"input_ids": torch.randint(1, 40, ((2, 6), (3, 8))[c])}, ["add_9"], "torch 2.6 dynamo vocabulary, opset 18: pkg.torch functions nested in functions, val_ names, weights by dotted names")
def _():
    b = Builder(10)
    d = 16
    x = b("aten_embedding|folded_0", [b.w("embed.weight", 40, d), "input_ids"], "embedding", "node_embedding_0", domain="pkg.onnxscript.torch_lib")
    x = b("torch_nn_modules_linear_Linear_layers_0_up_1", [x, b.w("layers.0.up.weight", 24, d), b.w("layers.0.up.bias", 24)], "linear", "node_linear_1", domain="pkg.torch.2.6.0")
    x = b("aten_gelu", [x], "gelu", "node_gelu_2", domain="pkg.onnxscript.torch_lib")
    b.w("layers.0.down.weight", d, 24)
    t = b("Transpose", ["layers.0.down.weight"], "val_7", "node_Transpose_7", perm=[1, 0])
    x = b("MatMul", [x, t], "val_8", "node_MatMul_8")
    x = b("Add", [x, "embedding"], "add_5", "node_Add_9")
    x = b("LayerNormalization", [x, b.w("norm.weight", d, one=True), b.w("norm.bias", d)], ["layer_norm", "", ""][0], "node_LayerNormalization_10", axis=-1, epsilon=1e-5, stash_type=1)
    h = b("torch_nn_modules_linear_Linear_layers_0_up_1", [x, b.w("head.weight", 40, d), b.w("head.bias", 40)], "linear_2", "node_linear_11", domain="pkg.torch.2.6.0")
    b("Add", [h, b.constant("scalar_tensor_default", 0.0, np.float32)], "add_9", "node_Add_12")
    m = b.model([("input_ids", T.INT64, ["s0", "s1"])], [("add_9", T.FLOAT, ["s0", "s1", 40])], 18, {"pkg.torch.2.6.0": 1, "pkg.onnxscript.torch_lib": 1, "pkg.onnxscript.torch_lib.common": 1}, producer="pytorch", ir=10)
    op = [oh.make_opsetid("", 18), oh.make_opsetid("pkg.onnxscript.torch_lib", 1)]
    n = oh.make_node
    m.functions.append(oh.make_function("pkg.onnxscript.torch_lib", "aten_embedding|folded_0", ["weight", "indices"], ["result"], [n("Gather", ["weight", "indices"], ["result"])], op))
    m.functions.append(oh.make_function("pkg.onnxscript.torch_lib", "aten_t", ["self"], ["result"], [n("Transpose", ["self"], ["result"], perm=[1, 0])], op))
    m.functions.append(oh.make_function("pkg.torch.2.6.0", "torch_nn_modules_linear_Linear_layers_0_up_1", ["x", "w", "bias"], ["y"],
        [n("aten_t", ["w"], ["t"], domain="pkg.onnxscript.torch_lib"), n("MatMul", ["x", "t"], ["m"]), n("Add", ["m", "bias"], ["y"])], op))
    m.functions.append(oh.make_function("pkg.onnxscript.torch_lib", "aten_gelu", ["self"], ["result"],
        [n("Constant", [], ["half"], value_float=0.5), n("CastLike", ["half", "self"], ["h"]), n("Mul", ["h", "self"], ["t0"]), n("Constant", [], ["r"], value_float=0.7071067811865476), n("CastLike", ["r", "self"], ["rc"]),
         n("Mul", ["self", "rc"], ["t1"]), n("Erf", ["t1"], ["t2"]), n("Constant", [], ["one"], value_float=1.0), n("CastLike", ["one", "t2"], ["o"]), n("Add", ["t2", "o"], ["t3"]), n("Mul", ["t0", "t3"], ["result"])], op))
    return m


# ---- old habits ----------------------------------------------------------------------------------------------------

@graph("caffe2-style", "classification", lambda c: {"0": torch.randn((2, 3)[c], 3, 12, 12)}, ["29"], "older torch: numbers as names, weights listed as inputs, no node names, opset 11, Constant nodes everywhere, Pad and Upsample-like Resize")
def _():
    b = Builder(11)
    b("Conv", ["0", b.w("1", 6, 3, 3, 3), b.w("2", 6)], "10", "", kernel_shape=[3, 3], pads=[1, 1, 1, 1])
    b("PRelu", ["10", b.w("3", 6, 1, 1, scale=0.3)], "11", "")
    b.constant("12", [0, 0, 1, 1, 0, 0, 1, 1]); b.constant("13", 0.0, np.float32)
    b("Pad", ["11", "12", "13"], "14", "", mode="constant")
    b("AveragePool", ["14"], "15", "", kernel_shape=[2, 2], strides=[2, 2])
    b.constant("16", [], np.float32); b.constant("17", [1.0, 1.0, 2.0, 2.0], np.float32)
    b("Resize", ["15", "16", "17"], "18", "", mode="nearest", coordinate_transformation_mode="asymmetric", nearest_mode="floor")
    b("ConvTranspose", ["18", b.w("4", 6, 5, 2, 2), b.w("5", 5)], "19", "", kernel_shape=[2, 2], strides=[2, 2])
    b("LeakyRelu", ["19"], "20", "", alpha=0.2)
    b("InstanceNormalization", ["20", b.w("6", 5, one=True), b.w("7", 5)], "21", "", epsilon=1e-5)
    b("GlobalMaxPool", ["21"], "22", "")
    b("Shape", ["22"], "23", ""); b.constant("24", 0)
    b("Gather", ["23", "24"], "25", "", axis=0); b.constant("26", [-1])
    b("Unsqueeze", ["25"], "27", "", axes=[0])
    b("Concat", ["27", "26"], "28", "", axis=0)
    b("Reshape", ["22", "28"], "28r", "")
    b("Gemm", ["28r", b.w("8", 4, 5), b.w("9", 4)], "29", "", transB=1, alpha=1.0, beta=1.0)
    m = b.model([("0", T.FLOAT, ["b", 3, 12, 12])], [("29", T.FLOAT, ["b", 4])], 11, ir=3)
    for i in m.graph.initializer: m.graph.input.append(oh.make_tensor_value_info(i.name, i.data_type, list(i.dims)))
    return m


@graph("constants-as-weights", "classification", lambda c: {"x": torch.randn((2, 5)[c], 6)}, ["y"], "all weights in Constant nodes (onnx.load of some hand-written exporters), opset 21, Gelu and GroupNormalization operators")
def _():
    b = Builder(12)
    rng = np.random.default_rng(12)
    k = lambda n, *s: b.constant(n, rng.standard_normal(s) * 0.4, np.float32)
    y = b("Gelu", [b("Gemm", ["x", k("w1", 6, 8), k("b1", 8)], "g1")], "a1", approximate="tanh")
    y = b("GroupNormalization", [b("Unsqueeze", [y, b.constant("ax", [-1])], "u"), k("gw", 8), k("gb", 8)], "gn", num_groups=2)
    y = b("Squeeze", [y, b.constant("ax2", [-1])], "s")
    b("Gemm", [b("Mish", [y], "m"), k("w2", 3, 8), k("b2", 3)], "y", transB=1)
    return b.model([("x", T.FLOAT, ["n", 6])], [("y", T.FLOAT, ["n", 3])], 21, ir=10)


# ---- ONNX Runtime's transformer optimizer --------------------------------------------------------------------------

@graph("ort-optimized-bert", "classification", lambda c: {"input_ids": torch.randint(1, 40, ((2, 6), (3, 8))[c]).int(), "input_mask": torch.ones(((2, 6), (3, 8))[c]).int()}, ["logits"],
       "onnxruntime.transformers.optimizer vocabulary: SkipLayerNormalization, FastGelu, BiasGelu, FusedMatMul, LayerNormalization in com.microsoft graphs")
def _():
    b = Builder(13)
    d, h = 16, 2
    ms = dict(domain="com.microsoft")
    e = b("Add", [b("Gather", [b.w("bert.embeddings.word_embeddings.weight", 40, d), "input_ids"], "we"), b.w("bert.embeddings.token_type", 1, 1, d)], "emb")
    x = b("LayerNormalization", [e, b.w("bert.embeddings.LayerNorm.weight", d, one=True), b.w("bert.embeddings.LayerNorm.bias", d)], "emb_ln", axis=-1, epsilon=1e-12)
    def split(x, n): return b("Transpose", [b("Reshape", [x, b.c(n + "_s", [0, 0, h, d // h])], n + "_r")], n + "_t", perm=[0, 2, 1, 3])
    def lin(x, n, i, o): return b("MatMul", [x, b.w(n + ".weight", i, o)], n + "_mm")
    q, k, v = (split(b("Add", [lin(x, f"bert.encoder.layer.0.attention.self.{n}", d, d), b.w(f"bert.encoder.layer.0.attention.self.{n}.bias", d)], n + "_b"), n) for n in ("query", "key", "value"))
    w = b("FusedMatMul", [q, k], "qk", transB=1, alpha=1 / math.sqrt(d // h), **ms)
    m = b("Mul", [b("Sub", [b.c("one", 1.0, np.float32), b("Unsqueeze", [b("Cast", ["input_mask"], "mf", to=T.FLOAT), b.c("u", [1, 2])], "mu")], "ms"), b.c("low", -10000.0, np.float32)], "mm")
    a = b("Reshape", [b("Transpose", [b("MatMul", [b("Softmax", [b("Add", [w, m], "wm")], "p", axis=-1), v], "pv")], "pvt", perm=[0, 2, 1, 3]), b.c("back", [0, 0, d])], "ctx")
    x = b("SkipLayerNormalization", [lin(a, "bert.encoder.layer.0.attention.output.dense", d, d), x, b.w("ln1.weight", d, one=True), b.w("ln1.bias", d), b.w("bert.encoder.layer.0.attention.output.dense.bias", d)], "sln1", epsilon=1e-12, **ms)
    f = b("BiasGelu", [lin(x, "bert.encoder.layer.0.intermediate.dense", d, 24), b.w("bert.encoder.layer.0.intermediate.dense.bias", 24)], "bg", **ms)
    x = b("SkipLayerNormalization", [lin(f, "bert.encoder.layer.0.output.dense", 24, d), x, b.w("ln2.weight", d, one=True), b.w("ln2.bias", d), b.w("bert.encoder.layer.0.output.dense.bias", d)], "sln2", epsilon=1e-12, **ms)
    f = b("FastGelu", [b("MatMul", [x, b.w("cls.transform.weight", d, d)], "tm"), b.w("cls.transform.bias", d)], "fg", **ms)
    first = b("Gather", [f, b.c("zero", 0)], "first", axis=1)
    b("Gemm", [b("QuickGelu", [first], "qg", alpha=1.702, **ms), b.w("classifier.weight", 3, d), b.w("classifier.bias", 3)], "logits", transB=1)
    return b.model([("input_ids", T.INT32, ["batch_size", "sequence_length"]), ("input_mask", T.INT32, ["batch_size", "sequence_length"])], [("logits", T.FLOAT, ["batch_size", 3])], 16, {"com.microsoft": 1}, producer="onnxruntime.transformers")
