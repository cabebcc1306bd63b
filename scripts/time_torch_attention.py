#!/usr/bin/env python3
"""Times PyTorch's attention and FlashAttention at the shapes of a results file of traincost_bench, on the same card,
and writes the same rows: PyTorch's scaled_dot_product_attention with each of its backends, flash_attn (2) and
flash_attn_interface (3), whichever are installed. Shapes, FLOPs, bytes and floors are those of the rows read.

    scripts/time_torch_attention.py --rows results/measured/h100-sxm5-80gb/FILE.json --out FILE-torch.json

An answer is compared with fp64 at 512 tokens of the same heads before it is timed; what a backend does not take becomes
a row with its error. Without PyTorch or a GPU: one line, exit 3.
"""

import argparse
import importlib
import json
import statistics
import sys
from pathlib import Path

NOTHING_TIMED = 3
MODES = ("cold", "hot")
CHECKED_TOKENS = 512
COSINE = 1e-4  # as the cases' own tolerance
SAMPLES = 30
LAUNCHES = {"cold": 1, "hot": 10}  # of a sample
HEAD_START_CYCLES = 2_000_000  # the card sleeps a millisecond, while the host enqueues
MEASURED = ("p25_s", "p75_s", "p95_s", "relative_deviation", "samples", "discarded", "throttled", "settled",
            "sm_clock_hz", "temperature_c", "power_w", "real_time", "cpu_time")  # fmt: skip


def words(label):
    return dict(word.split("=", 1) for word in label.split() if "=" in word)


def wanted(results):
    """One row of each shape, pass and mode of attention: (row, words of its label)."""
    found = {}
    for row in results["benchmarks"]:
        label = words(row.get("label", ""))
        if label.get("op") == "attention" and label.get("mode") in MODES and not row.get("error_occurred"):
            case, _, dtype, shape, mode = row["name"].split("/iterations:")[0].split("/")
            found.setdefault((case, dtype, shape, mode), (row, label))
    return found


def row_of(key, row, label, provider, outcome):
    """The row with another provider and its times: a list of seconds, or why there is none."""
    case, dtype, shape, mode = key
    new = {name: value for name, value in row.items() if name not in MEASURED}
    new["name"] = new["run_name"] = f"{case}/{provider}/{dtype}/{shape}/{mode}"
    new["label"] = " ".join(f"{k}={v}" for k, v in (label | {"provider": provider, "code_path": "library"}).items())
    if isinstance(outcome, str):
        return new | {"error_occurred": True, "error_message": outcome}
    median = statistics.median(outcome)
    p25, _, p75 = statistics.quantiles(outcome, n=4, method="inclusive")
    return new | {
        "real_time": median * 1e9,
        "cpu_time": median * 1e9,
        "time_unit": "ns",
        "latency_s": median,
        "p25_s": p25,
        "p75_s": p75,
        "p95_s": statistics.quantiles(outcome, n=20, method="inclusive")[-1],
        "relative_deviation": statistics.stdev(outcome) / median,
        "samples": len(outcome),
        "flop_per_s": row["flop"] / median,
        "bytes_per_s": row["traffic_bytes"] / median,
        "percent_of_floor": 100 * row["floor_s"] / median,
    }


def rows(results, providers, time):
    """time(provider, row, label) gives seconds, or raises."""
    for key, (row, label) in wanted(results).items():
        for provider in providers:
            try:
                outcome = time(provider, row, label)
            except Exception as error:  # whatever a backend says of a shape that it does not take
                outcome = str(error).splitlines()[0] if str(error) else type(error).__name__
            yield row_of(key, row, label, provider, outcome)


def installed(name):
    try:
        return importlib.import_module(name)
    except ImportError:
        return None


def providers_of(torch):
    """name -> attention of q [b, s_q, h_q, d_qk], k, v, is_causal."""

    def sdpa(backend):
        def attend(q, k, v, is_causal):
            q, k, v = (x.transpose(1, 2) for x in (q, k, v))
            with torch.nn.attention.sdpa_kernel(backend):
                out = torch.nn.functional.scaled_dot_product_attention(
                    q, k, v, is_causal=is_causal, enable_gqa=q.shape[1] != k.shape[1]
                )
            return out.transpose(1, 2)

        return attend

    def flash(module):
        def attend(q, k, v, is_causal):
            out = module.flash_attn_func(q, k, v, causal=is_causal)
            return out[0] if isinstance(out, tuple) else out

        return attend

    backends = torch.nn.attention.SDPBackend
    found = {
        "torch_sdpa_flash": sdpa(backends.FLASH_ATTENTION),
        "torch_sdpa_efficient": sdpa(backends.EFFICIENT_ATTENTION),
        "torch_sdpa_cudnn": sdpa(backends.CUDNN_ATTENTION),
    }
    for name, module in {"flash_attention_2": "flash_attn", "flash_attention_3": "flash_attn_interface"}.items():
        if library := installed(module):
            found[name] = flash(library)
    return found


