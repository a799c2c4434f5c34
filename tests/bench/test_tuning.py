"""`edgekit bench --tune`: candidates, successive halving, equal predictions, confirmation, resuming."""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from runfolders import make_run

from edgekit.bench.protocols import PROTOCOLS, protocol_of
from edgekit.bench.session import bench_on
from edgekit.bench.settings import BenchOptions
from edgekit.bench.tuning import search
from edgekit.bench.tuning.candidates import Candidate, combinations, single_changes, thread_counts
from edgekit.bench.tuning.session import SHORT_ROUNDS
from edgekit.cli.render.tuning import tuning_text
from edgekit.documents.bench import BenchDocument, BenchResult
from edgekit.documents.folders import RunFolder
from edgekit.documents.latency import Latency, MeasuredProcess
from edgekit.documents.tuning import TuningRecord
from edgekit.errors import InputError
from edgekit.report.model.sessions import bench_summary
from edgekit.support.progress import SILENT
from edgekit.targets.local import LocalTarget

PROCESSES, ROUNDS = 2, 4
DEFAULT = Candidate("onnxruntime", 4)
FAST = {"1 thread": 1.5, "spinning=off": 1.2, "graph": 0.5}


@pytest.fixture(autouse=True, scope="module")
def tiny() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(PROTOCOLS, "quick", protocol_of("quick", PROCESSES, ROUNDS, (40, 0), (2, 1_000_000)))
        # The first run of a file is really timed here, and a busy machine must not make it look too slow to go on.
        patch.setattr(search, "HOPELESS", 1e6)
        yield


@pytest.fixture
def run(tmp_path, onnx_models, colours) -> RunFolder:
    return make_run(tmp_path / "run", {"onnx-fp32": onnx_models / "uint8.onnx"}, colours)


@pytest.fixture(scope="module")
def tuned(tmp_path_factory, onnx_models, colours, tiny) -> tuple[RunFolder, Machine, BenchResult]:
    """A run tuned on a machine where two changes help, and one is bad."""
    run = make_run(tmp_path_factory.mktemp("tuned") / "run", {"onnx-fp32": onnx_models / "uint8.onnx"}, colours)
    target = Machine(FAST)
    return run, target, measure(run, target)


class Machine(LocalTarget):
    """A quiet machine with four cores on which some settings are fast or predict other classes. All else is real.

    ``fast`` divides the times of the settings whose label contains the text; ``wrong`` names those whose accuracy
    predictions are shifted by a class.
    """

    def __init__(self, fast: dict[str, float], wrong: str = "nothing", stop_after: int | None = None) -> None:
        super().__init__()
        vars(self).update(fast=fast, wrong=wrong, left=stop_after, jobs=[], blocks=0)

    def run(self, verb: Any, job: Any) -> Iterator[Any]:
        self.jobs.append((str(verb), job))
        for event in super().run(verb, job):
            if event["event"] == "environment":
                event["usable_cores"], event["others_cores"] = 4, 0.0
            if event["event"] == "model":
                event.update(load_ns=1000, first_ns=1_000_000, warmup_ns=[1_000_000] * len(event["warmup_ns"]))
            if event["event"] == "block":
                if self.left is not None and self.blocks == self.left:
                    raise KeyboardInterrupt
                self.blocks += 1
                factor = math.prod(times for text, times in self.fast.items() if text in event["key"])
                # Times of tiny models are too noisy to rank: only the factor counts.
                event["ns"] = [max(1, round(1_000_000 / factor)) + run % 7 for run in range(len(event["ns"]))]
                event["wall_ns"] = max(event["wall_ns"], sum(event["ns"]))
            if event["event"] == "predictions" and self.wrong in event["key"]:
                values = np.frombuffer(base64.b64decode(event["probabilities_b64"]), "<f4")
                shifted = np.roll(values.reshape(event["count"], -1), 1, axis=1)
                event["probabilities_b64"] = base64.b64encode(shifted.astype("<f4").tobytes()).decode()
            yield event


def measure(run: RunFolder, target: LocalTarget, **options: Any) -> BenchResult:
    (result,) = bench_on(target, [run.path], BenchOptions(tune=True, threads=(1, 0), **options), SILENT, None)
    return result


def tuning_of(result: BenchResult) -> TuningRecord:
    assert result.bench.tuning is not None
    return result.bench.tuning


