"""``edgekit diff``: two reports side by side, only what differs beyond noise."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edgekit.cli.options import JsonOption, QuietOption
from edgekit.cli.output import Output, table
from edgekit.cli.render.tables import fitted_table, wrapped
from edgekit.render import numbers
from edgekit.render.text import clipped, plural

if TYPE_CHECKING:
    from edgekit.documents.difference import DiffDocument, Difference

FIGURES = ("accuracy", "latency", "size", "memory")
"""Differences with figures, which are a table; the others are sentences."""

MINUS = str.maketrans("−–", "--")


def diff(
    a: Annotated[Path, typer.Argument(help="Run, study or report.", metavar="A", show_default=False)],
    b: Annotated[
        Path, typer.Argument(help="Run, study or report to compare it with.", metavar="B", show_default=False)
    ],
    json_mode: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Show what differs between two reports, and leave out what noise explains.

    A and B are run folders, study folders, folders of runs, or a report.json. Exported files are compared with the file
    of the same format, scheme and target; in studies, also of the same backbone, strategy, arm and seed.

    Accuracies are compared image by image, and a difference is shown if it is statistically significant after a
    correction for all comparisons. With a report.json, which has no predictions, only large differences are. Latencies
    are compared only if both were measured in one session.

    Example: edgekit diff runs/photos runs/photos-new
    """
    from edgekit.report.difference.comparing import diff as compare
    from edgekit.support.paths import expanded

    out = Output(json_mode=json_mode, quiet=quiet)
    document = compare(expanded(a), expanded(b))
    out.result(document, "" if json_mode else _text(document))


def _text(document: DiffDocument) -> str:
    found = [one for one in document.differences if one.what != "setting"]
    head = f"{plural(len(found), 'difference')} beyond noise ({plural(document.n_compared, 'figure')} compared)"
    parts = [
        "\n".join([head, f"A: {clipped(document.a, 77, middle=True)}", f"B: {clipped(document.b, 77, middle=True)}"])
    ]
    figures = [one for one in found if one.what in FIGURES]
    if figures:
        headers = ["model", "figure", "A", "B", "B - A [95%]"]
        parts.append(fitted_table(headers, [_cells(one) for one in figures], right=(2, 3)))
    parts.append("\n".join(wrapped(_sentence(one)) for one in found if one.what not in FIGURES))
    settings = [one for one in document.differences if one.what == "setting"]
    if settings:
        rows = [
            [clipped(one.subject, 36, middle=True), clipped(str(one.a), 18), clipped(str(one.b), 18)]
            for one in settings
        ]
        parts.append(table(["setting", "A", "B"], rows))
    parts.append("\n".join(wrapped(f"not compared: {text}") for text in document.not_compared))
    return "\n\n".join(filter(None, parts))


def _cells(one: Difference) -> list[str]:
    name = one.what if one.threads is None else f"{one.what}({one.threads})"
    return [one.subject, name, _figure(one, one.a), _figure(one, one.b), _change(one)]


def _figure(one: Difference, value: float | str | None) -> str:
    if not isinstance(value, float | int):
        return "-"
    if one.what == "accuracy":
        return f"{numbers.percent(value)}%"
    if one.what == "latency":
        return f"{numbers.milliseconds(value)} ms"
    return f"{numbers.megabytes(value)} MB"


def _change(one: Difference) -> str:
    sign = "%" if one.unit == "percent" else ""
    text = f"{numbers.signed(one.change or 0.0, 1)}{sign}"
    if one.change_ci95 is not None:
        low, high = (numbers.signed(bound, 1) for bound in one.change_ci95)
        text += f" [{low}, {high}]"
    return text.translate(MINUS)


def _sentence(one: Difference) -> str:
    if one.what in ("only in A", "only in B"):
        return f"{one.what}: {one.subject}"
    what = {"recommendation": "recommendation", "claim": f"claim: {one.subject}"}.get(
        one.what, f"{one.what} of {one.subject}"
    )
    return f"{what}: {one.a} -> {one.b}"
