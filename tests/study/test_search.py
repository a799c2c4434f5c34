"""`edgekit choose`: candidates and estimates, what is dropped, rounds of training, and a whole search on the digits."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from edgekit.documents.study import CandidateRecord, ProbedFile, SearchDocument, read_study
from edgekit.errors import InputError
from edgekit.recipe import Constraint, Recipe, validate
from edgekit.study.cells import plan_cells
from edgekit.study.search.candidates import candidates, too_large, too_slow
from edgekit.study.search.halving import affordable, kept, preferred, round_recipe, shares
from edgekit.study.search.limits import search_limits
from edgekit.study.search.probe import probe_recipe, write_noise


def recipe(**sections: object) -> Recipe:
    document = {
        "name": "s",
        "data": {"name": "digits", "image_size": 96},
        "model": {"weights": "none"},
        "train": {"strategy": "from-scratch", "from_scratch": {"epochs": 8}},
    }
    return validate({**document, **sections}, "test")


def titles(found: list[CandidateRecord]) -> list[str]:
    return [candidate.title for candidate in found]


def test_candidates_are_backbones_widths_and_sizes() -> None:
    found = candidates(recipe(choose={"backbones": ["vgg16", "mobilenetv2"], "alphas": [0.5, 1.0]}))
    assert titles(found) == [
        "vgg16 w100-64px", "vgg16 w100-96px",
        "mobilenetv2 w050-64px", "mobilenetv2 w050-96px", "mobilenetv2 w100-64px", "mobilenetv2 w100-96px",
    ]  # fmt: skip
    assert found[1].macs == pytest.approx(15_346_630_656 * (96 / 224) ** 2, rel=1e-6)
    assert found[2].parameters == pytest.approx(2_257_984 / 4, rel=1e-6)
    usual = {
        candidate.backbone for candidate in candidates(recipe(model={"backbone": "resnet50v2", "weights": "none"}))
    }
    assert usual == {"resnet50v2", "mobilenetv2", "mobilenet", "mobilenetv3small"}
    # With ImageNet weights, only widths that have some; a backbone leaves out sizes that it does not accept.
    pretrained = recipe(
        model={"weights": "imagenet"},
        train={"strategy": "fine-tuning"},
        choose={"backbones": ["mobilenetv2", "xception"], "alphas": [0.6, 1.0], "image_sizes": [64, 96]},
    )
    assert {(c.backbone, c.alpha) for c in candidates(pretrained)} == {("mobilenetv2", 1.0), ("xception", 1.0)}
    assert {c.image_size for c in candidates(pretrained) if c.backbone == "xception"} == {96}
    with pytest.raises(InputError, match="no candidates"):
        candidates(recipe(choose={"backbones": ["xception"], "image_sizes": [40]}))


def test_what_cannot_meet_the_limits_is_dropped_without_training() -> None:
    limits = Constraint(max_latency_ms=10.0, max_size_mb=5.0)
    vgg, *others = candidates(recipe(choose={"backbones": ["vgg16", "mobilenetv2"], "image_sizes": [96]}))
    wanted = recipe(export={"files": ["tflite-fp32", "tflite-int8"]})
    assert too_large(vgg, wanted, limits) == "too large: about 14.7 MB, estimated from its number of weights"
    assert [too_large(candidate, wanted, limits) for candidate in others] == [None] * len(others), "int8 may do"
    assert too_large(others[-1], recipe(export={"files": ["tflite-fp32"]}), limits) is not None
    assert too_large(vgg, wanted, Constraint(max_latency_ms=1.0)) is None

    slow = ProbedFile(key="tflite-int8", size_mb=1.0, latency_ms=20.0, fails=("latency",))
    small = others[0].model_copy(update={"files": (slow,)})
    assert too_slow(others[1], [small], limits) == f"too slow: {small.title}, which is smaller, takes more than 10 ms"
    assert too_slow(vgg, [small], limits) is None, "another backbone"
    fast = small.model_copy(update={"files": (slow, slow.model_copy(update={"fails": ()}))})
    assert too_slow(others[1], [fast], limits) is None


def test_a_study_may_compare_pairs_only(tmp_path: Path) -> None:
    chosen = [c for c in candidates(recipe(choose={"backbones": ["vgg16", "mobilenetv2"]})) if c.image_size == 96]
    cells = plan_cells(round_recipe(recipe(), chosen, 1.0), tmp_path)
    planned = {(c.backbone, c.arm, c.recipe.model.alpha, c.recipe.data.image_size) for c in cells}
    assert planned == {(c.backbone, c.arm, c.alpha, c.image_size) for c in chosen}
    assert len(cells) == len(chosen) == 5


def test_rounds_halve_and_double_the_epochs() -> None:
    assert shares(3, 3) == [1.0]
    assert shares(4, 3) == [0.5, 1.0]
    assert shares(12, 3) == [0.25, 0.5, 1.0]
    assert shares(1000, 3)[0] == 1 / 8
    overrides = {"vgg16": {"train.from_scratch.epochs": 4, "train.batch_size": 8}}
    wanted = recipe(compare={"overrides": overrides}, claims=[])
    chosen = candidates(recipe(choose={"backbones": ["vgg16", "mobilenetv2"], "alphas": [1.0]}))
    short = round_recipe(wanted, chosen, 0.25)
    assert short.train.from_scratch.epochs == 2
    assert short.compare.overrides["vgg16"] == {"train.from_scratch.epochs": 1, "train.batch_size": 8}
    assert round_recipe(wanted, chosen, 1.0).train.from_scratch.epochs == 8


def trained(title: str, accuracy: float, latency: float, seconds: float = 10.0) -> CandidateRecord:
    file = ProbedFile(key="tflite-int8", size_mb=1.0, latency_ms=latency)
    return CandidateRecord(
        backbone=title,
        arm="w100-96px",
        alpha=1.0,
        image_size=96,
        files=(file,),
        accuracies=(accuracy,),
        seconds=seconds,
    )


def test_the_accurate_and_the_fast_of_them_stay() -> None:
    found = [trained("a", 0.90, 9), trained("b", 0.95, 8), trained("c", 0.945, 2), trained("d", 0.94, 1)]
    assert [c.backbone for c in kept(found, 2, 1.0)] == ["b", "d"], "d loses a point, and is the fastest"
    assert [c.backbone for c in kept(found, 2, 0.2)] == ["b", "c"]
    assert [c.backbone for c in kept(found, 1, 5.0)] == ["b"]
    assert affordable(found, 0.25, [0.5, 1.0], 1e6) == 4
    assert affordable(found, 0.25, [0.5, 1.0], 85.0) == 2, "each takes 20 s in the next round, and as much in the last"
    assert affordable(found, 0.25, [1.0], 0.0) == 1, "one is always trained to the end"


def test_a_dropped_network_is_told_what_was_better() -> None:
    a, b, c, d = trained("a", 0.90, 9), trained("b", 0.95, 8), trained("c", 0.90, 2), trained("d", 0.89, 1)
    assert preferred(a, [b]) == "1 network had a higher accuracy"
    assert preferred(a, [c]) == "1 network had the same accuracy and no more operations"
    assert preferred(a, [b, c, d]) == (
        "1 network had a higher accuracy and 1 network had the same accuracy and no more operations"
        " and 1 network had no higher accuracy but was faster"
    )


def test_limits_are_given_or_those_of_the_recipe() -> None:
    assert search_limits(recipe(), {"latency_ms": 5.0, "threads": 2}) == Constraint(max_latency_ms=5.0, threads=2)
    one = recipe(constraints=[{"max_size_mb": 3}])
    assert search_limits(one, {}) == Constraint(max_size_mb=3.0)
    assert search_limits(one, {"threads": 4}) == Constraint(max_size_mb=3.0, threads=4)
    with pytest.raises(InputError, match="needs limits"):
        search_limits(recipe(), {})
    with pytest.raises(InputError, match="--max-latency-ms must be above 0"):
        search_limits(recipe(), {"latency_ms": 0.0})
    with pytest.raises(InputError, match="needs limits"):
        search_limits(recipe(), {"threads": 2})


def test_a_probe_has_the_classes_of_the_images(tmp_path: Path) -> None:
    folder = write_noise(tmp_path / "noise", 4)
    assert len(list(folder.iterdir())) == 4
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*.png")}
    assert len(before) == 40
    write_noise(folder, 4)
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*.png")} == before
    chosen = candidates(recipe(choose={"backbones": ["mobilenetv2"], "alphas": [0.35]}))
    pretrained = recipe(
        model={"weights": "imagenet"}, train={"strategy": "fine-tuning"}, compare={"budget": {"equal": "compute"}}
    )
    (cell, _) = plan_cells(probe_recipe(pretrained, chosen, folder, 2), tmp_path)
    assert (cell.recipe.model.weights, cell.recipe.train.from_scratch.epochs) == ("none", 1)
    assert (cell.recipe.export.max_drop, cell.recipe.bench.threads) == (None, [2])


SEARCH = (
    "choose", "quickstart", "--max-size-mb", "5", "--max-points-lost", "10",
    "--set", "choose.backbones=[mobilenetv2, vgg16]", "--set", "choose.alphas=[0.35, 0.5]",
    "--set", "choose.image_sizes=[32]", "--set", "choose.finalists=1", "--set", "choose.tune=false",
    "--set", "compare.overrides={}", "--set", "export.files=[tflite-fp32, tflite-int8]",
    "--set", "train.from_scratch.epochs=6", "--set", "train.from_scratch.learning_rate=5.0e-3",
    "--set", "train.from_scratch.batchnorm_momentum=0.9", "--out",
)  # fmt: skip


def _trained_cells(study: Path) -> list[str]:
    if not (study / "study.json").is_file():
        return []
    return [cell.run for cell in read_study(study).cells if cell.status == "trained"]


def edgekit(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "edgekit", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.mark.slow
def test_a_search_on_the_digits_resumes_and_ends_with_a_recommendation(tmp_path: Path) -> None:
    out = tmp_path / "search"
    with subprocess.Popen([sys.executable, "-m", "edgekit", *SEARCH, str(out)], stderr=subprocess.PIPE) as process:
        deadline = time.monotonic() + 900
        while not _trained_cells(out / "round-1"):
            assert process.poll() is None, process.stderr and process.stderr.read().decode()
            assert time.monotonic() < deadline
            time.sleep(0.5)
        os.kill(process.pid, signal.SIGINT)
        process.communicate(timeout=120)
        assert process.returncode == 130
    (run,) = _trained_cells(out / "round-1")
    first = out / "round-1" / run / "model.keras"
    trained_at = first.stat().st_mtime_ns
    probed_at = [path.stat().st_mtime_ns for path in sorted(out.glob("probe-*/runs/*/model.keras"))]
    assert len(probed_at) == 2, "VGG16 is too large, so it is not even probed"

    other = edgekit(*SEARCH, out, "--max-size-mb", "6")
    assert (other.returncode, "changed: the limits" in other.stderr) == (2, True), other.stderr

    done = edgekit(*SEARCH, out, "--json")
    assert done.returncode == 0, done.stderr
    assert "the trained network predicts" not in done.stderr, "what an untrained network predicts says nothing"
    assert first.stat().st_mtime_ns == trained_at, "it is not trained again"
    assert [path.stat().st_mtime_ns for path in sorted(out.glob("probe-*/runs/*/model.keras"))] == probed_at
    report = json.loads(done.stdout)
    assert report["recommendation"]["status"] == "chosen", report["recommendation"]
    assert report["recommendation"]["target"] == "local"

    search = SearchDocument.read(out / "choose.json").search
    by_title = {candidate.title: candidate for candidate in search.candidates}
    assert len(by_title) == 3
    assert (by_title["vgg16 w100-32px"].dropped or "").startswith("too large")
    left = [candidate for candidate in search.candidates if candidate.dropped is None]
    assert len(left) == 1
    assert len(left[0].accuracies) == 2
    assert [one.share for one in search.rounds] == [0.5, 1.0]
    assert all(one.done for one in search.rounds)
    study = read_study(out / "final")
    assert study.search is not None
    assert study.search.candidates == search.candidates
    page = (out / "final/report/report.html").read_text()
    markdown = (out / "final/report/report.md").read_text()
    for candidate in search.candidates:
        assert candidate.title in markdown
    assert "What the search considered" in page
