"""More vocabularies by hand: p2o names, Keras 3 and channels-last tf2onnx, scikit-learn pipelines, uint8 images, ONNX Runtime's optimised forms, merged decoders as Optimum writes them."""
import copy, math, os
import numpy as np, onnx, torch
import torch.nn as nn
import torch.nn.functional as F
from onnx import TensorProto as T, helper as oh, numpy_helper as nh
from harness import MODELS, images, model, rows, tokens
from vocabularies import Builder, graph
from decoders import Block, D, H, L, V
from stranger_decoders import HD, linears


@graph("n-paddle-p2o", "classification", lambda c: {"x": torch.randn((2, 3)[c], 3, 16, 16)}, ["fetch_name_0"], "paddle2onnx 1.2 vocabulary: p2o.* names, Constant scalars, Split of qkv, Swish written out, layer norm by ReduceMean, ScatterND class token", scores="p2o.Add.9")
def _():
    b = Builder(31)
    k = lambda n, v, t=np.float32: b.constant("p2o.Constant." + n, v, t)
    x = b("Conv", ["x", b.w("conv2d_0.w_0", 12, 3, 4, 4)], "p2o.Conv.0", "p2o.Conv.0", kernel_shape=[4, 4], strides=[4, 4], dilations=[1, 1], group=1, pads=[0, 0, 0, 0])
    x = b("Add", [x, b("Reshape", [b.w("conv2d_0.b_0", 12), k("0", [1, 12, 1, 1], np.int64)], "p2o.Reshape.0")], "p2o.Add.0")
    s = b("Shape", [x], "p2o.Shape.0")
    n = b("Slice", [s, k("1", [0], np.int64), k("2", [1], np.int64), k("3", [0], np.int64)], "p2o.Slice.0")
    n = b("Cast", [n], "p2o.Cast.0", to=T.INT64)
    x = b("Reshape", [x, b("Concat", [n, k("4", [12], np.int64), k("5", [-1], np.int64)], "p2o.Concat.0", axis=0)], "p2o.Reshape.1")
    x = b("Transpose", [x], "p2o.Transpose.0", perm=[0, 2, 1])
    cls = b("Expand", [b.w("create_parameter_0.w_0", 1, 1, 12), b("Concat", [n, k("6", [1], np.int64), k("7", [12], np.int64)], "p2o.Concat.1", axis=0)], "p2o.Expand.0")
    x = b("Concat", [cls, x], "p2o.Concat.2", axis=1)
    x = b("Add", [x, b.w("create_parameter_1.w_0", 1, 17, 12)], "p2o.Add.1")

    def norm(x, i):
        m = b("ReduceMean", [x], f"p2o.ReduceMean.{i}", axes=[-1], keepdims=1)
        d = b("Sub", [x, m], f"p2o.Sub.{i}")
        v = b("ReduceMean", [b("Pow", [d, k(f"p{i}", [2.0])], f"p2o.Pow.{i}")], f"p2o.ReduceMean.v{i}", axes=[-1], keepdims=1)
        q = b("Sqrt", [b("Add", [v, k(f"e{i}", [1e-5])], f"p2o.Add.e{i}")], f"p2o.Sqrt.{i}")
        y = b("Mul", [b("Div", [d, q], f"p2o.Div.{i}"), b.w(f"layer_norm_{i}.w_0", 12, one=True)], f"p2o.Mul.{i}")
        return b("Add", [y, b.w(f"layer_norm_{i}.b_0", 12)], f"p2o.Add.n{i}")

    h = norm(x, 0)
    qkv = b("Add", [b("MatMul", [h, b.w("linear_0.w_0", 12, 36)], "p2o.MatMul.0"), b.w("linear_0.b_0", 36)], "p2o.Add.2")
    qkv = b("Transpose", [b("Reshape", [qkv, k("8", [0, 17, 3, 3, 4], np.int64)], "p2o.Reshape.2")], "p2o.Transpose.1", perm=[2, 0, 3, 1, 4])
    q, kk, v = (b("Squeeze", [b("Slice", [qkv, k(f"q{i}", [i], np.int64), k(f"r{i}", [i + 1], np.int64), k(f"s{i}", [0], np.int64)], f"p2o.Slice.q{i}"), k(f"t{i}", [0], np.int64)], f"p2o.Squeeze.{i}") for i in range(3))
    w = b("MatMul", [q, b("Transpose", [kk], "p2o.Transpose.2", perm=[0, 1, 3, 2])], "p2o.MatMul.1")
    w = b("Softmax", [b("Mul", [w, k("9", [0.5])], "p2o.Mul.s")], "p2o.Softmax.0", axis=-1)
    a = b("Reshape", [b("Transpose", [b("MatMul", [w, v], "p2o.MatMul.2")], "p2o.Transpose.3", perm=[0, 2, 1, 3]), k("10", [0, 0, 12], np.int64)], "p2o.Reshape.3")
    x = b("Add", [x, b("Add", [b("MatMul", [a, b.w("linear_1.w_0", 12, 12)], "p2o.MatMul.3"), b.w("linear_1.b_0", 12)], "p2o.Add.3")], "p2o.Add.4")
    h = b("Add", [b("MatMul", [norm(x, 1), b.w("linear_2.w_0", 12, 24)], "p2o.MatMul.4"), b.w("linear_2.b_0", 24)], "p2o.Add.5")
    h = b("Mul", [h, b("Sigmoid", [h], "p2o.Sigmoid.0")], "p2o.Mul.w")
    x = b("Add", [x, b("MatMul", [h, b.w("linear_3.w_0", 24, 12)], "p2o.MatMul.5")], "p2o.Add.6")
    f = b("Squeeze", [b("Slice", [x, k("11", [0], np.int64), k("12", [1], np.int64), k("13", [1], np.int64)], "p2o.Slice.c"), k("14", [1], np.int64)], "p2o.Squeeze.c")
    y = b("Add", [b("MatMul", [f, b.w("linear_4.w_0", 12, 5)], "p2o.MatMul.6"), b.w("linear_4.b_0", 5)], "p2o.Add.9")
    b("Softmax", [y], "fetch_name_0", "p2o.Softmax.1", axis=1)
    return b.model([("x", T.FLOAT, ["DynamicDimension.0", 3, 16, 16])], [("fetch_name_0", T.FLOAT, ["DynamicDimension.0", 5])], 16, producer="PaddlePaddle", ir=8, name="PaddlePaddle Graph 0")


