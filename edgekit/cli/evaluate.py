"""``edgekit evaluate``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from edgekit.cli.options import DataOption, JsonOption, QuietOption
from edgekit.cli.output import Output


def evaluate(
    run: Annotated[Path, typer.Argument(help="A finished run folder.", show_default=False)],
    data: DataOption = None,
    corruptions: Annotated[
        str | None,
        typer.Option(
            "--corruptions",
            help="Instead: answers to corrupted test images. all, underwater, standard, sensor, or names: haze,jpeg",
            metavar="NAMES",
            show_default=False,
        ),
    ] = None,
    severities: Annotated[
        str, typer.Option("--severities", help="With --corruptions: from 1 to 5.", metavar="1,2,..")
    ] = "1,2,3,4,5",
    models: Annotated[
        str | None,
        typer.Option(
            "--models",
            help="With --corruptions: keras and exports, e.g. keras,tflite-int8. Default: all there are.",
            metavar="NAMES",
            show_default=False,
        ),
    ] = None,
    images: Annotated[
        int | None,
        typer.Option("--images", min=2, help="With --corruptions: at most N test images.", show_default=False),
    ] = None,
    corruption_seed: Annotated[
        int, typer.Option("--corruption-seed", min=0, help="With --corruptions: of noise and directions.")
    ] = 0,
    target: Annotated[
        str, typer.Option("--target", help="With --corruptions: where exported files run.", metavar="NAME")
    ] = "local",
    json_mode: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Score a run's own Keras model again, or see what corrupted images do to it and its exported files.

    Accuracy with its interval, precision, recall and F1 per class, confusion matrix, log loss, calibration error;
    predictions.npz and the figures are written anew. --data says where the images are now, if they have moved.

    --corruptions shows the test images under water, noise, blur, fog and others in five severities, the same to the
    Keras model and to every exported file, and keeps each answer in the run folder. What is there is not done again.

    Example: edgekit evaluate runs/mri --corruptions underwater
    """
    from edgekit.documents.folders import RunFolder

    out = Output(json_mode=json_mode, quiet=quiet)
    folder = RunFolder(run)
    if corruptions is not None:
        from edgekit.cli.corruptions import evaluate_corrupted
        from edgekit.documents.corruptions import parse_plan

        plan = parse_plan(corruptions, severities, corruption_seed, images)
        evaluate_corrupted(folder, plan, models, target, data, out)
        return
    from edgekit.cli.train import summary
    from edgekit.train.evaluate import evaluate as evaluate_run

    evaluate_run(folder, data_root=str(data) if data is not None else None, progress=out)
    document = folder.read()
    out.result({**document, "run_dir": str(run)}, summary(document, folder))
