"""The table backbone x scheme of studies and runs: what every kind of smaller file costs and brings.

    edgekit compare quantization --data DIR --out STUDY
    python benchmarks/quantization.py STUDY [STUDY ...] --out quantization.json

Accuracy, agreement with the Keras model and latency are those of `edgekit bench` on the test images; ``ratio`` is the
time over that of the fp32 file of the same format, per interleaved round, with its 95% interval. ``val`` is what the
export found: points of accuracy against the Keras model on validation images. A file that failed its check is in the
table and was not measured. The JSON also has the gate, the agreement of a file with the network that was trained for
it, the part of weights that is 0, and the settings and history of that training.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from common import show, told, write_result

from edgekit.documents.bench import BenchResult, run_results
from edgekit.documents.folders import RunFolder
from edgekit.errors import EdgekitError, InputError
from edgekit.registry import SCHEMES
from edgekit.stats.latency import compare_rounds


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", type=Path, nargs="+", help="studies or runs with their exports and measurements")
    parser.add_argument("--target", default="local")
    parser.add_argument("--out", type=Path, help="write the rows with what they were computed from as JSON")
    arguments = parser.parse_args()
    try:
        rows = [
            row for folder in arguments.folders for run in runs_in(folder) for row in rows_of(run, arguments.target)
        ]
        if not rows:
            raise InputError("no exported file was found", where=", ".join(map(str, arguments.folders)))
        write_result(arguments.out, "quantization", {"target": arguments.target, "rows": rows})
    except EdgekitError as error:
        return told(error)
    headers = ["file", "acc %", "same", "val", "MB", "gz MB", "ms", "ratio"]
    for run_id in dict.fromkeys(row["run_id"] for row in rows):
        own = [row for row in rows if row["run_id"] == run_id]
        first = own[0]
        print(
            f"\n{first['backbone']}, {first['strategy']}, {first['image_size']} px, "
            f"Keras {first['keras_accuracy']:.1%} of {first['n_test']:,} test images"
        )
        show(headers, [cells(row) for row in own], right=(1, 2, 3, 4, 5, 6))
    return 0


def runs_in(folder: Path) -> Iterator[RunFolder]:
    """The finished runs of a study, or the run that ``folder`` is."""
    for path in [folder] if (folder / "run.json").is_file() else sorted((folder / "runs").glob("*")):
        if (path / "run.json").is_file() and RunFolder(path).read_run().done:
            yield RunFolder(path)


def rows_of(run: RunFolder, target: str) -> Iterator[dict[str, Any]]:
    """One row for every file of a run, in the order of the table of schemes."""
    document = run.read_finished_run()
    results = {result.bench.key: result for result in run_results(run, target)}
    exports = {export.key: export.read_export() for export in run.done_exports()}
    for key in (key for key in SCHEMES if key in exports):
        export, result = exports[key], results.get(key)
        if result is not None and result.bench.sha256 != export.sha256:
            result = None  # measured before it was exported again
        gate, trained, weights = export.gate, export.parity.trained, export.weights
        kept = {"status", "drop_points", "lower95_points", "upper95_points", "n_samples"}
        yield {
            "run_id": document.run_id,
            "backbone": document.backbone,
            "strategy": document.strategy,
            "image_size": document.recipe.data.image_size,
            "keras_accuracy": document.accuracy,
            "n_test": document.n_samples,
            "file": key,
            "status": export.status,
            "problems": export.problems,
            "size_bytes": export.size_bytes,
            "gzip_bytes": export.gzip_bytes,
            "integer_only": export.integer_only,
            "export_seconds": export.seconds,
            "gate": gate and gate.model_dump(mode="json", include=kept),
            "training": export.training and export.training.model_dump(mode="json"),
            "agreement_with_trained": trained and trained.agreement,
            "zero_share": weights and weights.n_zero / weights.n_weights,
            **measured(result, results.get(f"{export.format}-fp32")),
        }


def measured(result: BenchResult | None, fp32: BenchResult | None) -> dict[str, Any]:
    """What the bench found of a file; ``ratio`` to the fp32 file where both were measured in the same rounds."""
    if result is None or not result.ok:
        return dict.fromkeys(("accuracy", "accuracy_ci95", "agreement_with_keras", "latency_ms_p50", "ratio"))
    accuracy = result.bench.accuracy
    latency = result.latency[0] if result.latency else None
    ratio = None
    if latency is not None and fp32 is not None and fp32.ok and fp32 is not result and fp32.latency:
        same = fp32.bench.session_id == result.bench.session_id
        if same and len(fp32.latency[0].rounds) == len(latency.rounds):
            ratio = compare_rounds(latency.rounds, fp32.latency[0].rounds).document()
    return {
        "accuracy": None if accuracy is None else accuracy.accuracy,
        "accuracy_ci95": result.accuracy_ci95,
        "agreement_with_keras": None if accuracy is None else accuracy.agreement_with_keras,
        "latency_ms_p50": None if latency is None else latency.percentile_ms(50),
        "ratio": ratio,
    }


def cells(row: dict[str, Any]) -> list[str]:
    def number(value: float | None, form: str, factor: float = 1.0) -> str:
        return "-" if value is None else format(value * factor, form)

    ratio, gate = row["ratio"], row["gate"]
    low, high = ratio["ratio_ci95"] if ratio else (None, None)
    return [
        row["file"],
        number(row["accuracy"], ".1f", 100),
        number(row["agreement_with_keras"], ".1f", 100),
        number(gate and 0.0 - gate["drop_points"], "+.1f"),
        number(row["size_bytes"], ".2f", 1e-6),
        number(row["gzip_bytes"], ".2f", 1e-6),
        number(row["latency_ms_p50"], ".2f"),
        row["status"] if row["status"] != "ok" else f"{ratio['ratio']:.2f} {low:.2f}-{high:.2f}" if ratio else "-",
    ]


if __name__ == "__main__":
    sys.exit(main())
