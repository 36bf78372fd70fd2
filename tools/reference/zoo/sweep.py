"""sweep.py OUT [PATTERN…]: every model at every opset it can be exported with, with and without constant folding, into OUT."""
import copy, fnmatch, os, sys
import harness, make as names
out, patterns = sys.argv[1], sys.argv[2:] or ["*"]
for name, spec in list(harness.MODELS.items()):
    if not any(fnmatch.fnmatch(name, p) for p in patterns): continue
    for opset in range(11, 21):
        for fold in (True, False):
            other = dict(spec, name=f"{name}@{opset}{'f' if fold else 'u'}", opset=opset, fold=fold)
            harness.MODELS[other["name"]] = other
            try: harness.make(other["name"], out)
            except Exception as e: print(f"{other['name']:28} FAILED {type(e).__name__}: {str(e)[:150]}", flush=True)
            folder = os.path.join(out, other["name"])
            if os.path.isdir(folder) and not os.path.exists(os.path.join(folder, "golden.json")):
                for f in os.listdir(folder): os.remove(os.path.join(folder, f))
                os.rmdir(folder)
