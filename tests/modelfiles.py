"""Small real model files that tell red, green and blue images apart, in the shapes and types found in the field.

The class is the channel with the highest mean, so that a wrong channel order, layout, scaling or quantization gives
wrong answers, not only other numbers.
"""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from edgekit.device.ncnn_file import MAGIC, NcnnModel

LABELS = ("blue", "green", "red")
SIDE = 32
GAIN = 8.0
WEIGHTS = np.array([[0, 0, GAIN], [0, GAIN, 0], [GAIN, 0, 0]], np.float32)  # RGB channels x LABELS

_built: dict[str, Path] = {}


@pytest.fixture(scope="session")
def onnx_models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder with uint8.onnx, nchw.onnx (float, imagenet scaling, logits, open batch), nan.onnx, labelled.onnx."""
    if "onnx" not in _built:
        _built["onnx"] = _write_onnx(tmp_path_factory.mktemp("onnx"))
    return _built["onnx"]


@pytest.fixture(scope="session")
def tflite_models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder with uint8.tflite, quantized.tflite (full int8, uint8 in and out), float.tflite and int8.tflite
    (input in [-1, 1])."""
    if "tflite" not in _built:
        _built["tflite"] = _write_tflite(tmp_path_factory.mktemp("tflite"))
    return _built["tflite"]


@pytest.fixture(scope="session")
def ncnn_models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder with colours.ncnn, which takes uint8 pixels like every file of edgekit."""
    if "ncnn" not in _built:
        _built["ncnn"] = tmp_path_factory.mktemp("ncnn")
        (_built["ncnn"] / "colours.ncnn").write_bytes(ncnn_model().content())
    return _built["ncnn"]


@pytest.fixture(scope="session")
def colours(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of classes: six noisy images of each colour."""
    if "colours" not in _built:
        _built["colours"] = write_colours(tmp_path_factory.mktemp("colours"), 6)
    return _built["colours"]


def colour_pixels(label: str, seed: int = 0) -> np.ndarray:
    """uint8 (SIDE, SIDE, 3)."""
    pixels = np.random.default_rng(seed).integers(0, 100, (SIDE, SIDE, 3), np.uint8)
    pixels[..., ("red", "green", "blue").index(label)] += 120
    return pixels


def write_colours(folder: Path, count: int) -> Path:
    for label in LABELS:
        (folder / label).mkdir(parents=True)
        for number in range(count):
            Image.fromarray(colour_pixels(label, number)).save(folder / label / f"{number}.png")
    return folder


def build_onnx(path: Path, feed: list, nodes: list, tensors: dict, outputs: dict, kind: str = "FLOAT") -> str:
    """An ONNX file with the input ``image``. ``nodes``: operator, inputs, outputs and attributes of each."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    graph = helper.make_graph(
        [helper.make_node(*given, **more) for *given, more in nodes],
        "model",
        [helper.make_tensor_value_info("image", getattr(TensorProto, kind), feed)],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in outputs.items()],
        [numpy_helper.from_array(array, name) for name, array in tensors.items()],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    return str(path)


def ncnn_model(layers: str | None = None, weights: bytes | None = None) -> NcnnModel:
    """The mean of each channel, WEIGHTS and a softmax, written as ncnn keeps them."""
    text = f"""{MAGIC}
