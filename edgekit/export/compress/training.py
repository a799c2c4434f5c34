"""Further training of a finished network for smaller files, with TensorFlow Model Optimization on its tf_keras twin."""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from edgekit import __version__
from edgekit.export.check.exported_file import Reference
from edgekit.export.check.parity import Probabilities
from edgekit.export.compress.checkpoint import Unfinished
from edgekit.export.compress.fine_tuning import Lessons, fine_tune
from edgekit.export.compress.tf_keras_copy import PlainNetwork, plain_network, verify_carried_over
from edgekit.export.formats import Maker, installed_version, maker_class
from edgekit.export.network import TrainedNetwork
from edgekit.export.sample_images import Samples
from edgekit.recipe import Recipe
from edgekit.support.frameworks import lean_import
from edgekit.support.progress import Progress

CARRIED_IMAGES = 32
RANGE_IMAGES = 128
"""Calibration images that the ranges of fake quantization begin with; training moves them."""

_SECTIONS = {"qat": "qat", "pruned": "pruning", "clustered": "clustering"}
"""Of the recipe's export."""


@dataclass(frozen=True)
class Further:
    """What one kind of further training gave: its record, its answers (N, classes) to the parity images."""

    record: dict[str, Any]
    answers: Probabilities
    maker: Callable[[str], Maker]
    """Takes a format."""


@dataclass
class FurtherTrainings:
    """The further trainings of one run; each is done when first asked for, once for all its files.

    What an interrupted one has reached is kept in ``folder`` until :meth:`forget`.
    """

    folder: Path
    network: TrainedNetwork
    recipe: Recipe
    calibration: Samples
    reference: Reference
    progress: Progress
    _done: dict[str, Further] = field(default_factory=dict)

    def get(self, kind: str) -> Further:
        """``kind`` is one of :data:`edgekit.registry.FURTHER_TRAINING`.

        Raises :class:`edgekit.errors.CheckFailed` where the twin does not answer as the network.
        """
        if kind not in self._done:
            import_optimization()
            plain = plain_network(self.network.keras_model)
            carried = self._verified(plain)
            trained = {"qat": self._qat, "pruned": self._pruned, "clustered": self._clustered}[kind](plain)
            trained.record.update(
                kind=kind,
                carried_over={"images": CARRIED_IMAGES, "max_abs_difference": carried},
                versions={
                    "tensorflow_model_optimization": installed_version("tensorflow-model-optimization"),
                    "tf_keras": installed_version("tf-keras", "tf_keras"),
                },
            )
            self._done[kind] = trained
        return self._done[kind]

    def _verified(self, plain: PlainNetwork) -> float:
        """Largest difference of the twin's answers to real images from the network's."""
        import tf_keras

        pixels = self.reference.parity.pixels[:CARRIED_IMAGES]
        twin = plain.with_convolutions_only().build(tf_keras)
        answers = twin.predict(pixels.astype(np.float32), batch_size=8, verbose=0)
        return verify_carried_over(self.reference.keras[: len(pixels)], answers)

    def forget(self) -> None:
        """Their files are made: an interrupt has nothing to lose any more."""
        for kind in self._done:
            self._unfinished(kind).remove()

    def _unfinished(self, kind: str) -> Unfinished:
        recipe = self.recipe.document()
        settings = {"data": recipe["data"], "train": recipe["train"], "export": recipe["export"][_SECTIONS[kind]]}
        work = {
            "edgekit": __version__,
            "network": self.network.sha256,
            "calibration": self.calibration.files,
            **settings,
        }
        return Unfinished(self.folder / f"{kind}.unfinished.npz", work)

    def _lessons(self) -> Lessons:
        return Lessons.of(self.calibration.dataset, self.recipe, self.progress)

    def _qat(self, plain: PlainNetwork) -> Further:
        from edgekit.export.compress.fake_quantization import QatMaker, fake_quantized

        model = fake_quantized(plain, self.calibration.pixels[:RANGE_IMAGES])
        record = fine_tune(
            model, self._lessons(), self.recipe.export.qat, "qat", self.progress, self._unfinished("qat")
        )
        parity, facts = self.reference.parity, self.reference.facts
        answers = model.predict(parity.pixels.astype(np.float32), batch_size=8, verbose=0)
        return Further(record, np.asarray(answers, np.float32), lambda _: QatMaker(model, facts))

    def _pruned(self, plain: PlainNetwork) -> Further:
        from edgekit.export.compress.pruning import pruned

        network, record = pruned(
            plain, self._lessons(), self.recipe.export.pruning, self.progress, self._unfinished("pruned")
        )
        return self._as_network(network, record)

    def _clustered(self, plain: PlainNetwork) -> Further:
        from edgekit.export.compress.clustering import clustered

        network, record = clustered(
            plain, self._lessons(), self.recipe.export.clustering, self.progress, self._unfinished("clustered")
        )
        return self._as_network(network, record)

    def _as_network(self, plain: PlainNetwork, record: dict[str, Any]) -> Further:
        """Back to Keras 3, from where its files are made as those of any network."""
        import keras

        its = self.network
        network = TrainedNetwork(plain.build(keras), its.image_size, its.labels, its.sha256)
        pixels, facts, settings = self.calibration.pixels, self.reference.facts, self.recipe.export
        answers = network.predict(self.reference.parity.pixels)
        return Further(record, answers, lambda name: maker_class(name)(network, pixels, facts, settings))


def import_optimization() -> None:
    """Import TensorFlow Model Optimization, which takes tf_keras models, beside Keras 3 in this process."""
    before = os.environ.get("TF_USE_LEGACY_KERAS")
    with lean_import("tensorflow"):
        importlib.import_module("tf_keras")
        importlib.import_module("tensorflow_model_optimization")
    # It sets this for the whole process and those that are started from it, for which Keras 3 is meant.
    if before is None:
        os.environ.pop("TF_USE_LEGACY_KERAS", None)
    else:
        os.environ["TF_USE_LEGACY_KERAS"] = before
