"""What is timed: varied real images, with answers that are checked, at a rate and on cores of choice."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from runfolders import make_run

from edgekit.bench.accuracy import Predictions
from edgekit.bench.protocols import PROTOCOLS, protocol_of
from edgekit.bench.session import bench_on
from edgekit.bench.settings import BenchOptions
from edgekit.bench.timed_answers import Expected
from edgekit.documents.bench import BenchResult
from edgekit.documents.folders import RunFolder
from edgekit.documents.latency import FEWEST_IMAGES
from edgekit.errors import InputError
from edgekit.targets.local import LocalTarget

ROUNDS = 3


@pytest.fixture(autouse=True)
def tiny(monkeypatch):
    protocol = protocol_of("quick", 2, ROUNDS, (20, 100_000), (2, 1_000_000), cache_test=True)
    monkeypatch.setitem(PROTOCOLS, "quick", protocol)


@pytest.fixture
def run(tmp_path, onnx_models, colours) -> RunFolder:
    return make_run(tmp_path / "run", {"onnx-fp32": onnx_models / "uint8.onnx"}, colours)


class Watched(LocalTarget):
    """This machine, with the jobs and answers of a session; answers of timed runs may be ``changed``."""

    def __init__(self, changed: Any = None) -> None:
        super().__init__()
        vars(self).update(jobs=[], long=[], blocks=[], before=[], changed=changed)

    def run(self, verb: Any, job: Any) -> Iterator[Any]:
        if verb == "latency":
            self.jobs.append(job)
        if verb in ("sustained", "energy"):
            self.long.append(job)
        for event in super().run(verb, job):
            if event["event"] == "block":
                if self.changed is not None:
                    self.changed(event)
                self.blocks.append(event)
            if event["event"] == "environment" and event.get("when") == "before":
                self.before.append(event)
            yield event


def measure(run: RunFolder, target: LocalTarget, **options: Any) -> BenchResult:
    (result,) = bench_on(target, [run.path], BenchOptions(**options), progress=_silent(), host=None)
    return result


def _silent():
    from edgekit.support.progress import SILENT

    return SILENT


def test_runs_take_varied_images_and_their_answers_are_checked(run):
    target = Watched()
    result = measure(run, target)
    (latency,) = result.latency
    first, second = (job["models"][0]["images"] for job in target.jobs)
    assert len(first) == ROUNDS * 20, "one for each run that a block has at least"
    assert first != second, "each process draws its own"
    assert latency.n_images == len({Path(path).name + Path(path).parent.name for path in first + second}) > 10
    for block in target.blocks:
        images = {answer["image"] for answer in block["answers"]}
        assert len(images) >= (1 if block["key"].endswith("#same") else 5)
        own = range(20 * block["round"], 20 * block["round"] + 20)
        assert images <= ({0} if block["key"].endswith("#same") else set(own))
    assert latency.n_answers >= 2 * ROUNDS * 6
    assert (latency.n_invalid, result.bench.warnings) == (0, ())
    (test,) = result.bench.cache_test
    assert [len(process.blocks) for process in (*test.varied, *test.same)] == [ROUNDS] * 4


def test_long_runs_take_varied_images(run):
    target = Watched()
    measure(run, target, sustained_s=1.0, images=4)
    energy, sustained = target.long
    for job in (energy, sustained):
        assert len(job["models"][0]["images"]) == FEWEST_IMAGES
        assert len(set(job["models"][0]["images"])) > 1


def test_a_wrong_answer_invalidates_its_block(run):
    def lie(event: dict[str, Any]) -> None:
        if event["round"] == 1 and "#" not in event["key"]:
            answer = event["answers"][2]
            answer["predicted"] = (answer["predicted"] + 1) % 3

    result = measure(run, Watched(lie))
    (latency,) = result.latency
    assert latency.n_invalid == 2, "one in each process"
    assert len(latency.rounds) == 2 * (ROUNDS - 1)
    assert [block.round for process in latency.processes for block in process.valid_blocks] == [0, 2, 0, 2]
    (told,) = result.bench.warnings
    assert told == "with 1 thread, 2 of 6 blocks do not count: the prediction of a timed run was wrong"
    assert result.ok


def test_a_runtime_that_keeps_its_first_answer_fails(run):
    """A cached result is fast and, for the first image, right."""
    kept: dict[str, dict[str, Any]] = {}

    def cached(event: dict[str, Any]) -> None:
        for answer in event["answers"]:
            first = kept.setdefault(event["key"], dict(answer))
            answer.update(predicted=first["predicted"], score=first["score"])

    result = measure(run, Watched(cached))
    assert not result.ok
    assert result.bench.problems == ("every block had a timed run with a wrong prediction",)
    assert result.latency == ()


def test_answers_are_compared_with_stored_predictions():
    probabilities = np.array([[0.9, 0.1, 0.0], [0.48, 0.52, 0.0]], np.float32)
    expected = Expected(Predictions(probabilities, "none", "decoder"), {"a.png": 0, "b.png": 1})
    right = {"image": 0, "predicted": 0, "score": 0.9}
    assert expected.is_right(right, "a.png")
    assert not expected.is_right({**right, "predicted": 1, "score": 0.1}, "a.png")
    assert not expected.is_right({**right, "score": 0.6}, "a.png"), "the right class of another image"
    assert not expected.is_right({"image": 0, "predicted": None, "score": None}, "a.png")
    assert not expected.is_right({**right, "predicted": 7}, "a.png")
    assert expected.is_right({"image": 1, "predicted": 0, "score": 0.48}, "b.png"), "nearly a tie"


def test_without_predictions_an_image_has_to_get_one_answer():
    expected = Expected(None, {})
    first = {"image": 0, "predicted": 2, "score": 7.5}
    assert expected.n_wrong([first, {**first, "score": 7.6}], []) == 0
    assert expected.n_wrong([{**first, "predicted": 1, "score": 3.0}], []) == 1
    assert expected.n_wrong([{"image": 1, "predicted": 1, "score": 3.0}], []) == 0


def test_a_rate_spaces_the_runs(run, monkeypatch):
    protocol = protocol_of("quick", 1, 1, (5, 200_000_000), (2, 0))
    monkeypatch.setitem(PROTOCOLS, "quick", protocol)
    target = Watched()
    result = measure(run, target, rate_hz=50.0, images=0)
    for block in target.blocks:
        assert len(block["ns"]) == 10, "0.2 s at 50 runs per second"
        assert block["wall_ns"] < 200_000_000, "pauses do not count as work"
    assert result.bench.protocol.rate_hz == 50.0
    assert result.latency[0].unstable == () or "no effect" not in " ".join(result.latency[0].unstable)
    with pytest.raises(InputError, match="rate"):
        measure(run, LocalTarget(), rate_hz=0.0)


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="this system cannot pin processes")
def test_processes_are_pinned_where_that_is_allowed(run):
    before = os.sched_getaffinity(0)
    target = Watched()
    result = measure(run, target, pin=True, images=0)
    (latency,) = result.latency
    assert len(latency.pinned) == 1
    assert set(latency.pinned) <= before
    assert [event["pinned"] for event in target.before] == [list(latency.pinned)] * 2
    assert os.sched_getaffinity(0) == before, "this process is not"


def test_the_fastest_cores_are_chosen(tmp_path, monkeypatch):
    from edgekit.device import pinning

    monkeypatch.setattr(pinning, "CPUS", tmp_path)
    for core, (siblings, speed) in enumerate([("0,4", 2000), ("1,5", 2000), ("2", 3000), ("3", 3000)]):
        (tmp_path / f"cpu{core}/topology").mkdir(parents=True)
        (tmp_path / f"cpu{core}/cpufreq").mkdir()
        (tmp_path / f"cpu{core}/topology/thread_siblings_list").write_text(f"{siblings}\n")
        (tmp_path / f"cpu{core}/cpufreq/cpuinfo_max_freq").write_text(f"{speed}\n")
    assert pinning.chosen_cores([0, 1, 2, 3], 1) == [3]
    assert pinning.chosen_cores([0, 1, 2, 3], 3) == [3, 2, 1]
    assert pinning.chosen_cores([0, 1], 4) == [1, 0]
