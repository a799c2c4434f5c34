"""Claims: which pairs they are about, and the verdict on evidence that is known."""

from __future__ import annotations

import math
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from document_factory import recipe_of
from report_factory import change_export, change_run, change_study, write_bench, write_run, write_study

from edgekit.documents.folders import RunFolder
from edgekit.documents.report_findings import JudgedClaim, MoreNeeded
from edgekit.documents.run import TimingRecord
from edgekit.documents.study import ClaimsPlan, StudyDocument
from edgekit.errors import InputError
from edgekit.recipe import load_recipe, validate
from edgekit.report.build import build_report
from edgekit.report.model.report import compose
from edgekit.report.model.source import read_source
from edgekit.stats.claims import Evidence, Region, judge
from edgekit.stats.intervals import Interval

REPORTED = [
    {"backbone": "mobilenetv2", "strategy": "fine-tuning", "accuracy": 0.9069, "n_samples": 1311, "source": "them"},
    {"backbone": "resnet50v2", "strategy": "fine-tuning", "accuracy": 0.9108, "n_samples": 1311, "source": "them"},
]


def claim(metric: str, relation: str, margin: float | None = None, **sides: dict[str, str]) -> dict[str, Any]:
    left = sides.get("left", {"backbone": "mobilenetv2"})
    right = sides.get("right", {"backbone": "resnet50v2"})
    return {"text": metric, "metric": metric, "left": left, "relation": relation, "right": right, "margin": margin}


EXPORT = {"files": ["tflite-fp32", "tflite-int8"]}


def study_of(folder: Path, claims: list[dict[str, Any]], accuracies: dict[str, list[float]]) -> list[JudgedClaim]:
    """The judged claims of a study of fine-tuned models with one run for each accuracy."""
    cells = []
    for backbone, values in accuracies.items():
        for seed, accuracy in enumerate(values):
            run = write_run(
                folder / "runs" / f"{backbone}-{seed}",
                backbone=backbone,
                strategy="fine-tuning",
                seed=seed,
                accuracy=accuracy,
                scale=1.0 if backbone == "mobilenetv2" else 9.4,
            )
            same_images(run)
            for key in ("tflite-fp32", "tflite-int8"):
                write_bench(run, key, factor=1.0 if backbone == "mobilenetv2" else 6.0)
            cells.append((run, "exported"))
    write_study(folder, cells, recipe_of(claims=claims, reported=REPORTED, export=EXPORT))
    return judged_again(folder)


def judged_again(folder: Path) -> list[JudgedClaim]:
    return compose(read_source(folder), "2026-11-22", "0.1.0").claims


def same_images(run: RunFolder) -> None:
    """The factory draws other test images for every run: here the names are made the same."""
    with np.load(run.predictions) as stored:
        parts = dict(stored)
    parts["files"] = np.array([f"{i:05}.jpg" for i in range(len(parts["files"]))])
    np.savez_compressed(run.predictions, **parts)


def test_one_seed_decides_nothing_about_a_method(tmp_path: Path) -> None:
    claims = [claim("accuracy", "below"), claim("accuracy", "below") | {"about": "networks"}]
    method, networks = study_of(tmp_path, claims, {"mobilenetv2": [0.86], "resnet50v2": [0.93]})
    assert method.verdict == "undecided"
    assert method.reason == "one seed decides nothing about a method; of these trained networks it is supported"
    assert (networks.verdict, networks.reason, networks.about) == ("supported", "", "networks")


def test_two_equal_methods_with_one_seed_are_never_decided(tmp_path: Path) -> None:
    """Seeds differ by 1.6 points: judged on images alone, half of such claims were "supported" or "refuted"."""
    random = np.random.default_rng(0)
    for study in range(10):
        claims = [claim("accuracy", "below"), claim("accuracy", "above")]
        a, b = (0.9 + random.normal(0, 0.05) for _ in range(2))
        found = study_of(tmp_path / str(study), claims, {"mobilenetv2": [min(a, 1)], "resnet50v2": [min(b, 1)]})
        assert [one.verdict for one in found] == ["undecided", "undecided"]


