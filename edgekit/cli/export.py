"""``edgekit export``."""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import Annotated, Any

import typer

from edgekit.cli.options import DataOption, JsonOption, QuietOption, SetOption
from edgekit.cli.output import Output, table
from edgekit.errors import CheckFailed, InputError
from edgekit.registry import FORMATS, SCHEMES

LAYERS_SHOWN = 8


def export(
    run: Annotated[Path, typer.Argument(help="A finished run folder.", show_default=False)],
    file_format: Annotated[
        str, typer.Option("--format", help=f"{' | '.join(FORMATS)} | all", metavar="FORMAT")
    ] = "all",
    fp32: Annotated[bool, typer.Option("--fp32", help="32-bit floats.")] = False,
    fp16: Annotated[bool, typer.Option("--fp16", help="16-bit float weights.")] = False,
    dynamic: Annotated[bool, typer.Option("--dynamic", help="8-bit weights, float activations.")] = False,
    int8: Annotated[
        bool, typer.Option("--int8", help="8-bit weights and activations, calibrated on training images.")
    ] = False,
    int8_tflite: Annotated[
        bool, typer.Option("--int8-tflite", help="ONNX with the integers of the int8 TFLite file.")
    ] = False,
    quantizer: Annotated[
        str | None,
        typer.Option(
            "--quantizer",
            help="converter | ai-edge-quantizer: what makes int8 and dynamic TFLite files. Default: the recipe's.",
            metavar="NAME",
            show_default=False,
        ),
    ] = None,
    qat: Annotated[
        bool, typer.Option("--qat", help="int8 after training on with 8-bit rounding in every step (minutes to hours).")
    ] = False,
    prune: Annotated[
        bool, typer.Option("--prune", help="Train on while the smallest weights become 0; of --fp32, --int8 or both.")
    ] = False,
    cluster: Annotated[
        bool, typer.Option("--cluster", help="Train on with few different weights; of --fp32, --int8 or both.")
    ] = False,
    max_drop: Annotated[
        float | None,
        typer.Option(
            "--max-drop",
            min=0,
            help="Points of accuracy that a file may lose on validation images. Default: the recipe's, else 1.",
            metavar="POINTS",
            show_default=False,
        ),
    ] = None,
    repair: Annotated[
        bool,
        typer.Option(
            "--repair", help="Where an int8 file loses more than that: keep its costliest layers in float until not."
        ),
    ] = False,
    sensitivity: Annotated[
        bool, typer.Option("--sensitivity", help="Rank the layers by what int8 costs in each (minutes).")
    ] = False,
    data: DataOption = None,
    settings: SetOption = None,
    json_mode: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Turn a trained run into deployable files, each checked against the Keras model on real images.

    Without an option that names files (--fp32 to --cluster): those that the run's recipe names. All files take RGB
    pixels, uint8 (1, H, W, 3), and give probabilities. They are written to RUN/exports/FORMAT-SCHEME/ with their check
    (export.json) and a few inputs and outputs to test a device with (golden.npz); int8 files with the range of every
    activation and how much lies outside (calibration.json). A file that loses more accuracy
    than --max-drop on validation images, and measurably so, is marked failed, and the exit code is 3. --repair ranks
    the layers by what int8 costs in each and keeps as few in float as it takes (minutes). --qat, --prune and --cluster
    train the network on with the run's training images and settings of their own (export.qat, export.pruning,
    export.clustering); they need pip install "edgekit[compress]", and where one was interrupted the same command goes
    on after its last whole epoch. --data says where the run's images are now, if they have moved; --set changes the
    recipe's export section for this export.

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
    from edgekit.documents.folders import RunFolder
    from edgekit.export.pipeline import export_recipe, export_run
    from edgekit.recipe import parse_setting

    out = Output(json_mode=json_mode, quiet=quiet)
    folder = RunFolder(run)
    changes = dict(parse_setting(text) for text in settings or [])
    if max_drop is not None:
        changes["export.max_drop"] = max_drop
    changes |= {f"export.{name}": True for name, given in (("repair", repair), ("sensitivity", sensitivity)) if given}
    if quantizer is not None:
        changes["export.quantizer"] = quantizer
    flags = {"fp32": fp32, "fp16": fp16, "dynamic": dynamic, "int8": int8, "int8-tflite": int8_tflite}
    further = {"qat": qat, "pruned": prune, "clustered": cluster}
    named = export_recipe(folder, {k: v for k, v in changes.items() if k == "export.files"}).export.files
    chosen = scheme_names([n for n, given in flags.items() if given], [n for n, given in further.items() if given])
    keys = choose_keys(file_format, chosen, named)
    try:
        documents = export_run(folder, keys, settings=changes, progress=out, data_root=data)
    except CheckFailed:
        written = [folder.export(key) for key in keys if folder.export(key).export_json.is_file()]
        if not json_mode and written:
            out.result({}, _summary([export.read() for export in written]))
        raise
    document = {"schema_version": 1, "run_id": documents[0]["run_id"], "run_dir": str(run), "exports": documents}
    out.result(document, f"{_summary(documents)}\n\nwritten to {folder.exports}")


