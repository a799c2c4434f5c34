"""Makes a corrupted copy of an image folder: a small, degraded training set, or a test set to take to a device."""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from PIL import Image

from edgekit.data.dataset import Dataset
from edgekit.data.image_properties import read_properties
from edgekit.data.loading import open_dataset
from edgekit.data.splits import at_most
from edgekit.device.corruptions import CORRUPTIONS, SEVERITIES, SUITE, corrupt
from edgekit.device.images import ImageError, decode_rgb
from edgekit.device.pixel_range import FULL
from edgekit.documents.images import CorruptedCopyDocument
from edgekit.errors import InputError
from edgekit.recipe import Data, Split
from edgekit.support.os_errors import check_writable
from edgekit.support.progress import SILENT, Progress
from edgekit.support.suggestions import unknown_name_error


def corrupt_folder(
    source: Path,
    out: Path,
    name: str,
    severities: Sequence[int],
    *,
    seed: int = 0,
    per_class: int | None = None,
    test_per_class: int | None = None,
    progress: Progress = SILENT,
) -> CorruptedCopyDocument:
    """Write a corrupted PNG of every image, at full size, to ``out/train`` and ``out/test``.

    The severity of each image is drawn from ``severities`` by the seed and the content of the image. Validation images
    of the source become training images, which the recipe may split again. ``per_class`` and ``test_per_class`` limit
    the number of images of each class. Raises :class:`InputError` for an unknown corruption, a folder without labelled
    images, or if ``out`` exists. After an interrupt, ``out`` does not exist.
    """
    _check(out, name, severities)
    dataset = open_dataset(Data(path=str(source), split=Split(gate=0)), progress=progress)
    chosen = _chosen(dataset, per_class, test_per_class, seed)
    out.parent.mkdir(parents=True, exist_ok=True)
    partial = Path(tempfile.mkdtemp(prefix=f".{out.name}.edgekit-", suffix=".partial", dir=out.parent))
    used: dict[int, int] = dict.fromkeys(severities, 0)
    write = _writer(dataset, partial, name, severities, seed)
    try:
        with progress.bar("corrupting images", len(chosen)) as bar, ThreadPoolExecutor() as pool:
            for severity in pool.map(write, chosen):
                used[severity] += 1
                bar.advance()
        document = CorruptedCopyDocument(
            corruption=name,
            suite=SUITE,
            seed=seed,
            images_by_severity={str(severity): count for severity, count in used.items()},
            source=str(dataset.root),
            source_fingerprint=dataset.fingerprint,
            counts=_counts(dataset.take(np.array(chosen))),
        )
        document.write(partial / "corrupted.json")
        umask = os.umask(0)
        os.umask(umask)
        partial.chmod(0o777 & ~umask)
        partial.rename(out)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return document


def _check(out: Path, name: str, severities: Sequence[int]) -> None:
    if name not in CORRUPTIONS:
        raise unknown_name_error("corruption", name, CORRUPTIONS)
    if not severities or not set(severities) <= set(SEVERITIES):
        raise InputError("severities must be numbers from 1 to 5", hint="for example --severities 1,2,3")
    if out.exists():
        raise InputError("this folder already exists", where=str(out), hint="choose another folder, or remove this one")
    check_writable(out)


def _counts(dataset: Dataset) -> dict[str, dict[str, int]]:
    """Number of images by split and class, with validation counted as training."""
    counts = dataset.counts()
    return {
        "train": {name: counts["train"][name] + counts["val"][name] for name in dataset.classes},
        "test": counts["test"],
    }


def _writer(dataset: Dataset, folder: Path, name: str, severities: Sequence[int], seed: int) -> Callable[[int], int]:
    """A function that writes the corrupted copy of the image at a position and returns its severity."""
    deep = read_properties(dataset).deep
    pixel_range = deep.own_range if deep.count else FULL

    def write(i: int) -> int:
        severity = severities[_rank(dataset.sha256[i], seed) % len(severities)]
        try:
            pixels = np.asarray(decode_rgb(dataset.root / dataset.files[i], pixel_range))
        except ImageError as error:
            raise InputError(f"this image cannot be decoded: {error.reason}", where=dataset.files[i]) from None
        split = "test" if dataset.splits[i] == "test" else "train"
        # The number keeps names apart that differ only in their folder or suffix.
        file = folder / split / dataset.classes[dataset.labels[i]] / f"{i:06d}-{Path(dataset.files[i]).stem}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(corrupt(pixels, name, severity, seed)).save(file)
        return severity

    return write


def _chosen(dataset: Dataset, per_class: int | None, test_per_class: int | None, seed: int) -> list[int]:
    """Positions (ascending) of the images to write."""
    is_test = dataset.splits == "test"
    found: list[int] = []
    for mask, limit in ((~is_test, per_class), (is_test, test_per_class)):
        places = np.flatnonzero(mask)
        part = dataset.take(places)
        kept = at_most(part.labels, part.sha256, len(part) if limit is None else limit, seed)
        found += places[kept].tolist()
    return sorted(found)


def _rank(content: str, seed: int) -> int:
    return int.from_bytes(hashlib.blake2b(f"severity/{seed}/{content}".encode(), digest_size=8).digest(), "little")
