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
import functools
import glob
import math
import re
import shutil
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import NamedTuple

from check_ptxas import ROOT, compile_kernels, demangle, run

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

# Each case: what a table calls it, source, pattern of the kernel's name, and what its bound asks for.

# Products of DeepSeek-V3's experts (up and gate: n 4096, k 7168): columns of the output, reduction (rows of an expert:
# 4096), bytes of an element, bytes of scales in a stage.
PRODUCTS = (
    ("bf16 forward", "grouped_gemm/sm90/bf16.cu", r"rows_kernel<.*, 0, 0, 0>", 4096, 7168, 2, 0),
    ("bf16 input gradient", "grouped_gemm/sm90/bf16.cu", r"rows_kernel<.*, 0, 1, 0>", 7168, 4096, 2, 0),
    ("bf16 weight gradient", "grouped_gemm/sm90/bf16.cu", r"weight_gradient_kernel", 7168, 4096, 2, 0),
    ("fp8 forward", "grouped_gemm/sm90/fp8.cu", r"rows_kernel", 4096, 7168, 1, 4 * ROWS),
    ("fp8 input gradient", "grouped_gemm/sm90/fp8.cu", r"rows_kernel", 7168, 4096, 1, 4 * ROWS),
    ("fp8 weight gradient", "grouped_gemm/sm90/fp8.cu", r"weight_gradient_kernel", 7168, 4096, 1, 4 * (ROWS + 192)),
)

