#!/usr/bin/env bash
# Sets up, builds, and prints what it costs to train DeepSeek-V3 on 2,048 H800 and on the chips around it.
set -euo pipefail
. "$(dirname "$0")/env.sh"

scripts/setup.sh --program
cmake --preset release >/dev/null
cmake --build --preset release --target traincost_program
if command -v nvcc >/dev/null; then
  cmake --build --preset release --target traincost_kernels
fi

run=(--model deepseek-v3 --gpus 2048 --tokens 14.8e12)
build/release/traincost estimate "${run[@]}" --chip h800-sxm5-80gb
echo
build/release/traincost compare "${run[@]}" \
  --chips h800-sxm5-80gb,h100-sxm5-80gb,h200-sxm-141gb,a100-sxm4-80gb,a800-sxm4-80gb,h20-96gb,b200-sxm,ascend-910c
