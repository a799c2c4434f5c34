"""Missing results: a sentence about each, and the command that creates it."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence

from edgekit.documents.report_findings import MissingRecord
from edgekit.render.text import listing, plural
from edgekit.report.model.exported_files import ExportedFile
from edgekit.report.model.source import RunData, Source


def missing(source: Source, files: Sequence[ExportedFile], *, here: bool = False) -> list[MissingRecord]:
    """The results that training, export and bench have yet to produce.

    ``here``: the commands have the paths of this machine, to be run right now. A report is shared, so its commands are
    for a folder of the same name, anywhere.
    """

    def place(run: RunData | None = None) -> str:
        if here:
            return shlex.quote(str(source.path) if run is None else run.place)
        return shlex.quote(source.shared_place(None if run is None else run.folder))

    found = [*_of_study(source, place())]
    of_run: dict[int, list[ExportedFile]] = {}
    for file in files:
        of_run.setdefault(id(file.run), []).append(file)
    for run in source.runs:
        mine = of_run.get(id(run), [])
        if run.document.done:
            found += _of_run(run, mine, place(run))
        elif source.study is None:  # the command of a study also trains its unfinished runs
            command = f"edgekit train --run {place(run)} --resume"
            found.append((f"Training of {run.id} is not finished.", command))
    return [MissingRecord(text=text, command=command) for text, command in found]


def _of_study(source: Source, place: str) -> Iterator[tuple[str, str]]:
    if source.study is None or (source.runs and not source.n_untrained):
        return
    command = f"edgekit compare RECIPE --out {place}"
    if not source.runs:
        yield "No run of this study has been trained yet.", command
    else:
        cells = plural(len(source.study.cells), "cell")
        yield f"{source.n_untrained} of {cells} not trained yet; finished cells are kept.", command


def _partial(files: Sequence[ExportedFile]) -> list[ExportedFile]:
    return [file for file in files if file.bench is not None and file.bench.incomplete]


def _of_run(run: RunData, mine: Sequence[ExportedFile], place: str) -> Iterator[tuple[str, str]]:
    bench = f"edgekit bench {place}"
    good = [file for file in mine if not file.failed]
    if not mine:
        yield f"{run.id} has no exported files.", f"edgekit export {place}"
    elif good and all(file.result is None for file in good):
        yield f"No exported file of {run.id} has been measured.", bench
    else:
        left = [file.key for file in good if file.result is None]
        if left:
            yield f"{listing(left, 6)} of {run.id} not measured yet.", bench
        unscored = [file.key for file in good if file.result is not None and file.score is None]
        unscored = [key for key in unscored if key not in {file.key for file in _partial(good)}]
        if unscored:
            yield f"{listing(unscored, 6)} of {run.id} measured without accuracy.", bench
        for target in dict.fromkeys(file.target for file in _partial(good)):
            partial = [file.key for file in _partial(good) if file.target == target]
            where = "" if target in (None, "local") else f" --target {shlex.quote(str(target))}"
            yield f"{listing(partial, 6)} of {run.id} measured in part; the command measures the rest.", bench + where
