"""``edgekit export``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated

import typer

from edgekit.cli.options import DataOption, JsonOption, QuietOption, set_option
from edgekit.cli.output import Output
from edgekit.device.runtime_table import USUAL_FORMATS
from edgekit.errors import CheckFailed, InputError
from edgekit.registry import FORMATS, SCHEMES


def export(
    run: Annotated[Path, typer.Argument(help="Folder of a finished run.", metavar="RUN", show_default=False)],
    file_format: Annotated[
        str | None,
        typer.Option(
            "--format",
            help=f"{' | '.join(FORMATS)} | all (default: tflite and onnx)",
            metavar="FORMAT",
            show_default=False,
        ),
    ] = None,
    fp32: Annotated[bool, typer.Option("--fp32", help="32-bit floats.")] = False,
    fp16: Annotated[bool, typer.Option("--fp16", help="16-bit float weights.")] = False,
    dynamic: Annotated[
        bool, typer.Option("--dynamic", help="8-bit weights; activations are quantized at runtime.")
    ] = False,
    int8: Annotated[
        bool, typer.Option("--int8", help="8-bit weights and activations, calibrated on training images.")
    ] = False,
    int8_s8s8: Annotated[
        bool, typer.Option("--int8-s8s8", help="ONNX int8 with signed activations, for Arm processors.")
    ] = False,
    int8_tflite: Annotated[
        bool, typer.Option("--int8-tflite", help="The int8 TFLite file, converted to ONNX.")
    ] = False,
    quantizer: Annotated[
        str | None,
        typer.Option(
            "--quantizer",
            help="Quantizer of TFLite files: converter | ai-edge-quantizer (default: that of the recipe)",
            metavar="NAME",
            show_default=False,
        ),
    ] = None,
    qat: Annotated[
        bool, typer.Option("--qat", help="int8 after quantization-aware training (minutes to hours).")
    ] = False,
    prune: Annotated[
        bool, typer.Option("--prune", help="Fine-tune with magnitude pruning; combine with --fp32, --int8 or both.")
    ] = False,
    cluster: Annotated[
        bool, typer.Option("--cluster", help="Fine-tune with clustered weights; combine with --fp32, --int8 or both.")
    ] = False,
    max_drop: Annotated[
        float | None,
        typer.Option(
            "--max-drop",
            min=0,
            help="Points of accuracy that a file may lose against the Keras model (default: that of the recipe)",
            metavar="POINTS",
            show_default=False,
        ),
    ] = None,
    repair: Annotated[
        bool,
        typer.Option("--repair", help="Keep the most sensitive layers of a failing int8 file in float (minutes)."),
    ] = False,
    sensitivity: Annotated[
        bool, typer.Option("--sensitivity", help="Rank layers by how much int8 changes the predictions (minutes).")
    ] = False,
    data: DataOption = None,
    settings: Annotated[list[str] | None, set_option("export.calibration.images=500")] = None,
    json_mode: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Export a trained run to TFLite, ONNX or ncnn files, and verify each against the Keras model.

    By default, edgekit makes the files that the run's recipe lists. The options from --fp32 to --cluster select
    others. Every file takes RGB pixels, uint8 (1, H, W, 3), and returns class probabilities.

    Each file gets a folder, RUN/exports/FORMAT-SCHEME/. It contains the result of all checks (export.json), a few
    inputs with their outputs to verify a target (golden.npz) and, for int8, the quantization range of every activation
    with the share of clipped values (calibration.json).

    The accuracy gate compares each file with the Keras model, image by image, on images that were set aside for it
    (data.split.gate), or on the validation images of a run that has none. It holds if the upper 95% bound of the loss
    is at most --max-drop. It fails if the lower bound is above --max-drop; the file is marked as failed, and the exit
    code is 3. Otherwise it is undecided: the file is kept, a warning says how many more images would decide, and the
    exit code is 0. A file also fails if it agrees with the Keras model on too few images (export.min_agreement), or if
    one class loses too much (export.max_class_drop).

    --repair ranks the layers by sensitivity and keeps as few of them in float as the limits require. The layers are
    chosen on one half of the images; the repaired file is judged on the other.

    --qat, --prune and --cluster fine-tune the network on the run's training images, with the settings export.qat,
    export.pruning and export.clustering. They require pip install "edgekit[compress]". If they are interrupted, rerun
    the command to resume after the last completed epoch.

    If the run's images have moved, pass their new folder with --data. --set changes settings that start with export.,
    for this export only.

    \b
    Examples:
      edgekit export runs/mri
      edgekit export runs/mri --format tflite --fp16 --int8
      edgekit export runs/mri --int8 --set export.calibration.images=500
      edgekit export runs/mri --int8 --quantizer ai-edge-quantizer
      edgekit export runs/mri --int8 --max-drop 0.5 --repair
      edgekit export runs/mri --qat --set export.qat.epochs=5
      edgekit export runs/mri --int8 --prune --set export.pruning.sparsity=0.8
    """
    from edgekit.cli.render.exports import exports_summary
    from edgekit.documents.folders import RunFolder
    from edgekit.export.pipeline import export_recipe, export_run
    from edgekit.recipe import parse_setting

    out = Output(json_mode=json_mode, quiet=quiet)
    folder = RunFolder(run)
    changes = dict(parse_setting(text) for text in settings or [])
    if max_drop is not None:
        changes["export.max_drop"] = max_drop
    if quantizer is not None:
        changes["export.quantizer"] = quantizer
    changes |= {f"export.{name}": True for name in _given({"repair": repair, "sensitivity": sensitivity})}
    schemes = _given(
        {
            "fp32": fp32,
            "fp16": fp16,
            "dynamic": dynamic,
            "int8": int8,
            "int8-s8s8": int8_s8s8,
            "int8-tflite": int8_tflite,
        }
    )
    compressions = _given({"qat": qat, "pruned": prune, "clustered": cluster})
    named = export_recipe(folder, {k: v for k, v in changes.items() if k == "export.files"}).export.files
    keys = choose_keys(file_format, scheme_names(schemes, compressions), named)
    try:
        documents = export_run(folder, keys, settings=changes, progress=out, data_root=data)
    except CheckFailed:
        written = [folder.export(key) for key in keys if folder.export(key).export_json.is_file()]
        if not json_mode and written:
            out.result({}, exports_summary([export.read_export() for export in written]))
        raise
    out.result(
        {
            "schema_version": 1,
            "run_id": documents[0].run_id,
            "run_dir": str(run),
            "exports": [document.to_dict() for document in documents],
        },
        f"{exports_summary(documents)}\n\nwritten to {folder.exports}",
    )