def test_candidates_change_one_thing_each():
    assert thread_counts(1) == [1]
    assert thread_counts(2) == [2, 1]
    assert thread_counts(6) == [6, 5, 4, 2, 1]
    found = single_changes(DEFAULT, ["onnxruntime"], 4)
    assert len(found) == len(set(found))
    assert DEFAULT not in found
    assert Candidate("onnxruntime", 3, pin=True) in found
    assert Candidate("onnxruntime", 4, pin=True) not in found, "all cores are pinned to all cores"
    assert Candidate("onnxruntime", 4, options=(("graph", "basic"),)) in found
    for candidate in found:
        assert (candidate.threads != 4 or candidate.pin) + len(candidate.options) == 1
    # Each runtime of the format brings a default of its own.
    both = single_changes(Candidate("litert", 2), ["litert", "tflite-runtime"], 2)
    assert Candidate("tflite-runtime", 2) in both
    assert Candidate("litert", 2) not in both


def test_changes_that_help_are_combined():
    one_thread, pinned = Candidate("onnxruntime", 1), Candidate("onnxruntime", 1, pin=True)
    arena, basic = DEFAULT.with_option("arena", "off"), DEFAULT.with_option("graph", "basic")
    spinning = DEFAULT.with_option("spinning", "off")
    scores = {one_thread: -0.3, pinned: -0.2, arena: -0.05, basic: 0.4, spinning: -0.1}
    found = combinations(DEFAULT, scores, 4)
    assert found[0] == one_thread.with_option("arena", "off").with_option("spinning", "off")
    assert len(found) == 4
    assert not set(found) & {DEFAULT, *scores}
    assert all(dict(candidate.options).get("graph") is None for candidate in found), "what makes it slower stays out"
    assert combinations(DEFAULT, {one_thread: 0.1, arena: 0.1}, 4) == []


def test_the_fastest_setting_is_found_and_confirmed(tuned):
    _, target, result = tuned
    tuning = tuning_of(result)
    assert tuning.default.threads == 4
    assert tuning.found is not None
    assert (tuning.found.threads, tuning.found.options) == (1, {"spinning": "off"}), "a combination of two changes"
    assert tuning.verdict == "faster"
    assert tuning.chosen == tuning.found
    confirmed = tuning.confirmed()
    assert confirmed is not None
    assert confirmed.ratio.ratio == pytest.approx(1 / 1.8, rel=0.01)
    assert confirmed.ratio.n_processes == PROCESSES, "new processes of the protocol, not those of the search"
    assert confirmed.ratio.n_rounds == PROCESSES * ROUNDS
    assert len(tuning.controls) == 2
    dropped = {json.dumps(one.setting.options): one.dropped for one in tuning.tried}
    assert dropped['{"graph": "basic"}'] == "slower than the default"
    assert [one.dropped for one in tuning.tried].count(None) == 1
    assert tuning.n_images == 15
    assert BenchDocument.read(result.path) == result.bench

    (row,) = bench_summary([result]).tuned
    assert row.settings == tuning.found
    assert row.ratio_to_default == confirmed.ratio.ratio
    text = tuning_text([result], {result.id: "mobilenetv2 onnx-fp32"})
    assert "1 thread" in text
    assert "spinning=off" in text
    assert max(map(len, text.splitlines())) <= 80

    # Successive halving: later steps have fewer settings, in a process each.
    searches = [job for verb, job in target.jobs if verb == "latency" and job["protocol"]["warmup_ns"] == 0]
    sizes = [len(job["models"]) - 1 for job in searches]
    assert sizes == sorted(sizes, reverse=True)
    assert all(later <= max(1, sizes[1] // 2**step) for step, later in enumerate(sizes[1:]))


@pytest.mark.slow
def test_a_plain_benchmark_keeps_the_result_of_the_tuning(run):
    tuning = tuning_of(measure(run, Machine(FAST)))
    (again,) = bench_on(Machine({}), [run.path], BenchOptions(threads=(1,)), SILENT, None)
    assert again.bench.tuning == tuning


@pytest.mark.slow
@pytest.mark.slow
def test_no_faster_setting_is_an_answer(run):
    result = measure(run, Machine({"1 thread": 0.5, "threads, pinned": 0.5, "options": 0.5, "=": 0.7, "3 th": 0.9}))
    tuning = tuning_of(result)
    assert (tuning.found, tuning.confirmed(), tuning.verdict) == (None, None, "no faster setting found")
    assert tuning.chosen == tuning.default
    assert all(one.dropped for one in tuning.tried)
    assert "none faster" in tuning_text([result], {result.id: "x"})


@pytest.mark.slow
def test_a_setting_that_predicts_other_classes_is_not_chosen(run):
    tuning = tuning_of(measure(run, Machine({"arena=off": 2.0, "1 thread": 1.5}, wrong="arena=off")))
    assert tuning.found is not None
    assert (tuning.found.threads, tuning.found.options) == (1, {})
    reasons = [one.dropped for one in tuning.tried if one.setting.options.get("arena") == "off"]
    assert any(reason == "predicts another class for 15 images" for reason in reasons)


def test_an_interrupted_search_continues(run, tuned):
    first = Machine(FAST, stop_after=2 * 2 * PROCESSES * ROUNDS + 70)  # in the second step of the search
    with pytest.raises(KeyboardInterrupt):
        measure(run, first)
    partial = BenchDocument.read(run.bench_json("local", "onnx-fp32"))
    assert partial.incomplete == ("tuning",)
    second = Machine(FAST)
    result = measure(run, second)
    assert result.bench.incomplete == ()
    _, uninterrupted, expected = tuned
    assert tuning_of(result).found == tuning_of(expected).found
    assert first.blocks + second.blocks == uninterrupted.blocks, "no block is measured twice"


@pytest.mark.slow
def test_one_thread_setting_has_a_shorter_confirmation(run, monkeypatch):
    monkeypatch.setitem(PROTOCOLS, "quick", protocol_of("quick", 2, 8, (2, 0), (2, 0)))
    target = Machine({"1 thread": 1.5})
    (result,) = bench_on(target, [run.path], BenchOptions(tune=True, threads=(1,)), SILENT, None)
    confirmation = tuning_of(result).confirmation
    assert confirmation is not None
    assert [len(process.blocks) for process in confirmation.processes] == [SHORT_ROUNDS] * 2


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"pin": True}, "--pin"),
        ({"latency": False}, "--no-latency"),
        ({"protocol": "check"}, "quick, standard or full"),
    ],
)
def test_what_cannot_be_tuned_is_refused_before_measuring(run, options, said):
    target = Machine({})
    with pytest.raises(InputError) as error:
        measure(run, target, **options)
    assert said in str(error.value)
    assert not [verb for verb, _ in target.jobs if verb == "latency"]


