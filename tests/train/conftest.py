from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from train_helpers import TrainedRun, edgekit_here, recipe, save_backbone_weights, write_images

from edgekit.documents.folders import RunFolder


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(autouse=True)
def use_cache(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGEKIT_CACHE", str(cache))


@pytest.fixture(scope="session")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three classes with different colours: 48 training, 48 validation and 48 test images.

    As many of each, so that TensorFlow traces the network once for all.
    """
    return write_images(tmp_path_factory.mktemp("images"), dict.fromkeys(("train", "val", "test"), (16, 16, 16)))


@pytest.fixture(scope="session")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A weights file of MobileNetV2 at a third of its width, as a user would provide it."""
    return save_backbone_weights("mobilenetv2", 0.35, tmp_path_factory.mktemp("weights") / "mobilenetv2.weights.h5")


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory, cache: Path, images: Path, weights: Path) -> Iterator[TrainedRun]:
    """A finished fine-tuning run with all features switched on; tests only read it."""
    from edgekit.train.training import train

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EDGEKIT_CACHE", str(cache))
        chosen = recipe(images, weights, strategy="fine-tuning", epochs=3, augment={"flip": "horizontal", "zoom": 0.1})
        run = RunFolder(tmp_path_factory.mktemp("runs") / "trained")
        document = train(chosen, run)
        yield TrainedRun(run, document, chosen)


@pytest.fixture(scope="session")
def extracted(tmp_path_factory: pytest.TempPathFactory, cache: Path, trained: TrainedRun) -> RunFolder:
    """The feature extraction of ``trained`` as a run of its own, made by the command line."""
    folder = tmp_path_factory.mktemp("runs")
    recipe_file = folder / "recipe.yaml"
    recipe_file.write_text(yaml.safe_dump(trained.recipe.document()))
    run = RunFolder(folder / "extracted")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EDGEKIT_CACHE", str(cache))
        code = edgekit_here("train", recipe_file, "--strategy", "feature-extraction", "--run", run.path, "--quiet")
    assert code == 0
    return run
