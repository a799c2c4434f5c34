"""How files are measured, and on which corrupted images."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, field_validator

from edgekit.recipe.section import Section, known_corruptions


class Bench(Section):
    """How the files are measured."""

    protocol: Literal["quick", "standard", "full"] = "standard"
    threads: Annotated[list[Annotated[int, Field(ge=0)]], Field(min_length=1)] = [1, 0]
    """Thread counts to measure with; 0 is all cores."""
    images: Annotated[int, Field(ge=1)] | None = None
    """At most this many test images for accuracy (seeded, stratified choice); ``null``: all."""


class Robustness(Section):
    """Corrupted test images that ``compare`` shows every model of a study, as ``edgekit evaluate --corruptions``."""

    corruptions: list[str] = []
    """Names of corruptions or groups of them; empty: none."""
    severities: Annotated[list[Annotated[int, Field(ge=1, le=5)]], Field(min_length=1)] = [1, 2, 3, 4, 5]
    seed: Annotated[int, Field(ge=0)] = 0
    images: Annotated[int, Field(ge=2)] | None = None
    """At most this many test images (seeded, stratified choice); ``null``: all."""

    @field_validator("corruptions")
    @classmethod
    def _known_corruptions(cls, value: list[str]) -> list[str]:
        return known_corruptions(value)
