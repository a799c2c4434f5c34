"""Latencies are compared over processes, then rounds: intervals cover, noise gives no verdict, few rounds give none."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from edgekit.documents.bench import BenchDocument, BenchResult
from edgekit.documents.latency import Block, ControlRecord, Latency, MeasuredProcess, ProtocolRecord
from edgekit.documents.machine import EnvironmentRecord, MachineEnvironment
from edgekit.report.model.latency_comparison import SessionNoise, sessions
from edgekit.report.model.sessions import bench_summary, comparisons
from edgekit.stats.latency import compare_rounds

PROTOCOL = ProtocolRecord(name="standard", repeats=5, rounds=8, block_runs=7, block_ns=0, warmup_runs=0, warmup_ns=0)
CONTROLS = 3


@dataclass(frozen=True)
class Machine:
    """How latencies vary, as standard deviations of logarithms: with the process, the round and the run."""

    process: float = 0.01
    round: float = 0.005
    run: float = 0.01
    processes: int = 5
    rounds: int = 8

    def measured(self, ms: float, random: np.random.Generator) -> tuple[MeasuredProcess, ...]:
        own = random.normal(0, self.process, (self.processes, 1, 1))
        within = random.normal(0, self.round, (self.processes, self.rounds, 1))
        runs = random.normal(0, self.run, (self.processes, self.rounds, 7))
        times = (ms * 1e6 * np.exp(own + within + runs)).astype(int)
        return tuple(
            MeasuredProcess(
                number=number,
                load_ns=1,
                first_ns=1,
                warmup_ns=(),
                blocks=tuple(Block(round=place, ns=tuple(ns)) for place, ns in enumerate(blocks)),
            )
            for number, blocks in enumerate(times.tolist())
        )


def session(machine: Machine, milliseconds: list[float], seed: int, name: str = "s") -> list[BenchResult]:
    """Files of these latencies that one session measured interleaved; the first ones are controls."""
    random = np.random.default_rng(seed)
    files = [machine.measured(ms, random) for ms in milliseconds]
    controls = tuple(
        ControlRecord(model=f"{number}", threads=1, first=files[number], second=machine.measured(ms, random))
        for number, ms in enumerate(milliseconds[:CONTROLS])
    )
    return [result(f"{number}", processes, controls, name) for number, processes in enumerate(files)]


def result(key: str, processes: tuple[MeasuredProcess, ...], controls: tuple[ControlRecord, ...], name: str):
    latency = Latency(
        threads=1, threads_effective=1.0, processes=processes, preprocess_ns=(), postprocess_ns=(), unstable=()
    )
    document = BenchDocument(
        status="ok", problems=(), run_id="run", backbone="b", strategy="s", seed=0, format="onnx", scheme="fp32",
        key=key, id=key, model=key, size_bytes=1, gzip_bytes=1, sha256=key, target="local", emulated=False,
        session_id=name, created="", runtime=None, protocol=PROTOCOL, latency=(latency,), memory=None, accuracy=None,
        control=controls, environment=EnvironmentRecord(before=MachineEnvironment(), after=MachineEnvironment()),
    )  # fmt: skip
    return BenchResult(Path(f"{key}.json"), document)


def noise_of(results: list[BenchResult]) -> SessionNoise:
    (found,) = sessions(results).values()
    return found


@pytest.mark.parametrize(
    ("machine", "sessions_made"),
    [
        (Machine(), 200),
        (Machine(process=0.03, round=0.0), 120),
        (Machine(process=0.0), 120),
        (Machine(processes=2), 200),
    ],
)
def test_the_interval_of_a_ratio_covers_it(machine, sessions_made):
    """95% intervals of 1.2 with process variance; intervals over rounds alone cover 69 to 82% of the time."""
    covered, naive, verdicts = 0, 0, 0
    for seed in range(sessions_made):
        results = session(machine, [1.2, 1.0, 1.0, 5.0], seed)
        noise = noise_of(results)
        slow, fast, same, _ = (result.latency[0] for result in results)
        ratio = noise.ratio(slow, fast)
        covered += ratio.low <= 1.2 <= ratio.high
        rounds = compare_rounds(slow.rounds, fast.rounds, resamples=300)
        naive += rounds.low <= 1.2 <= rounds.high
        verdicts += noise.compare(fast, same).verdict in ("slower", "faster")
    assert covered >= 0.93 * sessions_made
    assert verdicts <= 0.05 * sessions_made, "equal files are told apart"
    if machine.process > machine.round:
        assert naive < 0.9 * sessions_made, "the simulation would not have found the fault"


def test_the_interval_of_a_latency_covers_it():
    """The p50 of any process: the processes of one session share neither memory layout nor cores."""
    covered, tail, made = 0, 0, 400
    for seed in range(made):
        (only,) = session(Machine(), [1.0], seed)
        low, high = only.latency[0].interval_ms(50)
        covered += low <= 1.0 <= high
        low, high = only.latency[0].interval_ms(95)
        # A run deviates from its process by sqrt(0.005^2 + 0.01^2); the 95th percentile is 1.645 deviations above.
        tail += low <= np.exp(1.645 * np.hypot(0.005, 0.01)) <= high
    assert covered >= 0.93 * made
    assert tail >= 0.90 * made, "the tail of 280 runs in 40 rounds is a little short"


def test_a_difference_is_found():
    (entry, *_) = comparisons(session(Machine(), [1.2, 1.0, 4.0], 1))
    assert (entry.model, entry.against, entry.verdict) == ("0", "1", "slower")
    assert entry.ratio_ci95[0] < 1.2 < entry.ratio_ci95[1]
    assert (entry.n_processes, entry.n_rounds) == (5, 40)


@pytest.mark.parametrize(
    ("processes", "rounds", "verdict"),
    [
        (1, 3, "no verdict: fewer than six rounds"),
        (1, 5, "no verdict: fewer than six rounds"),
        (1, 40, "no verdict: only one process each"),
        (2, 3, "slower"),
    ],
)
def test_too_little_gives_no_verdict(processes, rounds, verdict):
    results = session(Machine(0.0, 0.0001, 0.0001, processes, rounds), [9.0, 1.0, 3.0, 2.0, 6.0, 4.0], 1)
    slow, fast = results[0].latency[0], results[1].latency[0]
    assert noise_of(results).compare(slow, fast).verdict == verdict


def test_several_controls_make_the_floor_useful():
    one = [noise_of(session(Machine(), [1.0], seed)).floor for seed in range(60)]
    three = [noise_of(session(Machine(), [1.0, 2.0, 3.0], seed)).floor for seed in range(60)]
    assert np.median(three) < 0.7 * (np.median(one) - 1) + 1
    assert len(noise_of(session(Machine(), [1.0, 2.0, 3.0], 1)).controls) == 3


def test_controls_exclude_equality_no_more_often_than_5_percent():
    excluded = sum(
        not ratio.low <= 1 <= ratio.high
        for seed in range(150)
        for ratio in noise_of(session(Machine(), [1.0, 2.0, 3.0, 4.0], seed)).controls.values()
    )
    assert excluded <= 0.07 * 450


def with_blocks(latency: Latency, blocks: list[list[tuple[int, ...]]]) -> Latency:
    processes = tuple(
        process.model_copy(update={"blocks": tuple(Block(round=n, ns=ns) for n, ns in enumerate(own))})
        for process, own in zip(latency.processes, blocks)
    )
    return latency.model_copy(update={"processes": processes})


def test_the_fastest_is_found_by_rounds_and_not_by_pooled_runs():
    """A block lasts equally long, so a fast round has more runs: pooled, a file that is often slow looks fast."""
    fast, slow = (1_000_000,) * 250, (2_000_000,) * 125
    (uneven, even) = session(Machine(processes=2, rounds=7), [1.0, 1.0], 1)
    a = with_blocks(uneven.latency[0], [[slow, fast, slow, fast, slow, fast, slow]] * 2)
    b = with_blocks(even.latency[0], [[(1_500_000,) * 167] * 7] * 2)
    assert np.median(a.samples_ns) < np.median(b.samples_ns)
    assert a.percentile_ms(50) == 2.0
    assert b.percentile_ms(50) == 1.5
    results = [
        BenchResult(one.path, one.bench.model_copy(update={"latency": (latency,)}))
        for one, latency in ((uneven, a), (even, b))
    ]
    (entry,) = comparisons(results)
    assert entry.against == even.id
    rows = {row.id: row for row in bench_summary(results).results}
    assert rows[uneven.id].latency_ms_p50 == 2.0


def test_sessions_are_not_compared():
    results = session(Machine(), [1.2, 1.0], 1, "one") + session(Machine(), [0.5], 2, "two")
    assert {entry.session_id for entry in comparisons(results)} == {"one"}
