"""When a file with smaller numbers brings nothing, bench and report say so."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgekit.cli.bench import describe
from edgekit.documents.bench import BenchResult, Latency
from edgekit.report.model.sessions import bench_document, not_worth_it, worth_text

ROUNDS = 16


def rounds(milliseconds: float, seed: int) -> tuple[tuple[int, ...], ...]:
    random = np.random.default_rng(seed)
    return tuple(tuple((random.normal(1, 0.01, 8) * milliseconds * 1e6).astype(int).tolist()) for _ in range(ROUNDS))


def measured(key: str, milliseconds: float, size: int, session: str = "s", unstable: tuple[str, ...] = ()) -> Any:
    file_format, scheme = key.split("-")
    a, b = rounds(5, 100), rounds(5, 101)
    control = {"model": "run/tflite-fp32", "threads": 1, "rounds_a": a, "rounds_b": b}
    document = {
        "status": "ok", "problems": [], "run_id": "run", "backbone": "mobilenetv2", "strategy": "fine-tuning",
        "seed": 0, "alpha": 1.0, "format": file_format, "scheme": scheme, "key": key, "id": f"run/{key}",
        "target": "local", "session_id": session, "size_bytes": size, "gzip_bytes": size, "sha256": key,
        "accuracy": None, "control": [control], "runtime": None, "protocol": {"name": "quick"}, "memory": None,
        "emulated": False, "model": f"{key}.bin",
    }  # fmt: skip
    latency = Latency(1, 1.0, 1, 1, (), rounds(milliseconds, len(key)), (), (), unstable)
    return BenchResult(Path(f"{key}.json"), document, (latency,))


FP32 = measured("tflite-fp32", 10, 100)


@pytest.mark.parametrize(
    ("result", "reasons"),
    [
        (measured("tflite-int8", 5, 30), []),
        (measured("tflite-int8", 15, 30), ["slower"]),
        (measured("tflite-fp16", 10, 50), ["no faster"]),
        (measured("tflite-int8", 5, 100), ["no smaller"]),
        (measured("tflite-int8", 15, 120), ["no smaller", "slower"]),
        (measured("onnx-int8", 15, 30), []),  # another format is another runtime: no twin here
        (measured("tflite-int8", 15, 30, session="another"), []),
        (measured("tflite-int8", 15, 30, unstable=("busy",)), []),
    ],
)
def test_a_file_is_compared_with_its_own_fp32(result, reasons):
    found = not_worth_it([FP32, result])
    assert [entry["reason"] for entry in found] == [f"{reason} than its fp32 file" for reason in reasons]
    assert all((entry["model"], entry["fp32"]) == (result.id, FP32.id) for entry in found)


def test_a_large_file_that_packs_better_is_given_its_due():
    pruned = measured("tflite-int8", 5, 100)
    pruned.document.update(size_bytes=59_396_000, gzip_bytes=32_900_000)
    fp32 = measured("tflite-fp32", 10, 100)
    fp32.document.update(size_bytes=59_400_000, gzip_bytes=54_700_000)
    (entry,) = not_worth_it([fp32, pruned])
    assert worth_text(entry) == "no smaller than its fp32 file (as gzip 32.9 of 54.7 MB)"


def test_the_ratio_has_its_interval():
    (entry,) = not_worth_it([measured("tflite-int8", 15, 30), FP32])
    low, high = entry["ratio_ci95"]
    assert low <= entry["ratio"] <= high
    assert (low, high) == pytest.approx((1.5, 1.5), rel=0.02)
    assert worth_text(entry).startswith("slower than its fp32 file with 1 thread: 1.")


def test_bench_says_it_in_80_columns():
    results = [FP32, measured("tflite-int8", 15, 120)]
    text = describe(results, bench_document(results))
    assert "not worth it here:\n  mobilenetv2 tflite-int8: no smaller than its fp32 file" in text
    assert max(map(len, text.splitlines())) <= 80


def test_what_fell_back_is_named():
    slow = measured("tflite-int8", 15, 30)
    slow.document["operators"] = {"counts": {"CONV_2D": 3, "ADD": 2}, "float": {"ADD": 2, "MUL": 1}}
    slow.document["runtime"] = {"name": "litert", "version": "2.3.0", "delegate": "XNNPACK"}
    slow.document["profile"] = {
        "reason": None, "runtime": "litert", "version": "2.3.0", "threads": 1, "run_ns": [10_000, 10_000],
        "nodes": [{"name": "0", "operator": "QUANTIZE", "where": "LiteRT", "ns": [1_000, 1_000]},
                  {"name": "1", "operator": "Convolution", "where": "XNNPACK", "ns": [9_000, 9_000]}],
    }  # fmt: skip
    (entry,) = not_worth_it([FP32, slow])
    assert entry["fell_back"] == ["computes in floats: ADD x2, MUL", "left by XNNPACK: QUANTIZE (10.0% of the time)"]
    text = describe([FP32, slow], bench_document([FP32, slow]))
    assert "ADD x2" in text
    assert max(map(len, text.splitlines())) <= 80


def test_a_runtime_without_its_delegate_is_named():
    slow = measured("tflite-int8", 15, 30)
    slow.document["runtime"] = {"name": "litert", "version": "2.3.0", "delegate": "none"}
    assert worth_text(not_worth_it([FP32, slow])[0]).endswith("; runs without XNNPACK")


def test_floats_are_no_fault_of_files_that_are_meant_to_have_them():
    slow = measured("tflite-fp16", 15, 30)
    slow.document["operators"] = {"counts": {"CONV_2D": 3}, "float": {"CONV_2D": 3}}
    assert not_worth_it([FP32, slow])[0]["fell_back"] == []
