#!/usr/bin/env python3
"""Fills the console blocks of documents with what the program prints.

A block starts with "$ traincost ..." (pipes allowed) and holds its output. Run from anywhere:
scripts/update_docs.py [FILE...]           write (default: README.md, docs/policy.md)
scripts/update_docs.py --check [FILE...]   exit 1 if a block is out of date
"""

import argparse
import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BLOCK = re.compile(r"(```console\n\$ (traincost [^\n]*)\n).*?(```)", re.DOTALL)


def output(command: str, program: Path) -> str:
    environment = os.environ | {"PATH": f"{program.parent}{os.pathsep}{os.environ['PATH']}"}
    shell = ["bash", "-o", "pipefail", "-c", command]
    run = subprocess.run(shell, cwd=ROOT, env=environment, capture_output=True, text=True)
    # `head` closes the pipe early; a refusal (exit code 2) is an answer too and is shown.
    return (run.stdout if run.stdout else run.stderr).rstrip() + "\n"


def filled(text: str, program: Path) -> str:
    return BLOCK.sub(lambda block: block[1] + output(block[2], program) + block[3], text)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--program", type=Path, default=ROOT / "build/release/traincost")
    parser.add_argument("files", nargs="*", type=Path, default=[ROOT / "README.md", ROOT / "docs/policy.md"])
    options = parser.parse_args()
    stale = False
    for path in options.files:
        old = path.read_text()
        new = filled(old, options.program.resolve())
        stale |= old != new
        if not options.check:
            path.write_text(new)
        elif old != new:
            print(f"{path} is out of date: run scripts/update_docs.py", file=sys.stderr)
    return int(options.check and stale)


if __name__ == "__main__":
    sys.exit(main())
