#!/usr/bin/env bash
# The bundle: its size and libraries (scripts/bundle.sh checks them), and that it works elsewhere, with nothing but itself.
# With a stand-in for traincost_bench, all of measure_gpu.sh after the timing.   run.sh SOURCE BUILD
set -euo pipefail
source=$1 build=$2
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
fail() {
  echo "FAILED: $1" >&2
  exit 1
}

cd "$source"
scripts/bundle.sh "$build" | tee "$folder/log"
grep -qE ' [0-9]+ MiB unpacked' "$folder/log" || fail "bundle.sh tells its size"
tar -C "$folder" -xzf "$build/traincost-bundle.tar.gz"
cd "$folder/traincost-bundle"
bare() { env -i PATH=/usr/bin:/bin HOME="$folder" "$@"; }

if ! nvidia-smi -L >/dev/null 2>&1; then
  status=0
  bare scripts/measure_gpu.sh >"$folder/out" 2>&1 || status=$?
  [ "$status" = 3 ] || fail "exit $status, expected 3 without a GPU: $(cat "$folder/out")"
  [ "$(wc -l <"$folder/out")" = 1 ] || fail "one line without a GPU: $(cat "$folder/out")"
fi
bare scripts/measure_gpu.sh --list --chip h200-sxm-141gb >"$folder/out" || fail "--list without a GPU"
grep -q 'gemm/cublaslt/bf16/' "$folder/out" || fail "what --list prints: $(head -3 "$folder/out")"

# Timings of three products and a copy as they might be.
mv bin/traincost_bench bin/real_bench
cat >bin/traincost_bench <<'STANDIN'
#!/usr/bin/env bash
for argument in "$@"; do if [ "$argument" = --list ]; then echo "floor, us  x on h100-sxm5-80gb"; exit 0; fi; done
while [ "$1" != --out ]; do shift; done
{
  echo '{"context": {"chip": "h100-sxm5-80gb"}, "benchmarks": ['
  for row in "1024 80" "4096 300" "16384 1150"; do
    set -- "$2" "$2" $row
    echo "{\"name\": \"gemm/$3\", \"run_type\": \"iteration\", \"real_time\": $4, \"time_unit\": \"us\", \"m\": $3, \"n\": 4096,
      \"k\": 4096, \"label\": \"op=gemm case=gemm dtype=bf16 provider=x mode=cold\"},"
  done
  echo '{"name": "copy", "run_type": "iteration", "real_time": '"${COPY_US:-2962}"', "time_unit": "us",
    "traffic_bytes": 8589934592, "label": "case=copy dtype=bf16 provider=x mode=cold"}]}'
} >"$2"
STANDIN
chmod +x bin/traincost_bench
bare scripts/measure_gpu.sh >"$folder/out" 2>&1 || fail "a plausible file is accepted: $(cat "$folder/out")"
for text in 'as shipped:' "What this card's timings change" '^-one step' '^+one step' 'rows: results/measured/h100-sxm5-80gb/'; do
  grep -qi -- "$text" "$folder/out" || fail "'$text' in: $(cat "$folder/out")"
done
rm -rf results/measured
status=0
bare COPY_US=5000 scripts/measure_gpu.sh >"$folder/out" 2>&1 || status=$?
[ "$status" = 2 ] || fail "a copy at half its known rate is refused: $(cat "$folder/out")"
grep -q 'copies 1718 GB/s' "$folder/out" || fail "which is said: $(cat "$folder/out")"
echo "bundle: ok"
