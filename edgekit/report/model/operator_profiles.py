"""Where the time of a run goes: the profiles that bench took, for the report."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from edgekit.documents.profile import OperatorTime, Profile, read_profile
from edgekit.report.model.rows import Candidate

SHOWN = 8
"""Kinds of operators in the report; the result file has every operator."""


@dataclass(frozen=True)
class ProfileView:
    """The profile of one measured file."""

    candidate: Candidate
    profile: Profile

    @property
    def rows(self) -> list[OperatorTime]:
        return self.profile.operators[:SHOWN]


def profile_views(candidates: Sequence[Candidate]) -> list[ProfileView]:
    """One for every candidate that was measured with ``--profile``."""
    found = [(c, read_profile(c.result.document.get("profile"))) for c in candidates if c.result is not None]
    return [ProfileView(candidate, profile) for candidate, profile in found if profile is not None]
