#!/usr/bin/env python3
"""clang-tidy over the project's C++ files, skipping those that were clean with the same text.

A file is checked again when it, a header of the project that it includes (directly or not), .clang-tidy or the
compiler's command changes. Results are kept in build/tidy. Ten seconds a file are too many for one run of CI: a run
takes the files of the last commit first, then others in an order that differs from commit to commit, and stops starting
new ones when its time is over.
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
import time
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


def git(*arguments: str) -> str:
    return subprocess.run(["git", *arguments], check=False, capture_output=True, text=True, cwd=ROOT).stdout


def in_turn(paths: list[Path]) -> list[Path]:
    changed = set(git("diff", "--name-only", "HEAD~1").split()) | set(git("ls-files", "-o").split())
    commit = git("rev-parse", "HEAD")

    def turn(path: Path) -> tuple[bool, str]:
        name = str(path.relative_to(ROOT))
        return name not in changed, hashlib.sha256((commit + name).encode()).hexdigest()

    return sorted(paths, key=turn)


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
    parser.add_argument("--seconds", type=float, default=240, help="start no new file after so long; 0: no limit")
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
    end = time.monotonic() + (options.seconds or float("inf"))
    checked, failures = 0, 0
    with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:

        def result(path: Path) -> tuple[Path, str | None]:
            return path, check(path, options.build) if time.monotonic() < end else None

        for path, complaint in pool.map(result, in_turn(list(stale))):
            if complaint is None:
                continue
            checked += 1
            if complaint:
                failures += 1
                print(f"{path.relative_to(ROOT)}:\n{complaint}", flush=True)
            else:
                stale[path].touch()
    left = len(stale) - checked
    print(f"clang-tidy: {checked} files checked, {failures} with findings, {left} left for a later run", flush=True)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
