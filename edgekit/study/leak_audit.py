"""The audit before a study: its document and thumbnails of leaked pairs, kept in the study folder."""

from __future__ import annotations

from pathlib import Path

from edgekit.data.audit.summary import Audit, audit
from edgekit.data.audit.thumbnails import write_thumbnails
from edgekit.data.loading import open_dataset
from edgekit.data.reasons import listing
from edgekit.documents.audit import AuditDocument, AuditPicture
from edgekit.errors import InputError
from edgekit.recipe import Recipe
from edgekit.support.progress import Progress

AUDIT_FILE = "audit.json"
PICTURES = "audit"
PAIRS_SHOWN = 24


def audit_study(recipe: Recipe, folder: Path, progress: Progress) -> None:
    """Audit the images as the recipe splits them, before anything is trained; once for the same images.

    Raises :class:`InputError` if images cannot be decoded and the recipe says to stop then, and where the images
    are not those that a cell of the study was trained on.
    """
    dataset = open_dataset(recipe.data, progress=progress)
    file = folder / AUDIT_FILE
    if file.is_file():
        before = AuditDocument.read(file)
        unchanged = before.fingerprint == dataset.fingerprint
        if unchanged and before.baselines is not None:  # an older edgekit looked for no baselines
            return
        if not unchanged and any(folder.glob("runs/*/run.json")):
            raise InputError(
                "the images have changed since this study was started",
                where=str(dataset.root),
                hint="restore the images, or use a new --out folder",
            )
    progress.info(f"auditing {len(dataset):,} images")
    found = audit(dataset, progress=progress)
    corrupt = found.prints.corrupt
    if corrupt and recipe.data.on_corrupt == "stop":
        raise InputError(
            f"{len(corrupt)} of {len(dataset)} images cannot be decoded:\n{listing(corrupt)}",
            where=str(dataset.root),
            hint="repair or remove them, or exclude them with --set data.on_corrupt=skip",
        )
    found.document().model_copy(update={"root": dataset.root.name, "pictures": _pictures(found, folder)}).write(file)
    _warn(found, progress)


def _pictures(found: Audit, folder: Path) -> tuple[AuditPicture, ...]:
    """Thumbnails of leaked pairs of every distance, the closest first."""
    leaks = found.leaks
    step = max(1, len(leaks) / PAIRS_SHOWN)
    chosen = [leaks[int(i * step)] for i in range(min(PAIRS_SHOWN, len(leaks)))]
    positions = sorted({position for pair in chosen for position in (pair.image, pair.other)})
    names = write_thumbnails([found.dataset.root / found.dataset.files[i] for i in positions], folder / PICTURES)
    return tuple(
        AuditPicture(path=found.dataset.files[i], file=f"{PICTURES}/{name}") for i, name in zip(positions, names)
    )


def _warn(found: Audit, progress: Progress) -> None:
    if found.leaks:
        test = int((found.dataset.splits == "test").sum())
        progress.warn(
            f"{len(found.leaks):,} of {test:,} test images are duplicates or near duplicates of training images. The "
            "report shows accuracy with and without them. To exclude them, set data.split.dedupe: true; to inspect "
            "them, run edgekit data audit"
        )
    for shortcut in found.shortcuts:
        progress.warn(
            f"the {shortcut.property} of an image alone predicts its class with {100 * shortcut.accuracy:.0f}% "
            f"accuracy (the largest class has {100 * shortcut.largest_class:.0f}%); a network may learn that instead "
            "of the content"
        )
