#!/usr/bin/env python3
"""What the machine code of the kernels for Hopper, and of attention on mma.sync, allows: for each main loop tensor-core
cycles, bytes of shared memory and issue slots of one tile, and the fraction of peak that the largest of them leaves. A
bound, not a timing.

    scripts/sass_bounds.py            compares with the tables in the kernels' README.md
    scripts/sass_bounds.py --write    writes it anew

The method, one multiprocessor (figures of the H100: NVIDIA H100 Tensor Core GPU Architecture, 2022):
  tensor cores   HGMMA and QGMMA of 64 x N x 32 bytes take N / 2 cycles: 8192 fp8 or 4096 bf16 FLOP a cycle
  shared memory  128 bytes a cycle; a product reads 64 x 32 bytes of one operand and N x 32 of the other, a tensor copy
                 writes the stage, an LDS of a warp takes one cycle
  issue slots    four schedulers of one instruction a cycle; each has two multiplying warps, one also the producer's
  warpgroup      its own products and then its own instructions, one after the other: nothing of one step overlaps
A step (128 bytes along the reduction) takes the largest; a tile takes its steps and, on top, the instructions outside
of the main loop. Columns of the last pair of tiles that the matrix does not have count as lost. Neither L2 (what a step
asks of it is given), memory, latencies, the clock under load nor the last wave of tiles are in it.

mla_decode: a step is a pair of tiles of 64 tokens, a tile the 64 pages of a sequence of 4096 tokens. The warpgroups run
loops of their own; operands in registers are not read from shared memory. The third brings the tiles, by one thread
(bf16) or by all (fp8).

attention: a step is a tile of keys (forward) or of queries (backward), a tile what a block takes of a causal sequence
of 8192, on average. Exponentials: 16 a cycle. The forward loop is that without a mask; the backward loop counts
its rare parts (mask, last rows, turns) as if each step had them. Scores behind the diagonal
or the sequence's end count as lost.

attention on mma.sync, one multiprocessor of an A100 (NVIDIA A100 Tensor Core GPU Architecture, 2020): a HMMA of
16 x 8 x 16 takes 2 cycles (2048 FLOP a cycle), LDSM and LDGSTS of a warp move 512 bytes, exponentials 16 a cycle, four
schedulers. A step takes the longest; its rare parts count as if each step had them. Blocks that share a multiprocessor
share all four.
"""

import argparse
import glob
import math
import re
import shutil
import sys
import tempfile
from collections import Counter
from pathlib import Path

from check_ptxas import ROOT, demangle, run

BEGIN, END = "<!-- begin:bounds -->\n", "<!-- end:bounds -->\n"
SKIPPED = 77  # for ctest
# What the designs must allow.
LEAST = {
    "fp8 forward": 0.80,
    "bf16 cache, 128 heads": 0.75,
    "fp8 cache, 128 heads": 0.75,
    "forward 192/128": 0.90,
    "backward 192/128": 0.70,
}

ROWS = 128  # of a tile
CLUSTER = 2  # blocks, whose tiles lie side by side and share the rows of the first operand
ROW_BYTES = 128  # of a stage along the reduction
SHARED_BYTES_PER_CYCLE = 128
WARPS_PER_SCHEDULER = 2  # that multiply
MULTIPLYING_WARPS = 8

# Which products of DeepSeek-V3's experts (up and gate: n 4096, k 7168) a kernel is asked for: name, source, pattern of
# the kernel's name, columns of the output, reduction (rows of an expert: 4096), bytes of scales in a stage.
CASES = (
    ("bf16 forward", "grouped_gemm/sm90/bf16.cu", r"rows_kernel<.*, 0, 0, 0>", 4096, 7168, 2, 0),
    ("bf16 input gradient", "grouped_gemm/sm90/bf16.cu", r"rows_kernel<.*, 0, 1, 0>", 7168, 4096, 2, 0),
    ("bf16 weight gradient", "grouped_gemm/sm90/bf16.cu", r"weight_gradient_kernel", 7168, 4096, 2, 0),
    ("fp8 forward", "grouped_gemm/sm90/fp8.cu", r"rows_kernel", 4096, 7168, 1, 4 * ROWS),
    ("fp8 input gradient", "grouped_gemm/sm90/fp8.cu", r"rows_kernel", 7168, 4096, 1, 4 * ROWS),
    ("fp8 weight gradient", "grouped_gemm/sm90/fp8.cu", r"weight_gradient_kernel", 7168, 4096, 1, 4 * (ROWS + 192)),
)

