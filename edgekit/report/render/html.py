"""The report as one HTML file that needs nothing from outside. Everything from data is escaped by the template."""

from __future__ import annotations

import base64
import hashlib
import shlex
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from importlib import resources
from typing import Any

import yaml
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from edgekit.render import numbers as words
from edgekit.render import text
from edgekit.report.model.claim_verdicts import recipe_of
from edgekit.report.model.content import Report, Reported
from edgekit.report.model.corruption_rows import interval_of
from edgekit.report.model.groups import Group
from edgekit.report.model.int8_layers import calibrations, layer_views
from edgekit.report.model.notes import environment
from edgekit.report.model.operator_profiles import profile_views
from edgekit.report.model.reading import RunData
from edgekit.report.model.rows import Candidate, Score, model_title, run_score, strategy_title
from edgekit.report.model.target_facts import SLICES, device_rows, sustained_views
from edgekit.report.model.verdict import thread_counts, threads_text
from edgekit.report.render.figures import Point, accuracy_latency, confusion, curves
from edgekit.report.render.svg import SERIES
from edgekit.stats.robustness import MARGIN
from edgekit.support.path_redaction import place_name, without_places

MATRIX_CLASSES = 15
"""Up to so many classes the confusion matrix is a table of counts; beyond, a heat map."""

OPEN_RUNS = 4
"""With more runs than this, their details are folded."""


@dataclass(frozen=True)
class Plot:
    """A figure in two widths; the page shows the one that fits."""

    caption: str
    wide: Markup
    narrow: Markup


@dataclass(frozen=True)
class RunView:
    """One run as the page shows it."""

    anchor: str
    data: RunData
    title: str
    score: Score | None
    test: dict[str, Any]
    curves: list[tuple[str, Markup]]
    heat_map: Markup | None
    confused: list[tuple[int, str, str]]
    """For the heat map: how often, true class, predicted class; the most frequent first."""
    reported: list[Reported]
    """Published figures of its kind, where it is the last run of that kind."""


