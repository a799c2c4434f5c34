"""The table of backbones: names, and the figures that come from a committed benchmark."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from edgekit.errors import InputError
from edgekit.recipe import Compare, Model
from edgekit.registry import BACKBONES, IMPORTED, backbone_title, get_backbone

RESULTS = Path(__file__).parents[2] / "benchmarks" / "results"


def test_the_int8_figures_are_those_of_the_committed_benchmark() -> None:
    def measured(data: str) -> dict[str, float]:
        results = json.loads((RESULTS / f"backbones-{data}.json").read_text())["results"]
        return {one["backbone"]: round(100 * one["files"]["tflite-int8"]["same"], 1) for one in results}

    known = {name: entry.int8_agreement for name, entry in BACKBONES.items() if entry.int8_agreement}
    digits, mri = measured("digits"), measured("mri")
    assert digits.keys() == mri.keys()
    assert known == {name: (digits[name], mri[name]) for name in digits}


@pytest.mark.parametrize("name", BACKBONES)
def test_every_entry_is_complete(name: str) -> None:
    entry = BACKBONES[name]
    assert entry.name == name == entry.slug == entry.title.lower()
    assert entry.macs > 0 and entry.parameters > 0 and entry.imagenet_top1
    assert entry.weights_file.endswith(".h5")
    assert entry.scaling in ("symmetric", "caffe", "imagenet")


@pytest.mark.parametrize(
    ("name", "short", "title"),
    [
        ("keras:InceptionV3", "keras:InceptionV3", "InceptionV3"),
        ("keras:MobileNetV2", "mobilenetv2", "MobileNetV2"),
        ("folder/my net.keras", "my net", "my net"),
        ("net.h5", "net", "net"),
    ],
)
def test_other_backbones_have_a_short_name(name: str, short: str, title: str) -> None:
    entry = get_backbone(name)
    assert (entry.name, entry.title, backbone_title(name)) == (short, title, title)
    assert "/" not in entry.slug and ":" not in entry.slug and " " not in entry.slug
    assert Model(backbone=name).backbone == name
    assert Compare(backbones=[name]).backbones == [name]


@pytest.mark.parametrize("name", ["mobilnetv2", "keras:", "keras:Mobile Net", "net.tflite", ""])
def test_anything_else_is_an_error_with_the_choices(name: str) -> None:
    with pytest.raises(InputError, match="unknown backbone") as error:
        get_backbone(name)
    assert "mobilenetv2" in str(error.value.hint)
    with pytest.raises(ValueError, match="unknown backbone"):
        Model(backbone=name)


def test_an_imported_model_is_no_backbone_to_train(tmp_path: Path) -> None:
    import edgekit

    assert Model(backbone=IMPORTED).backbone == IMPORTED
    with pytest.raises(InputError, match="an imported model cannot be trained"):
        edgekit.train(data=tmp_path, backbone=IMPORTED, weights="none", run=tmp_path / "run")


def test_settings_of_a_backbone_from_a_file() -> None:
    assert Model(backbone="net.keras", scaling="unit").scaling == "unit"
    with pytest.raises(ValueError, match="scaling is for a backbone from a file"):
        Model(scaling="unit")
    with pytest.raises(ValueError, match="has the weights of that file"):
        Model(backbone="net.keras", weights="other.h5")


def test_a_backbone_file_that_does_not_exist_is_an_error_before_anything_else(tmp_path: Path) -> None:
    import edgekit

    with pytest.raises(InputError, match="the backbone file does not exist"):
        edgekit.train(data=tmp_path, backbone=str(tmp_path / "net.keras"), run=tmp_path / "run")
