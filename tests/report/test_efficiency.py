"""Costs beside a reference, equal terms, the chance of the front, constraints, and what leaks do to accuracies."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from document_factory import recipe_of
from report_factory import (
    change_bench,
    change_run,
    give_the_same_images,
    leaky_study,
    two_run_study,
    write_bench,
    write_run,
    write_study,
)

from edgekit.documents.bench import EnergyRecord
from edgekit.documents.report_comparisons import CostRecord
from edgekit.documents.report_findings import Finding
from edgekit.errors import InputError
from edgekit.recipe import Constraint, validate
from edgekit.report.build import build_report
from edgekit.report.model.document import report_document
from edgekit.report.model.efficiency import efficiency, equal_terms, front_probabilities
from edgekit.report.model.exported_files import exported_files
from edgekit.report.model.groups import Group, grouped
from edgekit.report.model.limits import NOT_AUDITED
from edgekit.report.model.report import compose
from edgekit.report.model.source import read_source

ENERGY = EnergyRecord(source="RAPL", joules=12.0, runs=300, wall_s=5.0, idle_joules=4.0, idle_s=2.0)


@pytest.fixture
def groups(study: Path) -> list[Group]:
    return grouped(exported_files(read_source(study).runs))


def test_every_cost_is_relative_to_the_most_accurate(groups: list[Group]) -> None:
    rows = efficiency(groups, 1)
    (reference,) = [row for row in rows if row.reference]
    assert reference.group.accuracy == max(group.accuracy or 0 for group in groups)
    assert {cost.relative for cost in reference.costs.values() if cost.value} == {1.0}
    light = rows[1]
    assert light.costs["size_bytes"].value == 3_100_000
    assert light.costs["size_bytes"].relative == pytest.approx(3_100_000 / reference.costs["size_bytes"].value)
    assert light.costs["macs"].value is None  # a run of an older edgekit


def test_a_latency_of_another_session_is_no_multiple_of_the_reference(study: Path) -> None:
    for result in study.glob("runs/brain-mobilenetv2-s0/bench/local/*.json"):
        change_bench(result, session_id="another")
    rows = efficiency(grouped(exported_files(read_source(study).runs)), 1)
    reference = next(row for row in rows if row.reference)
    assert reference.group.first.model == "ResNet50V2"
    relative = {row.group.first.model: row.costs["latency_ms_p50"].relative for row in rows}
    assert relative["MobileNetV2"] is None
    assert relative["ResNet50V2"] is not None
    assert all(row.costs["size_bytes"].relative for row in rows)


def test_equal_terms_have_the_latencies_of_one_session(tmp_path: Path) -> None:
    """Most seeds of MobileNetV2 were measured in a session of their own, where everything took five times as long."""
    cells = []
    for backbone, factor in (("mobilenetv2", 1), ("resnet50v2", 10)):
        for seed in range(3):
            name = f"{backbone}-{seed}"
            run = write_run(tmp_path / "runs" / name, backbone=backbone, seed=seed, files=("tflite-fp32",))
            alone = backbone == "mobilenetv2" and seed > 0
            write_bench(run, "tflite-fp32", factor=5 * factor if alone else factor, session="slow" if alone else "one")
            cells.append((run, "exported"))
    write_study(tmp_path, cells)
    groups = same_images(tmp_path)
    light, heavy = groups
    terms = equal_terms(groups, 1)
    assert terms is not None
    latencies = {row.backbone: row.latency_ms for row in terms.rows}
    assert latencies["ResNet50V2"] / latencies["MobileNetV2"] == pytest.approx(10, rel=0.1)
    assert (heavy.p50(1) or 0) / (light.p50(1) or 1) == pytest.approx(2, rel=0.1)
    assert set(front_probabilities(groups, 1)) == {1, 2}


def same_images(folder: Path) -> list[Group]:
    """The groups of a study whose test images have the same names; the factory draws others for every run."""
    give_the_same_images(folder)
    return grouped(exported_files(read_source(folder).runs))


def test_the_chance_of_being_on_the_front(study: Path) -> None:
    second = sorted((study / "runs").iterdir())[1]
    for file in second.rglob("*predictions.npz"):
        with np.load(file) as stored:
            parts = dict(stored)
        np.savez_compressed(file, **{**parts, "files": np.array([f"other-{name}" for name in parts["files"]])})
    groups = grouped(exported_files(read_source(study).runs))
    assert set(front_probabilities(groups, 1)) == {1, 2}  # predictions for other images do not pair
    chances = front_probabilities(same_images(study), 1)
    assert set(chances) == {1, 2, 3, 4}
    # #2 is the fastest by far: nothing else is as fast.
    assert chances[2] == 1.0
    # #3 is the slowest and 0.75 points more accurate than #4, on 400 images: mostly on the front.
    assert 0.5 < chances[3] < 1
    assert front_probabilities(same_images(study), 1) == chances  # the same every time
    assert front_probabilities(groups[:1], 1) == {}


def test_a_clear_difference_is_certain(tmp_path: Path) -> None:
    cells = []
    for backbone, accuracy, factor in (("mobilenetv2", 0.80, 1), ("resnet50v2", 0.95, 10), ("vgg16", 0.70, 30)):
        run = write_run(tmp_path / "runs" / backbone, backbone=backbone, accuracy=accuracy, files=("tflite-fp32",))
        write_bench(run, "tflite-fp32", factor=factor)
        cells.append((run, "exported"))
    write_study(tmp_path, cells)
    assert front_probabilities(same_images(tmp_path), 1) == {1: 1.0, 2: 1.0, 3: 0.0}


def test_equal_terms(groups: list[Group]) -> None:
    terms = equal_terms(groups, 1)
    assert terms is not None
    light, heavy = terms.rows
    best = {
        name: max(g.accuracy or 0 for g in groups if g.first.model == name) for name in ("MobileNetV2", "ResNet50V2")
    }
    assert terms.accuracy == min(best.values())
    assert light.backbone == "MobileNetV2"
    assert (light.at_accuracy.accuracy or 0) >= terms.accuracy
    assert light.latency_ms < heavy.latency_ms
    assert (light.at_latency.p50(1) or 0) <= terms.latency_ms
    assert equal_terms(groups[:2], 1) is None


def test_a_constraint_that_limits_nothing_is_refused() -> None:
    with pytest.raises(InputError, match="at least one limit"):
        validate({"constraints": [{"threads": 4}]}, "test")


def constraint_lines(folder: Path, *constraints: dict[str, float]) -> list[Finding]:
    study = two_run_study(folder, recipe_of(constraints=list(constraints), export={"max_drop": 3}))
    verdict = compose(read_source(study), "2026-11-22", "0.1.0").findings
    return [line for line in verdict if line.question.startswith("At most")]


def test_constraints_are_part_of_the_verdict(tmp_path: Path) -> None:
    both, none, undecided, other = constraint_lines(
        tmp_path / "study",
        {"max_latency_ms": 20, "max_size_mb": 5},
        {"max_latency_ms": 0.1},
        {"max_points_lost": 0},
        {"max_latency_ms": 20, "threads": 64},
    )
    assert both.question == "At most 20 ms and at most 5 MB"
    assert [winner.title for winner in both.winners] == ["MobileNetV2, feature-extraction, tflite-int8"]
    assert (none.winners, none.figure) == ((), "none")
    assert "the nearest is MobileNetV2, feature-extraction, tflite-int8 (#2)" in none.remark
    assert (undecided.winners, undecided.figure) == ((), "undecided")
    assert undecided.remark.startswith("Undecided between")
    assert undecided.question == "At most 0 points below the most accurate file"
    assert other.figure == "undecided"


def test_a_file_outside_the_limits_does_not_keep_the_best_inside_from_winning(tmp_path: Path) -> None:
    """MobileNetV2 is 3.5 points below ResNet50V2, which is too slow: it is chosen among the files that are not."""
    (line,) = constraint_lines(tmp_path / "study", {"max_latency_ms": 10})
    assert [winner.title for winner in line.winners] == ["MobileNetV2, feature-extraction, tflite-int8"]
    assert "within the limits (at most 10 ms)" in line.remark


def test_constraints_without_scores_say_so(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run")
    document = build_report(run.path, constraint=Constraint(max_size_mb=5))
    assert document.recommendation is not None
    assert (document.recommendation.status, document.recommendation.exports) == ("undecided", ())
    assert "No exported file has been scored" in document.recommendation.reasons[0]
    recipe = run.read_run().recipe
    change_run(run, recipe=recipe.model_copy(update={"constraints": [Constraint(max_points_lost=1)]}))
    line = build_report(run.path).verdict[-1]
    assert (line.winners, line.question) == ((), "At most 1 point below the most accurate file")
    assert line.remark == "no exported file has been scored on the test images, so none can be recommended"


def test_accuracy_with_and_without_leaked_images(tmp_path: Path) -> None:
    study = leaky_study(tmp_path / "study")
    report = compose(read_source(study), "2026-11-22", "0.1.0")
    audit = report_document(report).audit
    assert audit is not None
    assert (audit.leaked_exact, audit.leaked_near, audit.n_test) == (20, 20, 400)
    first = audit.accuracies[0]
    scores = (first.all, first.without_exact, first.without_exact_and_near, first.leaked)
    assert [score.n_samples for score in scores if score is not None] == [400, 380, 360, 40]
    everything, _, without, leaked = (score.accuracy for score in scores if score is not None)
    assert without * 360 + leaked * 40 == pytest.approx(everything * 400)
    assert any(
        "40 of the 400 test images duplicate a training or validation image (20 exactly, 20 nearly)" in limit
        for limit in report.limits
    )
    assert NOT_AUDITED not in report.limits


def test_leaked_images_are_compared_within_classes(tmp_path: Path) -> None:
    """The leaked images are of the first class: plain accuracy without them has another class mix."""
    report = compose(read_source(leaky_study(tmp_path / "study")), "2026-11-22", "0.1.0")
    audit = report_document(report).audit
    assert audit is not None
    first = audit.accuracies[0]
    assert first.standardised is not None
    assert first.standardised.difference_ci95 is not None
    run = report.runs[0]
    leaked = {leak.b for leak in report.leaks.audit.leaked_test_images}
    label = run.truth[next(iter(leaked))]
    assert {run.truth[file] for file in leaked} == {label}
    mine = [file for file in run.correct if run.truth[file] == label]
    shares = [np.mean([run.correct[file] for file in mine if (file in leaked) == kind]) for kind in (True, False)]
    assert first.standardised.difference == pytest.approx(shares[0] - shares[1])
    low, high = first.standardised.difference_ci95
    assert low < 0 < high
    assert first.standardised.verdict == "may be too high"
    build_report(tmp_path / "study")
    assert "may be too high" in (tmp_path / "study" / "report" / "report.html").read_text()


def test_baselines_stand_in_the_report_and_doubt_the_choice(tmp_path: Path) -> None:
    document = build_report(leaky_study(tmp_path / "study"))
    assert document.audit is not None
    assert document.audit.baselines is not None
    assert document.audit.baselines.nearest_neighbour.accuracy == 0.979
    assert document.recommendation is not None
    assert document.recommendation.doubts[0].startswith("The nearest neighbour on pixels is correct for 97.9%")
    assert "always predicting the largest class" in (tmp_path / "study" / "report" / "report.html").read_text()


def test_the_page_shows_the_contact_sheet(tmp_path: Path) -> None:
    study = leaky_study(tmp_path / "study")
    build_report(study)
    page = (study / "report" / "report.html").read_text()
    assert page.count('<img src="data:image/jpeg;base64,') == 2
    assert "same pixels" in page
    assert "Without exact and near duplicates" in page
    assert "predicts the class of 48.0% of the images" in page


def test_energy_is_shown_if_it_was_measured_and_otherwise_named_as_missing(study: Path) -> None:
    build_report(study)
    page = (study / "report" / "report.html").read_text()
    assert "Energy: not measured" in page
    assert "| energy, local | not measured |" in next((study / "report" / "cards").iterdir()).read_text()
    for file in study.glob("runs/*/bench/local/tflite-*.json"):
        change_bench(file, energy=ENERGY)
    document = build_report(study)
    assert {file.joules_per_inference for file in document.candidates} == {0.04}
    assert {file.energy and file.energy.source for file in document.candidates} == {"RAPL"}
    assert document.efficiency["local"][0].joules_per_inference == CostRecord(value=0.04, times_reference=1.0)
    page = (study / "report" / "report.html").read_text()
    assert "Energy, mJ" in page
    assert "Energy: not measured" not in page
    assert "40.0 mJ a run (RAPL)" in next((study / "report" / "cards").iterdir()).read_text()


def test_the_energy_of_an_emulator_is_left_out(study: Path) -> None:
    for file in study.glob("runs/*/bench/local/tflite-*.json"):
        change_bench(file, emulated=True, energy=ENERGY)
    assert {file.joules_per_inference for file in build_report(study).candidates} == {None}
