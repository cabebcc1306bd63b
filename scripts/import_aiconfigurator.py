#!/usr/bin/env python3
"""Turn the measured kernel tables of aiconfigurator (Apache-2.0) into row files for `traincost calibrate`.

    scripts/import_aiconfigurator.py --data FOLDER --out build/rows
    build/release/traincost calibrate build/rows -o results/calibration/default.json

FOLDER holds <system>/<table>.<framework>.csv.gz, whose first line names the source; or, with pyarrow installed, it is
the folder aiconfigurator_core/systems/data of the PyPI package aiconfigurator-core (parquet files).

What is left out, and why (counted at the end):
  weight-only and mixed formats       no element format of ours
  sliding windows                     training attends to all earlier tokens
  a cache in another format           the cast would be timed with the attention
  skewed routing                      the imbalance of the busiest GPU is not in the table
  expert parallelism but of CUTLASS   the time of sglang, vllm and Triton kernels is that of all experts, not a shard's
  experts without a gate              two matrices, not three
  vllm's computescale                 a difference of two kernels, noise below the launch time
  sglang's computescale               all but empty
  sglang's and triton's context MLA   the absorbed form (3 times the time) where the kernel is not the expanded one
"""

import argparse
import collections
import csv
import gzip
import pathlib
import sys

CHIPS = {
    "a100_sxm": "a100-sxm4-80gb",
    "h100_sxm": "h100-sxm5-80gb",
    "h200_sxm": "h200-sxm-141gb",
    "b200_sxm": "b200-sxm",
    "b300_sxm": "b300-sxm",
    "gb200": "gb200",
    "l40s": "l40s",
    "rtx_pro_6000_server": "rtx-pro-6000-blackwell-server",
}
DTYPES = {"bfloat16": "bf16", "fp8": "fp8", "fp8_block": "fp8_block", "nvfp4": "nvfp4"}
COLLECTIVES = {
    "all_reduce": "all_reduce",
    "all_gather": "all_gather",
    "reduce_scatter": "reduce_scatter",
    "alltoall": "all_to_all",
}
MLA = {"d_qk": 192, "d_v": 128}  # expanded keys: 128 + 64 of rotary (DeepSeek-V3)
MLA_ABSORBED = {"h_kv": 1, "d_qk": 576, "d_v": 512, "values_in_keys": 1}
DEEPEP_SMS = 20
NODE_GPUS = 8  # DeepEP's tables: one HGX node
MIN_QUERY = 16  # shorter "contexts" are decoding steps

skipped = collections.Counter()


def skip(reason):
    skipped[reason] += 1


def gemm(r):
    dtype = DTYPES.get(r["gemm_dtype"])
    if dtype is None:
        return skip("weight-only or mixed format")
    return {"op": "gemm", "dtype": dtype, "m": r["m"], "n": r["n"], "k": r["k"]}


def has_window(r):
    return float(r.get("window_size") or 0) > 0  # the A100 tables of sglang and vllm have no such column


def context_attention(r):
    if has_window(r):
        return skip("sliding window")
    if r["kv_cache_dtype"] != r["attn_dtype"]:
        return skip("cache in another format")
    s_q, s_kv = int(r["isl"]), int(r["isl"]) + int(r["step"])
    if s_q < MIN_QUERY:
        return skip("context shorter than 16")
    return {
        "op": "attention", "dtype": DTYPES[r["attn_dtype"]], "b": r["batch_size"], "s_q": s_q, "s_kv": s_kv,
        "h_q": r["num_heads"], "h_kv": r["num_key_value_heads"], "d_qk": r["head_dim"], "d_v": r["head_dim"],
        "is_causal": 1, "pass": "forward",
    }  # fmt: skip


