"""The baselines of a training's own images, from pixels that are decoded already."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from edgekit.data.audit.baselines import MOST_REFERENCES, MOST_TEST, at_equal_steps, baselines
from edgekit.data.audit.fingerprints import PICTURE_SIDE
from edgekit.data.cache import cache_dir, disk_errors
from edgekit.data.dataset import Dataset
from edgekit.documents.audit import Baselines, BaselinesDocument
from edgekit.errors import InputError


def baselines_of(dataset: Dataset, pixels: NDArray[np.uint8], resize: str) -> Baselines | None:
    """What needs no network on the test split, from all other images; None without a test split.

    ``pixels`` (N, height, width, 3) are the images of the dataset, resized as ``data.resize`` says. Of more than 5,000
    test images or 50,000 others, as many at equal steps are used. The result is cached by the images, their splits and
    how they became pixels, so that the cells of a study compute it once.
    """
    is_test = dataset.splits == "test"
    test, others = np.flatnonzero(is_test), np.flatnonzero(~is_test)
    chosen = np.concatenate([at_equal_steps(test, MOST_TEST), at_equal_steps(others, MOST_REFERENCES)])
    if not is_test.any() or is_test.all():
        return None
    form = f"{pixels.shape[1]}-{resize}-{dataset.pixel_range}"
    kept = cache_dir() / "baselines" / f"{dataset.fingerprint}-{form}.json"
    try:
        with disk_errors(kept):
            return BaselinesDocument.read(kept).baselines
    except InputError:  # missing or damaged: it is only a cache
        pass
    small = np.stack([_grey(pixels[i]) for i in chosen.tolist()])
    n_test = int(np.count_nonzero(is_test[chosen]))
    places = np.arange(len(chosen))
    found = baselines(small, dataset.labels[chosen], places[n_test:], places[:n_test])
    with disk_errors(kept):
        BaselinesDocument(fingerprint=dataset.fingerprint, baselines=found).write(kept)
    return found


def _grey(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    from PIL import Image

    image = Image.fromarray(np.asarray(pixels)).convert("L")
    return np.asarray(image.resize((PICTURE_SIDE, PICTURE_SIDE), Image.Resampling.BILINEAR, reducing_gap=3.0))