@graph("n-keras3-separable", "classification", lambda c: {"keras_tensor": torch.randn((2, 3)[c], 12, 12, 3)}, ["output_0"], "Keras 3 through tf2onnx 1.16, opset 17: transposes around each convolution, BatchNormalization folded to Mul and Add, GlobalAveragePooling as ReduceMean, Dense over four axes", scores="functional_1/dense_1/BiasAdd:0")
def _():
    b = Builder(32)
    p = "functional_1/"
    def conv(x, n, i, o, kk, g=1, s=1):
        x = b("Transpose", [x], p + n + "/t_in__1:0", perm=[0, 3, 1, 2])
        x = b("Conv", [x, b.w(p + n + "/convolution/ReadVariableOp:0", o, i // g, kk, kk)], p + n + "/convolution:0", kernel_shape=[kk, kk], strides=[s, s], group=g, auto_pad="SAME_UPPER", dilations=[1, 1])
        x = b("Transpose", [x], p + n + "/t_out__1:0", perm=[0, 2, 3, 1])
        x = b("Mul", [x, b.w(p + n + "/bn/mul:0", o, one=True)], p + n + "/bn/mul_1:0")
        return b("Add", [x, b.w(p + n + "/bn/sub:0", 1, 1, 1, o)], p + n + "/bn/add_1:0")
    x = conv("keras_tensor", "conv2d_1", 3, 8, 3, s=2)
    x = b("Mul", [x, b("Sigmoid", [x], p + "silu/Sigmoid:0")], p + "silu/mul:0")
    x = conv(x, "depthwise", 8, 8, 3, g=8)
    x = b("Max", [x, b("Mul", [x, b.c("alpha", 0.3, np.float32)], p + "leaky/mul:0")], p + "leaky/Maximum:0")
    y = b("MatMul", [x, b.w(p + "dense/Tensordot/ReadVariableOp:0", 8, 8)], p + "dense/Tensordot:0")
    x = b("Add", [b("Add", [y, b.w(p + "dense/BiasAdd/ReadVariableOp:0", 8)], p + "dense/BiasAdd:0"), x], p + "add_1/Add:0")
    x = b("Concat", [x, b("Pad", [x, b.c("pads", [0, 0, 0, 0, 0, 0, 0, 2]), b.c("pv", 0.0, np.float32)], p + "zp:0", mode="constant")], p + "concat:0", axis=3)
    x = b("Selu", [x], p + "selu/Selu:0")
    x = b("ReduceMean", [x], p + "gap/Mean:0", axes=[1, 2], keepdims=0)
    m = b("ReduceMean", [x], p + "ln/moments/mean:0", axes=[1], keepdims=1)
    d = b("Sub", [x, m], p + "ln/sub:0")
    v = b("ReduceMean", [b("Mul", [d, d], p + "ln/sq:0")], p + "ln/var:0", axes=[1], keepdims=1)
    r = b("Reciprocal", [b("Sqrt", [b("Add", [v, b.c("eps", 1e-3, np.float32)], p + "ln/add:0")], p + "ln/Sqrt:0")], p + "ln/Rsqrt:0")
    x = b("Add", [b("Mul", [b("Mul", [d, r], p + "ln/mul:0"), b.w(p + "ln/gamma:0", 18, one=True)], p + "ln/mul_1:0"), b.w(p + "ln/beta:0", 18)], p + "ln/add_2:0")
    y = b("Gemm", [x, b.w(p + "dense_1/Cast/ReadVariableOp:0", 18, 5), b.w(p + "dense_1/BiasAdd/ReadVariableOp:0", 5)], p + "dense_1/BiasAdd:0")
    b("Softmax", [y], "output_0", p + "dense_1/Softmax")
    return b.model([("keras_tensor", T.FLOAT, ["unk__78", 12, 12, 3])], [("output_0", T.FLOAT, ["unk__79", 5])], 17, producer="tf2onnx 1.16.1", ir=8)


@graph("n-keras-gru", "classification", lambda c: {"tokens": torch.randint(1, 30, ((2, 3)[c], 6)).int()}, ["dense"], "tf2onnx GRU and bidirectional LSTM: linear_before_reset, Squeeze, sequence lengths as an Expand of a constant, Slice of the last step", scores="dense/BiasAdd:0")
def _():
    b = Builder(33)
    x = b("Gather", [b.w("embedding/table:0", 30, 8), "tokens"], "emb:0", axis=0)
    x = b("Transpose", [x], "time_first:0", perm=[1, 0, 2])
    y, h = b("GRU", [x, b.w("gru_W:0", 2, 18, 8), b.w("gru_R:0", 2, 18, 6), b.w("gru_B:0", 2, 36)], ["gru_Y:0", "gru_Yh:0"], hidden_size=6, direction="bidirectional", linear_before_reset=1, activations=["Sigmoid", "Tanh", "Sigmoid", "Tanh"])
    y = b("Reshape", [b("Transpose", [y], "t1:0", perm=[0, 2, 1, 3]), b.c("flat", [0, 0, -1])], "merged:0")
    n = b("Expand", [b.c("six", [6], np.int32), b("Slice", [b("Shape", ["tokens"], "sh:0"), b.c("a0", [0]), b.c("a1", [1])], "sl:0")], "lens:0")
    z, zh, zc = b("LSTM", [y, b.w("lstm_W:0", 1, 20, 12), b.w("lstm_R:0", 1, 20, 5), b.w("lstm_B:0", 1, 40), n], ["lstm_Y:0", "lstm_Yh:0", "lstm_Yc:0"], hidden_size=5)
    last = b("Squeeze", [b("Slice", [z, b.c("m1", [-1]), b.c("big", [2 ** 31 - 1]), b.c("ax", [0])], "last:0"), b.c("sq", [0, 1])], "state:0")
    both = b("Concat", [last, b("Reshape", [b("Transpose", [h], "ht:0", perm=[1, 0, 2]), b.c("two", [-1, 12])], "hr:0")], "cat:0", axis=-1)
    y = b("Add", [b("MatMul", [both, b.w("dense/kernel:0", 17, 4)], "dense/MatMul:0"), b.w("dense/bias:0", 4)], "dense/BiasAdd:0")
    b("Softmax", [y], "dense", "dense/Softmax", axis=1)
    return b.model([("tokens", T.INT32, ["unk__1", 6])], [("dense", T.FLOAT, ["unk__2", 4])], 13, producer="tf2onnx", ir=7)


table = rows(6, name="X")


@graph("n-sklearn-pipeline", "classification", table, ["probabilities"], "skl2onnx: Imputer, Scaler, Normalizer, MLPClassifier with logistic units, labels by ArrayFeatureExtractor, output_label first", scores="add_result2", choose="probabilities")
def _():
    b = Builder(34)
    ml = dict(domain="ai.onnx.ml")
    x = b("Imputer", ["X"], "imputed", "Im_Imputer", imputed_value_floats=[0.0], replaced_value_float=float("nan"), **ml)
    x = b("Scaler", [x], "scaled", "Sc_Scaler", offset=[0.1] * 6, scale=[0.9, 1.1, 1.0, 0.8, 1.2, 1.0], **ml)
    x = b("Normalizer", [x], "normalised", "No_Normalizer", norm="L2", **ml)
    x = b("Cast", [x], "cast_input", "Cast", to=T.FLOAT)
    for i, (a, o) in enumerate(((6, 12), (12, 8))):
        s = "" if i == 0 else str(i)
        x = b("Sigmoid", [b("Add", [b("MatMul", [x, b.w("coefficient" + s, a, o)], "mul_result" + s), b.w("intercepts" + s, 1, o)], "add_result" + s)], "next_activations" + s)
    y = b("Add", [b("MatMul", [x, b.w("coefficient2", 8, 3)], "mul_result2"), b.w("intercepts2", 1, 3)], "add_result2")
    b("Softmax", [y], "probabilities", axis=-1)
    a = b("ArgMax", ["probabilities"], "argmax_output", axis=1)
    e = b("ArrayFeatureExtractor", [b.c("classes", [[10, 20, 30]], np.int32), a], "array_feature_extractor_result", "AFE", domain="ai.onnx.ml")
    b("Cast", [b("Reshape", [b("Cast", [e], "cast2_result", to=T.INT64), b.c("shape_tensor", [-1])], "reshaped_result")], "output_label", to=T.INT64)
    return b.model([("X", T.FLOAT, [None, 6])], [("output_label", T.INT64, [None]), ("probabilities", T.FLOAT, [None, 3])], 18, {"ai.onnx.ml": 1}, producer="skl2onnx", ir=8)


@graph("n-sklearn-double", "mse", table, ["variable"], "skl2onnx MLPRegressor fitted on float64 and written with a Cast of the input to double and back", )
def _():
    b = Builder(35)
    x = b("Cast", ["X"], "X64", to=T.DOUBLE)
    y = b("Relu", [b("Add", [b("MatMul", [x, b.w("coefficient", 6, 9, dtype=np.float64)], "m0"), b.w("intercepts", 1, 9, dtype=np.float64)], "a0")], "r0")
    y = b("Add", [b("MatMul", [y, b.w("coefficient1", 9, 2, dtype=np.float64)], "m1"), b.w("intercepts1", 1, 2, dtype=np.float64)], "a1")
    b("Cast", [y], "variable", to=T.FLOAT)
    return b.model([("X", T.FLOAT, [None, 6])], [("variable", T.FLOAT, [None, 2])], 17, producer="skl2onnx", ir=8)


@graph("n-uint8-images", "classification", lambda c: {"image": torch.randint(0, 255, ((2, 3)[c], 10, 10, 3)).int()}, ["logits"], "preprocessing in the graph: int32 pixels in NHWC, Cast, Div 255, mean and standard deviation, Resize, Gelu operator, opset 20, GroupNormalization by InstanceNormalization")
def _():
    b = Builder(36)
    x = b("Div", [b("Cast", ["image"], "f", to=T.FLOAT), b.c("255", 255.0, np.float32)], "unit")
    x = b("Div", [b("Sub", [x, b.c("mean", [0.4, 0.5, 0.6], np.float32)], "c"), b.c("std", [0.2, 0.25, 0.3], np.float32)], "n")
    x = b("Resize", [b("Transpose", [x], "nchw", perm=[0, 3, 1, 2]), "", "", b.c("to", [8, 8])], "r", mode="linear", axes=[2, 3], antialias=0, coordinate_transformation_mode="half_pixel")
    x = b("Conv", [x, b.w("conv.weight", 8, 3, 3, 3), b.w("conv.bias", 8)], "cv", kernel_shape=[3, 3], pads=[1, 1, 1, 1])
    g = b("InstanceNormalization", [b("Reshape", [x, b.c("gs", [0, 2, -1])], "gr"), b.c("ones", [1.0, 1.0], np.float32), b.c("zeros", [0.0, 0.0], np.float32)], "gi")
    x = b("Reshape", [g, b("Shape", [x], "xs")], "gb")
    x = b("Gelu", [b("Add", [b("Mul", [x, b.w("gn.weight", 8, 1, 1, one=True)], "gm"), b.w("gn.bias", 8, 1, 1)], "ga")], "ge")
    x = b("ReduceMax", [x, b.c("hw", [2, 3])], "mx", keepdims=0)
    b("Gemm", [x, b.w("fc.weight", 4, 8), b.w("fc.bias", 4)], "logits", transB=1, alpha=0.5, beta=2.0)
    return b.model([("image", T.INT32, ["N", 10, 10, 3])], [("logits", T.FLOAT, ["N", 4])], 20, ir=9)


@graph("n-inference-leftovers", "classification", rows(8), ["y"], "training leftovers of other tools: Dropout with ratio and mode, BatchNormalization with empty optional outputs, Identity of the input, Reshape with allowzero, scalar initializers of shape [1], Sum of one, Concat of one, Where on a constant condition, Clip without bounds, Cast to the same type")
def _():
    b = Builder(37)
    x = b("Identity", ["x"], "x1")
    x = b("Cast", [x], "x2", to=T.FLOAT)
    x = b("Gemm", [x, b.w("w1", 8, 12), b.w("b1", 12)], "g1")
    b.nodes.append(oh.make_node("Dropout", [x, b.c("ratio", 0.5, np.float32), b.c("mode", False, np.bool_)], ["d1", "mask"]))
    x = b("BatchNormalization", ["d1", b.w("bn.w", 12, one=True), b.w("bn.b", 12), b.w("bn.m", 12), b.w("bn.v", 12, one=True)], "n1", epsilon=1e-3, momentum=0.99)
    x = b("Sum", [x], "s1")
    x = b("Concat", [x], "c1", axis=-1)
    x = b("Clip", [x], "k1")
    x = b("Where", [b.c("true", [True], np.bool_), x, b.c("zero", [0.0], np.float32)], "wh")
    x = b("Reshape", [x, b.c("shape", [-1, 12])], "r1", allowzero=1)
    x = b("Pow", [b("Abs", [x], "ab"), b.w("power", 1, one=True)], "pw")
    x = b("Sum", [x, "g1", b.w("offset", 1, 12)], "s3")
    x = b("Mean", [x, b("Neg", ["g1"], "ng"), "wh"], "mean3")
    x = b("Squeeze", [b("Unsqueeze", [x, b.c("m1", [-1])], "us")], "sq")
    x = b("Reshape", [x, b.c("shape2", [-1, 12])], "r2")
    b("Gemm", [x, b.w("w2", 12, 3), b.w("b2", 1)], "y", "head", alpha=1.0)
    return b.model([("x", T.FLOAT, ["n", 8])], [("y", T.FLOAT, ["n", 3])], 15, ir=8)


@graph("n-ort-fused", "causal_lm", lambda c: {"input_ids": torch.randint(1, 40, ((2, 6), (3, 8))[c])}, ["logits"], "ONNX Runtime's optimised forms together: FusedMatMul with transposes and alpha, SkipLayerNormalization with its sum output, BiasGelu, QuickGelu, FastGelu with bias")
def _():
    b = Builder(38)
    ms = dict(domain="com.microsoft")
    d = 12
    e = b("Gather", [b.w("wte", 40, d), "input_ids"], "e")
    n = b("LayerNormalization", [e, b.w("ln0.w", d, one=True), b.w("ln0.b", d)], "n0", axis=-1)
    q = b("MatMul", [n, b.w("q.w", d, d)], "q")
    kv = b("Split", [b("MatMul", [n, b.w("kv.w", d, 2 * d)], "kvm"), b.c("half", [d, d])], ["k", "v"], axis=-1)
    w = b("FusedMatMul", [q, "k"], "w", transB=1, alpha=0.4, **ms)
    s = b("Slice", [b("Shape", ["input_ids"], "sh"), b.c("i1", [1]), b.c("i2", [2])], "len")
    sq = b("Expand", [b.c("onef", 1.0, np.float32), b("Concat", [s, s], "ss", axis=0)], "sq")
    mask = b("Mul", [b("Trilu", [sq, b.c("k1", 1)], "tri", upper=1), b.c("low", -1e4, np.float32)], "mask")
    a = b("MatMul", [b("Softmax", [b("Add", [w, mask], "wm")], "p", axis=-1), "v"], "a")
    o = b("MatMul", [a, b.w("o.w", d, d)], "o")
    b.nodes.append(oh.make_node("SkipLayerNormalization", [o, e, b.w("ln1.w", d, one=True), b.w("ln1.b", d), b.w("o.b", d)], ["n1", "", "", "sum1"], domain="com.microsoft", epsilon=1e-5))
    f = b("BiasGelu", [b("MatMul", ["n1", b.w("up.w", d, 20)], "up"), b.w("up.b", 20)], "bg", **ms)
    f = b("FastGelu", [b("MatMul", [f, b.w("mid.w", 20, 20)], "mid"), b.w("mid.b", 20)], "fg", **ms)
    f = b("MatMul", [b("QuickGelu", [f], "qg", alpha=1.5, **ms), b.w("down.w", 20, d)], "down")
    x = b("Add", [f, "sum1"], "x")
    b("FusedMatMul", [x, "wte"], "logits", transB=1, alpha=0.5, **ms)
    return b.model([("input_ids", T.INT64, ["b", "s"])], [("logits", T.FLOAT, ["b", "s", 40])], 17, {"com.microsoft": 1}, ir=8, producer="onnxruntime.transformers")


class Cached(nn.Module):
    """A GPT with past keys and values as inputs and outputs, as Optimum's wrappers export it."""
    def __init__(self):
        super().__init__()
        t = self.transformer = Block()
        t.wte, t.wpe, t.ln_f = nn.Embedding(V, D), nn.Embedding(64, D), nn.LayerNorm(D)
        t.h = nn.ModuleList()
        for _ in range(L):
            l = Block()
            l.ln_1, l.ln_2, l.attn, l.mlp = nn.LayerNorm(D), nn.LayerNorm(D), linears(Block(), True, c_attn=(D, 3 * D), c_proj=(D, D)), linears(Block(), True, c_fc=(D, 2 * D), c_proj=(2 * D, D))
            t.h.append(l)
        self.lm_head = nn.Linear(D, V, bias=False)
    def forward(self, ids, attention_mask, *past):
        t = self.transformer
        b, s = ids.shape
        before = past[0].shape[2] if past else 0
        at = torch.arange(before, before + s)
        x = t.wte(ids) + t.wpe(attention_mask.cumsum(-1)[:, -s:].sub(1).clamp(min=0))
        all_ = torch.arange(before + s)
        ok = (all_[None] <= at[:, None])[None, None] & (attention_mask[:, None, None, :] > 0)
        presents = []
        for i, l in enumerate(t.h):
            q, k, v = (y.view(b, s, H, HD).transpose(1, 2) for y in l.attn.c_attn(l.ln_1(x)).split(D, dim=2))
            if past: k, v = torch.cat((past[2 * i], k), dim=-2), torch.cat((past[2 * i + 1], v), dim=-2)
            presents += [k, v]
            w = torch.where(ok, q @ k.transpose(-1, -2) / HD ** 0.5, torch.finfo(q.dtype).min)
            x = x + l.attn.c_proj((w.softmax(-1) @ v).transpose(1, 2).reshape(b, s, D))
            x = x + l.mlp.c_proj(F.gelu(l.mlp.c_fc(l.ln_2(x)), approximate="tanh"))
        return (self.lm_head(t.ln_f(x)), *presents)


PASTS = [f"past_key_values.{i}.{n}" for i in range(L) for n in ("key", "value")]
PRESENTS = [p.replace("past_key_values", "present") for p in PASTS]


def merged(proto, module):
    """Optimum's merge_decoders: one file with both graphs in an If over use_cache_branch, weights shared, empty pasts where there are none."""
    import tempfile
    path = os.path.join(tempfile.mkdtemp(), "past.onnx")
    b, s, p = 2, 3, 4
    past = [torch.randn(b, H, p, HD) for _ in PASTS]
    axes = {"input_ids": {0: "batch_size", 1: "sequence_length"}, "attention_mask": {0: "batch_size", 1: "past_sequence_length + sequence_length"}, "logits": {0: "batch_size", 1: "sequence_length"},
            **{n: {0: "batch_size", 2: "past_sequence_length"} for n in PASTS}, **{n: {0: "batch_size", 2: "past_sequence_length + sequence_length"} for n in PRESENTS}}
    torch.onnx.export(module, (torch.randint(1, V, (b, s)), torch.ones(b, s + p, dtype=torch.int64), *past), path, input_names=["input_ids", "attention_mask"] + PASTS, output_names=["logits"] + PRESENTS, opset_version=17, do_constant_folding=False, dynamic_axes=axes, dynamo=False)
    w = onnx.load(path)
    def branch(g, suffix, keep):
        sub = onnx.GraphProto(name=suffix)
        to = {}
        for n in g.node:
            for o in n.output: to[o] = o + "_" + suffix if o else o
        for n in g.node:
            c = copy.deepcopy(n)
            c.name = n.name + "_" + suffix
            for part in (c.input, c.output):
                for i, v in enumerate(part): part[i] = to.get(v, v)
            sub.node.append(c)
        for o in g.output:
            c = copy.deepcopy(o)
            c.name = to[o.name]
            sub.output.append(c)
        return sub
    shared = {i.name: i for i in list(proto.graph.initializer) + list(w.graph.initializer)}
    first, second = branch(proto.graph, "no_past", shared), branch(w.graph, "with_past", shared)
    g = oh.make_graph([oh.make_node("If", ["use_cache_branch"], ["logits"] + PRESENTS, name="optimum::if", then_branch=second, else_branch=first)], "merged",
                      list(w.graph.input) + [oh.make_tensor_value_info("use_cache_branch", T.BOOL, [1])], list(w.graph.output), list(shared.values()))
    m = oh.make_model(g, opset_imports=[oh.make_opsetid("", 17)], producer_name="optimum-onnx")
    m.ir_version = 8
    return m


def cached_outputs(): return ["logits"] + PRESENTS


model("n-gpt-with-present", opset=17, inputs=tokens(mask=True), outputs=cached_outputs(), choose="logits",
      axes={"input_ids": {0: "batch_size", 1: "sequence_length"}, "attention_mask": {0: "batch_size", 1: "sequence_length"}, "logits": {0: "batch_size", 1: "sequence_length"}, **{n: {0: "batch_size", 2: "sequence_length"} for n in PRESENTS}})(Cached)
model("n-optimum-merged", opset=17, fold=False, inputs=tokens(mask=True), outputs=cached_outputs(), choose="logits", merge=merged,
      axes={"input_ids": {0: "batch_size", 1: "sequence_length"}, "attention_mask": {0: "batch_size", 1: "sequence_length"}, "logits": {0: "batch_size", 1: "sequence_length"}, **{n: {0: "batch_size", 2: "sequence_length"} for n in PRESENTS}})(Cached)
class Double(nn.Module):
    """A network trained and exported in float64."""
    def __init__(self):
        super().__init__()
        self.net = Cached()
    def forward(self, ids, mask): return self.net(ids, mask)[0]


model("n-double", opset=17, dtype=torch.float64, inputs=tokens(mask=True))(Double)
