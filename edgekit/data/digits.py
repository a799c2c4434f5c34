"""The embedded dataset: the handwritten digits of scikit-learn, real images that need no download."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np

from edgekit.data.cache import cache_dir, cache_lock, new_folder
from edgekit.data.splits import stratified
from edgekit.errors import EdgekitError
from edgekit.support.progress import SILENT, Progress

NAME = "digits"
LAYOUT = "embedded: 1,797 handwritten digits from scikit-learn, with a fixed split"


def digits_folder(progress: Progress = SILENT) -> Path:
    """The folder of the dataset in the cache: 8x8 grey PNG files in ``train``, ``val`` and ``test`` folders.

    The files are written once. The split is fixed (60:20:20, stratified), so that all results refer to the same
    images. Raises :class:`EdgekitError` if scikit-learn is not installed.
    """
    folder = cache_dir() / "datasets" / "digits-1"
    if folder.is_dir():
        return folder
    with cache_lock(progress):
        if not folder.is_dir():
            with new_folder(folder) as partial:
                _write(partial)
    return folder


def _write(folder: Path) -> None:
    try:
        from sklearn.datasets import load_digits
    except ModuleNotFoundError:
        raise EdgekitError(
            "the embedded digits require scikit-learn, which is not installed",
            hint='pip install "edgekit[train]"',
        ) from None
    digits = load_digits()
    labels = np.asarray(digits.target, dtype=np.int32)
    # 17 grey levels, where 0 is the background, are scaled to the full range of 8 bits.
    pixels = np.rint(np.asarray(digits.images) * (255 / 16)).astype(np.uint8)
    names = [f"{position:04d}" for position in range(len(labels))]
    classes = [str(digit) for digit in range(10)]
    test = stratified(labels, names, classes, 0.2, 0, "test")
    rest = np.flatnonzero(~test)
    val = np.zeros_like(test)
    val[rest[stratified(labels[rest], [names[i] for i in rest.tolist()], classes, 0.25, 0, "val")]] = True
    for position, name in enumerate(names):
        split = "test" if test[position] else "val" if val[position] else "train"
        path = folder / split / classes[labels[position]] / f"{name}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(_png(pixels[position]))


def _png(pixels: np.ndarray[tuple[int, ...], np.dtype[np.uint8]]) -> bytes:
    from PIL import Image

    stream = io.BytesIO()
    # Without compression, the bytes and so the fingerprint are the same with every version of zlib.
    Image.fromarray(pixels).save(stream, "PNG", compress_level=0)
    return stream.getvalue()
