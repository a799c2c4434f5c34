"""What can only be known by opening a file: that it is a model, its input, its own labels and scaling."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from edgekit.bench.models import Candidate
from edgekit.errors import InputError
from edgekit.registry import RUNTIMES
from edgekit.targets.base import Target


def with_runtime(candidates: list[Candidate], runtime: str | None) -> list[Candidate]:
    """``runtime`` for the files of its format; the others keep their default."""
    if runtime is None:
        return candidates
    if runtime not in RUNTIMES:
        raise InputError(f"no runtime is called {runtime!r}", hint=f"choose one of: {', '.join(RUNTIMES)}")
    file_format = RUNTIMES[runtime].format
    if all(candidate.format != file_format for candidate in candidates):
        raise InputError(f"{runtime} runs .{file_format} files, and there is none among these")
    return [replace(c, runtime=runtime) if c.format == file_format else c for c in candidates]


def with_target_runtime(candidates: list[Candidate], runtime: str | None) -> list[Candidate]:
    """The runtime that a target asks for, for the files of its format, where there are any."""
    if runtime is None or all(candidate.format != RUNTIMES[runtime].format for candidate in candidates):
        return candidates
    return with_runtime(candidates, runtime)


def with_known_runtime(candidate: Candidate) -> Candidate:
    """The file with this machine's own choice of a runtime: a target may use one that is not here."""
    return replace(candidate, runtime=None)


def inspected(target: Target, candidates: list[Candidate], *, scored: bool) -> tuple[list[Candidate], int]:
    """Open every file once: what is not a model is refused, what a foreign file says about itself is taken.

    ``scored``: the files will be shown images, so the scaling of a float input has to be known. The number is how
    many cores the target lets a program use.
    """
    facts: dict[str, Any] = {}
    cores = 1
    for event in target.run("probe", {"models": [candidate.job() for candidate in candidates]}):
        if event["event"] == "inspected":
            facts[event["key"]] = event
        elif event["event"] == "environment":
            cores = event["usable_cores"]
    return [_described(candidate, facts[candidate.id], scored=scored) for candidate in candidates], cores


def _described(candidate: Candidate, facts: dict[str, Any], *, scored: bool) -> Candidate:
    """``candidate`` with the labels, scaling and resizing of the file's own metadata where none were given.

    Raises :class:`InputError` where the number of labels is not that of the outputs, or where it is to be
    ``scored`` and nobody knows how its float input is scaled.
    """
    own = facts["metadata"]
    labels = candidate.labels or (tuple(own["labels"]) if own["labels"] else None)
    classes = facts["output"]["classes"]
    if labels is not None and classes is not None and len(labels) != classes:
        raise InputError(f"{len(labels)} labels do not fit {classes} outputs", where=str(candidate.path))
    if candidate.run is not None:
        return candidate
    scaling = candidate.scaling if candidate.scaling is not None else own["scaling"]
    if scored and scaling is None and facts["input"]["needs_scaling"]:
        raise InputError(
            "this file takes floats and does not say how pixels are scaled",
            where=str(candidate.path),
            hint="give --scaling none, unit, symmetric, imagenet, caffe or MEAN,STD",
        )
    return replace(candidate, labels=labels, scaling=scaling, resize=candidate.resize or own["resize"])
