"""What each epoch gave, for people: ``history.csv`` and TensorBoard's event files."""

from __future__ import annotations

import csv
from pathlib import Path
from types import TracebackType
from typing import Any

from edgekit.support.files import atomic_path

COLUMNS = (
    "stage",
    "epoch",
    "loss",
    "accuracy",
    "val_loss",
    "val_accuracy",
    "learning_rate",
    "seconds",
    "images_per_second",
)


class HistoryLog:
    """Rewrites the CSV file whole after every epoch; event files grow. One TensorBoard run per stage."""

    def __init__(self, csv_path: Path, events: Path) -> None:
        self._csv_path, self._events = csv_path, events
        self._rows: dict[str, list[dict[str, Any]]] = {}
        self._writers: dict[str, Any] = {}

    def __enter__(self) -> HistoryLog:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for writer in self._writers.values():
            writer.close()

    def update(self, stage: str, rows: list[dict[str, Any]]) -> None:
        """All epochs of ``stage`` so far, the newest last."""
        self._rows[stage] = rows
        with atomic_path(self._csv_path) as temporary, temporary.open("w", newline="", encoding="utf-8") as stream:
            writer = csv.DictWriter(stream, COLUMNS)
            writer.writeheader()
            for done in self._rows.values():
                writer.writerows(done)
        events = self._writer(stage)
        newest = rows[-1]
        for name in COLUMNS[2:]:
            events.add_scalar(name, newest[name], newest["epoch"])
        events.flush()

    def _writer(self, stage: str) -> Any:
        from tensorboardX import SummaryWriter

        if stage not in self._writers:
            self._writers[stage] = SummaryWriter(str(self._events / stage), write_to_disk=True)
        return self._writers[stage]
