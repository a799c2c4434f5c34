"""What every section of a recipe shares: the base class and common types."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from edgekit.registry import backbone_problem
from edgekit.support.suggestions import unknown_name

MOST = 1_000_000
"""Largest number of epochs, images, steps and the like. Larger ones are typing errors."""

MOST_THREADS = 1024

Count = Annotated[int, Field(ge=1, le=MOST)]
Seed = Annotated[int, Field(ge=0, lt=2**31)]
ThreadCount = Annotated[int, Field(ge=0, le=MOST_THREADS)]
"""0 stands for all cores."""


def _usable_path(value: str) -> str:
    if not value or "\0" in value:
        raise ValueError("a path cannot be empty or contain a null character")
    return value


PathText = Annotated[str, AfterValidator(_usable_path)]
"""The path of a file or folder, which may be missing."""
Fraction = Annotated[float, Field(ge=0.0, lt=1.0)]
Probability = Annotated[float, Field(ge=0.0, le=1.0)]
Strategy = Literal["feature-extraction", "fine-tuning", "from-scratch"]
PhaseName = Literal["feature-extraction", "fine-tuning", "from-scratch"]
"""Each strategy ends with the training phase of the same name; ``fine-tuning`` starts with ``feature-extraction``."""


class Section(BaseModel):
    """A section of a recipe: immutable and strictly typed. Unknown keys are errors."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, strict=True, allow_inf_nan=False, use_attribute_docstrings=True
    )


def known_name(kind: str, value: str, choices: Iterable[str]) -> str:
    """``value``, if it is one of ``choices``; raises :class:`ValueError` with the closest choice otherwise."""
    names = list(choices)
    if value not in names:
        raise ValueError(unknown_name(kind, value, names))
    return value


def known_backbone(value: str) -> str:
    """``value``, if it names a backbone; raises :class:`ValueError` with the closest choice otherwise."""
    problem = backbone_problem(value)
    if problem is not None:
        raise ValueError(problem)
    return value


def known_corruptions(names: list[str]) -> list[str]:
    """``names``, if each is a corruption or a group of them; raises :class:`ValueError` otherwise."""
    from edgekit.device.corruptions import CORRUPTIONS, GROUPS

    return [known_name("corruption", name, [*GROUPS, *CORRUPTIONS]) for name in names]
