"""Published figures of the report's backbones, beside what was measured for them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import mean

from edgekit.documents.report_findings import PublishedRecord
from edgekit.published import PublishedFigure, published_figures
from edgekit.render.text import plural
from edgekit.report.model.groups import Group, thread_counts
from edgekit.report.model.source import RunData, Source, model_title

PRECISIONS = {"float32": "fp32", "fp32": "fp32", "fp16": "fp16", "int8": "int8"}
"""Precision of the published figures that a scheme is shown beside."""


@dataclass(frozen=True)
class LatencyRow:
    """One latency in milliseconds; ``published`` is None where edgekit measured it."""

    model: str
    precision: str
    device: str
    threads: str
    runtime: str
    milliseconds: float
    conditions: str
    published: PublishedFigure | None = None
    emulated: bool = False


@dataclass(frozen=True)
class Int8Row:
    """The accuracy before and after int8 quantization, in percent."""

    model: str
    before: float
    after: float
    method: str
    published: PublishedFigure | None = None

    @property
    def lost(self) -> float:
        """Percentage points."""
        return self.before - self.after


@dataclass(frozen=True)
class Published:
    """Both tables, measured rows first, for each backbone that has published figures."""

    latencies: list[LatencyRow]
    int8: list[Int8Row]
    figures: tuple[PublishedFigure, ...]

    def documents(self) -> tuple[PublishedRecord, ...]:
        """The published figures as ``report.json`` stores them."""
        return tuple(
            PublishedRecord(
                backbone=figure.backbone,
                quantity=figure.quantity,
                value=figure.value,
                precision=figure.precision,
                device=figure.device,
                threads=figure.threads,
                runtime=figure.runtime,
                method=figure.method,
                not_stated=figure.not_stated,
                source=figure.source,
            )
            for figure in self.figures
        )


def published(source: Source, groups: Sequence[Group]) -> Published | None:
    """What is published on the report's backbones; None where nothing was measured or published.

    Published figures are those of backbones at full width, so that narrower ones are not shown beside them.
    """
    backbones = list(dict.fromkeys(run.document.backbone for run in source.runs if _as_published(run)))
    figures = published_figures(backbones)
    measured = [group for group in groups if group.target is not None and _as_published(group.first.run)]
    if not figures or not measured:
        return None
    latencies, int8 = [], []
    for backbone in backbones:
        own = [group for group in measured if group.first.run.document.backbone == backbone]
        latencies += [*_measured_latencies(own), *_published_latencies(backbone)]
        int8 += [*_measured_int8(own), *_published_int8(backbone)]
    return Published(latencies, int8, figures)


def _as_published(run: RunData) -> bool:
    """Whether it is a backbone of edgekit at full width; an imported network may only have the name of one."""
    return run.document.alpha in (None, 1.0) and run.document.imported is None


def _measured_latencies(groups: Sequence[Group]) -> Iterator[LatencyRow]:
    for group in groups:
        precision = PRECISIONS.get(group.first.export.scheme)
        if precision is None:
            continue
        for threads in thread_counts([group]):
            p50 = group.p50(threads)
            if p50 is not None:
                size = group.first.run.document.model.input_shape
                yield LatencyRow(
                    model=group.title,
                    precision=precision,
                    device=str(group.target),
                    threads=str(threads or "all"),
                    runtime=group.first.runtime_text,
                    milliseconds=p50,
                    conditions=f"p50, batch 1, {size[0]} x {size[1]}",
                    emulated=group.first.emulated,
                )


def _published_latencies(backbone: str) -> Iterator[LatencyRow]:
    for figure in published_figures([backbone], quantity="latency_ms"):
        yield LatencyRow(
            model=model_title(backbone),
            precision=figure.precision,
            device=figure.device,
            threads=figure.threads,
            runtime=figure.runtime,
            milliseconds=figure.value,
            conditions=figure.method,
            published=figure,
        )


def _measured_int8(groups: Sequence[Group]) -> Iterator[Int8Row]:
    for group in groups:
        drops = [member.drop for member in group.members if member.drop is not None]
        if group.first.export.scheme == "int8" and group.accuracy is not None and len(drops) == len(group.members):
            after = 100 * group.accuracy
            score = group.first.score
            images = "" if score is None else f" on {plural(score.n_samples, 'test image')}"
            seeds = f", mean of {len(drops)} seeds" if len(drops) > 1 else ""
            yield Int8Row(group.title, after + 100 * mean(drops), after, f"against the Keras model{images}{seeds}")


def _published_int8(backbone: str) -> Iterator[Int8Row]:
    figures = published_figures([backbone], quantity="top1")
    for figure in figures:
        before = [f for f in figures if (f.source, f.precision) == (figure.source, "fp32")]
        if figure.precision == "int8" and before:
            yield Int8Row(model_title(backbone), before[0].value, figure.value, f"ImageNet, {figure.method}", figure)
