"""When a measurement is called unstable."""

from __future__ import annotations

from edgekit.bench.stability import machine_reasons, thread_reasons
from edgekit.documents.machine import MachineEnvironment, Throttling

QUIET = MachineEnvironment(cores=4, others_cores=0.1, load_average=(3.9, 2, 1))


def flags(now: tuple[str, ...] = (), since_boot: tuple[str, ...] = ()) -> Throttling:
    return Throttling(raw="0", now=now, since_boot=since_boot)


def with_flags(throttled: Throttling) -> MachineEnvironment:
    return QUIET.model_copy(update={"throttled": throttled})


def test_a_quiet_machine_is_stable_though_its_load_average_still_counts_what_ended():
    assert machine_reasons(QUIET, QUIET, [None] * 9) == []
    assert machine_reasons(QUIET, QUIET, [1_500_000, 1_450_000, 1_500_000]) == []


def test_other_programs():
    busy = QUIET.model_copy(update={"others_cores": 1.4})
    assert machine_reasons(busy, QUIET, []) == ["other programs used 1.4 of 4 cores before the measurement"]
    assert machine_reasons(QUIET, busy, []) == ["other programs used 1.4 of 4 cores during the measurement"]


def test_the_load_average_decides_where_nothing_else_is_known():
    unknown = QUIET.model_copy(update={"others_cores": None})
    assert machine_reasons(unknown, unknown, []) == ["the load average was 3.9 on 4 cores before the measurement"]


def test_throttling():
    before = with_flags(flags(since_boot=("under-voltage",)))
    assert machine_reasons(before, before, []) == [], "what happened before this session does not count"
    after = with_flags(flags(("throttled",), ("under-voltage", "throttled")))
    assert machine_reasons(before, after, []) == ["the firmware reported: throttled"]
    over = with_flags(flags(since_boot=("under-voltage", "frequency capped")))
    assert machine_reasons(before, over, []) == ["the firmware reported: frequency capped"]


def test_a_falling_clock():
    falling = [1_800_000] * 5 + [1_500_000] * 5 + [1_200_000] * 5
    assert machine_reasons(QUIET, QUIET, falling) == ["the clock dropped from 1.80 to 1.20 GHz"]


def test_threads_without_effect():
    assert thread_reasons(1, 0.98) == []
    assert thread_reasons(4, 3.1) == []
    assert thread_reasons(4, 1.02) == ["4 threads had no effect (fewer than 1.1 cores busy)"]


def test_a_flag_that_came_and_went_is_seen():
    state = with_flags(flags())
    hot = flags(("soft temperature limit",))
    assert machine_reasons(state, state, [], [flags(), hot]) == ["the firmware reported: soft temperature limit"]
    assert machine_reasons(QUIET, QUIET, [], [None]) == []
