"""How exported files are benchmarked, and on which corrupted images a study evaluates its models."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, field_validator

from edgekit.recipe.section import MOST, Count, Section, Seed, ThreadCount, known_corruptions


class Bench(Section):
    """How exported files are benchmarked."""

    protocol: Literal["quick", "standard", "full"] = "standard"
    """How many runs are measured: ``quick`` takes seconds per file, ``full`` minutes."""
    threads: Annotated[list[ThreadCount], Field(min_length=1, max_length=20)] = [1, 0]
    """Thread counts to measure with (0 or more). 0 uses all cores."""
    images: Count | None = None
    """Upper limit on the test images used to measure accuracy (at least 1; a seeded, stratified choice). ``null`` uses
    all."""


class Robustness(Section):
    """Corrupted test images that ``edgekit compare`` evaluates every model on, like ``evaluate --corruptions``."""

    corruptions: Annotated[list[str], Field(max_length=100)] = []
    """Names of corruptions or of groups of them. An empty list evaluates none."""
    severities: Annotated[list[Annotated[int, Field(ge=1, le=5)]], Field(min_length=1, max_length=5)] = [1, 2, 3, 4, 5]
    """Severities of the corruptions (1 to 5)."""
    seed: Seed = 0
    """Seed of the random parts of corruptions (0 to 2**31 - 1)."""
    images: Annotated[int, Field(ge=2, le=MOST)] | None = None
    """Upper limit on the number of test images (at least 2; a seeded, stratified choice). ``null`` uses all."""

    @field_validator("corruptions")
    @classmethod
    def _known_corruptions(cls, value: list[str]) -> list[str]:
        return known_corruptions(value)