4 4
Input                    image                    0 1 image
Pooling                  mean                     1 1 image 1 0=1 4=1
InnerProduct             scores                   1 1 1 2 0=3 1=1 2=9
Softmax                  probabilities            1 1 2 probabilities 0=0
"""
    # A tag (0: 32-bit floats), the kernel as outputs x inputs, and the bias.
    stored = np.concatenate([np.zeros(1, np.float32), WEIGHTS.T.ravel() / 255, np.zeros(3, np.float32)]).tobytes()
    about = {"edgekit": json.dumps({"scaling": "none", "resize": "crop"}), "labels": json.dumps(LABELS)}
    return NcnnModel(layers or text, stored if weights is None else weights, SIDE, 3, about)


def _write_onnx(folder: Path) -> Path:
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    def save(
        name: str, nodes: list, feed: tuple, tensors: dict[str, np.ndarray], properties: dict | None = None
    ) -> None:
        graph = helper.make_graph(
            nodes,
            name,
            [helper.make_tensor_value_info("image", *feed)],
            [helper.make_tensor_value_info("scores", TensorProto.FLOAT, [feed[1][0], 3])],
            [numpy_helper.from_array(array, key) for key, array in tensors.items()],
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
        for key, value in (properties or {}).items():
            model.metadata_props.add(key=key, value=value)
        onnx.save(model, folder / f"{name}.onnx")

    node = helper.make_node
    pooled = [
        node("Cast", ["image"], ["float"], to=TensorProto.FLOAT),
        node("ReduceMean", ["float"], ["mean"], axes=[1, 2], keepdims=0),
        node("Div", ["mean", "range"], ["share"]),
        node("MatMul", ["share", "weights"], ["logits"]),
    ]
    tensors = {"range": np.array(255, np.float32), "weights": WEIGHTS}
    softmax, pixels = node("Softmax", ["logits"], ["scores"]), (TensorProto.UINT8, [1, SIDE, SIDE, 3])
    save("uint8", [*pooled, softmax], pixels, tensors)
    properties = {"labels": '["blue", "green", "red"]', "edgekit": '{"scaling": "none", "resize": "crop"}'}
    save("labelled", [*pooled, softmax], pixels, tensors, properties)
    save(
        "nan",
        [*pooled, node("Sqrt", ["negative"], ["nan"]), node("Add", ["logits", "nan"], ["scores"])],
        pixels,
        {**tensors, "negative": np.array(-1, np.float32)},
    )
    nchw = [
        node("ReduceMean", ["image"], ["mean"], axes=[2, 3], keepdims=0),
        node("MatMul", ["mean", "weights"], ["scores"]),
    ]
    save("nchw", nchw, (TensorProto.FLOAT, ["N", 3, SIDE, SIDE]), {"weights": WEIGHTS})
    return folder


def _write_tflite(folder: Path) -> Path:
    tf = pytest.importorskip("tensorflow")
    weights = tf.constant(WEIGHTS)

    def from_pixels(image):
        shares = tf.reduce_mean(tf.cast(image, tf.float32) / 255.0, axis=[1, 2])
        return tf.nn.softmax(shares @ weights)

    def from_symmetric(image):
        return tf.nn.softmax(tf.reduce_mean(image, axis=[1, 2]) @ (weights / 2))

    def convert(name: str, function, dtype, quantized: tuple | None = None, low: float = 0, high: float = 255) -> None:
        concrete = tf.function(function).get_concrete_function(tf.TensorSpec((1, SIDE, SIDE, 3), dtype))
        converter = tf.lite.TFLiteConverter.from_concrete_functions([concrete])
        if quantized is not None:
            random = np.random.default_rng(0)
            shape = (1, SIDE, SIDE, 3)
            images = [np.full(shape, value, np.float32) for value in (low, high)]
            images += [random.uniform(low, high, shape).astype(np.float32) for _ in range(8)]
            images += [low + (high - low) * colour_pixels(k)[None].astype(np.float32) / 255 for k in LABELS]
            converter.optimizations = [tf.lite.Optimize.DEFAULT]
            converter.representative_dataset = lambda: ([image] for image in images)
            converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
            converter.inference_input_type, converter.inference_output_type = quantized
        (folder / f"{name}.tflite").write_bytes(converter.convert())

    convert("uint8", from_pixels, tf.uint8)
    convert("quantized", from_pixels, tf.float32, (tf.uint8, tf.uint8))
    convert("float", from_symmetric, tf.float32)
    convert("int8", from_symmetric, tf.float32, (tf.int8, tf.int8), -1, 1)
    return folder


def with_tflite_metadata(source: Path, destination: Path, mean: float, std: float) -> Path:
    """A copy of ``source`` with TFLite metadata: NormalizationOptions of the input, labels.txt in the zip behind."""
    import flatbuffers
    from ai_edge_litert import schema_py_generated as schema

    model = schema.ModelT.InitFromPackedBuf(source.read_bytes(), 0)
    buffer = schema.BufferT()
    buffer.data = np.frombuffer(_metadata(mean, std), np.uint8)
    model.buffers.append(buffer)
    entry = schema.MetadataT()
    entry.name, entry.buffer = "TFLITE_METADATA", len(model.buffers) - 1
    model.metadata = [*(model.metadata or []), entry]
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), b"TFL3")
    destination.write_bytes(bytes(builder.Output()))
    with zipfile.ZipFile(destination, "a") as archive:
        archive.writestr("labels.txt", "\n".join(LABELS) + "\n")
    return destination


def _metadata(mean: float, std: float) -> bytes:
    """ModelMetadata > SubGraphMetadata > TensorMetadata > ProcessUnit > NormalizationOptions (metadata_schema.fbs)."""
    import flatbuffers

    builder = flatbuffers.Builder(256)

    def vector_of(offset: int) -> int:
        builder.StartVector(4, 1, 4)
        builder.PrependUOffsetTRelative(offset)
        return builder.EndVector()

    def floats(value: float) -> int:
        builder.StartVector(4, 1, 4)
        builder.PrependFloat32(value)
        return builder.EndVector()

    def table(fields: int, **offsets: int) -> int:
        builder.StartObject(fields)
        for slot, offset in offsets.items():
            builder.PrependUOffsetTRelativeSlot(int(slot[1:]), offset, 0)
        return builder.EndObject()

    options = table(2, f0=floats(mean), f1=floats(std))
    builder.StartObject(2)
    builder.PrependUint8Slot(0, 1, 0)
    builder.PrependUOffsetTRelativeSlot(1, options, 0)
    unit = builder.EndObject()
    tensor = table(7, f4=vector_of(unit))
    subgraph = table(4, f2=vector_of(tensor))
    builder.Finish(table(4, f3=vector_of(subgraph)), b"M001")
    return bytes(builder.Output())
