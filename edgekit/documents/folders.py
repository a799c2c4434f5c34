"""Run and export folders: the names of the files through which stages exchange results."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from edgekit.device.labels import own_labels
from edgekit.documents.export import ExportDocument
from edgekit.documents.run import RunDocument
from edgekit.errors import InputError
from edgekit.support.files import temporaries
from edgekit.support.locks import LOCK_FILE, folder_lock
from edgekit.support.os_errors import reason_of


@dataclass(frozen=True)
class RunFolder:
    """The folder of one trained model. Every stage reads and writes its files under these names."""

    path: Path

    @property
    def run_json(self) -> Path:
        return self.path / "run.json"

    @property
    def model(self) -> Path:
        return self.path / "model.keras"

    @property
    def labels(self) -> Path:
        return self.path / "labels.txt"

    @property
    def dataset(self) -> Path:
        """Which image is in which split: ``path,class,split,sha256``."""
        return self.path / "dataset.csv"

    @property
    def baselines(self) -> Path:
        """Accuracies that need no network, on the run's test images."""
        return self.path / "baselines.json"

    @property
    def history(self) -> Path:
        return self.path / "history.csv"

    @property
    def predictions(self) -> Path:
        """Test split: ``labels`` (N,), ``probabilities`` (N, classes), ``files`` (N,)."""
        return self.path / "predictions.npz"

    def predictions_of(self, split: str) -> Path:
        """The same of another split (``val``, ``gate``), with ``model_sha256``; may be missing."""
        return self.path / f"predictions-{split}.npz"

    @property
    def checkpoint(self) -> Path:
        """What ``--resume`` needs; removed when training has finished."""
        return self.path / "checkpoint"

    @property
    def figures(self) -> Path:
        return self.path / "figures"

    @property
    def exports(self) -> Path:
        return self.path / "exports"

    def export(self, key: str) -> ExportFolder:
        """The folder of the export called ``format-scheme``."""
        return ExportFolder(self.exports / key)

    def bench_json(self, target: str, key: str) -> Path:
        return self.path / "bench" / target / f"{key}.json"

    @property
    def gradcam(self) -> Path:
        """``gradcam.json`` and pictures of where the network looks in some test images."""
        return self.figures / "gradcam"

    @property
    def corruptions(self) -> Path:
        """Predictions for corrupted test images: ``<target>/<model>/<corruption>.npz``."""
        return self.path / "corruptions"

    @property
    def report(self) -> Path:
        return self.path / "report"

    def gate(self, name: str) -> Path:
        """Results of the checks against the baseline ``name``."""
        return self.path / "gate" / name

    @property
    def resume_command(self) -> str:
        """The command that resumes an interrupted training, to be pasted into a shell."""
        return f"edgekit train --run {shlex.quote(str(self.path))} --resume"

    @property
    def export_command(self) -> str:
        """The command that exports the run, to be pasted into a shell."""
        return f"edgekit export {shlex.quote(str(self.path))}"

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Keep other edgekit processes from training, evaluating or exporting this run during a block.

        Partial files that a killed process left are removed, except where benchmarks and reports may be writing.
        """
        with folder_lock(self.path, "another edgekit process is working on this run"):
            for stale in list(temporaries(self.path)):
                if stale.relative_to(self.path).parts[0] not in ("bench", "report"):
                    stale.unlink(missing_ok=True)
            yield

    def read_run(self) -> RunDocument:
        """``run.json`` of a finished or unfinished run; raises :class:`InputError` if this is not a run folder."""
        if not self.path.is_dir():
            if self.path.exists():
                raise InputError(
                    "this is a file, not a run folder",
                    where=str(self.path),
                    hint="pass the folder that `edgekit train` wrote",
                )
            raise InputError("this run folder does not exist", where=str(self.path))
        if not self.run_json.is_file():
            raise InputError(
                "this is not a run folder: it has no run.json",
                where=str(self.path),
                hint="pass a folder that `edgekit train` wrote",
            )
        return RunDocument.read(self.run_json)

    def read_finished_run(self) -> RunDocument:
        """``run.json`` of a run whose training has finished; raises :class:`InputError` otherwise."""
        document = self.read_run()
        if not document.done and document.imported is not None:
            raise InputError(
                "the import of this run has not finished", where=str(self.path), hint="rerun the edgekit import command"
            )
        if not document.done:
            raise InputError(
                "training of this run has not finished",
                where=str(self.path),
                hint=f"resume it: {self.resume_command}",
            )
        return document

    def is_new(self) -> bool:
        """Whether the folder does not exist yet, or is empty."""
        return not self.path.exists() or (
            self.path.is_dir() and all(entry.name == LOCK_FILE for entry in self.path.iterdir())
        )

    def read_labels(self) -> list[str]:
        """Class names in the order of the model's outputs; raises :class:`InputError` for a missing or damaged file."""
        try:
            return own_labels(self.labels.read_bytes())
        except UnicodeDecodeError:
            raise InputError("this file is damaged: it is not UTF-8 text", where=str(self.labels)) from None
        except OSError as error:
            problem = f"the run's class names cannot be read: {reason_of(error)}"
            raise InputError(problem, where=str(self.labels)) from None

    def done_exports(self) -> list[ExportFolder]:
        """The complete exports, in the order of their names."""
        if not self.exports.is_dir():
            return []
        return [ExportFolder(p.parent) for p in sorted(self.exports.glob("*/export.json"))]


@dataclass(frozen=True)
class ExportFolder:
    """The folder of one exported file and its checks."""

    path: Path

    @property
    def key(self) -> str:
        return self.path.name

    @property
    def export_json(self) -> Path:
        return self.path / "export.json"

    @property
    def golden(self) -> Path:
        """``inputs`` uint8 (N, H, W, 3) and ``outputs`` float32 (N, classes) of the exported file."""
        return self.path / "golden.npz"

    @property
    def predictions(self) -> Path:
        """Parity images: ``indices``, ``keras`` and ``exported`` probabilities."""
        return self.path / "parity.npz"

    @property
    def calibration(self) -> Path:
        """The calibration report of an int8 file."""
        return self.path / "calibration.json"

    def read_export(self) -> ExportDocument:
        """``export.json``."""
        return ExportDocument.read(self.export_json)

    def model(self) -> Path:
        """The exported file, named in ``export.json``."""
        return self.path / self.read_export().file
