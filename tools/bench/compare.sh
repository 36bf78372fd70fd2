#!/usr/bin/env bash
# Runs the PyTorch baseline and this program alternately and prints the ratio of their medians (below 1: this program is faster).
# usage: tools/bench/compare.sh [ROUNDS]   (default 3; needs root on Debian once, to make the PyTorch root; after ./build.sh Build)
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
rounds=${1:-3}
lift=$PWD/artifacts/lift/lift
shared=$(realpath "${LIFT_SHARED:-../shared}")
[[ -x $lift ]] || { echo "compare.sh: $lift is missing; run ./build.sh Build first." >&2; exit 2; }
[[ -e $shared/bench/torch.sh ]] || { echo "compare.sh: $shared/bench/torch.sh is missing; set LIFT_SHARED." >&2; exit 2; }
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
torch() { (cd "$shared/bench" && ./torch.sh python3 torch_baseline.py "$@"); }

# NAME, arguments of the baseline, arguments of this program
compare() {
  local name=$1 theirs=$2 ours=$3
  : >"$work/theirs"; : >"$work/ours"
  for ((i = 0; i < rounds; i++)); do
    # shellcheck disable=SC2086 # the arguments are words
    torch $theirs | grep '"median_s"' | tail -n 1 | tee -a "$work/theirs" >&2
    # shellcheck disable=SC2086
    $lift bench $ours | grep '"median_s"' | tail -n 1 | tee -a "$work/ours" >&2
  done
  local a b
  a=$(grep -o '"median_s": *[0-9.e-]*' "$work/theirs" | sed 's/.*: *//' | sort -g | sed -n "$(((rounds + 1) / 2))p")
  b=$(grep -o '"median_s": *[0-9.e-]*' "$work/ours" | sed 's/.*: *//' | sort -g | sed -n "$(((rounds + 1) / 2))p")
  awk -v n="$name" -v a="$a" -v b="$b" 'BEGIN { printf "%-52s baseline %8.4f s   lift %8.4f s   ratio %.3f\n", n, a, b, b / a }'
}

step="step --preset 25m --batch 4 --seq 128 --density 0.05"
compare "LIFT step, 25m, 4 x 128, against lift-foreach" "$step --method lift-foreach" "$step --method lift"
compare "full step, 25m, 4 x 128" "$step --method full" "$step --method full"
for spectrum in decay flat; do
  refresh="refresh --shapes 2048x2048 --density 0.05 --filter-rank 128 --spectrum $spectrum"
  compare "refresh 2048 x 2048 $spectrum, cold, against exact" "$refresh --method exact --repeats 1" "$refresh --method cold --repeats 3"
  compare "refresh 2048 x 2048 $spectrum, warm, against exact" "$refresh --method exact --repeats 1" "$refresh --method warm --repeats 3"
done
compare "optimizer, 25m, against lift-foreach" "optimizer --preset 25m --density 0.05 --method lift-foreach" "optimizer --preset 25m --density 0.05"
