#!/usr/bin/env python3
"""Writes results/published/*.csv: published training steps, runs, kernel figures, each with its source.

    scripts/import_published.py --data FOLDER

Figures, configurations and sources only; remarks and estimates of the collection stay behind. The same data gives the
same bytes, and a file is replaced whole or not at all.
"""

import argparse
import csv
import io
import os
import re
import sys
import tempfile
from pathlib import Path

Row = dict[str, str]
ROOT = Path(__file__).resolve().parent.parent

RUN_COLUMNS = (
    "id model kind total_params_B active_params_B layers hidden heads kv_heads head_dim v_head_dim kv_lora_rank "
    "q_lora_rank rope_dim ffn ffn_type vocab tied_embeddings seq_len global_batch_sequences global_batch_tokens "
    "tokens_T attention attention_impl moe_experts moe_topk moe_shared moe_ffn moe_dense_layers gpu chip gpus "
    "gpus_per_node interconnect precision stack features routing mtp tp pp ep cp dp sharding micro_batch recompute "
    "interleave reported_quantity reported_value seconds_per_iteration_derived source confirmed tier family"
).split()
KERNEL_COLUMNS = (
    "id kernel op_family m n k tokens hidden experts topk heads seq batch dtype gpu chip d_qk d_v kv_heads causal s_q "
    "pass metric value unit source_path confirmed"
).split()
TRACE_COLUMNS = ["kernel", "stream", "calls", "total_ms"]
MEMORY_COLUMNS = ["case", "ms_per_iteration", "peak_allocated_GiB", "peak_reserved_GiB"]
TRACE_SOURCE = "deepseek-ai/profile-data train.json"
MEMORY_SOURCE = "MooreThreads/SimuMax docs/b200/b200_release_v1.2_summary.md"
STEP_SOURCE = "arXiv 2505.09343 Table 4"

# DeepSeek-V3 on 2,048 H800, 15,360 sequences of 4,096: the table is small and stands in the paper.
STEP_SECONDS = [
    ("1f", "warm-up and drain: forward chunks alone", "1.13"),
    ("1b", "warm-up and drain: input-gradient chunks alone", "1.99"),
    ("1w", "warm-up and drain: weight-gradient chunks alone", "0.48"),
    ("1f1b", "steady state: overlapped forward and backward chunk pairs", "13.95"),
    ("bubble", "idle", "2.06"),
    ("optimizer", "parameter update", "0.29"),
    ("step", "the whole step, measured", "19.926"),
]


def read_rows(path: Path) -> list[Row]:
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file, strict=True))
    for number, row in enumerate(rows, start=1):
        if None in row or None in row.values():
            raise SystemExit(f"{path}: row {number}: as many fields as the header has are expected")
    return rows


def citation(text: str) -> str:
    """The address of the figure without quoted passages and left-over punctuation."""
    text = re.sub(r'\(quote: "[^"]*"\)|"[^"]{20,}"', "", text)
    text = text.replace(", ;", ";")
    if text.count(")") > text.count("("):
        text = text.rstrip().removesuffix(")")
    return re.sub(r"\s+", " ", text).strip(" ;,")


def selected(path: Path, columns: list[str]) -> list[Row]:
    rows = read_rows(path)
    missing = [column for column in columns if rows and column not in rows[0]]
    if missing:
        raise SystemExit(f"{path}: missing columns: {', '.join(missing)}")
    return [{column: row[column] for column in columns} for row in rows]


def cited(path: Path, columns: list[str], source: str) -> tuple[list[str], list[Row]]:
    return columns, [{**row, source: citation(row[source])} for row in selected(path, columns)]


def with_source(path: Path, columns: list[str], source: str) -> tuple[list[str], list[Row]]:
    return [*columns, "source"], [{**row, "source": source} for row in selected(path, columns)]


def tables(data: Path) -> dict[str, tuple[list[str], list[Row]]]:
    step = [{"part": p, "what": w, "seconds": s, "source": STEP_SOURCE} for p, w, s in STEP_SECONDS]
    runs = data / "runs"
    return {
        "runs.csv": cited(runs / "runs.csv", RUN_COLUMNS, "source"),
        "runs_not_scored.csv": cited(runs / "report_only.csv", RUN_COLUMNS, "source"),
        "vtrain_single.csv": cited(runs / "vtrain_single.csv", RUN_COLUMNS, "source"),
        "kernels.csv": cited(data / "published" / "kernels.csv", KERNEL_COLUMNS, "source_path"),
        "deepseek_v3_trace.csv": with_source(runs / "deepseek_v3_h800_trace.csv", TRACE_COLUMNS, TRACE_SOURCE),
        "deepseek_v3_step.csv": (["part", "what", "seconds", "source"], step),
        "memory_b200.csv": with_source(runs / "b200_memory.csv", MEMORY_COLUMNS, MEMORY_SOURCE),
    }


def check(name: str, columns: list[str], rows: list[Row]) -> None:
    source = "source_path" if "source_path" in columns else "source"
    if not rows:
        raise SystemExit(f"{name}: no rows")
    if any(not row[source] for row in rows):
        raise SystemExit(f"{name}: a row without a source")
    ids = [row["id"] for row in rows] if "id" in columns else []
    if len(set(ids)) != len(ids):
        raise SystemExit(f"{name}: ids are not unique")


def write(path: Path, columns: list[str], rows: list[Row]) -> None:
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8", newline="") as file:
            file.write(text.getvalue())
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder of the collection")
    parser.add_argument("--out", type=Path, default=ROOT / "results" / "published")
    options = parser.parse_args()
    if not options.data.is_dir():
        sys.exit(f"{options.data}: no such folder; give one with --data")
    written = tables(options.data)
    for name, (columns, rows) in written.items():
        check(name, columns, rows)
    options.out.mkdir(parents=True, exist_ok=True)
    for name, (columns, rows) in written.items():
        write(options.out / name, columns, rows)
        print(f"{options.out / name}: {len(rows)} rows")


if __name__ == "__main__":
    main()
