"""``edgekit data``: audit an image folder before you trust measurements on it, and download a public dataset."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edgekit.cli.options import JsonOption, LabelsFromOption, QuietOption
from edgekit.cli.output import Output, class_rows, table
from edgekit.errors import CheckFailed

if TYPE_CHECKING:
    from edgekit.documents.audit import AuditDocument, LeakedImage

WIDTH = 79
MOST_CORRUPT = 5

data_app = typer.Typer(
    help="Audit a folder of images, or download a public dataset.\n\nExample: edgekit data audit photos",
    no_args_is_help=True,
    rich_markup_mode=None,
)


@data_app.command("audit")
def audit(
    data: Annotated[Path, typer.Argument(help="Folder of labelled images.", metavar="DATA", show_default=False)],
    labels_from: LabelsFromOption = None,
    near: Annotated[
        int,
        typer.Option("--near", help="Largest number of differing bits, of 256, in near duplicates.", metavar="BITS"),
    ] = 26,
    strict: Annotated[bool, typer.Option("--strict", help="Exit with code 3 if the audit finds a problem.")] = False,
    json_mode: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Check an image folder for duplicates, wrong labels and shortcuts.

    Counts images by class, size and mode. Finds corrupt files, exact and near duplicates within and across splits,
    duplicates with different labels, and shortcuts: properties such as mode or size that predict the class. Does not
    find copies that were cropped, rotated or mirrored, or modified copies of nearly blank images.

    Example: edgekit data audit photos --json > audit.json
    """
    out = Output(json_mode=json_mode, quiet=quiet)
    from edgekit.data.audit.summary import audit_folder

    document = audit_folder(data, labels_from=labels_from or "auto", near_bits=near, progress=out).document()
    out.result(document.to_dict(), audit_text(document))
    if strict and (problems := _problems(document)):
        out.warn(f"the audit found {', '.join(problems)}")
        raise typer.Exit(CheckFailed.exit_code)


def audit_text(document: AuditDocument) -> str:
    """The audit as text, at most 79 columns wide."""
    splits = list(document.splits)
    rows = class_rows(document.classes, list(document.classes[splits[0]]))
    parts = [table(["images", *splits], rows, right=range(1, len(splits) + 1)), "", *_properties(document), ""]
    parts += [_duplicates_table(document), "", *_findings(document)]
    return "\n".join(parts)


def _properties(document: AuditDocument) -> list[str]:
    sizes = document.sizes
    common = ", ".join(f"{size} ({n:,})" for size, n in sizes.most_common.items())
    hidden = sizes.distinct - len(sizes.most_common)
    more = f" and {hidden:,} more sizes" if hidden > 0 else ""
    return [
        _wrapped("sizes", f"{common}{more}"),
        _wrapped("modes", ", ".join(f"{mode} {n:,}" for mode, n in document.modes.items())),
        _wrapped("formats", ", ".join(f"{name} {n:,}" for name, n in document.formats.items())),
    ]


def _duplicates_table(document: AuditDocument) -> str:
    exact, near = document.exact_duplicates, document.near_duplicates
    rows = [
        [
            f"{split if split != 'all' else ''} images that duplicate an earlier one".strip(),
            f"{n:,}",
            f"{near.within[split]:,}",
        ]
        for split, n in exact.within.items()
    ]
    rows += [
        [f"{a.b} images that duplicate a {a.a} image", f"{a.n_files:,}", f"{b.n_files:,}"]
        for a, b in zip(exact.across, near.across)
    ]
    return table(["", "same pixels", f"near (<= {near.max_distance} bits)"], rows, right=(1, 2))


def _findings(document: AuditDocument) -> list[str]:
    """What makes measurements on these images unreliable, one finding per line."""
    from edgekit.render.baselines import baselines_text

    lines = [*_corrupt(document), *_label_conflicts(document)]
    for shortcut in document.shortcuts:
        lines.append(
            _wrapped(
                "shortcut",
                f"the {shortcut.property} alone predicts the class of {100 * shortcut.accuracy:.1f}% of the images "
                f"(the largest class has {100 * shortcut.largest_class:.1f}%)",
            )
        )
    leaks = document.leaked_test_images
    if leaks:
        test = document.splits["test"]
        lines.append(
            _wrapped(
                "leaked",
                f"{len(leaks):,} of {test:,} test images ({100 * len(leaks) / test:.1f}%) are duplicates of training "
                f"or validation images: {_distances(leaks)}. Accuracy on this test set may be optimistic; "
                "data.split.dedupe: true leaves the duplicates out of training",
            )
        )
    found = [] if document.baselines is None else [_wrapped("baselines", baselines_text(document.baselines))]
    return [*(lines or ["found no problems"]), *found, *_similar(document)]


