"""Recipes: what is an error and what its message says, what is read, and that a recipe survives being written."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel

from edgekit.errors import InputError
from edgekit.recipe import Recipe, assign, differences, load_recipe, parse_setting, shipped_recipes, validate
from edgekit.recipe.resolve import resolve_recipe
from edgekit.registry import BACKBONES, SCHEMES


def write(folder: Path, text: str) -> Path:
    path = folder / "mine.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def problem(folder: Path, text: str) -> str:
    """The error message for a recipe."""
    with pytest.raises(InputError) as caught:
        load_recipe(write(folder, text))
    assert caught.value.exit_code == 2
    assert "mine.yaml" in str(caught.value)
    return caught.value.problem


def test_an_unknown_key_is_an_error_with_its_line_and_the_closest_key(tmp_path):
    text = problem(tmp_path, "name: mine\n\ntrain:\n  seed: 1\n  batch_sise: 16\n")
    assert "line 5, train.batch_sise: unknown key" in text
    assert "did you mean 'batch_size'?" in text
    assert "learning_rate" not in text
    assert "early_stopping" in text  # the keys that exist there


def test_an_unknown_section_is_an_error_with_the_closest_section(tmp_path):
    assert "line 1, trian: unknown key; did you mean 'train'?" in problem(tmp_path, "trian: {seed: 1}\n")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("train: {batch_size: '16'}", "line 1, train.batch_size: input should be a valid integer, not '16'"),
        ("train: {batch_size: true}", "train.batch_size: input should be a valid integer, not True"),
        ("train: {batch_size: 16.0}", "train.batch_size"),
        ("train: {batch_size: 0}", "greater than or equal to 1, not 0"),
        ("train:\n  seed: 1\n  augment: {zoom: 1.5}", "line 3, train.augment.zoom: input should be less than 1"),
        ("train: {fine_tuning: {learning_rate: .nan}}", "train.fine_tuning.learning_rate"),
        ("train: {fine_tuning: {learning_rate: .inf}}", "train.fine_tuning.learning_rate"),
        ("train: {strategy: finetuning}", "'fine-tuning'"),
        ("data: photos", "line 1, data"),
        ("model: {backbone: mobilnetv2}", "did you mean 'mobilenetv2'?"),
        ("compare: {backbones: [vgg]}", "did you mean 'vgg16'?"),
        ("export: {files: [tflite-int4]}", "choices: tflite-fp32"),
        ("bench: {threads: []}", "bench.threads"),
        ("reported: [{backbone: vgg16, strategy: fine-tuning, accuracy: 0.9, source: x}]", "reported.0.n_samples"),
        ("schema_version: 2", "schema_version"),
    ],
)
def test_wrong_types_and_values_are_errors(tmp_path, text, expected):
    assert expected in problem(tmp_path, text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("data: {path: a, name: digits}", "exclude each other"),
        ("data: {image_size: 16}", "data.image_size"),
        ("model: {backbone: vgg16, alpha: 0.5}", "vgg16 has no width multiplier"),
        ("model: {alpha: 0.42}", "0.35, 0.5, 0.75"),
        ("train: {strategy: from-scratch}", "requires model.weights: none"),
        ("train: {fine_tuning: {last_layers: 3, from_layer: x}}", "not last_layers and from_layer"),
        ("train: {fine_tuning: {last_stage: true, from_block: block5}}", "not last_stage and from_block"),
        ("train: {fine_tuning: {last_stage: false}}", "say which layers to train"),
        ("train: {strategy: feature-extraction, start_from: runs/a}", "start_from requires"),
    ],
)
def test_impossible_combinations_are_errors(tmp_path, text, expected):
    assert expected in problem(tmp_path, text)


def test_all_problems_are_reported_at_once(tmp_path):
    text = problem(tmp_path, "train:\n  batch_sise: 1\n  seed: -1\nmodel: {backbone: alexnet}\n")
    assert "3 problems" in text
    for key in ("line 2, train.batch_sise", "line 3, train.seed", "line 4, model.backbone"):
        assert key in text


def test_a_duplicate_key_is_an_error_with_its_line(tmp_path):
    with pytest.raises(InputError, match="the key 'seed' is given twice") as caught:
        load_recipe(write(tmp_path, "train:\n  seed: 1\n  batch_size: 2\n  seed: 3\n"))
    assert caught.value.where == f"{tmp_path / 'mine.yaml'}:4"


@pytest.mark.parametrize("text", ["train: [", "- a\n- b\n", "train:\n\tseed: 1\n", "just words", "{1: 2}"])
def test_a_file_that_is_not_a_recipe_is_an_error(tmp_path, text):
    with pytest.raises(InputError):
        load_recipe(write(tmp_path, text))


def test_a_binary_file_is_an_error(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_bytes(b"\xff\xfe\x00\x01")
    with pytest.raises(InputError, match="UTF-8"):
        load_recipe(path)


def test_a_missing_recipe_file_is_an_error_that_names_the_shipped_ones(tmp_path):
    with pytest.raises(InputError) as caught:
        load_recipe(tmp_path / "quickstrat.yaml")
    assert "quickstart" in str(caught.value.hint)


def test_an_empty_file_is_a_recipe_of_defaults(tmp_path):
    assert load_recipe(write(tmp_path, "# nothing yet\n")) == Recipe()


@pytest.mark.parametrize("name", shipped_recipes())
def test_every_shipped_recipe_is_valid_and_has_the_name_of_its_file(name):
    recipe = load_recipe(name)
    assert recipe.name == name
    assert recipe.description
    assert validate(recipe.document(), name) == recipe


def test_the_shipped_recipes_cover_every_backbone_and_plain_format():
    assert {"quickstart", "brain-tumor-mri", "vgg16", "resnet50v2", "mobilenetv2", "resnet50"} <= set(shipped_recipes())
    assert load_recipe("brain-tumor-mri").compare.backbones == ["vgg16", "resnet50v2", "mobilenetv2"]
    plain = {key for key, scheme in SCHEMES.items() if not scheme.compression and scheme.source is None}
    others = {"onnx-int8-s8s8", "ncnn-fp32", "ncnn-fp16"}  # for Arm
    assert set(load_recipe("brain-tumor-mri").export.files) == plain - others


@pytest.mark.parametrize(
    ("text", "value"),
    [("3e-4", 3e-4), ("1E3", 1000.0), ("3.0e-4", 3e-4), ("1e+2", 100.0), ("0.5", 0.5), ("16", 16), ("null", None)],
)
def test_numbers_are_read_as_numbers(tmp_path, text, value):
    assert parse_setting(f"train.fine_tuning.learning_rate={text}") == ("train.fine_tuning.learning_rate", value)


def test_scientific_notation_works_in_a_file_and_quoted_text_stays_text(tmp_path):
    recipe = load_recipe(write(tmp_path, "name: '1e5'\ntrain: {feature_extraction: {learning_rate: 3e-4}}\n"))
    assert recipe.train.feature_extraction.learning_rate == 3e-4
    assert recipe.name == "1e5"


def test_settings_override_the_file(tmp_path):
    path = write(tmp_path, "train: {seed: 1, batch_size: 8}\n")
    recipe = load_recipe(path, dict([parse_setting("train.seed=5"), parse_setting("train.augment.flip=both")]))
    assert (recipe.train.seed, recipe.train.batch_size, recipe.train.augment.flip) == (5, 8, "both")


@pytest.mark.parametrize("text", ["train.seed", "=3", "train.seed=[1"])
def test_a_malformed_setting_is_an_error(text):
    with pytest.raises(InputError, match="--set"):
        parse_setting(text)


def test_a_setting_with_an_unknown_key_is_an_error_with_a_suggestion():
    with pytest.raises(InputError, match="did you mean 'dropout'"):
        load_recipe("quickstart", {"model.head.dropuot": 0.1})


def test_a_setting_below_a_value_is_an_error():
    with pytest.raises(InputError, match="is a value, not a section"):
        assign({"train": 3}, "train.seed", 1)


def test_differences_name_the_dotted_keys():
    a, b = load_recipe("quickstart"), load_recipe("quickstart", {"train.seed": 4, "data.split.val": 0.3})
    assert sorted(differences(a.document(), b.document())) == ["data.split.val", "train.seed"]


def test_a_recipe_cannot_be_changed():
    with pytest.raises(ValueError, match="frozen"):
        Recipe().train.seed = 3


def test_training_from_a_layer_survives_being_written():
    recipe = validate({"train": {"fine_tuning": {"from_layer": "block_13_expand"}}}, "test")
    assert recipe.train.fine_tuning.last_layers is None
    assert not recipe.train.fine_tuning.last_stage
    assert validate(recipe.document(), "test") == recipe


@pytest.mark.parametrize("way", [{"last_layers": 3}, {"last_stage": True}, {"from_layer": "Conv_1"}, {"fraction": 0.5}])
def test_a_setting_that_opens_layers_replaces_that_of_the_recipe(tmp_path, way):
    file = write(tmp_path, json.dumps({"train": {"fine_tuning": {"epochs": 3, **way}}}))
    setting = {"train.fine_tuning.from_block": "block_16"}
    for recipe in (load_recipe(file, setting), resolve_recipe(load_recipe(file), setting)):
        phase = recipe.train.fine_tuning
        assert (phase.from_block, phase.last_stage, phase.last_layers, phase.epochs) == ("block_16", False, None, 3)
        assert (phase.from_layer, phase.fraction) == (None, None)
    kept = load_recipe(file, {"train.fine_tuning.from_block": None}).train.fine_tuning
    assert kept == load_recipe(file).train.fine_tuning


def test_two_settings_that_open_layers_are_an_error(tmp_path):
    settings = {"train.fine_tuning.from_block": "block5", "train.fine_tuning.last_layers": 3}
    with pytest.raises(InputError, match="not last_layers and from_block"):
        load_recipe("brain-tumor-mri", settings)


def models(model: type[BaseModel]) -> Iterator[type[BaseModel]]:
    """A section of the recipe and all sections inside it."""
    yield model
    for field in model.model_fields.values():
        for inner in (field.annotation, *get_args(field.annotation)):
            if isinstance(inner, type) and issubclass(inner, BaseModel):
                yield from models(inner)


@pytest.mark.parametrize("section", sorted(set(models(Recipe)), key=lambda section: section.__name__))
def test_every_setting_has_a_description(section):
    assert section.__doc__
    assert [name for name, field in section.model_fields.items() if not field.description] == []


def test_an_unknown_recipe_name_is_an_error_with_a_suggestion():
    with pytest.raises(InputError, match="unknown recipe 'quickstrat'") as caught:
        load_recipe("quickstrat")
    assert "did you mean 'quickstart'?" in str(caught.value.hint)


fraction = st.floats(0, 0.999)
positive = st.floats(1e-8, 10)
stage = {"epochs": st.integers(1, 500), "learning_rate": positive, "dropout": st.none() | fraction}


def section(**values: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    """A section with any part of its keys."""
    return st.fixed_dictionaries({}, optional=values)


opened_layers = st.sampled_from(
    [
        {},
        {"last_layers": 1},
        {"last_layers": 155},
        {"from_layer": "Conv_1"},
        {"from_layer": "x", "last_layers": None},
        {"last_stage": True},
        {"fraction": 0.2},
        {"from_block": "block_16"},
    ]
)
recipes = section(
    name=st.text(st.characters(categories=["L", "N", "Pd"]), min_size=1, max_size=20),
    description=st.text(max_size=20),
    data=section(
        path=st.none() | st.text(st.characters(exclude_characters="\0", codec="utf-8"), min_size=1, max_size=30),
        image_size=st.integers(71, 2048),
        resize=st.sampled_from(["stretch", "crop", "pad"]),
        on_corrupt=st.sampled_from(["stop", "skip"]),
        split=section(val=fraction, test=fraction, seed=st.integers(0, 2**31 - 1)),
        limit_per_class=st.none() | st.integers(1, 10**6),
    ),
    model=section(
        backbone=st.sampled_from(list(BACKBONES)),
        weights=st.sampled_from(["imagenet", "weights/a.weights.h5"]),
        head=section(units=st.integers(0, 4096), batchnorm=st.booleans(), dropout=fraction),
    ),
    train=section(
        strategy=st.sampled_from(["feature-extraction", "fine-tuning"]),
        seed=st.integers(0, 2**31 - 1),
        batch_size=st.integers(1, 4096),
        label_smoothing=fraction,
        class_weights=st.sampled_from(["none", "balanced"]),
        augment=section(rotation=st.floats(0, 180), zoom=fraction, flip=st.sampled_from(["none", "both"])),
        feature_extraction=section(**stage),
        fine_tuning=st.builds(lambda a, b: a | b, section(**stage, train_batchnorm=st.booleans()), opened_layers),
        from_scratch=section(**stage, batchnorm_momentum=fraction),
        reduce_lr=section(enabled=st.booleans(), factor=st.floats(0.01, 0.99), min_learning_rate=st.floats(0, 1)),
    ),
    export=section(files=st.lists(st.sampled_from(list(SCHEMES))), parity_images=st.integers(1, 1000)),
    bench=section(
        protocol=st.sampled_from(["quick", "full"]), threads=st.lists(st.integers(0, 64), min_size=1, max_size=20)
    ),
    compare=section(
        backbones=st.lists(st.sampled_from(list(BACKBONES)), unique=True),
        seeds=st.lists(st.integers(0, 99), unique=True),
        overrides=st.dictionaries(st.sampled_from(list(BACKBONES)), st.just({"train.seed": 1})),
    ),
)


@settings(max_examples=60)
@given(document=recipes)
def test_a_recipe_that_is_written_reads_back_the_same(document):
    recipe = validate(document, "generated")
    written = recipe.document()
    again = validate(written, "written")
    assert again == recipe
    assert again.document() == written


BOMB = "\n".join(
    ["a0: &a0 {x: 1}", *(f"a{i}: &a{i} {{p: *a{i - 1}, q: *a{i - 1}, r: *a{i - 1}}}" for i in range(1, 25))]
)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("? [a, b]\n: 1\n", "recipe.yaml:1"),
        ("? {a: 1}\n: 1\n", "a key must be text"),
        ("train: !!int x", "'x' is not a valid int"),
        ("train: !!bool x", "'x' is not a valid bool"),
        ("train: !!float {}", "cannot contain a value of type 'float'"),
        ("train: 2024-13-45", "write '2024-13-45' in quotes"),
        ("train: !!binary x", "type 'binary'"),
        ("train: !!set {a}", "type 'set'"),
        ("train: !!python/object/apply:os.system [id]", "cannot contain a value of type"),
        ("train: " + "[" * 3000, "nested more than"),
        ("train: " + "[" * 50 + "]" * 50, "nested more than"),
        ("train: &a [*a]", "an alias refers to a value that contains it"),
        ("train: &a {b: {c: *a}}", "an alias refers to a value that contains it"),
        (BOMB, "with aliases expanded"),
        ("a: &a {x: 1}\nb: {<<: *a}", "merge keys"),
        ("k: 1\n" * 2_000_000, "a recipe may have 300,000"),
        ("seed: " + "9" * 5000, "is not a valid int"),
        ("compare: {seeds: [" + ", ".join(map(str, range(30_000))) + "]}", "at most 1000 items"),
        ("claims: [" + ", ".join(["{text: a}"] * 20_000) + "]", "the recipe has"),
        ("compare: {seeds: [1, 1]}", "1 is given twice"),
        ("compare: {seeds: [0, 0]}", "0 is given twice"),
        ("train: {batch_size: 9999999999999}", "train.batch_size"),
        ('data: {path: "a\\0b"}', "null character"),
        ("data: {path: ''}", "cannot be empty"),
        ("\n".join(f"k{i}: {'x' * 200}" for i in range(1000)), "and 990 more"),
        ("name: {a: " + "x" * 100_000 + "}", "..."),
    ],
)
def test_recipes_that_are_no_recipes_are_refused_at_once(text, said, tmp_path):
    file = tmp_path / "recipe.yaml"
    file.write_text(text)
    started = time.process_time()
    with pytest.raises(InputError) as error:
        load_recipe(file)
    assert time.process_time() - started < 20
    assert said in str(error.value)
    assert len(str(error.value)) < 5000


@pytest.mark.parametrize("key", ["", ".", "train..seed", "train.", ".train", ".".join("a" * 10_000), "train.seed.x.y"])
def test_keys_of_settings_that_are_no_keys(key):
    with pytest.raises(InputError):
        load_recipe("quickstart", {key: 1})


def test_a_study_of_millions_of_cells_is_refused(tmp_path):
    from edgekit.study.cells import plan_cells

    arms = {f"a{number}": {} for number in range(100)}
    with pytest.raises(InputError, match="100,000 cells"):
        plan_cells(validate({"compare": {"seeds": list(range(1000)), "arms": arms}}, "test"), tmp_path)


def test_a_recipe_with_a_byte_order_mark_is_read(tmp_path):
    (tmp_path / "recipe.yaml").write_bytes("\ufeffname: windows\r\n".encode())
    assert load_recipe(tmp_path / "recipe.yaml").name == "windows"


def test_random_weights_are_trained_in_every_layer_unless_a_strategy_is_given():
    def strategy(**train: object) -> str:
        return validate({"model": {"weights": "none"}, "train": train}, "test").train.strategy

    assert strategy() == strategy(batch_size=8) == "from-scratch"
    assert validate({"model": {"weights": "none"}}, "test").train.strategy == "from-scratch"
    assert strategy(strategy="feature-extraction") == "feature-extraction"
    assert strategy(start_from="runs/one") == "fine-tuning"
    assert validate({}, "test").train.strategy == "fine-tuning"