def test_one_seed_is_judged_on_paired_images(tmp_path: Path) -> None:
    clear, close, wrong = study_of(
        tmp_path,
        [
            one | {"about": "networks"}
            for one in (claim("accuracy", "below"), claim("accuracy", "not-below", 2), claim("accuracy", "above"))
        ],
        {"mobilenetv2": [0.86], "resnet50v2": [0.93]},
    )
    assert [clear.verdict, close.verdict, wrong.verdict] == ["supported", "refuted", "refuted"]
    (pair,) = clear.pairs
    assert pair.effect == pytest.approx(-7)
    assert pair.effect_ci95[0] < -7 < pair.effect_ci95[1] < 0
    assert pair.basis == "1 seed, 400 images"
    assert "McNemar" in pair.remark
    assert pair.reported_effect == pytest.approx(100 * (0.9069 - 0.9108), abs=0.05)
    assert pair.reported_effect_ci95[0] < 0 < pair.reported_effect_ci95[1]


def test_an_undecided_claim_says_what_would_decide(tmp_path: Path) -> None:
    claims = [claim("accuracy", "below") | {"about": "networks"}]
    (judged,) = study_of(tmp_path, claims, {"mobilenetv2": [0.92], "resnet50v2": [0.93]})
    assert judged.verdict == "undecided"
    more = judged.pairs[0].more_would_decide
    assert more is not None
    assert (more.unit, more.power) == ("images", 0.8)
    low, high = judged.pairs[0].effect_ci95
    deviation = (high - low) / 2 / 1.959964
    # 1.96 for the interval and 0.84 for 80% power.
    assert 400 + more.n == pytest.approx(400 * (2.8016 * deviation / 1.0) ** 2, rel=0.01)


def test_seeds_and_images_that_would_decide_are_solved_together(tmp_path: Path) -> None:
    accuracies = {"mobilenetv2": [0.90, 0.93, 0.87], "resnet50v2": [0.92, 0.91, 0.93]}
    (judged,) = study_of(tmp_path, [claim("accuracy", "below")], accuracies)
    assert judged.verdict == "undecided"
    more = judged.pairs[0].more_would_decide
    assert more is not None
    assert (more.unit, more.power) == ("seeds", 0.8)
    assert more.n > 5
    assert more.images > 100


def test_a_failed_cell_makes_a_claim_undecided_by_name(tmp_path: Path) -> None:
    accuracies = {"mobilenetv2": [0.84] * 3, "resnet50v2": [0.95] * 3, "vgg16": [0.95] * 3}
    every = claim("accuracy", "below", right={"backbone": "others"})
    size = claim("size_bytes", "below", right={"backbone": "others"})
    assert [one.verdict for one in study_of(tmp_path, [every, size], accuracies)] == ["supported", "supported"]
    shutil.rmtree(tmp_path / "runs" / "vgg16-2")
    study = StudyDocument.read(tmp_path / "study.json")
    cells = [
        cell.model_copy(update={"status": "failed", "error": "out of memory"}) if cell.run.endswith("vgg16-2") else cell
        for cell in study.cells
    ]
    change_study(tmp_path, cells=tuple(cells))
    accuracy, sizes = judged_again(tmp_path)
    assert accuracy.verdict == "undecided"
    assert accuracy.missing == ("VGG16, fine-tuning, seed 2 (training failed)",)
    assert accuracy.reason == "not measured: VGG16, fine-tuning, seed 2 (training failed)"
    assert sizes.verdict == "supported"  # the size does not depend on the seed
    for seed in range(2):
        shutil.rmtree(tmp_path / "runs" / f"vgg16-{seed}")
    accuracy, sizes = judged_again(tmp_path)
    assert [accuracy.verdict, sizes.verdict] == ["undecided", "undecided"]
    assert "VGG16, fine-tuning, seed 0, tflite-int8 (not trained yet)" in sizes.missing


def test_a_failed_export_makes_a_claim_undecided_by_name(tmp_path: Path) -> None:
    """The claim is about every exported file: the three pairs that are left are not all of them."""
    accuracies = {"mobilenetv2": [0.9], "resnet50v2": [0.9]}
    (judged,) = study_of(tmp_path, [claim("latency", "below", 3)], accuracies)
    assert judged.verdict == "supported"
    run = RunFolder(tmp_path / "runs" / "resnet50v2-0")
    change_export(run, "tflite-int8", status="failed", problems=("parity",))
    run.bench_json("local", "tflite-int8").unlink()
    (judged,) = judged_again(tmp_path)
    assert judged.verdict == "undecided"
    assert judged.missing == ("ResNet50V2, fine-tuning, seed 0, tflite-int8 (failed a check)",)
    assert [pair.verdict for pair in judged.pairs] == ["supported"]


