"""``edgekit train``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from edgekit.cli.options import DataOption, JsonOption, QuietOption, SetOption
from edgekit.cli.output import Output
from edgekit.errors import InputError
from edgekit.registry import BACKBONES, STRATEGIES


def train(
    recipe: Annotated[
        str | None, typer.Argument(help="A recipe file, or the name of a shipped one (edgekit list recipes).")
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
        int | None, typer.Option(help="Side in pixels the images are resized to  (default: 224)", metavar="N")
    ] = None,
    epochs: Annotated[
        int | None, typer.Option(help="Epochs of every stage  (default: 10 each, 30 from scratch)", metavar="N")
    ] = None,
    batch_size: Annotated[int | None, typer.Option(help="Images per step  (default: 32)", metavar="N")] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of everything random  (default: 0)", metavar="N")] = None,
    run: Annotated[
        Path | None,
        typer.Option(help="Folder for the result  (default: a new one in runs/)", metavar="DIR", show_default=False),
    ] = None,
    settings: SetOption = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with an interrupted --run.")] = False,
    json_mode: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Train one model on a folder of labelled images.

    DIR holds one folder of images per class, or train/val/test folders with such folders inside; what is missing of
    validation and test is split off (stratified). Without a recipe: ImageNet weights, the head is trained first, then
    the backbone's last 30 layers. The result is a run folder with the model, its test accuracy and its figures.

    \b
    Examples:
      edgekit train --data photos --backbone mobilenetv2
      edgekit train brain-tumor-mri --data mri --run runs/mri
      edgekit train --run runs/mri --resume
    """
    from edgekit.documents.folders import RunFolder
    from edgekit.recipe import load_recipe, validate
    from edgekit.train.training import default_run_folder
    from edgekit.train.training import train as train_run

    out = Output(json_mode=json_mode, quiet=quiet)
    changes = _settings(data, backbone, strategy, weights, image_size, epochs, batch_size, seed, settings or [])
    if resume:
        if run is None:
            raise InputError("--resume needs the run to go on with", hint="edgekit train --run DIR --resume")
        folder = RunFolder(run)
        started = folder.read()["recipe"]
        resolved = load_recipe(recipe, changes) if recipe or changes else validate(started, str(run))
    else:
        resolved = load_recipe(recipe, changes)
        folder = RunFolder(run) if run is not None else default_run_folder(resolved, Path("runs"))
    try:
        train_run(resolved, folder, resume=resume, progress=out)
    except KeyboardInterrupt:
        if folder.run_json.is_file():
            out.info(f"go on with: edgekit train --run {folder.path} --resume")
        raise
    document = folder.read()
    out.result({**document, "run_dir": str(folder.path), "exports": []}, summary(document, folder))


def summary(document: dict[str, Any], folder: Any) -> str:
    """The result of a run for a person, at most 80 columns wide."""
    from edgekit.cli.output import table

    test = document["metrics"]["test"]
    low, high = test["accuracy_ci95"]
    rows = [
        [c["label"], f"{c['precision']:.3f}", f"{c['recall']:.3f}", f"{c['f1']:.3f}", str(c["support"])]
        for c in test["per_class"]
    ]
    return "\n".join(
        [
            f"{BACKBONES[document['backbone']].title}, {document['strategy']}, seed {document['seed']}",
            "",
            f"test accuracy  {test['accuracy']:.4f}   95% interval {low:.4f} to {high:.4f}, n = {test['n_samples']}",
            f"macro F1       {test['macro_f1']:.4f}   log loss {test['log_loss']:.4f}   "
            f"calibration error {test['ece']:.4f}",
            f"validation     {document['metrics']['val']['accuracy']:.4f}   "
            f"trained in {document['timing']['train_seconds']:.0f} s",
            "",
            table(["class", "precision", "recall", "F1", "images"], rows, right=(1, 2, 3, 4)),
            *(f"\nnote: {warning}" for warning in document.get("warnings", [])),
            "",
            f"run folder     {folder.path}",
            f"next           edgekit export {folder.path}",
        ]
    )


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
) -> dict[str, Any]:
    """Command-line options as recipe settings; an explicit ``--set`` wins."""
    from edgekit.recipe import parse_setting

    changes: dict[str, Any] = {}
    if data is not None:
        changes |= {"data.path": str(data), "data.name": None}
    options = {
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
        changes |= {f"train.{stage}.epochs": epochs for stage in ("feature_extraction", "fine_tuning", "from_scratch")}
    return changes | dict(parse_setting(text) for text in settings)
