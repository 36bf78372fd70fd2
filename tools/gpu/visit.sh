#!/usr/bin/env bash
# What is run on a GPU machine, in this order; each part has its own limit, and the next runs whatever came of it.
# usage: visit.sh FOLDER   (what unpack.py made; `lift` and, where they came along, `proof` and the test program on the PATH)
set -uo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
[[ -n ${1:-} && -d $1 ]] || { echo "visit.sh: name the folder that unpack.py made" >&2; exit 2; }
part() { echo "== $1 ($(date -u +%H:%M:%S))"; shift; timeout "$@"; echo "== exit code $?"; }
nvidia-smi --query-gpu=name,driver_version,memory.free --format=csv
command -v proof >/dev/null && part proof 180 proof --quick
part doctor 120 lift doctor --json
[[ -d $here/.gpu/tests ]] && part tests 300 dotnet vstest "$here/.gpu/tests/Lift.Ort.Tests.dll" --TestCaseFilter:"DisplayName~cuda:0|Name~cuda:0"
part copy 60 lift bench copy --gib 2 --device cuda
part gemm 60 lift bench gemm --sizes 4096 8192 --inner 10 --device cuda
part gemm-tf32 60 lift bench gemm --sizes 8192 --inner 10 --tf32 --device cuda
for head in 64 128; do for way in "" --pieces; do part "attention, heads of $head $way" 120 lift bench attention --batch 4 --heads 32 --kv-heads 8 --head $head --seq 2048 $way --device cuda; done; done
part refresh 120 lift bench refresh --shapes 4096x4096,4096x14336 --filter-rank 128 --rank 128 --method cold warm --repeats 3 --device cuda
part optimizer 120 lift bench optimizer --preset llama-3.2-1b --dtype bf16 --rank 128 --device cuda
for recompute in none layers; do part "step $recompute" 240 lift bench step --preset llama-3.2-1b --dtype bf16 --batch 4 --seq 2048 --rank 128 --recompute $recompute --repeats 5 --device cuda; done
part "step, recorded as CUDA graphs (never tried)" 240 lift bench step --preset llama-3.2-1b --dtype bf16 --batch 4 --seq 2048 --rank 128 --repeats 5 --device cuda --cuda-graphs
for fusion in attention cross-entropy; do part "step without $fusion" 240 lift bench step --preset llama-3.2-1b --dtype bf16 --batch 4 --seq 2048 --rank 128 --without $fusion --repeats 5 --device cuda; done
