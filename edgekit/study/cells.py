"""The cells of a study: which runs a recipe asks for, each with its complete recipe."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import product
from pathlib import Path

from edgekit.documents.study import CellRecord, CellStatus
from edgekit.errors import InputError
from edgekit.recipe import Recipe, apply_settings, assign, validate
from edgekit.registry import BACKBONES, get_backbone
from edgekit.study.budget import budget_settings

MOST_CELLS = 5_000


@dataclass(frozen=True)
class Cell:
    """One run of a study. ``run`` is its folder, relative to the study folder; ``recipe`` is complete."""

    run: str
    backbone: str
    strategy: str
    seed: int
    recipe: Recipe
    arm: str | None = None
    after: str | None = None
    """The run that has to be trained first: the feature extraction that a fine-tuning starts from."""
    status: CellStatus = "waiting"
    error: str | None = None
    attempts: int = 0
    """How often it failed during this command."""
    seconds: float | None = None
    """Wall-clock time of its training."""
    added_later: bool = False
    """Whether the study had results before this cell was added."""

    @property
    def name(self) -> str:
        """The name of its run folder: ``mobilenetv2-fine-tuning-mixed-s0``."""
        return Path(self.run).name

    @property
    def title(self) -> str:
        """``mobilenetv2, fine-tuning, mixed, seed 0``."""
        return ", ".join([self.backbone, self.strategy, *([] if self.arm is None else [self.arm]), f"seed {self.seed}"])

    @property
    def is_trained(self) -> bool:
        """Whether its training has finished."""
        return self.status in ("trained", "exported")

    def record(self) -> CellRecord:
        """The cell as ``study.json`` stores it."""
        return CellRecord(
            run=self.run,
            backbone=self.backbone,
            strategy=self.strategy,
            seed=self.seed,
            arm=self.arm,
            status=self.status,
            error=self.error,
            seconds=self.seconds,
            added_later=self.added_later,
        )


def plan_cells(recipe: Recipe, study: Path) -> list[Cell]:
    """Every combination of the recipe's backbones, strategies, arms and seeds, feature extraction before fine-tuning.

    Fine-tuning starts from the feature extraction of the same backbone, arm and seed where the study has one. The
    settings of an arm override those of a backbone. Raises :class:`InputError` if a combination is impossible.
    """
    compare = recipe.compare
    backbones = compare.backbones or [recipe.model.backbone]
    strategies = sorted(compare.strategies or [recipe.train.strategy], key=lambda s: s != "feature-extraction")
    seeds = compare.seeds or [recipe.train.seed]
    # Overrides of a backbone that this study leaves out are allowed: the study may be narrowed with --set.
    unknown = sorted(set(compare.overrides) - {*backbones, *BACKBONES})
    if unknown:
        raise InputError(
            f"compare.overrides has settings for unknown backbones: {', '.join(unknown)}",
            where=recipe.name,
            hint=f"the study's backbones are: {', '.join(backbones)}",
        )
    slugs = [get_backbone(name).slug for name in backbones]
    if twice := next((name for name, slug in zip(backbones, slugs) if slugs.count(slug) > 1), None):
        raise InputError(
            f"two backbones of the study have the same name: {get_backbone(twice).name}",
            where=recipe.name,
            hint="list each backbone once, and rename files so that their names differ",
        )
    cells = []
    arms: list[str | None] = list(compare.arms) or [None]
    count = len(seeds) * len(backbones) * len(strategies) * len(arms)
    if count > MOST_CELLS:
        raise InputError(
            f"this study would have {count:,} cells, and a study may have {MOST_CELLS:,}",
            where=recipe.name,
            hint="compare fewer seeds, backbones, strategies or arms at a time",
        )
    wanted = {(get_backbone(backbone).name, arm) for backbone, arm in compare.pairs}
    for seed, backbone, strategy, arm in product(seeds, backbones, strategies, arms):
        if wanted and (get_backbone(backbone).name, arm) not in wanted:
            continue
        name = _run_name(backbone, strategy, arm, seed)
        own: dict[str, object] = {
            "arm": arm,
            "model.backbone": backbone,
            "train.strategy": strategy,
            "train.seed": seed,
        }
        after = None
        if strategy == "fine-tuning" and "feature-extraction" in strategies:
            after = f"runs/{_run_name(backbone, 'feature-extraction', arm, seed)}"
            own["train.start_from"] = str(study.absolute() / after)
        settings = (compare.overrides.get(backbone, {}), compare.arms.get(arm or "", {}), own)
        complete = _cell_recipe(recipe, settings, name)
        cells.append(Cell(f"runs/{name}", get_backbone(backbone).name, strategy, seed, complete, arm, after))
    return cells


def _cell_recipe(recipe: Recipe, settings: Iterable[Mapping[str, object]], name: str) -> Recipe:
    """The study's recipe with the settings of one cell, each group overriding those before it, and its budget."""
    document = recipe.document()
    document["compare"] = {}
    for group in settings:
        apply_settings(document, group)
    origin = f"{recipe.name}, cell {name}"
    budget = budget_settings(recipe, validate(document, origin))
    for key, value in budget.items():
        assign(document, key, value)
    return validate(document, origin)


def _run_name(backbone: str, strategy: str, arm: str | None, seed: int) -> str:
    return "-".join([get_backbone(backbone).slug, strategy, *([] if arm is None else [arm]), f"s{seed}"])
