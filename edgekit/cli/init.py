"""``edgekit init``: write a first recipe for a folder of images."""

from __future__ import annotations

import shlex
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edgekit.cli.options import JsonOption, LabelsFromOption, QuietOption
from edgekit.cli.output import Output, class_rows, table

if TYPE_CHECKING:
    from edgekit.documents.images import SuggestionDocument


def init(
    data: Annotated[Path, typer.Argument(help="Folder of labelled images.", metavar="DATA", show_default=False)],
    output: Annotated[Path, typer.Option("--output", "-o", help="Recipe file to write.", metavar="FILE")] = Path(
        "recipe.yaml"
    ),
    labels_from: LabelsFromOption = None,
    force: Annotated[bool, typer.Option("--force", help="Overwrite the file if it exists.")] = False,
    json_mode: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Inspect an image folder and write a commented recipe for it.

    DATA contains one folder per class, or train, val and test folders with class folders inside; usual variants of both
    are recognised, and --labels-from takes labels from file names or a CSV file. The recipe describes
    the images and suggests settings, with a reason for each. Edit it, then train.

    Example: edgekit init photos -o photos.yaml && edgekit train photos.yaml
    """
    out = Output(json_mode=json_mode, quiet=quiet)
    from edgekit.data.recipe_suggestion import write_recipe

    document = write_recipe(data, output, overwrite=force, labels_from=labels_from or "auto", progress=out)
    out.result(document.to_dict(), _text(document))


def _text(document: SuggestionDocument) -> str:
    dataset, counts = document.dataset, document.dataset.counts
    splits = list(counts)
    rows = class_rows(counts, dataset.classes)
    smallest, median, largest = dataset.short_side_pixels
    settings = ", ".join(f"{key} {value}" for key, value in document.suggested)
    return "\n".join(
        [
            table(["class", *splits], rows, right=range(1, len(splits) + 1)),
            "",
            _wrapped("layout", dataset.layout),
            f"short side  {smallest} to {largest} pixels, median {median}",
            _wrapped("suggested", settings),
            f"written     {document.recipe}",
            "",
            f"next: edgekit train {shlex.quote(document.recipe)}",
        ]
    )


def _wrapped(label: str, text: str) -> str:
    return textwrap.fill(f"{label:12}{text}", width=79, subsequent_indent=" " * 12, break_long_words=False)