def scheme_names(numbers: list[str], further: list[str]) -> list[str]:
    """The schemes meant by the options: ``--int8 --prune`` is ``int8`` and ``int8-pruned``.

    Further training is done for those of ``numbers`` that have such a scheme, and where none has, for all that do.
    """
    known = {scheme.name: scheme for scheme in SCHEMES.values()}
    names = list(numbers)
    for training in further:
        offered = [name for name, scheme in known.items() if scheme.training == training]
        names += [name for name in offered if known[name].numbers in numbers] or offered
    return names


def choose_keys(file_format: str, schemes: list[str], named: list[str]) -> list[str]:
    """The exports (``tflite-int8``) meant by the options; ``named`` are those of the recipe."""
    if file_format not in (*FORMATS, "all"):
        raise InputError(f"no format is called {file_format!r}", hint=f"choose {', '.join(FORMATS)} or all")
    formats = FORMATS if file_format == "all" else (file_format,)
    wanted = [key for key in SCHEMES if SCHEMES[key].name in schemes] if schemes else named
    keys = [key for key in wanted if key in SCHEMES and SCHEMES[key].format in formats]
    missing = [name for name in schemes if not any(SCHEMES[key].name == name for key in keys)]
    if missing:
        known = [scheme.name for scheme in SCHEMES.values() if scheme.format in formats]
        raise InputError(f"{file_format} has no {missing[0]} files", hint=f"it has {', '.join(known)}")
    if not keys:
        raise InputError(
            f"the run's recipe names no {file_format} file (it names {', '.join(named) or 'none'})",
            hint="say which: --fp32, --fp16, --dynamic, --int8, --int8-tflite, --qat, --prune, --cluster",
        )
    return keys


def _summary(documents: list[dict[str, Any]]) -> str:
    """The table of the files, what was repaired, and the costliest layers where they were ranked."""
    from edgekit.render.exports import calibration_text, repair_text, training_text

    parts = [_files(documents)]
    for document in documents:
        name = f"{document['format']}-{document['scheme']}"
        if (document.get("calibration") or {}).get("ranges"):
            parts.append(textwrap.fill(f"{name}: {calibration_text(document['calibration'])}", 80))
        if document.get("training"):
            parts.append(textwrap.fill(f"{name}: {training_text(document)}", 80))
        if document.get("repair"):
            parts.append(textwrap.fill(f"{name} was repaired: {repair_text(document['repair'])}", 80))
        if document.get("sensitivity"):
            ranked = document["sensitivity"][:LAYERS_SHOWN]
            rows = [[c["layer"], f"{c['divergence_nats']:.4f}", f"{100 * c['agreement']:.1f}"] for c in ranked]
            layers = table(["layer quantized alone", "divergence (nats)", "same answer %"], rows, right=(1, 2))
            parts.append(f"{name}, the costliest of {len(document['sensitivity'])} layers:\n{layers}")
    return "\n\n".join(parts)


def _files(documents: list[dict[str, Any]]) -> str:
    rows = [_row(document) for document in documents]
    headers = ["file", "MB", "gzip MB", "same answer", "drop pt", "floats left", "seconds", "check"]
    return table(headers, rows, right=(1, 2, 3, 4, 5, 6))


def _row(document: dict[str, Any]) -> list[str]:
    parity = document["parity"]
    answers = parity.get("agreement") is not None
    gate = document.get("gate")
    return [
        f"{document['format']}-{document['scheme']}",
        f"{document['size_bytes'] / 1e6:.2f}",
        f"{document['gzip_bytes'] / 1e6:.2f}",
        f"{parity['n_images'] - parity['n_disagree']}/{parity['n_images']}" if answers else "-",
        f"{gate['drop_points']:.1f}" if gate else "-",
        str(sum(document["float_operators"].values())),
        f"{document['seconds']:.1f}",
        document["status"],
    ]
