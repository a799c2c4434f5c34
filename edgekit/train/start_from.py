"""Fine-tuning that begins at a feature extraction somebody has already paid for."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path
from typing import Any

from edgekit.data.dataset import Dataset
from edgekit.documents.folders import RunFolder
from edgekit.errors import InputError
from edgekit.recipe import Recipe, differences, validate

IRRELEVANT = ("train.strategy", "train.fine_tuning", "train.start_from")
"""Training settings that the feature extraction does not depend on."""

_READ: dict[str, Callable[[str], Any]] = {"stage": str, "epoch": int}
"""Columns of ``history.csv`` that are not fractional numbers."""


def check_start(recipe: Recipe) -> dict[str, Any]:
    """``run.json`` of the run in ``train.start_from``; :class:`InputError` where this recipe cannot begin there."""
    assert recipe.train.start_from is not None
    run = RunFolder(Path(recipe.train.start_from))
    document = run.read_finished()
    if document["strategy"] != "feature-extraction":
        raise InputError(
            f"fine-tuning begins at a feature-extraction run; this one is {document['strategy']}", where=str(run.path)
        )
    its = validate(document["recipe"], str(run.run_json))  # settings that are younger than the run get their defaults
    mixed = any(one.train.mix.active_in("feature-extraction") for one in (its, recipe))
    irrelevant = IRRELEVANT if mixed else (*IRRELEVANT, "train.mix")
    before, mine = its.document(), recipe.document()
    changed = [
        key
        for section in ("model", "train", "data")
        for key in differences(before[section], mine[section], section)
        if not key.startswith(irrelevant)
    ]
    if changed:
        raise InputError(
            f"the run to begin at was trained with other settings: {', '.join(sorted(changed))}", where=str(run.path)
        )
    return document


def take_over(recipe: Recipe, dataset: Dataset, network: Any) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Put the weights of the run in ``train.start_from`` into ``network``; its stage record and history.

    Raises :class:`InputError` where that run saw other images.
    """
    import keras

    document = check_start(recipe)
    run = RunFolder(Path(str(recipe.train.start_from)))
    if document["dataset"]["fingerprint"] != dataset.fingerprint:
        raise InputError("the run to begin at was trained on other images", where=str(run.path))
    network.set_weights(keras.models.load_model(run.model, compile=False).get_weights())
    with run.history.open(newline="", encoding="utf-8") as stream:
        history = [{key: _READ.get(key, float)(value) for key, value in row.items()} for row in csv.DictReader(stream)]
    record = next(stage for stage in document["stages"] if stage["name"] == "feature-extraction")
    return {**record, "taken_over_from": document["run_id"]}, history
