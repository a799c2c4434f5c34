"""Learning curves over seeds: what is averaged, and where the curves end."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
from report_factory import write_bench, write_run, write_study

from edgekit.report.build import build_report
from edgekit.report.model.learning import learning
from edgekit.report.model.source import read_source


def study_of(folder: Path, seeds: int = 3, strategies: tuple[str, ...] = ("feature-extraction",)) -> Path:
    cells = []
    for strategy in strategies:
        for seed in range(seeds):
            place = folder / "runs" / f"{strategy}-s{seed}"
            run = write_run(place, strategy=strategy, seed=seed, accuracy=0.9 + 0.02 * seed, files=("tflite-fp32",))
            write_bench(run, "tflite-fp32")
            cells.append((run, "exported"))
    return write_study(folder, cells)


def column(run: Path, name: str) -> list[float]:
    with (run / "history.csv").open(newline="") as stream:
        return [float(row[name]) for row in csv.DictReader(stream)]


def test_the_mean_and_the_range_of_every_epoch(tmp_path: Path) -> None:
    study = study_of(tmp_path)
    found = learning(read_source(study).runs)
    assert found is not None
    (kind,) = found.kinds
    curves = [column(study / "runs" / f"feature-extraction-s{seed}", "val_accuracy") for seed in range(3)]
    for spread, values in zip(kind.curves["val_accuracy"], zip(*curves)):
        assert spread.mean == pytest.approx(sum(values) / 3)
        assert (spread.lowest, spread.highest) == (min(values), max(values))
    assert kind.seeds == (0, 1, 2)
    assert kind.epochs == (10, 10)
    assert kind.test == pytest.approx(0.92)
    # Student's t with 2 degrees of freedom is 4.3027; three values 0.02 apart deviate by 0.02.
    assert kind.test_ci95 == pytest.approx((0.92 - 4.3027 * 0.02 / 3**0.5, 0.92 + 4.3027 * 0.02 / 3**0.5), abs=1e-5)
    assert kind.validation_sd == pytest.approx(0.02)


def test_it_ends_where_the_first_seed_stopped(tmp_path: Path) -> None:
    """A mean over the seeds that went on would be one of other networks."""
    study = study_of(tmp_path)
    short = study / "runs" / "feature-extraction-s1" / "history.csv"
    short.write_text("".join(short.read_text().splitlines(keepends=True)[:5]))
    found = learning(read_source(study).runs)
    assert found is not None
    (kind,) = found.kinds
    assert [spread.epoch for spread in kind.curves["val_loss"]] == [1, 2, 3, 4]
    assert kind.epochs == (4, 10)


def test_a_stage_begins_at_one_place_for_all(tmp_path: Path) -> None:
    """A fine-tuning that began at another run has no feature extraction of its own, and is not drawn before one."""
    study = study_of(tmp_path, seeds=1, strategies=("fine-tuning", "feature-extraction"))
    file = study / "runs" / "fine-tuning-s0" / "history.csv"
    lines = file.read_text().splitlines(keepends=True)
    file.write_text("".join([lines[0], *(line for line in lines if line.startswith("fine-tuning"))]))
    found = learning(read_source(study).runs)
    assert found is not None
    assert found.phases == [("feature-extraction", 0), ("fine-tuning", 10)]
    assert [kind.curves["loss"][0].epoch for kind in found.kinds] == [11, 1]


def test_what_is_not_finished_is_not_averaged(tmp_path: Path) -> None:
    study = study_of(tmp_path)
    write_run(study / "runs" / "feature-extraction-s2", seed=2, finished=False)
    found = learning(read_source(study).runs)
    assert found is not None
    assert found.kinds[0].seeds == (0, 1)


def test_the_most_accurate_of_networks_is_a_mean_over_seeds(tmp_path: Path) -> None:
    """Never the best seed, also where no file was measured yet."""
    cells = []
    for backbone, accuracies in (("mobilenetv2", (0.99, 0.80)), ("resnet50v2", (0.92, 0.94))):
        for seed, accuracy in enumerate(accuracies):
            run = write_run(tmp_path / "runs" / f"{backbone}-{seed}", backbone=backbone, seed=seed, accuracy=accuracy)
            cells.append((run, "exported"))
    finding = build_report(write_study(tmp_path, cells)).verdict[0]
    assert finding.winners[0].title == "ResNet50V2, feature-extraction"
    assert len(finding.winners) == 2  # one of them may be the best: the seeds of MobileNetV2 differ by 19 points
    assert finding.figure.startswith("the highest mean accuracy 93.0% over 2 seeds and 400 test images (95% interval")


def test_one_run_shows_its_own_curves_only(tmp_path: Path) -> None:
    assert learning(read_source(study_of(tmp_path, seeds=1)).runs) is None


def test_they_stand_in_every_form_of_the_report(tmp_path: Path) -> None:
    study = study_of(tmp_path)
    document = build_report(study)
    assert document.learning_curves is not None
    (kind,) = document.learning_curves.kinds
    assert len(kind.curves["val_accuracy"]) == 10
    page = (study / "report" / "report.html").read_text()
    assert "<h2>Learning curves</h2>" in page
    assert "Lines: mean over seeds." in page
    assert "Validation loss over the epochs, mean and range over seeds" in page
    assert "Confusion matrices over all seeds" in page
    assert "| MobileNetV2, feature-extraction | 3 | 92.0 | 92.0 (87.0 to 97.0) |" in (
        study / "report" / "report.md"
    ).read_text().replace("\n", " ")
