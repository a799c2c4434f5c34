"""Train, export, benchmark and report on the built-in handwritten digits, from Python."""

from pathlib import Path

import edgekit

# 1. Train a small MobileNetV2 from scratch. The result is a run folder; `run` is its run.json.
run = edgekit.train(
    backbone="mobilenetv2",
    weights="none",
    image_size=32,
    epochs=8,
    run="runs/digits",
    settings={
        "data.name": "digits",
        "model.alpha": 0.35,
        "train.from_scratch.learning_rate": 3e-3,
        "train.from_scratch.batchnorm_momentum": 0.8,
    },
)
print(f"Keras model    {run.accuracy:.1%} of {run.n_samples} test images")

# 2. Export it. Each file is verified against the Keras model.
for export in edgekit.export(run, files=["tflite-fp32", "tflite-int8", "onnx-fp32"]):
    print(f"{export.key:<14} {export.size_bytes / 1e6:.2f} MB, agreement {export.parity.agreement:.1%}")

# 3. Measure the exported files on this machine, all in one session.
measured = edgekit.bench(run, protocol="quick", threads=[1])
for result in measured.results:
    latency = result.with_threads(1)
    if latency is not None:
        print(f"{result.id}: p50 {latency.percentile_ms(50):.2f} ms")

# 4. Write the report, and classify an image with one of the files.
report = edgekit.report(run)
print("report:", report.report_html)

image = next(Path(run.dataset.root).rglob("*.png"))
(prediction,) = edgekit.predict("runs/digits/exports/tflite-int8/model.tflite", image)
label, probability = prediction.classes[0]
print(f"{image.name}: {label} ({probability:.1%})")
