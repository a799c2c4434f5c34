"""The folder of a page: writing it, and writing it again."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path

from edgekit.documents.web_page import WebPage
from edgekit.errors import EdgekitError, InputError
from edgekit.support.files import atomic_path, write_bytes

PAGE_FILE = "page.json"


def check_folder(folder: Path) -> None:
    """Raise :class:`InputError` unless ``folder`` is new, empty, or a page."""
    if not folder.exists():
        return
    if not folder.is_dir():
        raise InputError("this is a file, not a folder", where=str(folder), hint="use another folder: -o DIR")
    if any(folder.iterdir()) and _earlier(folder) is None:
        raise InputError(
            "this folder is not empty and is not a page that edgekit wrote",
            where=str(folder),
            hint="use a new folder: -o DIR",
        )


def write_page(folder: Path, page: WebPage, files: Mapping[str, Path | bytes]) -> int:
    """Write ``page`` and its ``files`` (by POSIX path) into ``folder``. Returns the size of all of them in bytes.

    In an earlier page, files that are needed no longer are removed if edgekit wrote them; what a person added stays.
    ``page.json`` is written last, so an interrupted page is never taken for a complete one.
    """
    earlier = _earlier(folder)
    for name, source in files.items():
        if isinstance(source, bytes):
            write_bytes(folder / name, source)
        else:
            with atomic_path(folder / name) as temporary:
                shutil.copyfile(source, temporary)
    page.write(folder / PAGE_FILE)
    if earlier is not None:
        for model in earlier.models:
            if model.file not in files:
                (folder / model.file).unlink(missing_ok=True)
    return sum((folder / name).stat().st_size for name in [*files, PAGE_FILE])


def _earlier(folder: Path) -> WebPage | None:
    """The page that ``folder`` contains."""
    try:
        return WebPage.read(folder / PAGE_FILE)
    except EdgekitError:
        return None
