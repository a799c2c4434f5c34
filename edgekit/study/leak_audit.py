"""The audit before a study: its document and pictures of leaked pairs, kept in the study's folder."""

from __future__ import annotations

from pathlib import Path

from edgekit.data.audit.summary import Audit, audit
from edgekit.data.audit.thumbnails import write_thumbnails
from edgekit.data.loading import listing, open_dataset
from edgekit.documents.audit import AuditPicture
from edgekit.documents.base import read_json
from edgekit.errors import InputError
from edgekit.recipe import Recipe
from edgekit.support.progress import Progress

AUDIT_FILE = "audit.json"
PICTURES = "audit"
PAIRS_SHOWN = 24


def audit_study(recipe: Recipe, folder: Path, progress: Progress) -> None:
    """Audit the images as the recipe splits them, before anything is trained; once for the same images.

    Raises :class:`InputError` where images cannot be decoded and the recipe says to stop then, and where the images
    are not those that a cell of the study was trained on.
    """
    dataset = open_dataset(recipe.data, progress=progress)
    file = folder / AUDIT_FILE
    if file.is_file():
        if read_json(file)["fingerprint"] == dataset.fingerprint:
            return
        if any(folder.glob("runs/*/run.json")):
            raise InputError(
                "the images have changed since this study was started",
                where=str(dataset.root),
                hint="choose another --out folder, or put the images back",
            )
    progress.info(f"auditing {len(dataset):,} images")
    found = audit(dataset, progress=progress)
    corrupt = found.prints.corrupt
    if corrupt and recipe.data.on_corrupt == "stop":
        raise InputError(
            f"{len(corrupt)} of {len(dataset)} images cannot be decoded:\n{listing(corrupt)}",
            where=str(dataset.root),
            hint="repair or remove them, or leave them out with --set data.on_corrupt=skip",
        )
    pictures = _pictures(found, folder)
    found.document().model_copy(update={"root": dataset.root.name, "pictures": pictures}).write(file)
    _tell(found, progress)


def _pictures(found: Audit, folder: Path) -> tuple[AuditPicture, ...]:
    """Thumbnails of leaked pairs of every distance, the closest first."""
    leaks = found.leaks
    step = max(1, len(leaks) / PAIRS_SHOWN)
    chosen = [leaks[int(i * step)] for i in range(min(PAIRS_SHOWN, len(leaks)))]
    positions = sorted({position for twin in chosen for position in (twin.image, twin.other)})
    names = write_thumbnails([found.dataset.root / found.dataset.files[i] for i in positions], folder / PICTURES)
    name_of = {found.dataset.files[i]: f"{PICTURES}/{name}" for i, name in zip(positions, names)}
    return tuple(AuditPicture(path=path, file=file) for path, file in name_of.items())


def _tell(found: Audit, progress: Progress) -> None:
    if found.leaks:
        test = int((found.dataset.splits == "test").sum())
        progress.warn(
            f"{len(found.leaks):,} of {test:,} test images also stand in the training images, the same or nearly; the "
            "report gives accuracies with and without them (edgekit data audit; data.split.dedupe: true)"
        )
    for shortcut in found.shortcuts:
        progress.warn(
            f"the {shortcut.property} of an image tells its class in {100 * shortcut.accuracy:.0f}% of the cases "
            f"(the largest class has {100 * shortcut.largest_class:.0f}%): a network may learn that instead"
        )
