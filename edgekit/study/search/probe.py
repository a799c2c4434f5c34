"""The size and the latency of candidates before they are trained.

Neither depends on the weights, so each network is exported with random ones. It takes one step of training on a few
pictures of noise, because everything that follows works on finished runs; as many classes as the real images have give
it the same last layer.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from edgekit.documents.bench import BenchDocument
from edgekit.documents.study import CandidateRecord, ProbedFile
from edgekit.errors import EdgekitError, TargetError
from edgekit.recipe import Constraint, Recipe, apply_settings, validate
from edgekit.stats.recommendation import FAILS, Bounded
from edgekit.stats.recommendation import Constraint as Limit
from edgekit.study.benchmarking import measure
from edgekit.study.executors import Executor
from edgekit.study.folder import Study
from edgekit.study.scheduler import Scheduler
from edgekit.study.search.candidates import search_settings
from edgekit.support.files import atomic_path
from edgekit.support.progress import Progress

PICTURES = 10
"""Pictures of noise in each class."""

UNSURE = 2.0
"""On a busy machine, a file is too slow only if it takes this many times as long as the limit."""

NO_LATENCY = "exported, but not measured"


def write_noise(folder: Path, classes: int) -> Path:
    """A folder of classes with seeded noise; pictures that are there already stay."""
    from PIL import Image

    for label in range(classes):
        place = folder / f"class{label:03d}"
        place.mkdir(parents=True, exist_ok=True)
        for number in range(PICTURES):
            file = place / f"{number}.png"
            if not file.is_file():
                pixels = np.random.default_rng([label, number]).integers(0, 256, (32, 32, 3), np.uint8)
                with atomic_path(file) as temporary:
                    Image.fromarray(pixels).save(temporary, format="png")
    return folder


def probe_recipe(recipe: Recipe, chosen: Sequence[CandidateRecord], images: Path, threads: int) -> Recipe:
    """The recipe of a study whose cells are the untrained candidates."""
    document = recipe.document()
    document["data"] = {"path": str(images), "image_size": recipe.data.image_size}
    document.update(claims=[], reported=[], constraints=[], robustness={})
    apply_settings(
        document,
        {
            "model.weights": "none",
            "train": {"strategy": "from-scratch", "seed": recipe.train.seed, "from_scratch": {"epochs": 1}},
            "export.max_drop": None,
            "export.min_agreement": 0,
            "export.repair": False,
            "export.sensitivity": False,
            "bench.protocol": "quick",
            "bench.threads": [threads],
        },
    )
    settings = search_settings(recipe, chosen)
    document["compare"] = {**settings, "strategies": ["from-scratch"], "overrides": {}, "budget": {}}
    return validate(document, recipe.name)


def probe(
    folder: Path,
    recipe: Recipe,
    chosen: Sequence[CandidateRecord],
    limits: Constraint,
    target: str,
    pool: Executor,
    jobs: int,
    *,
    quiet: bool,
    progress: Progress,
) -> list[CandidateRecord]:
    """``chosen`` with the files of each, and dropped where no file may meet the limits.

    ``recipe`` is that of :func:`probe_recipe`. Raises :class:`TargetError` if the target measured nothing.
    """
    study = Study.open(folder, recipe)
    Scheduler(study, pool, jobs, 1, quiet=True, progress=progress, warnings=False).run()
    exported = [cell for cell in study.cells if cell.status == "exported"]
    if not exported:
        raise EdgekitError("no candidate could be exported", where=str(study.file), hint=study.cells[0].error)
    for name, problem in measure(study, exported, [target], quiet=quiet, progress=progress).items():
        raise TargetError(
            f"nothing was measured on {name}: {problem}", hint="rerun this command once the target is reachable"
        )
    found = []
    for candidate in chosen:
        cell = next(c for c in study.cells if (c.backbone, c.arm) == (candidate.backbone, candidate.arm))
        if cell.status != "exported":
            found.append(candidate.model_copy(update={"dropped": f"it could not be exported: {cell.error}"}))
            continue
        run = study.folder(cell)
        paths = [run.bench_json(target, export.key) for export in run.done_exports()]
        files = [_probed(BenchDocument.read(path), limits) for path in paths if path.is_file()]
        found.append(_judged(candidate, files))
    return found


def _probed(bench: BenchDocument, limits: Constraint) -> ProbedFile:
    size_mb = bench.size_bytes / 1e6
    latency = bench.with_threads(limits.threads) or (bench.latency[0] if bench.latency else None)
    median = None if latency is None or bench.emulated else latency.percentile_ms(50)
    interval = None if latency is None or median is None else latency.interval_ms(50)
    fails = []
    if limits.max_size_mb is not None and size_mb > limits.max_size_mb:
        fails.append("size")
    if limits.max_latency_ms is not None and median is not None and latency is not None:
        low, high = interval or (median, median)
        slack = UNSURE if latency.unstable else 1.0
        if Limit("latency_ms", limits.max_latency_ms).judge(Bounded(median, low / slack, high)) == FAILS:
            fails.append("latency")
    return ProbedFile(key=bench.key, size_mb=size_mb, latency_ms=median, latency_ms_ci95=interval, fails=tuple(fails))


def _judged(candidate: CandidateRecord, files: Sequence[ProbedFile]) -> CandidateRecord:
    dropped = None
    if not files:
        dropped = NO_LATENCY
    elif all(file.fails for file in files):
        dropped = _reason(files)
    return candidate.model_copy(update={"files": tuple(files), "dropped": dropped})


def _reason(files: Sequence[ProbedFile]) -> str:
    """``too slow: its fastest file (tflite-int8) takes 41 ms``, and likewise of the size."""
    fast = min(files, key=lambda file: file.latency_ms or float("inf"))
    small = min(files, key=lambda file: file.size_mb)
    if all("latency" in file.fails for file in files):
        return f"too slow: its fastest file ({fast.key}) takes {fast.latency_ms:.3g} ms"
    if all("size" in file.fails for file in files):
        return f"too large: its smallest file ({small.key}) has {small.size_mb:.3g} MB"
    return f"no file is both fast and small enough (fastest: {fast.key}, smallest: {small.key})"
