"""``edgekit import``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from edgekit.cli.options import JsonOption, QuietOption, set_option
from edgekit.cli.output import Output


def import_model(
    model: Annotated[
        Path,
        typer.Argument(help=".keras or .h5 file, or SavedModel folder.", metavar="MODEL", show_default=False),
    ],
    data: Annotated[
        Path,
        typer.Option("--data", help="Folder of labelled images of its classes.", metavar="DIR", show_default=False),
    ],
    scaling: Annotated[
        str | None,
        typer.Option(
            "--scaling",
            help="Scaling that the model was trained with: none (0-255, or inside the model), unit [0, 1], "
            "symmetric [-1, 1], imagenet, caffe, or MEAN,STD. Without it, edgekit tries them and proposes one.",
            metavar="NAME",
            show_default=False,
        ),
    ] = None,
    labels: Annotated[
        Path | None,
        typer.Option(
            "--labels",
            help="File with the class names in the model's order (default: the image folders from A to Z).",
            metavar="FILE",
            show_default=False,
        ),
    ] = None,
    name: Annotated[
        str | None,
        typer.Option("--name", help="Name of the model in reports (default: that of the file).", metavar="NAME"),
    ] = None,
    resize: Annotated[
        str | None,
        typer.Option("--resize", help="How images become square: stretch (default), crop or pad.", metavar="NAME"),
    ] = None,
    image_size: Annotated[
        int | None,
        typer.Option(
            "--image-size", help="Side of the images, for a model that takes any size.", metavar="N", show_default=False
        ),
    ] = None,
    run: Annotated[
        Path | None,
        typer.Option(
            "--run", help="Run folder to create (default: a new one in runs/)", metavar="DIR", show_default=False
        ),
    ] = None,
    settings: Annotated[list[str] | None, set_option("data.split.test=0.3")] = None,
    check: Annotated[
        bool,
        typer.Option(
            "--check/--no-check",
            help="Refuse a scaling or an order of labels that another one clearly beats.",
        ),
    ] = True,
    json_mode: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Import a Keras classifier that was trained elsewhere: it becomes a run folder.

    Afterwards, export, bench, report, verify and deploy work as for a run that edgekit trained. The model keeps its
    weights. Its scaling becomes a part of the network, so that exported files take RGB pixels (0-255).

    edgekit runs no code from the file: a model with Lambda layers or layers of your own is refused, and they are
    named. Files of Keras 2 open too, such as keras_model.h5 of Teachable Machine. A model that ends without an
    activation gets a softmax; one sigmoid output becomes two classes.

    If you do not give --scaling, edgekit tries every scaling on labelled images and ends with exit code 2, the accuracy
    of each, and the command to run. A scaling, or an order of the labels, that another one clearly beats is refused
    with exit code 3.

    \b
    Examples:
      edgekit import model.keras --data photos
      edgekit import model.keras --data photos --scaling unit --labels labels.txt
      edgekit import keras_model.h5 --data photos --scaling symmetric
    """
    from edgekit.api import folder_of
    from edgekit.api import import_model as make_run
    from edgekit.cli.train import summary
    from edgekit.documents.folders import RunFolder
    from edgekit.recipe import parse_setting

    out = Output(json_mode=json_mode, quiet=quiet)
    document = make_run(
        model,
        data=data,
        scaling=scaling,
        labels=labels,
        name=name,
        resize=resize,
        image_size=image_size,
        settings=dict(parse_setting(text) for text in settings or []),
        run=run,
        check=check,
        progress=out,
    )
    folder = RunFolder(folder_of(document))
    out.result(
        {**document.to_dict(), "run_dir": str(folder.path), "scaling": document.imported and document.imported.scaling},
        summary(document, folder),
    )