def test_a_claim_holds_among_all_claims_of_the_recipe(tmp_path: Path) -> None:
    """Alone it is supported (p = 0.03 to 0.05); as one of ten it is not."""
    alone = claim("accuracy", "below") | {"about": "networks"}
    accuracies = {"mobilenetv2": [0.885], "resnet50v2": [0.93]}
    (judged,) = study_of(tmp_path / "alone", [alone], accuracies)
    assert judged.verdict == "supported"
    assert 0.005 < judged.p < 0.05
    others = [claim("accuracy", "above", 0.1 * i) | {"about": "networks"} for i in range(1, 10)]
    undecidable = [one | {"left": {"backbone": "vgg16"}} for one in others]
    judged, *_ = study_of(tmp_path / "ten", [alone, *undecidable], accuracies)
    assert judged.verdict == "undecided"
    assert judged.p_holm == pytest.approx(10 * judged.p)
    assert judged.reason.startswith("supported on its own, but not among the 10 claims of this recipe")
    assert judged.pairs[0].verdict == "undecided"


def test_claims_added_after_the_fact_are_marked(tmp_path: Path) -> None:
    planned = claim("accuracy", "below")
    study_of(tmp_path, [planned], {"mobilenetv2": [0.8] * 2, "resnet50v2": [0.9] * 2})
    recipe = recipe_of(claims=[planned, claim("accuracy", "below", 5)])
    claims = build_report(tmp_path, claims=recipe).claims
    assert [one.after_the_fact for one in claims] == [False, True]
    assert "written after the results" in (tmp_path / "report" / "report.html").read_text()


def test_claims_are_compared_with_those_before_the_first_result(tmp_path: Path) -> None:
    """The recipe of the study may be given other claims later: what counts is what it recorded at its start."""
    planned, later = claim("accuracy", "below"), claim("accuracy", "below", 5)
    study_of(tmp_path, [planned, later], {"mobilenetv2": [0.8] * 2, "resnet50v2": [0.9] * 2})
    digests = tuple(one.digest() for one in recipe_of(claims=[planned]).claims)
    change_study(tmp_path, claims_plan=ClaimsPlan(recorded="2026-11-21T10:00:00+00:00", sha256=digests))
    assert [one.after_the_fact for one in judged_again(tmp_path)] == [False, True]
    changed = build_report(tmp_path, claims=recipe_of(claims=[planned | {"margin": 1}])).claims
    assert [one.after_the_fact for one in changed] == [True]


def test_later_claims_do_not_weaken_planned_ones_and_removed_ones_still_count(tmp_path: Path) -> None:
    planned = claim("accuracy", "below")
    weak = [claim("accuracy", "above", margin / 10) for margin in range(1, 10)]
    study_of(tmp_path, [planned, *weak], {"mobilenetv2": [0.84, 0.85, 0.86], "resnet50v2": [0.9, 0.91, 0.92]})
    digests = tuple(one.digest() for one in recipe_of(claims=[planned]).claims)
    plan = ClaimsPlan(recorded="2026-11-21T10:00:00+00:00", sha256=digests)
    change_study(tmp_path, claims_plan=plan)
    first, second, *_ = judged_again(tmp_path)
    assert first.p_holm == first.p
    assert second.p is not None
    assert second.p_holm is not None
    assert second.p_holm > second.p
    (alone,) = build_report(tmp_path, claims=recipe_of(claims=[weak[0]])).claims
    assert alone.p_holm == pytest.approx(2 * alone.p)  # the planned claim was dropped, and counts


def test_seeds_that_were_added_later_are_a_limit(tmp_path: Path) -> None:
    study_of(tmp_path, [claim("accuracy", "below")], {"mobilenetv2": [0.8] * 3, "resnet50v2": [0.9] * 3})
    cells = StudyDocument.read(tmp_path / "study.json").cells
    assert "added after the first results" not in " ".join(build_report(tmp_path).limits)
    change_study(tmp_path, cells=(*cells[:-1], cells[-1].model_copy(update={"added_later": True})))
    assert "1 cell was added after the first results" in " ".join(build_report(tmp_path).limits)


