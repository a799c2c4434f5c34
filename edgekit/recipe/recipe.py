"""The whole recipe, and what its parts ask of each other."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import model_validator

from edgekit.recipe.data import Data
from edgekit.recipe.export import Export
from edgekit.recipe.measure import Bench, Robustness
from edgekit.recipe.model import Model
from edgekit.recipe.section import Section
from edgekit.recipe.study import Claim, Compare, Constraint, Reported
from edgekit.recipe.train import Train
from edgekit.registry import get_backbone


class Recipe(Section):
    """A whole recipe; every section has defaults, only the images must be named."""

    schema_version: Literal[1] = 1
    name: str = "recipe"
    description: str = ""
    arm: str | None = None
    """Of the study this recipe is a cell of; set by ``compare``."""
    data: Data = Data()
    model: Model = Model()
    train: Train = Train()
    export: Export = Export()
    bench: Bench = Bench()
    robustness: Robustness = Robustness()
    compare: Compare = Compare()
    reported: list[Reported] = []
    claims: list[Claim] = []
    constraints: list[Constraint] = []

    @model_validator(mode="after")
    def _fits_together(self) -> Recipe:
        backbone = get_backbone(self.model.backbone)
        if self.data.image_size < backbone.min_image_size:
            raise ValueError(
                f"data.image_size {self.data.image_size} is below the {backbone.min_image_size} "
                f"that {backbone.title} needs"
            )
        if self.data.path is not None and self.data.name is not None:
            raise ValueError("data.path and data.name exclude each other: give one")
        if self.train.start_from is not None and self.train.strategy != "fine-tuning":
            raise ValueError("train.start_from belongs to train.strategy fine-tuning")
        if self.train.strategy == "from-scratch" and self.model.weights != "none":
            raise ValueError("train.strategy from-scratch needs model.weights: none")
        return self

    def document(self) -> dict[str, Any]:
        """The recipe as plain JSON-ready values, every default written out."""
        return self.model_dump(mode="json")
