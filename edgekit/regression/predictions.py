"""Predictions of a new file and of its baseline, on the images that both were scored on."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgekit.documents.arrays import PredictionArrays, read_predictions
from edgekit.documents.bench import BenchDocument, BenchResult
from edgekit.documents.dataset_list import DatasetRow, read_dataset_csv
from edgekit.regression.evidence import Classes, Evidence
from edgekit.support.files import write_bytes


def compare_predictions(
    evidence: Evidence,
    new: BenchResult,
    baseline: BenchResult | None,
    saved: tuple[BenchDocument, bytes] | None,
    images: tuple[list[DatasetRow], tuple[str, ...]],
    scratch: Path,
) -> None:
    """Set the classes that both files predict, or the reason why they are not compared.

    ``baseline``: what was measured of the baseline's file now; otherwise ``saved``, what the baseline contains, with
    its predictions. ``images``: the baseline's test images and classes. ``scratch``: where these
    predictions are unpacked.
    """
    evidence.problem = "; ".join(new.bench.problems) or None
    path = new.predictions_path()
    rows, old_names = images
    old = _of_baseline(baseline, saved, scratch, len(old_names))
    if path is None or old is None:
        evidence.reasons["accuracy"] = "the new file was not scored" if path is None else "the baseline was not scored"
        return
    if baseline is None and saved is not None:
        evidence.notes += _other_conditions(new.bench, saved[0])
    given = evidence.pair.given
    names = given.document.dataset.classes
    if set(names) != set(old_names):
        evidence.reasons["accuracy"] = "the new run has other classes than the baseline"
        return
    order = np.array([names.index(name) for name in old_names], np.int64)
    arrays = read_predictions(path, classes=len(names)), _in_order(old, order)
    evidence.classes = _on_common_images(*arrays, rows, read_dataset_csv(given.folder.dataset), names)
    if evidence.classes is None:
        evidence.reasons["accuracy"] = "the new run has none of the baseline's test images"


def _of_baseline(
    measured: BenchResult | None, saved: tuple[BenchDocument, bytes] | None, scratch: Path, classes: int
) -> PredictionArrays | None:
    path = None if measured is None else measured.predictions_path()
    if path is None and saved is not None:
        write_bytes(scratch, saved[1])
        path = scratch
    return None if path is None else read_predictions(path, classes=classes)


def _other_conditions(new: BenchDocument, old: BenchDocument) -> list[str]:
    """What has changed since the baseline was scored, apart from the file."""
    found = []
    if new.runtime != old.runtime and new.runtime is not None and old.runtime is not None:
        versions = [f"{one.name} {one.version} ({one.delegate})" for one in (old.runtime, new.runtime)]
        found.append(f"the baseline was scored with {versions[0]}, the new file with {versions[1]}")
    if new.accuracy is not None and old.accuracy is not None and new.accuracy.decoder != old.accuracy.decoder:
        found.append(f"images were decoded by {old.accuracy.decoder} then, and by {new.accuracy.decoder} now")
    return found


def _in_order(predictions: PredictionArrays, order: NDArray[np.int64]) -> PredictionArrays:
    """The same predictions with class ``i`` as class ``order[i]``."""
    probabilities = np.empty_like(predictions.probabilities)
    probabilities[:, order] = predictions.probabilities
    return PredictionArrays(order[predictions.labels], probabilities, predictions.files)


def _on_common_images(
    new: PredictionArrays,
    old: PredictionArrays,
    old_rows: list[DatasetRow],
    new_rows: list[DatasetRow],
    names: tuple[str, ...],
) -> Classes | None:
    """Images are the same where path, content and class are; None where there are none."""
    content = {row.path: (row.sha256, row.label) for row in new_rows}
    same = {row.path for row in old_rows if content.get(row.path) == (row.sha256, row.label)}
    place = {file: number for number, file in enumerate(new.files)}
    common = [(number, place[file]) for number, file in enumerate(old.files) if file in same and file in place]
    if not common:
        return None
    olds, news = (np.array(side, np.int64) for side in zip(*common))
    return Classes(
        baseline=old.probabilities[olds].argmax(axis=1).astype(np.int64),
        new=new.probabilities[news].argmax(axis=1).astype(np.int64),
        labels=new.labels[news],
        names=names,
        files=tuple(new.files[number] for number in news.tolist()),
        n_baseline=len(old.files),
    )
