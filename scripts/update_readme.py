#!/usr/bin/env python3
"""Writes every number between the markers of README.md from what the program prints.

scripts/update_readme.py           write
scripts/update_readme.py --check   exit 1 if README.md is out of date
"""

import argparse
import csv
import json
import re
import statistics
import subprocess
import sys
from pathlib import Path

import aims

ROOT = Path(__file__).resolve().parent.parent
RUN = ["--model", "deepseek-v3", "--gpus", "2048", "--tokens", "14.8e12"]
FIRST_CHIP = "h800-sxm5-80gb"
CHIPS = [
    FIRST_CHIP,
    "h100-sxm5-80gb",
    "h200-sxm-141gb",
    "a100-sxm4-80gb",
    "a800-sxm4-80gb",
    "h20-96gb",
    "b200-sxm",
    "ascend-910c",
]
SHOWN_DIFFERENCES = 2  # per chip
SEARCH = ["--model", "deepseek-v3", "--cluster", "hgx-h800", "--gpus", "2048", "--batch", "15360", "--seq", "4096"]
PARALLELISM = ["tensor_par", "pipeline_par", "context_par", "expert_par", "data_par", "micro_batch"]
SHOWN_LAYOUTS = 8  # of the front


def table(header: list[str], rows: list[list[str]], numbers_from: int = 1) -> str:
    rule = ["---" if i < numbers_from else "---:" for i in range(len(header))]
    lines = [header, rule, *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def percent(share: float) -> str:
    return f"{100 * share:.1f}"


def budget(estimate: dict) -> str:
    rows = [
        ("one step, s", "step_seconds", 1, 2),
        ("whole run, days", "days", 1, 1),
        ("GPU-hours", "gpu_hours", 1, 0),
        ("cost, USD", "usd", 1, 0),
        ("energy, MWh", "energy_kwh", 1e3, 0),
        ("memory per GPU, GB", "memory_bytes", 1e9, 1),
    ]
    lines = [
        [title, *(f"{estimate[key][quantile] / per:,.{digits}f}" for quantile in ("p50", "p5", "p95"))]
        for title, key, per, digits in rows
    ]
    notes = [f"Layout: {estimate['layout']['basis']}.", f"Price: {estimate['price_basis']}."]
    notes += [f"Assumed: {assumption}." for assumption in estimate["assumptions"]]
    return table(["", "median", "5 %", "95 %"], lines) + "\n\n" + "  \n".join(notes)


def parts(estimate: dict) -> str:
    return table(
        ["part", "s", "share, %", "figures"],
        [[p["name"], f"{p['seconds']:.2f}", percent(p["share"]), p["origin"]] for p in estimate["parts"]],
    )


def deepseek_parts(estimate: dict) -> list[tuple[str, float, float]]:
    """(part, measured, ours) of the step that DeepSeek measured, in seconds."""
    pipeline = estimate["pipeline_seconds"]
    # A rank that waits for a slower one is idle: the paper's idle time holds both.
    waiting = sum(p["seconds"] for p in estimate["parts"] if p["name"] == "stragglers and contention")
    ours = {
        "1f": pipeline["forward"],
        "1b": pipeline["input_grad"],
        "1w": pipeline["weight_grad"],
        "1f1b": pipeline["forward_and_backward"],
        "bubble": pipeline["bubble"] + waiting,
        "optimizer": pipeline["optimizer"],
        "step": estimate["step_seconds"]["p50"],
    }
    with (ROOT / "results/published/deepseek_v3_step.csv").open() as file:
        return [(row["what"], float(row["seconds"]), ours[row["part"]]) for row in csv.DictReader(file)]


def deepseek(step: list[tuple[str, float, float]]) -> str:
    rows = [
        [what, f"{measured:.2f}", f"{mine:.2f}", f"{100 * (mine / measured - 1):+.0f}"] for what, measured, mine in step
    ]
    return table(["part", "measured, s", "predicted, s", "difference, %"], rows)


def compare(comparison: dict) -> str:
    rows = []
    for chip in comparison["chips"]:
        if chip["why_not"]:
            rows.append([chip["chip"], *[""] * 7, chip["why_not"]])
            continue
        rows.append(
            [
                chip["chip"],
                f"{chip['step_seconds']:.1f} ({chip['step_seconds_p5']:.1f}-{chip['step_seconds_p95']:.1f})",
                f"{chip['days']:.0f}",
                f"{chip['gpu_hours'] / 1e6:.2f}",
                f"{chip['usd'] / 1e6:.2f}",
                f"{chip['energy_kwh'] / 1e3:,.0f}",
                f"{chip['memory_bytes'] / 1e9:.0f}" + ("" if chip["fits_memory"] else " (does not fit)"),
                percent(chip["mfu"]),
                chip["limit"],
            ]
        )
    header = ["chip", "step, s (90 %)", "days", "M GPU-hours", "M USD", "MWh", "GB per GPU", "MFU, %", "waits most for"]
    return table(header, rows)


def differences(comparison: dict) -> str:
    shown: dict[str, int] = {}
    rows = []
    for d in comparison["differences"]:
        shown[d["chip"]] = shown.get(d["chip"], 0) + 1
        if shown[d["chip"]] <= SHOWN_DIFFERENCES:
            seconds = (d["first_seconds"], d["seconds"])
            rows.append([d["chip"], d["part"], *(f"{s:.2f}" for s in seconds), f"{d['difference_seconds']:+.2f}"])
    return table(["chip", "part", f"{FIRST_CHIP}, s", "this chip, s", "difference, s"], rows, numbers_from=2)


def errors(validation: dict) -> str:
    summary = validation["summary"]

    def row(name: str, e: dict) -> list[str]:
        if e["n"] == 0:
            return [name, "0", "", "", "", ""]
        figures = [percent(e[key]) for key in ("median_abs_error", "mape", "bias")]
        covered = "" if e["coverage90"] is None else f"{100 * e['coverage90']:.0f}"
        return [name, str(e["n"]), *figures, covered]

    rows = [row(name, e) for name, e in summary["by_family"].items() if e["n"] > 0]
    rows.append(row("**all**", summary))
    rows += [row(f"for comparison: {name}", e) for name, e in validation.get("others", {}).items()]
    total = len(validation["rows"])
    header = ["family", "rows", "median error, %", "mean error, %", "bias, %", "inside the 90 % interval, %"]
    return table(header, rows) + f"\n\n{total - summary['skipped']} of {total} rows are predicted."


def missed_aims(runs: dict, kernels: dict, step: list[tuple[str, float, float]]) -> str:
    published = ROOT / "results/published"
    lines, reached = aims.missed(
        aims.run_aims(runs, published / "runs.csv")
        + aims.kernel_aims(kernels, published / "kernels.csv")
        + aims.step_aims(step)
    )
    return table(["aim", "at most, %", "reached, %"], lines) + f"\n\n{reached} of {reached + len(lines)} are reached."


def trace(validation: dict) -> str:
    rows = []
    for row in validation["rows"]:
        if row["predicted"] is None:
            rows.append([row["id"], f"{row['reported']:.1f}", row["skipped"], ""])
            continue
        rows.append([row["id"], f"{row['reported']:.1f}", f"{row['predicted']:.1f}", f"{100 * row['error']:+.0f}"])
    return table(["kernels", "measured, ms", "predicted, ms", "difference, %"], rows)


def search(found: dict) -> str:
    rows = [
        [
            *(f"{layout[key]:,.0f}" for key in PARALLELISM),
            layout["schedule"] + (f" x{layout['interleave']:.0f}" if layout["interleave"] > 1 else ""),
            layout["recompute"],
            layout["sharding"],
            layout["dtype"],
            f"{layout['step_seconds']:.2f}",
            f"{layout['memory_bytes'] / 1e9:.0f}",
        ]
        for layout in found["front"][:SHOWN_LAYOUTS]
    ]
    header = ["TP", "PP", "CP", "EP", "DP", "micro-batch"]
    header += ["schedule", "recompute", "sharding", "format", "step, s", "GB"]
    summary = found["summary"]
    counts = [f"{summary[key]:,.0f}" for key in ("evaluated", "feasible", "pruned")]
    note = f"{counts[0]} layouts evaluated, {counts[1]} of them fit; {counts[2]} more pruned by their memory."
    return table(header, rows, numbers_from=0) + "\n\n" + note


def ablation(steps: list[dict]) -> str:
    rows = []
    for step in steps:
        ratio = step["against_previous"]
        figures = [f"{step['active_params'] / 1e9:.1f}", f"{step['step_seconds']:.2f}"]
        rows.append([step["change"], *figures, f"{ratio:.2f}" if ratio else "", step["layout"]])
    header = ["", "active parameters, B", "step, s", "x the line before", "fastest layout that fits"]
    return table(header, rows)


def cross_validation(path: Path) -> str:
    """A line for each test, operation and format over all chips; the chips stand in results/calibration/README.md."""
    groups: dict[tuple[str, str, str], list[dict]] = {}
    with path.open() as file:
        for row in csv.DictReader(file):
            groups.setdefault((row["test"], row["kind"], row["dtype"]), []).append(row)
    rows = []
    for (test, kind, dtype), chips in groups.items():
        medians = [float(row["median_percent"]) for row in chips]
        constants = [float(row["one_constant_median_percent"]) for row in chips]
        middle, worst = statistics.median(medians), max(chips, key=lambda row: float(row["median_percent"]))
        figures = [str(len(chips)), f"{middle:.1f}", f"{max(medians):.1f} ({worst['chip']})"]
        rows.append([test, kind, dtype, *figures, f"{statistics.median(constants):.1f}"])
    header = ["left out", "operation", "format", "chips", "median error, %", "worst chip, %", "one constant, %"]
    return table(header, rows, numbers_from=3)


def caches(answer: dict) -> str:
    rows = []
    for cache in answer["caches"]:
        on = {row["chip"]: row for row in answer["chips"] if row["cache"] == cache["cache"]}
        floors = [f"{row['floor_seconds'] * 1e6:,.0f} {row['limit'][0]}" for row in on.values()]
        figures = [
            f"{cache['layer_bytes_per_token']:,.0f}",
            f"{cache['bytes_per_token'] / 1e3:,.1f}",
            f"{cache['step_bytes'] / 1e9:.2f}",
            f"{cache['step_flops'] / 1e9:.0f}",
        ]
        rows.append([cache["cache"], *figures, *floors])
    chips = [f"{name}, us" for name in dict.fromkeys(row["chip"] for row in answer["chips"])]
    header = ["cache", "B per token and layer", "KB per token", "GB per step", "GFLOP per step", *chips]
    return table(header, rows)


def cached_sequences(answer: dict) -> str:
    chips = list(dict.fromkeys(row["chip"] for row in answer["chips"]))
    rows = []
    for cache in answer["caches"]:
        on = {row["chip"]: row for row in answer["chips"] if row["cache"] == cache["cache"]}
        fit = [" / ".join(f"{on[chip][f'sequences_{k}']:,.0f}" for k in ("4k", "32k", "128k")) for chip in chips]
        rows.append([cache["cache"], *fit])
    return table(["cache", *chips], rows)


def program(path: Path, *arguments: str) -> dict:
    run = subprocess.run([path, *arguments, "--format", "json"], cwd=ROOT, check=True, capture_output=True, text=True)
    return json.loads(run.stdout)


def sections(path: Path, with_slow: bool) -> dict[str, str]:
    estimate = program(path, "estimate", *RUN, "--chip", FIRST_CHIP)
    step = deepseek_parts(estimate)
    comparison = program(path, "compare", *RUN, "--chips", ",".join(CHIPS))
    cache = program(path, "cache")
    runs = program(path, "validate", "--runs", "results/published/runs.csv")
    kernels = program(path, "validate", "--kernels", "results/published/kernels.csv")
    out = {
        "caches": caches(cache),
        "cached-sequences": cached_sequences(cache),
        "budget": budget(estimate),
        "parts": parts(estimate),
        "deepseek": deepseek(step),
        "compare": compare(comparison),
        "differences": differences(comparison),
        "search": search(program(path, "search", *SEARCH)),
        "ablation": ablation(program(path, "ablate", "--model", "deepseek-v3")["ablation"]),
        "cross-validation": cross_validation(ROOT / "results/calibration/cross_validation.csv"),
        "runs": errors(runs),
        "kernels": errors(kernels),
        "missed": missed_aims(runs, kernels, step),
        "trace": trace(program(path, "validate", "--trace", "results/published/deepseek_v3_trace.csv")),
    }
    if with_slow:
        crossed = program(path, "validate", "--runs", "results/published/runs.csv", "--cross-validate")
        out["runs-cross-validated"] = errors(crossed)
    return out


def updated(text: str, texts: dict[str, str]) -> str:
    for name, body in texts.items():
        pattern = re.compile(rf"(<!-- begin:{name} -->\n).*?(<!-- end:{name} -->)", re.DOTALL)
        if not pattern.search(text):
            raise SystemExit(f"README.md: no markers for '{name}'")
        text = pattern.sub(lambda match, body=body: f"{match[1]}{body}\n{match[2]}", text)
    return text


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--program", type=Path, default=ROOT / "build/release/traincost")
    options = parser.parse_args()
    readme = ROOT / "README.md"
    old = readme.read_text()
    new = updated(old, sections(options.program.resolve(), with_slow=not options.check))
    if options.check:
        if old != new:
            print("README.md is out of date: run scripts/update_readme.py", file=sys.stderr)
        return int(old != new)
    readme.write_text(new)
    return 0


if __name__ == "__main__":
    sys.exit(main())
