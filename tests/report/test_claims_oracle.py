"""Random claims on generated studies: the package agrees with a slow implementation of the documented rules."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from claims_oracle import verdicts
from document_factory import recipe_of
from hypothesis import given, settings
from hypothesis import strategies as st
from report_factory import change_export, change_study, write_bench, write_run, write_study

from edgekit.documents.study import StudyDocument
from edgekit.recipe import Claim
from edgekit.report.model.claim_verdicts import judged_claims
from edgekit.report.model.comparisons import Comparisons
from edgekit.report.model.exported_files import ExportedFile, exported_files
from edgekit.report.model.source import Source, read_source

FILES = ("tflite-fp32", "tflite-int8")
BACKBONES = ("mobilenetv2", "resnet50v2", "vgg16")
Ready = tuple[Path, Source, list[ExportedFile], Comparisons]


def generated(folder: Path, backbones: int, seeds: int, arms: tuple[str | None, ...], *, broken: bool) -> Ready:
    """``broken``: the last cell failed, and so did the int8 file of the first."""
    random = np.random.default_rng([backbones, seeds, len(arms)])
    cells = []
    for backbone, arm, seed in ((b, a, s) for b in BACKBONES[:backbones] for a in arms for s in range(seeds)):
        run = write_run(
            folder / "runs" / f"{backbone}-{arm}-{seed}",
            backbone=backbone,
            strategy="fine-tuning",
            seed=seed,
            arm=arm,
            n_test=80,
            accuracy=0.7 + 0.09 * BACKBONES.index(backbone) + float(random.normal(0, 0.02)),
            scale=1.0 + BACKBONES.index(backbone),
            train_seconds=float(100 * (1 + BACKBONES.index(backbone)) * random.lognormal(0, 0.2)),
            files=FILES,
        )
        for key in FILES:
            write_bench(run, key, rounds=6, block=2)
        cells.append((run, "exported"))
    if broken:
        change_export(cells[0][0], "tflite-int8", status="failed", problems=("it is worse",))
    study = write_study(folder, cells)
    if broken:
        records = StudyDocument.read(study / "study.json").cells
        failed = records[-1].model_copy(update={"status": "failed", "error": "out of memory"})
        change_study(study, cells=(*records[:-1], failed))
        (study / records[-1].run / "run.json").unlink()
    source = read_source(study)
    files = exported_files(source.runs)
    return study, source, files, Comparisons(files)


@pytest.fixture(scope="module")
def studies(tmp_path_factory: pytest.TempPathFactory) -> list[Ready]:
    place = tmp_path_factory.mktemp("studies")
    return [
        generated(place / "whole", 3, 3, (None,), broken=False),
        generated(place / "broken", 2, 3, ("basic", "mixed"), broken=True),
        generated(place / "once", 2, 1, (None,), broken=False),
    ]


@st.composite
def claims(draw: st.DrawFn) -> Claim:
    metric = draw(st.sampled_from(["accuracy", "accuracy", "loss", "train_seconds", "size_bytes", "parameters"]))
    unit = {"accuracy": [0, 1, 5, 12], "loss": [0.0, 0.05, 0.2]}.get(metric, [1.0, 1.3, 2.5])
    files: list[str | None] = [None, *FILES] if metric in ("accuracy", "size_bytes") else [None]
    backbones: list[str | None] = [None, *BACKBONES]
    left = {"backbone": draw(st.sampled_from(backbones)), "file": draw(st.sampled_from(files))}
    right = {"backbone": draw(st.sampled_from([*backbones, "others"])), "file": None}
    if metric in ("accuracy", "size_bytes") and left["file"] is not None:
        right["file"] = draw(st.sampled_from([*files, *(["keras"] if metric == "accuracy" else [])]))
    return Claim.model_validate(
        {
            "text": "a random claim",
            "metric": metric,
            "left": left,
            "relation": draw(st.sampled_from(["above", "below", "not-above", "not-below", "within"])),
            "right": right | {"arm": draw(st.sampled_from([None, "basic"]))},
            "margin": draw(st.sampled_from(unit)),
            "about": draw(st.sampled_from(["methods", "methods", "networks"])),
        }
    )


def test_two_hundred_random_claims_agree_with_a_slow_implementation(studies: list[Ready]) -> None:
    seen: list[str] = []

    @settings(max_examples=80, derandomize=True)
    @given(family=st.lists(claims(), min_size=1, max_size=5), which=st.integers(0, 2))
    def agree(family: list[Claim], which: int) -> None:
        study, source, files, comparisons = studies[which]
        recipe = recipe_of(claims=[claim.model_dump() for claim in family])
        found = [str(one.verdict) for one in judged_claims(source.with_claims(recipe), files, comparisons)]
        assert found == verdicts(family, study)
        seen.extend(found)

    agree()
    assert len(seen) >= 200
    assert min(seen.count(verdict) for verdict in ("supported", "refuted", "undecided")) >= 10
