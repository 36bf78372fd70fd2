"""make.py [PATTERN…]: makes the models whose name matches (all by default)."""
import fnmatch, sys, traceback
import harness
for module in ("decoders", "encoders", "seq2seq", "vision", "audio", "tabular", "vocabularies",
               "stranger_decoders", "stranger_sequences", "stranger_encoders", "stranger_taggers", "stranger_seq2seq", "stranger_vision", "stranger_images", "stranger_tabular", "stranger_operators", "stranger_vocabularies", "disguises"):
    try: __import__(module)
    except ModuleNotFoundError as e:
        if e.name != module: raise


def main():
    patterns = [a for a in sys.argv[1:] if a != "-v"] or ["*"]
    for name in [*harness.MODELS, *harness.VOCABULARIES]:
        if not any(fnmatch.fnmatch(name, p) for p in patterns): continue
        try: (harness.make if name in harness.MODELS else harness.make_graph)(name)
        except Exception as e:
            print(f"{name:28} FAILED {type(e).__name__}: {str(e)[:400]}", flush=True)
            if "-v" in sys.argv: traceback.print_exc()


if __name__ == "__main__": main()
