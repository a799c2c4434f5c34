"""The whole recipe, and how its sections depend on each other."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from edgekit.recipe.data import Data
from edgekit.recipe.export import Export
from edgekit.recipe.gates import Gates
from edgekit.recipe.measure import Bench, Robustness
from edgekit.recipe.model import Model
from edgekit.recipe.section import Section
from edgekit.recipe.study import Choose, Claim, Compare, Constraint, Reported
from edgekit.recipe.train import Train
from edgekit.registry import get_backbone

MOST_NAME_BYTES = 100


class Recipe(Section):
    """The whole recipe. Every section has defaults; only the images must be named."""

    schema_version: Literal[1] = 1
    """Version of the recipe format."""
    name: str = "recipe"
    """Name of the recipe, used to name run folders and reports: at most 100 characters, no ``/``, no leading dot."""
    description: str = ""
    """One line that says what the recipe is for."""
    arm: str | None = None
    """Arm of the study that this recipe is a cell of. Set by ``edgekit compare``; leave it out."""
    data: Data = Data()
    """The images, and how they are split."""
    model: Model = Model()
    """The network."""
    train: Train = Train()
    """How the network is trained."""
    export: Export = Export()
    """Which files are exported, and how they are checked."""
    bench: Bench = Bench()
    """How exported files are benchmarked."""
    robustness: Robustness = Robustness()
    """Corrupted test images that a study evaluates its models on."""
    compare: Compare = Compare()
    """What a study compares."""
    choose: Choose = Choose()
    """Where ``edgekit choose`` looks for the network to deploy."""
    reported: Annotated[list[Reported], Field(max_length=1000)] = []
    """Published figures that the report shows next to the measured ones."""
    claims: Annotated[list[Claim], Field(max_length=1000)] = []
    """Statements that the report tests against the measurements."""
    constraints: Annotated[list[Constraint], Field(max_length=1000)] = []
    """Limits that a recommended model has to meet."""
    gates: Gates = Gates()
    """How much worse than a saved baseline the exported files may get."""

    @field_validator("name")
    @classmethod
    def _names_a_folder(cls, value: str) -> str:
        if not value.strip() or len(value.encode("utf-8", "replace")) > MOST_NAME_BYTES:
            raise ValueError("name is part of folder names, so it must have 1 to 100 characters")
        if value.startswith(".") or any(c in "/\\" or not c.isprintable() for c in value):
            raise ValueError(
                f"name is part of folder names, so it cannot start with a dot, or contain a slash, a backslash or "
                f"a control character: {value!r}"
            )
        return value

    @model_validator(mode="before")
    @classmethod
    def _random_weights_train_from_scratch(cls, given: Any) -> Any:  # noqa: ANN401 - whatever a file contains
        """Without a strategy, random weights are trained in every layer: none of them are worth freezing."""
        if not isinstance(given, dict):
            return given
        model, train = given.get("model"), given.get("train", {})
        random = isinstance(model, dict) and model.get("weights") == "none"
        if random and isinstance(train, dict) and not {"strategy", "start_from"} & train.keys():
            return {**given, "train": {**train, "strategy": "from-scratch"}}
        return given

    @model_validator(mode="after")
    def _sections_fit_together(self) -> Recipe:
        backbone = get_backbone(self.model.backbone)
        if self.data.image_size < backbone.min_image_size:
            raise ValueError(
                f"data.image_size is {self.data.image_size}, but {backbone.title} needs at least "
                f"{backbone.min_image_size}"
            )
        if self.data.path is not None and self.data.name is not None:
            raise ValueError("data.path and data.name exclude each other; give only one of them")
        if self.train.start_from is not None and self.train.strategy != "fine-tuning":
            raise ValueError("train.start_from requires train.strategy: fine-tuning")
        if self.train.strategy == "from-scratch" and self.model.weights != "none":
            raise ValueError("train.strategy: from-scratch requires model.weights: none")
        return self

    def document(self) -> dict[str, Any]:
        """The recipe as plain JSON values, with every default written out."""
        return self.model_dump(mode="json")
