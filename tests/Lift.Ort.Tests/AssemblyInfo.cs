// Tests share two cores with ONNX Runtime's own threads: one at a time is faster and steadier than several.
[assembly: DoNotParallelize]
