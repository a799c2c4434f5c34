"""Where the time of an inference goes: the operator profiles that bench took."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from edgekit.documents.profile import OperatorTime, Profile
from edgekit.report.model.exported_files import ExportedFile

SHOWN = 8
"""Kinds of operators in the report; the result file has every operator."""


@dataclass(frozen=True)
class ProfiledFile:
    """The profile of one measured file."""

    file: ExportedFile
    profile: Profile

    @property
    def rows(self) -> list[OperatorTime]:
        return self.profile.operators[:SHOWN]


def profile_of(file: ExportedFile) -> Profile | None:
    """The profile by kind of operator; None if the file was not profiled."""
    return None if file.bench is None or file.bench.profile is None else file.bench.profile.by_operator()


def profiled_files(files: Sequence[ExportedFile]) -> list[ProfiledFile]:
    """Every file that was measured with ``--profile``."""
    return [ProfiledFile(file, profile) for file in files if (profile := profile_of(file)) is not None]
