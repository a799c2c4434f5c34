"""Opens a dataset from a folder, or from the list of images of a run, and checks it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgekit.data import digits
from edgekit.data.dataset import GATE, Dataset
from edgekit.data.deduplication import without_duplicates
from edgekit.data.folder import WHOLE, FolderScan, scan_folder
from edgekit.data.hashes import forget_hashes, hash_files
from edgekit.data.reasons import listing
from edgekit.data.scanned_dataset import scanned_dataset
from edgekit.data.similar_split import by_similar_groups
from edgekit.data.splits import at_most, stratified
from edgekit.documents.dataset_list import DatasetRow
from edgekit.errors import InputError
from edgekit.recipe import Data, Split
from edgekit.render.text import plural
from edgekit.support.paths import expanded
from edgekit.support.progress import SILENT, Progress

GATE_AT_LEAST = 100
"""Fewer images than this are not set aside for the accuracy gate: they could not show that a file loses little."""


def open_dataset(data: Data, *, progress: Progress = SILENT) -> Dataset:
    """Find, check, hash and split the images of ``data``, without decoding any.

    Raises :class:`InputError` for a folder that cannot be used for training: one that is missing, without images, with
    only one class, with an empty class, with a class that the training folder lacks, or with too few images to split.
    """
    if data.name == digits.NAME:
        root = digits.digits_folder(progress)
    elif data.path is not None:
        root = expanded(data.path).absolute()
    else:
        raise InputError(
            "there are no images to use",
            hint="give a folder with --data DIR or data.path, or use the embedded dataset with --set data.name=digits",
        )
    scan = scan_folder(root, data.labels_from)
    for note in scan.notes:
        progress.warn(note)
    dataset = _hashed(scan, data, progress)
    for note in conflicting_labels(dataset):
        progress.warn(note)
    dataset = replace(_split(dataset, scan, data.split, progress), pixel_range=data.range)
    if data.name == digits.NAME:
        drawn = dataset.layout.split("; ")[1:]
        dataset = replace(dataset, name=digits.NAME, layout="; ".join([digits.LAYOUT, *drawn]))
    if data.limit_per_class is not None:
        dataset = _limited(dataset, data.limit_per_class, data.split.seed)
    return dataset


def open_run_dataset(
    rows: Sequence[DatasetRow],
    root: str | Path,
    classes: Sequence[str],
    name: str,
    *,
    pixel_range: str = "full",
    progress: Progress = SILENT,
) -> Dataset:
    """The images of a run, from the rows of its ``dataset.csv``, and its ``pixel_range``.

    Raises :class:`InputError` with a hint about ``--data`` if the folder has moved, files are missing, or their content
    has changed since the run was trained.
    """
    root = expanded(root).absolute()
    hint = "if the images have moved, give their new folder with --data DIR"
    if not root.is_dir() and name == digits.NAME:
        root = digits.digits_folder(progress)
    if not root.is_dir():
        if root.exists():
            raise InputError("this is a file, not the run's image folder", where=str(root), hint=hint)
        raise InputError("the run's image folder does not exist", where=str(root), hint=hint)
    hashes, unreadable = hash_files(root, [row.path for row in rows], progress)
    if unreadable:
        raise InputError(
            f"{len(unreadable)} of the run's {len(rows)} images cannot be read:\n{listing(unreadable)}",
            where=str(root),
            hint=hint,
        )
    if any(hashes[row.path] != row.sha256 for row in rows):
        forget_hashes(root)  # what the cache knows may be wrong; the files decide
        hashes, _ = hash_files(root, [row.path for row in rows], progress)
    changed = {row.path: "different content" for row in rows if hashes.get(row.path) != row.sha256}
    if changed:
        raise InputError(
            f"{len(changed)} of the run's {len(rows)} images have changed since training:\n{listing(changed)}",
            where=str(root),
            hint=f"restore the images, or train again; {hint}",
        )
    return replace(Dataset.from_rows(rows, root, name, classes), pixel_range=pixel_range)


def conflicting_labels(dataset: Dataset) -> list[str]:
    """A warning about files with the same bytes and different labels, if there are any."""
    first: dict[str, int] = {}
    found: dict[str, list[int]] = {}
    for position, content in enumerate(dataset.sha256):
        before = first.setdefault(content, position)
        if dataset.labels[before] != dataset.labels[position]:
            found.setdefault(content, [before]).append(position)
    if not found:
        return []
    lines = [
        "  - " + " and ".join(f"{dataset.files[i]} ({dataset.classes[dataset.labels[i]]})" for i in positions[:3])
        for positions in list(found.values())[:5]
    ]
    more = [f"  and {len(found) - 5} more"] if len(found) > 5 else []
    what = "image has" if len(found) == 1 else "images have"
    listed = "\n".join([*lines, *more])
    return [f"{len(found):,} {what} several labels: the same file lies in different classes\n{listed}"]


def without_corrupt(dataset: Dataset, corrupt: Mapping[str, str], on_corrupt: str, progress: Progress) -> Dataset:
    """Apply ``on_corrupt``: ``"stop"`` raises :class:`InputError` with a list of images, ``"skip"`` leaves them out.

    ``corrupt`` has the reasons by path below the root. Raises :class:`InputError` if a split would lose a whole class.
    """
    if not corrupt:
        return dataset
    if on_corrupt == "stop":
        raise InputError(
            f"{len(corrupt)} of {plural(len(dataset), 'image')} cannot be decoded:\n{listing(corrupt)}",
            where=str(dataset.root),
            hint="repair or remove them, or leave them out with --set data.on_corrupt=skip",
        )
    progress.warn(
        f"leaving out {len(corrupt)} of {plural(len(dataset), 'image')} that cannot be decoded:\n{listing(corrupt)}"
    )
    kept = dataset.take(np.array([i for i, file in enumerate(dataset.files) if file not in corrupt], dtype=np.int64))
    lost = sorted(set(zip(dataset.splits, dataset.labels)) - set(zip(kept.splits, kept.labels)))
    if lost:
        split, label = lost[0]
        raise InputError(
            f"class {dataset.classes[label]!r} has no readable {'' if split == WHOLE else f'{split} '}images left",
            where=str(dataset.root),
            hint="repair the images, or remove the class folder",
        )
    return kept


def _hashed(scan: FolderScan, data: Data, progress: Progress) -> Dataset:
    """All images of the folder with its own splits. Unreadable files are treated like corrupt ones."""
    dataset, unreadable = scanned_dataset(scan, progress)
    return without_corrupt(dataset, unreadable, data.on_corrupt, progress)


def _split(dataset: Dataset, scan: FolderScan, split: Split, progress: Progress) -> Dataset:
    """Draw the splits that the folder does not have: first the test split, then validation from the rest."""
    if split.groups == "similar":
        scan = replace(scan, splits={WHOLE: {}}, folders={})  # the folder's own splits do not keep groups together
        dataset = replace(dataset, splits=np.full(len(dataset), "train"))
    dataset = replace(dataset, splits=np.where(dataset.splits == WHOLE, "train", dataset.splits).astype("<U5"))
    left_out: list[str] = []
    contents = list(dataset.sha256)
    if split.groups == "similar":
        contents, left_out = by_similar_groups(dataset, split.similar_within, progress)
    elif split.dedupe:
        dataset, contents, left_out = without_duplicates(dataset, progress)
    splits = dataset.splits
    layout = [scan.layout]
    for name, fraction in (("test", split.test), ("val", split.val)):
        if name in scan.splits:
            continue
        if fraction == 0:
            raise InputError(
                f"data.split.{name} is 0, but the folder has no {name} images of its own",
                where=str(dataset.root),
                hint=f"use a fraction of the images, for example --set data.split.{name}=0.2",
            )
        splits = _draw(dataset, splits, contents, name, fraction, split.seed)
        layout.append(f"{name}: {fraction:.0%} of {_pool(name, scan)} images, drawn with seed {split.seed}")
    if split.gate * np.count_nonzero(splits == "train") >= GATE_AT_LEAST:
        try:
            splits = _draw(dataset, splits, contents, GATE, split.gate, split.seed)
            layout.append(f"{GATE}: {split.gate:.0%} of the training images, drawn with seed {split.seed}")
        except InputError as error:  # a class of one image; that is no reason not to train
            progress.warn(f"no images are set aside for the accuracy gate: {error.problem}")
    return replace(dataset, splits=splits.astype("<U5"), layout="; ".join([*layout, *left_out]))


def _pool(name: str, scan: FolderScan) -> str:
    """The images that a split is drawn from, in words."""
    if WHOLE not in scan.splits:
        return "the training"
    return "all" if name == "test" else "the remaining"


def _draw(
    dataset: Dataset, splits: NDArray[np.str_], contents: list[str], name: str, fraction: float, seed: int
) -> NDArray[np.str_]:
    """Move a fraction of the training images to the split ``name``; images with equal ``contents`` move together."""
    pool = np.flatnonzero(splits == "train")
    of_pool = [contents[i] for i in pool.tolist()]
    chosen = stratified(dataset.labels[pool], of_pool, dataset.classes, fraction, seed, name)
    # Copies in two classes are drawn twice, once in each; all of them go where the first one goes.
    first = {content: place for place, content in reversed(list(enumerate(of_pool)))}
    chosen = chosen[[first[content] for content in of_pool]]
    splits = splits.astype("<U5")
    splits[pool[chosen]] = name
    return splits


def _limited(dataset: Dataset, per_class: int, seed: int) -> Dataset:
    keep = dataset.splits == "test"
    for split in ("train", "val", GATE):
        pool = dataset.indices(split)
        contents = [dataset.sha256[i] for i in pool.tolist()]
        chosen = at_most(dataset.labels[pool], contents, per_class, seed)
        if split != GATE or np.count_nonzero(chosen) >= GATE_AT_LEAST:
            keep[pool[chosen]] = True
    limited = dataset.take(np.flatnonzero(keep))
    return replace(limited, layout=f"{dataset.layout}; at most {per_class} training and validation images per class")
