"""The limits of a search: those that were given, or the only constraint of the recipe."""

from __future__ import annotations

import math
from collections.abc import Mapping

from edgekit.errors import InputError
from edgekit.recipe import Constraint, Recipe, constraint_of


def search_limits(recipe: Recipe, given: Mapping[str, float]) -> Constraint:
    """``given`` are named as in :func:`edgekit.recipe.constraint_of`. Raises :class:`InputError` if there are none."""
    for name, value in given.items():
        if not math.isfinite(value) or value < 0 or (value == 0 and name != "points_lost"):
            at_least = "0 or more" if name == "points_lost" else "above 0"
            raise InputError(f"--{'' if name == 'threads' else 'max-'}{name.replace('_', '-')} must be {at_least}")
    if set(given) - {"threads"}:
        return constraint_of(given)
    if len(recipe.constraints) == 1:
        threads = {"threads": int(given["threads"])} if given else {}
        return recipe.constraints[0].model_copy(update=threads)
    raise InputError(
        "a search needs limits",
        where=recipe.name,
        hint="pass --max-latency-ms, --max-size-mb or --max-points-lost, or write one constraint into the recipe",
    )
