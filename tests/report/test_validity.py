"""Validity flags: each fails on its own, and says what was found."""

from __future__ import annotations

import json

import pytest
from test_latency_comparison import Machine, noise_of, session

from edgekit.bench.stability import machine_reasons
from edgekit.documents.bench import BenchResult
from edgekit.documents.latency import CacheTest, Latency
from edgekit.documents.machine import EnvironmentRecord, MachineEnvironment, Throttling
from edgekit.report.model.sessions import bench_summary
from edgekit.report.model.validity import validity, violated

QUIET = MachineEnvironment(
    cores=4, others_cores=0.0, frequency_khz=2_000_000, throttled=Throttling(raw="0x0", now=(), since_boot=())
)


def measured(changes: dict[str, object] | None = None, **latency: object) -> tuple[BenchResult, Latency]:
    """A valid measurement, with ``changes`` of its protocol and of its latency."""
    (one, *_) = session(Machine(process=0.001), [1.0, 2.0, 3.0], 1)
    protocol = one.bench.protocol.model_copy(update=changes or {})
    found = one.latency[0].model_copy(update={"n_images": 100, **latency})
    answered = tuple(
        process.model_copy(update={"blocks": tuple(b.model_copy(update={"n_answers": 4}) for b in process.blocks)})
        for process in found.processes
    )
    if "processes" not in latency:
        found = found.model_copy(update={"processes": answered})
    document = one.bench.model_copy(
        update={"protocol": protocol, "latency": (found,), "environment": EnvironmentRecord(before=QUIET, after=QUIET)}
    )
    return BenchResult(one.path, document), found


def flags(result: BenchResult, latency: Latency) -> dict[str, bool | None]:
    noise = noise_of([result, *session(Machine(process=0.001), [1.0, 2.0, 3.0], 1)[1:]])
    return {flag.name: flag.holds for flag in validity(result.bench, latency, noise)}


def test_a_careful_measurement_is_valid():
    result, latency = measured({"pin": True}, pinned=(3,))
    found = flags(result, latency)
    assert set(found) >= {
        "minimum duration", "minimum runs", "processes and rounds", "noise floor", "throttling", "other load",
        "pinning", "varied inputs", "correct predictions", "one sitting",
    }  # fmt: skip
    assert set(found.values()) == {True}, found


@pytest.mark.parametrize(
    ("name", "protocol", "latency"),
    [
        ("minimum duration", {"block_ns": 10_000_000_000}, {}),
        ("minimum runs", {"block_runs": 8}, {}),
        ("pinning", {"pin": True}, {}),
    ],
)
def test_each_flag_fails_on_its_own(name, protocol, latency):
    found = flags(*measured(protocol, **latency))
    assert [flag for flag, holds in found.items() if holds is False] == [name]


def test_few_rounds_one_process_and_two_sittings():
    result, latency = measured()
    assert (
        flags(result, latency.model_copy(update={"processes": latency.processes[:1]}))["processes and rounds"] is False
    )
    resumed = latency.processes[-1].model_copy(update={"sitting": 1})
    assert (
        flags(result, latency.model_copy(update={"processes": (*latency.processes[:-1], resumed)}))["one sitting"]
        is False
    )


def test_the_reasons_of_an_unstable_machine_are_told_apart():
    hot = QUIET.model_copy(update={"throttled": Throttling(raw="0x4", now=("throttled",), since_boot=())})
    for before, after, name in (
        (QUIET, hot, "throttling"),
        (QUIET.model_copy(update={"others_cores": 3.0}), QUIET, "other load"),
    ):
        result, latency = measured(unstable=tuple(machine_reasons(before, after, [])))
        assert [flag for flag, holds in flags(result, latency).items() if holds is False] == [name]
    slower = tuple(machine_reasons(QUIET, QUIET, [2_000_000] * 3 + [1_000_000] * 3))
    assert flags(*measured(unstable=slower))["throttling"] is False


def test_what_is_not_known_is_neither_good_nor_bad():
    result, latency = measured(n_images=0)
    unknown = EnvironmentRecord(before=MachineEnvironment(), after=MachineEnvironment())
    result = BenchResult(result.path, result.bench.model_copy(update={"environment": unknown}))
    found = flags(result, latency)
    assert [found[name] for name in ("throttling", "other load", "pinning", "varied inputs")] == [None] * 4


def test_the_cache_test_must_not_differ():
    result, latency = measured()
    faster = session(Machine(process=0.001), [0.8], 3)[0].latency[0].processes
    for same, holds in ((latency.processes, True), (faster, False)):
        test = CacheTest(model="0", threads=1, varied=latency.processes, same=same)
        tested = BenchResult(result.path, result.bench.model_copy(update={"cache_test": (test,)}))
        assert flags(tested, latency)["cache test"] is holds


def test_they_stand_in_every_row():
    result, _ = measured({"block_runs": 8})
    (row,) = bench_summary([result]).results
    assert [flag.detail for flag in violated(row.validity)] == ["280 runs of at least 320"]
    assert json.loads(row.model_dump_json())["validity"]
