"""``edgekit report``: what a run or a study found, as one page and one document."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edgekit.cli.options import JsonOption, QuietOption
from edgekit.cli.output import Output
from edgekit.cli.render.tables import WIDTH, fitted_table, wrapped
from edgekit.render import numbers
from edgekit.render.text import capitalized, clipped, plural

if TYPE_CHECKING:
    from edgekit.documents.report import ReportDocument
    from edgekit.documents.report_findings import Finding, JudgedClaim
    from edgekit.documents.report_rows import ExportedFileRecord, Mark, SeedGroup
    from edgekit.recipe import Constraint

LEFT = ("backbone", "strategy", "file", "95%", "mark")
"""Columns of words."""

MARK_LETTERS: dict[Mark, str] = {
    "failed": "f",
    "gate failed": "g",
    "gate undecided": "?",
    "partial": "p",
    "unstable": "u",
    "emulated": "e",
    "float operators": "o",
}

UNKNOWN = "-"
"""In place of a number; tables in a terminal are plain ASCII."""


def report(
    folders: Annotated[
        list[Path],
        typer.Argument(
            help="Run folders, study folder, or folder of runs.",
            metavar="RUN_OR_STUDY",
            show_default=False,
        ),
    ],
    folder: Annotated[
        Path | None,
        typer.Option(
            "--out",
            help="Folder for the report. By default report/ in the folder of the run, study or runs.",
            metavar="DIR",
            show_default=False,
        ),
    ] = None,
    claims: Annotated[
        str | None,
        typer.Option(
            "--claims",
            help="Judge the claims of this recipe instead of those of the run or study.",
            metavar="RECIPE",
            show_default=False,
        ),
    ] = None,
    constraint: Annotated[
        list[str] | None,
        typer.Option(
            "--constraint",
            help="What the recommended file must meet: latency_ms=30, size_mb=5, memory_mb=50 or points_lost=1; "
            "threads=4 sets the thread count of the latency. Repeatable.",
            metavar="NAME=VALUE",
            show_default=False,
        ),
    ] = None,
    json_mode: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Write report.html and report.json for a run, a study, or several runs.

    The report begins with a recommendation: of the exported files that are shown to lose at most the allowed accuracy,
    the fastest, and of equally fast ones the smallest. It names the most accurate, the fastest and the smallest
    exported file and those on the Pareto front of accuracy and latency, and says what the numbers do not prove. The
    page is a single file that works offline. If exports or bench results are missing, the report lists them. report.md,
    candidates.csv and a model card for every exported file are written beside the page.

    A report on several runs says which of them can be compared: accuracies on the same test images, and latencies of
    the same session.

    \b
    Examples:
      edgekit report runs/photos
      edgekit report runs/photos --constraint latency_ms=30 --constraint size_mb=5
    """
    show_report(folders, Output(json_mode=json_mode, quiet=quiet), claims, constraint or (), folder)


def show_report(
    folders: Sequence[Path],
    out: Output,
    claims: str | None = None,
    constraints: Sequence[str] = (),
    folder: Path | None = None,
) -> None:
    """Make the report of ``folders`` and print its table, also at the end of a study."""
    from edgekit.recipe import load_recipe
    from edgekit.report.build import build_report

    recipe = None if claims is None else load_recipe(claims)
    document = build_report(folders, out=folder, claims=recipe, constraint=_constraint(constraints), progress=out)
    out.result(document, _text(document))


def _constraint(given: Sequence[str]) -> Constraint | None:
    """``latency_ms=30`` and the like as a constraint of a recipe; None without any."""
    from edgekit.errors import InputError
    from edgekit.recipe import constraint_of

    try:
        return constraint_of(dict(map(_name_and_value, given))) if given else None
    except InputError as error:
        raise InputError(error.problem, where="--constraint", hint=error.hint) from None


def _name_and_value(text: str) -> tuple[str, str]:
    name, _, value = text.partition("=")
    return name, value


def _text(document: ReportDocument) -> str:
    from edgekit.render.recommendations import advice_lines

    parts = [_table(document)] if document.candidates else []
    if document.recommendation is not None:
        parts.insert(0, "\n".join(map(wrapped, advice_lines(document.recommendation))))
    parts.append("\n".join(wrapped(f"{finding.question}: {_answer(finding)}") for finding in document.verdict))
    if document.comparability is not None:
        parts.append("\n".join(map(wrapped, document.comparability.sentences)))
    if document.claims:
        parts.append("\n".join(wrapped(f"{claim.verdict}: {_claim(claim)}") for claim in document.claims))
    if document.warnings:
        parts.append(f"{plural(len(document.warnings), 'warning')} (see the report)")
    return "\n\n".join([*parts, f"report: {document.report_html}"])


