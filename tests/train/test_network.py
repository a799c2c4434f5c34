"""The network: its layers, its weights, and which layers are trained."""

from __future__ import annotations

import numpy as np
import pytest
from backbones import FAST, backbones
from train_helpers import SIDE, coloured_noise, edgekit_process, keras_preprocessing, original_backbone

from edgekit.errors import InputError
from edgekit.recipe import FineTuning, Head, Model
from edgekit.registry import BACKBONES

ALPHA = 0.35
PIXELS = coloured_noise(4)


@pytest.fixture(scope="module")
def net():
    from edgekit.train.backend import prepare_backend

    prepare_backend("cpu")
    from edgekit.train import network

    return network


@pytest.fixture(scope="module")
def small(net, weights):
    """A MobileNetV2 at a third of its width for three classes. Each test decides which layers are trainable."""
    return net.build_network(mobilenet(weights), image_size=SIDE, classes=3, seed=0)


def mobilenet(weights, **settings) -> Model:
    return Model(backbone="mobilenetv2", alpha=ALPHA, weights=str(weights), **settings)


@pytest.mark.parametrize("name", backbones((*FAST, "vgg16")))
def test_features_of_raw_pixels_equal_those_of_keras_preprocessing_and_backbone(net, name, tmp_path):
    entry = BACKBONES[name]
    alpha = ALPHA if entry.alphas else 1.0
    side = max(SIDE, entry.min_image_size)
    pixels = coloured_noise(4, side=side)
    original = original_backbone(name, alpha, side)
    original.save_weights(tmp_path / "backbone.weights.h5")

    def published(pixels):
        return np.asarray(original(keras_preprocessing(name)(pixels.copy()), training=False)).mean(axis=(1, 2))

    expected = published(pixels)
    model = Model(backbone=name, alpha=alpha, weights=str(tmp_path / "backbone.weights.h5"))
    network = net.build_network(model, image_size=side, classes=4, seed=1)
    given = np.asarray(net.feature_model(network)(pixels, training=False))
    assert given.shape == expected.shape
    largest = np.abs(expected).max()
    assert np.abs(given - expected).max() <= 1e-4 * largest
    # The comparison can fail: with red and blue exchanged, or a twentieth darker, the features are others.
    for other in (pixels[..., ::-1], 0.95 * pixels):
        assert np.abs(published(other) - expected).max() > 1e-3 * largest
    if alpha == 1.0:
        assert original.count_params() == entry.parameters
    check_flat(net, network, name, alpha)


def check_flat(net, network, name, alpha):
    """No model inside the network, one scaling, names that do not depend on the process."""
    import keras

    names = [layer.name for layer in network.layers]
    assert names[:2] == ["image", "scaling"]
    assert not [layer for layer in network.layers if isinstance(layer, keras.Model)]
    assert len(network.operations) == len(network.layers)
    again = net.build_network(
        Model(backbone=name, alpha=alpha, weights="none"), image_size=network.input.shape[1], classes=4, seed=1
    )
    if BACKBONES[name].copied:
        assert [layer.name for layer in again.layers] == names
    random = again.get_layer("scaling")(np.array([[[[0.0, 127.5, 255.0]]]]))
    assert np.asarray(random).reshape(3) == pytest.approx([-1, 0, 1], abs=1e-5)


def test_the_network_is_flat_with_documented_layer_names(net, small):
    names = [layer.name for layer in small.layers]
    assert names[:3] == ["image", "scaling", "Conv1"]
    assert names[-5:] == ["head_pool", "head_dense", "head_batchnorm", "head_dropout", "probabilities"]
    assert small.input.shape == (None, SIDE, SIDE, 3)
    assert small.input.dtype == "float32"
    backbone = [layer.name for layer in net.backbone_layers(small)]
    assert backbone == net.outline(Model(alpha=ALPHA, weights="none")).names
    assert (backbone[0], backbone[-1]) == ("Conv1", "out_relu")


