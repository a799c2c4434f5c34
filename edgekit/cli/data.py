"""``edgekit data``: look at a dataset before believing what is measured on it, and get a public one."""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import Annotated, Any

import typer

from edgekit.cli.options import JsonOption, QuietOption
from edgekit.cli.output import Output, table
from edgekit.errors import CheckFailed

WIDTH = 79

data_app = typer.Typer(
    help="Audit a folder of images, or get a public dataset.\n\nExample: edgekit data audit photos",
    no_args_is_help=True,
    rich_markup_mode=None,
)


@data_app.command("audit")
def audit(
    data: Annotated[Path, typer.Argument(help="Folder of labelled images.", metavar="DATA", show_default=False)],
    near: Annotated[
        int, typer.Option("--near", help="Near duplicates differ in at most so many of 256 bits.", metavar="BITS")
    ] = 26,
    strict: Annotated[
        bool, typer.Option("--strict", help="Exit with 3 where something was found that spoils a measurement.")
    ] = False,
    json_mode: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Find what spoils a measurement: copies of test images in training, wrong labels, shortcuts.

    Counts images, classes, sizes and modes; lists files that cannot be decoded, images with the same pixels and
    images that look alike (perceptual hash, the distance in bits is shown) within and across splits, copies under
    different labels, and properties such as mode or size that tell the class without looking at the picture. Copies
    that were cropped, turned or mirrored are not found, nor changed copies of nearly blank pictures.

    Example: edgekit data audit photos --json > audit.json
    """
    out = Output(json_mode=json_mode, quiet=quiet)
    from edgekit.data.audit.summary import audit_folder

    document = audit_folder(data, near_bits=near, progress=out).document()
    out.result({"schema_version": 1, **document}, audit_text(document))
    if strict and (problems := _problems(document)):
        out.warn(f"the audit found {', '.join(problems)}")
        raise typer.Exit(CheckFailed.exit_code)


def audit_text(document: dict[str, Any]) -> str:
    """The audit for people, 79 columns."""
    splits = list(document["splits"])
    classes = document["classes"]
    rows = [[name, *(f"{classes[split][name]:,}" for split in splits)] for name in classes[splits[0]]]
    rows.append(["all", *(f"{document['splits'][split]:,}" for split in splits)])
    parts = [table(["images", *splits], rows, right=range(1, len(splits) + 1)), "", *_facts(document), ""]
    parts += [_duplicates_table(document), "", *_findings(document)]
    return "\n".join(parts)


def _facts(document: dict[str, Any]) -> list[str]:
    sizes = document["sizes"]
    common = ", ".join(f"{size} ({n:,})" for size, n in sizes["most_common"].items())
    more = "" if sizes["distinct"] <= len(sizes["most_common"]) else f" and {sizes['distinct'] - 5:,} more sizes"
    return [
        _wrapped("sizes", f"{common}{more}"),
        _wrapped("modes", ", ".join(f"{mode} {n:,}" for mode, n in document["modes"].items())),
        _wrapped("formats", ", ".join(f"{name} {n:,}" for name, n in document["formats"].items())),
    ]


def _duplicates_table(document: dict[str, Any]) -> str:
    exact, near = document["exact_duplicates"], document["near_duplicates"]
    rows = [
        [
            f"{split if split != 'all' else ''} images that repeat an earlier one".strip(),
            f"{n:,}",
            f"{near['within'][split]:,}",
        ]
        for split, n in exact["within"].items()
    ]
    rows += [
        [f"{a['b']} images that repeat one of {a['a']}", f"{a['n_files']:,}", f"{b['n_files']:,}"]
        for a, b in zip(exact["across"], near["across"])
    ]
    headers = ["", "same pixels", f"near (<= {near['max_distance']} bits)"]
    return table(headers, rows, right=(1, 2))


def _findings(document: dict[str, Any]) -> list[str]:
    lines = [f"corrupt: {entry['path']}: {entry['reason']}" for entry in document["corrupt"][:5]]
    if len(document["corrupt"]) > 5:
        lines.append(f"corrupt: {len(document['corrupt']) - 5} more, with --json")
    for kind, words in (("exact", "the same pixels"), ("near", "nearly the same picture")):
        found = [entry for entry in document["label_conflicts"] if entry["kind"] == kind]
        if found:
            told = " and ".join(f"{file['path']} ({file['class']})" for file in found[0]["files"][:2])
            times = "once" if len(found) == 1 else f"{len(found):,} times"
            lines.append(_wrapped("labels", f"{times} {words} under different labels, the first: {told}"))
    for entry in document["shortcuts"]:
        lines.append(
            _wrapped(
                "shortcut",
                f"the {entry['property']} alone tells the class of {100 * entry['accuracy']:.1f}% of the images "
                f"(always the largest class: {100 * entry['largest_class']:.1f}%)",
            )
        )
    leaks = document["leaked_test_images"]
    if leaks:
        test = document["splits"]["test"]
        lines.append(
            _wrapped(
                "leaked",
                f"{len(leaks):,} of {test:,} test images ({100 * len(leaks) / test:.1f}%) also stand in the training "
                f"images: {_bands(leaks)}. An accuracy measured on them is too high; data.split.dedupe: true leaves "
                "the copies out of training",
            )
        )
    return lines or ["nothing that spoils a measurement was found"]


def _bands(leaks: list[dict[str, Any]]) -> str:
    """How close the test images are to what they repeat."""
    exact = sum(leak["exact"] for leak in leaks)
    found = [f"{exact:,} with the same pixels"] if exact else []
    low = 0
    for high in (8, 16, 26, 256):
        n = sum(not leak["exact"] and low <= leak["distance"] <= high for leak in leaks)
        if n:
            found.append(f"{n:,} {low} to {min(high, max(leak['distance'] for leak in leaks))} bits apart")
        low = high + 1
    return ", ".join(found)


def _problems(document: dict[str, Any]) -> list[str]:
    conflicts = sum(entry["kind"] == "exact" for entry in document["label_conflicts"])
    found = (
        (len(document["corrupt"]), "corrupt file", "s"),
        (len(document["leaked_test_images"]), "leaked test image", "s"),
        (conflicts, "image", "s under different labels" if conflicts > 1 else " under different labels"),
        (len(document["shortcuts"]), "shortcut", "s"),
    )
    return [f"{n:,} {name}{'' if n == 1 and end == 's' else end}" for n, name, end in found if n]


def _wrapped(label: str, text: str) -> str:
    return textwrap.fill(f"{label:10}{text}", width=WIDTH, subsequent_indent=" " * 10, break_long_words=False)


@data_app.command("fetch")
def fetch(
    name: Annotated[str, typer.Argument(help="brain-tumor-mri or jellyfish.", metavar="NAME", show_default=False)],
    json_mode: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Get a public dataset from Kaggle, once; later calls find it in Kaggle's cache.

    Needs the package kagglehub (pip install "edgekit[data]") and a network.

    Example: edgekit data fetch brain-tumor-mri
    """
    out = Output(json_mode=json_mode, quiet=quiet)
    from edgekit.data.fetch import fetch as fetch_dataset

    document = fetch_dataset(name, progress=out)
    text = f"{document['folder']}\n\nnext: edgekit data audit {document['folder']}"
    out.result({"schema_version": 1, **document}, text)