def test_the_verdict_is_that_of_the_confirmation(tuned):
    tuning = tuning_of(tuned[2])
    assert tuning.confirmation is not None
    # A machine that was busy meanwhile lets nothing win.
    busy = tuning.confirmation.model_copy(update={"unstable": ("other programs used 2.0 of 4 cores",)})
    unsure = tuning.model_copy(update={"confirmation": busy})
    assert (unsure.verdict, unsure.chosen) == ("unstable", tuning.default)
    # The search saw a winner, fresh processes do not.
    same = tuning.model_copy(update={"confirmation": tuning.reference})
    assert same.verdict == "no useful difference"
    assert same.chosen == tuning.default
    slower = tuning.model_copy(update={"confirmation": _times(tuning.confirmation, 3)})
    assert (slower.verdict, slower.chosen) == ("slower", tuning.default)


def _times(latency: Latency, factor: int) -> Latency:
    def scaled(process: MeasuredProcess) -> MeasuredProcess:
        blocks = [b.model_copy(update={"ns": tuple(ns * factor for ns in b.ns)}) for b in process.blocks]
        return process.model_copy(update={"blocks": tuple(blocks)})

    return latency.model_copy(update={"processes": tuple(map(scaled, latency.processes))})


def test_every_option_of_a_runtime_opens_a_file(onnx_models: Path, tflite_models: Path, ncnn_models: Path):
    """A wrong name in the table of runtimes, or an adapter that ignores one, is an error here."""
    from edgekit.device.failures import ModelError
    from edgekit.device.jobs import model_entry
    from edgekit.device.runtime_table import RUNTIMES
    from edgekit.device.runtimes import runtime_version

    files = {
        "onnx": onnx_models / "uint8.onnx",
        "tflite": tflite_models / "uint8.tflite",
        "ncnn": ncnn_models / "colours.ncnn",
    }
    for runtime in RUNTIMES.values():
        if runtime_version(runtime.name) is None:
            continue
        path = str(files[runtime.formats[0]])
        for name, values in runtime.options.items():
            for value in values:
                entry = {"path": path, "runtime": runtime.name, "options": {name: value}}
                assert model_entry(entry).open(1).runtime == runtime.name
            with pytest.raises(ModelError, match=f"no setting {name}=x"):
                model_entry({"path": path, "runtime": runtime.name, "options": {name: "x"}}).open(1)
    xnnpack = {"path": str(files["tflite"]), "runtime": "litert"}
    assert model_entry({**xnnpack, "options": {"xnnpack": "off"}}).open(1).delegate == "none"
    assert model_entry(xnnpack).open(1).delegate == "XNNPACK"