class Card:
    def __init__(self, torch):
        self.torch, self.providers, self.checked = torch, providers_of(torch), {}
        self.flushed = torch.empty(
            2 * torch.cuda.get_device_properties(0).L2_cache_size, dtype=torch.int8, device="cuda"
        )

    def tensors(self, row, s_q, s_kv):
        b, h_q, h_kv, d_qk, d_v = (int(row[k]) for k in ("b", "h_q", "h_kv", "d_qk", "d_v"))
        self.torch.manual_seed(1)
        shapes = ((b, s_q, h_q, d_qk), (b, s_kv, h_kv, d_qk), (b, s_kv, h_kv, d_v), (b, s_q, h_q, d_v))
        q, k, v, grad = (self.torch.rand(s, device="cuda", dtype=self.torch.bfloat16) * 2 - 1 for s in shapes)
        return [x.requires_grad_() for x in (q, k, v)], grad

    def fp64(self, q, k, v, is_causal):
        torch, group = self.torch, q.shape[2] // k.shape[2]
        k, v = (x.repeat_interleave(group, dim=2) for x in (k, v))
        scores = torch.einsum("bihd,bjhd->bhij", q, k) / q.shape[3] ** 0.5
        if is_causal:
            scores = scores.masked_fill(torch.ones_like(scores[0, 0], dtype=torch.bool).triu(1), float("-inf"))
        return torch.einsum("bhij,bjhd->bihd", scores.softmax(-1), v)

    def check(self, provider, row):
        """Output and gradients, once for each provider and set of heads."""
        key = (provider, *(row[k] for k in ("h_q", "h_kv", "d_qk", "d_v", "is_causal")))
        if key not in self.checked:
            inputs, grad = self.tensors(row, CHECKED_TOKENS, CHECKED_TOKENS)
            wide = [x.detach().double().requires_grad_() for x in inputs]
            out = self.providers[provider](*inputs, bool(row["is_causal"]))
            want = self.fp64(*wide, bool(row["is_causal"]))
            got = [out, *self.torch.autograd.grad(out, inputs, grad)]
            wanted_ = [want, *self.torch.autograd.grad(want, wide, grad.double())]
            self.checked[key] = max(self.distance(x.double(), y) for x, y in zip(got, wanted_, strict=True))
        if not self.checked[key] <= COSINE:
            raise ArithmeticError(f"wrong answer: cosine {self.checked[key]:.3g}")

    @staticmethod
    def distance(x, y):
        return float(1 - 2 * (x * y).sum() / ((x * x).sum() + (y * y).sum()))

    def time(self, provider, row, label):
        self.check(provider, row)
        inputs, grad = self.tensors(row, int(row["s_q"]), int(row["s_kv"]))
        attend = self.providers[provider]
        if label["pass"] == "forward":
            with self.torch.no_grad():
                return self.sample(lambda: attend(*inputs, bool(row["is_causal"])), label["mode"])
        out = attend(*inputs, bool(row["is_causal"]))
        return self.sample(lambda: self.torch.autograd.grad(out, inputs, grad, retain_graph=True), label["mode"])

    def sample(self, launch, mode):
        cuda, seconds = self.torch.cuda, []
        for _ in range(3):
            launch()
        for _ in range(SAMPLES):
            begin, end = cuda.Event(enable_timing=True), cuda.Event(enable_timing=True)
            if mode == "cold":
                self.flushed.zero_()
            cuda._sleep(HEAD_START_CYCLES)
            begin.record()
            for _ in range(LAUNCHES[mode]):
                launch()
            end.record()
            cuda.synchronize()
            seconds.append(begin.elapsed_time(end) / 1e3 / LAUNCHES[mode])
        return seconds


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", required=True, type=Path, help="results of traincost_bench on this card")
    parser.add_argument("--out", required=True, type=Path, help="results to write")
    arguments = parser.parse_args()
    torch = installed("torch")
    if torch is None or not torch.cuda.is_available():
        why = "PyTorch is not installed" if torch is None else "PyTorch sees no GPU"
        print(f"time_torch_attention.py: {why}: nothing timed", file=sys.stderr)
        return NOTHING_TIMED
    results = json.loads(arguments.rows.read_text())
    card = Card(torch)
    taken = []
    for row in rows(results, card.providers, card.time):
        print(row["name"], row.get("error_message") or f"{row['latency_s'] * 1e6:.2f} us", file=sys.stderr)
        taken.append(row)
    context = results["context"] | {"torch": torch.__version__}
    arguments.out.write_text(json.dumps({"context": context, "benchmarks": taken}, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
