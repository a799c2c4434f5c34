"""``edgekit init``: a first recipe for a folder of images."""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import Annotated, Any

import typer

from edgekit.cli.options import JsonOption, QuietOption
from edgekit.cli.output import Output, table


def init(
    data: Annotated[Path, typer.Argument(help="Folder of labelled images.", metavar="DATA", show_default=False)],
    output: Annotated[Path, typer.Option("--output", "-o", help="Where to write the recipe.", metavar="FILE")] = Path(
        "recipe.yaml"
    ),
    force: Annotated[bool, typer.Option("--force", help="Replace the file if it exists.")] = False,
    json_mode: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Look at an image folder and write a commented recipe for it.

    The folder has one folder per class, or train/val/test folders that have them. The recipe tells what was found
    and suggests settings, each with its reason; edit it, then train.

    Example: edgekit init photos -o photos.yaml && edgekit train photos.yaml
    """
    out = Output(json_mode=json_mode, quiet=quiet)
    from edgekit.data.recipe_suggestion import write_recipe

    document = write_recipe(data, output, overwrite=force, progress=out)
    out.result(document, _text(document))


def _text(document: dict[str, Any]) -> str:
    dataset = document["dataset"]
    counts: dict[str, dict[str, int]] = dataset["counts"]
    splits = list(counts)
    rows = [[name, *(f"{counts[split][name]:,}" for split in splits)] for name in dataset["classes"]]
    rows.append(["all", *(f"{sum(counts[split].values()):,}" for split in splits)])
    smallest, median, largest = dataset["short_side_pixels"]
    settings = ", ".join(f"{key} {value}" for key, value in document["suggested"].items())
    return "\n".join(
        [
            table(["class", *splits], rows, right=range(1, len(splits) + 1)),
            "",
            _wrapped("layout", dataset["layout"]),
            f"short side  {smallest} to {largest} pixels, median {median}",
            _wrapped("suggested", settings),
            f"written     {document['recipe']}",
            "",
            f"next: edgekit train {document['recipe']}",
        ]
    )


def _wrapped(label: str, text: str) -> str:
    return textwrap.fill(f"{label:12}{text}", width=79, subsequent_indent=" " * 12, break_long_words=False)
