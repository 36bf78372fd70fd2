#!/usr/bin/env bash
# Measures this program: one JSON line per measurement on standard output and in artifacts/bench/. usage: tools/bench/run.sh (after ./build.sh Build)
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
lift=artifacts/lift/lift
[[ -x $lift ]] || { echo "run.sh: $lift is missing; run ./build.sh Build first." >&2; exit 2; }
mkdir -p artifacts/bench
out=artifacts/bench/$(date -u +%Y%m%d-%H%M%S).jsonl
{
  $lift bench copy
  $lift bench gemm --sizes 1024 2048
  for method in lift full; do $lift bench step --preset 25m --batch 4 --seq 128 --density 0.05 --method $method; done # one method per process: memory
  $lift bench optimizer --preset 25m --density 0.05
  for spectrum in decay flat; do $lift bench refresh --shapes 2048x2048 --spectrum $spectrum --filter-rank 128 --method exact cold warm --repeats 5 --warmup 1; done
  for seq in 128 512; do for method in lift full; do $lift bench step --preset 125m --batch 4 --seq $seq --density 0.05 --method $method --repeats 2 --warmup 1; done; done
} | tee "$out"
echo "written to $out" >&2
