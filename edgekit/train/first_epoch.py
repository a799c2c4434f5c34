"""Whether the first epoch of fine-tuning destroys what feature extraction has learned, and what to change then."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from edgekit.documents.history import EpochResult
from edgekit.recipe import FineTuning, Phase

LOST_ACCURACY = 0.02
"""A larger loss of validation accuracy in the first epoch counts as harm if the validation loss agrees."""
LOSS_FACTOR = 1.5
LOSS_MARGIN = 0.1
"""The validation loss agrees if it is larger by this factor and by this many nats."""
MOST_WARMUP = 3
"""A longer warm-up than this many epochs is not proposed."""
ATTEMPTS = 4
"""How many learning rates are tried, each a third of the one before."""


@dataclass(frozen=True)
class PhaseEnd:
    """The validation results of a phase with its best weights."""

    val_loss: float
    val_accuracy: float

    @classmethod
    def of(cls, history: Sequence[EpochResult], monitor: str) -> PhaseEnd | None:
        """The epoch of ``history`` whose weights were kept; ``None`` if there is none."""
        if not history:
            return None
        best = min(history, key=lambda row: row.val_loss if monitor == "val_loss" else -row.val_accuracy)
        return cls(best.val_loss, best.val_accuracy)

    def destroyed_by(self, first: EpochResult) -> bool:
        """Whether the first epoch of the next phase is much worse."""
        worse_loss = first.val_loss > max(LOSS_FACTOR * self.val_loss, self.val_loss + LOSS_MARGIN)
        return worse_loss and first.val_accuracy < self.val_accuracy - LOST_ACCURACY

    def warning(self, first: EpochResult, phase: Phase, name: str, rate: float, next_rate: float | None) -> str:
        """What happened in the first epoch of ``phase``, and what is done or to be done about it."""
        setting = f"train.{name.replace('-', '_')}"
        happened = (
            f"the first epoch of {name} at learning rate {rate:.2g} made the network worse: validation accuracy "
            f"{self.val_accuracy:.3f} before, {first.val_accuracy:.3f} after (loss {self.val_loss:.3f}, "
            f"{first.val_loss:.3f})"
        )
        if next_rate is not None:
            return f"{happened}; starting {name} again at learning rate {next_rate:.2g}"
        remedies = [f"lower {setting}.learning_rate"]
        if isinstance(phase, FineTuning) and not phase.last_stage:
            remedies.append(f"train fewer layers ({setting}.last_stage: true)")
        if phase.warmup_epochs < MOST_WARMUP:
            remedies.append(f"use a longer warm-up ({setting}.warmup_epochs: {max(1, round(2 * phase.warmup_epochs))})")
        *others, last = remedies
        return f"{happened}. If it does not recover, {' or '.join([', '.join(others), last] if others else [last])}"


def lower_rates(phase: Phase, before: PhaseEnd | None) -> list[float]:
    """The learning rates to try, in order, if that of the phase does harm in its first epoch."""
    if before is None or not isinstance(phase, FineTuning) or not phase.check_learning_rate:
        return []
    return [phase.learning_rate / 3**attempt for attempt in range(1, ATTEMPTS)]
