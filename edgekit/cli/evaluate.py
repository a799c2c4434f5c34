"""``edgekit evaluate``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from edgekit.cli.options import DataOption, JsonOption, QuietOption
from edgekit.cli.output import Output


def evaluate(
    run: Annotated[Path, typer.Argument(help="Folder of a finished run.", metavar="RUN", show_default=False)],
    data: DataOption = None,
    corruptions: Annotated[
        str | None,
        typer.Option(
            "--corruptions",
            help="Evaluate on corrupted test images: all, standard, sensor, underwater, or names such as haze,jpeg.",
            metavar="NAMES",
            show_default=False,
        ),
    ] = None,
    severities: Annotated[
        str, typer.Option("--severities", help="With --corruptions: severities from 1 to 5.", metavar="N,...")
    ] = "1,2,3,4,5",
    models: Annotated[
        str | None,
        typer.Option(
            "--models",
            help="With --corruptions: models to evaluate, e.g. keras,tflite-int8 (default: all).",
            metavar="NAMES",
            show_default=False,
        ),
    ] = None,
    images: Annotated[
        int | None,
        typer.Option(
            "--images", min=2, help="With --corruptions: use at most N test images.", metavar="N", show_default=False
        ),
    ] = None,
    corruption_seed: Annotated[
        int,
        typer.Option("--corruption-seed", min=0, help="With --corruptions: seed of random corruptions.", metavar="N"),
    ] = 0,
    target: Annotated[
        str, typer.Option("--target", help="With --corruptions: target to run exported files on.", metavar="NAME")
    ] = "local",
    json_mode: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Score the Keras model of a run again, or evaluate it and its exported files on corrupted images.

    Reports accuracy with its interval, precision, recall and F1 per class, the confusion matrix, log loss and
    calibration error, and rewrites predictions.npz and the figures. If the images have moved, pass their new folder
    with --data.

    With --corruptions, the Keras model and every exported file classify the same test images under water, noise,
    blur, fog and other corruptions, at five severities. Predictions are stored in the run folder and reused.

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

    document = evaluate_run(folder, data_root=data, progress=out)
    out.result({**document.to_dict(), "run_dir": str(run)}, summary(document, folder))
