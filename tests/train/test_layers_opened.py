"""The layers that fine-tuning trains, their groups and their learning rates."""

from __future__ import annotations

import json

import numpy as np
import pytest
from backbones import backbones
from listeners import StopsAt
from test_phases import make_job
from train_helpers import edgekit_here

from edgekit.errors import InputError
from edgekit.recipe import FineTuning, Model, load_recipe, validate


@pytest.fixture(scope="module")
def net():
    from edgekit.train.backend import prepare_backend

    prepare_backend("cpu")
    from edgekit.train import network

    return network


@pytest.fixture(scope="module")
def names(net):
    """Names of the layers of every backbone, on first use."""

    class Names(dict):
        def __missing__(self, name: str) -> list[str]:
            self[name] = net.outline(Model(backbone=name, weights="none")).names
            return self[name]

    return Names()


@pytest.mark.parametrize(
    ("backbone", "block", "first"),
    [
        ("vgg16", "block5", "block5_conv1"),
        ("resnet50", "conv5", "conv5_block1_1_conv"),
        ("resnet50", "conv5_block3", "conv5_block3_1_conv"),
        ("resnet50v2", "conv5_block3", "conv5_block3_preact_bn"),
        ("resnet50v2", "post", "post_bn"),
        ("mobilenetv2", "block_1", "block_1_expand"),
        ("mobilenetv2", "block_16", "block_16_expand"),
        ("mobilenetv2", "Conv_1", "Conv_1"),
    ],
)
def test_a_block_begins_at_its_first_layer(net, names, backbone, block, first):
    start = net.first_opened(names[backbone], FineTuning(from_block=block), backbone)
    assert names[backbone][start] == first


@pytest.mark.parametrize("backbone", backbones(("vgg16", "resnet50v2", "mobilenetv2", "mobilenetv3small")))
def test_every_row_of_the_layer_list_opens_the_layers_it_shows(net, names, backbone, capsys):
    """last_layers, fraction and from_layer of a row open that layer and all later ones; from_block opens its block."""
    assert edgekit_here("list", "backbones", "--layers", backbone, "--json") == 0
    rows = json.loads(capsys.readouterr().out)["layers"]
    assert [row["name"] for row in rows] == names[backbone]
    blocks = [row["block"] for row in rows]
    for place, row in enumerate(rows):
        ways = [{"last_layers": row["last"]}, {"fraction": row["fraction"]}, {"from_layer": row["name"]}]
        assert [net.first_opened(names[backbone], FineTuning(**way), backbone) for way in ways] == [place] * 3
        block = net.first_opened(names[backbone], FineTuning(from_block=row["block"]), backbone)
        assert block == blocks.index(row["block"])


@pytest.mark.parametrize(
    ("backbone", "first"),
    [
        ("vgg16", "block5_conv1"),
        ("resnet50v2", "conv5_block1_preact_bn"),
        ("resnet50", "conv5_block1_1_conv"),
        ("mobilenetv2", "block_13_depthwise"),
        ("mobilenetv3small", "expanded_conv_8_depthwise"),
        pytest.param("mobilenet", "conv_dw_12", marks=pytest.mark.slow),
        pytest.param("mobilenetv3large", "expanded_conv_12_depthwise", marks=pytest.mark.slow),
        pytest.param("efficientnetb0", "block6a_dwconv", marks=pytest.mark.slow),
        pytest.param("efficientnetv2b0", "block6a_dwconv2", marks=pytest.mark.slow),
        pytest.param("convnexttiny", "convnext_tiny_downsampling_conv_2", marks=pytest.mark.slow),
        pytest.param("densenet121", "conv5_block1_0_bn", marks=pytest.mark.slow),
        pytest.param("resnet101v2", "conv5_block1_preact_bn", marks=pytest.mark.slow),
    ],
)
def test_last_stage_opens_the_same_depth_in_every_backbone(net, names, backbone, first, capsys):
    """The layers that work at the last resolution before the pooling of the head, in every image size."""
    assert edgekit_here("list", "backbones", "--layers", backbone, "--json") == 0
    rows = json.loads(capsys.readouterr().out)["layers"]
    expected = names[backbone][names[backbone].index(first) :]
    assert [row["name"] for row in rows if row["last_stage"]] == expected

    model = Model(backbone=backbone, weights="none", head={"units": 0, "batchnorm": False, "dropout": 0.0})
    for size in (64, 224):
        network = net.build_network(model, image_size=size, classes=2, seed=0)
        net.freeze_backbone(network)
        opened = net.open_last_layers(network, FineTuning(train_batchnorm=True))
        assert opened == [name for name in expected if network.get_layer(name).weights]


def test_the_study_of_three_backbones_opens_the_last_stage_of_each():
    recipe = load_recipe("brain-tumor-mri")
    assert (recipe.train.fine_tuning.last_stage, recipe.train.fine_tuning.last_layers) == (True, None)


def test_names_do_not_depend_on_what_was_built_before(net, names):
    assert net.outline(Model(backbone="resnet50v2", weights="none")).names == names["resnet50v2"]
    assert "max_pooling2d" in names["resnet50v2"]


