"""`edgekit bench`: latency, memory, size and accuracy of files, measured alike."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from edgekit.cli.options import JsonOption, LabelsOption, QuietOption, ResizeOption, RuntimeOption, ScalingOption
from edgekit.cli.output import Output, table
from edgekit.errors import InputError

if TYPE_CHECKING:
    from edgekit.documents.bench import BenchResult

NAME_WIDTH = 33
WIDTH = 80


def bench(
    paths: Annotated[
        list[Path],
        typer.Argument(help="Run folders, or .tflite/.onnx files (also foreign ones).", metavar="RUN_OR_MODEL"),
    ],
    target: Annotated[
        list[str] | None,
        typer.Option(
            "--target",
            help="Machine to measure on; several at once: repeat it.",
            metavar="NAME",
            show_default="local",
        ),
    ] = None,
    protocol: Annotated[
        str | None,
        typer.Option(
            "--protocol",
            help="quick (2 s a file), standard (10 s), full (60 s), or check (3 runs: does it run at all). "
            "Default: the recipe's, else standard.",
            show_default=False,
        ),
    ] = None,
    threads: Annotated[
        str | None,
        typer.Option(
            "--threads",
            help="Thread counts; 0 is all cores. Default: the recipe's, else 1,0.",
            metavar="1,4",
            show_default=False,
        ),
    ] = None,
    data: Annotated[
        Path | None,
        typer.Option(
            "--data",
            help="Where the run's images are now; for a foreign file: a folder of classes to score it on.",
            metavar="DIR",
            show_default=False,
        ),
    ] = None,
    images: Annotated[
        int | None,
        typer.Option("--images", min=0, help="Score on at most N test images; 0: no accuracy.", show_default=False),
    ] = None,
    sustained: Annotated[
        str | None,
        typer.Option(
            "--sustained",
            help="Also run every file so long without a pause (10m), and show its latency over time.",
            metavar="TIME",
            show_default=False,
        ),
    ] = None,
    profile: Annotated[
        bool, typer.Option("--profile", help="Also take the time of each kind of operator, as the runtime tells it.")
    ] = False,
    runtime: RuntimeOption = None,
    labels: LabelsOption = None,
    scaling: ScalingOption = None,
    resize: ResizeOption = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            help="Foreign file: results go to DIR/bench/TARGET. Default: beside it.",
            metavar="DIR",
            show_default=False,
        ),
    ] = None,
    json_mode: JsonOption = False,
    quiet: QuietOption = False,
) -> int:
    """Measure every file in one session: interleaved latency, peak memory, size, accuracy on the test images.

    All files given are measured in turns, in short blocks in a random order, so that they can be compared; one of
    them is measured twice, and differences no larger than between the two are reported as none.

    \b
    Examples:
      edgekit bench runs/mobilenetv2 runs/vgg16 --threads 1,4
      edgekit bench runs/mobilenetv2 --profile
    """
    from edgekit.bench.energy_and_sustained import parse_duration
    from edgekit.bench.models import ForeignOptions
    from edgekit.bench.multi_target import bench_several
    from edgekit.bench.session import BenchOptions
    from edgekit.report.model.sessions import bench_document

    output = Output(json_mode=json_mode, quiet=quiet)
    options = BenchOptions(
        protocol=protocol,
        threads=None if threads is None else parse_threads(threads),
        data=data,
        images=images,
        runtime=runtime,
        sustained_s=None if sustained is None else parse_duration(sustained),
        profile=profile,
        foreign=ForeignOptions(labels, scaling, resize, out),
    )
    results, errors = bench_several(paths, target or ["local"], options, output)
    document = bench_document(results)
    if errors:
        document["errors"] = {name: error.problem for name, error in errors.items()}
    output.result(document, "" if json_mode else describe(results, document))
    for error in errors.values():
        output.warn(str(error))
    for result in results:
        if not result.ok:
            output.warn(f"{result.id} failed: {'; '.join(result.document['problems'])}")
    if errors:
        return next(iter(errors.values())).exit_code
    return 0 if all(result.ok for result in results) else 1


def parse_threads(text: str) -> tuple[int, ...]:
    """``1,4`` as numbers; :class:`InputError` otherwise."""
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError:
        raise InputError(f"--threads takes numbers such as 1,4, not {text!r}") from None


def describe(results: Sequence[BenchResult], document: dict[str, Any]) -> str:
    """The tables for people, at most 80 columns: of each target, and one with a column each where there are several."""
    names = short_names(results)
    targets = list(dict.fromkeys(result.document["target"] for result in results))
    if len(targets) == 1:
        return _describe_target(results, document, names)
    from edgekit.cli.render.targets_table import describe_targets
    from edgekit.report.model.sessions import bench_document

    parts = []
    for target in targets:
        own = [result for result in results if result.document["target"] == target]
        parts.append(f"== {target}\n\n{_describe_target(own, bench_document(own), names)}")
    return "\n\n".join([*parts, "== all targets", describe_targets(document, names, targets)])


def _describe_target(results: Sequence[BenchResult], document: dict[str, Any], names: dict[str, str]) -> str:
    from edgekit.cli.render.energy import agreement_text, conditions_text, energy_text, sustained_text
    from edgekit.cli.render.operator_profile import profiles_text
    from edgekit.report.model.sessions import worth_text

    counts = sorted({row["threads"] for row in document["results"] if row["threads"] is not None})
    parts = [_files_table(results, names), *(_latency_table(n, document, names) for n in counts)]
    reasons = sorted({reason for row in document["results"] for reason in row["unstable"]})
    if reasons:
        parts.append("unstable (marked !; cannot win a comparison):\n" + "\n".join(f"  {reason}" for reason in reasons))
    doubtful = [f"{names[entry['model']]}: {worth_text(entry)}" for entry in document["not_worth_it"]]
    if doubtful:
        wrap = textwrap.TextWrapper(WIDTH, initial_indent="  ", subsequent_indent="    ")
        parts.append("\n".join(["not worth it here:", *(wrap.fill(text) for text in doubtful)]))
    asked = (profiles_text(results, names), sustained_text(results, names))
    more = (energy_text(results, names), agreement_text(results, names))
    parts += [text for text in (*asked, *more, conditions_text(results)) if text]
    parts.append("results: " + "\n         ".join(sorted({str(result.path.parent) for result in results})))
    return "\n\n".join(parts)


def short_names(results: Sequence[BenchResult]) -> dict[str, str]:
    """A name for each file by its id: the backbone, what else differs between the runs, and the export."""
    runs = [result.document for result in results if result.document["run_id"] is not None]
    differing = [key for key in ("strategy", "seed") if len({run[key] for run in runs}) > 1]
    names = {}
    for result in results:
        document = result.document
        if document["run_id"] is None:
            name = result.id
        else:
            name = " ".join([document["backbone"], *(str(document[key]) for key in differing), document["key"]])
        names[result.id] = name
    duplicates = {name for name in names.values() if list(names.values()).count(name) > 1}
    return {key: _fit(key if name in duplicates else name, NAME_WIDTH) for key, name in names.items()}


def _fit(name: str, width: int) -> str:
    """Long names lose their middle: both ends tell files apart."""
    if len(name) <= width:
        return name
    tail = (width - 2) // 2
    return f"{name[: width - 2 - tail]}..{name[-tail:]}"


def _fitted(headers: list[str], rows: list[list[str]]) -> str:
    """A table of names and figures in 80 columns: long figures cost the names their middle."""
    right = (1, 2, 3, 4)
    text = table(headers, rows, right=right)
    excess = max(map(len, text.splitlines())) - WIDTH
    if excess <= 0:
        return text
    width = max(len(row[0]) for row in rows) - excess
    return table(headers, [[_fit(row[0], width), *row[1:]] for row in rows], right=right)


def _files_table(results: Sequence[BenchResult], names: dict[str, str]) -> str:
    rows = []
    for result in results:
        row = result.rows()[0]
        interval = result.accuracy_ci95
        accuracy = "-" if interval is None else f"{row['accuracy']:.1%} [{interval[0]:.1%}, {interval[1]:.1%}]"
        size, packed, memory = (_megabytes(row[k]) for k in ("size_bytes", "gzip_bytes", "peak_rss_bytes"))
        rows.append([names[result.id], accuracy, size, packed, memory])
    return _fitted(["file", "accuracy [95%]", "MB", "gzip MB", "RSS MB"], rows)


def _latency_table(threads: int, document: dict[str, Any], names: dict[str, str]) -> str:
    against = {c["model"]: c for c in document["comparisons"] if c["threads"] == threads}
    measured = [row for row in document["results"] if row["threads"] == threads]
    emulated = ", emulated" * any(row["emulated"] for row in measured)
    title = f"{threads} thread{'s' * (threads > 1)}{emulated}"
    if all(row["latency_ms_p50"] is None for row in measured):
        runs = min(len(row["latency_ns"]) for row in measured)
        text = f"{title}: every file ran {runs} times, too few for a percentile (--protocol quick has enough)"
        return textwrap.fill(text, WIDTH, subsequent_indent="  ", break_on_hyphens=False)
    rows = []
    for row in measured:
        comparison = against.get(row["id"])
        ratio = _ratio(comparison) if comparison is not None else "-" if _uncompared(row) else "1"
        times = [_milliseconds(row[f"latency_ms_p{p}"]) for p in (50, 90, 99)]
        rows.append([names[row["id"]], *times, ratio])
    headers = ["file", "p50 ms", "p90 ms", "p99 ms", "x fastest [95%]"]
    if any(row["unstable"] for row in measured):
        headers.append("!")
        rows = [[*cells, "!" if row["unstable"] else ""] for cells, row in zip(rows, measured)]
    text = _fitted(headers, rows)
    control = document["noise_floor"].get(str(threads))
    note = ""
    if control is not None:
        low, high = control["floor"]
        name = names[control["model"]]
        note = f"\nA/A control {name}: [{low:.3f}, {high:.3f}] is no difference (=)"
    return f"{title}\n{text}{note}"


def _uncompared(row: dict[str, Any]) -> bool:
    return row["latency_ms_p50"] is None or bool(row["emulated"])


def _ratio(comparison: dict[str, Any]) -> str:
    low, high = comparison["ratio_ci95"]
    same = "= " if comparison["verdict"] == "no difference measured" else ""
    return f"{same}{comparison['ratio']:.2f} [{low:.2f}, {high:.2f}]"


def _milliseconds(value: float | None) -> str:
    return "-" if value is None else f"{value:.3g}" if value < 1000 else f"{value:.0f}"


def _megabytes(value: int | None) -> str:
    if value is None:
        return "-"
    return f"{value / 1e6:.1f}" if value >= 100_000 else f"{value / 1e6:.3f}"
