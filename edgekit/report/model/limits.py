"""What the numbers of a report do not prove, in sentences."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from edgekit.documents.bench import BenchDocument
from edgekit.render.numbers import percent
from edgekit.render.text import listing, plural
from edgekit.report.model.comparisons import Comparisons
from edgekit.report.model.groups import Group
from edgekit.report.model.source import RunData, Source, model_title
from edgekit.report.model.trivial_baselines import Trivial

NOT_AUDITED = (
    "This report does not check whether test images also occur in the training split, as the same or nearly the same "
    "picture (edgekit data audit does). If they do, the accuracies above may be optimistic."
)

FEW_SEEDS = 10
"""With fewer seeds, Student's t makes an interval over them clearly wider than with many."""


def limits(
    source: Source,
    groups: Sequence[Group],
    comparisons: Comparisons,
    audited: str | None = None,
    trivial: Trivial | None = None,
) -> list[str]:
    """What the numbers do not prove; ``audited`` is what an audit found of the test images."""
    runs = source.runs
    if not groups and all(run.score is None for run in runs):
        return []
    measured = [member.bench for group in groups for member in group.members if member.bench is not None]
    return [
        *_of_seeds(runs, groups),
        *_of_left_out(groups),
        *_of_overrides(source),
        *_of_added_cells(source),
        *_of_test_images(runs, groups),
        *_of_latency(measured, comparisons),
        *_of_machines(measured),
        audited or NOT_AUDITED,
        *([trivial.sentence] if trivial is not None and (audited is None or trivial.sentence not in audited) else []),
    ]


def _of_seeds(runs: Sequence[RunData], groups: Sequence[Group]) -> Iterator[str]:
    imported = [run for run in runs if run.document.imported is not None]
    if imported:
        names = sorted({run.model for run in imported})
        were = "was" if len(names) == 1 else "were"
        yield (
            f"{listing(names, 3)} {were} trained elsewhere, on images that edgekit does not know. If they include test "
            f"images, {'its' if len(names) == 1 else 'their'} accuracies are too high."
        )
    if len(imported) == len(runs):
        return
    seeds = sorted({run.seed for run in runs})
    most = max((len(group.members) for group in groups), default=1)
    if most == 1:
        which = f"seed {seeds[0]}" if len(seeds) == 1 else "one seed each"
        yield f"Every network was trained once ({which}). Another seed may change the accuracies and their order."
    else:
        few = " With so few seeds, their intervals are wide." if most < FEW_SEEDS else ""
        yield f"Accuracies are means over up to {most} seeds.{few}"


def _of_left_out(groups: Sequence[Group]) -> Iterator[str]:
    for group in groups:
        if group.left_out:
            n = len(group.left_out)
            seeds = listing([str(file.seed) for file in group.left_out], 6)
            yield (
                f"{group.named}: the {'file' if n == 1 else 'files'} of seed {seeds} failed a check and "
                f"{'is' if n == 1 else 'are'} not part of the mean, which may make it look better than it is."
            )


def _of_overrides(source: Source) -> Iterator[str]:
    overrides = {} if source.study is None else source.study.recipe.compare.overrides
    trained = {run.document.backbone for run in source.runs}
    for backbone, settings in overrides.items():
        if backbone in trained:
            changed = ", ".join(f"{key} {value}" for key, value in settings.items())
            yield f"{model_title(backbone)} was trained with its own settings: {changed}."


def _of_added_cells(source: Source) -> Iterator[str]:
    added = [] if source.study is None else [cell for cell in source.study.cells if cell.added_later]
    if added:
        yield (
            f"{plural(len(added), 'cell was', 'cells were')} added after the first results. Adding seeds until a claim "
            "is decided makes false decisions more frequent than the stated 5%."
        )


def _of_test_images(runs: Sequence[RunData], groups: Sequence[Group]) -> Iterator[str]:
    scores = [member.score for group in groups for member in group.members if member.score is not None]
    scores = scores or [run.score for run in runs if run.score is not None]
    if not scores:
        return
    widest = max(scores, key=lambda score: score.ci95[1] - score.ci95[0])
    half = (widest.ci95[1] - widest.ci95[0]) / 2
    counts = sorted({score.n_samples for score in scores})
    images = f"{counts[0]:,}" if len(counts) == 1 else f"{counts[0]:,} to {counts[-1]:,}"
    yield (
        f"Accuracy was measured on {images} test images. For images like these, the 95% interval (Wilson) is about "
        f"±{percent(half)} points. Accuracy on other images may be different."
    )


def _of_latency(measured: Sequence[BenchDocument], comparisons: Comparisons) -> Iterator[str]:
    if not measured:
        return
    if not comparisons.sessions:
        yield "No file was measured twice (A/A control), so the noise floor of the latencies is unknown."
        return
    by_threads: dict[int, float] = {}
    for (_, threads), noise in comparisons.sessions.items():
        by_threads[threads] = max(noise.floor, by_threads.get(threads, 1.0))
    shares = [f"{percent(factor - 1)}% with {plural(n, 'thread')}" for n, factor in sorted(by_threads.items())]
    yield (
        "Some files were measured twice as if they were two files (A/A controls). Judging by the difference between "
        f"the two measurements, differences in latency of up to {listing(shares, 6)} are noise."
    )
    if len({session for session, _ in comparisons.sessions}) > 1:
        yield "The files were measured in several sessions; only files of the same session were interleaved."


def _of_machines(measured: Sequence[BenchDocument]) -> Iterator[str]:
    real = {bench.environment.before.cpu for bench in measured if not bench.emulated}
    known = sorted(cpu for cpu in real if cpu is not None)
    if known:
        yield f"Latency and memory were measured on {listing(known)}; another processor may change the order."
    if any(bench.emulated for bench in measured):
        yield (
            "Times marked as emulated are those of an emulator, not of the device. They are excluded from comparisons "
            "and figures."
        )
