"""The report stage: a run or study folder in, report.html and report.json out, and the same as text."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgekit import __version__
from edgekit.documents.base import write_json
from edgekit.report.model.claim_verdicts import recipe_of
from edgekit.report.model.content import compose
from edgekit.report.model.reading import Source, read_source
from edgekit.report.render.html import render
from edgekit.report.render.markdown import candidates_csv, model_cards, report_markdown
from edgekit.support.files import write_text
from edgekit.support.progress import SILENT, Progress

if TYPE_CHECKING:
    from edgekit.recipe import Recipe


def build_report(path: Path, *, claims: Recipe | None = None, progress: Progress = SILENT) -> dict[str, Any]:
    """Write ``report/report.html`` and ``report/report.json`` below ``path`` and return the latter's document.

    ``claims`` is a recipe whose claims are judged, and whose reported figures are shown, instead of those that the run
    or study was started with. ``report_html`` and ``report_json`` in the document are the paths of both; all others in
    it are below ``path``, so that the document says nothing of this machine's folders. Beside them lie ``report.md``,
    ``candidates.csv`` and a card for every exported file in ``cards/``. All are made before any is written. What is not
    there yet (no exports, no bench) is said in the report. Raises :class:`InputError` where ``path`` is neither a run
    nor a study, or holds documents that cannot be read.
    """
    path = Path(path).expanduser()
    source = read_source(path)
    if claims is not None:
        source = _with_claims(source, claims)
    report = compose(source, datetime.now(timezone.utc).isoformat(timespec="seconds"), __version__)
    page = render(report)
    html, json = path / "report" / "report.html", path / "report" / "report.json"
    document = report.document()
    markdown, table, cards = report_markdown(report), candidates_csv(document), model_cards(report)
    write_text(html, page)
    write_json(json, document)
    write_text(path / "report" / "report.md", markdown)
    write_text(path / "report" / "candidates.csv", table)
    for name, card in cards.items():
        write_text(path / "report" / "cards" / name, card)
    for text, command in report.missing:
        progress.info(f"{text} To do: {command}" if command else text)
    return {**document, "report_html": str(html), "report_json": str(json)}


def _with_claims(source: Source, claims: Recipe) -> Source:
    """The same folder, as if it had been started with the claims and reported figures of another recipe."""
    asked = {key: value for key, value in claims.document().items() if key in ("claims", "reported")}
    if source.study is not None:
        return replace(source, study={**source.study, "recipe": {**recipe_of(source), **asked}})
    runs = [
        replace(run, document={**run.document, "recipe": {**run.document.get("recipe", {}), **asked}})
        for run in source.runs
    ]
    return replace(source, runs=runs)