def test_fraction_one_opens_every_layer(net, names):
    assert net.first_opened(names["vgg16"], FineTuning(fraction=1.0), "vgg16") == 0
    half = net.first_opened(names["vgg16"], FineTuning(fraction=0.5), "vgg16")
    assert half == len(names["vgg16"]) - -(-len(names["vgg16"]) // 2)


def test_an_unknown_block_is_an_error_with_the_command_that_lists_them(net, names):
    with pytest.raises(InputError, match="no block named 'block_17'") as caught:
        net.first_opened(names["mobilenetv2"], FineTuning(from_block="block_17"), "mobilenetv2")
    assert "edgekit list backbones --layers mobilenetv2" in str(caught.value.hint)


def test_training_only_layers_without_weights_is_an_error(net):
    from train_helpers import tiny_network

    with pytest.raises(InputError, match="no layer of tiny that has weights, only relu_2"):
        net.open_last_layers(tiny_network(), FineTuning(last_layers=1))


@pytest.mark.parametrize(
    ("fine_tuning", "problem"),
    [
        ({"last_layers": 3, "fraction": 0.1}, "not last_layers and fraction"),
        ({"from_block": "block5", "from_layer": "x"}, "not from_layer and from_block"),
        ({"last_stage": False}, "say which layers to train"),
        ({"fraction": 0.0}, "greater than 0"),
        ({"unfreeze_every": 1}, "at least 2 groups"),
        ({"epochs": 4, "groups": 3, "unfreeze_every": 2}, "would start to train after 4 epochs, but there are only 4"),
    ],
)
def test_settings_that_do_not_fit_together_are_an_error(fine_tuning, problem):
    with pytest.raises(InputError, match=problem):
        validate({"train": {"fine_tuning": fine_tuning}}, "recipe")


def test_groups_are_counted_from_the_head_with_decreasing_learning_rates(net):
    from edgekit.train.layer_groups import LayerGroups

    opened = [f"layer_{i}" for i in range(7)]
    stage = FineTuning(epochs=10, groups=3, rate_decay=0.5, unfreeze_every=2)
    groups = LayerGroups.of(opened, stage)
    assert [groups.of_layer[name] for name in opened] == [3, 3, 2, 2, 1, 1, 1]
    assert groups.factors(0) == groups.factors(1) == [1, 0.5, 0, 0]
    assert groups.factors(2) == [1, 0.5, 0.25, 0]
    assert groups.factors(9) == [1, 0.5, 0.25, 0.125]
    assert LayerGroups.of(opened, FineTuning(groups=3)) is None
    assert set(LayerGroups.of(opened[:2], stage).of_layer.values()) == {1, 2}


def test_adam_with_a_factor_is_adam_at_that_learning_rate(net):
    import keras

    from edgekit.train.optimizer import GroupedAdam

    def steps(optimizer, prepare=lambda: None) -> np.ndarray:
        variables = [keras.Variable(np.ones(3, "float32")) for _ in range(2)]
        optimizer.build(variables)
        prepare()
        for step in range(4):
            gradients = [keras.ops.convert_to_tensor(np.full(3, 0.3 + step, "float32") * (i + 1)) for i in range(2)]
            optimizer.apply(gradients, variables)
        return np.stack([keras.ops.convert_to_numpy(variable) for variable in variables])

    plain, slow = steps(keras.optimizers.Adam(0.1)), steps(keras.optimizers.Adam(0.025))
    grouped = GroupedAdam(0.1, [0, 1])
    assert np.allclose(steps(grouped, lambda: grouped.set_factors([1.0, 0.25])), [plain[0], slow[1]], atol=1e-6)
    closed = GroupedAdam(0.1, [0, 1])
    assert np.array_equal(steps(closed, lambda: closed.set_factors([1.0, 0.0]))[1], np.ones(3))


def test_a_frozen_group_does_not_change_and_an_interrupted_job_resumes(tmp_path, net):
    stage = {"epochs": 3, "learning_rate": 1e-2, "last_layers": 6, "groups": 2, "unfreeze_every": 2, "rate_decay": 0.5}
    first = make_job(tmp_path / "first", "fine-tuning", fine_tuning={**stage, "epochs": 3}).go()
    assert first.records[1].layer_groups == {"conv_2": 1, "conv_1": 2}

    kernels: list[np.ndarray] = []

    def looked_at(name, rows):
        if name == "fine-tuning":
            kernels.append(np.asarray(watched.network.get_layer("conv_1").kernel))
        watched.history[name] = list(rows)

    watched = make_job(tmp_path / "watched", "fine-tuning", fine_tuning=stage)
    watched._keep = looked_at  # type: ignore[method-assign]
    watched.go()
    assert np.array_equal(kernels[0], kernels[1])
    assert not np.array_equal(kernels[1], kernels[2])

    stopped = make_job(tmp_path / "stopped", "fine-tuning", fine_tuning=stage)
    with pytest.raises(KeyboardInterrupt):
        stopped.go(StopsAt("fine-tuning  2"))
    assert stopped.go().values == pytest.approx(first.values, abs=1e-5)


def test_the_layers_of_a_backbone_from_a_file(net, tmp_path, capsys):
    import keras

    image = keras.Input((32, 32, 3))
    x = keras.layers.Conv2D(4, 3, strides=2, name="first")(image)
    keras.Model(image, keras.layers.Conv2D(8, 3, strides=2, name="second")(x)).save(tmp_path / "mine.keras")
    assert edgekit_here("list", "backbones", "--layers", str(tmp_path / "mine.keras"), "--json") == 0
    assert [row["name"] for row in json.loads(capsys.readouterr().out)["layers"]] == ["first", "second"]


def test_an_imported_model_has_no_list_of_layers(capsys):
    assert edgekit_here("list", "backbones", "--layers", "imported") == 2
    assert "not a backbone" in capsys.readouterr().err
