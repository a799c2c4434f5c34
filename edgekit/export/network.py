"""The trained network of a run, loaded for export: verified, run on real images, written as a constant graph."""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgekit.documents.folders import RunFolder
from edgekit.documents.run import RunDocument
from edgekit.errors import CheckFailed, InputError
from edgekit.export.head_folding import fold_head
from edgekit.support.files import sha256_file
from edgekit.support.frameworks import collector_paused, lean_import
from edgekit.support.quiet import quiet_native_output

BATCH_SIZE = 16

LARGE_BATCH_SIZE = 4
"""Of large images: the first layers of VGG16 take 26 MB for each of 224x224."""

AT_ONCE = 64
"""Images that are turned into floats at the same time."""

SMALL_IMAGE = 64
"""Up to this side length the network is called directly, because compiling ``predict`` takes longer than predicting a
hundred small images. A direct call keeps every layer's output: 16 images of 224x224 would take over a gigabyte."""

INSTALL = 'pip install "edgekit[cpu]"'


@dataclass(frozen=True)
class TrainedNetwork:
    """``keras_model`` takes float32 (N, H, W, 3) RGB 0-255 and returns probabilities (N, classes)."""

    keras_model: Any
    image_size: int
    labels: list[str]
    sha256: str

    def predict(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Probabilities (N, classes) of ``pixels`` uint8 (N, H, W, 3).

        Raises :class:`CheckFailed` if the network itself returns NaN or infinity.
        """
        if self.image_size <= SMALL_IMAGE:
            probabilities = np.concatenate(
                [
                    np.asarray(self.keras_model(pixels[i : i + BATCH_SIZE].astype(np.float32), training=False))
                    for i in range(0, len(pixels), BATCH_SIZE)
                ]
            )
        else:
            # In parts: as floats, all images at once would take a gigabyte.
            probabilities = np.concatenate(
                [
                    self.keras_model.predict(
                        pixels[i : i + AT_ONCE].astype(np.float32), batch_size=LARGE_BATCH_SIZE, verbose=0
                    )
                    for i in range(0, len(pixels), AT_ONCE)
                ]
            )
        probabilities = np.asarray(probabilities, np.float32)
        if not np.isfinite(probabilities).all():
            raise CheckFailed(
                f"the trained network returns NaN or infinity for {_bad_rows(probabilities)} of {len(pixels)} images",
                hint="the training diverged: see history.csv, and train again with a lower learning rate",
            )
        return probabilities


def prepare_keras(*, need_tensorflow: bool) -> None:
    """Import Keras with a suitable backend; call this before anything else imports Keras.

    Raises :class:`InputError` that names the missing package.
    """
    if importlib.util.find_spec("keras") is None:
        raise InputError("Keras is not installed, so the trained model cannot be read", hint=INSTALL)
    if "keras" not in sys.modules:
        # The file is the same, whichever backend the run was trained with.
        os.environ["KERAS_BACKEND"] = "tensorflow" if need_tensorflow else _any_backend()
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
        with lean_import(os.environ["KERAS_BACKEND"]):
            importlib.import_module("keras")
    backend = sys.modules["keras"].backend.backend()
    if need_tensorflow and backend != "tensorflow":
        raise InputError(
            f".tflite files need TensorFlow, but Keras already runs on {backend} in this process",
            hint="export in a separate process: edgekit export RUN",
        )


def load_network(run: RunFolder, document: RunDocument) -> TrainedNetwork:
    """Read ``model.keras`` of a finished run; :class:`InputError` if it is missing, damaged or of another shape."""
    if not run.model.is_file():
        raise InputError("the trained model of this run is missing", where=str(run.model), hint="train it again")
    digest = sha256_file(run.model)
    damaged = InputError(
        "the trained model is damaged, or was replaced after training",
        where=str(run.model),
        hint="copy the run folder again from where it was trained, or train it again",
    )
    if document.files.get(run.model.name, digest) != digest:
        raise damaged
    import keras

    try:
        with quiet_native_output(), collector_paused():
            model = keras.models.load_model(run.model, compile=False)
    except Exception as error:  # zip, HDF5 and Keras raise their own errors
        raise damaged from error
    labels = run.read_labels()
    _, height, width, channels = model.input_shape
    if height != width or channels != 3 or model.output_shape[-1] != len(labels):
        raise InputError(
            f"the model has input {model.input_shape} and output {model.output_shape}, "
            f"which does not match square RGB images and the {len(labels)} labels in {run.labels.name}",
            where=str(run.model),
        )
    return TrainedNetwork(model, int(height), labels, digest)


def constant_graph(network: TrainedNetwork) -> tuple[Any, Any, Any]:
    """The network for one image as a TensorFlow graph (GraphDef, input tensor, output tensor), batch 1.

    Weights are constants from the start. Tracing the model with its variables and freezing them afterwards gives the
    same graph, but takes several times the time and memory.
    """
    import tensorflow as tf

    model, size = fold_head(network.keras_model), network.image_size
    trainable = [np.asarray(variable.value) for variable in model.trainable_variables]
    others = [np.asarray(variable.value) for variable in model.non_trainable_variables]
    with collector_paused(), tf.Graph().as_default() as graph:
        image = tf.compat.v1.placeholder(tf.float32, (1, size, size, 3), name="image")
        outputs, _ = model.stateless_call(
            [tf.constant(array) for array in trainable],
            [tf.constant(array) for array in others],
            image,
            training=False,
        )
        probabilities = tf.identity(outputs, name="probabilities")
    return graph.as_graph_def(), image, probabilities


def _any_backend() -> str:
    wanted = os.environ.get("KERAS_BACKEND")
    names = [wanted] if wanted else ["tensorflow", "jax", "torch"]
    for name in names:
        if importlib.util.find_spec(name) is not None:
            return name
    raise InputError(f"Keras needs {' or '.join(names)} to run the trained model", hint=INSTALL)


def _bad_rows(probabilities: NDArray[np.float32]) -> int:
    return int(np.count_nonzero(~np.isfinite(probabilities).all(axis=1)))
