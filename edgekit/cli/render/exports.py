"""Terminal tables of `edgekit export`: the exported files, and their most sensitive layers."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

from edgekit.cli.output import table
from edgekit.documents.export import ExportDocument, LayerSensitivity
from edgekit.render.exports import calibration_text, ranked_name, repair_text, training_text

LAYERS_SHOWN = 8
WIDTH = 80


def exports_summary(documents: Sequence[ExportDocument]) -> str:
    """The table of the files, followed by calibration, compression, repair and sensitivity where there are any."""
    parts = [_files(documents)]
    for document in documents:
        if document.calibration and document.calibration.ranges:
            parts.append(textwrap.fill(f"{document.key}: {calibration_text(document.calibration)}", WIDTH))
        if document.training:
            parts.append(textwrap.fill(f"{document.key}: {training_text(document)}", WIDTH))
        if document.repair:
            parts.append(
                textwrap.fill(f"{document.key} was repaired: {repair_text(document.repair, document.gate)}", WIDTH)
            )
        if document.sensitivity:
            parts.append(_layers(document.key, document.sensitivity))
    return "\n\n".join(parts)


def _files(documents: Sequence[ExportDocument]) -> str:
    headers = ["file", "MB", "gzip MB", "agree", "pt lost (max)", "floats", "status"]
    files = table(headers, [_row(document) for document in documents], right=(1, 2, 3, 4, 5))
    gated = [document.gate for document in documents if document.gate is not None]
    if not gated:
        return files
    note = f"(max): upper 95% bound of the points lost, which the accuracy gate compares with {gated[0].limit_points:g}"
    undecided = " Undecided: too few images to show that the loss is within the limit or beyond it."
    return f"{files}\n{textwrap.fill(note + '.' + undecided * any(_is_undecided(d) for d in documents), WIDTH)}"


def _is_undecided(document: ExportDocument) -> bool:
    return document.outcome == "undecided"


def _row(document: ExportDocument) -> list[str]:
    parity, gate = document.parity, document.gate
    n_disagree = parity.n_disagree
    return [
        document.key,
        f"{document.size_bytes / 1e6:.2f}",
        f"{document.gzip_bytes / 1e6:.2f}",
        "-" if n_disagree is None else f"{parity.n_images - n_disagree}/{parity.n_images}",
        "-" if gate is None else f"{gate.drop_points:.1f} ({gate.upper95_points:.1f})",
        str(sum(document.float_operators.values())),
        document.outcome,
    ]


def _layers(key: str, sensitivity: Sequence[LayerSensitivity]) -> str:
    rows = [
        [ranked_name(one), f"{one.divergence_nats:.4f}", f"{100 * one.agreement:.1f}"]
        for one in sensitivity[:LAYERS_SHOWN]
    ]
    grouped = any(one.with_next for one in sensitivity)
    alone, what = ("layers quantized alone", "groups of layers") if grouped else ("layer quantized alone", "layers")
    layers = table([alone, "divergence (nats)", "agreement %"], rows, right=(1, 2))
    return f"{key}: the most sensitive of {len(sensitivity)} {what}\n{layers}"
