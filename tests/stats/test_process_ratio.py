"""Latency ratios with process variance: coverage and false verdicts by simulation with fixed seeds."""

import math

import numpy as np
import pytest

from edgekit.stats import process_ratio as pr


def simulated_session(rng, files, processes, rounds=8, process_deviation=0.01, round_deviation=0.01):
    """Log times (files, processes, rounds) of files that are all equally fast."""
    common = rng.normal(0, 0.05, (1, processes, 1)) + rng.normal(0, 0.02, (1, processes, rounds))
    # 1% process variance in the ratio of two files.
    own = rng.normal(0, process_deviation / math.sqrt(2), (files, processes, 1))
    return common + own + rng.normal(0, round_deviation, (files, processes, rounds))


def log_medians(session):
    return np.median(session, axis=2)


@pytest.mark.parametrize("processes", [2, 3, 4, 5])
def test_the_interval_covers_with_process_variance(processes):
    """Rounds of one process taken for independent ones cover 69 to 82%."""
    rng, studies, inside = np.random.default_rng(processes), 1500, 0
    for _ in range(studies):
        a, b = simulated_session(rng, 2, processes)
        found = pr.measured_ratio(list(a - b))
        inside += found.low <= 1 <= found.high
    assert inside / studies >= 0.93


@pytest.mark.parametrize(("files", "processes"), [(3, 2), (6, 2), (6, 3), (12, 5)])
def test_the_interval_with_the_session_s_variation_covers_and_is_useful(files, processes):
    rng, studies, inside, width = np.random.default_rng(files), 1000, 0, []
    for _ in range(studies):
        session = simulated_session(rng, files, processes)
        found = pr.measured_ratio(list(session[0] - session[1]), pr.session_variation(log_medians(session)))
        inside += found.low <= 1 <= found.high
        width.append(math.log(found.high / found.low) / 2)
    assert inside / studies >= 0.93
    if files >= 6:
        assert np.median(width) < 0.035


def test_equal_files_are_rarely_called_faster_or_slower():
    rng, studies, wrong = np.random.default_rng(3), 600, 0
    for _ in range(studies):
        session = simulated_session(rng, 8, 3)  # three A/A controls, then the pair
        variation = pr.session_variation(log_medians(session))
        controls = [pr.measured_ratio(list(session[i] - session[i + 1])).ratio for i in (0, 2, 4)]
        found = pr.measured_ratio(list(session[6] - session[7]), variation)
        wrong += pr.ratio_verdict(found, pr.noise_floor_of_controls(controls)) in (pr.FASTER, pr.SLOWER)
    assert wrong / studies <= 0.05


@pytest.mark.parametrize("controls", [1, 2, 3, 6])
def test_one_more_control_lies_within_the_noise_floor(controls):
    ratios = np.exp(np.random.default_rng(4).normal(0, 0.01, (4000, controls + 1)))
    inside = [1 / (f := pr.noise_floor_of_controls(row[1:].tolist())) <= row[0] <= f for row in ratios]
    assert np.mean(inside) == pytest.approx(0.95, abs=0.015)


def test_a_useful_gain_is_found():
    rng = np.random.default_rng(5)
    found_faster = 0
    for _ in range(100):
        session = simulated_session(rng, 6, 3)
        variation = pr.session_variation(log_medians(session))
        found = pr.measured_ratio(list(session[0] - session[1] - math.log(1.15)), variation)
        found_faster += pr.ratio_verdict(found, 1.03) == pr.FASTER
    assert found_faster >= 95


def measured(low, high, rounds=16, *, covers=True):
    return pr.MeasuredRatio(math.sqrt(low * high), low, high, 2, rounds, covers)


@pytest.mark.parametrize(
    ("interval", "floor", "verdict"),
    [
        ((0.78, 0.79), 1.5, pr.NOT_MEASURABLE),  # point 8: a wide noise floor is no absence of a benefit
        ((0.78, 0.79), 1.1, pr.FASTER),
        ((1.2, 1.3), 1.1, pr.SLOWER),
        ((0.97, 1.02), 1.03, pr.NO_USEFUL_DIFFERENCE),
        ((0.97, 1.02), 1.06, pr.NOT_MEASURABLE),
        ((0.90, 1.02), 1.03, pr.NOT_MEASURABLE),
    ],
)
def test_the_verdict(interval, floor, verdict):
    assert pr.ratio_verdict(measured(*interval), floor) == verdict


