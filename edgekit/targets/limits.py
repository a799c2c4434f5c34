"""How much a device may send, and how long it may be silent, before edgekit stops listening."""

from __future__ import annotations

from dataclasses import dataclass

STDERR_BYTES = 16 << 20
"""Error messages of one command. Only the end of them is kept."""
STDERR_TAIL_BYTES = 1 << 16
NOISE_BYTES = 1 << 20
"""Lines that are no answers, such as the output of a login script."""
LOG_BYTES = 1 << 20
"""What ssh itself may write about one command."""


@dataclass(frozen=True)
class Limits:
    """Each is a key of a target in targets.toml."""

    max_line_mb: int = 16
    """The longest answer. The longest real ones hold the predictions for 32 images."""
    max_job_mb: int = 4096
    """All answers to one job."""
    silence_s: int = 120
    """Without any sign of life, the connection counts as broken. The device gives one every 15 seconds."""
    job_silence_s: int = 14400
    """Without an event of the job, though the device is there, the job counts as stuck. A slow device may need
    an hour for one block of a large model."""

    @property
    def line_bytes(self) -> int:
        return self.max_line_mb << 20

    @property
    def job_bytes(self) -> int:
        return self.max_job_mb << 20
