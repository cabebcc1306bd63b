#!/usr/bin/env bash
# Installs what the project needs (Debian 12, Ubuntu 24.04). Does nothing when everything is there.
#   scripts/setup.sh            all of it
#   scripts/setup.sh --program  only what building and running the program needs
set -euo pipefail
. "$(dirname "$0")/env.sh"

program_packages=(g++ cmake ninja-build ccache libfmt-dev libtomlplusplus-dev libcli11-dev nlohmann-json3-dev
  libceres-dev libeigen3-dev libgtest-dev libbenchmark-dev)
check_packages=(clang-format-16 clang-tidy-16 python3 python3-venv libbenchmark-tools libopenmpi-dev openmpi-bin)
python_packages=(ruff)

packages=("${program_packages[@]}")
if [ "${1:-}" != --program ]; then packages+=("${check_packages[@]}"); fi

missing=()
for package in "${packages[@]}"; do
  if ! dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed'; then missing+=("$package"); fi
done
if [ ${#missing[@]} -gt 0 ]; then
  command="apt-get update && apt-get install -y --no-install-recommends ${missing[*]}"
  if [ "$(id -u)" != 0 ]; then
    echo "Missing packages. As root: $command" >&2
    exit 1
  fi
  apt-get update -qq
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}"
fi

if [ "${1:-}" = --program ]; then exit 0; fi

# Debian's Python refuses to install beside its own packages, so the tools live in an environment of the build folder.
wanted=()
for package in "${python_packages[@]}"; do
  if ! command -v "$package" >/dev/null; then wanted+=("$package"); fi
done
# compare.py of libbenchmark-tools reads the benchmark's files with it.
if ! python3 -c 'import scipy' 2>/dev/null; then wanted+=(scipy); fi
if [ ${#wanted[@]} -gt 0 ]; then
  python3 -m venv build/venv
  build/venv/bin/pip install --quiet --disable-pip-version-check "${wanted[@]}"
fi

# The disassembler, which Debian's and NVIDIA's compiler packages lack.
if command -v nvcc >/dev/null && ! command -v nvdisasm >/dev/null &&
  ! compgen -G "build/venv/lib/python3*/site-packages/nvidia/*/bin/nvdisasm" >/dev/null; then
  [ -d build/venv ] || python3 -m venv build/venv
  build/venv/bin/pip install --quiet --disable-pip-version-check --no-deps nvidia-cuda-nvdisasm==13.2.78
fi

# CuTe's headers, against which the tests hold the layouts of mma.sync and wgmma. Headers only: no dependencies.
if command -v nvcc >/dev/null && ! compgen -G "build/venv/lib/python3*/site-packages/cutlass_library" >/dev/null; then
  [ -d build/venv ] || python3 -m venv build/venv
  build/venv/bin/pip install --quiet --disable-pip-version-check --no-deps nvidia-cutlass==4.2.0.0
fi

# cuDNN's frontend, which the attention kernels of the benchmark build against. Headers only.
if command -v nvcc >/dev/null && ! compgen -G "build/venv/lib/python3*/site-packages/include/cudnn_frontend.h" >/dev/null; then
  [ -d build/venv ] || python3 -m venv build/venv
  build/venv/bin/pip install --quiet --disable-pip-version-check --no-deps nvidia-cudnn-frontend==1.32.0
fi
