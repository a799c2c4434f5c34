"""Predictions and verifications, as `predict`, `verify` and `deploy` print them."""

from __future__ import annotations

import shlex
from pathlib import Path, PurePath

from edgekit.cli.output import table
from edgekit.documents.verification import DeploymentReport, PredictionReport, SampleReport, VerificationReport
from edgekit.documents.web_page import WebPageReport
from edgekit.render.numbers import NONE, percent
from edgekit.render.setting import setting_text


def predictions_text(report: PredictionReport) -> str:
    """A row for each image, with its most probable classes."""
    rows = [
        [PurePath(one.image).name, "  ".join(f"{found.label} {percent(found.probability)}%" for found in one.top)]
        for one in report.predictions
    ]
    return table(["image", "classes"], rows)


def verification_text(report: VerificationReport) -> str:
    """A row for each file: whether it gives the golden outputs."""
    rows = [
        [
            "yes" if one.ok else "NO",
            one.id,
            f"{one.n_same}/{one.n_inputs}",
            NONE if one.max_difference is None else f"{one.max_difference:.2g}",
            "" if one.runtime is None else " ".join(filter(None, (one.runtime.name, one.runtime.version))),
        ]
        for one in report.results
    ]
    return table(["ok", "file", "same class", "max diff", "runtime"], rows, right=(2, 3))


def deployment_text(report: DeploymentReport) -> str:
    """Where the model was copied to, and how to use it there."""
    check = report.verification
    if report.rejected is not None:
        return f"not updated: {report.folder} on {report.target}"
    done = "updated" if report.replaced_sha256 is not None else "copied to"
    drift = "" if report.statistics_images is None else f"drift check: against {report.statistics_images} test images\n"
    setting = "" if report.settings is None else f"\nit runs with: {setting_text(report.settings)} (tuned)"
    return (
        f"{done} {report.folder} on {report.target}: {check.n_same} of {check.n_inputs} golden outputs agree\n"
        f"{drift}"
        f"run there: cd {shlex.quote(report.folder)} && {report.command}{setting}"
    )


def sample_text(report: SampleReport, folder: Path) -> str:
    """What was written where. ``folder``: as the user wrote it."""
    return (
        f"wrote {folder}: sample program ({report.language}) for {report.model}\n"
        f"build and run it as {folder / 'README.md'} says"
    )


def web_page_text(report: WebPageReport, folder: Path) -> str:
    """Where the page is, whether it was checked, and how to open it. ``folder``: as the user wrote it."""
    lines = [
        f"wrote {folder} ({report.size_bytes / 1e6:.1f} MB) with {' and '.join(file.key for file in report.files)}"
    ]
    if report.checked_in and not report.problems:
        lines.append(f"checked: golden outputs agree in {report.checked_in}")
    lines.append(f"open it: python3 -m http.server --directory {shlex.quote(str(folder))}, then http://localhost:8000")
    lines.append("publish it: copy the folder to any web server, such as GitHub Pages")
    return "\n".join(lines)