def test_the_default_head_is_that_of_the_study(small):
    assert small.get_layer("head_dense").units == 256
    assert small.get_layer("head_dense").activation.__name__ == "relu"
    assert small.get_layer("head_dropout").rate == 0.5
    assert small.get_layer("probabilities").units == 3
    assert np.asarray(small(PIXELS)).sum(axis=1) == pytest.approx(1, abs=1e-5)


def test_parts_of_the_head_can_be_left_out(net, weights):
    head = Head(units=0, batchnorm=False, dropout=0.0)
    network = net.build_network(mobilenet(weights, head=head), image_size=SIDE, classes=5, seed=0)
    assert [layer.name for layer in net.head_layers(network)] == ["probabilities"]
    assert network.output.shape == (None, 5)


def test_the_head_on_features_equals_the_network(net, small):
    features = net.feature_model(small)(PIXELS)
    assert np.allclose(net.head_model(small)(features), small(PIXELS), atol=1e-6)


def test_the_seed_decides_the_weights_of_the_head(net, small, weights):
    other = net.build_network(mobilenet(weights), image_size=SIDE, classes=3, seed=1)
    ours, theirs = (np.asarray(network.get_layer("head_dense").kernel) for network in (small, other))
    assert not np.array_equal(ours, theirs)
    assert np.array_equal(small.get_layer("Conv1").kernel, other.get_layer("Conv1").kernel)


def test_random_weights_of_vgg_keep_the_signal_alive(net):
    network = net.build_network(Model(backbone="vgg16", weights="none"), image_size=SIDE, classes=3, seed=0)
    features = np.asarray(net.feature_model(network)(PIXELS))
    # Kernels as Keras draws them shrink what tells the images apart to 0.0001 on its way: nothing would be learnt.
    assert features.std(axis=0).mean() > 0.02
    # Not Keras's preprocessing, made for its ImageNet weights: kernels are drawn for inputs of unit size.
    assert np.asarray(network.get_layer("scaling")(np.array([0.0, 127.5, 255.0]))) == pytest.approx([-1, 0, 1])


def test_weights_of_another_width_are_an_error(net, weights):
    model = Model(backbone="mobilenetv2", alpha=0.5, weights=str(weights))
    with pytest.raises(InputError, match=r"does not contain weights of MobileNetV2 without its top for alpha 0\.5"):
        net.build_network(model, image_size=SIDE, classes=3, seed=0)


def test_a_file_without_weights_is_an_error(net, tmp_path):
    for name, content in (("a.weights.h5", b"no HDF5"), ("b.txt", b"words")):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(InputError, match="does not contain weights"):
            net.build_network(mobilenet(tmp_path / name), image_size=SIDE, classes=3, seed=0)


def test_imagenet_weights_without_internet_are_an_error_with_two_alternatives(images, tmp_path):
    offline = dict.fromkeys(("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"), "http://127.0.0.1:9")
    offline |= {"no_proxy": "", "NO_PROXY": "", "KERAS_HOME": str(tmp_path / "keras")}
    process = edgekit_process(
        "train", "--data", str(images), "--image-size", str(SIDE), "--run", str(tmp_path / "run"), environment=offline
    )
    _, stderr = process.communicate(timeout=120)
    assert process.returncode == 1
    message = stderr[stderr.index("error:") :]
    assert "ImageNet weights of MobileNetV2 could not be downloaded" in message
    assert "--weights PATH" in message
    assert "--weights none" in message
    assert "Traceback" not in stderr
    assert not (tmp_path / "run").exists()


def trainable(layers) -> list[str]:
    return [layer.name for layer in layers if layer.trainable]


def test_frozen_means_that_only_the_head_trains(net, small):
    net.freeze_backbone(small)
    assert trainable(net.backbone_layers(small)) == []
    names = {weight.path.split("/")[0] for weight in small.trainable_weights}
    assert names == {"head_dense", "head_batchnorm", "probabilities"}