def test_fewer_than_six_rounds_give_no_verdict(tmp_path: Path) -> None:
    study_of(tmp_path, [claim("latency", "below", 3)], {"mobilenetv2": [0.9], "resnet50v2": [0.9]})
    for backbone, factor in (("mobilenetv2", 1.0), ("resnet50v2", 6.0)):
        for key in EXPORT["files"]:
            write_bench(RunFolder(tmp_path / "runs" / f"{backbone}-0"), key, factor=factor, rounds=3)
    (judged,) = judged_again(tmp_path)
    assert judged.verdict == "undecided"
    assert judged.pairs[0].more_would_decide == MoreNeeded(unit="rounds", n=3)


def test_an_exported_file_is_judged_against_its_own_keras_model(tmp_path: Path) -> None:
    sides = {"left": {"file": "tflite-int8"}, "right": {"file": "keras"}}
    (judged,) = study_of(tmp_path, [claim("accuracy", "not-below", 5, **sides)], {"mobilenetv2": [0.9] * 3})
    assert [(pair.left, pair.right) for pair in judged.pairs] == [
        ("MobileNetV2, fine-tuning, tflite-int8", "MobileNetV2, fine-tuning")
    ]


def test_equal_times_are_no_interval_of_width_0(tmp_path: Path) -> None:
    (judged,) = study_of(
        tmp_path, [claim("train_seconds", "not-above")], {"mobilenetv2": [0.9] * 2, "resnet50v2": [0.9] * 2}
    )
    assert judged.pairs[0].effect == pytest.approx(1)
    assert (judged.verdict, judged.pairs[0].effect_ci95) == ("undecided", None)


def test_several_seeds_are_taken_together(tmp_path: Path) -> None:
    sure, unsure = study_of(
        tmp_path,
        [claim("accuracy", "below"), claim("accuracy", "below", 9)],
        {"mobilenetv2": [0.84, 0.85, 0.86], "resnet50v2": [0.94, 0.93, 0.95]},
    )
    assert (sure.verdict, unsure.verdict) == ("supported", "undecided")
    assert sure.pairs[0].basis == "3 seeds, 400 images"
    assert sure.pairs[0].effect == pytest.approx(-9)
    # The estimate lies on the border: no number of seeds or images decides.
    assert unsure.pairs[0].more_would_decide is None


def test_latency_sizes_and_times(tmp_path: Path) -> None:
    fast, small, other_way, once = study_of(
        tmp_path,
        [
            claim("latency", "below", 3),
            claim("size_bytes", "below", 5),
            claim("size_bytes", "above", left={"backbone": "mobilenetv2"}, right={"backbone": "others"}),
            claim("train_seconds", "below"),
        ],
        {"mobilenetv2": [0.9], "resnet50v2": [0.9]},
    )
    assert fast.verdict == "supported"
    assert len(fast.pairs) == 2  # every file that both have
    assert fast.pairs[0].effect == pytest.approx(1 / 6, rel=0.05)
    assert (small.verdict, other_way.verdict) == ("supported", "refuted")
    assert small.pairs[0].effect == pytest.approx(1 / 9.4, rel=1e-3)
    assert (once.verdict, once.pairs[0].more_would_decide) == ("undecided", None)


def test_times_of_several_seeds_have_an_interval(tmp_path: Path) -> None:
    """Three times faster, known from three seeds each that differ by a few percent."""
    claims = [
        claim("train_seconds", "below", 2),
        claim("train_seconds", "below", 4),
        claim("train_seconds", "below", 3),
    ]
    study_of(tmp_path, claims, {"mobilenetv2": [0.9] * 3, "resnet50v2": [0.9] * 3})
    for backbone, seconds in (("mobilenetv2", [98, 100, 102]), ("resnet50v2", [294, 300, 306])):
        for seed, value in enumerate(seconds):
            run = RunFolder(tmp_path / "runs" / f"{backbone}-{seed}")
            change_run(run, timing=TimingRecord(train_seconds=float(value)))
    judged = compose(read_source(tmp_path), "2026-11-22", "0.1.0").claims
    assert [one.verdict for one in judged] == ["supported", "refuted", "undecided"]
    (pair,) = judged[0].pairs
    assert pair.effect == pytest.approx(1 / 3)
    assert pair.effect_ci95 == pytest.approx((0.3186, 0.3487), abs=2e-3)
    assert pair.basis == "3 seeds"


