"""``edgekit corrupt``: make a corrupted copy of an image folder."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from edgekit.cli.options import JsonOption, QuietOption
from edgekit.cli.output import Output, table
from edgekit.errors import InputError


def corrupt(
    data: Annotated[Path, typer.Argument(help="Folder of labelled images.", metavar="DATA", show_default=False)],
    out_folder: Annotated[
        Path, typer.Argument(help="Folder to create. It must not exist.", metavar="OUT", show_default=False)
    ],
    corruption: Annotated[
        str, typer.Option("--corruption", help="Corruption, e.g. deep-water, haze or low-light.", metavar="NAME")
    ] = "deep-water",
    severities: Annotated[
        str, typer.Option("--severities", help="Severities from 1 to 5; each image gets one.", metavar="N,...")
    ] = "1,2,3",
    per_class: Annotated[
        int | None,
        typer.Option(
            "--per-class", min=2, help="Use at most N training images per class.", metavar="N", show_default=False
        ),
    ] = None,
    test_per_class: Annotated[
        int | None,
        typer.Option(
            "--test-per-class", min=1, help="Use at most N test images per class.", metavar="N", show_default=False
        ),
    ] = None,
    seed: Annotated[
        int, typer.Option("--seed", min=0, help="Seed for choosing images, severities and noise.", metavar="N")
    ] = 0,
    json_mode: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Write a corrupted copy of an image folder, for training or for tests on a device.

    OUT contains train and test folders of PNG files at full size, and corrupted.json, which describes how they were
    made. The same images and seed give the same copy on every machine.

    Example: edgekit corrupt photos photos-underwater --per-class 225
    """
    out = Output(json_mode=json_mode, quiet=quiet)
    try:
        levels = [int(part) for part in severities.split(",")]
    except ValueError:
        raise InputError(
            f"severities must be numbers from 1 to 5, not {severities!r}", hint="for example --severities 1,2,3"
        ) from None
    from edgekit.data.corrupted_copy import corrupt_folder

    document = corrupt_folder(
        data,
        out_folder,
        corruption,
        levels,
        seed=seed,
        per_class=per_class,
        test_per_class=test_per_class,
        progress=out,
    )
    counts = document.counts
    rows = [[name, *(f"{counts[split][name]:,}" for split in counts)] for name in counts["train"]]
    shares = ", ".join(f"{count:,} images of severity {level}" for level, count in document.images_by_severity.items())
    text = [
        table(["class", *counts], rows, right=(1, 2)),
        "",
        f"{corruption}: {shares}",
        f"written to {out_folder}",
    ]
    out.result({"folder": str(out_folder), **document.to_dict()}, "\n".join(text))
