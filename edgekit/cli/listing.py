"""``edgekit list``."""

from __future__ import annotations

import math
from collections.abc import Callable
from enum import Enum
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from edgekit.cli.options import JsonOption, QuietOption
from edgekit.cli.output import Output, table
from edgekit.errors import InputError
from edgekit.registry import BACKBONES, IMPORTED, RUNTIMES, SCHEMES, get_backbone

if TYPE_CHECKING:
    from edgekit.published import PublishedFigure

Entry = dict[str, str | int | float | bool]


class Rows(NamedTuple):
    """A table: its headers, its entries as the JSON document has them, and the indices of right-aligned columns.

    ``cells`` is the text of the table where it is not simply every value of the entries.
    """

    headers: list[str]
    entries: list[Entry]
    right: tuple[int, ...] = ()
    cells: list[list[str]] | None = None


class Table(str, Enum):
    """What can be listed."""

    backbones = "backbones"
    recipes = "recipes"
    formats = "formats"
    runtimes = "runtimes"
    published = "published"


def list_tables(
    what: Annotated[
        Table,
        typer.Argument(help="backbones, recipes, formats, runtimes or published.", metavar="WHAT", show_default=False),
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
    backbone: Annotated[
        str | None,
        typer.Option(
            "--backbone",
            help="With published: only the figures of backbone NAME.",
            metavar="NAME",
            show_default=False,
        ),
    ] = None,
    json_mode: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """List the backbones, recipes, export formats and runtimes that edgekit supports, or published figures.

    For each backbone: its parameters and multiply-accumulates (224x224) in millions, its size in fp32, all without the
    top; the ImageNet accuracy that Keras publishes; the smallest image size; and the percentage of test images that its
    TFLite int8 file classifies like the Keras model, trained on the embedded digits and on 400 brain MRI images
    (docs/results/backbones.md).

    "published" lists latencies and accuracies that others have published for the backbones. The
    JSON document also says which conditions a source does not state.

    Example: edgekit list published --backbone mobilenetv2
    """
    out = Output(json_mode=json_mode, quiet=quiet)
    _check_options(what, layers, backbone)
    if layers is not None:
        rows = _layers(layers)
    elif what is Table.published:
        rows = _published(backbone)
    else:
        rows = _TABLES[what]()
    cells = rows.cells or [[_text(value) for value in entry.values()] for entry in rows.entries]
    out.result(
        {"schema_version": 1, what.value if layers is None else "layers": rows.entries},
        table(rows.headers, cells, right=rows.right),
    )


def _check_options(what: Table, layers: str | None, backbone: str | None) -> None:
    """Raises :class:`InputError` for an option that belongs to another table."""
    for option, value, table_of in (("--layers", layers, Table.backbones), ("--backbone", backbone, Table.published)):
        if value is not None and what is not table_of:
            raise InputError(
                f"{option} has no meaning for {what.value}", hint=f"use: edgekit list {table_of.value} {option} {value}"
            )


def _text(value: object) -> str:
    return ("yes" if value else "no") if isinstance(value, bool) else str(value)


def _backbones() -> Rows:
    entries: list[Entry] = [
        {
            "name": b.name,
            "parameters": f"{b.parameters:,}",
            "macs": b.macs,
            "size_mb": round(b.size_mb, 1),
            "imagenet_top1": b.imagenet_top1 or 0.0,
            "min_image_size": b.min_image_size,
            "alphas": " ".join(map(str, b.alphas)) or "-",
            "int8_agreement_digits": b.int8_agreement[0] if b.int8_agreement else "-",
            "int8_agreement_brain_mri": b.int8_agreement[1] if b.int8_agreement else "-",
        }
        for b in BACKBONES.values()
    ]
    cells = [
        [
            b.name,
            f"{b.parameters / 1e6:.1f}",
            f"{b.macs / 1e6:,.0f}",
            f"{b.size_mb:.1f}",
            str(b.imagenet_top1),
            str(b.min_image_size),
            "yes" if b.alphas else "-",
            "/".join(f"{share:.0f}" for share in b.int8_agreement or ()) or "-",
        ]
        for b in BACKBONES.values()
    ]
    headers = ["name", "M params", "M MACs", "MB", "top-1 %", "min px", "alpha", "int8 %"]
    return Rows(headers, entries, (1, 2, 3, 4, 5, 7), cells)


def _layers(name: str) -> Rows:
    if name == IMPORTED:
        raise InputError("an imported model is not a backbone", hint="its layers are in model.keras of its run folder")
    get_backbone(name)  # an unknown name is refused before Keras is imported
    from edgekit.recipe import Model
    from edgekit.train.backend import prepare_backend

    prepare_backend("cpu")
    from edgekit.train.network import block_of, outline

    names, last_stage = outline(Model(backbone=name, weights="none"))
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
        {"name": r.name, "formats": ", ".join(r.formats), "package": r.distribution, "summary": r.summary}
        for r in RUNTIMES.values()
    ]
    return Rows(["runtime", "runs", "package", "description"], entries)


def _published(name: str | None) -> Rows:
    from edgekit.published import published_figures

    figures = published_figures(None if name is None else [get_backbone(name).name])
    entries: list[Entry] = [
        {
            "backbone": figure.backbone,
            "quantity": figure.quantity,
            "value": figure.value,
            "precision": figure.precision,
            "device": figure.device,
            "threads": figure.threads,
            "runtime": figure.runtime,
            "method": figure.method,
            "not_stated": "; ".join(figure.not_stated),
            "source": figure.source,
        }
        for figure in figures
    ]
    cells = [[f.backbone, _figure_text(f), f.precision, f.device, f.threads, f.runtime] for f in figures]
    return Rows(["backbone", "figure", "precision", "device", "threads", "runtime"], entries, (1,), cells)


def _figure_text(figure: PublishedFigure) -> str:
    return f"{figure.value:g} ms" if figure.quantity == "latency_ms" else f"{figure.value:g} %"


_TABLES: dict[Table, Callable[[], Rows]] = {
    Table.backbones: _backbones,
    Table.recipes: _recipes,
    Table.formats: _formats,
    Table.runtimes: _runtimes,
}
