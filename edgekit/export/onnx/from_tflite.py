"""An int8 TFLite file converted to ONNX, with the same weights, scales and zero points.

tf2onnx writes a QDQ graph. It converts the file with float ends, and a Cast of the pixels is added before it: the first
QuantizeLinear then does exactly what the QUANTIZE of the TFLite file does.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from edgekit.errors import ConversionFailed
from edgekit.export.onnx.from_tensorflow import with_pixel_input
from edgekit.export.onnx.layers import OPSET
from edgekit.support.quiet import quiet_native_output


def onnx_from_tflite(content: bytes, image_size: int) -> Any:
    """The ONNX model of an int8 TFLite file with float32 ends; input uint8 (1, H, W, 3), output float32 (1, classes).

    Raises :class:`ConversionFailed` if tf2onnx cannot convert it.
    """
    import tf2onnx

    with tempfile.TemporaryDirectory(prefix="edgekit-") as folder, quiet_native_output():
        path = Path(folder) / "model.tflite"
        path.write_bytes(content)
        try:
            model, _ = tf2onnx.convert.from_tflite(str(path), opset=OPSET)
        except Exception as error:  # its handlers raise all kinds of errors
            raise ConversionFailed(f"tf2onnx cannot convert the int8 TFLite file: {error}") from error
    return with_pixel_input(model, image_size)
