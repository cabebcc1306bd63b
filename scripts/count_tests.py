#!/usr/bin/env python3
"""Prints "N passed, N failed" from a JUnit file of ctest and the result of scripts/check.sh, and exits 1 on a failure.

A run that ended before its tests were counted (a build that broke) is one failure.
"""

import argparse
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("report", type=Path)
    parser.add_argument("--checks-failed", type=int, required=True)
    parser.add_argument("--status", type=int, required=True, help="exit status of the run")
    options = parser.parse_args()

    passed, failed = (0, 1) if options.checks_failed else (1, 0)
    if options.report.exists():
        for case in ElementTree.parse(options.report).getroot().iter("testcase"):
            if case.find("failure") is not None or case.get("status") == "fail":
                failed += 1
            elif case.get("status") == "run":
                passed += 1
    elif failed == 0:
        failed = 1
    if options.status != 0 and failed == 0:
        failed = 1
    print(f"{passed} passed, {failed} failed", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