def context_mla(r):
    if r["kv_cache_dtype"] != r["mla_dtype"]:
        return skip("cache in another format")
    if r["framework"] == "sglang" and r["kernel_source"] != "trtllm_mla":
        return skip("absorbed context MLA")
    s_q, s_kv = int(r["isl"]), int(r["isl"]) + int(r["step"])
    if s_q < MIN_QUERY:
        return skip("context shorter than 16")
    return {
        "op": "attention", "dtype": DTYPES[r["mla_dtype"]], "b": r["batch_size"], "s_q": s_q, "s_kv": s_kv,
        "h_q": r["num_heads"], "h_kv": r["num_heads"], "is_causal": 1, "pass": "forward", **MLA,
    }  # fmt: skip


def generation_attention(r):
    if has_window(r):
        return skip("sliding window")
    return {
        "op": "decode", "dtype": DTYPES[r["attn_dtype"]], "kv_dtype": DTYPES[r["kv_cache_dtype"]],
        "b": r["batch_size"], "s_q": 1, "s_kv": int(r["isl"]) + int(r["step"]), "h_q": r["num_heads"],
        "h_kv": r["num_key_value_heads"], "d_qk": r["head_dim"], "d_v": r["head_dim"], "values_in_keys": 0,
    }  # fmt: skip


def generation_mla(r):
    return {
        "op": "decode", "dtype": DTYPES[r["mla_dtype"]], "kv_dtype": DTYPES[r["kv_cache_dtype"]],
        "b": r["batch_size"], "s_q": 1, "s_kv": int(r["isl"]) + int(r["step"]), "h_q": r["num_heads"],
        **MLA_ABSORBED,
    }  # fmt: skip


def is_nongated(r):
    # Shapes that trtllm times with its "nongated" kernel are of models with relu^2 experts, whoever times them.
    shape = (int(r["hidden_size"]), int(r["inter_size"]), int(r["num_experts"]))
    return "nongated" in r["kernel_source"] or shape in NONGATED


NONGATED = {(2688, 1856, 128), (2048, 5120, 512), (8192, 5120, 512), (1024, 2688, 512)}


def moe(r):
    dtype = DTYPES.get(r["moe_dtype"])
    if dtype is None:
        return skip("weight-only or mixed format")
    if r["distribution"] not in ("balanced", "uniform"):
        return skip("skewed routing")
    if is_nongated(r):
        return skip("experts without a gate")
    ep, tp = int(r["moe_ep_size"]), int(r["moe_tp_size"])
    is_shard = r["framework"] == "trtllm" and "triton" not in r["kernel_source"]
    if ep > 1 and not is_shard and r["table"] != "wideep_context_moe_perf":
        return skip("expert parallelism that is not one shard")
    return {
        "op": "moe_mlp", "dtype": dtype, "rows": int(r["num_tokens"]) * int(r["topk"]) / ep,
        "num_experts": int(r["num_experts"]) / ep, "hidden": r["hidden_size"], "width": int(r["inter_size"]) / tp,
        "imbalance": 1,
    }  # fmt: skip


def computescale(r):
    if r["framework"] != "trtllm":
        return skip("computescale other than trtllm's")
    return {"op": "quantize", "dtype": "fp8", "m": r["m"], "k": r["k"]}


def nccl(r):
    width = {"half": 2, "int8": 1}[r["nccl_dtype"]]  # message_size counts elements
    return {
        "op": "collective", "dtype": "bf16", "kind": COLLECTIVES[r["op"]], "bytes": int(r["message_size"]) * width,
        "gpus": r["num_gpus"],
    }  # fmt: skip


def deepep(r):
    # Dispatch moves 1 byte per element and combine 2: the times differ by that factor. The table sweeps the number of
    # SMs that a leg may take, 4 to 24; DeepEP's default is 20.
    shape = {
        "op": "moe_exchange", "tokens": r["num_token"], "hidden": r["hidden_size"], "topk": r["num_topk"],
        "num_experts": r["num_experts"], "gpus": NODE_GPUS * int(r["node_num"]),
    }  # fmt: skip
    for leg, dtype in (("dispatch", "fp8"), ("combine", "bf16")):
        if int(r[f"{leg}_sms"]) != DEEPEP_SMS:
            continue
        seconds = 1e-6 * (float(r[f"{leg}_transmit_us"]) + float(r[f"{leg}_notify_us"]))
        yield {**shape, "dtype": dtype, "is_combine": int(leg == "combine"), "latency_s": seconds, "provider": "deepep"}