def test_the_last_layers_are_counted_as_keras_counts_them(net, small):
    opened = net.open_last_layers(small, FineTuning(last_layers=6))
    # block_16_depthwise_relu, block_16_project, block_16_project_BN, Conv_1, Conv_1_bn, out_relu
    assert opened == ["block_16_project", "Conv_1"]
    assert trainable(net.backbone_layers(small)) == [
        "block_16_depthwise_relu",
        "block_16_project",
        "Conv_1",
        "out_relu",
    ]


def test_asking_for_more_layers_than_exist_opens_all_but_batchnorm(net, small):
    import keras

    net.open_last_layers(small, FineTuning(last_layers=10_000))
    closed = [layer for layer in net.backbone_layers(small) if not layer.trainable]
    assert closed
    assert all(isinstance(layer, keras.layers.BatchNormalization) for layer in closed)


def test_layers_can_be_opened_from_a_named_one(net, small):
    by_name = net.open_last_layers(small, FineTuning(from_layer="block_16_project"))
    assert by_name == net.open_last_layers(small, FineTuning(last_layers=5))


def test_an_unknown_layer_name_is_an_error_with_the_command_that_lists_them(net, small):
    with pytest.raises(InputError, match="no layer named 'block_17'") as caught:
        net.open_last_layers(small, FineTuning(from_layer="block_17"))
    assert "edgekit list backbones --layers mobilenetv2" in str(caught.value.hint)


def test_batchnorm_layers_are_trained_only_on_request(net, small):
    layer = small.get_layer("Conv_1_bn")
    for asked in (False, True):
        net.open_last_layers(small, FineTuning(last_layers=4, train_batchnorm=asked))
        before = np.asarray(layer.moving_mean)
        small(PIXELS, training=True)
        assert np.array_equal(np.asarray(layer.moving_mean), before) is not asked


def test_from_scratch_opens_everything_with_its_own_momentum(net, small):
    import keras

    net.freeze_backbone(small)
    net.open_all_layers(small, 0.8)
    norms = [layer for layer in small.layers if isinstance(layer, keras.layers.BatchNormalization)]
    assert trainable(small.layers) == [layer.name for layer in small.layers]
    assert {layer.momentum for layer in norms} == {0.8}


def test_dropout_of_a_phase_replaces_that_of_the_head_and_resets_its_random_numbers(net, small):
    features = net.feature_model(small)(PIXELS)
    head = net.head_model(small)

    def draws():
        return np.asarray(head(features, training=True))

    net.set_dropout(small, 0.9)
    assert small.get_layer("head_dropout").rate == 0.9
    first, second = draws(), draws()
    net.set_dropout(small, 0.9)
    assert not np.allclose(first, second)
    assert np.allclose(draws(), first, atol=1e-5)


def test_another_class_of_keras_applications_is_a_backbone(net):
    """With its own preprocessing, which is found out by calling it, and flat."""
    original = original_backbone("keras:VGG19", 1.0)
    assert Model(backbone="keras:VGG19").backbone == "keras:VGG19"
    network = net.build_network(Model(backbone="keras:VGG19", weights="none"), image_size=SIDE, classes=3, seed=0)
    assert (network.name, network.layers[2].name) == ("keras-VGG19", "block1_conv1")
    import keras

    from edgekit.registry import get_backbone
    from edgekit.train.copied_backbone import copy_backbone

    image = keras.Input((SIDE, SIDE, 3))
    copied = keras.Model(image, copy_backbone(get_backbone("keras:VGG19"), original, image, "keras"))
    expected = np.asarray(original(keras_preprocessing("keras:VGG19")(PIXELS.copy()), training=False))
    given = np.asarray(copied(PIXELS, training=False))
    assert np.abs(given - expected).max() <= 1e-4 * np.abs(expected).max()


def test_a_class_of_the_table_is_that_entry():
    from edgekit.registry import get_backbone

    assert get_backbone("keras:MobileNetV2") is BACKBONES["mobilenetv2"]


