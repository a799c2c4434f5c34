"""Writes the results of each epoch to ``history.csv`` and to TensorBoard event files."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from edgekit.documents.history import MEASURED_COLUMNS, EpochResult, read_history, write_history

if TYPE_CHECKING:
    from tensorboardX import SummaryWriter


def import_for_events() -> None:
    """Import what writes event files, which takes a second or two."""
    import tensorboardX  # noqa: F401


class HistoryLog:
    """Rewrites the CSV file after every epoch and appends to the event files, one TensorBoard run per phase."""

    def __init__(self, csv_path: Path, events: Path) -> None:
        self._csv_path, self._events = csv_path, events
        self._epochs: dict[str, list[EpochResult]] = {}
        before = read_history(csv_path) if csv_path.is_file() else []
        self._logged = Counter(epoch.stage for epoch in before)
        self._writers: dict[str, SummaryWriter] = {}

    def __enter__(self) -> HistoryLog:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for writer in self._writers.values():
            writer.close()

    def update(self, phase: str, epochs: list[EpochResult]) -> None:
        """Log all epochs of ``phase`` so far; the event files get those that are new."""
        self._epochs[phase] = epochs
        write_history(self._csv_path, [epoch for done in self._epochs.values() for epoch in done])
        new = epochs[self._logged[phase] :]
        if not new:
            return
        self._logged[phase] = len(epochs)
        events = self._writer(phase)
        for epoch in new:
            values = epoch.to_dict()
            for name in MEASURED_COLUMNS:
                events.add_scalar(name, values[name], epoch.epoch)
        events.flush()

    def _writer(self, phase: str) -> SummaryWriter:
        from tensorboardX import SummaryWriter

        if phase not in self._writers:
            self._writers[phase] = SummaryWriter(str(self._events / phase), write_to_disk=True)
        return self._writers[phase]
