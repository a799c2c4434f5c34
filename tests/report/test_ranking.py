"""The ranking: letters of exported files that are not separated, over one seed and over several."""

from __future__ import annotations

from pathlib import Path

import pytest
from report_factory import give_the_same_images, write_bench, write_run, write_study

from edgekit.report.model.comparisons import Comparisons
from edgekit.report.model.exported_files import exported_files
from edgekit.report.model.groups import Group, grouped
from edgekit.report.model.ranking import accuracy_ranking
from edgekit.report.model.source import read_source
from edgekit.stats.significance import mcnemar_exact


def study_of(folder: Path, accuracies: dict[str, list[float]]) -> list[Group]:
    cells = []
    for backbone, values in accuracies.items():
        for seed, accuracy in enumerate(values):
            place = folder / "runs" / f"{backbone}-{seed}"
            run = write_run(place, backbone=backbone, seed=seed, accuracy=accuracy, files=("tflite-fp32",))
            write_bench(run, "tflite-fp32")
            cells.append((run, "exported"))
    write_study(folder, cells)
    give_the_same_images(folder)
    return grouped(exported_files(read_source(folder).runs))


def comparisons_of(groups: list[Group]) -> Comparisons:
    return Comparisons([member for group in groups for member in group.members])


def test_one_seed_is_ranked_by_mcnemar(tmp_path: Path) -> None:
    groups = study_of(tmp_path, {"mobilenetv2": [0.80], "resnet50v2": [0.95], "vgg16": [0.94], "resnet50": [0.60]})
    comparisons = comparisons_of(groups)
    ranking = accuracy_ranking(groups, comparisons)
    assert ranking is not None
    assert [row.group.first.run.document.backbone for row in ranking.rows] == [
        "resnet50v2",
        "vgg16",
        "mobilenetv2",
        "resnet50",
    ]
    assert [row.letters for row in ranking.rows] == ["a", "a", "b", "c"]
    assert (ranking.n_pairs, ranking.critical_difference) == (6, None)
    assert ranking.rows[0].behind is None
    last = ranking.rows[3].behind
    assert last is not None
    assert last.estimate == pytest.approx(0.35)
    assert 0.29 < last.low < 0.33
    assert 0.37 < last.high < 0.41
    a, b = (next(g for g in groups if g.first.run.document.backbone == name) for name in ("resnet50v2", "vgg16"))
    right_a, right_b = a.first.correct, b.first.correct
    only = [sum(x[f] and not y[f] for f in x) for x, y in ((right_a, right_b), (right_b, right_a))]
    assert comparisons.p_value(a, b) == mcnemar_exact(*only)


def test_several_seeds_have_mean_ranks(tmp_path: Path) -> None:
    accuracies = {"mobilenetv2": [0.80, 0.81, 0.79], "resnet50v2": [0.95, 0.94, 0.96], "vgg16": [0.70, 0.72, 0.71]}
    groups = study_of(tmp_path, accuracies)
    ranking = accuracy_ranking(groups, comparisons_of(groups))
    assert ranking is not None
    assert [row.rank for row in ranking.rows] == [1.0, 2.0, 3.0]
    assert [row.letters for row in ranking.rows] == ["a", "b", "c"]
    behind = ranking.rows[1].behind
    assert behind is not None
    assert behind.estimate == pytest.approx(0.15)
    assert behind.low > 0
    # Demsar 2006: q(3) = 2.343, so 2.343 * sqrt(3 * 4 / (6 * 3)).
    assert ranking.critical_difference == pytest.approx(1.913, abs=1e-3)
    assert ranking.friedman_p == pytest.approx(0.0498, abs=1e-3)


def test_two_are_no_ranking(tmp_path: Path) -> None:
    groups = study_of(tmp_path, {"mobilenetv2": [0.8], "resnet50v2": [0.95]})
    assert accuracy_ranking(groups, comparisons_of(groups)) is None


def test_letters_say_what_the_tests_say(tmp_path: Path) -> None:
    """The second and the fourth are the same network; the third differs from both, the first from neither.

    Contiguous stretches would give the second and the fourth no common letter.
    """
    groups = study_of(tmp_path, {"mobilenetv2": [0.90], "resnet50v2": [0.89], "vgg16": [0.885], "resnet50": [0.88]})
    comparisons = comparisons_of(groups)
    significant = {(groups[1].number, groups[2].number), (groups[2].number, groups[3].number)}
    for a in groups:
        for b in groups:
            key = (min(a.number, b.number), max(a.number, b.number))
            comparisons._p[key] = 1e-9 if key in significant else 0.9
    ranking = accuracy_ranking(groups, comparisons)
    assert ranking is not None
    rows = {row.group.number: set(row.letters) for row in ranking.rows}
    for a in groups:
        for b in groups:
            if a.number < b.number:
                assert bool(rows[a.number] & rows[b.number]) == ((a.number, b.number) not in significant)


def test_the_note_names_the_test_of_each_pair(tmp_path: Path) -> None:
    """Two backbones share three seeds; the third shares one seed with each of them."""
    groups = study_of(tmp_path, {"mobilenetv2": [0.9] * 3, "resnet50v2": [0.91] * 3, "vgg16": [0.92]})
    ranking = accuracy_ranking(groups, comparisons_of(groups))
    assert ranking is not None
    assert ranking.tests == ("exact McNemar test, 2 pairs", "test over seeds and images, 1 pair")
