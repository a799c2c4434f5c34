"""Fine-tuning that starts from the feature extraction of another run, instead of repeating it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from edgekit.data.dataset import Dataset
from edgekit.documents.folders import RunFolder
from edgekit.documents.history import EpochResult, read_history
from edgekit.documents.run import PhaseRecord, RunDocument
from edgekit.errors import InputError
from edgekit.recipe import Recipe, differences

if TYPE_CHECKING:
    import keras

IRRELEVANT = ("train.strategy", "train.fine_tuning", "train.start_from")
"""Settings that do not affect feature extraction."""


@dataclass(frozen=True)
class Start:
    """The results of another run's feature extraction: its record and its epochs."""

    record: PhaseRecord
    history: list[EpochResult]


def check_start(recipe: Recipe) -> RunDocument:
    """The document of the run in ``train.start_from``; raises :class:`InputError` if ``recipe`` cannot start there."""
    assert recipe.train.start_from is not None
    run = RunFolder(Path(recipe.train.start_from))
    document = run.read_finished_run()
    if document.strategy != "feature-extraction":
        raise InputError(
            f"train.start_from needs a feature-extraction run, but this is a {document.strategy} run",
            where=str(run.path),
        )
    theirs, ours = document.recipe.document(), recipe.document()
    mixed = any(one.train.mix.active_in("feature-extraction") for one in (document.recipe, recipe))
    irrelevant = IRRELEVANT if mixed else (*IRRELEVANT, "train.mix")
    changed = [
        key
        for section in ("model", "train", "data")
        for key in differences(theirs[section], ours[section], section)
        if not key.startswith(irrelevant)
    ]
    if changed:
        raise InputError(
            f"the run in train.start_from has different settings: {', '.join(sorted(changed))}", where=str(run.path)
        )
    return document


def load_start(recipe: Recipe, dataset: Dataset, network: keras.Model) -> Start:
    """Load the weights of the run in ``train.start_from`` into ``network``.

    Raises :class:`InputError` if that run was trained on other images.
    """
    document = check_start(recipe)
    run = RunFolder(Path(str(recipe.train.start_from)))
    if document.dataset.fingerprint != dataset.fingerprint:
        raise InputError("the run in train.start_from was trained on other images", where=str(run.path))
    network.load_weights(run.model)
    record = next(phase for phase in document.stages if phase.name == "feature-extraction")
    return Start(record.model_copy(update={"taken_over_from": document.run_id}), read_history(run.history))
