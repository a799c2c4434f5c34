"""The commands and the recipe that reproduce the folder."""

from __future__ import annotations

import shlex
from dataclasses import dataclass

import yaml

from edgekit.documents.run import ImportRecord
from edgekit.recipe.redaction import redact_path, redact_paths
from edgekit.report.model.report import Report
from edgekit.report.sections.section import Section


@dataclass(frozen=True)
class ReproduceView:
    """``places`` names what the recipe leaves out: the folder of images, the file of weights."""

    commands: list[str]
    recipe: str | None
    places: list[str]


def _view(report: Report) -> ReproduceView:
    recipe = report.source.recipe
    text = None
    if recipe is not None and not report.source.collected:
        values = redact_paths(recipe).document()
        text = str(yaml.safe_dump(values, sort_keys=False, allow_unicode=True, width=100))
    return ReproduceView(_commands(report), text, _places(report))


def _places(report: Report) -> list[str]:
    recipe = report.source.recipe
    if recipe is None or report.source.collected:
        return []
    data, weights = recipe.data.path, recipe.model.weights
    found = [f"{redact_path(data)} (--data)"] if data else []
    return found + ([f"{redact_path(weights)} (--set model.weights)"] if weights not in ("imagenet", "none") else [])


def _commands(report: Report) -> list[str]:
    """For a folder of the same name, anywhere."""
    place = shlex.quote(report.source.path.resolve().name)
    if report.source.study is not None:
        targets = [word for target in report.targets if report.targets != ["local"] for word in ("--target", target)]
        command = ["edgekit", "compare", "recipe.yaml", "--out", place, *map(shlex.quote, targets)]
        return [" ".join(command), f"edgekit report {place}"]
    if report.source.collected:
        places = [run.folder.path.absolute().relative_to(report.source.path.absolute()) for run in report.runs]
        return [f"edgekit report {' '.join(shlex.quote(place.as_posix()) for place in places)}"]
    imported = report.source.runs[0].document.imported if report.source.runs else None
    start = f"edgekit train recipe.yaml --run {place}" if imported is None else _import_command(imported, place)
    commands = [start, f"edgekit export {place}"]
    for target in report.targets:
        bench = next(file.bench for file in report.files if file.bench is not None and file.target == target)
        threads = ",".join(str(latency.threads) for latency in bench.latency)
        commands.append(
            f"edgekit bench {place} --target {shlex.quote(target)} --protocol {bench.protocol.name}"
            + (f" --threads {threads}" if threads else "")
        )
    return [*commands, f"edgekit report {place}"]


def _import_command(imported: ImportRecord, place: str) -> str:
    words = [
        "edgekit",
        "import",
        shlex.quote(imported.file),
        "--data",
        "DIR",
        "--scaling",
        shlex.quote(imported.scaling),
    ]
    labels = ["--labels", "labels.txt"] if imported.labels == "file" else []
    return " ".join([*words, *labels, "--run", place])


SECTION = Section("reproduce", "Reproduce", _view)