def test_the_page_shows_claims_with_reported_figures_beside(tmp_path: Path) -> None:
    claims = [claim("accuracy", "below"), claim("size_bytes", "below", 5), claim("train_seconds", "below")]
    claims[0]["text"] = "<b>worse</b>"
    study_of(tmp_path, claims, {"mobilenetv2": [0.86], "resnet50v2": [0.93]})
    build_report(tmp_path)
    page = (tmp_path / "report" / "report.html").read_text()
    assert "1 supported, 0 refuted, 2 undecided" in page
    assert "&lt;b&gt;worse&lt;/b&gt;" in page
    assert "−0.4" in page  # reported: 90.69 against 91.08
    assert "one seed decides nothing about a method; of these trained networks it is supported" in page


def test_a_claim_about_models_that_the_study_lacks_says_so(tmp_path: Path) -> None:
    (judged,) = study_of(tmp_path, [claim("accuracy", "above", left={"backbone": "vgg16"})], {"mobilenetv2": [0.9]})
    assert (judged.verdict, judged.pairs) == ("undecided", ())
    assert judged.reason == "this study has no such models"


def test_a_single_run_skips_claims_that_it_has_only_one_side_of(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", claims=(claim("accuracy", "above"),))
    assert compose(read_source(run.path), "2026-11-22", "0.1.0").claims == []


@pytest.mark.parametrize(
    ("relation", "supported", "refuted"),
    [
        ("above", (0.11, 0.2), (-0.2, 0.1)),
        ("below", (-0.2, -0.11), (-0.1, 0.2)),
        ("not-below", (-0.1, 0.5), (-0.5, -0.11)),
        ("not-above", (-0.5, 0.1), (0.11, 0.5)),
        ("within", (-0.1, 0.1), (0.11, 0.2)),
    ],
)
def test_regions(relation: str, supported: tuple[float, float], refuted: tuple[float, float]) -> None:
    region = Region.of(relation, 0.1)
    assert region.verdict(*supported) == "supported"
    assert region.verdict(*refuted) == "refuted"
    assert region.verdict(-0.3, 0.3) == "undecided"


def test_equality_counts_as_not_above_and_not_below() -> None:
    """An interval that only touches the margin lies outside "above" and inside "not above"."""
    assert Region.of("above", 0.1).verdict(0.1, 0.1) == "refuted"
    assert Region.of("not-above", 0.1).verdict(0.1, 0.1) == "supported"
    assert Region.of("not-above", 0.1).verdict(0.1, 0.2) == "undecided"
    assert Region.of("not-below", 0.1).verdict(-0.2, -0.1) == "undecided"


def test_one_refuted_pair_refutes_at_bonferronis_level() -> None:
    def evidence(estimate: float, deviation: float) -> Evidence:
        def interval(confidence: float) -> Interval:
            from statistics import NormalDist

            half = NormalDist().inv_cdf(0.5 + confidence / 2) * deviation
            return Interval(estimate, estimate - half, estimate + half, deviation, 9)

        return Evidence(estimate, interval, "", lambda *_: None)

    region = Region.of("above", 0.0)
    barely = evidence(-2.1, 1.0)  # p = 0.036: refuted alone, not as one of three
    assert judge([barely], region) == ["refuted"]
    verdicts = judge([evidence(5, 1), barely, evidence(5, 1)], region)
    assert verdicts == ["supported", "undecided", "supported"]
    assert judge([evidence(5, 1), evidence(-4, 1)], region) == ["supported", "refuted"]
    assert Region.of("above", 0.0).gap(-math.inf) == math.inf


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"relation": "better"}, "above"),
        ({"margin": -1}, "0 to 100 points"),
        ({"metric": "latency", "margin": 0.5}, "factor of at least 1"),
        ({"left": {"backbone": "others"}}, "only on the right of a claim"),
        ({"left": {"backbone": "vgg61"}}, "did you mean 'vgg16'"),
        ({"left": {"file": "tflite-int9"}}, "tflite-int8"),
    ],
)
def test_a_claim_that_makes_no_sense_is_refused(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError, match=said):
        validate({"claims": [claim("accuracy", "above") | changes]}, "test")


def test_the_shipped_claims() -> None:
    recipe = load_recipe("brain-tumor-mri")
    assert len(recipe.claims) == 9
    assert {row.n_samples for row in recipe.reported} == {1311}
