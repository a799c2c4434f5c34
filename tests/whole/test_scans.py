"""12-bit scans from training to the device: every step reads them with the range that training used."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
from PIL import Image

from edgekit import api
from edgekit.documents.folders import RunFolder
from edgekit.targets.device_program import program

SIDE = 32


def scans(root: Path) -> Path:
    """Two classes of 12-bit pictures that differ in their pattern, hardly visible when read as 16 bits."""
    rows, columns = np.mgrid[0:SIDE, 0:SIDE]
    draw = np.random.default_rng(0)
    for split, count in (("train", 24), ("val", 6), ("test", 6)):
        for name, wave in (("lying", np.sin(rows / 2)), ("standing", np.sin(columns / 2))):
            (root / split / name).mkdir(parents=True)
            for number in range(count):
                values = 2000 + 1500 * wave + draw.normal(0, 200, (SIDE, SIDE))
                values[0, 0] = 4095
                path = root / split / name / f"{number:02d}.png"
                Image.fromarray(values.clip(0, 4095).astype(np.uint16)).save(path)
    return root


def test_the_range_is_the_same_from_training_to_the_device(tmp_path):
    data = scans(tmp_path / "scans")
    run = RunFolder(tmp_path / "run")
    settings = {"model.alpha": 0.35, "export.calibration.images": 8, "export.parity_images": 8}
    document = api.train(
        data=data, weights="none", strategy="from-scratch", image_size=SIDE, epochs=1, run=run.path, settings=settings
    )
    assert document.dataset.pixel_range == "0-4095"
    exported = api.export(run.path, files=["tflite-fp32", "onnx-fp32"])
    assert [entry.pixel_range for entry in exported] == ["0-4095", "0-4095"]
    with np.load(run.predictions) as stored:
        expected = dict(zip(stored["files"].tolist(), stored["probabilities"].tolist()))
    files = sorted(expected)
    pyz = tmp_path / "edgekit-device.pyz"
    pyz.write_bytes(program())
    for key in ("tflite-fp32", "onnx-fp32"):
        model = run.export(key).model()
        elsewhere = tmp_path / f"alone-{model.name}"  # a copy knows only what is in the file
        elsewhere.write_bytes(model.read_bytes())
        for path in (model, elsewhere):
            for found in api.predict(path, [data / file for file in files]):
                truth = expected[found.image.relative_to(data).as_posix()]
                assert abs(dict(found.classes)["lying"] - truth[0]) < 0.01, (path, found.image)
        command = [sys.executable, str(pyz), "predict", str(elsewhere), str(data / files[0]), "--top", "2"]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        said = dict(part.rsplit(" ", 1) for part in done.stdout.strip().split("  ")[1:])
        assert abs(float(said["lying"].rstrip("%")) / 100 - expected[files[0]][0]) < 0.01
    again = api.evaluate(run.path)
    assert again.metrics["test"].accuracy == document.metrics["test"].accuracy
    assert json.loads(run.run_json.read_text())["dataset"]["pixel_range"] == "0-4095"
