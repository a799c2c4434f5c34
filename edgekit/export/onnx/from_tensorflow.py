"""A network converted from its TensorFlow graph by tf2onnx: for layers that edgekit does not write as ONNX itself."""

from __future__ import annotations

import importlib.util
import re
from typing import Any

from edgekit.errors import ConversionFailed
from edgekit.export.network import TrainedNetwork, constant_graph
from edgekit.export.onnx.graph import UnsupportedLayer
from edgekit.export.onnx.layers import INPUT, IR_VERSION, OPSET, OUTPUT
from edgekit.support.quiet import quiet_native_output

PIXELS = f"{INPUT}_float"


def onnx_from_tensorflow(network: TrainedNetwork, reason: UnsupportedLayer) -> Any:
    """The ONNX model of any network; input uint8 (1, H, W, 3), output float32 (1, classes).

    ``reason`` is the layer that needs this detour. Raises :class:`ConversionFailed` if TensorFlow is missing, or if
    tf2onnx cannot convert the network.
    """
    if importlib.util.find_spec("tensorflow") is None or importlib.util.find_spec("tf2onnx") is None:
        raise ConversionFailed(f"{reason.problem} ({reason.where}) without TensorFlow and tf2onnx")
    import keras
    import onnx
    import tf2onnx

    if keras.backend.backend() != "tensorflow":
        raise ConversionFailed(
            f"{reason.problem} ({reason.where}) unless Keras runs on TensorFlow: set KERAS_BACKEND=tensorflow"
        )
    with quiet_native_output():
        graph, image, probabilities = constant_graph(network)
        try:
            model, _ = tf2onnx.convert.from_graph_def(
                graph,
                name=network.keras_model.name,
                input_names=[image.name],
                output_names=[probabilities.name],
                opset=OPSET,
            )
            onnx.checker.check_model(model)  # an operation without a handler is still in the graph
        except Exception as error:  # its handlers raise all kinds of errors
            raise ConversionFailed(f"{reason.problem} ({reason.where}), nor does tf2onnx: {error}") from error
    _name_nodes(model, {operation.name for operation in network.keras_model.operations})
    model.ir_version = IR_VERSION
    return with_pixel_input(model, network.image_size)


def with_pixel_input(model: Any, image_size: int) -> Any:
    """``model`` of tf2onnx, with the names and the uint8 input of every exported file."""
    import onnx

    graph = model.graph
    if len(graph.input) != 1 or len(graph.output) != 1:
        raise ConversionFailed(
            f"tf2onnx returned {len(graph.input)} inputs and {len(graph.output)} outputs, not 1 and 1"
        )
    # TensorFlow adds a number to names that an earlier conversion in the same process has used.
    renamed = {graph.input[0].name: PIXELS, graph.output[0].name: OUTPUT}
    for node in graph.node:
        node.input[:] = [renamed.get(name, name) for name in node.input]
        node.output[:] = [renamed.get(name, name) for name in node.output]
    graph.output[0].name = OUTPUT
    graph.node.insert(0, onnx.helper.make_node("Cast", [INPUT], [PIXELS], name="input/cast", to=onnx.TensorProto.FLOAT))
    shape = [1, image_size, image_size, 3]
    graph.input[0].CopyFrom(onnx.helper.make_tensor_value_info(INPUT, onnx.TensorProto.UINT8, shape))
    return model


def _name_nodes(model: Any, layers: set[str]) -> None:
    """Let the name of every node begin with its Keras layer where that is known: ``conv1/convolution``."""
    taken: set[str] = set()
    for node in model.graph.node:
        parts = node.name.split("/")
        layer = next((part for part in parts if part in layers or re.sub(r"_\d+$", "", part) in layers), None)
        if layer is None:
            node.name = f"{node.op_type}/{node.name}"
        else:
            plain = layer if layer in layers else re.sub(r"_\d+$", "", layer)
            node.name = "/".join([plain, *parts[parts.index(layer) + 1 :]])
        while node.name in taken:  # a layer that is used twice
            node.name += "_again"
        taken.add(node.name)
