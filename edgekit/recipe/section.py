"""What every section of a recipe is made of."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

Fraction = Annotated[float, Field(ge=0.0, lt=1.0)]
Strategy = Literal["feature-extraction", "fine-tuning", "from-scratch"]
StageName = Literal["feature-extraction", "fine-tuning", "from-scratch"]
"""Each strategy ends with the stage of its name; ``fine-tuning`` begins with ``feature-extraction``."""


class Section(BaseModel):
    """A part of a recipe: immutable, strictly typed, no unknown keys."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


def unknown_name(kind: str, value: str, choices: Sequence[str]) -> str:
    """The sentence for a name that is not in a table, with the nearest that is."""
    close = difflib.get_close_matches(value, choices, n=1)
    guess = f"; did you mean {close[0]!r}?" if close else ""
    return f"no {kind} is called {value!r}{guess} (choices: {', '.join(choices)})"


def known_corruptions(names: list[str]) -> list[str]:
    """The names, which are of corruptions or of groups of them; :class:`ValueError` for another."""
    from edgekit.device.corruptions import CORRUPTIONS, GROUPS

    for name in names:
        if name not in CORRUPTIONS and name not in GROUPS:
            raise ValueError(unknown_name("corruption", name, [*GROUPS, *CORRUPTIONS]))
    return names
