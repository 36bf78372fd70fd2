#!/usr/bin/env bash
# Runs the PyTorch baseline and this program alternately and prints the ratio of their medians (below 1: this program is faster).
# usage: tools/bench/compare.sh [ROUNDS] [cuda]   (default 3 rounds on the CPU; needs root on Debian once, to make the PyTorch root; after ./build.sh Build)
# With cuda the machine's own python3 runs the baseline, `lift` is the one on the PATH where artifacts/lift/lift is not there, and the sizes are a GPU's.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
rounds=${1:-3}
device=${2:-cpu}
lift=$PWD/artifacts/lift/lift
[[ -x $lift || $device == cpu ]] || lift=$(command -v lift)
shared=$(realpath "${LIFT_SHARED:-../shared}")
[[ -x $lift ]] || { echo "compare.sh: $lift is missing; run ./build.sh Build first." >&2; exit 2; }
[[ -e $shared/bench/torch_baseline.py ]] || { echo "compare.sh: $shared/bench/torch_baseline.py is missing; set LIFT_SHARED." >&2; exit 2; }
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
torch() {
  cd "$shared/bench" || return
  if [[ $device == cpu ]]; then ./torch.sh python3 torch_baseline.py "$@"; else python3 torch_baseline.py "$@" --device cuda; fi
}

# NAME, arguments of the baseline, arguments of this program
compare() {
  local name=$1 theirs=$2 ours=$3
  : >"$work/theirs"; : >"$work/ours"
  for ((i = 0; i < rounds; i++)); do
    # shellcheck disable=SC2086 # the arguments are words
    (torch $theirs) | grep '"median_s"' | tail -n 1 | tee -a "$work/theirs" >&2
    # shellcheck disable=SC2086
    $lift bench $ours --device "$device" | grep '"median_s"' | tail -n 1 | tee -a "$work/ours" >&2
  done
  local a b
  a=$(grep -o '"median_s": *[0-9.e-]*' "$work/theirs" | sed 's/.*: *//' | sort -g | sed -n "$(((rounds + 1) / 2))p")
  b=$(grep -o '"median_s": *[0-9.e-]*' "$work/ours" | sed 's/.*: *//' | sort -g | sed -n "$(((rounds + 1) / 2))p")
  awk -v n="$name" -v a="$a" -v b="$b" 'BEGIN { printf "%-52s baseline %8.4f s   lift %8.4f s   ratio %.3f\n", n, a, b, b / a }'
}

if [[ $device != cpu ]]; then
  step="step --preset llama-3.2-1b --dtype bf16 --batch 4 --seq 2048 --rank 128"
  compare "LIFT step, llama-3.2-1b, bf16, 4 x 2048, against lift" "$step --method lift" "$step --method lift"
  compare "LIFT step, llama-3.2-1b, bf16, 4 x 2048, against lift-foreach" "$step --method lift-foreach" "$step --method lift"
  refresh="refresh --shapes 4096x4096 --rank 128 --filter-rank 128 --spectrum decay"
  compare "refresh 4096 x 4096 decay, cold, against exact" "$refresh --method exact --repeats 1" "$refresh --method cold --repeats 3"
  compare "refresh 4096 x 4096 decay, warm, against exact" "$refresh --method exact --repeats 1" "$refresh --method warm --repeats 3"
  compare "optimizer, llama-3.2-1b, against lift-foreach" "optimizer --preset llama-3.2-1b --dtype bf16 --method lift-foreach" "optimizer --preset llama-3.2-1b --dtype bf16 --rank 128"
  exit
fi
step="step --preset 25m --batch 4 --seq 128 --density 0.05"
compare "LIFT step, 25m, 4 x 128, against lift-foreach" "$step --method lift-foreach" "$step --method lift"
compare "full step, 25m, 4 x 128" "$step --method full" "$step --method full"
for spectrum in decay flat; do
  refresh="refresh --shapes 2048x2048 --density 0.05 --filter-rank 128 --spectrum $spectrum"
  compare "refresh 2048 x 2048 $spectrum, cold, against exact" "$refresh --method exact --repeats 1" "$refresh --method cold --repeats 3"
  compare "refresh 2048 x 2048 $spectrum, warm, against exact" "$refresh --method exact --repeats 1" "$refresh --method warm --repeats 3"
done
compare "optimizer, 25m, against lift-foreach" "optimizer --preset 25m --density 0.05 --method lift-foreach" "optimizer --preset 25m --density 0.05"
