"""Training under JAX without TensorFlow; the model is then loaded under TensorFlow."""

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
from train_helpers import REPOSITORY, changed, history

from edgekit.documents.folders import RunFolder
from edgekit.recipe import Recipe

ABSENT = ("tensorflow", "ai_edge", "tflite", "tensorboard", "tf_keras", "keras_tensorflow")
"""Packages to hide: TensorFlow, its dependencies and its dependents. tensorboardX is independent and stays."""

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("jax") is None, reason='JAX is not installed: pip install "edgekit[jax]"'
)


@pytest.fixture(scope="module")
def without_tensorflow(tmp_path_factory) -> list[str]:
    """The start of a command line: this Python with every installed package except those in ABSENT."""
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


EDGEKIT = """
try:
    import tensorflow
except ModuleNotFoundError as error:
    print(error, file=sys.stderr)
else:
    sys.exit("TensorFlow can be imported")
from edgekit.cli.app import main
main()
"""


def test_a_network_trained_under_jax_is_the_same_under_tensorflow(trained, images, without_tensorflow, tmp_path):
    import keras

    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(yaml.safe_dump(short(trained.recipe).document()))
    run = RunFolder(tmp_path / "run")
    *python, start = without_tensorflow
    done = subprocess.run(
        [*python, start + EDGEKIT, "train", str(recipe), "--run", str(run.path), "--json"],
        env={**os.environ, "KERAS_BACKEND": "jax", "JAX_PLATFORMS": "cpu"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "No module named 'tensorflow'" in done.stderr
    document = json.loads(done.stdout)
    assert document["environment"]["backend"] == "jax"
    assert "tensorflow" not in document["environment"]["versions"]
    assert [(s["name"], s["epochs_run"]) for s in document["stages"]] == [("feature-extraction", 3), ("fine-tuning", 2)]
    losses = [float(row["loss"]) for row in history(run)]
    assert losses[2] < losses[0]
    assert document["accuracy"] >= 0.6

    with np.load(run.predictions) as stored:
        probabilities, files = stored["probabilities"], stored["files"]
    pixels = np.stack([np.asarray(Image.open(images / name).convert("RGB")) for name in files]).astype(np.float32)
    network = keras.models.load_model(run.model, compile=False)
    assert keras.backend.backend() == "tensorflow"
    assert np.abs(np.asarray(network(pixels)) - probabilities).max() < 1e-4


def short(recipe: Recipe) -> Recipe:
    """Without augmentation, so that features are computed once, and with two epochs of fine-tuning: XLA is slow."""
    plain = changed(recipe, augment={})
    return changed(plain, fine_tuning={**recipe.document()["train"]["fine_tuning"], "epochs": 2})


@pytest.mark.slow
def test_phases_resume_under_jax_as_they_do_under_tensorflow(without_tensorflow):
    """Run the tests of the phases in that environment. XLA compiles for minutes."""
    *python, start = without_tensorflow
    tests = "import pytest; sys.exit(pytest.main(sys.argv[1:]))"
    done = subprocess.run(
        [*python, start + tests, "-q", "-p", "no:cacheprovider", str(Path(__file__).with_name("test_phases.py"))],
        env={**os.environ, "KERAS_BACKEND": "jax", "JAX_PLATFORMS": "cpu"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout


def test_xla_knows_the_options_that_it_gets_on_a_gpu(without_tensorflow):
    """An option that XLA has dropped would be left out silently, and compiling would take minutes longer."""
    program = (
        "import os; os.environ['KERAS_BACKEND'] = 'jax'; import jax, jax.numpy as jnp\n"
        "from edgekit.train.engine_jax import _GPU_OPTIONS\n"
        "double = jax.jit(lambda x: 2 * x).lower(jnp.ones(3)).compile(compiler_options=_GPU_OPTIONS)\n"
        "print(double(jnp.ones(3)).sum())"
    )
    done = subprocess.run(
        [*without_tensorflow[:-1], without_tensorflow[-1] + program],
        env={**os.environ, "JAX_PLATFORMS": "cpu"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.strip() == "6.0", done.stderr