def render(report: Report) -> str:
    """The whole page."""
    package = resources.files("edgekit.report.render")
    script = package.joinpath("sort.js").read_text(encoding="utf-8")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode("ascii")
    page = Environment(
        loader=PackageLoader("edgekit.report", "render"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    page.globals.update(
        words={**vars(words), **vars(text), "count": text.plural},
        base64=_base64,
        claim_number=claim_number,
        interval_of=interval_of,
        margin=MARGIN,
        threads_text=threads_text,
        model_title=model_title,
        strategy_title=strategy_title,
        environment=environment,
    )
    devices = device_rows(report.candidates)
    return page.get_template("template.html.jinja").render(
        report=report,
        style=Markup(package.joinpath("style.css").read_text(encoding="utf-8")),  # noqa: S704 - our own file
        script=Markup(script),  # noqa: S704 - our own file
        script_hash=digest,
        size_digits=words.digits_for(c.size_bytes / 1e6 for c in report.candidates if c.size_bytes),
        latency_digits=words.digits_for(t.p50 for c in report.candidates for t in c.timings),
        largest=max((c.size_bytes for c in report.candidates if c.size_bytes), default=1),
        bars=_bars(report.candidates),
        n_files=len({(c.run.place, c.key) for c in report.candidates}),
        confusions=_confusions(report.runs),
        layers=layer_views(report.candidates),
        calibrations=calibrations(report.candidates),
        profiles=profile_views(report.candidates),
        plots=list(_plots(report)),
        devices=devices,
        sustained=sustained_views(devices),
        sustained_slices=SLICES,
        shift=report.robustness,
        learned=report.learning,
        learned_plots=report.learning.plots() if report.learning is not None else [],
        energy=any(c.joules is not None for c in report.candidates),
        runs=[_run_view(report, run, i) for i, run in enumerate(report.runs, 1)],
        fold_runs=len(report.runs) > OPEN_RUNS,
        matrix_classes=MATRIX_CLASSES,
        machines=_machines(report),
        commands=_commands(report),
        recipe=_recipe(report),
        places=_places(report),
    )


def _base64(content: bytes) -> str:
    return base64.b64encode(content).decode("ascii")


def claim_number(unit: str) -> Callable[[float | None], str]:
    """How an effect is written: points and nats with a sign, ratios with three significant digits."""

    def written(value: float | None) -> str:
        if value is None:
            return words.NONE
        if unit == "nats":
            return words.signed(value, 3)
        return words.points(value / 100) if unit == "points" else words.significant(value)

    return written


def _bars(candidates: Sequence[Candidate]) -> list[Candidate]:
    """One bar per kind of file, the smallest first: files of other seeds or on another target are as large."""
    files: dict[str, Candidate] = {}
    for candidate in candidates:
        if candidate.size_bytes:
            files.setdefault(candidate.title, candidate)
    return sorted(files.values(), key=lambda c: c.size_bytes or 0)


def _confusions(runs: Sequence[RunData]) -> list[tuple[str, list[str], list[list[int]]]]:
    """Title, classes and the sum over seeds of the matrices of each kind of Keras model that has several seeds."""
    found: dict[str, list[dict[str, Any]]] = {}
    for run in runs:
        test = (run.document.get("metrics") or {}).get("test") or {}
        if test.get("confusion") and len(test["confusion"]) <= MATRIX_CLASSES:
            found.setdefault(", ".join(_kind(run)), []).append(test)
    return [
        (
            f"{title}, {text.plural(len(tests), 'seed')}",
            [row["label"] for row in tests[0]["per_class"]],
            [[sum(cells) for cells in zip(*rows)] for rows in zip(*(test["confusion"] for test in tests))],
        )
        for title, tests in found.items()
        if len(tests) > 1
    ]


def _plots(report: Report) -> Iterator[Plot]:
    for t, target in enumerate(report.targets, 1):
        groups = report.of_target(target)
        for threads in thread_counts(groups):
            points, left_out = _points(report, target, groups, threads)
            if not points:
                continue
            caption = f"{target}, {threads_text(threads)}"
            if not all(point.stable for point in points):
                caption += "; pale: unstable, in no comparison"
            if left_out:
                caption += f"; not shown, because emulated, failed or not scored: {text.listing(left_out, 8)}"
            name = f"plot-{t}-{threads}"
            label = f"latency, p50 in ms, {threads_text(threads)} (logarithmic)"
            yield Plot(
                caption,
                accuracy_latency(points, name=f"{name}-wide", width=560, height=400, xlabel=label),
                accuracy_latency(points, name=f"{name}-narrow", width=350, height=380, xlabel=label),
            )


def _points(report: Report, target: str, groups: Sequence[Group], threads: int) -> tuple[list[Point], list[str]]:
    """What can be drawn, and the numbers of what cannot."""
    front = report.front(target, threads)
    families = {(g.first.model, g.first.strategy_title) for g in groups}
    by_strategy = len({strategy for _, strategy in families}) > 1 and len(families) <= len(SERIES)
    points, left_out = [], []
    for group in groups:
        p50 = group.real_p50(threads)
        if p50 is None or group.accuracy is None or group.interval is None:
            left_out.append(str(group.number))
            continue
        family = f"{group.first.model}, {group.first.strategy_title}" if by_strategy else group.first.model
        points.append(
            Point(
                group.number,
                group.title,
                family,
                group.first.key,
                p50,
                group.p50_range(threads) or (p50, p50),
                group.accuracy,
                group.interval,
                group in front,
                group.stable(threads),
            )
        )
    return points, left_out


def _run_view(report: Report, run: RunData, number: int) -> RunView:
    anchor = f"run-{number}"
    last = all(_kind(other) != _kind(run) for other in report.runs[number:])
    test = (run.document.get("metrics") or {}).get("test") or {}
    matrix = test.get("confusion") or []
    many = len(matrix) > MATRIX_CLASSES
    names = [row["label"] for row in test.get("per_class", [])]
    wrong = [(n, names[i], names[j]) for i, row in enumerate(matrix) for j, n in enumerate(row) if i != j and n]
    return RunView(
        anchor=anchor,
        data=run,
        title=f"{model_title(run.document)}, {strategy_title(run.document)}, seed {run.document['seed']}",
        score=run_score(run),
        test=test,
        curves=[
            (quantity, curves(run.history, quantity, name=f"{anchor}-{quantity}", width=380, height=250))
            for quantity in ("loss", "accuracy")
            if run.history
        ],
        heat_map=confusion(matrix, name=f"{anchor}-confusion", side=420) if many else None,
        confused=sorted(wrong, key=lambda entry: -entry[0])[:10] if many else [],
        reported=[row for row in report.reported if row.kind == _kind(run)] if last else [],
    )


def _kind(run: RunData) -> tuple[str, str]:
    return model_title(run.document), strategy_title(run.document)


def _machines(report: Report) -> list[tuple[str, list[tuple[str, str]]]]:
    """Where it was trained and where it was measured: a heading and facts; equal ones once."""
    found: dict[tuple[tuple[str, str], ...], str] = {}
    for run in report.runs:
        found.setdefault(tuple(_training_facts(run.document.get("environment") or {})), "Training")
    for candidate in report.candidates:
        if candidate.result is not None:
            facts = _target_facts(candidate.result.document["environment"], candidate.result.document["protocol"])
            found.setdefault(tuple(facts), f"Measured on {candidate.target}")
    return [(heading, list(facts)) for facts, heading in found.items() if facts]


def _training_facts(machine: dict[str, Any]) -> Iterator[tuple[str, str]]:
    for name in ("cpu", "cores", "usable_cores", "gpu", "platform", "python", "backend"):
        if machine.get(name) is not None:
            yield name.replace("_", " "), str(machine[name])
    if machine.get("versions"):
        yield "versions", _versions(machine["versions"])


def _target_facts(stored: dict[str, Any], protocol: dict[str, Any]) -> Iterator[tuple[str, str]]:
    before, after = stored["before"], stored["after"]
    for name in ("cpu", "board", "cores", "usable_cores", "architecture", "os", "kernel", "python", "emulated"):
        if before.get(name) is not None:
            yield name.replace("_", " "), str(before[name])
    if before.get("memory_total_bytes"):
        yield "memory", f"{words.number(before['memory_total_bytes'] / 1e9, 1)} GB"
    if before.get("versions"):
        yield "versions", _versions(before["versions"])
    for name, unit, scale in (("frequency_khz", "GHz", 1e6), ("temperature_c", "°C", 1), ("others_cores", "cores", 1)):
        values = [state.get(name) for state in (before, after)]
        if any(value is not None for value in values):
            title = "used by other programs" if name == "others_cores" else name.rpartition("_")[0]
            first, last = (words.number(None if value is None else value / scale, 1) for value in values)
            yield title, f"{first} {unit} before, {last} {unit} after"
    if before.get("governor"):
        yield "governor", str(before["governor"])
    if before.get("load_average"):
        yield "load average", ", ".join(f"{value:.2f}" for value in before["load_average"]) + " before"
    numbers = ", ".join(f"{key} {value:,}" for key, value in protocol.items() if key != "name")
    yield "protocol", f"{protocol['name']} ({numbers})" if numbers else str(protocol["name"])


def _versions(versions: dict[str, Any]) -> str:
    return ", ".join(f"{name} {version}" for name, version in versions.items())


def _recipe(report: Report) -> str | None:
    """The recipe as YAML: the study's, or the run's; None where only its name is known."""
    recipe = recipe_of(report.source)
    return (
        str(yaml.safe_dump(without_places(recipe), sort_keys=False, allow_unicode=True, width=100)) if recipe else None
    )


def _places(report: Report) -> list[str]:
    """Names in the recipe of what lay somewhere on the machine: the folder of images, the file of weights."""
    recipe = recipe_of(report.source)
    data, weights = (recipe.get("data") or {}).get("path"), (recipe.get("model") or {}).get("weights")
    found = [f"{place_name(data)} (--data)"] if data else []
    return found + (
        [f"{place_name(weights)} (--set model.weights)"] if weights not in (None, "imagenet", "none") else []
    )


def _commands(report: Report) -> list[str]:
    """The commands that make this folder again, wherever that is."""
    place = shlex.quote(report.source.path.resolve().name)
    targets = [word for target in report.targets if report.targets != ["local"] for word in ("--target", target)]
    if report.source.study is not None:
        recipe = report.source.study.get("recipe")
        name = shlex.quote(recipe) if isinstance(recipe, str) else "recipe.yaml"
        return [
            " ".join(["edgekit compare", name, "--out", place, *map(shlex.quote, targets)]),
            f"edgekit report {place}",
        ]
    commands = [f"edgekit train recipe.yaml --run {place}", f"edgekit export {place}"]
    for target in report.targets:
        first = next(c.result for c in report.candidates if c.result is not None and c.target == target)
        threads = ",".join(str(latency.threads) for latency in first.latency)
        commands.append(
            f"edgekit bench {place} --target {shlex.quote(target)} --protocol {first.document['protocol']['name']}"
            + (f" --threads {threads}" if threads else "")
        )
    return [*commands, f"edgekit report {place}"]
