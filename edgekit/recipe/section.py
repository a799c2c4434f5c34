"""What every section of a recipe shares: the base class and common types."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from edgekit.registry import backbone_problem
from edgekit.support.suggestions import unknown_name

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
