"""What the predictions of published runs and kernels aim at, beside what they reach."""

import csv
import itertools
import math
import statistics
from collections import defaultdict
from pathlib import Path

PAIR = ["family", "model", "chip", "gpus", "global_batch_sequences", "seq_len", "precision", "reported_quantity"]
APART = 0.05  # a gap of measured times that is worth ranking
FEW = 8  # rows from which a family has a bias
CONFIRMED = 10  # rows from which a family of kernels has an error


def magnitudes(rows: list[dict]) -> list[float]:
    return [abs(row["error"]) for row in rows]


def ranked(rows: list[dict]) -> float:
    """Share of pairs in the measured order, averaged over groups that differ in their layout alone."""
    groups = defaultdict(list)
    for row in rows:
        groups[tuple(row[key] for key in PAIR)].append(row)
    shares = []
    for group in groups.values():
        right = [
            (a["predicted"] - b["predicted"]) * (a["reported"] - b["reported"]) > 0
            for a, b in itertools.combinations(group, 2)
            if abs(a["reported"] / b["reported"] - 1) > APART
        ]
        if right:
            shares.append(statistics.mean(right))
    return statistics.mean(shares)


def biases(rows: list[dict]) -> list[tuple[str, float, float]]:
    """(family, bar, |bias|) of every family with enough rows; the bar is 3 % or two standard errors of a median."""
    families = defaultdict(list)
    for row in rows:
        families[row["family"]].append(row["error"])
    out = []
    for name, errors in families.items():
        if len(errors) >= FEW:
            deviation = 1.2533 * statistics.pstdev(errors) / math.sqrt(len(errors))
            out.append((name, max(0.03, 2 * deviation), abs(statistics.median(errors))))
    return out


def joined(validation: dict, table: Path) -> list[dict]:
    with table.open() as file:
        columns = {row["id"]: row for row in csv.DictReader(file)}
    return [columns[row["id"]] | row for row in validation["rows"] if row["error"] is not None]


def run_aims(validation: dict, table: Path) -> list[tuple[str, float, float]]:
    """(what, at most, reached), shares of 1."""
    rows = joined(validation, table)
    scored = [row for row in rows if row["tier"] in ("A", "B")]
    dense = [row for row in rows if row["tier"] == "A" and not row["moe_experts"]]
    moe = [row for row in rows if row["moe_experts"]]
    named = {name: [row for row in rows if row["family"] == name] for name in ("korthikanti", "vtrain", "vtrain1")}
    return [
        ("korthikanti, mean error", 0.0365, statistics.mean(magnitudes(named["korthikanti"]))),
        ("korthikanti, largest error", 0.0887, max(magnitudes(named["korthikanti"]))),
        ("vtrain, mean error", 0.10, statistics.mean(magnitudes(named["vtrain"]))),
        ("vtrain1 (one node), mean error", 0.15, statistics.mean(magnitudes(named["vtrain1"]))),
        ("dense models, tier A, median error", 0.06, statistics.median(magnitudes(dense))),
        ("dense models, tier A, 90 % quantile", 0.18, statistics.quantiles(magnitudes(dense), n=10)[-1]),
        ("mixtures of experts, median error", 0.10, statistics.median(magnitudes(moe))),
        *((f"bias of {name}", bar, reached) for name, bar, reached in biases(scored)),
        ("coverage of the 90 % intervals, off by", 0.05, abs(validation["summary"]["coverage90"] - 0.9)),
        ("pairs of layouts in the wrong order", 0.15, 1 - ranked(scored)),
    ]


def kernel_aims(validation: dict, table: Path) -> list[tuple[str, float, float]]:
    families = defaultdict(list)
    for row in joined(validation, table):
        families[row["op_family"]].append(row)
    return [
        (f"kernels, {name}, median error", 0.12, statistics.median(magnitudes(rows)))
        for name, rows in families.items()
        if sum(row["confirmed"] == "yes" for row in rows) >= CONFIRMED
    ]


def step_aims(parts: list[tuple[str, float, float]]) -> list[tuple[str, float, float]]:
    """Of (part, measured, predicted), the whole step last."""
    bars = [0.15] * (len(parts) - 1) + [0.07]
    return [
        (f"DeepSeek-V3, {what}", bar, abs(mine / measured - 1))
        for (what, measured, mine), bar in zip(parts, bars, strict=True)
    ]


def missed(aims: list[tuple[str, float, float]]) -> tuple[list[list[str]], int]:
    """Lines of those that are not reached, and how many are."""
    lines = [[what, f"{100 * bar:.3g}", f"{100 * reached:.3g}"] for what, bar, reached in aims if reached > bar]
    return lines, len(aims) - len(lines)
