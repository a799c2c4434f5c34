"""Reading what `edgekit bench` wrote: typed documents, and the flat rows that scripts and reports use."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgekit.documents.base import read_json
from edgekit.documents.folders import RunFolder
from edgekit.errors import InputError

PERCENTILES = (50, 90, 95, 99)


@dataclass(frozen=True)
class Latency:
    """One thread setting of one file, batch 1. ``rounds`` are the blocks of single invokes in nanoseconds."""

    threads: int
    threads_effective: float
    """How many cores were busy while it ran."""
    load_ns: int
    first_ns: int
    warmup_ns: tuple[int, ...]
    rounds: tuple[tuple[int, ...], ...]
    preprocess_ns: tuple[int, ...]
    """Decode, resize and scale of single images."""
    postprocess_ns: tuple[int, ...]
    unstable: tuple[str, ...]
    """Reasons why this cannot win a comparison; empty: the machine was quiet."""

    @property
    def samples_ns(self) -> list[int]:
        """All measured invokes, in order."""
        return [sample for block in self.rounds for sample in block]

    def percentile_ms(self, p: int) -> float | None:
        """The ``p``-th percentile in milliseconds; None where there are too few runs to carry it."""
        from edgekit.stats.latency import percentile

        value = percentile(self.samples_ns, p)
        return None if value is None else value / 1e6


@dataclass(frozen=True)
class BenchResult:
    """One file on one target. ``document`` is the whole of what was stored."""

    path: Path
    document: dict[str, Any]
    latency: tuple[Latency, ...]

    @classmethod
    def read(cls, path: Path) -> BenchResult:
        """Read a bench document; :class:`InputError` where it is none or was written by a newer edgekit."""
        document = read_json(path)
        try:
            latency = tuple(_latency(entry) for entry in document["latency"])
            document["id"], document["session_id"]
        except (KeyError, TypeError) as error:
            raise InputError(f"this is not a bench result ({error})", where=str(path)) from None
        return cls(path, document, latency)

    @property
    def id(self) -> str:
        """Names the file in its session: run and export, or the file."""
        return str(self.document["id"])

    @property
    def ok(self) -> bool:
        return bool(self.document["status"] == "ok")

    @property
    def accuracy_ci95(self) -> tuple[float, float] | None:
        """Wilson's interval of the accuracy; None where it was not measured."""
        from edgekit.stats.intervals import wilson_interval

        accuracy = self.document["accuracy"]
        return None if accuracy is None else wilson_interval(accuracy["n_correct"], accuracy["n_samples"])

    def predictions_path(self) -> Path | None:
        """The .npz with ``labels`` (N,), ``probabilities`` (N, classes), ``files`` (N,); None where not scored."""
        accuracy = self.document["accuracy"]
        return None if accuracy is None else self.path.parent / str(accuracy["predictions"])

    def with_threads(self, threads: int) -> Latency | None:
        return next((latency for latency in self.latency if latency.threads == threads), None)

    def rows(self) -> list[dict[str, Any]]:
        """One flat row per thread setting; one row without latency for a file that failed."""
        if not self.latency:
            return [{**self._common(), **_latency_columns(None)}]
        return [{**self._common(), **_latency_columns(latency)} for latency in self.latency]

    def _common(self) -> dict[str, Any]:
        document = self.document
        accuracy, memory, runtime = document["accuracy"] or {}, document["memory"] or {}, document["runtime"] or {}
        energy = document.get("energy") or {}
        interval = self.accuracy_ci95
        copied = ("run_id", "backbone", "strategy", "seed", "format", "scheme", "model", "size_bytes", "gzip_bytes")
        return {
            **{name: document[name] for name in copied},
            "sha256": document["sha256"],
            "id": self.id,
            "status": document["status"],
            "problems": document["problems"],
            "accuracy": accuracy.get("accuracy"),
            "n_samples": accuracy.get("n_samples"),
            "accuracy_ci95": None if interval is None else list(interval),
            "agreement_with_keras": accuracy.get("agreement_with_keras"),
            "agreement_with_host": accuracy.get("agreement_with_host"),
            "baseline_rss_bytes": memory.get("baseline_rss_bytes"),
            "peak_rss_bytes": memory.get("peak_rss_bytes"),
            "model_rss_bytes": memory.get("model_rss_bytes"),
            "energy_source": energy.get("source"),
            "joules_per_inference": energy["joules"] / energy["runs"] if energy.get("source") else None,
            "target": document["target"],
            "emulated": document["emulated"],
            "runtime": runtime.get("name"),
            "runtime_version": runtime.get("version"),
            "delegate": runtime.get("delegate"),
            "protocol": document["protocol"]["name"],
            "session_id": document["session_id"],
            "result": str(self.path),
        }


def _latency(entry: dict[str, Any]) -> Latency:
    return Latency(
        threads=entry["threads"],
        threads_effective=entry["threads_effective"],
        load_ns=entry["load_ns"],
        first_ns=entry["first_ns"],
        warmup_ns=tuple(entry["warmup_ns"]),
        rounds=tuple(tuple(block) for block in entry["rounds"]),
        preprocess_ns=tuple(entry["preprocess_ns"]),
        postprocess_ns=tuple(entry["postprocess_ns"]),
        unstable=tuple(entry["unstable"]),
    )


def _latency_columns(latency: Latency | None) -> dict[str, Any]:
    percentiles = {f"latency_ms_p{p}": latency.percentile_ms(p) if latency else None for p in PERCENTILES}
    return {
        "threads": latency.threads if latency else None,
        "threads_effective": latency.threads_effective if latency else None,
        "load_ns": latency.load_ns if latency else None,
        "first_ns": latency.first_ns if latency else None,
        "latency_ns": latency.samples_ns if latency else [],
        **percentiles,
        "unstable": list(latency.unstable) if latency else [],
    }


def run_results(run: RunFolder, target: str | None = None) -> list[BenchResult]:
    """Every bench result in a run folder, of one target or of all, in the order of their names."""
    return [BenchResult.read(path) for path in sorted((run.path / "bench").glob(f"{target or '*'}/*.json"))]
