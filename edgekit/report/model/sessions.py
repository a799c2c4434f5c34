"""Comparisons within one benchmark session: noise floors, ratios per round, conversions with no benefit."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from edgekit.stats.latency import NoiseFloor, Ratio

from edgekit.documents.bench import BenchResult

SMALLER = 0.99
"""A file of more than this part of another's bytes is as large as it."""


def noise_floors(results: Iterable[BenchResult]) -> dict[tuple[str, int], tuple[str, Ratio, NoiseFloor]]:
    """By session and thread count: the model measured twice, its A/A ratio and the floor that follows.

    What an emulator measured is no device's time and takes part in no comparison.
    """
    from edgekit.stats.latency import compare_rounds, noise_floor

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
    from edgekit.stats.latency import compare_rounds

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
    from edgekit.documents.profile import DELEGATE, read_profile

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
