"""Turns what a caller passes (a recipe, a file, a name, single options) into a recipe."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from edgekit.recipe.reading import apply_settings, load_recipe, validate
from edgekit.recipe.recipe import Recipe


def training_settings(
    *,
    data: str | Path | None = None,
    backbone: str | None = None,
    strategy: str | None = None,
    weights: str | None = None,
    image_size: int | None = None,
    epochs: int | None = None,
    batch_size: int | None = None,
    seed: int | None = None,
) -> dict[str, object]:
    """The common options of a training as recipe settings by dotted key; None leaves a setting as it is."""
    changes: dict[str, object] = {}
    if data is not None:
        changes |= {"data.path": str(data), "data.name": None}
    options = {
        "model.backbone": backbone,
        "model.weights": weights,
        "train.strategy": strategy,
        "data.image_size": image_size,
        "train.batch_size": batch_size,
        "train.seed": seed,
    }
    changes |= {key: value for key, value in options.items() if value is not None}
    if weights == "none" and strategy is None:
        changes["train.strategy"] = "from-scratch"
    if epochs is not None:
        changes |= {f"train.{phase}.epochs": epochs for phase in ("feature_extraction", "fine_tuning", "from_scratch")}
    return changes


def resolve_recipe(recipe: Recipe | str | Path | None, settings: Mapping[str, object] | None = None) -> Recipe:
    """A recipe, or the one in a file or of a shipped name, with ``settings`` applied; :class:`InputError` otherwise."""
    if not isinstance(recipe, Recipe):
        return load_recipe(recipe, settings)
    document = recipe.document()
    apply_settings(document, settings or {})
    return validate(document, recipe.name)
