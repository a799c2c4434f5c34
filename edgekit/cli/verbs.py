"""The table of commands, in workflow order. Each has its own file; none imports anything heavy."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import typer

from edgekit.cli import (
    bench,
    choose,
    compare,
    corrupt,
    data,
    deploy,
    diff,
    doctor,
    evaluate,
    export,
    gate,
    import_model,
    init,
    listing,
    predict,
    quickstart,
    report,
    target,
    train,
    verify,
)


class Verb(NamedTuple):
    """A command, or a group of commands, and its line in ``edgekit --help`` (at most 64 characters)."""

    name: str
    command: Callable[..., Any] | typer.Typer
    summary: str


VERBS: tuple[Verb, ...] = (
    Verb("quickstart", quickstart.quickstart, "Train, export, benchmark and report on a built-in dataset."),
    Verb("init", init.init, "Write a commented recipe for an image folder."),
    Verb("data", data.data_app, "Audit an image folder, or download a public dataset."),
    Verb("train", train.train, "Train one model on a folder of labelled images."),
    Verb("import", import_model.import_model, "Make a run folder from a Keras model trained elsewhere."),
    Verb("evaluate", evaluate.evaluate, "Score a trained model again, or on corrupted test images."),
    Verb("export", export.export, "Export a trained model to TFLite and ONNX; verify each file."),
    Verb("bench", bench.bench, "Measure latency, memory, size and accuracy of exported files."),
    Verb("compare", compare.compare, "Run a study: every backbone, strategy and seed of a recipe."),
    Verb("choose", choose.choose, "Find the network to deploy within limits, by measurement."),
    Verb("report", report.report, "Write the report of a run or a study."),
    Verb("diff", diff.diff, "Show what differs between two reports beyond noise."),
    Verb("gate", gate.app, "Save a baseline; check that new files are not worse."),
    Verb("predict", predict.predict, "Classify images with an exported model."),
    Verb("corrupt", corrupt.corrupt, "Write a corrupted copy of an image folder."),
    Verb("target", target.app, "Manage the machines that you measure on over SSH."),
    Verb("verify", verify.verify, "Check that exported files give the expected outputs on a target."),
    Verb("deploy", deploy.deploy, "Copy a model and a standalone runner to a target."),
    Verb("doctor", doctor.doctor, "Show what this machine can do and what is missing."),
    Verb("list", listing.list_tables, "List backbones, recipes, formats, runtimes, published figures."),
)
