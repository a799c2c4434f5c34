"""The model files and images that the tests of the device program and of the bench share."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from modelfiles import colours, ncnn_models, onnx_models, tflite_models  # noqa: F401
