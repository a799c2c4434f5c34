"""Training on images that do not fit into memory once they are decoded."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from edgekit.data.one_hot import OneHot

IMAGES, SIDE, MARGIN = 5_000, 224, 600_000_000
"""Decoded, the images are 753 MB; training may allocate 600 MB more than the framework needs for one batch."""

PROGRAM = """
import json, re, resource, sys
from pathlib import Path
import numpy as np
import keras
from edgekit.api import train

images, weights, run, decoded_bytes, margin = sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4]), int(sys.argv[5])
network = keras.applications.MobileNetV2((224, 224, 3), alpha=0.35, weights=None, include_top=False, pooling="avg")
network.predict_on_batch(np.zeros((32, 224, 224, 3), np.float32))
network.save_weights(weights)
used = 1024 * int(re.search(r"VmData:\\s+(\\d+)", Path("/proc/self/status").read_text()).group(1))
# Unlike RLIMIT_AS, this counts what is allocated, and not files that are mapped read-only.
resource.setrlimit(resource.RLIMIT_DATA, (used + margin, used + margin))
try:
    np.ones(decoded_bytes, np.uint8)
    sys.exit("the limit does not hold")
except MemoryError:
    pass
document = train(
    data=images, backbone="mobilenetv2", strategy="feature-extraction", weights=weights, image_size=224, epochs=1,
    run=run, settings={"model.alpha": 0.35, "train.device": "cpu"},
)
print(json.dumps({"n_files": document.dataset.n_files, "accuracy": document.accuracy}))
"""


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs /proc of Linux")
def test_a_dataset_larger_than_memory_trains(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    for number in range(IMAGES):
        folder = tmp_path / "images" / f"class-{number % 2}"
        folder.mkdir(parents=True, exist_ok=True)
        pixels = random.integers(0, 256, (6, 6, 3), dtype=np.uint8)
        Image.fromarray(pixels).resize((48, 48), Image.Resampling.BILINEAR).save(folder / f"{number}.jpg")
    arguments = [tmp_path / "images", tmp_path / "start.weights.h5", tmp_path / "run", IMAGES * SIDE * SIDE * 3, MARGIN]
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, *map(str, arguments)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert json.loads(done.stdout.splitlines()[-1])["n_files"] == IMAGES


def test_targets_are_made_for_a_batch_at_a_time() -> None:
    """All targets of 100,000 images of 10,000 classes would be 4 GB."""
    targets = OneHot(np.arange(100_000) % 10_000, 10_000)
    batch = targets[np.array([5, 10_005, 99_999])]
    assert batch.dtype == np.float32
    assert batch.shape == (3, 10_000)
    assert batch.argmax(axis=1).tolist() == [5, 5, 9_999]
    assert batch.sum() == 3
