"""The report stage: reads a run or study folder and writes report.html, report.json and text versions."""

from __future__ import annotations

from datetime import datetime, timezone
from pathlib import Path

from edgekit import __version__
from edgekit.documents.report import ReportDocument
from edgekit.errors import InputError
from edgekit.recipe import Constraint, Recipe
from edgekit.report.model.document import report_document
from edgekit.report.model.missing import missing
from edgekit.report.model.report import compose
from edgekit.report.model.source import read_source
from edgekit.report.render.cards import model_cards
from edgekit.report.render.csv_table import exported_files_csv
from edgekit.report.render.html import page
from edgekit.report.render.markdown import report_markdown
from edgekit.support.files import write_text
from edgekit.support.os_errors import check_writable
from edgekit.support.paths import expanded
from edgekit.support.progress import SILENT, Progress


def build_report(
    path: Path, *, claims: Recipe | None = None, constraint: Constraint | None = None, progress: Progress = SILENT
) -> ReportDocument:
    """Write the report on the run or study in ``path`` into ``path / "report"``.

    It consists of ``report.html``, ``report.json``, ``report.md``, ``candidates.csv`` and a card for every exported
    file in ``cards/``. All are composed before any is written. What is not there yet (exports, bench results) is named
    in the report and reported to ``progress``.

    ``claims`` is a recipe whose claims and reported figures are used instead of those that the run or study was started
    with. ``constraint`` is what the recommended exported file must meet. Returns the document of ``report.json`` with
    the paths of the page and of the stored document; all other paths in it are below ``path``, so that the stored
    document does not name folders of this machine. Raises :class:`InputError` where ``path`` is neither a run nor a
    study, or holds documents that cannot be read.
    """
    path = expanded(path)
    folder = _report_folder(path)
    source = read_source(path)
    if claims is not None:
        source = source.with_claims(claims)
    report = compose(source, datetime.now(timezone.utc).isoformat(timespec="seconds"), __version__, constraint)
    document = report_document(report)
    texts = {
        "report.html": page(report),
        "report.json": document.to_json(),
        "report.md": report_markdown(report),
        "candidates.csv": exported_files_csv(document),
        **{f"cards/{name}": card for name, card in model_cards(report).items()},
    }
    for name, text in texts.items():
        write_text(folder / name, text)
    for entry in missing(source, report.files, here=True):
        progress.info(f"{entry.text} Run: {entry.command}" if entry.command else entry.text)
    paths = {"report_html": str(folder / "report.html"), "report_json": str(folder / "report.json")}
    return document.model_copy(update=paths)


def _report_folder(path: Path) -> Path:
    """The folder of the report; :class:`InputError` if it leads out of ``path``, or cannot be written."""
    folder = path / "report"
    for place in (folder, folder / "cards"):
        if place.is_symlink():
            raise InputError(
                "the report would be written to another place, because this is a link",
                where=str(place),
                hint="remove the link, then rerun this command",
            )
    if path.is_dir():
        check_writable(folder)
    return folder
