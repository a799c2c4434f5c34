"""Replacing an export folder as a whole, without touching files that edgekit did not make."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from edgekit.documents.folders import ExportFolder
from edgekit.registry import SCHEMES
from edgekit.support.files import temporaries

_PARTIAL = ".partial"


@contextmanager
def replacing(export: ExportFolder) -> Iterator[Path]:
    """An empty folder to fill, which replaces ``export`` if the block ends without an error.

    Files that somebody else put into the folder of the export stay there.
    """
    partial = export.path.with_name(export.key + _PARTIAL)
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    try:
        yield partial
        remove_export(export)
        if export.path.exists():
            for file in list(partial.iterdir()):
                file.replace(export.path / file.name)
        else:
            partial.rename(export.path)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def remove_export(export: ExportFolder) -> None:
    """Remove the files of an export, and its folder if nothing else is in it.

    ``export.json`` goes first, because it marks a complete export.
    """
    if not export.path.is_dir():
        return
    extensions = {scheme.extension for scheme in SCHEMES.values()}
    models = [export.path / f"model{extension}" for extension in sorted(extensions)]
    own = [export.export_json, *models, export.golden, export.predictions, export.calibration]
    for file in (*own, *temporaries(export.path)):
        file.unlink(missing_ok=True)
    with suppress(OSError):
        export.path.rmdir()
