"""What ``edgekit diff`` prints: the differences between two reports that noise does not explain."""

from __future__ import annotations

from typing import ClassVar, Literal

from edgekit.documents.base import Document, Part

What = Literal[
    "accuracy", "latency", "size", "memory", "status", "gate", "recommendation", "claim", "setting",
    "only in A", "only in B",
]  # fmt: skip


class Difference(Part):
    """One difference."""

    what: What
    """What differs."""
    subject: str
    """The exported file, the claim or the setting."""
    threads: int | None = None
    """Number of threads of a latency."""
    a: float | str | None = None
    """Value of the first side: accuracy from 0 to 1, milliseconds, bytes, or words."""
    b: float | str | None = None
    """Value of the second side."""
    unit: Literal["points", "percent"] | None = None
    """Unit of ``change``: percentage points of accuracy, or percent of the first side."""
    change: float | None = None
    """Second side minus first."""
    change_ci95: tuple[float, float] | None = None
    """95% interval of ``change``; ``null`` for an exact figure."""
    p_holm: float | None = None
    """p-value of an accuracy, corrected for all accuracies that were compared (Holm)."""
    basis: str = ""
    """What an accuracy was compared on."""


class DiffDocument(Document):
    """Two reports side by side: only what differs beyond noise."""

    VERSION: ClassVar[int] = 1

    a: str
    """The first side."""
    b: str
    """The second side."""
    differences: tuple[Difference, ...]
    """What differs, by what it is about."""
    n_compared: int
    """How many figures were compared, differing or not."""
    not_compared: tuple[str, ...] = ()
    """Figures that cannot be compared, with the reason."""
