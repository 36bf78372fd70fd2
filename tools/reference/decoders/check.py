"""Runs every recorded model in ONNX Runtime with empty caches and compares its loss with the recorded one: an oracle beside torch."""
import json, os, sys
import numpy as np
import onnxruntime as ort

types = {"tensor(float)": np.float32, "tensor(int64)": np.int64, "tensor(int32)": np.int32, "tensor(bool)": bool}
for name in sorted(n for n in os.listdir(sys.argv[1]) if os.path.exists(f"{sys.argv[1]}/{n}/golden.json")):
    folder = f"{sys.argv[1]}/{name}"
    session = ort.InferenceSession(f"{folder}/model.onnx", providers=["CPUExecutionProvider"])
    golden = json.load(open(f"{folder}/golden.json"))
    for case in golden["cases"]:
        feed = {}
        batch = case["inputs"]["input_ids"]["shape"][0]
        for i in session.get_inputs():
            if i.name == "use_cache_branch": feed[i.name] = np.array([False])
            elif i.name in case["inputs"]:
                v = case["inputs"][i.name]
                feed[i.name] = np.array(v["data"], types[i.type]).reshape(v["shape"])
            else:
                size = lambda d: d if isinstance(d, int) else batch * 2 if "x" in d.split() else batch if d == "batch_size" else 0
                feed[i.name] = np.zeros([size(d) for d in i.shape], types[i.type])
        logits = session.run(["logits"], feed)[0].astype(np.float64)
        labels = np.array(case["labels"]["data"]).reshape(case["labels"]["shape"])
        if "t5" not in name: logits, labels = logits[:, :-1], labels[:, 1:]
        keep = labels != -100
        top = logits.max(-1, keepdims=True)
        log = logits - top - np.log(np.exp(logits - top).sum(-1, keepdims=True))
        loss = -np.take_along_axis(log, np.where(keep, labels, 0)[..., None], -1)[..., 0][keep].mean()
        print(name, [i.name for i in session.get_inputs()][:4], "loss", case["loss"], "off by", abs(loss - case["loss"]))
