"""Finds segmentation masks that lie beside the images, so that they do not become a class or training images."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from edgekit.data.tree import Folder
from edgekit.device.images import ImageError, decode_rgb
from edgekit.render.text import plural

_FOLDER_WORDS = frozenset(
    {"annotation", "annotations", "contour", "contours", "groundtruth", "gt", "label", "labelmap", "labelmaps",
     "labels", "mask", "masks", "seg", "segmap", "segmaps", "segmentation", "segmentations", "segmented", "segs",
     "silhouette", "silhouettes", "trimap", "trimaps", "truth"}
)  # fmt: skip
_FILE = re.compile(
    r"(.+?)[\s._-]+(?:mask|masks|seg|segmentation|gt|groundtruth|ground_truth|label|labels|annotation|trimap)"
    r"(?:[\s._-]*\d+)?",
    re.IGNORECASE,
)
_PARALLEL = 0.8
"""Share of the files of a mask folder that need an image of the same name."""
_SAMPLES = 5
_LEVELS, _LEVEL_WIDTH, _FLAT = 3, 8, 0.95
"""An image is like a mask if this many grey levels, with their neighbours, make up this share of its pixels."""


def leave_out_masks(root: Folder) -> list[str]:
    """Remove masks from the tree; returns a note about them, if there are any.

    A folder contains masks if its name says so, its files have the names of images beside it, and they look like masks
    where those images do not. A file is a mask if its name is that of an image in the same folder with ``_mask`` behind
    it, and it looks like one.
    """
    found: dict[str, int] = {}
    for folder in list(root.walk()):
        for inner in folder.with_images():
            if _is_named_mask(inner.name):
                beside = [other for other in folder.with_images() if not _is_named_mask(other.name)]
                partners = [*_own_paths(folder), *(path for other in beside for path in _paths(other))]
                if _are_masks(_paths(inner), partners):
                    folder.folders.remove(inner)
                    found[inner.below] = inner.total
        masks = _masks_beside(folder)
        if masks:
            folder.images = [name for name in folder.images if name not in masks]
            found[folder.join(min(masks))] = len(masks)
    if not found:
        return []
    root.count()
    some = ", ".join(sorted(found)[:3])
    return [f"ignoring {plural(sum(found.values()), 'segmentation mask')} beside the images in {root.path}: {some}"]


def _masks_beside(folder: Folder) -> set[str]:
    """The masks among the images of a folder: ``scan_mask.png`` beside ``scan.png``."""
    stem_of = {name: name.rpartition(".")[0] or name for name in folder.images}
    stems = set(stem_of.values())
    pairs = {name: match[1] for name, stem in stem_of.items() if (match := _FILE.fullmatch(stem))}
    masks = {name for name, stem in pairs.items() if stem in stems}
    if not masks:
        return masks
    images = [folder.path / name for name in folder.images if name not in masks]
    return masks if _look_like_masks([folder.path / name for name in sorted(masks)], images) else set()


def _is_named_mask(name: str) -> bool:
    words = re.split(r"[\W_\d]+", re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name).casefold())
    return not _FOLDER_WORDS.isdisjoint(words)


def _own_paths(folder: Folder) -> list[Path]:
    return [folder.path / name for name in folder.images]


def _paths(folder: Folder) -> list[Path]:
    return [path for inner in folder.walk() for path in _own_paths(inner)]


def _are_masks(masks: list[Path], images: list[Path]) -> bool:
    stems = {path.stem.casefold() for path in images}
    same = sum(_without_mask(path.stem).casefold() in stems or path.stem.casefold() in stems for path in masks)
    return same >= _PARALLEL * len(masks) and _look_like_masks(masks, images)


def _without_mask(stem: str) -> str:
    match = _FILE.fullmatch(stem)
    return match[1] if match else stem


def _look_like_masks(masks: list[Path], images: list[Path]) -> bool:
    """Whether samples of ``masks`` have few grey levels, and samples of ``images`` have many."""
    flat, plain = list(_flat(_sampled(masks))), list(_flat(_sampled(images)))
    return bool(flat) and all(flat) and bool(plain) and not all(plain)


def _sampled(paths: list[Path]) -> list[Path]:
    return paths[:: max(1, len(paths) // _SAMPLES)][:_SAMPLES]


def _flat(paths: Iterable[Path]) -> Iterable[bool]:
    for path in paths:
        try:
            grey = np.bincount(np.asarray(decode_rgb(path).convert("L")).ravel(), minlength=256)
        except (ImageError, OSError):
            continue
        covered = 0
        for _ in range(_LEVELS):
            peak = int(grey.argmax())
            around = slice(max(0, peak - _LEVEL_WIDTH), peak + _LEVEL_WIDTH + 1)
            covered += int(grey[around].sum())
            grey[around] = 0
        total = int(np.asarray(covered + grey.sum()))
        yield covered >= _FLAT * total
