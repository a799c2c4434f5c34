"""Which cells a study has, and that its folder can be gone on with."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from PIL import Image

from edgekit.errors import InputError
from edgekit.recipe import Recipe, differences, validate
from edgekit.recipe.redaction import redact_path
from edgekit.study.cells import plan_cells
from edgekit.study.folder import Study
from edgekit.study.leak_audit import audit_study
from edgekit.support.progress import SILENT


def recipe(**compare: object) -> Recipe:
    return validate({"name": "s", "data": {"name": "digits"}, "compare": compare}, "test")


def test_every_combination_and_feature_extraction_first(tmp_path: Path) -> None:
    cells = plan_cells(
        recipe(backbones=["vgg16", "mobilenetv2"], strategies=["fine-tuning", "feature-extraction"], seeds=[0, 1]),
        tmp_path,
    )
    assert len(cells) == 8
    assert len({cell.run for cell in cells}) == 8
    position = {(c.backbone, c.strategy, c.seed): i for i, c in enumerate(cells)}
    for (backbone, _, seed), place in position.items():
        assert position[backbone, "feature-extraction", seed] <= place
    tuned = cells[position["vgg16", "fine-tuning", 1]]
    assert str(tuned.recipe.train.start_from).endswith("runs/vgg16-feature-extraction-s1")
    assert tuned.recipe.model.backbone == "vgg16"
    assert tuned.recipe.train.seed == 1


def test_without_lists_the_recipe_is_the_only_cell(tmp_path: Path) -> None:
    (cell,) = plan_cells(recipe(), tmp_path)
    assert (cell.backbone, cell.strategy, cell.seed) == ("mobilenetv2", "fine-tuning", 0)
    assert cell.recipe.train.start_from is None


def test_overrides_reach_only_their_backbone(tmp_path: Path) -> None:
    cells = plan_cells(
        recipe(backbones=["vgg16", "resnet50v2"], overrides={"vgg16": {"train.batch_size": 8}}), tmp_path
    )
    assert [cell.recipe.train.batch_size for cell in cells] == [8, 32]


def test_arms_differ_in_their_settings_alone(tmp_path: Path) -> None:
    arms = {"basic": {}, "mixed": {"train.mix.mixup.probability": 0.5, "train.mix.phases": ["fine-tuning"]}}
    study = recipe(arms=arms, seeds=[0, 1], strategies=["feature-extraction", "fine-tuning"])
    cells = plan_cells(study, tmp_path)
    assert len({cell.run for cell in cells}) == len(cells) == 8
    mixed, basic = (
        next(c for c in cells if (c.arm, c.strategy, c.seed) == (arm, "fine-tuning", 1)) for arm in ("mixed", "basic")
    )
    assert mixed.run == "runs/mobilenetv2-fine-tuning-mixed-s1"
    assert mixed.title == "mobilenetv2, fine-tuning, mixed, seed 1"
    assert mixed.recipe.arm == "mixed"
    assert str(mixed.recipe.train.start_from).endswith("mobilenetv2-feature-extraction-mixed-s1")
    assert sorted(differences(mixed.recipe.document(), basic.recipe.document())) == [
        "arm",
        "train.mix.mixup.probability",
        "train.mix.phases",
        "train.start_from",
    ]


@pytest.mark.parametrize("arms", [{"Basic": {}}, {"a/b": {}}, {"mixed": {"train.mixx": 1}}])
def test_wrong_arms_are_refused_before_anything_is_written(arms: dict[str, dict[str, int]], tmp_path: Path) -> None:
    with pytest.raises(InputError):
        Study.open(tmp_path / "study", recipe(arms=arms))
    assert not (tmp_path / "study").exists()


@pytest.mark.parametrize(
    ("overrides", "said"),
    [({"vgg19": {"train.seed": 1}}, "vgg19"), ({"vgg16": {"train.batchsize": 1}}, "did you mean 'batch_size'")],
)
def test_wrong_overrides_are_refused_before_anything_is_written(
    overrides: dict[str, dict[str, int]], said: str, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match=said):
        Study.open(tmp_path / "study", recipe(backbones=["vgg16"], overrides=overrides))
    assert not (tmp_path / "study").exists()


def test_overrides_of_a_backbone_that_is_left_out_wait_for_it(tmp_path: Path) -> None:
    """``--set compare.backbones=[mobilenetv2]`` narrows a recipe, whatever it says of the others."""
    narrow = recipe(backbones=["mobilenetv2"], overrides={"vgg16": {"train.batch_size": 8}})
    assert [cell.backbone for cell in Study.open(tmp_path, narrow).cells] == ["mobilenetv2"]


def test_a_study_remembers_its_cells(tmp_path: Path) -> None:
    study = Study.open(tmp_path, recipe(backbones=["vgg16", "mobilenetv2"]))
    study.update(study.cells[1], "failed", "out of memory")
    again = Study.open(tmp_path, recipe(backbones=["vgg16", "mobilenetv2"]))
    assert [(c.status, c.error) for c in again.cells] == [("waiting", None), ("failed", "out of memory")]
    assert "recipe" not in json.loads(study.file.read_text())["cells"][0]


def test_a_study_can_grow(tmp_path: Path) -> None:
    study = Study.open(tmp_path, recipe(seeds=[0], arms={"basic": {}}))
    study.update(study.cells[0], "exported", seconds=9.0)
    arms = {"basic": {}, "small": {"train.batch_size": 8}}
    grown = Study.open(tmp_path, recipe(backbones=["mobilenetv2", "vgg16"], seeds=[1, 0], arms=arms))
    done = {cell.run: cell.seconds for cell in grown.cells if cell.status == "exported"}
    assert len(grown.cells) == 8
    assert done == {study.cells[0].run: 9.0}


def test_a_study_does_not_shrink(tmp_path: Path) -> None:
    Study.open(tmp_path, recipe(seeds=[0, 1]))
    with pytest.raises(InputError, match=r"cannot be removed .* lacks: mobilenetv2-\S+-s1"):
        Study.open(tmp_path, recipe(seeds=[0]))


def test_a_cell_that_would_be_another_is_refused(tmp_path: Path) -> None:
    Study.open(tmp_path, recipe(seeds=[0], arms={"small": {"train.batch_size": 8}}))
    with pytest.raises(InputError, match=r"changed settings are: train\.batch_size"):
        Study.open(tmp_path, recipe(seeds=[0, 1], arms={"small": {"train.batch_size": 16}}))


def test_a_study_may_be_given_new_claims_when_it_is_finished(tmp_path: Path) -> None:
    study = Study.open(tmp_path, recipe(seeds=[0]))
    study.update(study.cells[0], "exported")
    claims = [{"text": "t", "metric": "loss", "left": {}, "relation": "below", "right": {}}]
    newer = validate({**recipe(seeds=[0]).document(), "claims": claims, "description": "with claims"}, "test")
    again = Study.open(tmp_path, newer)
    assert [cell.status for cell in again.cells] == ["exported"]
    again.save()
    assert json.loads(study.file.read_text())["recipe"]["claims"][0]["text"] == "t"
    with pytest.raises(InputError, match=r"changed settings are: train\.batch_size"):
        Study.open(tmp_path, validate({**newer.document(), "train": {"batch_size": 8}}, "test"))


def test_a_folder_with_other_things_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("all of it")
    with pytest.raises(InputError):
        Study.open(tmp_path, recipe())
    assert [p.name for p in tmp_path.iterdir()] == ["thesis.txt"]


def test_it_does_not_tell_where_images_and_weights_lie(tmp_path: Path) -> None:
    """And goes on wherever they lie now: their content is what counts."""

    def of(home: str, epochs: int = 10) -> Recipe:
        data, model = {"path": f"{home}/photos"}, {"weights": f"{home}/mobile.weights.h5"}
        train = {"feature_extraction": {"epochs": epochs}}
        return validate({"name": "s", "data": data, "model": model, "train": train}, "test")

    Study.open(tmp_path / "study", of("/home/ann"))
    text = (tmp_path / "study" / "study.json").read_text()
    assert "/home" not in text
    assert json.loads(text)["recipe"]["data"]["path"] == "photos"
    study = Study.open(tmp_path / "study", of("/srv"))
    assert study.cells[0].recipe.data.path == "/srv/photos"
    with pytest.raises(InputError, match=r"train\.feature_extraction\.epochs"):
        Study.open(tmp_path / "study", of("/srv", epochs=3))


@pytest.mark.parametrize(
    ("path", "name"),
    [("/home/ann/photos", "photos"), ("~/photos/", "photos"), ("C:\\Users\\ann\\photos", "photos")]
    + [(same, same) for same in ("photos", "../data/photos", "imagenet", "none")],
)
def test_a_place_by_its_name(path: str, name: str) -> None:
    assert redact_path(path) == name


def test_other_images_are_not_mixed_into_a_study(tmp_path: Path) -> None:
    """Before anything is trained they may change; afterwards half of the cells would have seen others."""
    for label, grey in (("cat", 40), ("dog", 200)):
        for number in range(6):
            (tmp_path / "photos" / label).mkdir(parents=True, exist_ok=True)
            Image.new("L", (16, 16), grey + number).save(tmp_path / "photos" / label / f"{number}.png")
    photos = validate({"name": "s", "data": {"path": str(tmp_path / "photos")}}, "test")
    study = tmp_path / "study"
    audit_study(photos, study, SILENT)
    assert json.loads((study / "audit.json").read_text())["root"] == "photos"
    Image.new("L", (16, 16), 99).save(tmp_path / "photos" / "cat" / "0.png")
    audit_study(photos, study, SILENT)
    (study / "runs" / "a").mkdir(parents=True)
    (study / "runs" / "a" / "run.json").write_text("{}")
    audit_study(photos, study, SILENT)
    Image.new("L", (16, 16), 98).save(tmp_path / "photos" / "cat" / "0.png")
    with pytest.raises(InputError, match="images have changed"):
        audit_study(photos, study, SILENT)


def test_claims_are_recorded_until_the_first_result(tmp_path: Path) -> None:
    def with_claims(*texts: str, seeds: tuple[int, ...] = (0,)) -> Recipe:
        claims = [{"text": t, "metric": "loss", "left": {}, "relation": "below", "right": {}} for t in texts]
        return validate({**recipe(seeds=list(seeds)).document(), "claims": claims}, "test")

    def planned(study: Study) -> tuple[str, ...]:
        plan = study.document().claims_plan
        assert plan is not None
        return plan.sha256

    first = Study.open(tmp_path, with_claims("a"))
    assert planned(first) == tuple(claim.digest() for claim in first.recipe.claims)
    second = Study.open(tmp_path, with_claims("a", "b"))
    assert len(planned(second)) == 2
    second.update(second.cells[0], "trained")
    third = Study.open(tmp_path, with_claims("c", seeds=(0, 1)))
    assert planned(third) == planned(second)
    assert [cell.added_later for cell in third.cells] == [False, True]
    third.save()
    assert [cell.added_later for cell in Study.open(tmp_path, with_claims("c", seeds=(0, 1))).cells] == [False, True]


def test_a_study_of_an_older_edgekit_says_nothing_about_when_claims_were_written(tmp_path: Path) -> None:
    study = Study.open(tmp_path, recipe(seeds=[0]))
    stored = json.loads(study.file.read_text())
    del stored["claims_plan"]
    stored["cells"] = [{k: v for k, v in cell.items() if k != "added_later"} for cell in stored["cells"]]
    study.file.write_text(json.dumps({**stored, "schema_version": 2}))
    assert Study.open(tmp_path, recipe(seeds=[0])).document().claims_plan is None
