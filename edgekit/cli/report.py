"""``edgekit report``: what a run or a study found, as one page and one document."""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import Annotated, Any

import typer

from edgekit.cli.options import JsonOption, QuietOption
from edgekit.cli.output import Output, table

WIDTH = 79
LEFT = ("backbone", "strategy", "file", "95%", "mark")
"""Columns of words."""


def report(
    folder: Annotated[
        Path, typer.Argument(help="Folder of a run or of a study.", metavar="RUN_OR_STUDY", show_default=False)
    ],
    claims: Annotated[
        str | None,
        typer.Option(
            "--claims", help="Judge the claims of this recipe instead of its own.", metavar="RECIPE", show_default=False
        ),
    ] = None,
    json_mode: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Compare every candidate of a run or a study: report.html and report.json.

    Says which file is most accurate, fastest and smallest, which are on the Pareto front of accuracy and latency,
    and what the numbers do not prove. The page is one file that opens without a network. What is not there yet
    (no exports, no bench) is left out and named. Beside it: report.md, candidates.csv, and a card for every file.

    Example: edgekit report runs/digits-mobilenetv2
    """
    show_report(folder, Output(json_mode=json_mode, quiet=quiet), claims)


def show_report(folder: Path, out: Output, claims: str | None = None) -> None:
    """Make the report of ``folder`` and print its table, also at the end of a study."""
    from edgekit.recipe import load_recipe
    from edgekit.report.build import build_report

    recipe = None if claims is None else load_recipe(claims)
    document = build_report(folder, claims=recipe, progress=out)
    out.result(document, _text(document))


def _text(document: dict[str, Any]) -> str:
    parts = [_table(document)] if document["candidates"] else []
    parts.append("\n".join(_wrapped(finding["question"], _answer(finding)) for finding in document["verdict"]))
    if document["claims"]:
        parts.append("\n".join(_wrapped(claim["verdict"], _claim(claim)) for claim in document["claims"]))
    if document["warnings"]:
        parts.append(f"{len(document['warnings'])} warning(s), in the report")
    return "\n\n".join([*parts, f"report: {document['report_html']}"])


def _table(document: dict[str, Any]) -> str:
    """One line per candidate, or per kind of file over its seeds; latency with the fewest threads."""
    candidates, groups = document["candidates"], document["groups"]
    threads = min((entry["threads"] for c in candidates for entry in c["latency"]), default=1)
    short = {"feature-extraction": "features", "fine-tuning": "fine-tuned", "from-scratch": "scratch"}
    rows = [
        [
            str(c["number"]),
            _clipped(c["backbone"], 12),
            _clipped(c["arm"], 10) if c["arm"] else short.get(c["strategy"], _clipped(c["strategy"], 10)),
            str(len(c["seeds"]) if groups else c["seed"]),
            f"{c['format']}-{c['scheme']}",
            _percent(c["accuracy_mean"] if groups else c["accuracy"]),
            _interval(c["accuracy_ci95"]),
            _milliseconds(c["latency_ms_p50"].get(str(threads)) if groups else _p50(c, threads)),
            "-" if c["size_bytes"] is None else f"{c['size_bytes'] / 1e6:.2f}",
            _marks(c),
        ]
        for c in groups or candidates
    ]
    headers = ["#", "backbone", "strategy", "s", "file", "acc %", "95%", f"ms({threads})", "MB", "mark"]
    about = f"95%: interval of the accuracy; ms({threads}): p50 with {threads} thread{'s' * (threads != 1)}; s: " + (
        "seeds, over which accuracies are means and times medians" if groups else "seed"
    )
    marks = "* on the Pareto front  f failed  u unstable  e emulated  o float operators"
    return "\n".join([_fitted(headers, rows), textwrap.fill(about, WIDTH), marks])


def _fitted(headers: list[str], rows: list[list[str]]) -> str:
    """The table in WIDTH columns: a strategy that all have is left out, then the names of files lose their ends."""
    columns = {name: [row[position] for row in rows] for position, name in enumerate(headers)}

    def excess() -> int:
        return sum(max(map(len, [name, *cells])) + 2 for name, cells in columns.items()) - 2 - WIDTH

    if excess() > 0 and len(set(columns["strategy"])) == 1:
        del columns["strategy"]
    if (more := excess()) > 0:
        longest = max(map(len, columns["file"]))
        columns["file"] = [_clipped(name, longest - more) for name in columns["file"]]
    right = [position for position, name in enumerate(columns) if name not in LEFT]
    return table(list(columns), list(map(list, zip(*columns.values()))), right=right)


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{100 * value:.1f}"


def _interval(bounds: list[float] | None) -> str:
    return "-" if bounds is None else f"{100 * bounds[0]:.0f}-{100 * bounds[1]:.0f}"


def _p50(candidate: dict[str, Any], threads: int) -> float | None:
    return next((e["latency_ms_p50"] for e in candidate["latency"] if e["threads"] == threads), None)


def _milliseconds(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}" if value < 100 else f"{value:.0f}"


def _marks(candidate: dict[str, Any]) -> str:
    letters = {"failed": "f", "unstable": "u", "emulated": "e", "float operators": "o"}
    return "*" * bool(candidate["on_pareto_front"]) + "".join(letters[mark] for mark in candidate["marks"])


def _clipped(text: str, width: int) -> str:
    return text if len(text) <= width else f"{text[: width - 1]}."


def _answer(finding: dict[str, Any]) -> str:
    """A list with figures of its own (the front) stands in the table above: its numbers are enough."""
    if any(winner["figure"] for winner in finding["winners"]):
        return ", ".join(f"#{winner['number']}" for winner in finding["winners"])
    names = [f"#{winner['number']} " * bool(winner["number"]) + winner["title"] for winner in finding["winners"]]
    parts = ("; ".join(names), finding["figure"], finding["remark"])
    return ". ".join(part[0].upper() + part[1:] for part in parts if part)


def _claim(claim: dict[str, Any]) -> str:
    """The claim, and where it is about one pair what was measured; several pairs stand in the report."""
    if len(claim["pairs"]) != 1:
        told = f"{len(claim['pairs'])} comparisons, in the report" if claim["pairs"] else claim["reason"]
        return f"{claim['text']} ({told})"
    (pair,) = claim["pairs"]
    unit = " times" if claim["unit"] == "ratio" else f" {claim['unit']}"
    interval = "no interval" if pair["effect_ci95"] is None else "95%: {:.3g} to {:.3g}".format(*pair["effect_ci95"])
    interval = "exact" if pair["basis"] == "counted" else interval
    more = pair["more_would_decide"]
    would = f"; about {more['n']:,} more {more['unit'][: -1 if more['n'] == 1 else None]} would decide" if more else ""
    return f"{claim['text']} ({pair['effect']:.3g}{unit}, {interval}{would})"


def _wrapped(label: str, text: str) -> str:
    return textwrap.fill(
        f"{label}: {text}", width=WIDTH, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False
    )
