"""Reads the table of published figures that comes with edgekit."""

from __future__ import annotations

import csv
from collections.abc import Collection
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Literal, cast

Quantity = Literal["latency_ms", "top1"]


@dataclass(frozen=True)
class PublishedFigure:
    """One published figure; edgekit did not measure it.

    ``quantity`` is ``latency_ms``, the time to classify one image of 224 x 224 pixels in milliseconds, or ``top1``, the
    accuracy on the ImageNet validation set in percent. Text fields are empty where they do not apply or are not known.
    """

    backbone: str
    """Name of the backbone, as ``edgekit list backbones`` has it."""
    quantity: Quantity
    value: float
    precision: str
    """``fp32``, ``fp16``, ``float`` (32 or 16 bits, the source does not say) or ``int8``."""
    device: str
    threads: str
    """Number of threads or cores."""
    runtime: str
    method: str
    """How it was measured, or how the network was quantized."""
    not_stated: tuple[str, ...]
    """Conditions that the source does not state."""
    source: str
    """Repository and file, or document."""


def published_figures(
    backbones: Collection[str] | None = None, *, quantity: Quantity | None = None
) -> tuple[PublishedFigure, ...]:
    """The published figures of ``backbones`` (default: of all), in the order of the table."""
    return tuple(
        figure
        for figure in _all_figures()
        if (backbones is None or figure.backbone in backbones) and quantity in (None, figure.quantity)
    )


@cache
def _all_figures() -> tuple[PublishedFigure, ...]:
    text = (resources.files("edgekit.published") / "figures.csv").read_text(encoding="utf-8")
    return tuple(_figure(row) for row in csv.DictReader(text.splitlines()))


def _figure(row: dict[str, str]) -> PublishedFigure:
    return PublishedFigure(
        backbone=row["backbone"],
        quantity=cast(Quantity, row["quantity"]),
        value=float(row["value"]),
        precision=row["precision"],
        device=row["device"],
        threads=row["threads"],
        runtime=row["runtime"],
        method=row["method"],
        not_stated=tuple(part for part in row["not_stated"].split("; ") if part),
        source=row["source"],
    )
