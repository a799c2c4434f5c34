"""An interrupted benchmark keeps what it measured, and the same command continues it."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from modelfiles import LABELS, colour_pixels
from PIL import Image
from runfolders import make_run

from edgekit.bench.protocols import PROTOCOLS, protocol_of
from edgekit.bench.session import bench_on
from edgekit.bench.settings import BenchOptions
from edgekit.documents.bench import BenchDocument, BenchResult
from edgekit.documents.folders import RunFolder
from edgekit.documents.latency import paired_rounds
from edgekit.errors import EdgekitError, InputError, TargetError
from edgekit.support.progress import SILENT, Progress
from edgekit.targets.local import LocalTarget

PROCESSES, ROUNDS, FILES = 2, 3, 2
SUBJECTS = 2 * FILES
"""Both files are measured twice."""
IMAGES = 72
"""The device program sends predictions for 32 images at a time."""

MAIN = f"""
from edgekit.bench.protocols import PROTOCOLS, protocol_of
from edgekit.cli.app import main
PROTOCOLS["quick"] = protocol_of("quick", {PROCESSES}, {ROUNDS}, (4, 60_000_000), (2, 1_000_000))
main()
"""


@pytest.fixture(autouse=True)
def tiny(monkeypatch):
    monkeypatch.setitem(PROTOCOLS, "quick", protocol_of("quick", PROCESSES, ROUNDS, (4, 100_000), (2, 1_000_000)))


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pictures")
    for label in LABELS:
        (folder / label).mkdir()
        for number in range(IMAGES // len(LABELS) + 1):  # number 0 is a training image
            pixels = np.clip(colour_pixels(label).astype(int) + number % 5, 0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(folder / label / f"{number}.png")
    return folder


@pytest.fixture
def run(tmp_path, onnx_models, tflite_models, pictures) -> RunFolder:
    models = {"onnx-fp32": onnx_models / "uint8.onnx", "tflite-int8": tflite_models / "quantized.tflite"}
    return make_run(tmp_path / "run", models, pictures)


class Interrupted(LocalTarget):
    """This machine, in a session that is interrupted after so many events of a kind."""

    def __init__(self, kind: str, count: int, error: BaseException | None = None) -> None:
        super().__init__()
        vars(self).update(kind=kind, left=count, error=error or KeyboardInterrupt())

    def run(self, verb: Any, job: Any) -> Iterator[Any]:
        for event in super().run(verb, job):
            if event["event"] == self.kind:
                if self.left == 0:
                    raise self.error
                vars(self).update(left=self.left - 1)
            yield event


class Recording(LocalTarget):
    """This machine, with the jobs that it was given."""

    def __init__(self) -> None:
        super().__init__()
        vars(self).update(jobs=[])

    def run(self, verb: Any, job: Any) -> Iterator[Any]:
        if verb != "probe":
            self.jobs.append((str(verb), job.get("skip", 0)))
        return super().run(verb, job)


class Messages(Progress):
    def __init__(self) -> None:
        self.texts: list[str] = []

    def info(self, text: str) -> None:
        self.texts.append(text)


def measure(run: RunFolder, target: LocalTarget, progress: Progress = SILENT, **options: Any) -> list[BenchResult]:
    return bench_on(target, [run.path], BenchOptions(**options), progress, None)


def interrupted(run: RunFolder, kind: str, count: int, **options: Any) -> None:
    with pytest.raises(KeyboardInterrupt):
        measure(run, Interrupted(kind, count), **options)


def stored(run: RunFolder, key: str = "onnx-fp32") -> BenchDocument:
    return BenchDocument.read(run.bench_json("local", key))


def journals(run: RunFolder) -> list[Path]:
    return sorted((run.path / "bench/local").glob("session-*.jsonl"))


def blocks(document: BenchDocument) -> set[tuple[int, ...]]:
    return {block.ns for process in document.latency[0].processes for block in process.blocks}


def test_latency_continues_with_the_next_block(run):
    done = SUBJECTS * ROUNDS + 2  # the first process, and two blocks of the second
    interrupted(run, "block", done)
    partial = stored(run)
    assert partial.incomplete == (
        "latency with 1 thread: 1 of 2 processes and parts of another measured",
        "memory",
        f"accuracy: 0 of {IMAGES} images scored",
    )
    target, progress = Recording(), Messages()
    results = measure(run, target, progress)
    assert [job for job in target.jobs if job[0] == "latency"] == [("latency", 2)], "the first process is not repeated"
    assert progress.texts[0].startswith("resuming the benchmark that was started at")
    for result in results:
        latency = result.latency[0]
        assert len(latency.rounds) == PROCESSES * ROUNDS, "no block is lost, none measured twice"
        assert result.bench.incomplete == ()
        assert len(result.bench.sittings) == 2
    (fp32,) = (result.bench for result in results if result.bench.key == "onnx-fp32")
    assert blocks(partial) < blocks(fp32)
    assert journals(run) == []

    # Blocks belong to their sitting, and pair within a process.
    for result in results:
        for process in result.latency[0].processes:
            assert process.sitting == (1 if process.number == 2 else 0)
    first, second = (result.latency[0].processes for result in results)
    mine, its = paired_rounds(first, second)
    assert len(mine) == len(its)
    assert 2 * ROUNDS - 1 <= sum(map(len, mine)) <= 2 * ROUNDS, "a round that was split is not compared"
    assert all(len(a) == len(b) for a, b in zip(mine, its))


def test_every_scored_image_is_kept(run):
    interrupted(run, "predictions", 2 * FILES)
    assert stored(run).incomplete == (f"accuracy: 64 of {IMAGES} images scored",)
    assert stored(run).accuracy is None, "a part of the images is another class mix"
    target = Recording()
    results = measure(run, target)
    assert target.jobs == [("accuracy", 64)]
    assert [result.bench.accuracy.accuracy for result in results] == [1.0, 1.0]
    assert [result.bench.incomplete for result in results] == [(), ()]


def test_a_target_that_goes_away_leaves_the_same(run):
    with pytest.raises(TargetError):
        measure(run, Interrupted("block", SUBJECTS * ROUNDS, TargetError("the target is gone")), images=0)
    assert len(stored(run).latency[0].rounds) == ROUNDS
    assert len(journals(run)) == 1


def test_a_complete_result_is_not_replaced_by_a_part(run):
    before = measure(run, LocalTarget())
    interrupted(run, "block", SUBJECTS * ROUNDS + 1)
    assert stored(run) == before[0].bench
    after = measure(run, LocalTarget())
    assert stored(run) == after[0].bench
    assert after[0].bench.session_id != before[0].bench.session_id
    assert len(after[0].bench.sittings) == 2


def test_images_now_latency_later(run):
    target = Recording()
    scored = measure(run, target, latency=False)
    assert {verb for verb, _ in target.jobs} == {"accuracy"}
    assert [result.bench.accuracy.n_samples for result in scored] == [IMAGES] * 2
    assert scored[0].bench.incomplete == ("latency and memory (left out with --no-latency)",)
    assert scored[0].latency == ()

    interrupted(run, "block", SUBJECTS * ROUNDS)
    assert stored(run).accuracy.accuracy == 1.0, "the accuracy survives an interrupted latency"
    target = Recording()
    done = measure(run, target)
    assert "accuracy" not in {verb for verb, _ in target.jobs}
    for before, after in zip(scored, done):
        assert after.bench.incomplete == ()
        assert after.bench.accuracy == before.bench.accuracy.model_copy(update={"scored": before.bench.created})
        assert len(after.latency[0].rounds) == PROCESSES * ROUNDS
        assert after.predictions_path().is_file()


def test_latency_now_images_later(run):
    measured = measure(run, LocalTarget(), images=0)
    target = Recording()
    scored = measure(run, target, latency=False)
    assert target.jobs == [("accuracy", 0)]
    for before, after in zip(measured, scored):
        assert after.bench.accuracy.accuracy == 1.0
        assert after.latency == before.latency
        assert after.bench.session_id == before.bench.session_id
    again = measure(run, LocalTarget(), images=0)
    assert [result.bench.accuracy.accuracy for result in again] == [1.0, 1.0], "an accuracy is not forgotten"


@pytest.mark.parametrize("options", [{"images": 0}, {"sustained_s": 5.0}, {"profile": True}])
def test_scoring_only_does_not_go_with_what_measures_time(run, options):
    with pytest.raises(InputError, match="--no-latency"):
        measure(run, LocalTarget(), latency=False, **options)


def test_other_images_are_scored_again(run):
    measure(run, LocalTarget(), latency=False, images=30)
    (first, _) = measure(run, LocalTarget(), images=33)
    assert first.bench.accuracy.n_samples == 33
    assert first.bench.accuracy.scored is None


def test_a_changed_file_starts_anew(run, onnx_models):
    interrupted(run, "block", 3, images=0)
    (old,) = journals(run)
    export = run.export("onnx-fp32")
    content = export.model().read_bytes() + b"\x2a\x00"  # an empty metadata field
    export.model().write_bytes(content)
    document = export.read_export().model_copy(update={"sha256": hashlib.sha256(content).hexdigest()})
    document.write(export.export_json)
    target = Recording()
    results = measure(run, target, images=0)
    assert [job for job in target.jobs if job[0] == "latency"] == [("latency", 0)] * PROCESSES
    assert len(results[0].bench.sittings) == 1
    assert journals(run) == [old]


def test_a_damaged_journal_is_read_up_to_the_damage(run):
    interrupted(run, "block", SUBJECTS * ROUNDS + 2, images=0)
    (path,) = journals(run)
    lines = path.read_bytes().splitlines(keepends=True)
    where = next(number for number, line in enumerate(lines) if b'"event": "block"' in line) + 2
    path.write_bytes(b"".join(lines[:where]) + b'{"event": "block", "ns": [-4' + b"\0" * 80)
    target = Recording()
    results = measure(run, target, images=0)
    assert [job for job in target.jobs if job[0] == "latency"] == [("latency", 2), ("latency", 0)]
    assert len(results[0].latency[0].rounds) == PROCESSES * ROUNDS


def test_two_benchmarks_of_the_same_files_do_not_meet(run):
    class Second(LocalTarget):
        def run(self, verb: Any, job: Any) -> Iterator[Any]:
            if verb == "latency":
                with pytest.raises(EdgekitError, match="another benchmark of this folder is running on local"):
                    measure(run, LocalTarget())
                raise RuntimeError
            return super().run(verb, job)

    with pytest.raises(RuntimeError):
        measure(run, Second())


def start(run: RunFolder) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-c", MAIN, "bench", str(run.path), "--json"]
    with (run.path.parent / "log").open("ab") as log:
        return subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)


def recorded(run: RunFolder) -> list[dict[str, Any]]:
    lines = [line for path in journals(run) for line in path.read_bytes().splitlines(keepends=True)]
    return [json.loads(line) for line in lines if line.endswith(b"\n")]


@pytest.mark.parametrize(
    "number", [signal.SIGKILL, signal.SIGHUP, *(pytest.param(n, marks=pytest.mark.slow) for n in (2, 15))]
)
def test_the_command_continues_after_a_signal(run, number):
    running = start(run)
    deadline = time.monotonic() + 120
    while sum(entry.get("event") == "block" for entry in recorded(run)) < SUBJECTS * ROUNDS + 1:
        assert running.poll() is None, (run.path.parent / "log").read_text()[-3000:]
        assert time.monotonic() < deadline
        time.sleep(0.02)
    os.kill(running.pid, number)
    assert running.wait(timeout=60) == (-9 if number == signal.SIGKILL else 130)
    kept = {tuple(e["ns"]) for e in recorded(run) if e.get("event") == "block" and e["key"].endswith("onnx-fp32")}
    partial = stored(run)
    assert partial.incomplete[0].startswith("latency with 1 thread: 1 of 2 processes")
    if number != signal.SIGKILL:
        assert "rerun the same command" in (run.path.parent / "log").read_text()
        assert blocks(partial) == kept
    assert start(run).wait(timeout=120) == 0, (run.path.parent / "log").read_text()[-3000:]
    done = stored(run)
    assert kept <= blocks(done)
    assert (len(blocks(done)), done.incomplete, len(done.sittings)) == (PROCESSES * ROUNDS, (), 2)
    assert journals(run) == []
