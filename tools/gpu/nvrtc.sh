#!/usr/bin/env bash
# Every kernel file through NVIDIA's own compilers, without a GPU: NVRTC and ptxas 11.8 of Debian 12's non-free archive (about 100 MB, unpacked into FOLDER, nothing is installed).
# Prints what does not compile, warnings, registers and spills. usage: nvrtc.sh FOLDER [NAME.cu …]
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
[[ -n ${1:-} ]] || { echo "nvrtc.sh: name a folder for the compilers" >&2; exit 2; }
mkdir -p "$1" && folder=$(cd "$1" && pwd); shift
tools=$folder/root/usr; libraries=$tools/lib/x86_64-linux-gnu
if [[ ! -x $tools/bin/ptxas ]]; then
  mkdir -p "$folder/lists/partial" "$folder/cache/archives/partial"
  sed 's/^Components:.*/Components: non-free/' /etc/apt/sources.list.d/debian.sources > "$folder/non-free.sources" # the machine's own mirror
  apt=(-qq -o Dir::Etc::sourcelist="$folder/non-free.sources" -o Dir::Etc::sourceparts=/dev/null -o Dir::State::Lists="$folder/lists" -o Dir::Cache="$folder/cache")
  apt-get "${apt[@]}" update
  (cd "$folder" && apt-get "${apt[@]}" download nvidia-cuda-toolkit libnvrtc11.2 libnvrtc-builtins11.8 && for f in *.deb; do dpkg -x "$f" root; done)
fi
export LD_LIBRARY_PATH=$libraries
gcc -O1 "$here/tools/gpu/nvrtc.c" -o "$folder/nvrtc" "$libraries/libnvrtc.so.11.2"
cd "$here/src/Lift.Ort"
headers=$(find . -name '*.cuh'); failed=0
for file in $(find . -name '*.cu' | sort); do
  [[ $# -eq 0 || " $* " == *" $(basename "$file") "* ]] || continue
  types=NONE # as KernelFilesTests
  grep -q scalar "$file" && types="FLOAT32 FLOAT16 BFLOAT16"
  grep -q "// any type" "$file" && types="FLOAT32 FLOAT16 BFLOAT16 INT32 INT64 BOOL"
  grep -q "16-bit scalars only" "$file" && types="FLOAT16 BFLOAT16"
  for type in $types; do
    # shellcheck disable=SC2086
    "$folder/nvrtc" "$file" "$folder/kernel.ptx" --gpu-architecture=compute_90 --define-macro=SCALAR_$type $headers || { echo "FAILED $file $type"; failed=1; continue; }
    "$tools/bin/ptxas" -arch=sm_90 -v "$folder/kernel.ptx" -o /dev/null > "$folder/log" 2>&1 || { cat "$folder/log"; echo "FAILED $file $type (ptxas)"; failed=1; continue; }
    awk -v where="$(basename "$file") $type" '/Compiling entry/ { split($0, q, "\047"); name = q[2] } /stack frame/ { frame = $1 " bytes of stack, " $5 " spilled" } /Used/ { print where, name, $5, "registers,", frame }' "$folder/log"
  done
done
exit $failed
