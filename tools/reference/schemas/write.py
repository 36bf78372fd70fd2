"""Writes src/Lift.Ort/Onnx/Checks/operators.txt: what each operator takes, from the schemas that ONNX and ONNX Runtime register.

usage: python3 write.py > operators.txt     (needs the Python packages onnx and onnxruntime; onnx 1.17 knows opsets up to 22, so LATER adds what came after)
A line: operator, opset since which it holds, least and most inputs, least and most outputs (* = any number), attributes as name:type, ! where required.
"""
import onnx.defs
from onnxruntime.capi import onnxruntime_pybind11_state as runtime

OLDEST = 11  # the oldest opset that is read: forms that it had replaced are left out

LATER = """
Attention 23 3 6 1 4 is_causal:int kv_num_heads:int q_num_heads:int qk_matmul_output_mode:int scale:float softcap:float softmax_precision:int
Attention 24 3 7 1 4 is_causal:int kv_num_heads:int q_num_heads:int qk_matmul_output_mode:int scale:float softcap:float softmax_precision:int
DequantizeLinear 23 2 3 1 1 axis:int block_size:int output_dtype:int
QuantizeLinear 23 2 3 1 1 axis:int block_size:int output_dtype:int precision:int saturate:int
RMSNormalization 23 2 2 1 1 axis:int epsilon:float stash_type:int
RotaryEmbedding 23 3 4 1 1 interleaved:int num_heads:int rotary_embedding_dim:int
SimplifiedLayerNormalization 1 2 2 1 2 axis:int epsilon:float stash_type:int
Swish 24 1 1 1 1 alpha:float
TensorScatter 24 2 3 1 1 axis:int mode:string
"""

def kind(attribute):
    first, *rest = str(attribute.type).split(".")[-1].lower().split("_")
    return first + "".join(w.capitalize() for w in rest)

def line(name, s):
    many = lambda n: "*" if n > 10000 else str(n)
    attributes = [f"{n}:{kind(a)}{'!' if a.required else ''}" for n, a in sorted(s.attributes.items())]
    return " ".join([name, str(s.since_version), str(s.min_input), many(s.max_input), str(s.min_output), many(s.max_output), *attributes])

lines = [line(s.name, s) for s in onnx.defs.get_all_schemas_with_history() if s.domain == "" and not s.deprecated]
lines += [line("com.microsoft." + s.name, s) for s in runtime.get_all_operator_schema() if s.domain == "com.microsoft" and not s.deprecated]
lines += LATER.split("\n")
lines = sorted({l for l in lines if l}, key=lambda l: (l.split()[0], int(l.split()[1])))
replaced = lambda a, b: a.split()[0] == b.split()[0] and int(b.split()[1]) <= OLDEST
print("\n".join(a for a, b in zip(lines, lines[1:] + ["end 0"]) if not replaced(a, b)))
