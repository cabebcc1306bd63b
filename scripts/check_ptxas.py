#!/usr/bin/env python3
"""Compiles every kernel for each architecture and compares what ptxas says with tests/golden/ptxas.csv: registers and
shared memory per kernel, no spills, no stack, and tensor-core instructions where a kernel is built on them.

The figures belong to one release of nvcc; with another one only spills, stack and tensor cores are checked.
    scripts/check_ptxas.py            check
    scripts/check_ptxas.py --write    write the table anew
"""

import argparse
import csv
import re
import shutil
import struct
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TABLE = ROOT / "tests" / "golden" / "ptxas.csv"
ARCHITECTURES = ("sm_80", "sm_90a", "sm_100")
# Kernels of one architecture lie in a folder of its name.
FOLDERS = {"*/*.cu": ARCHITECTURES, "*/sm90/*.cu": ("sm_90a",)}
COLUMNS = ("nvcc", "file", "kernel", "arch", "registers", "static_shared_bytes", "stack_bytes", "spill_bytes", "mma")

# Low 12 bits of a 16-byte instruction from sm_70 on; nvdisasm prints them as HMMA, HGMMA and QGMMA.
MMA_OPCODES = (0x23C, 0x9F0, 0x9F3)
UTMALDG_OPCODE = 0x5B4  # a tensor copy to shared memory
# Kernels that are built on tensor cores.
ON_TENSOR_CORES = ("gemm", "mla_decode", "gqa_decode", "attention/")
# Before and behind the products: rows and roundings.
WITHOUT_PRODUCTS = ("prepare_kernel", "finish_kernel", "preparation_kernel", "rounding_kernel")

FUNCTION = re.compile(r"Compiling entry function '(\S+)' for")
STACK = re.compile(r"(\d+) bytes stack frame, (\d+) bytes spill stores, (\d+) bytes spill loads")
USED = re.compile(r"Used (\d+) registers")
SHARED = re.compile(r"(\d+) bytes smem")


def run(command):
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        sys.exit(f"{' '.join(map(str, command))}\n{done.stderr}")
    return done.stdout + done.stderr


def text_sections(cubin):
    """(function, code) of each .text.<function> section of a 64-bit ELF file."""
    data = cubin.read_bytes()
    offset, size, count, names_index = struct.unpack_from("<Q10xHHH", data, 0x28)
    headers = [struct.unpack_from("<IIQQQQ", data, offset + i * size) for i in range(count)]
    names = headers[names_index][4]
    for name, _, _, _, begin, length in headers:
        text = data[names + name : data.index(b"\0", names + name)].decode()
        if text.startswith(".text."):
            yield text.removeprefix(".text."), data[begin : begin + length]


def count_opcodes(code, opcodes):
    return sum(struct.unpack_from("<H", code, i)[0] & 0xFFF in opcodes for i in range(0, len(code), 16))


def parse(log):
    """Per function: registers, shared memory, stack and spills, in ptxas's order of lines."""
    rows, name = {}, None
    for line in log.splitlines():
        if match := FUNCTION.search(line):
            name = match[1]
            rows[name] = {"static_shared_bytes": 0}
        elif name and (match := STACK.search(line)):
            rows[name] |= {"stack_bytes": int(match[1]), "spill_bytes": int(match[2]) + int(match[3])}
        elif name and (match := USED.search(line)):
            rows[name]["registers"] = int(match[1])
            if shared := SHARED.search(line):
                rows[name]["static_shared_bytes"] = int(shared[1])
    return rows


def demangle(names):
    plain = run([shutil.which("c++filt"), *names]).split("\n")
    cut = [re.sub(r"\(anonymous namespace\)::|traincost::kernels::", "", re.sub(r"^void ", "", p)) for p in plain]
    enums = [re.sub(r"\([\w:]+\)(?=\d)", "", c) for c in cut]  # (Order)1 of a template's arguments
    return {name: re.sub(r"\(.*", "", short) for name, short in zip(names, enums, strict=False)}


def compile_kernels(nvcc, source, arch, cubin):
    """What ptxas says."""
    options = ["-std=c++20", "-O3", f"-arch={arch}", "-Xptxas", "-v", f"-I{ROOT}", f"-I{ROOT}/src"]
    return run([nvcc, *options, "-cubin", source, "-o", cubin])


def compile_one(nvcc, release, source, arch, folder):
    cubin = folder / f"{source.parent.name}.{source.stem}.{arch}.cubin"
    rows = parse(compile_kernels(nvcc, source, arch, cubin))
    short = demangle(list(rows))
    code = dict(text_sections(cubin))
    return [
        row
        | {
            "nvcc": release,
            "file": str(source.relative_to(ROOT)),
            "kernel": short[name],
            "arch": arch,
            "mma": count_opcodes(code[name], MMA_OPCODES),
            "copies": count_opcodes(code[name], (UTMALDG_OPCODE,)),
        }
        for name, row in rows.items()
    ]


def measure(nvcc):
    release = re.search(r"V(\d+\.\d+\.\d+)", run([nvcc, "--version"]))[1]
    work = [(s, a) for folder, archs in FOLDERS.items() for s in sorted((ROOT / "kernels").glob(folder)) for a in archs]
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(2) as pool:
        jobs = [pool.submit(compile_one, nvcc, release, s, a, Path(folder)) for s, a in work]
        rows = [row for job in jobs for row in job.result()]
    return sorted(rows, key=lambda r: (r["file"], r["kernel"], ARCHITECTURES.index(r["arch"])))


def faults(rows):
    for row in rows:
        where = f"{row['kernel']} for {row['arch']}"
        if row["spill_bytes"] or row["stack_bytes"]:
            yield f"{where}: {row['spill_bytes']} bytes of spills, {row['stack_bytes']} bytes of stack"
        if any(name in row["kernel"] for name in WITHOUT_PRODUCTS):
            continue
        if row["mma"] == 0 and any(name in row["file"] for name in ON_TENSOR_CORES):
            yield f"{where}: no tensor-core instruction"
        if "/sm90/" in row["file"] and row["copies"] == 0:
            yield f"{where}: no tensor copy"


def differences(rows, table):
    key = ("kernel", "arch")
    known = {tuple(r[k] for k in key): r for r in table}
    for row in rows:
        old = known.pop(tuple(row[k] for k in key), None)
        if old is None:
            yield f"{row['kernel']} for {row['arch']} is not in {TABLE.name}"
        elif old["nvcc"] == row["nvcc"]:
            for column in COLUMNS[4:]:
                if str(row[column]) != old[column]:
                    yield f"{row['kernel']} for {row['arch']}: {column} {row[column]}, table {old[column]}"
    for kernel, arch in known:
        yield f"{kernel} for {arch} is in {TABLE.name} and no longer compiled"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--nvcc", default=shutil.which("nvcc") or "/usr/local/cuda/bin/nvcc")
    parser.add_argument("--write", action="store_true")
    arguments = parser.parse_args()
    rows = measure(arguments.nvcc)
    problems = list(faults(rows))
    if arguments.write:
        TABLE.parent.mkdir(exist_ok=True)
        with TABLE.open("w", newline="") as file:
            writer = csv.DictWriter(file, COLUMNS, extrasaction="ignore", lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows)
    else:
        with TABLE.open(newline="") as file:
            problems += differences(rows, list(csv.DictReader(file)))
    print(*problems, sep="\n", end="\n" if problems else "")
    print(f"{len(rows)} kernels compiled, {len(problems)} problems")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