# Decoding: name, pattern of the kernel's name.
DECODE_SOURCE = "mla_decode/sm90/mla_decode.cu"
DECODE_CASES = (
    ("bf16 cache, 128 heads", r"mla_decode_kernel<.*Variant<false, 2>"),
    ("fp8 cache, 128 heads", r"mla_decode_kernel<.*Variant<true, 1>"),
)
KEY_DIM, LATENT, TOKENS, SEQUENCE = 576, 512, 64, 4096
# Products of a warpgroup for a pair of tiles: the scores of one, half of the outputs of both. Columns: how many.
PAIR_PRODUCTS = Counter({TOKENS: KEY_DIM // 16, LATENT // 2: 2 * TOKENS // 16})

# Attention in training: name, source, pattern of the kernel's name, columns of q and k.
ATTENTION_CASES = (
    ("forward 192/128", "attention/sm90/forward.cu", r"forward_kernel<.*192", 192),
    ("forward 128/128", "attention/sm90/forward.cu", r"forward_kernel<.*128", 128),
    ("backward 192/128", "attention/sm90/backward.cu", r"backward_kernel<.*192", 192),
    ("backward 128/128", "attention/sm90/backward.cu", r"backward_kernel<.*128", 128),
)
D_V, BLOCK, QUERIES, CAUSAL = 128, 128, 64, 8192
EXPONENTIALS_PER_CYCLE = 16

# The same on mma.sync: name, source, pattern of the kernel's name, columns of q and k, rows of a step, whether a block
# is of keys and whether it adds to the queries.
MMA_CASES = (
    ("forward 192/128", "attention/attention.cu", r"forward_kernel<192>", 192, 48, False, False),
    ("forward 128/128", "attention/attention.cu", r"forward_kernel<128>", 128, 48, False, False),
    ("backward 192/128", "attention/backward.cu", r"backward_kernel<192, 0, 1>", 192, 32, True, True),
    ("backward 128/128", "attention/backward.cu", r"backward_kernel<128, 0, 1>", 128, 64, True, True),
    ("deterministic 192/128, keys", "attention/backward.cu", r"backward_kernel<192, 0, 0>", 192, 32, True, False),
    ("deterministic 192/128, queries", "attention/backward.cu", r"backward_kernel<192, 1, 0>", 192, 64, False, False),
    ("deterministic 128/128, keys", "attention/backward.cu", r"backward_kernel<128, 0, 0>", 128, 64, True, False),
    ("deterministic 128/128, queries", "attention/backward.cu", r"backward_kernel<128, 1, 0>", 128, 64, False, False),
)
MMA_FLOP, A100_FLOP_PER_CYCLE, SCHEDULERS = 2 * 16 * 8 * 16, 2048, 4
UNROLLED = 64  # columns of an inner loop's turn

INSTRUCTION = re.compile(r"/\*[0-9a-f]{4,}\*/\s+(.*?);")
LABEL = re.compile(r"^(\.L_\S+):")
PRODUCT = re.compile(r"\b[HQ]GMMA\.64x(\d+)x")


def find_nvdisasm():
    pattern = ROOT / "build" / "venv" / "lib" / "python3*" / "site-packages" / "nvidia" / "*" / "bin" / "nvdisasm"
    return shutil.which("nvdisasm") or next(iter(sorted(glob.glob(str(pattern)))), None)


def functions(text):
    """(name, instructions, label -> index) of each kernel."""
    name, code, labels = None, [], {}
    for line in text.splitlines():
        if line.startswith(".text."):
            if name:
                yield name, code, labels
            name, code, labels = line.strip().removeprefix(".text.").rstrip(":"), [], {}
        elif match := LABEL.match(line):
            labels[match[1]] = len(code)
        elif match := INSTRUCTION.search(line):
            code.append(match[1].strip())
    if name:
        yield name, code, labels


def loops(code, labels):
    """(begin, end) of each backward branch, the smallest first."""
    found = []
    for at, text in enumerate(code):
        target = re.search(r"\bBRA.*`\((\.L_\S+)\)", text)
        if target and labels.get(target[1], at) < at:
            found.append((labels[target[1]], at + 1))
    return sorted(found, key=lambda loop: loop[1] - loop[0])


def around(found, at, count):
    """The innermost `count` loops around an instruction."""
    return [loop for loop in found if loop[0] <= at < loop[1]][:count]


def bound(code, labels, columns, depth, element_bytes, scale_bytes):
    found = loops(code, labels)
    first_product = next(i for i, text in enumerate(code) if PRODUCT.search(text))
    first_copy = next(i for i, text in enumerate(code) if "UTMALDG" in text)
    (begin, end), (tile_begin, tile_end) = around(found, first_product, 2)
    ((copy_begin, copy_end),) = around(found, first_copy, 1)
    loop = code[begin:end]
    widths = [int(match[1]) for text in loop if (match := PRODUCT.search(text))]
    width = widths[0]
    steps = math.ceil(depth * element_bytes / ROW_BYTES)
    reads = sum(2 * (64 + n) * 32 for n in widths)
    lds = sum(" LDS" in f" {re.sub(r'^@!?U?P[0-9T]+ ', '', text)}" for text in loop) * MULTIPLYING_WARPS
    tensor = sum(widths)  # two warpgroups, N / 2 each
    shared_bytes = reads + (ROWS + width) * ROW_BYTES + scale_bytes + lds * SHARED_BYTES_PER_CYCLE
    issue = WARPS_PER_SCHEDULER * len(loop) + copy_end - copy_begin
    cycles = max(tensor, shared_bytes / SHARED_BYTES_PER_CYCLE, issue, tensor / 2 + len(loop))
    outside = WARPS_PER_SCHEDULER * (tile_end - tile_begin - len(loop))
    used = columns / (math.ceil(columns / width / CLUSTER) * width * CLUSTER)
    from_l2 = (ROWS / CLUSTER + width) * ROW_BYTES + scale_bytes
    return {
        "tile": f"{ROWS} x {width}",
        "steps": steps,
        "tensor cycles": steps * tensor,
        "shared KiB": round(steps * shared_bytes / 1024),
        "shared cycles": round(steps * shared_bytes / SHARED_BYTES_PER_CYCLE),
        "issue slots": steps * issue,
        "outside": outside,
        "L2 bytes/cycle": f"{from_l2 / cycles:.0f}",
        "columns used": f"{used:.3f}",
        "bound": f"{steps * tensor * used / (steps * cycles + outside):.2f}",
    }


def widths_of(loop):
    return Counter(int(match[1]) for text in loop if (match := PRODUCT.search(text)))


def count(loop, pattern):
    return sum(re.search(pattern, text) is not None for text in loop)


def shared_reads(loop):
    """Bytes that the products of a loop read: 64 x 32 of the first operand, unless it lies in registers."""
    in_registers = count(loop, r"GMMA\S* R\d+, R\d+, gdesc")
    widths = widths_of(loop)
    return 32 * (sum(n * times for n, times in widths.items()) + 64 * (widths.total() - in_registers))


def decode_bound(code, labels):
    found = [code[begin:end] for begin, end in loops(code, labels)]
    scoring = [loop for loop in found if widths_of(loop) == PAIR_PRODUCTS][:2]
    others = [loop for loop in found if not widths_of(loop)]
    expanding = [loop for loop in others if count(loop, "PRMT") > TOKENS // 2]
    if expanding:  # fp8: a tile is two runs of the inner loop
        bringing = len(expanding[0]) + len(expanding[1])
    else:  # bf16: a copy for each 64 columns, by one of the cluster's blocks
        bringing = next(len(loop) for loop in others if count(loop, "UTMALDG") == KEY_DIM // 64)
    tensor = sum(n * times for loop in scoring for n, times in widths_of(loop).items()) // 2
    # A warp stores or loads 512 bytes by STSM and 128 by others.
    small = sum(4 * 512 * count(loop, r"\bSTSM") + 4 * 128 * count(loop, r"\b(LDS|STS)\b") for loop in scoring)
    tile_bytes = TOKENS * KEY_DIM * 2
    shared_bytes = sum(map(shared_reads, scoring)) + 2 * tile_bytes + small
    issue = sum(map(len, scoring)) + 2 * bringing
    alone = max(tensor / 2 + len(loop) for loop in scoring)
    cycles = max(tensor, shared_bytes / SHARED_BYTES_PER_CYCLE, issue, alone)
    consumers = code[code.index(next(t for t in code if "TRY_ALLOC" in t)) :]
    steps = SEQUENCE // (2 * TOKENS)
    outside = len(consumers) - sum(map(len, scoring))
    return {
        "tile": f"64 x {SEQUENCE}",
        "steps": steps,
        "tensor cycles": steps * tensor,
        "shared KiB": round(steps * shared_bytes / 1024),
        "shared cycles": round(steps * shared_bytes / SHARED_BYTES_PER_CYCLE),
        "issue slots": steps * issue,
        "outside": outside,
        "L2 bytes/cycle": f"{2 * (TOKENS * 656 if expanding else tile_bytes / CLUSTER) / cycles:.0f}",
        "bound": f"{steps * tensor / (steps * cycles + outside):.2f}",
    }


def attention_bound(label, code, labels, d_qk):
    is_forward = label.startswith("forward")
    # Scores and values; or scores, their gradients, and those of values, keys and queries.
    products = d_qk // 16 + (BLOCK // 16 if is_forward else D_V // 16 + 2 * QUERIES // 16 + BLOCK // 16)
    found = [code[begin:end] for begin, end in loops(code, labels)]
    loop = next(loop for loop in found if widths_of(loop).total() == products)
    producing = next(loop for loop in found if count(loop, "UTMALDG"))
    rows = BLOCK if is_forward else QUERIES  # of a step's copies
    copied = rows * (d_qk + D_V) * 2
    small = MULTIPLYING_WARPS * (512 * count(loop, r"\bSTSM") + 128 * count(loop, r"\bLDS"))
    tensor = sum(n * times for n, times in widths_of(loop).items())  # two warpgroups, N / 2 each
    shared_bytes = 2 * shared_reads(loop) + copied + small
    exponentials = count(loop, r"MUFU\.EX2") * MULTIPLYING_WARPS * 32 // EXPONENTIALS_PER_CYCLE
    issue = WARPS_PER_SCHEDULER * len(loop) + len(producing)
    cycles = max(tensor, shared_bytes / SHARED_BYTES_PER_CYCLE, exponentials, issue, tensor / 2 + len(loop))
    consumers = code[code.index(next(t for t in code if "TRY_ALLOC" in t)) :]
    outside = WARPS_PER_SCHEDULER * (len(consumers) - len(loop))
    blocks = CAUSAL // BLOCK
    steps = sum((block + 1) * BLOCK // rows for block in range(blocks)) / blocks
    used = CAUSAL / 2 / (steps * rows)
    added = 0 if is_forward else QUERIES * d_qk * 4
    return {
        "tile": f"{BLOCK} x {rows}",
        "steps": f"{steps:.1f}",
        "tensor cycles": tensor,
        "shared KiB": f"{shared_bytes / 1024:.0f}",
        "shared cycles": round(shared_bytes / SHARED_BYTES_PER_CYCLE),
        "exponential cycles": exponentials,
        "issue slots": issue,
        "outside": outside,
        "L2 bytes/cycle": f"{(copied + added) / cycles:.0f}",
        "scores used": f"{used:.3f}",
        "bound": f"{steps * tensor * used / (steps * cycles + outside):.2f}",
    }


def mma_bound(label, code, labels, d_qk, step, is_keys, adds):
    is_forward = label.startswith("forward")
    warps = 4 if is_forward else 8
    found = loops(code, labels)
    begin, end = max((loop for loop in found if count(code[slice(*loop)], "HMMA")), key=lambda loop: loop[1] - loop[0])
    inner = sorted(loop for loop in found if begin <= loop[0] and loop[1] < end)
    turns = (d_qk // UNROLLED, D_V // UNROLLED)  # scores, their gradients
    loop = code[begin:end] + [
        text for (first, last), n in zip(inner, turns, strict=False) for text in code[first:last] * (n - 1)
    ]
    # Scores and outputs; or scores, their gradients and those of keys or queries, of values, of the step's queries.
    columns = d_qk + D_V if is_forward else 2 * d_qk + D_V + D_V * is_keys + d_qk * adds
    products = count(loop, "HMMA") * warps
    if products * MMA_FLOP != 2 * BLOCK * step * columns:
        sys.exit(f"{label}: {products} products in the main loop, expected {2 * BLOCK * step * columns // MMA_FLOP}")
    tensor = products * MMA_FLOP // A100_FLOP_PER_CYCLE
    moved = 512 * count(loop, r"LDSM|LDGSTS\S*\.128|LDS\.128") + 256 * count(loop, r"LDS\.64")
    shared_bytes = warps * (moved + 128 * count(loop, r"\bSTS\b|\bLDS\b |LDGSTS\.E \["))
    exponentials = count(loop, r"MUFU\.EX2") * warps * 32 // EXPONENTIALS_PER_CYCLE
    issue = warps // SCHEDULERS * len(loop)
    cycles = max(tensor, shared_bytes / SHARED_BYTES_PER_CYCLE, exponentials, issue)
    outside = warps // SCHEDULERS * (len(code) - (end - begin))
    blocks = CAUSAL // BLOCK
    steps = sum(math.ceil((block + 1) * BLOCK / step) for block in range(blocks)) / blocks
    used = CAUSAL / 2 / (steps * step)
    from_l2 = step * (d_qk + D_V) * 2 + step * d_qk * 4 * adds
    return {
        "tile": f"{BLOCK} x {step}",
        "steps": f"{steps:.1f}",
        "tensor cycles": tensor,
        "shared KiB": f"{shared_bytes / 1024:.0f}",
        "shared cycles": round(shared_bytes / SHARED_BYTES_PER_CYCLE),
        "exponential cycles": exponentials,
        "issue slots": issue,
        "outside": outside,
        "L2 bytes/cycle": f"{from_l2 / cycles:.0f}",
        "scores used": f"{used:.3f}",
        "bound": f"{steps * tensor * used / (steps * cycles + outside):.2f}",
    }


def disassembled(nvcc, nvdisasm, source, arch="sm_90a"):
    with tempfile.TemporaryDirectory() as folder:
        cubin = Path(folder) / "kernel.cubin"
        run([nvcc, "-std=c++20", "-O3", f"-arch={arch}", f"-I{ROOT}", f"-I{ROOT}/src", "-cubin",
             ROOT / "kernels" / source, "-o", cubin])  # fmt: skip
        found = list(functions(run([nvdisasm, "-c", cubin])))
    names = demangle([name for name, _, _ in found])
    return [(names[name], code, labels) for name, code, labels in found]


def measure(nvcc, nvdisasm):
    """README -> rows of its table."""
    sources = {c[1] for c in CASES} | {DECODE_SOURCE} | {c[1] for c in ATTENTION_CASES}
    texts = {source: disassembled(nvcc, nvdisasm, source) for source in sources}
    texts |= {source: disassembled(nvcc, nvdisasm, source, "sm_80") for source in {c[1] for c in MMA_CASES}}

    def kernel(source, pattern):
        _, code, labels = next(f for f in texts[source] if re.search(pattern, f[0]))
        return code, labels

    products = [
        {"pass": label} | bound(*kernel(source, pattern), columns, depth, element_bytes, scale_bytes)
        for label, source, pattern, columns, depth, element_bytes, scale_bytes in CASES
    ]
    decode = [{"cache": label} | decode_bound(*kernel(DECODE_SOURCE, pattern)) for label, pattern in DECODE_CASES]
    attention = [
        {"pass": label} | attention_bound(label, *kernel(source, pattern), d_qk)
        for label, source, pattern, d_qk in ATTENTION_CASES
    ]
    on_mma = [
        {"pass": label} | mma_bound(label, *kernel(source, pattern), *rest)
        for label, source, pattern, *rest in MMA_CASES
    ]
    return {
        "grouped_gemm/sm90": products,
        "mla_decode/sm90": decode,
        "attention/sm90": attention,
        "attention": on_mma,
    }


def markdown(rows):
    keys = list(rows[0])
    lines = ["| " + " | ".join(keys) + " |", "|---" * len(keys) + "|"]
    lines += ["| " + " | ".join(str(row[key]) for key in keys) + " |" for row in rows]
    return "\n".join(lines) + "\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--nvcc", default=shutil.which("nvcc") or "/usr/local/cuda/bin/nvcc")
    parser.add_argument("--nvdisasm", default=find_nvdisasm())
    parser.add_argument("--write", action="store_true")
    arguments = parser.parse_args()
    if not arguments.nvdisasm:
        print("nvdisasm not found (pip install nvidia-cuda-nvdisasm): the table is not checked")
        return SKIPPED
    release = re.search(r"V(\d+\.\d+\.\d+)", run([arguments.nvcc, "--version"]))[1]
    problems = 0
    for kernel, rows in measure(arguments.nvcc, arguments.nvdisasm).items():
        table = f"{markdown(rows)}\nnvcc {release}\n"
        print(table)
        problems += judge(rows)
        problems += compare(ROOT / "kernels" / kernel / "README.md", table, release, arguments.write)
    return 1 if problems else 0


def judge(rows):
    short = [row for row in rows if float(row["bound"]) < LEAST.get(next(iter(row.values())), 0)]
    for row in short:
        label = next(iter(row.values()))
        print(f"{label}: bound {row['bound']}, expected {LEAST[label]} or more")
    return len(short)


def compare(readme, table, release, writes):
    text = readme.read_text()
    begin, end = text.index(BEGIN) + len(BEGIN), text.index(END)
    if writes:
        readme.write_text(text[:begin] + table + text[end:])
    elif f"nvcc {release}\n" not in text[begin:end]:
        print(f"the table of {readme} is of another release of nvcc: not compared")
    elif text[begin:end] != table:
        print(f"{readme} holds another table (scripts/sass_bounds.py --write)")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
