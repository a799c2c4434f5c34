"""``history.csv``: the result of every training epoch."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable
from dataclasses import asdict, astuple, dataclass, fields
from pathlib import Path

from edgekit.errors import InputError
from edgekit.support.files import atomic_path


@dataclass(frozen=True)
class EpochResult:
    """One epoch of a training phase. The fields are the columns of ``history.csv``, in order."""

    stage: str
    """Name of the phase: feature-extraction, fine-tuning or from-scratch."""
    epoch: int
    """Counted from 1 within the phase."""
    loss: float
    """Mean cross-entropy of the training images in nats, while the weights change."""
    accuracy: float
    """Of the training images, likewise; 0 to 1."""
    val_loss: float
    """Mean cross-entropy of the validation images in nats, after the epoch."""
    val_accuracy: float
    """Of the validation images, after the epoch; 0 to 1."""
    learning_rate: float
    """At the start of the epoch."""
    seconds: float
    """Time to train for the epoch, without validation."""
    images_per_second: float

    def to_dict(self) -> dict[str, str | int | float]:
        """The epoch by column."""
        return asdict(self)


COLUMNS = tuple(field.name for field in fields(EpochResult))
MEASURED_COLUMNS = COLUMNS[2:]
"""The columns that hold measurements."""

_CONVERT: dict[str, Callable[[str], str | int | float]] = {"stage": str, "epoch": int}


def write_history(path: Path, epochs: Iterable[EpochResult]) -> None:
    """Write the results of all epochs atomically."""
    with atomic_path(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow(COLUMNS)
        writer.writerows(astuple(epoch) for epoch in epochs)


def read_history(path: Path) -> list[EpochResult]:
    """The results of all epochs in order; raises :class:`InputError` for a missing or damaged file."""
    try:
        with Path(path).open(newline="", encoding="utf-8") as stream:
            return [_epoch_result(row) for row in csv.DictReader(stream)]
    except FileNotFoundError:
        raise InputError("the training history of this run is missing", where=str(path)) from None
    except (KeyError, ValueError, TypeError) as error:
        raise InputError(f"this file is not a training history ({error})", where=str(path)) from None


def _epoch_result(row: dict[str, str]) -> EpochResult:
    return EpochResult(**{name: _CONVERT.get(name, float)(row[name]) for name in COLUMNS})  # type: ignore[arg-type]