DECODES = (
    ("bf16 cache, 128 heads", "mla_decode/sm90/mla_decode.cu", r"mla_decode_kernel<.*Variant<false, 2>"),
    ("fp8 cache, 128 heads", "mla_decode/sm90/mla_decode.cu", r"mla_decode_kernel<.*Variant<true, 1>"),
)
KEY_DIM, LATENT, TOKENS, SEQUENCE = 576, 512, 64, 4096
# Products of a warpgroup for a pair of tiles: the scores of one, half of the outputs of both. Columns: how many.
PAIR_PRODUCTS = Counter({TOKENS: KEY_DIM // 16, LATENT // 2: 2 * TOKENS // 16})

# Attention in training: columns of q and k.
ATTENTION = (
    ("forward 192/128", "attention/sm90/forward.cu", r"forward_kernel<.*192", 192),
    ("forward 128/128", "attention/sm90/forward.cu", r"forward_kernel<.*128", 128),
    ("backward 192/128", "attention/sm90/backward.cu", r"backward_kernel<.*192", 192),
    ("backward 128/128", "attention/sm90/backward.cu", r"backward_kernel<.*128", 128),
)
D_V, BLOCK, QUERIES, CAUSAL = 128, 128, 64, 8192
EXPONENTIALS_PER_CYCLE = 16

# The same on mma.sync: columns of q and k, rows of a step, whether a block is of keys and adds to the queries.
ATTENTION_ON_MMA = (
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


class Kernel(NamedTuple):
    name: str
    code: list  # instructions
    labels: dict  # label -> index

    @property
    def is_forward(self):
        return "forward" in self.name

    def loops(self):
        """(begin, end) of each backward branch, the smallest first."""
        found = []
        for at, text in enumerate(self.code):
            target = re.search(r"\bBRA.*`\((\.L_\S+)\)", text)
            if target and self.labels.get(target[1], at) < at:
                found.append((self.labels[target[1]], at + 1))
        return sorted(found, key=lambda loop: loop[1] - loop[0])

    def around(self, pattern, count):
        """The innermost `count` loops around the first instruction like `pattern`."""
        at = next(i for i, text in enumerate(self.code) if re.search(pattern, text))
        return [loop for loop in self.loops() if loop[0] <= at < loop[1]][:count]

    def consumers(self):
        """What the multiplying warps run, once they have their registers."""
        return self.code[next(i for i, text in enumerate(self.code) if "TRY_ALLOC" in text) :]


def kernels(text):
    """Of a disassembly."""
    name, code, labels = None, [], {}
    for line in text.splitlines():
        if line.startswith(".text."):
            if name:
                yield Kernel(name, code, labels)
            name, code, labels = line.strip().removeprefix(".text.").rstrip(":"), [], {}
        elif match := LABEL.match(line):
            labels[match[1]] = len(code)
        elif match := INSTRUCTION.search(line):
            code.append(match[1].strip())
    if name:
        yield Kernel(name, code, labels)


def count(loop, pattern):
    return sum(re.search(pattern, text) is not None for text in loop)


def widths_of(loop):
    return Counter(int(match[1]) for text in loop if (match := PRODUCT.search(text)))


def tensor_cycles(loop):
    """Of two warpgroups: N / 2 each."""
    return sum(n * times for n, times in widths_of(loop).items())


def shared_reads(loop):
    """Bytes that the products of a loop read: 64 x 32 of the first operand, unless it lies in registers."""
    in_registers = count(loop, r"GMMA\S* R\d+, R\d+, gdesc")
    return 32 * (tensor_cycles(loop) + 64 * (widths_of(loop).total() - in_registers))


def causal_steps(rows):
    """Steps of `rows` that a block takes of a causal sequence, on average, and the share of their scores it needs."""
    blocks = CAUSAL // BLOCK
    steps = sum(math.ceil((block + 1) * BLOCK / rows) for block in range(blocks)) / blocks
    return steps, CAUSAL / 2 / (steps * rows)


def table_row(tile, steps, tensor, shared_bytes, issue, outside, from_l2, alone=0, exponentials=None, used=None):
    """From what one step takes (`alone`: a warpgroup by itself). `used`: the share of it that counts, by column.
    The tables of attention, whose steps are an average, show one step, the others all of a tile."""
    shown = steps if isinstance(steps, int) else 1
    shared = shared_bytes / SHARED_BYTES_PER_CYCLE
    cycles = max(tensor, shared, issue, alone, exponentials or 0)
    used = used or {}
    return {
        "tile": tile,
        "steps": steps if isinstance(steps, int) else f"{steps:.1f}",
        "tensor cycles": shown * tensor,
        "shared KiB": round(shown * shared_bytes / 1024),
        "shared cycles": round(shown * shared),
        **({} if exponentials is None else {"exponential cycles": exponentials}),
        "issue slots": shown * issue,
        "outside": outside,
        "L2 bytes/cycle": f"{from_l2 / cycles:.0f}",
        **{name: f"{share:.3f}" for name, share in used.items()},
        "bound": f"{steps * tensor * math.prod(used.values()) / (steps * cycles + outside):.2f}",
    }


def product_bound(kernel, columns, depth, element_bytes, scale_bytes):
    (begin, end), (tile_begin, tile_end) = kernel.around(PRODUCT, 2)
    ((copy_begin, copy_end),) = kernel.around("UTMALDG", 1)
    loop = kernel.code[begin:end]
    width = next(iter(widths_of(loop)))
    steps = math.ceil(depth * element_bytes / ROW_BYTES)
    copied = (ROWS + width) * ROW_BYTES + scale_bytes
    loads = MULTIPLYING_WARPS * SHARED_BYTES_PER_CYCLE * count(loop, r"\bLDS")
    tensor = tensor_cycles(loop)
    return table_row(
        f"{ROWS} x {width}",
        steps,
        tensor,
        shared_bytes=2 * shared_reads(loop) + copied + loads,
        issue=WARPS_PER_SCHEDULER * len(loop) + copy_end - copy_begin,
        alone=tensor / 2 + len(loop),
        outside=WARPS_PER_SCHEDULER * (tile_end - tile_begin - len(loop)),
        from_l2=(ROWS / CLUSTER + width) * ROW_BYTES + scale_bytes,
        used={"columns used": columns / (math.ceil(columns / width / CLUSTER) * width * CLUSTER)},
    )


def decode_bound(kernel):
    found = [kernel.code[begin:end] for begin, end in kernel.loops()]
    scoring = [loop for loop in found if widths_of(loop) == PAIR_PRODUCTS][:2]
    others = [loop for loop in found if not widths_of(loop)]
    expanding = [loop for loop in others if count(loop, "PRMT") > TOKENS // 2]
    if expanding:  # fp8: a tile is two runs of the inner loop
        bringing = len(expanding[0]) + len(expanding[1])
    else:  # bf16: a copy for each 64 columns, by one of the cluster's blocks
        bringing = next(len(loop) for loop in others if count(loop, "UTMALDG") == KEY_DIM // 64)
    tensor = sum(map(tensor_cycles, scoring)) // 2
    # A warp stores or loads 512 bytes by STSM and 128 by others.
    small = sum(4 * 512 * count(loop, r"\bSTSM") + 4 * 128 * count(loop, r"\b(LDS|STS)\b") for loop in scoring)
    tile_bytes = TOKENS * KEY_DIM * 2
    steps = SEQUENCE // (2 * TOKENS)
    return table_row(
        f"64 x {SEQUENCE}",
        steps,
        tensor,
        shared_bytes=sum(map(shared_reads, scoring)) + 2 * tile_bytes + small,
        issue=sum(map(len, scoring)) + 2 * bringing,
        alone=max(tensor / 2 + len(loop) for loop in scoring),
        outside=len(kernel.consumers()) - sum(map(len, scoring)),
        from_l2=2 * (TOKENS * 656 if expanding else tile_bytes / CLUSTER),
    )


def attention_bound(kernel, d_qk):
    # Scores and values; or scores, their gradients, and those of values, keys and queries.
    products = d_qk // 16 + (BLOCK // 16 if kernel.is_forward else D_V // 16 + 2 * QUERIES // 16 + BLOCK // 16)
    found = [kernel.code[begin:end] for begin, end in kernel.loops()]
    loop = next(loop for loop in found if widths_of(loop).total() == products)
    producing = next(loop for loop in found if count(loop, "UTMALDG"))
    rows = BLOCK if kernel.is_forward else QUERIES  # of a step's copies
    copied = rows * (d_qk + D_V) * 2
    added = 0 if kernel.is_forward else QUERIES * d_qk * 4
    small = MULTIPLYING_WARPS * (512 * count(loop, r"\bSTSM") + 128 * count(loop, r"\bLDS"))
    tensor = tensor_cycles(loop)
    steps, used = causal_steps(rows)
    return table_row(
        f"{BLOCK} x {rows}",
        steps,
        tensor,
        shared_bytes=2 * shared_reads(loop) + copied + small,
        exponentials=count(loop, r"MUFU\.EX2") * MULTIPLYING_WARPS * 32 // EXPONENTIALS_PER_CYCLE,
        issue=WARPS_PER_SCHEDULER * len(loop) + len(producing),
        alone=tensor / 2 + len(loop),
        outside=WARPS_PER_SCHEDULER * (len(kernel.consumers()) - len(loop)),
        from_l2=copied + added,
        used={"scores used": used},
    )


def mma_bound(kernel, d_qk, step, is_keys, adds):
    warps = 4 if kernel.is_forward else 8
    found = kernel.loops()
    begin, end = [loop for loop in found if count(kernel.code[slice(*loop)], "HMMA")][-1]
    inner = sorted(loop for loop in found if begin <= loop[0] and loop[1] < end)
    turns = (d_qk // UNROLLED, D_V // UNROLLED)  # scores, their gradients
    loop = kernel.code[begin:end] + [
        text for (first, last), n in zip(inner, turns, strict=False) for text in kernel.code[first:last] * (n - 1)
    ]
    # Scores and outputs; or scores, their gradients and those of keys or queries, of values, of the step's queries.
    columns = d_qk + D_V if kernel.is_forward else 2 * d_qk + D_V + D_V * is_keys + d_qk * adds
    products = count(loop, "HMMA") * warps
    if products * MMA_FLOP != 2 * BLOCK * step * columns:
        sys.exit(f"{kernel.name}: {products} products in a step, expected {2 * BLOCK * step * columns // MMA_FLOP}")
    moved = 512 * count(loop, r"LDSM|LDGSTS\S*\.128|LDS\.128") + 256 * count(loop, r"LDS\.64")
    steps, used = causal_steps(step)
    return table_row(
        f"{BLOCK} x {step}",
        steps,
        products * MMA_FLOP // A100_FLOP_PER_CYCLE,
        shared_bytes=warps * (moved + 128 * count(loop, r"\bSTS\b|\bLDS\b |LDGSTS\.E \[")),
        exponentials=count(loop, r"MUFU\.EX2") * warps * 32 // EXPONENTIALS_PER_CYCLE,
        issue=warps // SCHEDULERS * len(loop),
        outside=warps // SCHEDULERS * (len(kernel.code) - (end - begin)),
        from_l2=step * (d_qk + D_V) * 2 + step * d_qk * 4 * adds,
        used={"scores used": used},
    )


# README: what its first column is called, architecture, bound, cases.
TABLES = {
    "grouped_gemm/sm90": ("pass", "sm_90a", product_bound, PRODUCTS),
    "mla_decode/sm90": ("cache", "sm_90a", decode_bound, DECODES),
    "attention/sm90": ("pass", "sm_90a", attention_bound, ATTENTION),
    "attention": ("pass", "sm_80", mma_bound, ATTENTION_ON_MMA),
}


@functools.cache
def disassembled(nvcc, nvdisasm, source, arch):
    with tempfile.TemporaryDirectory() as folder:
        cubin = Path(folder) / "kernel.cubin"
        compile_kernels(nvcc, ROOT / "kernels" / source, arch, cubin)
        found = list(kernels(run([nvdisasm, "-c", cubin])))
    names = demangle([kernel.name for kernel in found])
    return [kernel._replace(name=names[kernel.name]) for kernel in found]


def measure(nvcc, nvdisasm):
    """README -> rows of its table."""
    rows = {}
    for readme, (first, arch, bound, cases) in TABLES.items():
        rows[readme] = []
        for label, source, pattern, *asked in cases:
            found = disassembled(nvcc, nvdisasm, source, arch)
            kernel = next(kernel for kernel in found if re.search(pattern, kernel.name))
            rows[readme].append({first: label} | bound(kernel, *asked))
    return rows


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
