"""Public datasets by name, through Kaggle's own client."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgekit.data.folder import scan_folder
from edgekit.errors import EdgekitError, InputError
from edgekit.support.progress import SILENT, Progress


@dataclass(frozen=True)
class PublicDataset:
    """A dataset on Kaggle; ``handle`` is what stands in its address after ``kaggle.com/datasets/``."""

    name: str
    handle: str
    summary: str


PUBLIC: dict[str, PublicDataset] = {
    d.name: d
    for d in (
        PublicDataset(
            "brain-tumor-mri", "masoudnickparvar/brain-tumor-mri-dataset", "7,023 brain MRI scans, 4 classes"
        ),
        PublicDataset("jellyfish", "anshtanwar/jellyfish-types", "900 underwater photographs, 6 species"),
    )
}


def fetch(name: str, *, progress: Progress = SILENT) -> dict[str, Any]:
    """Download a dataset into Kaggle's cache (or find it there); its name, handle and folder, JSON-ready.

    Raises :class:`InputError` for an unknown name, :class:`EdgekitError` where kagglehub is not installed, the
    network is not there or Kaggle refuses.
    """
    if name not in PUBLIC:
        raise InputError(f"no public dataset is called {name!r}", hint=f"choose one of: {', '.join(PUBLIC)}")
    dataset = PUBLIC[name]
    try:
        import kagglehub
    except ModuleNotFoundError:
        raise EdgekitError(
            "datasets are downloaded with the package kagglehub, which is not installed",
            hint=f'pip install "edgekit[data]", or download https://www.kaggle.com/datasets/{dataset.handle} by hand',
        ) from None
    progress.info(f"getting {dataset.handle} from Kaggle")
    try:
        folder = Path(kagglehub.dataset_download(dataset.handle))
    except Exception as error:  # its errors have no common base: network, credentials, a full disk, a damaged download
        raise EdgekitError(
            f"Kaggle's client could not get it: {_first_line(error)}",
            where=dataset.handle,
            hint="is there a network, and is the dataset open to you? "
            f"Or download https://www.kaggle.com/datasets/{dataset.handle} by hand",
        ) from error
    return {"name": name, "handle": dataset.handle, "folder": str(_images_in(folder))}


def _images_in(folder: Path) -> Path:
    """The folder itself, or the one inside it that has the classes."""
    for candidate in _from_the_top(folder):
        try:
            scan_folder(candidate)
        except InputError:
            continue
        return candidate
    return folder


def _from_the_top(folder: Path) -> Iterator[Path]:
    yield folder
    yield from sorted(path for path in folder.glob("*") if path.is_dir())


def _first_line(error: Exception) -> str:
    text = str(error).strip().splitlines()
    return f"{type(error).__name__}: {text[0][:160]}" if text else type(error).__name__
