"""SavedModels that Keras 2 wrote: their configuration and their variables, without loading their TensorFlow graph.

A graph could read and write files when it is run. The configuration of the Keras model is stored beside it, and the
variables are in a checkpoint, which lists the objects that they belong to.
"""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from edgekit.errors import InputError
from edgekit.train.keras_files.config_check import Config

METADATA = "keras_metadata.pb"
ROOT = "root"


def read_saved_model(path: Path) -> tuple[Config, str]:
    """The configuration of the Keras model in a SavedModel, and the version of Keras.

    Raises :class:`InputError` if the SavedModel contains a TensorFlow graph only.
    """
    texts = list(_metadata(path))
    for text in texts:
        try:
            about = _with_lists(json.loads(text))
        except ValueError:
            continue
        if not isinstance(about, dict) or about.get("class_name") not in ("Functional", "Model", "Sequential"):
            continue
        config = about.get("config") or (about.get("model_config") or {}).get("config")
        if config is not None:
            root = {"class_name": about["class_name"], "config": config}
            if isinstance(config, dict) and about.get("build_input_shape") is not None:
                config.setdefault("build_input_shape", about["build_input_shape"])
            return root, str(about.get("keras_version") or "2")
    raise InputError(
        "this SavedModel contains a TensorFlow graph, but not the Keras model that it was made from",
        where=str(path),
        hint="import the .keras or .h5 file of the model; without it, convert the folder with "
        "tf.lite.TFLiteConverter.from_saved_model, and measure the result with edgekit bench FILE",
    )


def load_variables(model: Any, path: Path) -> None:
    """Set the weights of ``model`` from the checkpoint of the SavedModel in ``path``."""
    import numpy as np

    _need_tensorflow(path)
    import tensorflow as tf
    from tensorflow.core.protobuf import trackable_object_graph_pb2

    damaged = InputError("the variables of this SavedModel do not fit its model", where=str(path))
    try:
        reader = tf.train.load_checkpoint(str(path / "variables" / "variables"))
        graph = trackable_object_graph_pb2.TrackableObjectGraph()
        graph.ParseFromString(reader.get_tensor("_CHECKPOINTABLE_OBJECT_GRAPH"))
        objects = _Objects(graph.nodes)
        for variable, key in objects.variables(model, 0):
            variable.assign(np.asarray(reader.get_tensor(key)))
        for layer in model._flatten_layers():
            if hasattr(layer, "finalize_state"):  # Normalization computes its factors once
                layer.finalize_state()
    except (KeyError, ValueError, IndexError, tf.errors.OpError) as error:
        raise damaged from error


def _need_tensorflow(path: Path) -> None:
    if importlib.util.find_spec("tensorflow") is None:
        raise InputError(
            "a SavedModel is read with TensorFlow, which is not installed",
            where=str(path),
            hint='pip install "edgekit[cpu]", or import the .keras or .h5 file of the model',
        )


def _with_lists(value: Any) -> Any:
    """``value`` with plain lists instead of marked tuples and shapes."""
    if isinstance(value, dict):
        if value.get("class_name") in ("__tuple__", "TensorShape") and "items" in value:
            return _with_lists(value["items"])
        return {key: _with_lists(inner) for key, inner in value.items()}
    return [_with_lists(inner) for inner in value] if isinstance(value, list) else value


class _Objects:
    """The tree of objects in a checkpoint: a model has the children ``layer-0``, ``layer-1``, a layer its variables."""

    def __init__(self, nodes: Any) -> None:
        self._nodes = nodes

    def variables(self, model: Any, node: int) -> Iterator[tuple[Any, str]]:
        """Each weight of ``model`` with its key in the checkpoint."""
        import keras

        layers = list(model.layers)
        children = self._children(node)
        # An input layer is no layer of a Sequential in Keras 3, and has no variables in any case.
        with_weights = [layer for layer in layers if layer.weights]
        for number, layer in enumerate(with_weights):
            child = children[f"layer_with_weights-{number}"]
            if isinstance(layer, keras.Model):
                yield from self.variables(layer, child)
            else:
                yield from self._of_layer(layer, child)

    def _of_layer(self, layer: Any, node: int) -> Iterator[tuple[Any, str]]:
        children = self._children(node)
        for variable in layer.weights:
            # A DepthwiseConv2D of Keras 2 has a depthwise_kernel.
            child = children.get(variable.name, children.get(f"depthwise_{variable.name}"))
            if child is None:
                raise KeyError(variable.name)
            yield variable, self._nodes[child].attributes[0].checkpoint_key

    def _children(self, node: int) -> dict[str, int]:
        return {child.local_name: child.node_id for child in self._nodes[node].children}


def _metadata(path: Path) -> Iterator[str]:
    """The JSON of every Keras object of a SavedModel, the model first."""
    file = path / METADATA
    if file.is_file():
        yield from _of_metadata_file(file.read_bytes())
        return
    _need_tensorflow(path)
    from tensorflow.core.protobuf import saved_model_pb2

    saved = saved_model_pb2.SavedModel()
    try:
        saved.ParseFromString((path / "saved_model.pb").read_bytes())
    except Exception as error:  # the error of protocol buffers has no public name
        raise InputError("this SavedModel is damaged", where=str(path / "saved_model.pb")) from error
    for graph in saved.meta_graphs:
        for node in graph.object_graph_def.nodes:
            if node.user_object.metadata:
                yield node.user_object.metadata


def _of_metadata_file(content: bytes) -> Iterator[str]:
    """The ``metadata`` of each ``SavedObject`` of ``keras_metadata.pb``.

    The message has one repeated field (1), whose messages hold the JSON in field 5. TensorFlow does not define it.
    """
    for field, value in _fields(content):
        if field == 1 and isinstance(value, bytes):
            for inner, text in _fields(value):
                if inner == 5 and isinstance(text, bytes):
                    yield text.decode("utf-8", "replace")


def _fields(content: bytes) -> Iterator[tuple[int, bytes | int]]:
    """The fields of a protocol buffer: their numbers and values; stops at what is no such buffer."""
    place = 0
    while place < len(content):
        tag, place = _varint(content, place)
        kind = tag & 7
        if kind == 0:
            value, place = _varint(content, place)
            yield tag >> 3, value
        elif kind == 2:
            length, place = _varint(content, place)
            yield tag >> 3, content[place : place + length]
            place += length
        elif kind in (1, 5):
            place += 8 if kind == 1 else 4
        else:
            return


def _varint(content: bytes, place: int) -> tuple[int, int]:
    value = shift = 0
    while place < len(content):
        byte = content[place]
        value |= (byte & 0x7F) << shift
        place, shift = place + 1, shift + 7
        if byte < 0x80:
            break
    return value, place
