"""The rows of scripts/time_torch_attention.py, without PyTorch: from a results file to `traincost calibrate`. The first
argument is the program."""

import json
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SCRIPT = ROOT / "scripts" / "time_torch_attention.py"
sys.path.insert(0, str(SCRIPT.parent))
import time_torch_attention  # noqa: E402

PROGRAM = sys.argv.pop() if len(sys.argv) > 1 else "build/release/traincost"


def row(case, mode, direction, error=False):
    shape = {"b": 1, "s_q": 8192, "s_kv": 8192, "h_q": 128, "h_kv": 128, "d_qk": 192, "d_v": 128, "is_causal": 1}
    flop = 2.0 * 128 * 8192**2 * (320 if direction == "forward" else 832) / 2
    label = f"case={case} provider=cudnn dtype=bf16 mode={mode} op=attention pass={direction} code_path=library"
    measured = {"latency_s": 0.01, "real_time": 1e7, "time_unit": "ns", "sm_clock_hz": 1.7e9, "power_w": 600.0}
    return {
        "name": f"{case}/cudnn/bf16/deepseek-v3_s=8192/{mode}/iterations:1/manual_time",
        "run_type": "iteration",
        "label": label,
        "flop": flop,
        "traffic_bytes": 1.3e9,
        "floor_s": flop / 989.4e12,
        **shape,
        **({"error_occurred": True} if error else measured),
    }


RESULTS = {
    "context": {"chip": "h100-sxm5-80gb", "commit": "0", "date": "2026-11-25T00:00:00+00:00"},
    "benchmarks": [
        row("mla_attention", "cold", "forward"),
        row("mla_attention", "hot", "forward"),
        row("mla_attention", "graph", "forward"),
        row("mla_attention_backward", "cold", "backward"),
        row("attention", "cold", "forward", error=True),
        {"name": "gemm/cublaslt/bf16/m=1/cold", "label": "op=gemm mode=cold", "latency_s": 1.0},
    ],
}


def time(provider, taken, label):
    if provider == "narrow":
        raise RuntimeError("head_dim 192 is not supported\nand more lines")
    return [0.008 + 1e-5 * i for i in range(10)]


class Rows(unittest.TestCase):
    def setUp(self):
        self.rows = list(time_torch_attention.rows(RESULTS, ["torch_sdpa_cudnn", "narrow"], time))

    def test_each_shape_pass_and_mode_once_for_each_provider(self):
        names = [r["name"] for r in self.rows]
        self.assertEqual(len(names), 6)
        self.assertEqual(names[0], "mla_attention/torch_sdpa_cudnn/bf16/deepseek-v3_s=8192/cold")
        self.assertIn("mla_attention_backward/narrow/bf16/deepseek-v3_s=8192/cold", names)

    def test_times_are_the_providers_own(self):
        first = self.rows[0]
        self.assertAlmostEqual(first["latency_s"], 0.008045)
        self.assertAlmostEqual(first["flop_per_s"] * first["latency_s"] / first["flop"], 1)
        self.assertIn("provider=torch_sdpa_cudnn", first["label"])
        self.assertNotIn("cudnn dtype", first["label"].replace("torch_sdpa_cudnn", ""))
        for other in ("sm_clock_hz", "power_w"):
            self.assertNotIn(other, first)

    def test_what_a_backend_refuses_is_a_row_with_its_error(self):
        refused = self.rows[1]
        self.assertEqual(refused["error_message"], "head_dim 192 is not supported")
        self.assertNotIn("real_time", refused)

    def test_the_program_reads_them(self):
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "torch.json"
            file.write_text(json.dumps({"context": RESULTS["context"], "benchmarks": self.rows}))
            fitted = Path(folder) / "fitted.json"
            command = [PROGRAM, "calibrate", file, "-o", fitted]
            done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
            self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
            ratios = {r["arch"]: r for r in json.loads(fitted.read_text())["ratios"]}
            self.assertEqual(ratios["Hopper"]["name"], "attention_mla_backward")
            self.assertAlmostEqual(ratios["Hopper"]["value"], 832 / 320)  # both passes took as long


class Program(unittest.TestCase):
    def test_without_pytorch_one_line(self):
        if time_torch_attention.installed("torch"):
            self.skipTest("PyTorch is installed")
        command = [sys.executable, SCRIPT, "--rows", "none.json", "--out", "none.json"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        self.assertEqual(done.returncode, 3)
        self.assertEqual(done.stderr, "time_torch_attention.py: PyTorch is not installed: nothing timed\n")


if __name__ == "__main__":
    unittest.main()
