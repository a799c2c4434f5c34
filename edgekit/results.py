"""Reading what `edgekit bench` wrote: typed documents, and the flat rows that scripts and reports use."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgekit.artifacts import RunFolder, read_json
from edgekit.errors import InputError
from edgekit.registry import FURTHER_TRAINING

if TYPE_CHECKING:
    from edgekit.stats import NoiseFloor, Ratio

PERCENTILES = (50, 90, 95, 99)

SMALLER = 0.99
"""A file of more than this part of another's bytes is as large as it."""


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
        from edgekit.stats import percentile

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
        from edgekit.stats import wilson_interval

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


def noise_floors(results: Iterable[BenchResult]) -> dict[tuple[str, int], tuple[str, Ratio, NoiseFloor]]:
    """By session and thread count: the model measured twice, its A/A ratio and the floor that follows.

    What an emulator measured is no device's time and takes part in no comparison.
    """
    from edgekit.stats import compare_rounds, noise_floor

    floors: dict[tuple[str, int], tuple[str, Ratio, NoiseFloor]] = {}
    for result in results:
        if result.document["emulated"]:
            continue
        for control in result.document["control"]:
            key = (str(result.document["session_id"]), int(control["threads"]))
            if key not in floors:
                ratio = compare_rounds(control["rounds_a"], control["rounds_b"])
                floors[key] = (str(control["model"]), ratio, noise_floor(ratio))
    return floors


def comparisons(results: Sequence[BenchResult]) -> list[dict[str, Any]]:
    """Every file against the fastest stable one of its session and thread count: ratio per round, interval, verdict.

    Only files that were measured interleaved can be compared. Where no measurement was stable, the fastest of all
    is the reference and every verdict says ``unstable``.
    """
    from edgekit.stats import compare_rounds

    found = []
    for (session, threads), (_, _, floor) in noise_floors(results).items():
        members = [
            (result, latency)
            for result in results
            if result.document["session_id"] == session and (latency := result.with_threads(threads)) is not None
        ]
        if all(latency.percentile_ms(50) is None for _, latency in members):
            continue  # too few runs to say which is the fastest
        stable = [member for member in members if not member[1].unstable]
        reference, fastest = min(stable or members, key=lambda member: member[1].percentile_ms(50) or float("inf"))
        for result, latency in members:
            if result is reference or len(latency.rounds) != len(fastest.rounds):
                continue  # not measured in the same rounds
            ratio = compare_rounds(latency.rounds, fastest.rounds)
            shaky = bool(latency.unstable or fastest.unstable)
            found.append(
                {
                    "session_id": session,
                    "threads": threads,
                    "model": result.id,
                    "against": reference.id,
                    **ratio.document(),
                    "verdict": "unstable" if shaky else floor.verdict(ratio),
                }
            )
    return found


def not_worth_it(results: Sequence[BenchResult]) -> list[dict[str, Any]]:
    """Files with smaller numbers that are no faster, or no smaller, than the fp32 file of the same run and format.

    ``fell_back`` says why that may be, as far as it is known: see :func:`fell_back`.
    One entry for a file and thread count (None: about the size), with the ratio of times (file / fp32) where there is
    one. Only files measured in one session, stable, are compared.
    """
    found = []
    for result in results:
        twin = next((other for other in results if _is_fp32_of(other, result)), None)
        if twin is None:
            continue
        about = {"model": result.id, "fp32": twin.id, "fell_back": fell_back(result)}
        if result.document["size_bytes"] > SMALLER * twin.document["size_bytes"]:
            found.append({**about, "threads": None, "reason": f"no smaller than its fp32 file{_packed(result, twin)}"})
        for entry in comparisons([twin, result]):
            facts = {"threads": entry["threads"], "ratio": entry["ratio"], "ratio_ci95": entry["ratio_ci95"]}
            if entry["verdict"] == "slower" and entry["model"] == result.id:
                found.append({**about, **facts, "reason": "slower than its fp32 file"})
            elif entry["verdict"] == "no difference measured":
                if entry["model"] != result.id:
                    low, high = entry["ratio_ci95"]
                    facts |= {"ratio": 1 / entry["ratio"], "ratio_ci95": [1 / high, 1 / low]}
                found.append({**about, **facts, "reason": "no faster than its fp32 file"})
    return found


def _packed(result: BenchResult, twin: BenchResult) -> str:
    """`` (as gzip 12.0 of 54.7 MB)`` where a file that is as large as its fp32 file packs better."""
    mine, its = result.document["gzip_bytes"], twin.document["gzip_bytes"]
    return f" (as gzip {mine / 1e6:.1f} of {its / 1e6:.1f} MB)" if mine <= SMALLER * its else ""


def _is_fp32_of(other: BenchResult, result: BenchResult) -> bool:
    mine, its = result.document, other.document
    return (
        mine["run_id"] is not None
        and (its["scheme"], mine["scheme"] != "fp32") == ("fp32", True)
        and all(mine[key] == its[key] for key in ("run_id", "format", "target", "session_id"))
    )


