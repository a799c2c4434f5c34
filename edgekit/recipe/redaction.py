"""Removes the folders of this machine from a recipe, so that a shared study or report does not reveal them."""

from __future__ import annotations

from pathlib import PurePath, PureWindowsPath

from edgekit.recipe.recipe import Recipe


def redact_paths(recipe: Recipe) -> Recipe:
    """``recipe`` with only the last part of absolute paths: ``/home/ann/photos`` becomes ``photos``.

    Relative paths do not change: they are the same on every machine that has the files.
    """
    data, model, train = recipe.data, recipe.model, recipe.train
    return recipe.model_copy(
        update={
            "data": data.model_copy(update={"path": data.path and redact_path(data.path)}),
            "model": model.model_copy(update={"weights": redact_path(model.weights)}),
            "train": train.model_copy(update={"start_from": train.start_from and redact_path(train.start_from)}),
        }
    )


def redact_path(path: str) -> str:
    """``path`` if it is relative, otherwise its last part."""
    if path.startswith("~") or PurePath(path).is_absolute():
        return PurePath(path).name
    return PureWindowsPath(path).name if PureWindowsPath(path).is_absolute() else path
