"""Downloads public datasets by name with Kaggle's own client."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from edgekit.data.folder import scan_folder
from edgekit.documents.images import DownloadDocument
from edgekit.errors import EdgekitError, InputError
from edgekit.support.progress import SILENT, Progress
from edgekit.support.suggestions import unknown_name_error


@dataclass(frozen=True)
class PublicDataset:
    """A dataset on Kaggle. ``handle`` is the part of its address after ``kaggle.com/datasets/``."""

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


def fetch(name: str, *, progress: Progress = SILENT) -> DownloadDocument:
    """Download a dataset into Kaggle's cache, or find it there.

    Raises :class:`InputError` for an unknown name, and :class:`EdgekitError` if kagglehub is not installed or the
    download fails.
    """
    if name not in PUBLIC:
        raise unknown_name_error("dataset", name, PUBLIC)
    dataset = PUBLIC[name]
    try:
        import kagglehub
    except ModuleNotFoundError:
        raise EdgekitError(
            "downloading datasets requires the package kagglehub, which is not installed",
            hint=f'pip install "edgekit[data]", or download https://www.kaggle.com/datasets/{dataset.handle} by hand',
        ) from None
    progress.info(f"downloading {dataset.handle} from Kaggle")
    try:
        folder = Path(kagglehub.dataset_download(dataset.handle))
    except (
        Exception
    ) as error:  # kagglehub has no common error class for network, credentials, disk and damaged downloads
        raise EdgekitError(
            f"the dataset could not be downloaded: {_first_line(error)}",
            where=dataset.handle,
            hint="check the network and your access to the dataset, "
            f"or download https://www.kaggle.com/datasets/{dataset.handle} by hand",
        ) from error
    return DownloadDocument(name=name, handle=dataset.handle, folder=str(_images_in(folder)))


def _images_in(folder: Path) -> Path:
    """``folder`` itself, or the folder inside it that contains the classes."""
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
