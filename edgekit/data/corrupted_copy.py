"""A corrupted copy of an image folder: data that is small and dirty on purpose, or a test set to take to a device."""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from edgekit.data.dataset import Dataset
from edgekit.data.loading import open_dataset
from edgekit.data.splits import at_most
from edgekit.device.corruptions import CORRUPTIONS, SEVERITIES, SUITE, corrupt
from edgekit.device.images import ImageError, decode_rgb
from edgekit.documents.base import write_json
from edgekit.errors import InputError
from edgekit.recipe import Data
from edgekit.support.progress import SILENT, Progress


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
) -> dict[str, Any]:
    """Write ``out/train`` and ``out/test`` with a corrupted PNG of every image, at its full size; what was done.

    Each image has one of ``severities``, drawn from the seed and its content. Validation images of the source go with
    the training images, to be split by the recipe. ``per_class`` and ``test_per_class`` take at most so many of each
    class. Raises :class:`InputError` for an unknown corruption, a folder without labelled images or an ``out`` that is
    in use; after an interrupt ``out`` does not exist.
    """
    if name not in CORRUPTIONS:
        raise InputError(f"no corruption is called {name!r}", hint=f"choose one of: {', '.join(CORRUPTIONS)}")
    if not severities or not set(severities) <= set(SEVERITIES):
        raise InputError("severities are numbers from 1 to 5", hint="for example --severities 1,2,3")
    if out.exists():
        raise InputError("this folder exists already", where=str(out), hint="choose another, or remove it")
    dataset = open_dataset(Data(path=str(source)), progress=progress)
    chosen = _chosen(dataset, per_class, test_per_class, seed)
    out.parent.mkdir(parents=True, exist_ok=True)
    partial = Path(tempfile.mkdtemp(prefix=f".{out.name}.edgekit-", suffix=".partial", dir=out.parent))
    used: dict[int, int] = dict.fromkeys(severities, 0)

    def write(i: int) -> int:
        severity = severities[_rank(dataset.sha256[i], seed) % len(severities)]
        try:
            pixels = np.asarray(decode_rgb(dataset.root / dataset.files[i]))
        except ImageError as error:
            raise InputError(f"this image cannot be read: {error.reason}", where=dataset.files[i]) from None
        split = "test" if dataset.splits[i] == "test" else "train"
        # The number keeps names apart that differ in their folder or suffix only.
        file = partial / split / dataset.classes[dataset.labels[i]] / f"{i:06d}-{Path(dataset.files[i]).stem}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(corrupt(pixels, name, severity, seed)).save(file)
        return severity

    try:
        with progress.bar("corrupting images", len(chosen)) as bar, ThreadPoolExecutor() as pool:
            for severity in pool.map(write, chosen):
                used[severity] += 1
                bar.advance()
        taken = dataset.take(np.array(chosen))
        document = {
            "corruption": name,
            "suite": SUITE,
            "seed": seed,
            "images_by_severity": {str(severity): count for severity, count in used.items()},
            "source": str(dataset.root),
            "source_fingerprint": dataset.fingerprint,
            "counts": {
                "train": {c: taken.counts()["train"][c] + taken.counts()["val"][c] for c in dataset.classes},
                "test": taken.counts()["test"],
            },
        }
        write_json(partial / "corrupted.json", document)
        umask = os.umask(0)
        os.umask(umask)
        partial.chmod(0o777 & ~umask)
        partial.rename(out)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return {"folder": str(out), **document}


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
