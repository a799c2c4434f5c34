"""From documents to typed rows: one per trained run, one per exported file and target. No files are read here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

from edgekit.documents.bench import BenchResult, Latency
from edgekit.registry import BACKBONES
from edgekit.report.model.reading import Answers, RunData
from edgekit.stats.energy import Energy, energy_of_a_run
from edgekit.stats.intervals import wilson_interval


@dataclass(frozen=True)
class Score:
    """Accuracy on the test split with its Wilson 95% interval, all 0 to 1."""

    accuracy: float
    n_samples: int
    ci95: tuple[float, float]

    @classmethod
    def count(cls, correct: int, n: int) -> Score:
        return cls(correct / n, n, wilson_interval(correct, n))


@dataclass(frozen=True)
class Timing:
    """Latency of one file with one thread setting, batch 1, in milliseconds; None: not carried by enough runs."""

    threads: int
    n_runs: int
    p50: float | None
    p90: float | None
    p95: float | None
    p99: float | None
    load: float
    first: float
    preprocess: float | None
    """Median of decoding, resizing and scaling one image."""
    postprocess: float | None
    cores_busy: float
    unstable: tuple[str, ...]
    round_p50s: tuple[float, ...]
    """The median of each round, of however few runs."""


@dataclass(frozen=True)
class Candidate:
    """One exported file on one target (None: not measured on any)."""

    number: int
    run: RunData
    export: dict[str, Any]
    key: str
    result: BenchResult | None
    status: str
    problems: tuple[str, ...]
    score: Score | None
    drop: float | None
    """Accuracy of its Keras model minus its own, on the same images; 0.01 is one point."""
    timings: tuple[Timing, ...]
    answers: Answers

    @property
    def backbone(self) -> str:
        return str(self.run.document["backbone"])

    @property
    def model(self) -> str:
        return model_title(self.run.document)

    @property
    def strategy(self) -> str:
        return str(self.run.document["strategy"])

    @property
    def strategy_title(self) -> str:
        return strategy_title(self.run.document)

    @property
    def seed(self) -> int:
        return int(self.run.document["seed"])

    @property
    def target(self) -> str | None:
        return None if self.result is None else str(self.result.document["target"])

    @property
    def title(self) -> str:
        return f"{self.model}, {self.strategy_title}, {self.key}"

    @property
    def size_bytes(self) -> int | None:
        return self.export.get("size_bytes")

    @property
    def gzip_bytes(self) -> int | None:
        return self.export.get("gzip_bytes")

    @property
    def failed(self) -> bool:
        return self.status != "ok"

    @property
    def emulated(self) -> bool:
        return self.result is not None and bool(self.result.document["emulated"])

    @property
    def agreement(self) -> float | None:
        """Share of test images on which it gives the same top class as its Keras model."""
        accuracy = self._measured("accuracy")
        return accuracy.get("agreement_with_keras")

    @property
    def memory(self) -> dict[str, Any]:
        """``baseline_rss_bytes``, ``peak_rss_bytes``, ``model_rss_bytes``; empty where not measured."""
        return self._measured("memory")

    @property
    def energy(self) -> Energy | None:
        """Of one inference; None where the machine does not tell its power, and for an emulated one."""
        return None if self.emulated else energy_of_a_run(self._measured("energy"))

    @property
    def joules(self) -> float | None:
        """Of one inference, with all that the machine draws meanwhile; None where not measured."""
        return None if self.energy is None else self.energy.joules

    @property
    def runtime(self) -> dict[str, Any]:
        return self._measured("runtime")

    @property
    def not_integer(self) -> bool:
        """A TFLite int8 file in which float operators are left; QDQ ONNX keeps its first and last ones by design."""
        if self.export.get("format") != "tflite" or not self._is_int8:
            return False
        return self.export.get("integer_only") is False and not self.export.get("repair")

    @property
    def _is_int8(self) -> bool:
        return str(self.export.get("scheme")).partition("-")[0] == "int8"

    @property
    def float_operators(self) -> str | None:
        """Those left in an int8 file, with their number; None for other schemes, where floats are no news."""
        if not self._is_int8:
            return None
        return ", ".join(f"{name} {n}" for name, n in self.export.get("float_operators", {}).items()) or "none"

    def timing(self, threads: int) -> Timing | None:
        return next((t for t in self.timings if t.threads == threads), None)

    def marks(self) -> list[str]:
        """What a reader must know before using its numbers."""
        marks = ["failed"] if self.failed else []
        marks += ["emulated"] if self.emulated else []
        marks += ["unstable"] if any(t.unstable for t in self.timings) else []
        return marks + (["float operators"] if self.not_integer else [])

    def _measured(self, name: str) -> dict[str, Any]:
        return {} if self.result is None else self.result.document.get(name) or {}


def model_title(document: dict[str, Any]) -> str:
    """``MobileNetV2``, or with its width where that was chosen: ``MobileNetV2 (alpha 0.35)``."""
    name = str(document["backbone"])
    title = BACKBONES[name].title if name in BACKBONES else name
    alpha = document.get("alpha") or 1.0
    return title if alpha == 1.0 else f"{title} (alpha {alpha:g})"


def strategy_title(document: dict[str, Any]) -> str:
    """``fine-tuning``, or with the arm of the study: ``fine-tuning, mixed``."""
    arm = (document.get("recipe") or {}).get("arm")
    return f"{document['strategy']}, {arm}" if arm else str(document["strategy"])


def run_score(run: RunData) -> Score | None:
    """Test accuracy of the Keras model; None before it was evaluated."""
    test = (run.document.get("metrics") or {}).get("test")
    if not test:
        return None
    return Score(test["accuracy"], test["n_samples"], (test["accuracy_ci95"][0], test["accuracy_ci95"][1]))


def candidates(runs: Sequence[RunData]) -> list[Candidate]:
    """Every export of every run, once per target it was measured on (once without a target if on none)."""
    rows: list[Candidate] = []
    for run in runs:
        for folder, export in run.exports:
            measured: list[tuple[BenchResult | None, Answers]] = [
                (result, answers)
                for result, answers in run.results
                if result.document["key"] == folder.key and not outdated(result, export)
            ]
            for result, answers in measured or [(None, {})]:
                rows.append(_candidate(len(rows) + 1, run, folder.key, export, result, answers))
    return rows


def outdated(result: BenchResult, export: dict[str, Any]) -> bool:
    """Whether the file was exported again after it was measured."""
    return bool(result.document["sha256"] != export.get("sha256"))


def _candidate(
    number: int, run: RunData, key: str, export: dict[str, Any], result: BenchResult | None, answers: Answers
) -> Candidate:
    export_status = str(export.get("status", "ok"))
    status = export_status if result is None or export_status != "ok" else str(result.document["status"])
    problems = [*export.get("problems", []), *(result.document["problems"] if result else [])]
    score, drop = None, None
    if answers:
        score = Score.count(sum(answers.values()), len(answers))
        if answers.keys() <= run.answers.keys():
            drop = sum(run.answers[file] - right for file, right in answers.items()) / len(answers)
    return Candidate(
        number=number,
        run=run,
        export=export,
        key=key,
        result=result,
        status=status,
        problems=tuple(str(problem) for problem in problems),
        score=score,
        drop=drop,
        timings=tuple(_timing(latency) for latency in result.latency) if result else (),
        answers=answers,
    )


def _timing(latency: Latency) -> Timing:
    p50, p90, p95, p99 = (latency.percentile_ms(p) for p in (50, 90, 95, 99))
    return Timing(
        threads=latency.threads,
        n_runs=len(latency.samples_ns),
        p50=p50,
        p90=p90,
        p95=p95,
        p99=p99,
        load=latency.load_ns / 1e6,
        first=latency.first_ns / 1e6,
        preprocess=_median_ms(latency.preprocess_ns),
        postprocess=_median_ms(latency.postprocess_ns),
        cores_busy=latency.threads_effective,
        unstable=latency.unstable,
        round_p50s=tuple(median(block) / 1e6 for block in latency.rounds if block),
    )


def _median_ms(samples_ns: Sequence[int]) -> float | None:
    from edgekit.stats.latency import percentile

    value = percentile(samples_ns, 50)
    return None if value is None else value / 1e6