def test_no_verdict_below_six_rounds_or_from_one_process():
    assert pr.ratio_verdict(measured(0.5, 0.6, rounds=5)) == pr.TOO_FEW_ROUNDS
    one = pr.measured_ratio([np.random.default_rng(0).normal(-0.5, 0.01, 20)])
    assert pr.ratio_verdict(one) == pr.ONE_PROCESS
    assert not one.excludes_gain(0.05)
    known = pr.measured_ratio([np.full(20, -0.5)], pr.ProcessVariation(1e-4, 10))
    assert pr.ratio_verdict(known) == pr.FASTER


def test_whether_a_gain_is_excluded():
    assert measured(0.97, 1.4).excludes_gain(0.05)
    assert not measured(0.93, 1.0).excludes_gain(0.05)


def test_processes_that_agree_do_not_make_an_interval_of_width_zero():
    found = pr.measured_ratio([np.zeros(8), np.zeros(8)])
    assert found.low < 1 < found.high


def test_a_pair_noisier_than_its_session_keeps_its_own_variation():
    calm = pr.ProcessVariation(1e-8, 20)
    noisy = [np.full(8, -0.1), np.full(8, 0.1), np.full(8, 0.0)]
    assert pr.measured_ratio(noisy, calm) == pr.measured_ratio(noisy)


def test_log_ratios_of_runs():
    found = pr.log_ratios([[[2, 4, 6], [8]]], [[[2], [4, 4]]])
    assert found[0] == pytest.approx([math.log(2), math.log(2)])


@pytest.mark.parametrize(("a", "b"), [([], []), ([[[1]]], []), ([[[1], [1]]], [[[1]]]), ([[[0]]], [[[1]]])])
def test_runs_that_do_not_pair_are_refused(a, b):
    with pytest.raises(ValueError, match=r"pair|positive"):
        pr.log_ratios(a, b)


def test_nothing_measured_is_refused():
    with pytest.raises(ValueError, match="rounds"):
        pr.measured_ratio([])
    with pytest.raises(ValueError, match="control"):
        pr.noise_floor_of_controls([])
    assert pr.session_variation(np.zeros((1, 5))) is None


@pytest.mark.parametrize(("p", "n"), [(50, 11), (50, 100), (90, 64), (95, 130), (99, 662)])
def test_percentile_intervals_cover(p, n):
    rng = np.random.default_rng(p)
    truth = math.exp(0.3 * float(np.sqrt(2)) * _erfinv(2 * p / 100 - 1))
    found = [pr.percentile_interval(np.exp(rng.normal(0, 0.3, n)).tolist(), p) for _ in range(800)]
    assert np.mean([low <= truth <= high for low, high in found]) >= 0.93


def _erfinv(x):
    from scipy.special import erfinv

    return float(erfinv(x))


def test_too_few_samples_carry_no_percentile_interval():
    assert pr.percentile_interval([1, 2, 3], 50) is None
    assert pr.percentile_interval(range(20), 90) is None
    assert pr.percentile_interval([], 50) is None


@pytest.mark.parametrize("processes", [2, 4])
def test_percentiles_over_processes_cover(processes):
    rng, inside = np.random.default_rng(6), 0
    for _ in range(1000):
        runs = np.exp(rng.normal(0, 0.01, (processes, 1)) + rng.exponential(0.02, (processes, 200)))
        low, high = pr.percentile_over_processes(runs.tolist(), 50)
        inside += low <= math.exp(0.02 * math.log(2)) <= high
    assert inside / 1000 >= 0.93
    assert pr.percentile_over_processes([[1, 2]], 50) is None


def test_so_many_processes_decide_with_eighty_percent_power():
    variation = pr.ProcessVariation(1e-4 + 2e-4 / 8 * math.pi / 2, 4)
    count = pr.processes_needed(0.015, variation)
    rng, decided = np.random.default_rng(7), 0
    for _ in range(400):
        a, b = simulated_session(rng, 2, count)
        decided += pr.measured_ratio(list(a - b + 0.015)).low > 1
    assert 0.72 <= decided / 400 <= 0.92
    assert pr.processes_needed(0.0, variation) is None


def test_rounds_that_take_many_times_as_long_do_not_widen_the_interval():
    """On a busy machine, one round in eight takes 2 to 20 times as long for one of the files: the median stays."""
    random = np.random.default_rng(0)
    covered, widths = 0, []
    for _ in range(300):
        by_process = []
        for _ in range(6):
            rounds = np.log(1.1) + random.normal(0, 0.01) + random.normal(0, 0.01, 6)
            late = random.random(6) < 0.125
            rounds[late] += random.choice([-1, 1]) * np.log(random.uniform(2, 20, late.sum()))
            by_process.append(rounds)
        found = pr.measured_ratio(by_process)
        covered += found.low <= 1.1 <= found.high
        widths.append(found.high / found.low - 1)
    assert covered >= 0.92 * 300
    assert np.median(widths) < 0.05