TABLES = {
    "gemm_perf": gemm,
    "context_attention_perf": context_attention,
    "context_mla_perf": context_mla,
    "generation_attention_perf": generation_attention,
    "generation_mla_perf": generation_mla,
    "moe_perf": moe,
    "wideep_context_moe_perf": moe,
    "computescale_perf": computescale,
    "nccl_perf": nccl,
    "wideep_deepep_normal_perf": deepep,
}
SHAPE = {
    "gemm": "m n k",
    "attention": "b s_q s_kv h_q h_kv d_qk d_v is_causal pass",
    "decode": "b s_q s_kv h_q h_kv d_qk d_v values_in_keys kv_dtype",
    "moe_mlp": "rows num_experts hidden width imbalance",
    "quantize": "m k",
    "collective": "kind bytes gpus",
    "moe_exchange": "tokens hidden topk num_experts gpus is_combine",
}


def rows_of_csv(path):
    with gzip.open(path, "rt", newline="") as file:
        first = file.readline()
        source = first.split("source:")[1].split("(")[0].strip()
        for record in csv.DictReader(file):
            yield source.replace(" ", ":"), record


def rows_of_parquet(path):
    try:
        import pyarrow.parquet as parquet
    except ImportError:
        sys.exit(f"{path}: needs pyarrow")
    source = "aiconfigurator-core:" + "/".join(path.parts[-5:]).removesuffix(".parquet")
    for record in parquet.read_table(path).to_pylist():
        yield source, {key: str(value) for key, value in record.items() if value is not None}


def files(data, system):
    """(table, framework, rows) of every file; of a package's versions the last one."""
    for path in sorted((data / system).glob("*.csv.gz")):
        table, framework = path.name.removesuffix(".csv.gz").split(".")
        yield table, framework, rows_of_csv(path)
    newest = {}
    for path in sorted((data / system).glob("*/*/*/*.parquet")):
        newest[path.stem, path.parts[-3]] = path
    for (table, framework), path in newest.items():
        yield table, framework, rows_of_parquet(path)


def convert(table, framework, records):
    for source, record in records:
        record |= {"framework": framework, "table": table}
        made = TABLES[table](record)
        if made is None:
            continue
        for row in [made] if isinstance(made, dict) else made:
            row.setdefault("provider", f"{framework}:{record['kernel_source']}")
            if "latency_s" not in row:
                row["latency_s"] = float(record["latency"]) * 1e-3
            row["latency_s"] = f"{row['latency_s']:.5g}"
            row["source"] = source
            yield row


def write_system(data, system, out):
    chip, count = CHIPS[system], 0
    writers = {}
    for table, framework, records in files(data, system):
        if table not in TABLES:
            continue
        for row in convert(table, framework, records):
            op = row["op"]
            if op not in writers:
                file = open(out / f"{chip}.{op}.csv", "w", newline="")
                columns = ["op", *SHAPE[op].split(), "dtype", "chip", "provider", "latency_s", "mode", "source"]
                writers[op] = (file, csv.DictWriter(file, columns, lineterminator="\n"))
                writers[op][1].writeheader()
            writers[op][1].writerow({**row, "chip": chip, "mode": "unstated"})
            count += 1
    for file, _ in writers.values():
        file.close()
    return count


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=pathlib.Path, required=True)
    parser.add_argument("--out", type=pathlib.Path, default=pathlib.Path("build/rows"))
    args = parser.parse_args()
    if not any((args.data / system).is_dir() for system in CHIPS):
        sys.exit(f"{args.data}: no folder of a known system ({', '.join(CHIPS)})")
    args.out.mkdir(parents=True, exist_ok=True)
    for system, chip in CHIPS.items():
        if (args.data / system).is_dir():
            print(f"{chip}: {write_system(args.data, system, args.out)} rows", flush=True)
    for reason, count in skipped.most_common():
        print(f"left out: {count:8d} {reason}")


if __name__ == "__main__":
    main()
