"""Exported files on corrupted test images, with the runtime and the decoder of the target."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgekit.bench.accuracy import probabilities_of
from edgekit.bench.evaluation_images import ImageSet, image_sets
from edgekit.bench.inspection import inspected
from edgekit.bench.measured_model import MeasuredModel
from edgekit.bench.model_collection import collect_models
from edgekit.bench.third_party import ThirdPartyOptions
from edgekit.device.protocol.jobs import AccuracyJob
from edgekit.device.protocol.verbs import ACCURACY
from edgekit.documents.corruptions import Plan, Store, severities_of
from edgekit.documents.folders import RunFolder
from edgekit.errors import EdgekitError, InputError
from edgekit.render.text import plural
from edgekit.support.files import sha256_file
from edgekit.support.progress import SILENT, Progress
from edgekit.targets.base import Target
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
    """Store the predictions of the run's exported files for the test images under every corruption of ``plan``.

    ``keys`` chooses among the exports. All files see the same corrupted pixels. Predictions that are already stored
    are kept. Raises :class:`InputError` if exports or images are missing.
    """
    with closing(get_target(target, progress)) as machine:
        models = _chosen(collect_models([run.path], ThirdPartyOptions(), progress), keys, run)
        models, _ = inspected(machine, models, scored=True)
        images = image_sets(models, data, plan.images, progress)[models[0].id]
        stores = {model.id: Store(run, machine.name, model.key) for model in models}
        dataset_sha256, n_samples = sha256_file(run.dataset), len(images.files)
        for model in models:
            stores[model.id].open(
                model_sha256=model.sha256, seed=plan.seed, n_samples=n_samples, dataset_sha256=dataset_sha256
            )
        missing = {model.id: stores[model.id].missing(plan) for model in models}
        for names in dict.fromkeys(tuple(names) for names in missing.values()):
            group = [model for model in models if tuple(missing[model.id]) == names]
            for name in names:
                _measure(machine, group, images, name, plan, stores, progress)
        if not any(missing.values()):
            progress.info("exported files: predictions for all corruptions are already stored")


def _chosen(models: list[MeasuredModel], keys: Sequence[str] | None, run: RunFolder) -> list[MeasuredModel]:
    if keys is None:
        return models
    known = {model.key: model for model in models}
    unknown = [key for key in keys if key not in known]
    if unknown:
        raise InputError(
            f"this run has no export named {', '.join(unknown)} that passed its check",
            where=str(run.path),
            hint=f"choose among: {', '.join(known)}",
        )
    return [known[key] for key in keys]


def _measure(
    machine: Target,
    group: Sequence[MeasuredModel],
    images: ImageSet,
    name: str,
    plan: Plan,
    stores: Mapping[str, Store],
    progress: Progress,
) -> None:
    """One corruption at all its severities: images are decoded once, and every file sees the same pixels."""
    severities = severities_of(name, plan)
    job = AccuracyJob(
        models=[model.job() for model in group],
        threads=0,
        root=str(images.root),
        files=images.files,
        corruptions=[(name, severity) for severity in severities],
        corruption_seed=plan.seed,
    )
    parts: dict[str, list[list[NDArray[np.float32]]]] = {model.id: [[] for _ in severities] for model in group}
    total = len(images.files) * len(group) * len(severities)
    with progress.bar(f"{plural(len(group), 'file')}, {name}", total) as bar:
        for event in machine.run(ACCURACY, job):
            if event["event"] == "failed":
                raise EdgekitError(f"{event['key']} under {name}: {event['reason']}", hint="export it again")
            if event["event"] == "predictions":
                parts[event["key"]][event["condition"]].append(probabilities_of(event))
                bar.advance(event["count"])
    for model in group:
        predictions = [np.concatenate(blocks) for blocks in parts[model.id]]
        if any(len(one) != len(images.files) for one in predictions):
            raise EdgekitError(f"the target did not classify all {len(images.files)} images under {name}")
        stores[model.id].write(name, severities, images.labels, images.files, np.stack(predictions))
