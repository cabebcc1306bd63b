#!/usr/bin/env python3
"""Searches one space with a Calculon checkout and with traincost, and prints both.

scripts/compare_calculon.py ~/calculon                      GPT-3 175B on 64 A100, one sequence: 27,360 executions
scripts/compare_calculon.py ~/calculon --gpus 512 --batch 512

Calculon needs Python's numpy, pandas and psutil. Both run on one core. Their spaces differ: traincost's holds every
execution of Calculon's and more (schedules, ZeRO levels, shares of recompute), and it prices a step otherwise, so only
the rates compare.
"""

import argparse
import json
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
COUNTS = {
    "evaluated": r"Total executions: (\d+)",
    "feasible": r"Good executions: (\d+)",
    "best": r"Best sample rate: ([\d.]+)",
}


def calculon(options: argparse.Namespace) -> dict:
    checkout = options.calculon.resolve()
    program = checkout / "bin/calculon"
    if not program.exists():
        sys.exit(f"{checkout}: no Calculon checkout, bin/calculon is missing")
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, str(program), "llm-optimal-execution", "-n", "-c", "1"]
        command += [str(checkout / options.model_file)]
        command += [str(options.gpus), str(options.batch), "float16", str(checkout / options.system_file)]
        command.append(f"{folder}/best.json")
        environment = {"PYTHONPATH": str(checkout), "PATH": "/usr/bin:/bin"}
        start = time.perf_counter()
        run = subprocess.run(command, capture_output=True, text=True, env=environment)
        seconds = time.perf_counter() - start
    if run.returncode != 0:
        sys.exit(f"calculon: {(run.stderr or run.stdout).strip().splitlines()[-1]}")
    figures = {}
    for name, pattern in COUNTS.items():
        found = re.search(pattern, run.stdout + run.stderr)
        figures[name] = float(found[1]) if found else 0.0
    samples_per_s = figures.pop("best")
    return figures | {"seconds": seconds, "step": options.batch / samples_per_s if samples_per_s else None}


def traincost(options: argparse.Namespace, space: str) -> dict:
    command = [options.program, "search", "--model", options.model, "--cluster", options.cluster, "--space", space]
    command += ["--gpus", str(options.gpus), "--batch", str(options.batch), "--seq", "2048", "--threads", "1"]
    run = subprocess.run([*map(str, command), "--format", "json"], capture_output=True, text=True)
    if run.returncode != 0:
        sys.exit(run.stderr.strip())
    result = json.loads(run.stdout)
    summary = result["summary"]
    return {
        "evaluated": summary["evaluated"],
        "feasible": summary["feasible"],
        "seconds": summary["seconds"],
        "step": result["best"][0]["step_seconds"],
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("calculon", type=Path, help="a Calculon checkout")
    parser.add_argument("--gpus", type=int, default=64)
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--model-file", default="models/gpt3-175B.json", help="within the checkout")
    parser.add_argument("--system-file", default="systems/a100_80g.json", help="within the checkout")
    parser.add_argument("--model", default="gpt-3-175b")
    parser.add_argument("--cluster", default="dgx-a100-80gb")
    parser.add_argument("--program", type=Path, default=ROOT / "build/release/traincost")
    options = parser.parse_args()
    rows = {
        "Calculon": calculon(options),
        "traincost, layouts": traincost(options, "layouts"),
        "traincost, executions": traincost(options, "executions"),
    }
    print(f"{'':24}{'evaluated':>12}{'feasible':>12}{'seconds':>10}{'per second':>14}{'best step, s':>14}")
    for name, row in rows.items():
        rate = row["evaluated"] / row["seconds"]
        step = f"{row['step']:.4f}" if row["step"] else "none"
        print(
            f"{name:24}{row['evaluated']:12,.0f}{row['feasible']:12,.0f}{row['seconds']:10.2f}{rate:14,.0f}{step:>14}"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
