#!/usr/bin/env bash
# Installs what the project needs (Debian 12, Ubuntu 24.04). Does nothing when everything is there.
#   scripts/setup.sh            all of it
#   scripts/setup.sh --program  only what building and running the program needs
set -euo pipefail
. "$(dirname "$0")/env.sh"

program_packages=(g++ cmake ninja-build ccache libfmt-dev libtomlplusplus-dev libcli11-dev nlohmann-json3-dev
  libceres-dev libeigen3-dev libgtest-dev libbenchmark-dev)
check_packages=(git clang-format-16 clang-tidy-16 python3 python3-venv libbenchmark-tools libopenmpi-dev openmpi-bin)

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
install() {
  [ -x build/venv/bin/pip ] || python3 -m venv build/venv
  build/venv/bin/pip install --quiet --disable-pip-version-check "$@"
}
is_installed() { compgen -G "build/venv/lib/python3*/site-packages/$1" >/dev/null; }

if ! command -v ruff >/dev/null; then install ruff; fi
# compare.py of libbenchmark-tools reads the benchmark's files with it.
if ! python3 -c 'import scipy' 2>/dev/null; then install scipy; fi

if ! command -v nvcc >/dev/null; then exit 0; fi

# The disassembler, which Debian's and NVIDIA's compiler packages lack.
if ! command -v nvdisasm >/dev/null && ! is_installed 'nvidia/*/bin/nvdisasm'; then
  install --no-deps nvidia-cuda-nvdisasm==13.2.78
fi
# Headers: CuTe's, against which the tests hold the layouts of mma.sync and wgmma, and cuDNN's frontend, which the attention
# kernels of the benchmark build against.
if ! is_installed cutlass_library; then install --no-deps nvidia-cutlass==4.2.0.0; fi
if ! is_installed include/cudnn_frontend.h; then install --no-deps nvidia-cudnn-frontend==1.32.0; fi
