"""The two quantizers of TFLite files beside each other: quality, size, seconds, memory, and latency interleaved.

    python benchmarks/quantizers.py runs/photos runs/mri --out benchmarks/results/quantizers.json

Every file is made by `edgekit export` in a process of its own, from a copy of the run. ``seconds`` is the making of the
file alone, including the float conversion that both start from; ``peak MB`` is the resident memory of the process.
The files of a run are then measured in one `edgekit bench` session, so that their ratio has an interval.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

from common import run_program, show, told, write_result

from edgekit.documents.bench import BenchResult
from edgekit.errors import EdgekitError
from edgekit.stats.latency import compare_rounds

QUANTIZERS = ("converter", "ai-edge-quantizer")
SCHEMES = ("int8", "dynamic")


def main() -> int:
    arguments = _arguments()
    results: list[dict[str, Any]] = []
    try:
        for run in arguments.runs:
            results.append(measure(run, arguments.protocol))
    except EdgekitError as error:
        return told(error)
    for result in results:
        print(f"\n{result['run']}, {result['image_size']} px, {result['images']} images")
        show(["scheme", "quantizer", "same %", "drop pt", "MB", "s", "peak MB", "p50 ms"], _rows(result), range(2, 8))
        for scheme, ratio in result["ratios"].items():
            low, high = ratio["ratio_ci95"]
            print(f"{scheme}: ai-edge-quantizer takes {ratio['ratio']:.3f} times as long [{low:.3f}, {high:.3f}]")
    write_result(arguments.out, "quantizers", {"protocol": arguments.protocol, "results": results})
    return 0


def measure(run: Path, protocol: str) -> dict[str, Any]:
    """Both quantizers and schemes of one run."""
    with tempfile.TemporaryDirectory(prefix="edgekit-bench-") as folder:
        copy = Path(shutil.copytree(run, Path(folder) / "run", ignore=shutil.ignore_patterns("exports", "bench")))
        files, models = [], []
        for scheme in SCHEMES:
            for quantizer in QUANTIZERS:
                document = _export(copy, scheme, quantizer)
                name = f"{scheme}-{quantizer}.tflite"
                models.append(Path(shutil.copy(copy / "exports" / f"tflite-{scheme}" / document["file"], folder)))
                models[-1] = models[-1].rename(models[-1].with_name(name))
                files.append({"name": name, "quantizer": quantizer, **document})
                print(f"{run.name} {name}: {document['timing']['convert_seconds']:.1f} s", file=sys.stderr)
        bench = ["-m", "edgekit", "bench", *map(str, models), "--protocol", protocol, "--threads", "1", "--json"]
        measured = run_program([*bench, "--quiet", "--images", "0", "--out", folder]).document
        stored = {r.id: r for r in map(BenchResult.read, Path(folder).glob("bench/local/*.json"))}
    kept = ("name", "quantizer", "scheme", "size_bytes", "gzip_bytes", "peak_rss_bytes", "timing", "converter",
            "integer_only", "float_operators", "status", "problems")  # fmt: skip
    return {
        "run": run.name,
        "image_size": files[0]["input"]["shape"][1],
        "images": files[0]["parity"]["n_images"],
        "files": [
            {
                **{key: file[key] for key in kept},
                "agreement": file["parity"]["agreement"],
                "mean_abs_difference": file["parity"]["mean_abs_difference"],
                "drop_points": file["gate"]["drop_points"] if file["gate"] else None,
                "rounds_ns": stored[file["name"]].latency[0].rounds,
                "latency_ms_p50": stored[file["name"]].latency[0].percentile_ms(50),
            }
            for file in files
        ],
        "ratios": {scheme: _ratio(scheme, stored) for scheme in SCHEMES},
        "noise_floor": measured["noise_floor"],
    }


def _export(run: Path, scheme: str, quantizer: str) -> dict[str, Any]:
    command = ["-m", "edgekit", "export", str(run), "--format", "tflite", f"--{scheme}", "--quantizer", quantizer]
    # A file that loses too much is a result here, no reason to stop.
    settings = ["--set", "export.max_drop=100"]
    document: dict[str, Any] = run_program([*command, *settings, "--json", "--quiet"]).document["exports"][0]
    return document


def _ratio(scheme: str, stored: dict[str, BenchResult]) -> dict[str, Any]:
    """How many times as long a run of ai-edge-quantizer's file takes as one of the converter's."""
    converter, edge = (stored[f"{scheme}-{quantizer}.tflite"].latency[0].rounds for quantizer in QUANTIZERS)
    return compare_rounds(edge, converter).document()


def _rows(result: dict[str, Any]) -> list[list[str]]:
    return [
        [
            file["scheme"],
            file["quantizer"],
            f"{100 * file['agreement']:.1f}",
            "-" if file["drop_points"] is None else f"{file['drop_points']:.1f}",
            f"{file['size_bytes'] / 1e6:.2f}",
            f"{file['timing']['convert_seconds']:.1f}",
            f"{file['peak_rss_bytes'] / 1e6:.0f}",
            "-" if file["latency_ms_p50"] is None else f"{file['latency_ms_p50']:.3g}",
        ]
        for file in result["files"]
    ]


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="+", type=Path, help="finished runs with their images where they were")
    parser.add_argument("--protocol", default="quick", help="of the latency: check, quick, standard or full")
    parser.add_argument("--out", type=Path, help="write the raw figures as JSON")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
