"""Compares two reports: accuracy, latency, size and memory of each exported file, and what the reports conclude."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from edgekit.documents.difference import DiffDocument, Difference
from edgekit.documents.report import ReportDocument
from edgekit.documents.report_rows import ExportedFileRecord
from edgekit.recipe import differences
from edgekit.render.text import plural
from edgekit.report.difference.sides import Kind, Scored, Side, read_sides
from edgekit.report.model.comparisons import ALPHA, Comparisons
from edgekit.report.model.exported_files import ExportedFile
from edgekit.stats.intervals import over_seeds_and_images, paired_difference_interval, unpaired_difference
from edgekit.stats.process_ratio import FASTER, NO_USEFUL_DIFFERENCE, SLOWER
from edgekit.stats.seeds_and_images import difference_p
from edgekit.stats.significance import holm
from edgekit.targets.local import LOCAL

SMALLEST_SIZE = 0.001
"""Share of the size. Smaller differences are those of names and other metadata."""

MEMORY_SHARE, MEMORY_BYTES = 0.1, 1 << 20
"""Memory is measured once: a difference counts where it exceeds both."""

MOST_SETTINGS = 20

Records = list[tuple[ExportedFileRecord, ExportedFileRecord]]


@dataclass
class _Found:
    differences: list[Difference] = field(default_factory=list)
    accuracies: list[tuple[Difference, float]] = field(default_factory=list)
    """Every accuracy that was compared, with its p-value before the correction."""
    n_compared: int = 0
    other_sessions: int = 0
    noisy: int = 0
    unmeasured: int = 0

    def exact(self, difference: Difference | None) -> None:
        """A figure was compared; ``difference`` is None where it is the same."""
        self.n_compared += 1
        if difference is not None:
            self.differences.append(difference)


def diff(a: Path, b: Path) -> DiffDocument:
    """What differs between two reports, runs or studies beyond noise; see :class:`DiffDocument`.

    Accuracy is paired by image where both sides are folders with predictions. Latencies are compared within one session
    only. Raises :class:`InputError` for a path that is neither of these.
    """
    left, right = read_sides(a, b)
    one_run = left.is_one_run and right.is_one_run
    mine, its = left.kinds(one_run=one_run), right.kinds(one_run=one_run)
    found = _Found()
    _compare_networks(found, left, right, one_run=one_run)
    renumbered = _renumbered(left, right)
    counterparts = {kind: other for kind in mine if (other := _counterpart(kind, its)) is not None}
    for kind, other in counterparts.items():
        records = [(mine[kind][seed], its[other][seed]) for seed in mine[kind] if seed in its[other]]
        if records:
            _compare_files(found, _title(kind, records), records, left, right, renumbered)
    found.differences += _only("only in A", mine, counterparts)
    found.differences += _only("only in B", its, set(counterparts.values()))
    adjusted = holm([p for _, p in found.accuracies]) if found.accuracies else []
    significant = [one.model_copy(update={"p_holm": p}) for (one, _), p in zip(found.accuracies, adjusted) if p < ALPHA]
    concluded = [*_recommendations(left.document, right.document), *_claims(left.document, right.document)]
    return DiffDocument(
        a=left.name,
        b=right.name,
        differences=(*significant, *found.differences, *concluded, *_settings(left, right)),
        n_compared=found.n_compared + len(found.accuracies),
        not_compared=tuple(_not_compared(found)),
    )


def _compare_networks(found: _Found, left: Side, right: Side, *, one_run: bool) -> None:
    """The Keras models of counterparts, over their seeds."""
    mine, its = left.networks(one_run=one_run), right.networks(one_run=one_run)
    for kind in mine:
        seeds = [seed for seed in mine[kind] if seed in its.get(kind, {})]
        if seeds:
            title = " ".join([*(str(part) for part in kind if part is not None), "Keras model"])
            _accuracy(found, title, [(mine[kind][seed], its[kind][seed]) for seed in seeds])


def _counterpart(kind: Kind, others: Collection[Kind]) -> Kind | None:
    """The same kind on the other side, where it may not have been measured on a target, or only there."""
    if kind in others:
        return kind
    unmeasured = (*kind[:-1], None)
    if unmeasured in others:
        return unmeasured
    return next((other for other in others if other[:-1] == kind[:-1]), None) if kind[-1] is None else None


def _only(what: str, kinds: dict[Kind, dict[int, ExportedFileRecord]], known: Collection[Kind]) -> Iterator[Difference]:
    for kind, records in kinds.items():
        if kind not in known:
            record = next(iter(records.values()))
            yield Difference.model_validate({"what": what, "subject": _title(kind, [(record, record)])})


def _title(kind: Kind, records: Records) -> str:
    record = records[0][0]
    target = kind[-1]
    training = [str(part) for part in kind[:-3] if part is not None]
    return " ".join(
        [*training, f"{record.format}-{record.scheme}", *([f"on {target}"] if target not in (None, LOCAL) else [])]
    )


def _renumbered(left: Side, right: Side) -> dict[str, dict[int, ExportedFile]]:
    """The files of both sides with numbers that do not clash, so that one table of comparisons holds both."""
    shift = max(left.files, default=0)
    return {
        "a": dict(left.files),
        "b": {number: replace(file, number=file.number + shift) for number, file in right.files.items()},
    }


def _compare_files(
    found: _Found,
    title: str,
    records: Records,
    left: Side,
    right: Side,
    files: dict[str, dict[int, ExportedFile]],
) -> None:
    pairs = [(files["a"][a.number], files["b"][b.number]) for a, b in records] if left.files and right.files else []
    _accuracy(
        found,
        title,
        [
            (
                Scored(a.accuracy, a.n_samples, pairs[place][0].correct if pairs else {}),
                Scored(b.accuracy, b.n_samples, pairs[place][1].correct if pairs else {}),
            )
            for place, (a, b) in enumerate(records)
        ],
    )
    a, b = records[0]
    found.exact(_changed("status", title, a.status, b.status))
    if a.gate is not None and b.gate is not None:
        found.exact(_changed("gate", title, a.gate.status, b.gate.status))
    if a.size_bytes and b.size_bytes:
        found.exact(_share("size", title, a.size_bytes, b.size_bytes, SMALLEST_SIZE, 0))
    if a.model_rss_bytes and b.model_rss_bytes and (a.runtime, a.target) == (b.runtime, b.target):
        found.exact(_share("memory", title, a.model_rss_bytes, b.model_rss_bytes, MEMORY_SHARE, MEMORY_BYTES))
    _latency(found, title, records[0], pairs[0] if pairs else None)


def _changed(what: str, title: str, a: str, b: str) -> Difference | None:
    return None if a == b else Difference.model_validate({"what": what, "subject": title, "a": a, "b": b})


def _share(what: str, title: str, a: float, b: float, share: float, least: float) -> Difference | None:
    if abs(b - a) <= max(share * a, least):
        return None
    values = {"what": what, "subject": title, "a": float(a), "b": float(b)}
    return Difference.model_validate({**values, "unit": "percent", "change": 100 * (b / a - 1)})


def _accuracy(found: _Found, title: str, pairs: Sequence[tuple[Scored, Scored]]) -> None:
    """Compare the accuracies of counterparts, one pair for each seed."""
    table = _paired(pairs)
    if table is not None:
        seeds, images = table.shape
        if seeds == 1:
            won, lost = int((table > 0).sum()), int((table < 0).sum())
            low, high = paired_difference_interval(won, lost, images)
        else:
            interval = over_seeds_and_images(table)
            low, high = interval.low, interval.high
        basis = f"{images:,} images, paired" + (f", {seeds} seeds" if seeds > 1 else "")
        both = [pair for pair in pairs if pair[0].correct and pair[1].correct]
        means = [float(np.mean([np.mean(list(pair[side].correct.values())) for pair in both])) for side in range(2)]
        difference = _accuracy_difference(title, (means[0], means[1]), (float(table.mean()), low, high), basis)
        found.accuracies.append((difference, difference_p(table)))
        return
    for a, b in pairs:
        if a.accuracy is None or b.accuracy is None or not a.n or not b.n:
            found.unmeasured += 1
            continue
        counts = round(b.accuracy * b.n), b.n, round(a.accuracy * a.n), a.n
        estimate = unpaired_difference(*counts)
        pooled = (counts[0] + counts[2]) / (a.n + b.n)
        deviation = math.sqrt(pooled * (1 - pooled) * (1 / a.n + 1 / b.n))
        p = 2 * NormalDist().cdf(-abs(estimate.estimate) / deviation) if deviation else 1.0
        basis = f"{a.n:,} and {b.n:,} images, not paired"
        values, change = (a.accuracy, b.accuracy), (estimate.estimate, estimate.low, estimate.high)
        found.accuracies.append((_accuracy_difference(title, values, change, basis), p))


def _accuracy_difference(
    title: str, values: tuple[float, float], change: tuple[float, float, float], basis: str
) -> Difference:
    return Difference(
        what="accuracy",
        subject=title,
        a=values[0],
        b=values[1],
        unit="points",
        change=100 * change[0],
        change_ci95=(100 * change[1], 100 * change[2]),
        basis=basis,
    )


def _paired(pairs: Sequence[tuple[Scored, Scored]]) -> NDArray[np.float64] | None:
    """Second minus first by seed and image (seeds, images), on the images that all share; None where none are."""
    scored = [pair for pair in pairs if pair[0].correct and pair[1].correct]
    if not scored:
        return None
    images = sorted(set.intersection(*(set(one.correct) for pair in scored for one in pair)))
    if len(images) < 2:
        return None
    return np.array([[float(b.correct[i]) - float(a.correct[i]) for i in images] for a, b in scored], dtype=np.float64)


def _latency(
    found: _Found,
    title: str,
    records: tuple[ExportedFileRecord, ExportedFileRecord],
    pair: tuple[ExportedFile, ExportedFile] | None,
) -> None:
    a, b = records
    if not a.latency or not b.latency:
        return
    if pair is None or a.session_id != b.session_id:
        found.other_sessions += 1
        return
    comparisons = Comparisons(list(pair))
    for timing in pair[0].timings:
        result = comparisons.latency(pair[1], pair[0], timing.threads)
        if result is None:
            continue
        if result.verdict not in (FASTER, SLOWER, NO_USEFUL_DIFFERENCE):
            found.noisy += 1
            continue
        other = pair[1].timing(timing.threads)
        ratio = result.ratio
        found.exact(
            Difference(
                what="latency",
                subject=title,
                threads=timing.threads,
                a=timing.p50,
                b=None if other is None else other.p50,
                unit="percent",
                change=100 * (ratio.ratio - 1),
                change_ci95=(100 * (ratio.low - 1), 100 * (ratio.high - 1)),
            )
            if result.verdict in (FASTER, SLOWER)
            else None
        )


def _recommendations(a: ReportDocument, b: ReportDocument) -> Iterator[Difference]:
    texts = [_recommended(document) for document in (a, b)]
    if texts[0] != texts[1] and None not in texts:
        yield Difference(what="recommendation", subject="recommended file", a=texts[0], b=texts[1])


def _recommended(document: ReportDocument) -> str | None:
    found = document.recommendation
    if found is None:
        return None
    records = {record.number: record for record in document.candidates}
    names = []
    for entry in found.exports:
        record = records.get(entry.number)
        names.append(entry.title if record is None else f"{record.backbone} {record.format}-{record.scheme}")
    return f"{found.status}: {', '.join(dict.fromkeys(names))}" if names else found.status


def _claims(a: ReportDocument, b: ReportDocument) -> Iterator[Difference]:
    verdicts = {claim.text: claim.verdict for claim in a.claims}
    for claim in b.claims:
        before = verdicts.get(claim.text)
        if before is not None and before != claim.verdict:
            yield Difference(what="claim", subject=claim.text, a=before, b=claim.verdict)


def _settings(left: Side, right: Side) -> Iterator[Difference]:
    """The settings of the recipes that differ."""
    if left.recipe is None or right.recipe is None:
        return
    a, b = left.recipe.document(), right.recipe.document()
    for key in sorted(differences(a, b))[:MOST_SETTINGS]:
        yield Difference(what="setting", subject=key, a=_value(a, key), b=_value(b, key))


def _value(document: object, key: str) -> str:
    for part in key.split("."):
        document = document.get(part) if isinstance(document, dict) else None
    return "null" if document is None else str(document)[:200]


def _not_compared(found: _Found) -> Iterator[str]:
    if found.other_sessions:
        yield (
            f"latency of {plural(found.other_sessions, 'exported file')}: not measured in the same session; to compare "
            "it, pass both sides to one `edgekit bench` command, or use `edgekit gate`"
        )
    if found.noisy:
        yield f"{plural(found.noisy, 'latency', 'latencies')}: the session is too noisy or too short to decide"
    if found.unmeasured:
        yield f"{plural(found.unmeasured, 'accuracy', 'accuracies')}: not scored on one of the sides"
