# Sourced by the other scripts: the repository root, the toolkit's nvcc and the project's Python tools on PATH.
cd "$(dirname "${BASH_SOURCE[0]}")/.."
for folder in /usr/local/cuda/bin "$PWD/build/venv/bin"; do
  if [ -d "$folder" ]; then PATH="$folder:$PATH"; fi
done
export PATH
jobs=$(nproc)
