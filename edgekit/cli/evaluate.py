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
    json_mode: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Score a run's own Keras model again on its validation and test images.

    Accuracy with its interval, precision, recall and F1 per class, confusion matrix, log loss, calibration error;
    predictions.npz and the figures are written anew. --data says where the images are now, if they have moved.

    Example: edgekit evaluate runs/mri
    """
    from edgekit.artifacts import RunFolder
    from edgekit.cli.train import summary
    from edgekit.train.evaluate import evaluate as evaluate_run

    out = Output(json_mode=json_mode, quiet=quiet)
    folder = RunFolder(run)
    evaluate_run(folder, data_root=str(data) if data is not None else None, progress=out)
    document = folder.read()
    out.result({**document, "run_dir": str(run)}, summary(document, folder))
