"""What every cell of a study may spend on training: the same epochs, the same time, or the same computation."""

from __future__ import annotations

from typing import Any

from edgekit.errors import InputError
from edgekit.recipe import Recipe, assign
from edgekit.registry import get_backbone

STAGES = ("feature_extraction", "fine_tuning", "from_scratch")


def apply_budget(recipe: Recipe, backbone: str, document: dict[str, Any]) -> None:
    """Write what the recipe's budget means for ``backbone`` into the recipe document of its cell.

    ``epochs``: nothing to do. ``seconds``: a limit on the training time. ``compute``: epochs in inverse proportion to
    the multiply-accumulates of one image, so that the reference backbone has the recipe's epochs. Raises
    :class:`InputError` where the reference is not among the backbones, or a width was chosen.
    """
    budget = recipe.compare.budget
    if budget.equal == "seconds":
        assign(document, "train.max_seconds", budget.seconds)
    if budget.equal != "compute":
        return
    backbones = recipe.compare.backbones or [recipe.model.backbone]
    reference = budget.reference or max(backbones, key=lambda name: get_backbone(name).macs)
    if reference not in backbones:
        raise InputError(
            f"compare.budget.reference names {reference}, not among the backbones of this study",
            where=recipe.name,
            hint=f"the study's backbones: {', '.join(backbones)}",
        )
    if document["model"]["alpha"] != 1.0:
        raise InputError("equal compute is known for alpha 1.0 only", where=recipe.name, hint="give equal: seconds")
    factor = get_backbone(reference).macs / get_backbone(backbone).macs
    for stage in STAGES:
        epochs = document["train"][stage]["epochs"]
        assign(document, f"train.{stage}.epochs", max(1, round(epochs * factor)))
