"""``edgekit list``."""

from __future__ import annotations

import math
from collections.abc import Callable
from enum import Enum
from typing import Annotated, NamedTuple

import typer

from edgekit.cli.options import JsonOption, QuietOption
from edgekit.cli.output import Output, table
from edgekit.registry import BACKBONES, RUNTIMES, SCHEMES, get_backbone

Entry = dict[str, str | int | float | bool]


class Rows(NamedTuple):
    """A table: its headers, its entries as the JSON document has them, and the indices of right-aligned columns."""

    headers: list[str]
    entries: list[Entry]
    right: tuple[int, ...] = ()


class Table(str, Enum):
    """What can be listed."""

    backbones = "backbones"
    recipes = "recipes"
    formats = "formats"
    runtimes = "runtimes"


def list_tables(
    what: Annotated[
        Table, typer.Argument(help="backbones, recipes, formats or runtimes.", metavar="WHAT", show_default=False)
    ],
    layers: Annotated[
        str | None,
        typer.Option(
            "--layers",
            help="With backbones: list the layers of backbone NAME, and the fine-tuning setting that starts at each.",
            metavar="NAME",
            show_default=False,
        ),
    ] = None,
    json_mode: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """List the backbones, recipes, export formats or runtimes that edgekit supports.

    Example: edgekit list backbones --layers mobilenetv2
    """
    out = Output(json_mode=json_mode, quiet=quiet)
    headers, entries, right = _layers(layers) if layers is not None else _TABLES[what]()
    cells = [[_text(value) for value in entry.values()] for entry in entries]
    out.result(
        {"schema_version": 1, what.value if layers is None else "layers": entries}, table(headers, cells, right=right)
    )


def _text(value: object) -> str:
    return ("yes" if value else "no") if isinstance(value, bool) else str(value)


def _backbones() -> Rows:
    entries: list[Entry] = [
        {
            "name": b.name,
            "parameters": f"{b.parameters:,}",
            "imagenet_top1": b.imagenet_top1 or 0.0,
            "min_image_size": b.min_image_size,
            "alphas": " ".join(map(str, b.alphas)) or "-",
        }
        for b in BACKBONES.values()
    ]
    return Rows(["name", "parameters", "ImageNet top-1 %", "min side", "alpha"], entries, (1, 2, 3))


def _layers(name: str) -> Rows:
    backbone = get_backbone(name)
    from edgekit.recipe import Model
    from edgekit.train.backend import prepare_backend

    prepare_backend("cpu")
    from edgekit.train.network import block_of, outline

    names, last_stage = outline(Model(backbone=backbone.name, weights="none"))
    entries: list[Entry] = []
    for number, layer in enumerate(names, 1):
        last = len(names) - number + 1
        # Rounded up, so that the fraction shown starts at this layer and not at the one before it.
        fraction = math.ceil(1000 * (last - 1) / len(names) + 1e-9) / 1000
        entries.append(
            {
                "number": number,
                "last": last,
                "fraction": fraction,
                "block": block_of(layer),
                "name": layer,
                "last_stage": number > last_stage,
            }
        )
    headers = ["layer", "last_layers", "fraction", "from_block", "from_layer", "last_stage"]
    return Rows(headers, entries, (0, 1, 2))


def _recipes() -> Rows:
    from edgekit.recipe import load_recipe, shipped_recipes

    entries: list[Entry] = [{"name": name, "description": load_recipe(name).description} for name in shipped_recipes()]
    return Rows(["name", "description"], entries)


def _formats() -> Rows:
    entries: list[Entry] = [
        {"export": s.key, "calibrated": s.calibrated, "summary": s.summary} for s in SCHEMES.values()
    ]
    return Rows(["export", "calib.", "description"], entries)


def _runtimes() -> Rows:
    entries: list[Entry] = [
        {"name": r.name, "format": r.format, "package": r.distribution, "summary": r.summary} for r in RUNTIMES.values()
    ]
    return Rows(["runtime", "runs", "package", "description"], entries)


_TABLES: dict[Table, Callable[[], Rows]] = {
    Table.backbones: _backbones,
    Table.recipes: _recipes,
    Table.formats: _formats,
    Table.runtimes: _runtimes,
}
