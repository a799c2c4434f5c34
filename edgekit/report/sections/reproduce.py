"""The commands and the recipe that reproduce the folder."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path

import yaml

from edgekit.documents.run import RunDocument
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
    imported = _import_command(report.source.runs[0].document, place) if report.source.runs else None
    commands = [imported or f"edgekit train recipe.yaml --run {place}", f"edgekit export {place}"]
    for target in report.targets:
        bench = next(file.bench for file in report.files if file.bench is not None and file.target == target)
        threads = ",".join(str(latency.threads) for latency in bench.latency)
        commands.append(
            f"edgekit bench {place} --target {shlex.quote(target)} --protocol {bench.protocol.name}"
            + (f" --threads {threads}" if threads else "")
        )
    return [*commands, f"edgekit report {place}"]


def _import_command(run: RunDocument, place: str) -> str | None:
    """None for a network that edgekit trained."""
    imported = run.imported
    if imported is None:
        return None
    words = ["edgekit", "import", imported.file, "--data", "DIR", "--scaling", imported.scaling]
    if imported.labels == "file":
        words += ["--labels", "labels.txt"]
    if run.backbone != Path(imported.file).stem:
        words += ["--name", run.backbone]
    if run.recipe.data.resize != "stretch":
        words += ["--resize", run.recipe.data.resize]
    return f"{' '.join(map(shlex.quote, words))} --run {place}"


SECTION = Section("reproduce", "Reproduce", _view)
