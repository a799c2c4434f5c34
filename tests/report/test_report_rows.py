"""Rows, groups, the Pareto front and the sentences, from documents with known numbers."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest
from document_factory import recipe_of
from report_factory import (
    change_bench,
    change_export,
    change_study,
    study_of_seeds,
    write_bench,
    write_run,
    write_study,
)

from edgekit.documents.bench import BenchDocument
from edgekit.documents.latency import MeasuredProcess
from edgekit.documents.report_findings import WarningRecord
from edgekit.documents.study import CellRecord, StudyDocument
from edgekit.render.numbers import digits_for, megabytes, milliseconds, points
from edgekit.render.text import clipped, listing, plural
from edgekit.report.figures.charts import log_ticks
from edgekit.report.model.comparisons import Comparisons
from edgekit.report.model.front import front
from edgekit.report.model.groups import Group
from edgekit.report.model.pareto import pareto_front
from edgekit.report.model.report import Report, compose
from edgekit.report.model.source import read_source


def composed(folder: Path) -> Report:
    return compose(read_source(folder), "2026-11-21T12:00:00+00:00", "0.1.0")


def finding(report: Report, question: str):
    return next(f for f in report.findings if f.question == question)


def titles(report: Report, question: str) -> list[str]:
    return [winner.title for winner in finding(report, question).winners]


@pytest.mark.parametrize(
    ("points_", "expected"),
    [
        ([], set()),
        ([(1.0, 0.9)], {0}),
        ([(1.0, 0.9), (2.0, 0.95)], {0, 1}),
        ([(1.0, 0.9), (2.0, 0.9)], {0}),
        ([(1.0, 0.9), (1.0, 0.8)], {0}),
        ([(1.0, 0.9), (1.0, 0.9)], {0, 1}),
        ([(3.0, 0.99), (1.0, 0.9), (2.0, 0.8)], {0, 1}),
    ],
)
def test_pareto_front(points_, expected):
    assert pareto_front(points_) == expected


def test_pareto_front_is_what_nothing_beats():
    draw = random.Random(0)
    for _ in range(200):
        cloud = [(draw.randint(1, 5), draw.randint(1, 5)) for _ in range(draw.randint(1, 8))]
        unbeaten = {
            i
            for i, (cost, value) in enumerate(cloud)
            if not any(c <= cost and v >= value and (c, v) != (cost, value) for c, v in cloud)
        }
        assert pareto_front(cloud) == unbeaten


def test_ticks_are_round_and_inside():
    assert log_ticks(3.6, 120) == pytest.approx([5, 10, 20, 50, 100])
    assert all(7.0 <= tick <= 7.3 for tick in log_ticks(7.0, 7.3))
    assert len(log_ticks(7.0, 7.3)) == 3


def test_values_as_text():
    assert points(0.0004) == "0.0"
    assert points(0.012) == "+1.2"
    assert points(-0.012) == "−1.2"
    assert digits_for([4.5, 294.0, None]) == 2
    assert listing(["a", "b", "c", "d"]) == "a, b and 2 more"
    assert listing(["a", "b", "c"]) == "a, b and c"
    assert [plural(n, "image") for n in (0, 1, 2, 1204)] == ["0 images", "1 image", "2 images", "1,204 images"]
    assert plural(2, "class", "classes") == "2 classes"
    assert [milliseconds(value) for value in (None, 0.1234, 4.561, 78.94, 1234.5)] == [
        "–",
        "0.123",
        "4.56",
        "78.9",
        "1,234",
    ]
    assert [megabytes(size) for size in (54_321, 3_100_000)] == ["0.054", "3.10"]
    assert clipped("tflite-int8-clustered", 12) == "tflite-int.."
    assert clipped("tflite-int8-clustered", 12, middle=True) == "tflit..tered"
    assert clipped("short", 12) == "short"


def test_a_study_of_two_runs(study):
    report = composed(study)
    assert [c.number for c in report.files] == [1, 2, 3, 4]
    # 99.2% and 98.5% of 400 images: they are not told apart, so the first does not stand alone.
    assert titles(report, "Most accurate") == [f"ResNet50V2, fine-tuning, tflite-{s}" for s in ("fp32", "int8")]
    assert "accuracy does not separate these 2 of 4" in finding(report, "Most accurate").remark
    assert titles(report, "Fastest, 1 thread") == ["MobileNetV2, feature-extraction, tflite-int8"]
    assert titles(report, "Smallest") == ["MobileNetV2, feature-extraction, tflite-int8"]
    assert [winner.number for winner in finding(report, "Pareto front").winners] == [2, 1, 4, 3]
    assert "takes 1.7" in finding(report, "Fastest, 1 thread").remark
    assert report.missing == []
    assert report.warnings == []


def test_accuracy_is_that_of_the_file_and_drop_is_paired(study):
    fp32, int8, *_ = composed(study).files
    assert fp32.score is not None
    assert int8.score is not None
    assert (fp32.score.accuracy, fp32.drop) == (0.93, 0.0)
    # 0.8% of 400 images were turned wrong.
    assert int8.score.accuracy == pytest.approx(0.93 - 3 / 400)
    assert int8.drop == pytest.approx(3 / 400)
    assert int8.score.ci95[0] < int8.score.accuracy < int8.score.ci95[1]
    assert int8.agreement == pytest.approx(1 - 3 / 400)


def test_percentiles_need_their_runs(tmp_path):
    run = write_run(tmp_path / "run")
    write_bench(run, "tflite-fp32", rounds=10, block=1)
    write_bench(run, "tflite-int8", rounds=40, block=18)
    few, many = (c.timing(1) for c in composed(run.path).files)
    assert (few.p50, few.p90, few.p99) == (None, None, None)
    assert many.p50 < many.p90 < many.p95 < many.p99


def test_mcnemar_tells_runs_apart_only_with_enough_images(tmp_path):
    for n_test, alike in ((60, True), (4000, False)):
        folder = tmp_path / str(n_test)
        good = write_run(folder / "runs" / "a", accuracy=0.95, n_test=n_test)
        bad = write_run(folder / "runs" / "b", accuracy=0.92, n_test=n_test)
        for run in (good, bad):
            write_bench(run, "tflite-fp32")
        groups = composed(write_study(folder, [(good, "exported"), (bad, "exported")])).groups
        # Runs of one kind and seed stand together as seeds do; what is asked here is the pair.
        a, b = (Group(i, "", (member,)) for i, member in enumerate(groups[0].members))
        assert Comparisons(groups[0].members).separated(a, b) is not alike


def test_what_is_unstable_or_emulated_wins_nothing(tmp_path):
    run = write_run(tmp_path / "run", files=("tflite-fp32", "tflite-int8", "onnx-int8"))
    write_bench(run, "tflite-fp32")
    write_bench(run, "tflite-int8", unstable=("other programs used 1.2 of 4 cores while measuring",))
    write_bench(run, "onnx-int8", factor=0.1, emulated=True)
    report = composed(run.path)
    assert titles(report, "Fastest, 1 thread") == ["MobileNetV2, feature-extraction, tflite-fp32"]
    assert [g.first.key for g in front(report.groups, 1)] == ["tflite-fp32"]
    assert {c.key: c.marks() for c in report.files} == {
        "tflite-fp32": [],
        "tflite-int8": ["unstable"],
        "onnx-int8": ["emulated"],
    }
    assert [warning for warning in report.warnings if "1.2 of 4 cores" in warning.text]
    assert any("emulat" in text for text in report.limits)


def test_nothing_wins_where_nothing_is_stable(tmp_path):
    run = write_run(tmp_path / "run")
    for key in ("tflite-fp32", "tflite-int8"):
        write_bench(run, key, unstable=("the clock fell from 2.10 to 1.50 GHz",))
    report = composed(run.path)
    assert finding(report, "Fastest, 1 thread").winners == ()
    assert "no measurement was stable; the lowest unstable p50 is 4.5" in finding(report, "Fastest, 1 thread").remark
    assert finding(report, "Pareto front").winners == ()


def test_equal_latencies_are_no_difference(tmp_path):
    run = write_run(tmp_path / "run", files=("tflite-fp32", "onnx-fp32"))
    write_bench(run, "tflite-fp32", factor=1 / 7.8)
    write_bench(run, "onnx-fp32", factor=1 / 8.9)
    remark = finding(composed(run.path), "Fastest, 1 thread").remark
    assert "latency does not separate it from" in remark


def test_failed_files_are_named_and_not_compared(tmp_path):
    run = write_run(tmp_path / "run")
    write_bench(run, "tflite-fp32")
    write_bench(run, "tflite-int8", problem="the output is not finite: [nan]")
    report = composed(run.path)
    failed = report.files[1]
    assert failed.failed
    assert failed.score is None
    assert titles(report, "Smallest") == ["MobileNetV2, feature-extraction, tflite-fp32"]
    assert any("not finite" in warning.text for warning in report.warnings)


def test_a_failed_export_is_a_row_with_its_reason(tmp_path):
    run = write_run(tmp_path / "run")
    change_export(run, "tflite-int8", status="failed", problems=("agreement 0.41 is below 0.90",))
    report = composed(run.path)
    assert report.files[1].marks() == ["failed"]
    about = ("MobileNetV2, feature-extraction, tflite-int8 (#2)",)
    assert WarningRecord(text="failed: agreement 0.41 is below 0.90", about=about) in report.warnings


def test_a_measurement_of_an_older_file_is_left_out(tmp_path):
    run = write_run(tmp_path / "run")
    write_bench(run, "tflite-fp32")
    change_export(run, "tflite-fp32", sha256="0" * 64)
    report = composed(run.path)
    assert report.files[0].result is None
    assert any("exported again" in warning.text for warning in report.warnings)


def test_int8_with_float_operators_is_marked(tmp_path):
    run = write_run(tmp_path / "run")
    floats = {"integer_only": False, "float_operators": {"SOFTMAX": 1}, "warnings": ("a scale is very small",)}
    change_export(run, "tflite-int8", **floats)
    report = composed(run.path)
    fp32, int8 = report.files
    assert (fp32.marks(), fp32.float_operators) == ([], None)
    assert (int8.marks(), int8.float_operators) == (["float operators"], "SOFTMAX 1")
    assert WarningRecord(text="a scale is very small", about=(f"{int8.title} (#2)",)) in report.warnings


@pytest.mark.parametrize(
    ("key", "architecture", "said"),
    [
        ("onnx-int8", "aarch64", "also measure onnx-int8-s8s8"),
        ("onnx-int8-s8s8", "x86_64", "onnx-int8 is usually faster"),
        ("onnx-int8", "x86_64", None),
        ("onnx-int8-s8s8", "aarch64", None),
    ],
)
def test_an_int8_file_for_another_kind_of_processor_is_named(tmp_path, key, architecture, said):
    run = write_run(tmp_path / "run", files=("onnx-int8",))
    write_bench(run, "onnx-int8")
    bench = run.bench_json("local", "onnx-int8")
    environment = BenchDocument.read(bench).environment
    before = environment.before.model_copy(update={"architecture": architecture})
    change_bench(bench, environment=environment.model_copy(update={"before": before}), key=key, scheme=key[5:])
    change_export(run, "onnx-int8", scheme=key[5:])
    found = [one.text for one in composed(run.path).warnings if "activations" in one.text]
    assert (said is None and not found) or (len(found) == 1 and said in found[0])


def test_over_seeds_the_mean_counts_not_the_best(tmp_path):
    cells = []
    for seed, lucky in ((0, 0.99), (1, 0.90), (2, 0.90)):
        run = write_run(tmp_path / "runs" / f"wild-s{seed}", seed=seed, accuracy=lucky, files=("tflite-fp32",))
        steady = write_run(
            tmp_path / "runs" / f"steady-s{seed}",
            backbone="vgg16",
            seed=seed,
            accuracy=0.95,
            scale=6,
            files=("tflite-fp32",),
        )
        for each in (run, steady):
            write_bench(each, "tflite-fp32")
            cells.append((each, "exported"))
    report = composed(write_study(tmp_path, cells))
    assert [len(group.members) for group in report.groups] == [3, 3]
    assert titles(report, "Most accurate")[0] == "VGG16, feature-extraction, tflite-fp32"
    wild = report.groups[0]
    assert wild.accuracy == pytest.approx((0.99 + 0.90 + 0.90) / 3)
    assert wild.deviation == pytest.approx(np.std([0.99, 0.90, 0.90], ddof=1))
    # Student's interval over three seeds, and the images on top of it.
    of_seeds = 4.302653 * wild.deviation / 3**0.5
    assert wild.interval[0] < wild.accuracy - of_seeds
    assert wild.interval[0] == pytest.approx(wild.accuracy - of_seeds, abs=0.02)
    assert any("means over up to 3 seeds" in text for text in report.limits)


def test_two_targets_have_verdicts_of_their_own(tmp_path):
    run = write_run(tmp_path / "run")
    for key in ("tflite-fp32", "tflite-int8"):
        write_bench(run, key)
        write_bench(run, key, target="pi4", session="session-2", factor=9)
    report = composed(run.path)
    questions = [f.question for f in report.findings]
    assert "Fastest, 1 thread on local" in questions
    assert "Fastest, 1 thread on pi4" in questions
    assert questions.count("Smallest") == 1
    assert any("several sessions" in text for text in report.limits)


def test_limits_name_seed_images_and_noise(study):
    text = " ".join(composed(study).limits)
    for part in ("trained once (seed 0)", "400 test images", "A/A control", "Example CPU 9000"):
        assert part in text


def test_settings_of_one_backbone_are_named(study):
    overrides = {"resnet50v2": {"train.from_scratch.learning_rate": 0.0001}, "vgg16": {}}
    change_study(study, recipe=recipe_of(compare={"overrides": overrides}))
    assert any(
        "ResNet50V2 was trained with its own settings: train.from_scratch.learning_rate 0.0001" in text
        for text in composed(study).limits
    )
    assert not any("VGG16" in text for text in composed(study).limits), "which this study left out"


def test_reported_figures_stand_beside_with_an_interval(tmp_path):
    row = {
        "backbone": "mobilenetv2",
        "strategy": "feature-extraction",
        "accuracy": 0.8658,
        "n_samples": 1311,
        "source": "study A, table 2",
    }
    other = row | {"backbone": "vgg16"}
    run = write_run(tmp_path / "run", reported=(row, other))
    (reported,) = composed(run.path).reported
    assert reported.model == "MobileNetV2"
    assert reported.ci95[0] < 0.8658 < reported.ci95[1]


def test_cells_without_a_run_and_failed_cells_are_named(study):
    first, second = StudyDocument.read(study / "study.json").cells
    failed = first.model_copy(update={"status": "failed", "error": "the disk is full"})
    waiting = CellRecord(run="runs/vgg16-s0", backbone="vgg16", strategy="fine-tuning", seed=0)
    change_study(study, cells=(failed, second, waiting))
    told = {warning.text: warning.about for warning in composed(study).warnings}
    assert told["this cell of the study failed: the disk is full"] == ("runs/brain-mobilenetv2-s0",)
    assert told["this cell of the study has no run yet"] == ("runs/vgg16-s0",)


def test_the_range_over_rounds_holds_the_median_also_where_rounds_are_short(tmp_path):
    """A round of a slow file has a few runs, too few for a percentile of their own."""
    run = write_run(tmp_path / "run")
    write_bench(run, "tflite-fp32", rounds=16, block=2, noise=0.1)
    group = composed(run.path).groups[0]
    for threads in (1, 2):
        p50, bounds = group.p50(threads), group.p50_range(threads)
        if p50 is not None:
            assert bounds is not None
            assert bounds[0] < p50 < bounds[1]
    assert group.p50(1) is not None


def test_files_of_seeds_that_failed_are_left_out_of_the_mean_and_named(tmp_path):
    report = composed(study_of_seeds(tmp_path / "study", failing=(1,)))
    assert [(g.number, len(g.members), len(g.left_out)) for g in report.groups] == [
        (1, 3, 0), (2, 2, 1), (3, 3, 0), (4, 3, 0)
    ]  # fmt: skip
    int8 = report.groups[1]
    assert [member.seed for member in int8.members] == [0, 2]
    assert int8.accuracy is not None
    assert "failed" in int8.marks
    told = [text for text in report.limits if "failed a check" in text]
    assert len(told) == 1
    assert told[0].startswith("MobileNetV2, feature-extraction, tflite-int8 (#2): the file of seed 1 failed")
    for won in report.findings:
        warned = "the figures of #2 leave out 1 of 3 seeds whose files failed a check" in won.remark
        assert warned == (2 in [winner.number for winner in won.winners]), won
    assert any("the figures of #2" in won.remark for won in report.findings)


def test_a_kind_of_file_that_always_failed_is_a_group_without_numbers(tmp_path):
    report = composed(study_of_seeds(tmp_path / "study", failing=(0, 1, 2)))
    failed = [group for group in report.groups if group.failed]
    assert [len(group.members) for group in failed] == [3]
    assert failed[0].accuracy is None


def test_seeds_of_equal_accuracy_are_not_certainty(tmp_path):
    cells = []
    for seed in range(2):
        run = write_run(tmp_path / "runs" / f"s{seed}", seed=seed)
        write_bench(run, "tflite-fp32")
        cells.append((run, "exported"))
    group = composed(write_study(tmp_path, cells)).groups[0]
    assert group.interval is not None
    low, high = group.interval
    assert high - low > 0.02


def slowed(process: MeasuredProcess, ratio: float) -> MeasuredProcess:
    blocks = (block.model_copy(update={"ns": tuple(int(ratio * ns) for ns in block.ns)}) for block in process.blocks)
    return process.model_copy(update={"blocks": tuple(blocks)})


def with_noise(path: Path, ratio: float) -> None:
    """The A/A control of a result differs by ``ratio``."""
    result = BenchDocument.read(path)
    controls = tuple(
        control.model_copy(update={"second": tuple(slowed(process, ratio) for process in control.first)})
        for control in result.control
    )
    change_bench(path, control=controls)


def test_noise_is_no_proof_that_there_is_no_benefit(tmp_path):
    """0.78 times where a file and itself differ by 40%: a gain cannot be measured here, and there may be one."""
    run = write_run(tmp_path / "run")
    write_bench(run, "tflite-fp32", factor=1 / 7.8)
    int8 = write_bench(run, "tflite-int8", factor=0.78 / 4.5)
    assert not any("fp32 file" in warning.text for warning in composed(run.path).warnings)
    for path in (run.bench_json("local", "tflite-fp32"), int8):
        with_noise(path, 1.4)
    (told,) = [warning.text for warning in composed(run.path).warnings if "with 1 thread" in warning.text]
    assert told.startswith("latency against its fp32 file is not measurable in this session (noise floor ")
    assert "no faster" not in told


def test_no_faster_is_said_where_the_interval_leaves_no_room_for_a_gain(tmp_path):
    run = write_run(tmp_path / "run")
    write_bench(run, "tflite-fp32", factor=1 / 7.8, noise=0.001)
    int8 = write_bench(run, "tflite-int8", factor=1 / 4.5, noise=0.001)
    for path in (run.bench_json("local", "tflite-fp32"), int8):
        with_noise(path, 1.01)
    (told,) = [warning.text for warning in composed(run.path).warnings if "with 1 thread" in warning.text]
    assert told.startswith("no measurable benefit: no faster than its fp32 file with 1 thread")


def test_a_report_of_an_interrupted_benchmark_is_marked_partial(tmp_path):
    run = write_run(tmp_path / "run")
    path = write_bench(run, "tflite-fp32")
    write_bench(run, "tflite-int8")
    change_bench(path, incomplete=("latency with 4 threads: 1 of 5 processes measured", "memory"), memory=None)
    report = composed(run.path)
    partial, whole = (next(file for file in report.files if file.key == key) for key in ("tflite-fp32", "tflite-int8"))
    assert "partial" in partial.marks()
    assert "partial" not in whole.marks()
    assert any("1 of 5 processes measured" in warning.text for warning in report.warnings)
    (told,) = [entry for entry in report.missing if "in part" in entry.text]
    assert told.text.startswith("tflite-fp32 of ")
    assert told.command.startswith("edgekit bench ")