def fell_back(result: BenchResult) -> list[str]:
    """What of a file does not run as it was meant to, in phrases: floats in int8, operators beside the delegate.

    The second is known where the file was profiled, or where the runtime took no delegate at all.
    """
    from edgekit.profiles import DELEGATE, read_profile

    document, phrases = result.document, []
    floats = (document.get("operators") or {}).get("float") or {}
    if str(document["scheme"]).startswith("int8") and floats:
        phrases.append(f"computes in floats: {_counted(floats)}")
    if (document["runtime"] or {}).get("delegate") == "none":
        phrases.append(f"runs without {DELEGATE}")
    profile = read_profile(document.get("profile"))
    if profile is not None and profile.beside_delegate:
        names = ", ".join(f"{row.operator} ({row.share:.1%} of the time)" for row in profile.beside_delegate)
        phrases.append(f"left by {DELEGATE}: {names}")
    return phrases


def _counted(operators: dict[str, int]) -> str:
    return ", ".join(f"{name} x{count}" if count > 1 else name for name, count in operators.items())


def worth_text(entry: dict[str, Any]) -> str:
    """``slower than its fp32 file with 1 thread: 1.35 times (95% interval 1.31 to 1.40); runs without XNNPACK``."""
    why = "".join(f"; {phrase}" for phrase in entry["fell_back"])
    if entry["threads"] is None:
        return f"{entry['reason']}{why}"
    low, high = entry["ratio_ci95"]
    threads = f"{entry['threads']} thread{'s' * (entry['threads'] > 1)}"
    return f"{entry['reason']} with {threads}: {entry['ratio']:.2f} times (95% interval {low:.2f} to {high:.2f}){why}"


def calibration_text(calibration: dict[str, Any]) -> str:
    """Ranges and what lies outside; the ``calibration`` of an ``export.json`` that has ``ranges``, in a sentence."""
    found = calibration["ranges"]
    worst = ", ".join(f"{entry['layer']} {entry['outside']:.2%}" for entry in found["worst"][:3])
    return (
        f"{found['tensors']} ranges by {calibration['method']} over {calibration['images']} images; outside them lie "
        f"{found['outside']:.3%} of the values of validation images, {found['outside_calibration']:.3%} of calibration "
        f"images{f' (most: {worst})' if worst else ''}"
    )


def repair_text(repair: dict[str, Any]) -> str:
    """What a repair kept in float and what that cost; the ``repair`` of ``export.json`` in a sentence."""
    kept, ratio = list(repair["kept_in_float"]), repair["latency_ratio"]
    names = ", ".join(kept[:4]) + (f" and {len(kept) - 4} more" if len(kept) > 4 else "")
    more = (repair["size_bytes"] - repair["size_bytes_before"]) / 1e6
    low, high = ratio["ci95"]
    verdict = "" if repair["held"] else "; the accuracy gate still does not hold"
    return (
        f"{len(kept)} of {repair['n_layers']} layers compute in float ({names}): {more:+.2f} MB, "
        f"{ratio['median']:.2f} times as long a run (95% interval {low:.2f} to {high:.2f}){verdict}"
    )


def training_text(export: dict[str, Any]) -> str:
    """How the network of a file was trained on, and what is there of it in the file; of an ``export.json``."""
    training, weights = export["training"], export["weights"]
    settings, steps = training["settings"], training["steps"]
    text = f"{FURTHER_TRAINING[training['kind']]}: {steps} step{'s' * (steps > 1)} in {training['seconds']:.0f} s"
    if training["kind"] == "pruned":
        part = 100 * weights["n_zero"] / weights["n_weights"]
        text += f"; {part:.1f}% of the {weights['n_weights']:,} weights in the file are 0"
    if training["kind"] == "clustered":
        few = sum(kernel["n_distinct"] <= settings["clusters"] for kernel in weights["kernels"])
        text += (
            f"; {few} of {len(weights['kernels'])} kernels in the file have at most {settings['clusters']} "
            "different values in a channel"
        )
    trained = export["parity"].get("trained")
    if trained is not None:
        n_images = export["parity"]["n_images"]
        same = n_images - trained["n_disagree"]
        text += f"; the file answers {same} of {n_images} images as the network trained for it"
    return text


def bench_document(results: Sequence[BenchResult]) -> dict[str, Any]:
    """What `edgekit bench --json` prints. ``noise_floor`` is by thread count, with several targets by target too."""
    target_of = {str(result.document["session_id"]): str(result.document["target"]) for result in results}
    several = len(set(target_of.values())) > 1
    floors = {
        f"{target_of[session]}/{threads}" if several else str(threads): {
            "model": model,
            **ratio.document(),
            "floor": [floor.low, floor.high],
        }
        for (session, threads), (model, ratio, floor) in noise_floors(results).items()
    }
    return {
        "schema_version": 1,
        "results": [row for result in results for row in result.rows()],
        "noise_floor": floors,
        "comparisons": comparisons(results),
        "not_worth_it": not_worth_it(results),
    }
