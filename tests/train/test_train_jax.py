"""Training under JAX where there is no TensorFlow, as on a machine with a GPU; the model then loads under TensorFlow."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
import sysconfig
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image
from train_helpers import REPOSITORY, changed, history, values

from edgekit.artifacts import RunFolder

ABSENT = ("tensorflow", "tf2onnx", "ai_edge", "tflite", "tensorboard", "tf_keras", "keras_tensorflow")
"""Packages left out: TensorFlow, what comes with it, what needs it. tensorboardX is another one and stays."""

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("jax") is None, reason='JAX is not installed: pip install "edgekit[jax]"'
)


@pytest.fixture(scope="module")
def without_tensorflow(tmp_path_factory) -> list[str]:
    """The start of a command line: this Python with every installed package but those in ABSENT."""
    farm = tmp_path_factory.mktemp("packages")
    for folder in {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}:
        for entry in Path(folder).iterdir():
            name = entry.name.lower()
            absent = name.startswith(ABSENT) and not name.startswith("tensorboardx")
            if not absent and not (farm / entry.name).exists():
                (farm / entry.name).symlink_to(entry)
    # Isolated (-I) and without site-packages (-S): only what is named here can be imported.
    start = f"import sys; sys.path[:0] = [{str(REPOSITORY)!r}, {str(farm)!r}]; "
    return [sys.executable, "-I", "-S", "-c", start]


def call(command: list[str], code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*command[:-1], command[-1] + code, *arguments],
        env={**os.environ, "KERAS_BACKEND": "jax", "JAX_PLATFORMS": "cpu"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


EDGEKIT = "from edgekit.cli.app import main; main()"


def test_tensorflow_is_truly_absent(without_tensorflow):
    done = call(without_tensorflow, "import keras, tensorflow")
    assert done.returncode == 1
    assert "No module named 'tensorflow'" in done.stderr


def test_a_network_trained_under_jax_is_the_same_under_tensorflow(trained, images, without_tensorflow, tmp_path):
    import keras

    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(yaml.safe_dump(trained.recipe.document()))
    run = RunFolder(tmp_path / "run")
    done = call(without_tensorflow, EDGEKIT, "train", str(recipe), "--run", str(run.path), "--json")
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert document["environment"]["backend"] == "jax"
    assert "tensorflow" not in str(document["environment"]["versions"])
    assert [stage["epochs_run"] for stage in document["stages"]] == [3, 3]

    with np.load(run.predictions) as stored:
        probabilities, files = stored["probabilities"], stored["files"]
    pixels = np.stack([np.asarray(Image.open(images / name).convert("RGB")) for name in files]).astype(np.float32)
    network = keras.models.load_model(run.model, compile=False)
    assert keras.backend.backend() == "tensorflow"
    assert np.abs(np.asarray(network(pixels)) - probabilities).max() < 1e-4


def test_the_same_recipe_learns_alike_under_both(trained, images, without_tensorflow, tmp_path):
    """The draws of order and augmentation are the same; those of the head's start and of its dropout are not."""
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(yaml.safe_dump(changed(trained.recipe, strategy="feature-extraction").document()))
    run = RunFolder(tmp_path / "run")
    done = call(without_tensorflow, EDGEKIT, "train", str(recipe), "--run", str(run.path), "--quiet")
    assert done.returncode == 0, done.stderr
    assert values(history(run)).shape == (3, 5)
