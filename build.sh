#!/usr/bin/env bash
# Runs a task of build.cake (default: Build). usage: ./build.sh [Clean|Restore|Build|Test|Finetune|Bench|Fuzz|Lint|Package] [--key=value …]
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
for program in dotnet npm; do
  command -v "$program" >/dev/null || { echo "build.sh: '$program' is missing; install the .NET SDK 10 and Node.js 20 or newer, and put them on the PATH." >&2; exit 2; }
done
case $(dotnet --version) in
  [1-9].*) echo "build.sh: .NET SDK $(dotnet --version) is too old; install the .NET SDK 10." >&2; exit 2 ;;
esac
export DOTNET_CLI_TELEMETRY_OPTOUT=1 DOTNET_NOLOGO=1
task=Build
if [[ $# -gt 0 && $1 != -* ]]; then task=$1; shift; fi
dotnet tool restore >/dev/null
summary=artifacts/tests/summary.txt
rm -f "$summary"
code=0
dotnet tool run dotnet-cake build.cake --target="$task" --verbosity=minimal "$@" || code=$?
if [[ -f $summary ]]; then cat "$summary"; fi
exit "$code"
