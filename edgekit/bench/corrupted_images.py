"""Exported files on corrupted test images, with the runtime and the decoder of the target."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgekit.bench.evaluation_images import ImageSet, image_sets
from edgekit.bench.model_inspection import inspected
from edgekit.bench.models import Candidate, ForeignOptions, collect
from edgekit.documents.corruptions import Plan, Store, severities_of
from edgekit.documents.folders import RunFolder
from edgekit.errors import EdgekitError, InputError
from edgekit.support.files import sha256_file
from edgekit.support.progress import SILENT, Progress
from edgekit.targets.lookup import get_target


def evaluate_files(
    run: RunFolder,
    plan: Plan,
    *,
    keys: Sequence[str] | None = None,
    target: str = "local",
    data: Path | None = None,
    progress: Progress = SILENT,
) -> None:
    """Store the answers of the run's exported files to the test images under every corruption of ``plan``.

    ``keys`` chooses among the exports. All files see the same corrupted pixels; what is stored already is not computed
    again. Raises :class:`InputError` where exports or images are missing.
    """
    with closing(get_target(target, progress)) as machine:
        candidates = _chosen(collect([run.path], ForeignOptions(), progress), keys, run)
        candidates, _ = inspected(machine, candidates, scored=True)
        images = image_sets(candidates, data, plan.images, progress)[candidates[0].id]
        stores = {candidate.id: Store(run, machine.name, candidate.key) for candidate in candidates}
        shown = {"seed": plan.seed, "n_samples": len(images.files), "dataset_sha256": sha256_file(run.dataset)}
        for candidate in candidates:
            stores[candidate.id].open({"model_sha256": candidate.sha256, **shown})
        missing = {candidate.id: stores[candidate.id].missing(plan) for candidate in candidates}
        for names in dict.fromkeys(tuple(names) for names in missing.values()):
            group = [candidate for candidate in candidates if tuple(missing[candidate.id]) == names]
            for name in names:
                _measure(machine, group, images, name, plan, stores, progress)
        if not any(missing.values()):
            progress.info("exported files: all corruptions measured before")


def _chosen(candidates: list[Candidate], keys: Sequence[str] | None, run: RunFolder) -> list[Candidate]:
    if keys is None:
        return candidates
    known = {candidate.key: candidate for candidate in candidates}
    unknown = [key for key in keys if key not in known]
    if unknown:
        raise InputError(
            f"this run has no checked export called {', '.join(unknown)}",
            where=str(run.path),
            hint=f"it has: {', '.join(known)}",
        )
    return [known[key] for key in keys]


def _measure(
    machine: Any,
    group: Sequence[Candidate],
    images: ImageSet,
    name: str,
    plan: Plan,
    stores: dict[str, Store],
    progress: Progress,
) -> None:
    """One corruption in all its severities: images are decoded once, and every file sees the same pixels."""
    severities = severities_of(name, plan)
    job = {
        "models": [candidate.job() for candidate in group],
        "threads": 0,
        "root": str(images.root),
        "files": images.files,
        "corruptions": [[name, severity] for severity in severities],
        "corruption_seed": plan.seed,
    }
    parts: dict[str, list[list[NDArray[np.float32]]]] = {c.id: [[] for _ in severities] for c in group}
    total = len(images.files) * len(group) * len(severities)
    with progress.bar(f"{len(group)} files, {name}", total) as bar:
        for event in machine.run("accuracy", job):
            if event["event"] == "failed":
                raise EdgekitError(f"{event['key']} under {name}: {event['reason']}", hint="export it again")
            if event["event"] == "predictions":
                block = np.frombuffer(base64.b64decode(event["probabilities_b64"]), "<f4")
                parts[event["key"]][event["condition"]].append(block.reshape(event["count"], event["classes"]))
                bar.advance(event["count"])
    for candidate in group:
        answers = [np.concatenate(blocks) for blocks in parts[candidate.id]]
        if any(len(one) != len(images.files) for one in answers):
            raise EdgekitError(f"the target did not answer for all {len(images.files)} images under {name}")
        stores[candidate.id].write(name, severities, images.labels, images.files, np.stack(answers))
