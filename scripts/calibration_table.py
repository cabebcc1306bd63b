#!/usr/bin/env python3
"""Write the table of results/calibration/README.md from the output of `traincost calibrate --cross-validate`.

The commands stand in that README.
"""

import csv
import pathlib

FOLDER = pathlib.Path(__file__).parent.parent / "results" / "calibration"
BEGIN, END = "<!-- cross-validation: begin -->", "<!-- cross-validation: end -->"
KINDS = ("gemm", "attention", "attention_mla", "moe_mlp")  # the other operations stay in the CSV


def line(row):
    figures = [f"{float(row[key]):.1f}" for key in ("median_percent", "p90_percent", "one_constant_median_percent")]
    cells = [row["test"], row["chip"], f"{row['kind']} {row['dtype']}", f"{float(row['shapes']):.0f}", *figures]
    return "| " + " | ".join([*cells, row["from"]]) + " |"


def main():
    with (FOLDER / "cross_validation.csv").open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["kind"] in KINDS]
    head = [
        "| left out | chip | operation | shapes | median | 90 % quantile | one constant, median | predicted from |",
        "|---|---|---|---:|---:|---:|---:|---|",
    ]
    readme = FOLDER / "README.md"
    before, rest = readme.read_text().split(BEGIN)
    after = rest.split(END)[1]
    readme.write_text(before + "\n".join([BEGIN, *head, *map(line, rows), END]) + after)


if __name__ == "__main__":
    main()
