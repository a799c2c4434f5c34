"""Bench and report flag conversions with no measurable benefit."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edgekit.cli.render.bench_tables import bench_text
from edgekit.documents.bench import (
    BenchDocument,
    BenchResult,
    FileOperators,
    RuntimeRecord,
)
from edgekit.documents.latency import Block, ControlRecord, Latency, MeasuredProcess, ProtocolRecord
from edgekit.documents.machine import EnvironmentRecord, MachineEnvironment
from edgekit.documents.profile import OperatorNode, OperatorProfile
from edgekit.report.model.sessions import bench_summary, no_benefit_text, without_benefit

PROCESSES, ROUNDS = 4, 4
PROTOCOL = ProtocolRecord(name="quick", repeats=4, rounds=4, block_runs=8, block_ns=0, warmup_runs=0, warmup_ns=0)


def processes(milliseconds: float, seed: int) -> tuple[MeasuredProcess, ...]:
    random = np.random.default_rng(seed)

    def block(number: int) -> Block:
        return Block(round=number, ns=tuple((random.normal(1, 0.01, 8) * milliseconds * 1e6).astype(int).tolist()))

    return tuple(
        MeasuredProcess(number=n, load_ns=1, first_ns=1, warmup_ns=(), blocks=tuple(map(block, range(ROUNDS))))
        for n in range(PROCESSES)
    )


def measured(
    key: str, milliseconds: float, size: int, session: str = "s", unstable: tuple[str, ...] = (), **changes: object
) -> BenchResult:
    file_format, scheme = key.split("-")
    control = ControlRecord(model="run/tflite-fp32", threads=1, first=processes(5, 100), second=processes(5, 101))
    latency = Latency(
        threads=1, threads_effective=1.0, processes=processes(milliseconds, len(key)),
        preprocess_ns=(), postprocess_ns=(), unstable=unstable,
    )  # fmt: skip
    document = BenchDocument(
        status="ok", problems=(), run_id="run", backbone="mobilenetv2", alpha=1.0, strategy="fine-tuning", seed=0,
        format=file_format, scheme=scheme, key=key, id=f"run/{key}", model=f"{key}.bin", size_bytes=size,
        gzip_bytes=size, sha256=key, target="local", emulated=False, session_id=session, created="", runtime=None,
        protocol=PROTOCOL, latency=(latency,), memory=None, accuracy=None, control=(control,),
        environment=EnvironmentRecord(before=MachineEnvironment(), after=MachineEnvironment()),
    )  # fmt: skip
    return BenchResult(Path(f"{key}.json"), document.model_copy(update=changes))


FP32 = measured("tflite-fp32", 10, 100)


@pytest.mark.parametrize(
    ("result", "reasons"),
    [
        (measured("tflite-int8", 5, 30), []),
        (measured("tflite-int8", 15, 30), ["slower"]),
        (measured("tflite-fp16", 10, 50), ["no faster"]),
        (measured("tflite-int8", 5, 100), ["no smaller"]),
        (measured("tflite-int8", 15, 120), ["no smaller", "slower"]),
        (measured("onnx-int8", 15, 30), []),  # another format is another runtime: no counterpart here
        (measured("tflite-int8", 15, 30, session="another"), []),
        (measured("tflite-int8", 15, 30, unstable=("busy",)), []),
    ],
)
def test_a_file_is_compared_with_its_own_fp32(result, reasons):
    found = without_benefit([FP32, result])
    assert [entry.reason for entry in found] == [f"{reason} than its fp32 file" for reason in reasons]
    assert all((entry.model, entry.fp32) == (result.id, FP32.id) for entry in found)


def test_a_large_file_that_compresses_better_says_so():
    pruned = measured("tflite-int8", 5, 59_396_000, gzip_bytes=32_900_000)
    fp32 = measured("tflite-fp32", 10, 59_400_000, gzip_bytes=54_700_000)
    (entry,) = without_benefit([fp32, pruned])
    assert no_benefit_text(entry) == "no smaller than its fp32 file (compressed with gzip: 32.9 of 54.7 MB)"


def test_the_ratio_has_its_interval():
    (entry,) = without_benefit([measured("tflite-int8", 15, 30), FP32])
    low, high = entry.ratio_ci95
    assert low <= entry.ratio <= high
    assert (low, high) == pytest.approx((1.5, 1.5), rel=0.02)
    assert no_benefit_text(entry).startswith("slower than its fp32 file with 1 thread: 1.")


def test_bench_shows_it_in_80_columns():
    results = [FP32, measured("tflite-int8", 15, 120)]
    text = bench_text(results, bench_summary(results))
    assert "conversions with no measurable benefit:\n  mobilenetv2 tflite-int8: no smaller than its fp32 file" in text
    assert max(map(len, text.splitlines())) <= 80


def test_what_fell_back_is_named():
    nodes = (
        OperatorNode(name="0", operator="QUANTIZE", where="LiteRT", ns=(1_000, 1_000)),
        OperatorNode(name="1", operator="Convolution", where="XNNPACK", ns=(9_000, 9_000)),
    )
    slow = measured(
        "tflite-int8",
        15,
        30,
        operators=FileOperators(counts={"CONV_2D": 3, "ADD": 2}, float={"ADD": 2, "MUL": 1}),
        runtime=RuntimeRecord(name="litert", version="2.3.0", delegate="XNNPACK"),
        profile=OperatorProfile(
            reason=None, runtime="litert", version="2.3.0", threads=1, run_ns=(10_000, 10_000), nodes=nodes
        ),
    )
    (entry,) = without_benefit([FP32, slow])
    assert entry.fell_back == ("computes in float: ADD x2, MUL", "not run by XNNPACK: QUANTIZE (10.0% of the time)")
    text = bench_text([FP32, slow], bench_summary([FP32, slow]))
    assert "ADD x2" in text
    assert max(map(len, text.splitlines())) <= 80


def test_a_runtime_without_its_delegate_is_named():
    slow = measured("tflite-int8", 15, 30, runtime=RuntimeRecord(name="litert", version="2.3.0", delegate="none"))
    assert no_benefit_text(without_benefit([FP32, slow])[0]).endswith("; runs without XNNPACK")


def test_float_operators_are_expected_in_float_files():
    operators = FileOperators(counts={"CONV_2D": 3}, float={"CONV_2D": 3})
    slow = measured("tflite-fp16", 15, 30, operators=operators)
    assert without_benefit([FP32, slow])[0].fell_back == ()