def _table(document: ReportDocument) -> str:
    """One line per exported file, or per kind of file over its seeds; latency with the fewest threads."""
    threads = min((entry.threads for file in document.candidates for entry in file.latency), default=1)
    if document.groups:
        rows = [_group_cells(group, threads) for group in document.groups]
    else:
        rows = [_file_cells(file, threads) for file in document.candidates]
    headers = ["#", "backbone", "strategy", "s", "file", "acc %", "95%", f"ms({threads})", "MB", "mark"]
    seeds = "number of seeds; accuracies are means over them, latencies medians" if document.groups else "seed"
    about = f"95%: interval of the accuracy; ms({threads}): p50 with {plural(threads, 'thread')}; s: {seeds}"
    marks = (
        "* on the Pareto front  f failed a check  g gate failed  ? gate undecided\n"
        "u unstable  e emulated  o float operators"
    )
    return "\n".join([_fitted(headers, rows), wrapped(about), marks])


def _file_cells(file: ExportedFileRecord, threads: int) -> list[str]:
    p50 = next((entry.latency_ms_p50 for entry in file.latency if entry.threads == threads), None)
    return [
        *_names(file, str(file.seed)),
        *_figures(file.accuracy, file.accuracy_ci95, p50, file.size_bytes),
        _marks(file),
    ]


def _group_cells(group: SeedGroup, threads: int) -> list[str]:
    p50 = group.latency_ms_p50.get(str(threads))
    return [
        *_names(group, str(len(group.seeds))),
        *_figures(group.accuracy_mean, group.accuracy_ci95, p50, group.size_bytes),
        _marks(group),
    ]


def _names(row: ExportedFileRecord | SeedGroup, seed: str) -> list[str]:
    short = {"feature-extraction": "features", "fine-tuning": "fine-tuned", "from-scratch": "scratch"}
    strategy = row.arm or short.get(row.strategy, row.strategy)
    return [str(row.number), clipped(row.backbone, 12), clipped(strategy, 10), seed, row.key]


def _figures(
    accuracy: float | None, interval: Sequence[float] | None, p50: float | None, size_bytes: int | None
) -> list[str]:
    bounds = UNKNOWN if interval is None else f"{100 * interval[0]:.0f}-{100 * interval[1]:.0f}"
    known = (numbers.percent(accuracy), bounds, numbers.milliseconds(p50), numbers.megabytes(size_bytes))
    return [UNKNOWN if cell == numbers.NONE else cell for cell in known]


def _fitted(headers: list[str], rows: list[list[str]]) -> str:
    """The table in 80 columns: a strategy that all rows share is left out, then the names of files are clipped."""
    columns = {name: [row[position] for row in rows] for position, name in enumerate(headers)}
    width = sum(max(map(len, [name, *cells])) + 2 for name, cells in columns.items()) - 2
    if width > WIDTH and len(set(columns["strategy"])) == 1:
        del columns["strategy"]
    names = list(columns)
    right = [position for position, name in enumerate(names) if name not in LEFT]
    return fitted_table(names, list(map(list, zip(*columns.values()))), right=right, names=names.index("file"))


def _marks(row: ExportedFileRecord | SeedGroup) -> str:
    return "*" * row.on_pareto_front + "".join(MARK_LETTERS[mark] for mark in row.marks)


def _answer(finding: Finding) -> str:
    """The winners by name; by number alone where each has a figure (the front), which is in the table above."""
    if any(winner.figure for winner in finding.winners):
        return ", ".join(f"#{winner.number}" for winner in finding.winners)
    names = [f"#{winner.number} " * bool(winner.number) + winner.title for winner in finding.winners]
    from edgekit.render.recommendations import MOST_NAMES

    if len(names) > MOST_NAMES:
        names[MOST_NAMES - 1 :] = [f"{len(names) - MOST_NAMES + 1} more (see the report)"]
    return ". ".join(capitalized(part) for part in ("; ".join(names), finding.figure, finding.remark) if part)


def _claim(claim: JudgedClaim) -> str:
    """The claim, and what was measured if it is about one pair; several pairs are in the report."""
    from edgekit.render.claims import claim_marks, more_text

    if len(claim.pairs) != 1:
        about = f"{len(claim.pairs)} comparisons, see the report" if claim.pairs else ""
        return f"{claim.text} ({'; '.join(filter(None, [about, claim.reason, *claim_marks(claim)]))})"
    (pair,) = claim.pairs
    unit = " times" if claim.unit == "ratio" else f" {claim.unit}"
    interval = "no interval" if pair.effect_ci95 is None else "95%: {:.3g} to {:.3g}".format(*pair.effect_ci95)
    interval = "exact" if pair.basis == "counted" else interval
    notes = [more_text(pair.more_would_decide), claim.reason, *claim_marks(claim)]
    return f"{claim.text} ({'; '.join([f'{pair.effect:.3g}{unit}, {interval}', *filter(None, notes)])})"
