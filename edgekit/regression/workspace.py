"""The folder of a check: the baseline's runs as folders that can be measured, and the results of every session.

``RUN/gate/NAME/`` of the first run has ``gate.json`` (the last check) and ``check-N/``. In it are ``baseline/``
(unpacked), ``scored/`` and ``session-N/`` (results), and until the check has ended ``unfinished``, which says what is
checked.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path

from edgekit.documents.bench import BenchDocument, BenchResult
from edgekit.documents.dataset_list import DatasetRow, read_dataset_csv
from edgekit.documents.folders import RunFolder
from edgekit.documents.run import RunDocument
from edgekit.regression.baseline import Baseline
from edgekit.regression.pairing import GivenRun, Pair
from edgekit.support.files import sha256_file, write_bytes, write_text

UNFINISHED = "unfinished"
RESULT = "gate.json"

NOT_YET = "latency and memory"
"""What is missing in a result from which only the predictions are taken over."""


class Workspace:
    """The folder of the checks against one baseline. A check has a folder of its own below it, while it is measured."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.check = path

    @property
    def result(self) -> Path:
        """The document of the last check."""
        return self.path / RESULT

    def session(self, number: int) -> Path:
        """Results of the ``number``-th session."""
        return self.check / f"session-{number}"

    @property
    def scored(self) -> Path:
        """Results of files whose latency is not measured."""
        return self.check / "scored"

    @property
    def baseline(self) -> Path:
        """The baseline's runs."""
        return self.check / "baseline"

    def start(self, identity: object) -> bool:
        """Prepare for a check. Whether an interrupted check of the same ``identity`` is resumed.

        What an earlier check has measured stays until this one has ended.
        """
        digest = hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()
        checks = sorted(self.path.glob("check-[0-9]*"), key=_number)
        for folder in checks:
            marker = folder / UNFINISHED
            if marker.is_file() and marker.read_text(encoding="utf-8").strip() == digest:
                self.check = folder
                return True
        self.check = self.path / f"check-{_number(checks[-1]) + 1 if checks else 1}"
        write_text(self.check / UNFINISHED, digest + "\n")
        return False

    def finish(self) -> None:
        """The result is written: what other checks have measured is no longer needed."""
        (self.check / UNFINISHED).unlink(missing_ok=True)
        for folder in self.path.glob("check-[0-9]*"):
            if folder != self.check:
                shutil.rmtree(folder, ignore_errors=True)

    def unpack(self, baseline: Baseline, pair: Pair, model: Path, data: Path | None) -> Path:
        """The baseline's file of ``pair`` as an export of a run folder. ``model``: where the file itself is.

        The run is measured with the settings of the new one, and on images from its folder.
        """
        run = RunFolder(self.baseline / pair.run.folder)
        if not run.run_json.is_file():
            document = baseline.run(pair.run)
            baseline.images(pair.run, run.dataset)
            _as_measured_with(document, pair.given, data).write(run.run_json)
        export = run.export(pair.file.key)
        document_of_file = baseline.export(pair.run, pair.file)
        path = export.path / document_of_file.file
        if not path.is_file() or sha256_file(path) != pair.file.sha256:
            write_bytes(path, model.read_bytes())
        document_of_file.write(export.export_json)
        return path

    def images(self, baseline: Baseline, pair: Pair) -> list[DatasetRow]:
        """The test images of the baseline."""
        unpacked = RunFolder(self.baseline / pair.run.folder).dataset
        return read_dataset_csv(unpacked) if unpacked.is_file() else baseline.images(pair.run, unpacked)


def _as_measured_with(old: RunDocument, given: GivenRun, data: Path | None) -> RunDocument:
    root = given.document.dataset.root if data is None else str(data)
    return old.model_copy(
        update={
            "run_id": f"baseline:{old.run_id}",
            "recipe": old.recipe.model_copy(update={"bench": given.document.recipe.bench}),
            "dataset": old.dataset.model_copy(update={"root": root}),
        }
    )


def _number(folder: Path) -> int:
    digits = folder.name.removeprefix("check-")
    return int(digits) if digits.isdecimal() else 0


def leave_predictions(folder: Path, document: BenchDocument, predictions: bytes) -> None:
    """Leave a result with nothing but predictions, which a benchmark takes over where they still apply."""
    if document.accuracy is None:
        return
    known = document.model_copy(
        update={"latency": (), "memory": None, "control": (), "cache_test": (), "incomplete": (NOT_YET,)}
    )
    place = RunFolder(folder).bench_json(document.target, document.key)
    if not place.exists():
        write_bytes(place.parent / document.accuracy.predictions, predictions)
        known.write(place)


def finished_results(folder: Path, target: str, count: int) -> list[BenchResult] | None:
    """The results of a session of ``count`` files that has ended, in their order; None if it has not."""
    results = []
    for number in range(count):
        found = [BenchResult.read(path) for path in sorted((folder / str(number) / "bench" / target).glob("*.json"))]
        results += [result for result in found if not result.bench.incomplete][:1]
    return results if len(results) == count else None
