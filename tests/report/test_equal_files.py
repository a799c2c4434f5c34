"""A second look at multiplicity: reports on studies of twelve equally good files name no winner."""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from pathlib import Path
from statistics import NormalDist

import numpy as np
import pytest
from report_factory import write_bench, write_run, write_study

from edgekit.documents.report import ReportDocument
from edgekit.report.model.document import report_document
from edgekit.report.model.report import compose
from edgekit.report.model.source import RunData, Source, read_source

STUDIES = 100
KINDS = list(
    product(("mobilenetv2", "resnet50", "resnet50v2", "vgg16"), ("feature-extraction", "fine-tuning", "from-scratch"))
)
ACCURACY, SEED_DEVIATION = 0.92, 0.008


def _study(folder: Path, seeds: int) -> Source:
    """Twelve kinds of model with so many seeds, one exported file each, timed in one session."""
    cells = []
    for (backbone, strategy), seed in product(KINDS, range(seeds)):
        place = folder / "runs" / f"{backbone}-{strategy}-{seed}"
        run = write_run(place, backbone=backbone, strategy=strategy, seed=seed, n_test=300, files=("tflite-int8",))
        write_bench(run, "tflite-int8", block=2)
        cells.append((run, "exported"))
    return read_source(write_study(folder, cells))


def drawn(source: Source, random: np.random.Generator) -> Source:
    """The study with new predictions of kinds that are equally accurate; with several seeds, these differ."""
    files = sorted(source.runs[0].correct)
    difficulty = random.normal(0, 1, len(files))
    deviation = SEED_DEVIATION if len({run.seed for run in source.runs}) > 1 else 0.0
    return replace(source, runs=[_predicted(run, difficulty, deviation, random) for run in source.runs])


def _predicted(run: RunData, difficulty: np.ndarray, deviation: float, random: np.random.Generator) -> RunData:
    """Images that are difficult for one network are difficult for all."""
    noise = 0.7 * difficulty + np.sqrt(1 - 0.7**2) * random.normal(0, 1, len(difficulty))
    right = noise < NormalDist().inv_cdf(min(0.999, random.normal(ACCURACY, deviation)))
    correct = dict(zip(sorted(run.correct), right.tolist()))
    return replace(run, correct=correct, results=[(result, correct) for result, _ in run.results])


def reports(source: Source, seed: int) -> list[ReportDocument]:
    random = np.random.default_rng(seed)
    return [report_document(compose(drawn(source, random), "2026-11-26", "0.1.0")) for _ in range(STUDIES)]


def a_winner(document: ReportDocument) -> bool:
    return len(document.verdict[0].winners) < 2


def a_separation(document: ReportDocument) -> bool:
    """Whether the ranking says of any two files that they differ."""
    letters = [set(row.letters) for row in document.ranking["local"].rows]
    return any(not a & b for a in letters for b in letters)


def a_class(document: ReportDocument) -> bool:
    return any(row.p_holm < 0.05 for comparison in document.class_differences for row in comparison.classes)


@pytest.mark.slow
@pytest.mark.parametrize("seeds", [1, 3])
def test_twelve_equal_files_have_no_winner(tmp_path: Path, seeds: int) -> None:
    found = reports(_study(tmp_path, seeds), seeds)
    assert all(len(document.candidates) == 12 * seeds for document in found)
    assert sum(map(a_winner, found)) <= 5
    assert sum(map(a_separation, found)) <= 5
    assert sum(map(a_class, found)) <= 5
