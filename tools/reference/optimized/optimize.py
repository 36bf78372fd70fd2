"""Writes attention.onnx and multihead.onnx from original.onnx: what onnxruntime.transformers.optimizer makes of an encoder (the zoo's electra).

usage, in tests/Lift.Ort.Tests/Lowering/Optimized: python3 optimize.py     (needs the Python packages onnx and onnxruntime; written with 1.17 and 1.21)
"""
from onnxruntime.transformers import optimizer
from onnxruntime.transformers.fusion_options import FusionOptions

for name, multihead in ("attention", False), ("multihead", True):
    options = FusionOptions("bert")
    options.use_multi_head_attention = multihead
    model = optimizer.optimize_model("original.onnx", model_type="bert", num_heads=0, hidden_size=0, optimization_options=options, opt_level=0)
    model.save_model_to_file(f"{name}.onnx")
