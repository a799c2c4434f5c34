"""Which new file is compared with which file of the baseline."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from edgekit.documents.export import ExportDocument
from edgekit.documents.folders import ExportFolder, RunFolder
from edgekit.documents.regression import BaselineFile, BaselineRun
from edgekit.documents.run import RunDocument
from edgekit.errors import InputError
from edgekit.regression.baseline import Baseline
from edgekit.report.model.collection import run_folders
from edgekit.support.paths import expanded


@dataclass(frozen=True)
class GivenRun:
    """A run that the user named. ``keys``: the exported files that were named; None for the whole run."""

    folder: RunFolder
    document: RunDocument
    keys: tuple[str, ...] | None

    @property
    def identity(self) -> tuple[object, ...]:
        """What makes two trainings counterparts of each other."""
        document = self.document
        return document.backbone, document.alpha, document.strategy, document.recipe.arm, document.seed

    def exports(self) -> list[ExportFolder]:
        """Its complete exports that were named."""
        return [export for export in self.folder.done_exports() if self.keys is None or export.key in self.keys]


@dataclass(frozen=True)
class Pair:
    """A new exported file and its counterpart in the baseline."""

    given: GivenRun
    export: ExportDocument
    path: Path
    """The new file."""
    run: BaselineRun
    file: BaselineFile

    @property
    def id(self) -> str:
        return f"{self.given.document.run_id}/{self.file.key}"

    @property
    def same_file(self) -> bool:
        """Whether both are the same bytes."""
        return self.export.sha256 == self.file.sha256


@dataclass(frozen=True)
class Gone:
    """A file of the baseline that the new run does not have any more."""

    given: GivenRun
    run: BaselineRun
    file: BaselineFile
    reason: str


@dataclass
class Pairing:
    """The pairs, and what has no counterpart."""

    pairs: list[Pair] = field(default_factory=list)
    gone: list[Gone] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def given_runs(paths: Sequence[Path]) -> list[GivenRun]:
    """The runs that ``paths`` (runs, studies, folders of runs, exported files) stand for, each once.

    Raises :class:`InputError` for any other path, and for a run whose training has not finished.
    """
    named: dict[Path, set[str] | None] = {}
    for path in map(expanded, paths):
        for folder, key in _named(path.absolute()):
            keys = named.setdefault(folder, set())
            if key is None:
                named[folder] = None
            elif keys is not None:
                keys.add(key)
    runs = [(RunFolder(folder), keys) for folder, keys in named.items()]
    return [GivenRun(run, run.read_finished_run(), None if keys is None else tuple(sorted(keys))) for run, keys in runs]


def _named(path: Path) -> list[tuple[Path, str | None]]:
    export = path if (path / "export.json").is_file() else path.parent
    if (export / "export.json").is_file() and path.exists():
        return [(export.parent.parent, export.name)]
    if path.is_file():
        raise InputError(
            "this file was not exported from a run",
            where=str(path),
            hint="make a run of your own Keras model first: edgekit import MODEL --data DIR",
        )
    return [(folder, None) for folder in run_folders(path)]


def paired(baseline: Baseline, given: Sequence[GivenRun]) -> Pairing:
    """Pair the exported files of ``given`` with those of the baseline.

    With one run on either side they are counterparts, whatever they are called. Otherwise runs are paired by backbone,
    strategy, arm and seed. Raises :class:`InputError` where no file has a counterpart.
    """
    found = Pairing()
    counterparts = _counterparts(baseline.document.runs, given)
    for one in given:
        run = counterparts.get(one.folder.path)
        if run is None:
            found.notes.append(f"{one.document.run_id} has no counterpart in the baseline")
            continue
        _pair_files(found, one, run)
    matched = {run.folder for run in counterparts.values()}
    found.notes += [
        f"not checked: {run.run_id} of the baseline has no counterpart among the given runs"
        for run in baseline.document.runs
        if run.folder not in matched
    ]
    if not found.pairs and not found.gone:
        names = ", ".join(f"{run.run_id}/{file.key}" for run in baseline.document.runs for file in run.files)
        raise InputError(
            "none of these files has a counterpart in the baseline", where=str(baseline.path), hint=f"it has: {names}"
        )
    return found


def _counterparts(runs: Sequence[BaselineRun], given: Sequence[GivenRun]) -> dict[Path, BaselineRun]:
    if len(runs) == 1 and len(given) == 1:
        return {given[0].folder.path: runs[0]}
    found = {}
    for one in given:
        same = [run for run in runs if one.identity == (run.backbone, run.alpha, run.strategy, run.arm, run.seed)]
        same = [run for run in same if len(same) == 1 or run.run_id == one.document.run_id]
        if len(same) == 1:
            found[one.folder.path] = same[0]
    doubles = {run.folder for run in found.values() if [other.folder for other in found.values()].count(run.folder) > 1}
    if doubles:
        names = ", ".join(run.run_id for run in runs if run.folder in doubles)
        raise InputError(
            f"several of the given runs are counterparts of one run of the baseline ({names})",
            hint="pass one run for each run of the baseline",
        )
    return found


def _pair_files(found: Pairing, one: GivenRun, run: BaselineRun) -> None:
    exports = {export.key: export.read_export() for export in one.exports()}
    known = {file.key for file in run.files}
    for file in run.files:
        export = exports.get(file.key)
        if export is not None and export.ok:
            path = one.folder.export(file.key).path / export.file
            if not path.is_file():
                raise InputError("the exported file is missing", where=str(path), hint=one.folder.export_command)
            found.pairs.append(Pair(one, export, path, run, file))
        elif export is not None:
            reason = f"the export failed its check: {'; '.join(export.problems) or 'see export.json'}"
            found.gone.append(Gone(one, run, file, reason))
        elif one.keys is None:
            reason = f"the run has no exported file {file.key}; export it: {one.folder.export_command}"
            found.gone.append(Gone(one, run, file, reason))
    new = [key for key in exports if key not in known]
    if new:
        found.notes.append(f"not in the baseline: {', '.join(f'{one.document.run_id}/{key}' for key in new)}")
