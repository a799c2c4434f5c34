"""What speaks against any choice from this folder, the strongest doubt first."""

from __future__ import annotations

from collections.abc import Sequence

from edgekit.render.text import listing
from edgekit.report.model.groups import Group
from edgekit.report.model.leaks import Leaks
from edgekit.report.model.source import Source


def doubts_of(source: Source, groups: Sequence[Group], absent: Sequence[str], audit: Leaks | None) -> list[str]:
    """Test images that do not test, files that are not there, one seed, and noise, in this order."""
    doubts = []
    if audit is not None and audit.doubt:
        doubts.append(audit.doubt)
    if absent:
        doubts.append(f"Not compared, because not there: {listing(absent, 4)}.")
    if groups and all(len(group.members) == 1 for group in groups) and len({run.title for run in source.runs}) > 1:
        doubts.append("Every network was trained once; another seed may change which one is the best.")
    unstable = [group.named for group in groups if "unstable" in group.marks]
    if unstable:
        doubts.append(f"The machine was not quiet while {listing(unstable)} ran; these latencies are not compared.")
    if audit is None and groups:
        doubts.append("The test images were not audited: leaked images would make every accuracy too high.")
    return doubts
