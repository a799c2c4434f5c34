"""When a measurement is called unstable."""

from __future__ import annotations

from edgekit.bench.stability import machine_reasons, thread_reasons

QUIET = {"cores": 4, "others_cores": 0.1, "load_average": [3.9, 2, 1], "throttled": None}
FLAGS = {"now": [], "since_boot": ["under-voltage"]}


def test_a_quiet_machine_is_stable_though_its_load_average_still_counts_what_ended():
    assert machine_reasons(QUIET, QUIET, [None] * 9) == []
    assert machine_reasons(QUIET, QUIET, [1_500_000, 1_450_000, 1_500_000]) == []


def test_other_programs():
    busy = {**QUIET, "others_cores": 1.4}
    assert machine_reasons(busy, QUIET, []) == ["other programs used 1.4 of 4 cores before the start"]
    assert machine_reasons(QUIET, busy, []) == ["other programs used 1.4 of 4 cores while measuring"]


def test_the_load_average_decides_where_nothing_else_is_known():
    unknown = {**QUIET, "others_cores": None}
    assert machine_reasons(unknown, unknown, []) == ["the load average was 3.9 on 4 cores before the start"]


def test_throttling():
    before = {**QUIET, "throttled": FLAGS}
    assert machine_reasons(before, before, []) == [], "what happened before this session does not count"
    after = {**QUIET, "throttled": {"now": ["throttled"], "since_boot": ["under-voltage", "throttled"]}}
    assert machine_reasons(before, after, []) == ["the firmware reported: throttled"]
    over = {**QUIET, "throttled": {"now": [], "since_boot": ["under-voltage", "frequency capped"]}}
    assert machine_reasons(before, over, []) == ["the firmware reported: frequency capped"]


def test_a_falling_clock():
    falling = [1_800_000] * 5 + [1_500_000] * 5 + [1_200_000] * 5
    assert machine_reasons(QUIET, QUIET, falling) == ["the clock fell from 1.80 to 1.20 GHz"]


def test_threads_without_effect():
    assert thread_reasons(1, 0.98) == []
    assert thread_reasons(4, 3.1) == []
    assert thread_reasons(4, 1.02) == ["4 threads had no effect (fewer than 1.1 cores busy)"]


def test_a_flag_that_came_and_went_is_seen():
    none = {"now": [], "since_boot": []}
    state = {**QUIET, "throttled": none}
    hot = {"throttled": {"now": ["soft temperature limit"], "since_boot": []}}
    assert machine_reasons(state, state, [], [{"throttled": none}, hot]) == [
        "the firmware reported: soft temperature limit"
    ]
    assert machine_reasons(QUIET, QUIET, [], [{"throttled": None}]) == []
