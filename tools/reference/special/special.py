# Gradients of PyTorch's element-wise functions and reductions where an input or the output's gradient is no ordinary number: special.json (null: NaN).
# usage: torch.sh python3 special.py, in this folder; then move special.json to tests/Lift.Ort.Tests/Gradients/
import json, math, torch
inf, nan = math.inf, math.nan
x0 = [nan, inf, -inf, 0.0, -0.0, 1.0, -1.0, 0.5, -0.5, 2.0, -2.0, 3.0, -3.0, 6.0, -6.0, 1.0, -1.0, 6.0, -6.0, 0.75, -0.75]
g0 = [1.0] * 15 + [nan, nan, nan, nan, inf, -inf]
F = torch.nn.functional
unary = {
 'Neg': torch.neg, 'Abs': torch.abs, 'Exp': torch.exp, 'Log': torch.log, 'Sqrt': torch.sqrt, 'Reciprocal': torch.reciprocal, 'Sin': torch.sin, 'Cos': torch.cos, 'Tan': torch.tan,
 'Asin': torch.asin, 'Acos': torch.acos, 'Atan': torch.atan, 'Sinh': torch.sinh, 'Cosh': torch.cosh, 'Asinh': torch.asinh, 'Acosh': torch.acosh, 'Atanh': torch.atanh, 'Erf': torch.erf,
 'Relu': torch.relu, 'Sigmoid': torch.sigmoid, 'Tanh': torch.tanh, 'LeakyRelu': lambda x: F.leaky_relu(x, 0.01), 'Elu': F.elu, 'Selu': F.selu, 'Celu': F.celu,
 'HardSigmoid': F.hardsigmoid, 'HardSwish': F.hardswish, 'Mish': F.mish, 'Softplus': F.softplus, 'Softsign': F.softsign,
 'Shrink': lambda x: F.hardshrink(x, 0.5), 'ThresholdedRelu': lambda x: F.threshold(x, 1.0, 0.0), 'Gelu': F.gelu, 'Clip': lambda x: torch.clamp(x, -1.0, 1.0), 'Identity': lambda x: x * 1,
}
pairs = [nan, inf, -inf, 0.0, 1.0, -1.0, 2.0]
a = [p for p in pairs for _ in pairs] + [1.0, 2.0, 1.0, -1.0]
b = [q for _ in pairs for q in pairs] + [2.0, 1.0, 1.0, 2.0]
gb = [1.0] * 49 + [nan] * 4
binary = {'Add': torch.add, 'Sub': torch.sub, 'Mul': torch.mul, 'Div': torch.div, 'Max': torch.maximum, 'Min': torch.minimum, 'Where': lambda p, q: torch.where(torch.tensor([i % 2 == 0 for i in range(53)]), p, q), 'Pow': torch.pow}
rows = [[nan, 1, 2], [1, 2, 2], [inf, inf, 1], [-inf, 0, 1], [2, 2, 2]]
def run(f, inputs, g):
    t = [torch.tensor(i, requires_grad=True) for i in inputs]
    y = f(*t)
    y.backward(torch.tensor(g))
    return [v.grad.flatten().tolist() for v in t]
say = lambda v: [None if math.isnan(x) else 'inf' if x == inf else '-inf' if x == -inf else x for x in v]
out = {'x': say(x0), 'dy': say(g0), 'a': say(a), 'b': say(b), 'dz': say(gb), 'rows': [say(r) for r in rows], 'unary': {}, 'binary': {}, 'reductions': {}}
for k, f in unary.items(): out['unary'][k] = say(run(f, [x0], g0)[0])
for k, f in binary.items(): out['binary'][k] = [say(v) for v in run(f, [a, b], gb)]
for k, f in {'ReduceMax': lambda x: x.amax(1), 'ReduceMin': lambda x: x.amin(1), 'ReduceSum': lambda x: x.sum(1), 'ReduceMean': lambda x: x.mean(1), 'ReduceL1': lambda x: x.norm(1, 1), 'ReduceL2': lambda x: x.norm(2, 1), 'ReduceLogSumExp': lambda x: x.logsumexp(1)}.items():
    out['reductions'][k] = say(run(f, [rows], [1.0, 1, 1, 1, 1])[0])
json.dump(out, open('special.json', 'w'), separators=(',', ':'))
