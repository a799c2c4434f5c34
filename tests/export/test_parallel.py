"""Exports use all cores for many images, and find exactly what one core finds."""

from __future__ import annotations

import threading

import numpy as np
import pytest

from edgekit.export import parallel
from edgekit.export.network import TrainedNetwork, load_network
from edgekit.export.onnx.calibration import calibrated_ranges, quantized_types
from edgekit.export.parallel import for_each
from edgekit.recipe import Calibration


def test_results_come_in_order_and_none_is_lost():
    assert list(for_each(lambda n: n * n, range(200), 1)) == [n * n for n in range(200)]
    assert list(for_each(str, [], 1)) == []


def test_few_results_wait():
    """Memory does not grow with the number of images."""
    started = 0
    lock = threading.Lock()

    def count(number: int) -> int:
        nonlocal started
        with lock:
            started += 1
        return number

    results = for_each(count, range(10_000), 10**15)  # so much memory that only one may run
    assert next(results) == 0
    assert started < 20
    results.close()


def test_an_error_ends_the_others():
    def fail(number: int) -> int:
        if number == 3:
            raise ValueError("three")
        return number

    with pytest.raises(ValueError, match="three"):
        list(for_each(fail, range(100_000), 1))


@pytest.fixture(scope="module")
def network(finished_run) -> TrainedNetwork:
    return load_network(finished_run, finished_run.read_finished_run())


@pytest.fixture(scope="module")
def images() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (12, 32, 32, 3), np.uint8)


def test_onnx_ranges_are_those_of_the_official_calibrator(network, images, tmp_path):
    import onnx
    from onnxruntime.quantization.calibrate import CalibrationMethod, create_calibrator

    from edgekit.export.head_folding import fold_head
    from edgekit.export.onnx.calibration import _reader
    from edgekit.export.onnx.layers import build_onnx

    model = build_onnx(fold_head(network.keras_model), 32)
    onnx.save_model(model, tmp_path / "fp32.onnx")
    official = create_calibrator(
        tmp_path / "fp32.onnx",
        quantized_types(),
        augmented_model_path=str(tmp_path / "augmented.onnx"),
        calibrate_method=CalibrationMethod.MinMax,
    )
    official.collect_data(_reader(images))
    expected = official.compute_data().data
    found = calibrated_ranges(model, images, Calibration(), quantized_types()).data
    assert set(found) == set(expected)
    assert len(found) > 60
    for name, data in expected.items():
        for mine, theirs in zip(found[name].range_value, data.range_value):
            assert mine.dtype == theirs.dtype
            assert mine.tobytes() == theirs.tobytes(), name


def test_files_do_not_depend_on_the_number_of_cores(network, images, monkeypatch):
    from edgekit.export.base import ExportFacts
    from edgekit.export.makers import Makers
    from edgekit.recipe import Export

    facts = ExportFacts("t", "r", "mobilenetv2", network.labels, 32, "stretch")
    made = {}
    for cores in (1, 3):
        monkeypatch.setattr(parallel, "all_cores", lambda cores=cores: cores)
        makers = Makers(network, images, facts, Export())
        made[cores] = {name: makers.of(name).make("int8") for name in ("tflite", "onnx")}
    assert made[1] == made[3]


def test_formats_share_what_is_computed(network, images, monkeypatch):
    """``onnx-int8-tflite`` is converted from the TFLite file: it used to convert and calibrate the network again."""
    pytest.importorskip("tf2onnx")
    from edgekit.export.base import ExportFacts
    from edgekit.export.makers import Makers
    from edgekit.export.tflite import maker as tflite_maker
    from edgekit.recipe import Export

    calls = []
    with_ranges = tflite_maker.with_ranges
    monkeypatch.setattr(tflite_maker, "with_ranges", lambda *given: calls.append(1) or with_ranges(*given))
    makers = Makers(network, images, ExportFacts("t", "r", "m", network.labels, 32, "stretch"), Export())
    for file_format, scheme in (("tflite", "int8"), ("onnx", "int8-tflite")):
        makers.of(file_format).make(scheme)
    assert len(calls) == 1