def _given(flags: Mapping[str, bool]) -> list[str]:
    return [name for name, given in flags.items() if given]


def scheme_names(schemes: Sequence[str], compressions: Sequence[str]) -> list[str]:
    """The schemes that the options select: ``--int8 --prune`` is ``int8`` and ``int8-pruned``.

    A compression applies to those of ``schemes`` that it exists for; where there are none, to all that it exists for.
    """
    known = {scheme.name: scheme for scheme in SCHEMES.values()}
    names = list(schemes)
    for compression in compressions:
        offered = [name for name, scheme in known.items() if scheme.compression == compression]
        names += [name for name in offered if known[name].precision in schemes] or offered
    return names


def choose_keys(file_format: str | None, schemes: Sequence[str], named: Sequence[str]) -> list[str]:
    """The exports (``tflite-int8``) that the options select; ``named`` are those of the recipe.

    Without a format, ``schemes`` mean those whose runtime is installed by default.
    """
    if file_format not in (*FORMATS, "all", None):
        raise InputError(f"unknown format {file_format!r}", hint=f"choose one of: {', '.join(FORMATS)}, all")
    if file_format is None:
        formats = USUAL_FORMATS if schemes else FORMATS
    else:
        formats = FORMATS if file_format == "all" else (file_format,)
    wanted = [key for key in SCHEMES if SCHEMES[key].name in schemes] if schemes else named
    keys = [key for key in wanted if key in SCHEMES and SCHEMES[key].format in formats]
    missing = [name for name in schemes if not any(SCHEMES[key].name == name for key in keys)]
    if missing:
        known = [scheme.name for scheme in SCHEMES.values() if scheme.format in formats]
        raise InputError(f"{file_format} has no {missing[0]} files", hint=f"available schemes: {', '.join(known)}")
    if not keys:
        what = f"{file_format} file" if file_format in FORMATS else "file"
        raise InputError(
            f"the run's recipe names no {what} (it names {', '.join(named) or 'none'})",
            hint="select files, such as --fp32 or --int8 (all options: edgekit export --help)",
        )
    return keys
