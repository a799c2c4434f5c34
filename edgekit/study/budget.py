"""The training budget of every cell of a study: equal epochs, equal time, or equal computation."""

from __future__ import annotations

from edgekit.errors import InputError
from edgekit.recipe import Phase, Recipe
from edgekit.registry import get_backbone


def budget_settings(study: Recipe, cell: Recipe) -> dict[str, float]:
    """The training settings that the budget of ``study`` adds to the recipe of ``cell``, by dotted key.

    ``epochs``: none. ``seconds``: a limit on the training time. ``compute``: epochs in inverse proportion to the
    multiply-accumulates of one image, so that the reference backbone keeps the recipe's epochs. Raises
    :class:`InputError` if the reference is not among the backbones, or the cell has a width other than 1.
    """
    budget = study.compare.budget
    if budget.equal == "seconds" and budget.seconds is not None:
        return {"train.max_seconds": budget.seconds}
    if budget.equal != "compute":
        return {}
    backbones = study.compare.backbones or [study.model.backbone]
    reference = budget.reference or max(backbones, key=lambda name: get_backbone(name).macs)
    if reference not in backbones:
        raise InputError(
            f"compare.budget.reference is {reference}, which is not one of the study's backbones",
            where=study.name,
            hint=f"choose one of: {', '.join(backbones)}",
        )
    if cell.model.alpha != 1.0:
        raise InputError(
            "compare.budget.equal: compute supports model.alpha 1.0 only",
            where=study.name,
            hint="use equal: seconds",
        )
    unknown = [name for name in {reference, cell.model.backbone} if not get_backbone(name).macs]
    if unknown:
        raise InputError(
            f"compare.budget.equal: compute needs the multiply-accumulates of {unknown[0]}, which are not in the table "
            "of backbones",
            where=study.name,
            hint="use equal: seconds",
        )
    factor = get_backbone(reference).macs / get_backbone(cell.model.backbone).macs
    phases: dict[str, Phase] = {
        "feature_extraction": cell.train.feature_extraction,
        "fine_tuning": cell.train.fine_tuning,
        "from_scratch": cell.train.from_scratch,
    }
    return {f"train.{name}.epochs": max(1, round(phase.epochs * factor)) for name, phase in phases.items()}
