"""The baselines of a training's own images, from pixels that are decoded already."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from edgekit.data.audit.baselines import MOST_REFERENCES, MOST_TEST, baselines
from edgekit.data.audit.fingerprints import PICTURE_SIDE
from edgekit.data.cache import cache_dir, disk_errors
from edgekit.data.dataset import Dataset
from edgekit.documents.audit import Baselines, BaselinesDocument
from edgekit.errors import InputError


def baselines_of(dataset: Dataset, pixels: NDArray[np.uint8]) -> Baselines | None:
    """What needs no network on the test split, from all other images; None without a test split.

    ``pixels`` (N, height, width, 3) are the images of the dataset. Of more than 5,000 test images or 50,000 others, as
    many at equal steps are used. The result is cached by the images and their splits, so that the cells of a study
    compute it once.
    """
    is_test = dataset.splits == "test"
    chosen = np.concatenate([_at_equal_steps(is_test, MOST_TEST), _at_equal_steps(~is_test, MOST_REFERENCES)])
    if not is_test.any() or is_test.all():
        return None
    kept = cache_dir() / "baselines" / f"{dataset.fingerprint}-{pixels.shape[1]}.json"
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


def _at_equal_steps(mask: NDArray[np.bool_], most: int) -> NDArray[np.int64]:
    places = np.flatnonzero(mask)
    return places if len(places) <= most else places[np.linspace(0, len(places) - 1, most).astype(int)]


def _grey(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    from PIL import Image

    image = Image.fromarray(np.asarray(pixels)).convert("L")
    return np.asarray(image.resize((PICTURE_SIDE, PICTURE_SIDE), Image.Resampling.BILINEAR, reducing_gap=3.0))
