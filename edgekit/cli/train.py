"""``edgekit train``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edgekit.cli.options import DataOption, JsonOption, QuietOption, SetOption
from edgekit.cli.output import Output, table
from edgekit.errors import InputError
from edgekit.registry import BACKBONES, STRATEGIES

if TYPE_CHECKING:
    from edgekit.documents.folders import RunFolder
    from edgekit.documents.run import RunDocument
    from edgekit.recipe import Recipe


def train(
    recipe: Annotated[
        str | None, typer.Argument(help="A recipe file, or the name of a shipped recipe (edgekit list recipes).")
    ] = None,
    data: DataOption = None,
    backbone: Annotated[
        str | None, typer.Option(help=f"{' | '.join(BACKBONES)}  (default: mobilenetv2)", metavar="NAME")
    ] = None,
    strategy: Annotated[
        str | None,
        typer.Option(
            help=f"{' | '.join(STRATEGIES)}  (default: fine-tuning; from-scratch with --weights none)", metavar="NAME"
        ),
    ] = None,
    weights: Annotated[
        str | None,
        typer.Option(
            help="imagenet (downloaded by Keras), none, or a Keras weights file  (default: imagenet)",
            metavar="imagenet|none|PATH",
        ),
    ] = None,
    image_size: Annotated[
        int | None, typer.Option(help="Height and width of the network input in pixels  (default: 224)", metavar="N")
    ] = None,
    epochs: Annotated[
        int | None, typer.Option(help="Epochs of every training phase  (default: 10; from scratch 30)", metavar="N")
    ] = None,
    batch_size: Annotated[int | None, typer.Option(help="Images per step  (default: 32)", metavar="N")] = None,
    seed: Annotated[
        int | None, typer.Option(help="Seed of everything random in training  (default: 0)", metavar="N")
    ] = None,
    run: Annotated[
        Path | None,
        typer.Option(help="Run folder to create  (default: a new one in runs/)", metavar="DIR", show_default=False),
    ] = None,
    settings: SetOption = None,
    resume: Annotated[bool, typer.Option("--resume", help="Resume the interrupted run in --run.")] = False,
    json_mode: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Train one model on a folder of labelled images.

    DIR contains one folder of images per class, or train, val and test folders with class folders inside. Missing
    validation or test images are split off, stratified by class. Without a recipe, edgekit starts from ImageNet
    weights, trains the head first and then the last stage of the backbone. The result is a run folder with the
    model, its test accuracy and its figures.

    \b
    Examples:
      edgekit train --data photos --backbone mobilenetv2
      edgekit train brain-tumor-mri --data mri --run runs/mri
      edgekit train --run runs/mri --resume
    """
    from edgekit.recipe import load_recipe
    from edgekit.train.training import default_run_folder
    from edgekit.train.training import train as train_run

    out = Output(json_mode=json_mode, quiet=quiet)
    changes = _settings(data, backbone, strategy, weights, image_size, epochs, batch_size, seed, settings or [])
    if resume:
        resolved, folder = _interrupted_run(recipe, run, changes)
    else:
        from edgekit.documents.folders import RunFolder

        resolved = load_recipe(recipe, changes)
        folder = RunFolder(run) if run is not None else default_run_folder(resolved, Path("runs"))
    try:
        document = train_run(resolved, folder, resume=resume, progress=out)
    except KeyboardInterrupt:
        if folder.run_json.is_file():
            out.info(f"resume with: edgekit train --run {folder.path} --resume")
        raise
    out.result({**document.to_dict(), "run_dir": str(folder.path), "exports": []}, summary(document, folder))


def summary(document: RunDocument, folder: RunFolder) -> str:
    """The result of a run as text, at most 80 columns wide."""
    test, val = document.metrics["test"], document.metrics["val"]
    low, high = test.accuracy_ci95
    rows = [[c.label, f"{c.precision:.3f}", f"{c.recall:.3f}", f"{c.f1:.3f}", str(c.support)] for c in test.per_class]
    return "\n".join(
        [
            f"{BACKBONES[document.backbone].title}, {document.strategy}, seed {document.seed}",
            "",
            f"test accuracy  {test.accuracy:.4f}   95% interval {low:.4f} to {high:.4f}, n = {test.n_samples}",
            f"macro F1       {test.macro_f1:.4f}   log loss {test.log_loss:.4f}   calibration error {test.ece:.4f}",
            f"validation     {val.accuracy:.4f}   trained in {document.timing.train_seconds or 0.0:.0f} s",
            "",
            table(["class", "precision", "recall", "F1", "images"], rows, right=(1, 2, 3, 4)),
            *(f"\nnote: {warning}" for warning in document.warnings),
            "",
            f"run folder     {folder.path}",
            f"next           edgekit export {folder.path}",
        ]
    )


def _interrupted_run(recipe: str | None, run: Path | None, changes: dict[str, object]) -> tuple[Recipe, RunFolder]:
    """The recipe and the folder of the run that ``--resume`` continues."""
    from edgekit.documents.folders import RunFolder
    from edgekit.recipe import load_recipe

    if run is None:
        raise InputError("--resume needs --run", hint="edgekit train --run DIR --resume")
    folder = RunFolder(run)
    started = folder.read_run().recipe
    return load_recipe(recipe, changes) if recipe or changes else started, folder


def _settings(
    data: Path | None,
    backbone: str | None,
    strategy: str | None,
    weights: str | None,
    image_size: int | None,
    epochs: int | None,
    batch_size: int | None,
    seed: int | None,
    settings: list[str],
) -> dict[str, object]:
    """Command-line options as recipe settings; ``--set`` takes precedence."""
    from edgekit.recipe import parse_setting

    changes: dict[str, object] = {}
    if data is not None:
        changes |= {"data.path": str(data), "data.name": None}
    options: dict[str, object] = {
        "model.backbone": backbone,
        "model.weights": weights,
        "train.strategy": strategy,
        "data.image_size": image_size,
        "train.batch_size": batch_size,
        "train.seed": seed,
    }
    changes |= {key: value for key, value in options.items() if value is not None}
    if weights == "none" and strategy is None:
        changes["train.strategy"] = "from-scratch"
    if epochs is not None:
        changes |= {f"train.{phase}.epochs": epochs for phase in ("feature_extraction", "fine_tuning", "from_scratch")}
    return changes | dict(parse_setting(text) for text in settings)
