"""Run and study folders, and the paths that callers give."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from edgekit.errors import InputError
from edgekit.support.paths import expanded

if TYPE_CHECKING:
    from edgekit.documents.folders import RunFolder
    from edgekit.documents.run import RunDocument
    from edgekit.documents.study import StudyDocument

AnyPath = str | Path
"""A path as text or as :class:`pathlib.Path`."""


def load_run(folder: AnyPath) -> RunDocument:
    """Read the ``run.json`` of a run folder; :class:`InputError` if it is not one."""
    return run_folder_of(folder).read_run()


def load_study(folder: AnyPath) -> StudyDocument:
    """Read the ``study.json`` of a study folder; :class:`InputError` if it is not one."""
    from edgekit.documents.study import read_study

    return read_study(expanded(folder))


def run_folder_of(run: RunDocument | AnyPath) -> RunFolder:
    """The run folder of a path, or of a document that was read from one."""
    from edgekit.documents.folders import RunFolder

    return RunFolder(folder_of(run))


def folder_of(value: RunDocument | StudyDocument | AnyPath) -> Path:
    """A path, or the folder that a document was read from."""
    if isinstance(value, str | Path):
        return expanded(value)
    if value.read_from is None:
        raise InputError("this document was not read from a file", hint="pass the folder instead")
    return value.read_from.parent


def path_of(value: AnyPath | None) -> Path | None:
    """``value`` as a path, ``~`` being the home folder; None if there is none."""
    return None if value is None else expanded(value)