def _similar(document: AuditDocument) -> list[str]:
    """Groups of similar images over the thresholds, and the one that is proposed for a split."""
    from edgekit.render.baselines import similarity_text

    curve = document.similarity
    if curve is None:
        return []
    rows = [
        [
            f"{row.threshold:g}{' *' if row.threshold == curve.proposed else ''}",
            f"{row.n_groups:,}",
            f"{100 * row.largest_group:.1f}",
            f"{100 * row.nearest_neighbour:.1f}",
        ]
        for row in curve.thresholds
    ]
    headers = ["similar within", "groups", "largest group, %", "nearest neighbour of another group, %"]
    return ["", table(headers, rows, right=(1, 2, 3)), _wrapped("* proposed", similarity_text(curve))]


def _corrupt(document: AuditDocument) -> list[str]:
    lines = [f"corrupt: {entry.path}: {entry.reason}" for entry in document.corrupt[:MOST_CORRUPT]]
    if len(document.corrupt) > MOST_CORRUPT:
        lines.append(f"corrupt: {len(document.corrupt) - MOST_CORRUPT} more (see --json)")
    return lines


def _label_conflicts(document: AuditDocument) -> list[str]:
    lines = []
    for kind, what in (("exact", "the same pixels"), ("near", "nearly the same pixels")):
        found = [conflict for conflict in document.label_conflicts if conflict.kind == kind]
        if found:
            files = " and ".join(f"{file.path} ({file.label})" for file in found[0].files[:2])
            times = "once" if len(found) == 1 else f"{len(found):,} times"
            lines.append(_wrapped("labels", f"{what} with different labels {times}, for example {files}"))
    return lines


def _distances(leaks: Sequence[LeakedImage]) -> str:
    """How close the test images are to the images that they duplicate."""
    exact = sum(leak.exact for leak in leaks)
    found = [f"{exact:,} with the same pixels"] if exact else []
    low = 0
    for high in (8, 16, 26, 256):
        n = sum(not leak.exact and low <= leak.distance <= high for leak in leaks)
        if n:
            largest = min(high, max(leak.distance for leak in leaks))
            found.append(f"{n:,} at a distance of {low} to {largest} bits")
        low = high + 1
    return ", ".join(found)


def _problems(document: AuditDocument) -> list[str]:
    conflicts = sum(conflict.kind == "exact" for conflict in document.label_conflicts)
    found = (
        (len(document.corrupt), "corrupt file", "corrupt files"),
        (len(document.leaked_test_images), "leaked test image", "leaked test images"),
        (conflicts, "image with different labels", "images with different labels"),
        (len(document.shortcuts), "shortcut", "shortcuts"),
    )
    return [f"{n:,} {one if n == 1 else many}" for n, one, many in found if n]


def _wrapped(label: str, text: str) -> str:
    return textwrap.fill(f"{label:10}{text}", width=WIDTH, subsequent_indent=" " * 10, break_long_words=False)


@data_app.command("fetch", short_help="Download a public dataset from Kaggle.")
def fetch(
    name: Annotated[str, typer.Argument(help="brain-tumor-mri or jellyfish.", metavar="NAME", show_default=False)],
    json_mode: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Download a public dataset from Kaggle, or find it in Kaggle's cache.

    Requires the package kagglehub (pip install "edgekit[data]") and, the first time, a network connection.

    Example: edgekit data fetch brain-tumor-mri
    """
    out = Output(json_mode=json_mode, quiet=quiet)
    from edgekit.data.fetch import fetch as fetch_dataset

    document = fetch_dataset(name, progress=out)
    out.result(document.to_dict(), f"{document.folder}\n\nnext: edgekit data audit {document.folder}")
