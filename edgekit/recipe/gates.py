"""How much worse than a saved baseline a model may get: the limits of ``edgekit gate``."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from edgekit.recipe.section import Section

Points = Annotated[float, Field(ge=0, le=100)]
Percent = Annotated[float, Field(ge=0, le=1000)]


class Gates(Section):
    """How much worse than its baseline an exported file may be (``edgekit gate``). ``null`` switches a limit off.

    ``edgekit gate save`` stores the limits with the baseline, so that a later recipe does not loosen them by itself.
    """

    max_accuracy_drop: Points | None = 1.0
    """Points of accuracy that a file may lose on the test images (0 to 100)."""
    max_class_drop: Points | None = 10.0
    """Points of accuracy that a single class may lose (0 to 100; at least ``max_accuracy_drop`` applies)."""
    min_agreement: Points | None = 90.0
    """Percentage of the test images for which a file must predict the same class as the baseline (0 to 100), unless
    ``max_accuracy_drop`` allows that more predictions change. Networks that were trained again often agree less."""
    max_size_increase: Percent | None = 5.0
    """By how many percent the file may grow (0 to 1000)."""
    max_memory_increase: Percent | None = 10.0
    """By how many percent the memory that loading and running the file takes may grow (0 to 1000)."""
    max_latency_increase: Percent | None = 5.0
    """By how many percent the median latency may grow (0 to 1000)."""
    max_energy_increase: Percent | None = 10.0
    """By how many percent the energy of one run may grow, on targets that measure it (0 to 1000)."""
