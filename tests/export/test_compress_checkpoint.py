"""An interrupted compression resumes when it is rerun, and ends where it would have ended."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pytest
from export_runs import COLOURS, SIDE
from listeners import StopsAt, Told

from edgekit.data.dataset import Dataset
from edgekit.documents.dataset_list import read_dataset_csv
from edgekit.support.progress import SILENT

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("tensorflow_model_optimization") is None, reason='pip install "edgekit[compress]"'
)


@pytest.fixture(scope="module")
def training_images(finished_run):
    from edgekit.export.compress.fine_tuning import TrainingImages

    recipe = finished_run.read_finished_run().recipe
    dataset = Dataset.from_rows(read_dataset_csv(finished_run.dataset), finished_run.path / "images", "x", COLOURS)
    return TrainingImages.of(dataset, recipe, SILENT)


def tiny_network():
    from edgekit.export.compress.tf_keras_copy import PortableLayer, PortableNetwork

    generator = np.random.default_rng(0)

    def weights(*shape: int):
        kernel = generator.normal(0, 0.2, shape).astype(np.float32)
        return kernel * generator.uniform(0.01, 1, shape[-1]).astype(np.float32), np.zeros(shape[-1], np.float32)

    def conv(name: str, source: str, channels: int) -> PortableLayer:
        settings = {"filters": 8, "kernel_size": (3, 3), "activation": "relu", "use_bias": True, "padding": "same"}
        return PortableLayer(name, "Conv2D", settings, (source,), weights(3, 3, channels, 8), (SIDE, SIDE, 8))

    scaled = PortableLayer("scaled", "Rescaling", {"scale": 1 / 127.5, "offset": -1.0}, ("image",), (), (SIDE, SIDE, 3))
    last = {"units": 3, "activation": "softmax", "use_bias": True}
    layers = (
        scaled,
        conv("first", "scaled", 3),
        conv("second", "first", 8),
        PortableLayer("pool", "GlobalAveragePooling2D", {}, ("second",), (), (8,)),
        PortableLayer("probabilities", "Dense", last, ("pool",), weights(8, 3), (3,)),
    )
    return PortableNetwork("tiny", SIDE, layers)


@pytest.mark.parametrize("kind", ["pruned", "clustered"])
def test_an_interrupted_training_resumes_and_ends_the_same(training_images, kind, tmp_path):
    from edgekit.export.compress.checkpoint import Checkpoint
    from edgekit.export.compress.clustering import cluster
    from edgekit.export.compress.compressor import import_model_optimization
    from edgekit.export.compress.pruning import prune
    from edgekit.export.network import prepare_keras
    from edgekit.recipe import Clustering, Pruning

    prepare_keras(need_tensorflow=True)
    import_model_optimization()
    train = {"pruned": prune, "clustered": cluster}[kind]
    common = {"epochs": 4, "learning_rate": 1e-2, "batch_size": 16}
    settings = Pruning(**common, sparsity=0.5) if kind == "pruned" else Clustering(**common, clusters=4)
    path, work = tmp_path / "kept.npz", {"kind": kind}

    straight, tuned = train(tiny_network(), training_images, settings, SILENT, Checkpoint(tmp_path / "other.npz", work))
    assert tuned.resumed == 0
    with pytest.raises(KeyboardInterrupt):
        train(tiny_network(), training_images, settings, StopsAt(" 2/"), Checkpoint(path, work))
    assert [file.name for file in tmp_path.iterdir() if file.name.startswith((".", "kept"))] == ["kept.npz"]
    progress = Told()
    again, resumed = train(tiny_network(), training_images, settings, progress, Checkpoint(path, work))

    assert resumed.resumed == 2
    assert any("resuming after epoch 2 of 4" in text for text in progress.infos)
    assert [row.steps for row in resumed.history] == [row.steps for row in tuned.history]
    assert resumed.history[-1].loss == pytest.approx(tuned.history[-1].loss, rel=1e-3)
    for left, right in zip(straight.layers, again.layers):
        assert all(np.allclose(a, b, rtol=1e-3, atol=1e-4) for a, b in zip(left.weights, right.weights)), left.name
    moved = max(
        np.abs(a.weights[0] - b.weights[0]).max() for a, b in zip(straight.layers, tiny_network().layers) if a.weights
    )
    assert moved > 0.01  # otherwise the agreement would prove nothing

    # the checkpoint of another training is ignored, and so is a damaged one
    _, fresh = train(tiny_network(), training_images, settings, SILENT, Checkpoint(path, {"kind": "another"}))
    assert fresh.resumed == 0
    Path(path).write_bytes(b"half a file")
    _, fresh = train(tiny_network(), training_images, settings, SILENT, Checkpoint(path, work))
    assert fresh.resumed == 0
