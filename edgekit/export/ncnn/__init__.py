"""ncnn files, which pnnx converts from the fp32 ONNX file."""