def test_an_unknown_class_is_an_error_with_the_closest_one(net):
    with pytest.raises(InputError, match="no class 'MobileNetV5'") as error:
        net.build_network(Model(backbone="keras:MobileNetV5", weights="none"), image_size=SIDE, classes=3, seed=0)
    assert "MobileNetV2" in str(error.value.hint)


def feature_extractor(pooled: bool = False):
    import keras

    layers = keras.layers
    inner = keras.Sequential(
        [keras.Input((SIDE, SIDE, 3)), layers.Conv2D(4, 3, activation="relu", name="probabilities")]
    )
    image = keras.Input((SIDE, SIDE, 3))
    x = layers.Conv2D(6, 3, strides=2, name="last")(inner(layers.Rescaling(1 / 255)(image)))
    return keras.Model(image, layers.GlobalAveragePooling2D()(x) if pooled else x)


@pytest.mark.parametrize("pooled", [False, True])
def test_a_feature_extractor_in_a_file_is_a_backbone_with_its_weights(net, tmp_path, pooled):
    original = feature_extractor(pooled)
    original.save(tmp_path / "mine.keras")
    model = Model(backbone=str(tmp_path / "mine.keras"))
    network = net.build_network(model, image_size=SIDE, classes=3, seed=0)
    assert network.name == "mine"
    expected = np.asarray(original(PIXELS))
    features = np.asarray(net.feature_model(network)(PIXELS))
    assert features == pytest.approx(expected if pooled else expected.mean(axis=(1, 2)), abs=1e-4)
    names = [layer.name for layer in net.backbone_layers(network)]
    assert names == ["probabilities_1", "last"]
    assert net.open_last_layers(network, FineTuning()) == ["last"]
    other = net.build_network(model, image_size=48, classes=3, seed=0)
    assert np.array_equal(other.get_layer("last").kernel, network.get_layer("last").kernel)


def test_the_scaling_of_a_backbone_from_a_file_can_be_given(net, tmp_path):
    import keras

    image = keras.Input((SIDE, SIDE, 3))
    original = keras.Model(image, keras.layers.Conv2D(4, 3)(image))
    original.save(tmp_path / "mine.keras")
    model = Model(backbone=str(tmp_path / "mine.keras"), scaling="caffe")
    network = net.build_network(model, image_size=SIDE, classes=3, seed=0)
    from edgekit.device.scaling import SCALINGS

    scaled = np.stack([SCALINGS["caffe"].apply(one) for one in PIXELS])
    expected = np.asarray(original(scaled)).mean(axis=(1, 2))
    assert np.asarray(net.feature_model(network)(PIXELS)) == pytest.approx(expected, abs=1e-2)


def test_a_classifier_is_no_backbone(net, tmp_path):
    import keras

    image = keras.Input((SIDE, SIDE, 3))
    keras.Model(image, keras.layers.Dense(3)(keras.layers.Flatten()(image))).save(tmp_path / "classifier.keras")
    with pytest.raises(InputError, match="returns feature maps") as error:
        net.build_network(Model(backbone=str(tmp_path / "classifier.keras")), image_size=SIDE, classes=3, seed=0)
    assert "cut the classifier off" in str(error.value.hint)


def test_a_network_trained_in_half_precision_is_saved_in_float32(net):
    import keras

    from edgekit.train.flat_copy import float32_copy

    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        model = Model(backbone="mobilenetv3small", weights="none")
        network = net.build_network(model, image_size=SIDE, classes=3, seed=0)
    finally:
        keras.config.set_dtype_policy("float32")
    plain = float32_copy(network)
    assert [layer.name for layer in plain.layers] == [layer.name for layer in network.layers]
    assert {layer.compute_dtype for layer in plain.layers} == {"float32"}
    for ours, theirs in zip(plain.get_weights(), network.get_weights(), strict=True):
        assert np.array_equal(ours, theirs)
