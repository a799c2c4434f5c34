"""``edgekit train``."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edgekit.cli.options import DataOption, JsonOption, LabelsFromOption, QuietOption, set_option
from edgekit.cli.output import Output, table
from edgekit.errors import InputError
from edgekit.registry import STRATEGIES, backbone_title

if TYPE_CHECKING:
    from edgekit.documents.folders import RunFolder
    from edgekit.documents.run import ProfileRecord, RunDocument


def train(
    recipe: Annotated[
        str | None,
        typer.Argument(help="Recipe file, or name of a shipped recipe (edgekit list recipes).", metavar="RECIPE"),
    ] = None,
    data: DataOption = None,
    labels_from: LabelsFromOption = None,
    backbone: Annotated[
        str | None,
        typer.Option(
            help="Name (edgekit list backbones), keras:NAME of keras.applications, or a .keras file "
            "(default: mobilenetv2)",
            metavar="NAME",
        ),
    ] = None,
    strategy: Annotated[
        str | None,
        typer.Option(
            help=f"{' | '.join(STRATEGIES)} (default: fine-tuning; from-scratch with --weights none)", metavar="NAME"
        ),
    ] = None,
    weights: Annotated[
        str | None,
        typer.Option(
            help="imagenet (downloaded by Keras), none, or a Keras weights file (default: imagenet)",
            metavar="imagenet|none|PATH",
        ),
    ] = None,
    image_size: Annotated[
        int | None, typer.Option(help="Height and width of the network input in pixels (default: 224)", metavar="N")
    ] = None,
    epochs: Annotated[
        int | None, typer.Option(help="Epochs of every training phase (default: 10; from scratch 30)", metavar="N")
    ] = None,
    batch_size: Annotated[int | None, typer.Option(help="Images per step (default: 32)", metavar="N")] = None,
    seed: Annotated[
        int | None, typer.Option(help="Seed of all random choices in training (default: 0)", metavar="N")
    ] = None,
    run: Annotated[
        Path | None,
        typer.Option(help="Run folder to create (default: a new one in runs/)", metavar="DIR", show_default=False),
    ] = None,
    settings: Annotated[list[str] | None, set_option("train.batch_size=16")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Resume the interrupted run in --run.")] = False,
    profile: Annotated[bool, typer.Option("--profile", help="Show where the time went.")] = False,
    json_mode: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Train one model on a folder of labelled images.

    The image folder (--data) has one folder per class, or train, val and test folders with class folders inside; usual
    variants of both are recognised, and --labels-from takes the labels from file names or a CSV file. If there are no
    validation or test images, edgekit splits them off, stratified by class. Without a recipe, it starts from ImageNet
    weights and trains first the head, then the last stage of the backbone. The result is a run folder with the model,
    its test accuracy and its figures.

    \b
    Examples:
      edgekit train --data photos --backbone mobilenetv2
      edgekit train brain-tumor-mri --data mri --run runs/mri
      edgekit train --run runs/mri --resume
    """
    from edgekit.api import folder_of
    from edgekit.api import train as train_run
    from edgekit.documents.folders import RunFolder
    from edgekit.recipe import parse_setting

    if resume and run is None:
        raise InputError("--resume needs --run", hint="edgekit train --run DIR --resume")
    out = Output(json_mode=json_mode, quiet=quiet)
    where = {} if labels_from is None else {"data.labels_from": labels_from}
    document = train_run(
        recipe,
        data=data,
        backbone=backbone,
        strategy=strategy,
        weights=weights,
        image_size=image_size,
        epochs=epochs,
        batch_size=batch_size,
        seed=seed,
        settings={**where, **dict(parse_setting(text) for text in settings or [])},
        run=run,
        resume=resume,
        progress=out,
    )
    folder = RunFolder(folder_of(document))
    text = summary(document, folder)
    if profile and document.timing.profile is not None:
        text = f"{text}\n\n{profile_table(document.timing.profile)}"
    out.result({**document.to_dict(), "run_dir": str(folder.path), "exports": []}, text)


_PARTS = {
    "import": "framework and Keras",
    "data": "find, decode and copy the images",
    "build": "network and its weights",
    "compile": "trace and compile",
    "features": "outputs of frozen layers",
    "input": "steps waited for images",
    "step": "training steps",
    "validation": "after each epoch",
    "checkpoint": "training waited for checkpoints",
    "save": "model file and hashes",
    "evaluate": "test images, figures, Grad-CAM",
    "other": "everything else",
}


def profile_table(profile: ProfileRecord) -> str:
    """Where the time of a run went, at most 80 columns wide."""
    seconds = {part: float(getattr(profile, f"{part}_seconds")) for part in _PARTS}
    total = sum(seconds.values())
    rows = [[part, f"{seconds[part]:.2f}", f"{seconds[part] / total:.0%}", what] for part, what in _PARTS.items()]
    return table(["part", "seconds", "share", "what"], [*rows, ["total", f"{total:.2f}", "100%", ""]], right=(1, 2))


def summary(document: RunDocument, folder: RunFolder) -> str:
    """The result of a run as text, at most 80 columns wide."""
    test, val = document.metrics["test"], document.metrics["val"]
    low, high = test.accuracy_ci95
    rows = [[c.label, f"{c.precision:.3f}", f"{c.recall:.3f}", f"{c.f1:.3f}", str(c.support)] for c in test.per_class]
    return "\n".join(
        [
            headline(document),
            "",
            f"test accuracy  {test.accuracy:.4f}   95% interval {low:.4f} to {high:.4f}, n = {test.n_samples}",
            f"macro F1       {test.macro_f1:.4f}   log loss {test.log_loss:.4f}   calibration error {test.ece:.4f}",
            f"validation     {val.accuracy:.4f}{_trained_in(document)}",
            "",
            table(["class", "precision", "recall", "F1", "images"], rows, right=(1, 2, 3, 4)),
            *(f"\nnote: {warning}" for warning in document.warnings),
            "",
            f"run folder     {folder.path}",
            f"next           edgekit export {shlex.quote(str(folder.path))}",
        ]
    )


def headline(document: RunDocument) -> str:
    """The kind of model: ``MobileNetV2, fine-tuning, seed 0``."""
    title = backbone_title(document.backbone)
    if document.imported is not None:
        return f"{title}, imported, scaling {document.imported.scaling}"
    return f"{title}, {document.strategy}, seed {document.seed}"


def _trained_in(document: RunDocument) -> str:
    return "" if document.imported is not None else f"   trained in {document.timing.train_seconds or 0.0:.0f} s"
