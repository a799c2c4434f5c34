"""An int8 TFLite file converted to ONNX, with the same weights, scales and zero points.

tf2onnx writes a QDQ graph. It converts the file with float ends, and a Cast of the pixels is added before it: the first
QuantizeLinear then does exactly what the QUANTIZE of the TFLite file does.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from edgekit.errors import ConversionFailed
from edgekit.export.onnx.layers import INPUT, OPSET, OUTPUT
from edgekit.support.quiet import quiet_native_output

PIXELS = f"{INPUT}_float"


def onnx_from_tflite(content: bytes, image_size: int) -> Any:
    """The ONNX model of an int8 TFLite file with float32 ends; input uint8 (1, H, W, 3), output float32 (1, classes).

    Raises :class:`ConversionFailed` if tf2onnx cannot convert it.
    """
    import onnx
    import tf2onnx

    with tempfile.TemporaryDirectory(prefix="edgekit-") as folder, quiet_native_output():
        path = Path(folder) / "model.tflite"
        path.write_bytes(content)
        try:
            model, _ = tf2onnx.convert.from_tflite(str(path), opset=OPSET)
        except Exception as error:  # its handlers raise all kinds of errors
            raise ConversionFailed(f"tf2onnx cannot convert the int8 TFLite file: {error}") from error
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
