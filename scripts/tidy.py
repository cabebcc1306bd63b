#!/usr/bin/env python3
"""clang-tidy over the project's C++ files, skipping those that were clean with the same text.

A file is checked again when it, a header of the project that it includes (directly or not), .clang-tidy or the
compiler's command changes. Results are kept in build/tidy.
"""

import argparse
import concurrent.futures
import functools
import hashlib
import json
import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
INCLUDE = re.compile(r'^\s*#include\s+[<"]([^">]+)[">]', re.MULTILINE)
FOLDERS = ("src", "bench", "tests", "kernels")


@functools.cache
def project_includes(path: Path) -> frozenset[Path]:
    """The project's headers that `path` names."""
    found = set()
    for name in INCLUDE.findall(path.read_text()):
        for base in (ROOT / "src", ROOT, path.parent):
            if (base / name).is_file():
                found.add((base / name).resolve())
                break
    return frozenset(found)


def closure(path: Path) -> list[Path]:
    seen, waiting = set(), [path]
    while waiting:
        current = waiting.pop()
        if current not in seen:
            seen.add(current)
            waiting.extend(project_includes(current))
    return sorted(seen)


def key(path: Path, command: str) -> str:
    digest = hashlib.sha256()
    for part in [ROOT / ".clang-tidy", *closure(path)]:
        digest.update(part.read_bytes())
    digest.update(command.replace(str(ROOT), "").encode())
    return digest.hexdigest()


def is_ours(path: Path) -> bool:
    return path.suffix == ".cpp" and any(path.is_relative_to(ROOT / folder) for folder in FOLDERS)


def check(path: Path, build: Path) -> str:
    run = subprocess.run(
        ["clang-tidy-16", "--quiet", "-p", str(build), str(path)], capture_output=True, text=True, cwd=ROOT
    )
    return "" if run.returncode == 0 else run.stdout + run.stderr


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("build", type=Path)
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    options = parser.parse_args()

    cache = ROOT / "build" / "tidy"
    cache.mkdir(parents=True, exist_ok=True)
    commands = json.loads((ROOT / options.build / "compile_commands.json").read_text())
    stale = {}
    for entry in commands:
        path = Path(entry["file"]).resolve()
        if is_ours(path):
            mark = cache / key(path, entry["command"])
            if not mark.exists():
                stale[path] = mark
    failures = 0
    with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        results = pool.map(lambda path: (path, check(path, options.build)), sorted(stale))
        for path, complaint in results:
            if complaint:
                failures += 1
                print(f"{path.relative_to(ROOT)}:\n{complaint}", flush=True)
            else:
                stale[path].touch()
    print(f"clang-tidy: {len(stale)} files checked, {failures} with findings", flush=True)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
