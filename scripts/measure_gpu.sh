#!/usr/bin/env bash
# From a card to a calibrated cost: checks every kernel against its reference, times all providers, writes
# results/measured/<chip>/<date>_<commit>.json, calibrates from it and prints what changed in the cost of a reference run.
#   scripts/measure_gpu.sh            the quick set, under ten minutes
#   scripts/measure_gpu.sh --full     every shape, for a night
#   scripts/measure_gpu.sh --list     what would run, with floors
# Interrupted, it goes on where it stopped when it is started again. Other options go to traincost_bench (--filter, --chip).
# Works from a bundle (scripts/bundle.sh) with the driver alone, or in the repository where nvcc can build. Without a GPU: one
# line, exit 3.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

quick_seconds=540 # of ten minutes, with a minute for the calibration
if [ -x bin/traincost_bench ]; then
  programs=$PWD/bin
  export LD_LIBRARY_PATH=$PWD/lib${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}
  commit=$(cat COMMIT)
else
  programs=$PWD/build/release
  . scripts/env.sh
  if [ ! -x "$programs/traincost_bench" ]; then
    command -v nvcc >/dev/null || { echo "measure_gpu.sh: no traincost_bench and no nvcc to build it" >&2; exit 2; }
    cmake --preset release >/dev/null
    cmake --build --preset release --target traincost_bench traincost_program
  fi
  commit=$(git rev-parse --short=12 HEAD)
  if ! git diff --quiet HEAD; then commit+=-changed; fi
fi
# cuBLAS and cuDNN are opened if they are there: also where the toolkit put them and no loader knows.
for folder in /usr/local/cuda/lib64; do
  if [ -d "$folder" ]; then export LD_LIBRARY_PATH=${LD_LIBRARY_PATH:+$LD_LIBRARY_PATH:}$folder; fi
done

set_of_rows=(--quick --budget $quick_seconds)
options=()
chip=
while [ $# -gt 0 ]; do
  case $1 in
    --full) set_of_rows=(--full) ;;
    --quick) ;;
    --list)
      shift
      exec "$programs/traincost_bench" --list "${set_of_rows[0]}" "${options[@]}" "$@"
      ;;
    --chip)
      chip=$2
      options+=("$1" "$2")
      shift
      ;;
    *) options+=("$1") ;;
  esac
  shift
done

# A listing tells whether there is a card, and which.
probe=$(mktemp -d)
trap 'rm -rf "$probe"' EXIT
status=0
message=$("$programs/traincost_bench" --list --quick "${options[@]}" 2>&1 >"$probe/list") || status=$?
if [ "$status" != 0 ]; then
  echo "$message" >&2
  exit "$status"
fi
if [ -z "$chip" ]; then chip=$(sed -n '1s/.* on //p' "$probe/list"); fi

folder=results/measured/$chip
mkdir -p "$folder"
# An unfinished run of this commit is taken up again, whatever day it was begun.
file=$(ls -t "$folder"/*_"$commit".json.partial 2>/dev/null | head -1 || true)
file=${file%.partial}
file=${file:-$folder/$(date -u +%F)_$commit.json}

status=0
"$programs/traincost_bench" "${set_of_rows[@]}" "${options[@]}" --commit "$commit" --out "$file" || status=$?
if [ "$status" -ge 2 ] && [ "$status" -ne 4 ]; then exit "$status"; fi # 1: rows that failed, 4: rows that are left

refreshed=$probe/refreshed.json
"$programs/traincost" calibrate --refresh "$file" --published results/published/kernels.csv -o "$refreshed"
run=(estimate --model deepseek-v3 --chip "$chip" --gpus 2048 --tokens 14.8e12)
echo "DeepSeek-V3 on 2,048 $chip, as shipped:"
"$programs/traincost" "${run[@]}" >"$probe/before"
"$programs/traincost" "${run[@]}" --calibration "$refreshed" >"$probe/after"
cat "$probe/before"
echo
echo "What this card's timings change (-: shipped, +: measured):"
diff -U0 "$probe/before" "$probe/after" | grep -E '^[-+][^-+]' || echo "nothing"
mkdir -p results/calibration
surfaces=results/calibration/${chip}_$(basename "$file")
cp "$refreshed" "$surfaces"
echo "rows: $file; surfaces: $surfaces (traincost ... --calibration)"
exit "$status"
