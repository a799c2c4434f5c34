"""`edgekit verify`: the exported files give on a target what they gave where they were made."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgekit.bench.model_inspection import inspected, with_runtime, with_target_runtime
from edgekit.bench.models import Candidate, ForeignOptions, collect
from edgekit.documents.folders import ExportFolder
from edgekit.errors import InputError
from edgekit.support.progress import SILENT, Progress
from edgekit.targets.base import Target
from edgekit.targets.local import LOCAL
from edgekit.targets.lookup import get_target

MAX_DIFFERENCE = 0.1
"""Of one score. Kernels of other runtimes round int8 otherwise (12/255 was seen); wrong ones are far off."""


@dataclass(frozen=True)
class Verification:
    """One file on one target. ``problem`` None: it holds."""

    id: str
    n_inputs: int
    n_same: int
    max_difference: float | None
    runtime: dict[str, Any] | None
    problem: str | None

    def document(self) -> dict[str, Any]:
        return {**self.__dict__, "ok": self.problem is None}


def verify(
    paths: Sequence[Path], *, target: str = LOCAL, runtime: str | None = None, progress: Progress = SILENT
) -> list[Verification]:
    """Every export of ``paths`` on ``target``, with the golden inputs and outputs that export left beside it.

    Raises :class:`InputError` for a file without them.
    """
    with contextlib.closing(get_target(target, progress)) as machine:
        candidates = collect(paths, ForeignOptions(), progress)
        for candidate in candidates:
            if candidate.run is None or not _golden(candidate).is_file():
                raise InputError(
                    "there are no golden answers beside this file",
                    where=str(candidate.path),
                    hint="they are made by `edgekit export`",
                )
        candidates = with_runtime(with_target_runtime(candidates, machine.runtime), runtime)
        candidates, _ = inspected(machine, candidates, scored=False)
        return verify_candidates(machine, candidates)


def verify_candidates(target: Target, candidates: Sequence[Candidate]) -> list[Verification]:
    """The same for files that are known already."""
    job = {
        "models": [candidate.job() for candidate in candidates],
        "golden": {candidate.id: str(_golden(candidate)) for candidate in candidates},
        "threads": 1,
    }
    return [_judged(event) for event in target.run("verify", job) if event["event"] in ("verified", "failed")]


def _golden(candidate: Candidate) -> Path:
    return ExportFolder(candidate.path.parent).golden


def _judged(event: dict[str, Any]) -> Verification:
    if event["event"] == "failed":
        return Verification(event["key"], 0, 0, None, event["runtime"], event["reason"])
    answers, expected = event["predicted"], event["expected"]
    same = sum(answer == wanted for answer, wanted in zip(answers, expected))
    worst = max(event["differences"])
    # Two classes that were nearly level may change places; that is no fault of the file.
    clear = sum(margin > MAX_DIFFERENCE for margin in event["margins"])
    problem = None
    if clear:
        problem = f"{clear} of {len(answers)} golden answers are other classes"
    elif worst > MAX_DIFFERENCE:
        problem = f"scores differ by up to {worst:.2g}"
    return Verification(event["key"], len(answers), same, worst, event["runtime"], problem)
