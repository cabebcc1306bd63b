#!/usr/bin/env bash
# Makes build/traincost-bundle.tar.gz: everything that scripts/measure_gpu.sh needs on a machine with the driver, and nothing
# else: the programs, the libraries that they link, the scripts. It is unpacked anywhere. At most 60 MiB.
#   scripts/bundle.sh [BUILD]   default: build/release, which must be built
set -euo pipefail
. "$(dirname "$0")/env.sh"

build=${1:-build/release}
most_bytes=$((60 << 20))
name=traincost-bundle
folder=$build/$name
rm -rf "$folder"
mkdir -p "$folder"/{bin,lib,scripts}

programs=(traincost traincost_bench)
if [ -x "$build/traincost_collectives" ]; then programs+=(traincost_collectives); fi
for program in "${programs[@]}"; do
  [ -x "$build/$program" ] || { echo "bundle.sh: $build/$program is missing: build it first" >&2; exit 2; }
  cp "$build/$program" "$folder/bin/"
  strip "$folder/bin/$program"
done

# The C library and its loader are the host's, MPI the cluster's, the rest comes along.
host='linux-vdso|ld-linux|/lib(c|m|dl|rt|pthread|resolv|util)\.so|libmpi|libopen-|libpmix|libhwloc|libevent'
needed() { ldd "$1" | awk '/=> \//{print $3}'; }
for program in traincost traincost_bench; do
  needed "$folder/bin/$program" | grep -vE "$host" | xargs -r -I{} cp -Lu {} "$folder/lib/"
done

cp scripts/measure_gpu.sh "$folder/scripts/"
cp -r scripts/slurm "$folder/scripts/"
mkdir -p "$folder/results/published"
cp results/published/kernels.csv "$folder/results/published/"
cp LICENSE NOTICE "$folder/"
(git rev-parse --short=12 HEAD 2>/dev/null || echo unknown) >"$folder/COMMIT"

# What is missing outside the bundle, and what CUDA library would be, is found here and not on the card's machine.
for file in "$folder"/bin/traincost "$folder"/bin/traincost_bench "$folder"/lib/*; do
  listed=$(LD_LIBRARY_PATH=$folder/lib ldd "$file")
  if grep -q 'not found' <<<"$listed"; then
    echo "bundle.sh: $file: $(grep 'not found' <<<"$listed" | head -1)" >&2
    exit 1
  fi
  outside=$(awk '/=> \//{print $3}' <<<"$listed" | grep -v "$name/lib/" | grep -vE "$host" || true)
  if [ -n "$outside" ]; then
    echo "bundle.sh: $file needs $outside from outside the bundle" >&2
    exit 1
  fi
done

tar -C "$build" -czf "$build/$name.tar.gz" "$name"
unpacked=$(du -sb "$folder" | cut -f1)
echo "$build/$name.tar.gz: $((unpacked / 1048576)) MiB unpacked, $(($(stat -c %s "$build/$name.tar.gz") / 1048576)) MiB packed"
if [ "$unpacked" -gt "$most_bytes" ]; then
  echo "bundle.sh: $unpacked bytes, expected at most $most_bytes" >&2
  exit 1
fi
