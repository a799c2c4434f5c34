"""The report stage: reads run or study folders and writes report.html, report.json and text versions."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timezone
from pathlib import Path

from edgekit import __version__
from edgekit.documents.report import ReportDocument
from edgekit.errors import InputError
from edgekit.recipe import Constraint, Recipe
from edgekit.report.model.collection import read_sources
from edgekit.report.model.document import report_document
from edgekit.report.model.missing import missing
from edgekit.report.model.report import compose
from edgekit.report.render.cards import model_cards
from edgekit.report.render.csv_table import exported_files_csv
from edgekit.report.render.html import page
from edgekit.report.render.markdown import report_markdown
from edgekit.support.files import TEMPORARY, temporaries, write_text
from edgekit.support.locks import LOCK_FILE, folder_lock
from edgekit.support.os_errors import check_writable
from edgekit.support.paths import expanded
from edgekit.support.progress import SILENT, Progress


def build_report(
    path: Path | Sequence[Path],
    *,
    out: Path | None = None,
    claims: Recipe | None = None,
    constraint: Constraint | None = None,
    progress: Progress = SILENT,
) -> ReportDocument:
    """Write the report on the run or study in ``path``, or on several runs, into ``out``.

    ``path`` is a run, a study, a folder that contains runs, or several of these. Without ``out`` it is the folder
    ``report`` in ``path``, or in the deepest folder that contains all of them. The report consists of ``report.html``,
    ``report.json``, ``report.md``, ``candidates.csv`` and a card for every exported file in ``cards/``. All are
    composed before any is written. What is not there yet (exports, bench results) is named in the report and reported
    to ``progress``.

    ``claims`` is a recipe whose claims and reported figures are used instead of those that the run or study was started
    with. ``constraint`` is what the recommended exported file must meet. Returns the document of ``report.json`` with
    the paths of the page and of the stored document; all other paths in it are relative to the folder of the runs, so
    that the stored document does not name folders of this machine. Raises :class:`InputError` where there is neither a
    run nor a study, or documents that cannot be read, and for a folder ``out`` that holds something else.
    """
    paths = [path] if isinstance(path, str | Path) else path
    source = read_sources([expanded(one) for one in paths])
    folder = source.path / "report" if out is None else expanded(out)
    _check_folder(folder, linked=out is not None)
    if claims is not None:
        source = source.with_claims(claims)
    report = compose(source, datetime.now(timezone.utc).isoformat(timespec="seconds"), __version__, constraint)
    document = report_document(report)
    texts = {
        "report.json": document.to_json(),  # first: it shows that the folder is a report, also after a kill
        "report.html": page(report),
        "report.md": report_markdown(report),
        "candidates.csv": exported_files_csv(document),
        **{f"cards/{name}": card for name, card in model_cards(report).items()},
    }
    with folder_lock(folder, "another edgekit process is writing this report"):
        for stale in list(temporaries(folder)):  # of a process that was killed
            stale.unlink(missing_ok=True)
        for name, text in texts.items():
            write_text(folder / name, text)
    for entry in missing(source, report.files, here=True):
        progress.info(f"{entry.text} Run: {entry.command}" if entry.command else entry.text)
    written = {"report_html": str(folder / "report.html"), "report_json": str(folder / "report.json")}
    return document.model_copy(update=written)


def _check_folder(folder: Path, *, linked: bool) -> None:
    """A report replaces the files of an earlier one, and those of nobody else.

    ``linked``: the user named the folder, so it may be a link; otherwise a link would lead out of the run or study.
    """
    for place in (folder / "cards",) if linked else (folder, folder / "cards"):
        if place.is_symlink():
            raise InputError(
                "this is a link, so the report would be written somewhere else",
                where=str(place),
                hint="remove the link, or choose a folder with --out DIR",
            )
    check_writable(folder)
    if not folder.exists() or (folder / "report.json").is_file():
        return
    if any(entry.name != LOCK_FILE and not TEMPORARY.fullmatch(entry.name) for entry in folder.iterdir()):
        raise InputError(
            "the folder for the report holds other files", where=str(folder), hint="choose another one with --out DIR"
        )
