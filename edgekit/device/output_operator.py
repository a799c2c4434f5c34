"""Which operator computes the output of a file, so that it is known whether it returns probabilities."""

from __future__ import annotations

import struct
from functools import lru_cache
from pathlib import Path

from .failures import ModelError
from .flatbuffer import Table
from .onnx_file import onnx_facts
from .protocol.events import OutputOperator

KINDS: dict[str, OutputOperator] = {
    "Softmax": "softmax",
    "SOFTMAX": "softmax",
    "Sigmoid": "sigmoid",
    "LOGISTIC": "sigmoid",
    "Gemm": "scores",
    "MatMul": "scores",
    "Conv": "scores",
    "LogSoftmax": "scores",
    "QLinearMatMul": "scores",
    "QGemm": "scores",
    "FULLY_CONNECTED": "scores",
    "CONV_2D": "scores",
    "LOG_SOFTMAX": "scores",
}
"""The operators of ONNX and TFLite that tell. What others return (an ADD, a DIV) may be anything."""

TFLITE_CODES = {3: "CONV_2D", 9: "FULLY_CONNECTED", 14: "LOGISTIC", 25: "SOFTMAX", 50: "LOG_SOFTMAX"}
TFLITE_MOVES = frozenset({6, 22, 43, 53, 114})
"""DEQUANTIZE, RESHAPE, SQUEEZE, CAST, QUANTIZE: they leave the values as they are. Numbers from schema.fbs."""

DEEPEST = 32


def onnx_output_operator(path: str, output: str) -> OutputOperator:
    """``softmax``, ``sigmoid``, ``scores`` or an empty string, for the output of that name."""
    try:
        return KINDS.get(onnx_facts(path).producers.get(output, ""), "")
    except ModelError:  # the runtime could open it
        return ""


@lru_cache(maxsize=64)
def tflite_output_operator(path: str, tensor: int) -> OutputOperator:
    """The same for the output that is tensor number ``tensor`` of the first subgraph."""
    try:
        model = Table.root(Path(path).read_bytes())
        # OperatorCode.builtin_code is new; files of older converters have the deprecated byte only.
        codes = [max(code.number(0, "<b"), code.number(3, "<i")) for code in model.tables(1)]
        makers = {}
        for operator in model.tables(2)[0].tables(3):
            for made in operator.ints(2):
                makers[made] = (codes[operator.number(0, "<I")], operator.ints(1))
    except (struct.error, IndexError, OSError):
        return ""
    for _ in range(DEEPEST):
        code, inputs = makers.get(tensor, (-1, []))
        if code not in TFLITE_MOVES or not inputs:
            return KINDS.get(TFLITE_CODES.get(code, ""), "")
        tensor = inputs[0]
    return ""
