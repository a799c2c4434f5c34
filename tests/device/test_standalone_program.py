"""The device program in a terminal on the device: one file; its camera and its power meter."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from modelfiles import LABELS, colour_pixels
from PIL import Image

from edgekit.device import energy, probe, sustained
from edgekit.device.jobs import JobModel, read_job
from edgekit.device.protocol import NOISE_IMAGES
from edgekit.device.runtimes import Model, open_model
from edgekit.targets.device_program import program

# What `vcgencmd pmic_read_adc` prints on a Raspberry Pi 5, shortened. A rail without a voltage does not count.
PMIC = """ 3V7_WL_SW_A current(0)=0.09759250A
   3V3_SYS_A current(1)=0.05270095A
  VDD_CORE_A current(7)=1.31000000A
 3V7_WL_SW_V volt(8)=3.70000000V
   3V3_SYS_V volt(9)=3.30000000V
  VDD_CORE_V volt(15)=0.72000000V
     EXT5V_V volt(24)=5.15000000V
      BATT_V volt(25)=0.00000000V
"""


@pytest.fixture
def pyz(tmp_path) -> Path:
    path = tmp_path / "edgekit-device.pyz"
    path.write_bytes(program())
    return path


def run(pyz: Path, *arguments: object, **more: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(pyz), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False, **more)


def test_predict(pyz, onnx_models, tmp_path):
    photos = []
    for label in ("red", "blue"):
        photos.append(tmp_path / f"{label}.png")
        Image.fromarray(colour_pixels(label)).save(photos[-1])
    done = run(pyz, "predict", onnx_models / "labelled.onnx", *photos, "--top", "1")
    assert done.returncode == 0, done.stderr
    assert [line.split("  ")[1].split()[0] for line in done.stdout.splitlines()] == ["red", "blue"]
    unnamed = run(pyz, "predict", onnx_models / "uint8.onnx", photos[0], "--top", "1")
    assert unnamed.stdout.split("  ")[1].startswith("2 "), "classes without names are numbered"
    labels = tmp_path / "names.txt"
    labels.write_text("\n".join(LABELS))
    named = run(pyz, "predict", onnx_models / "uint8.onnx", photos[0], "--labels", labels)
    assert named.stdout.split("  ")[1].startswith("red ")


def test_settings_beside_the_model(pyz, onnx_models, tmp_path):
    """What `edgekit deploy` writes for a third-party model; options replace it."""
    model, photo = tmp_path / "model.onnx", tmp_path / "photo.png"
    model.write_bytes((onnx_models / "nchw.onnx").read_bytes())
    Image.fromarray(colour_pixels("red")).save(photo)
    unknown = run(pyz, "predict", model, photo)
    assert unknown.returncode == 2
    assert "scaled" in unknown.stderr
    settings = tmp_path / "preprocessing.json"
    settings.write_text('{"scaling": "unit", "filter": "bicubic", "external_data": []}')
    known = run(pyz, "predict", model, photo)
    assert known.returncode == 0, known.stderr
    assert known.stdout.split("  ")[1].startswith("2 ")
    assert run(pyz, "predict", model, photo, "--filter", "area", "--scaling", "imagenet").returncode == 0
    refused = run(pyz, "predict", model, photo, "--filter", "cubic")
    assert refused.returncode == 1
    assert "unknown filter" in refused.stderr
    settings.write_text('{"scaling": "unit", "runtime": "litert"}')
    assert "litert does not run .onnx files" in run(pyz, "predict", model, photo).stderr
    assert run(pyz, "predict", model, photo, "--runtime", "onnxruntime").returncode == 0
    settings.write_text("{")
    assert "cannot read the settings" in run(pyz, "predict", model, photo).stderr


def test_tuned_settings_beside_the_model(pyz, onnx_models, tmp_path):
    """What `edgekit deploy` writes after `edgekit bench --tune`; options replace it."""
    model = tmp_path / "model.onnx"
    model.write_bytes((onnx_models / "uint8.onnx").read_bytes())
    settings = tmp_path / "settings.json"
    settings.write_text('{"runtime": "onnxruntime", "threads": 3, "pin": true, "options": {"graph": "basic"}}')
    bench = ("bench", model, "--seconds", "0.01")
    assert ", 3 threads, onnxruntime" in run(pyz, *bench).stdout
    assert ", 2 threads, onnxruntime" in run(pyz, *bench, "--threads", "2").stdout
    assert ", 3 threads, onnxruntime" in run(pyz, *bench, "--runtime", "onnxruntime").stdout
    settings.write_text('{"runtime": "litert", "threads": 3, "options": {"xnnpack": "off"}}')
    assert "onnxruntime" in run(pyz, *bench, "--runtime", "onnxruntime").stdout, "the settings are those of litert"
    settings.write_text('{"options": {"graph": "none"}}')
    refused = run(pyz, *bench)
    assert refused.returncode == 2
    assert "no setting graph=none" in refused.stderr


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["predict", "no-such.onnx", "x.png"], 2, "cannot read this model file"),
        (["predict", "{model}", "no-such.png"], 2, "No such file"),
        (["predict", "{model}"], 1, "nothing to classify"),
        (["predict", "{model}", "--fast"], 2, "unrecognized"),
        ([], 2, "usage"),
        (["predict", "{float}", "{image}"], 2, "scaled"),
    ],
)
def test_wrong_use_is_explained(pyz, onnx_models, colours, arguments, code, said):
    names = {
        "model": onnx_models / "labelled.onnx",
        "float": onnx_models / "nchw.onnx",
        "image": colours / "red/0.png",
    }
    done = run(pyz, *[argument.format(**names) for argument in arguments], stdin=subprocess.DEVNULL)
    assert done.returncode == code, done.stderr
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_verify_and_bench(pyz, onnx_models, tmp_path):
    path = onnx_models / "labelled.onnx"
    model, inputs = open_model(str(path)), np.stack([colour_pixels(label) for label in LABELS])
    outputs = []
    for pixels in inputs:
        model.set_input(model.input.prepare(pixels, None))
        model.invoke()
        outputs.append(model.scores())
    np.savez(tmp_path / "golden.npz", inputs=inputs, outputs=np.stack(outputs))
    np.savez(tmp_path / "wrong.npz", inputs=inputs, outputs=np.stack(outputs)[::-1])
    good, bad = (run(pyz, "verify", path, tmp_path / name) for name in ("golden.npz", "wrong.npz"))
    assert (good.returncode, bad.returncode) == (0, 3)
    assert "3 of 3 predictions match" in good.stdout
    timed = run(pyz, "bench", path, "--seconds", "0.01", "--threads", "1")
    assert timed.stdout.startswith("median ")
    assert "onnxruntime" in timed.stdout


CV2 = """
import numpy
CAP_PROP_FRAME_WIDTH = CAP_PROP_FRAME_HEIGHT = 0
class VideoCapture:
    def __init__(self, number): self.left = 3
    def set(self, name, value): pass
    def read(self):
        self.left -= 1
        frame = numpy.zeros((48, 64, 3), numpy.uint8)
        frame[:, :, 2] = 220  # OpenCV's order is blue, green, red
        return self.left >= 0, frame
"""


def test_camera_loop(pyz, onnx_models, tmp_path):
    """There is no camera here: a module with OpenCV's interface takes its place, in the camera's process."""
    (tmp_path / "cv2.py").write_text(CV2)
    launcher = tmp_path / "launch.py"
    launcher.write_text(
        "import os, runpy, sys\nimport edgekit_device.camera as camera\n"
        f"camera.CAPTURE = 'import sys; sys.path.insert(0, \"{tmp_path}\")\\n' + camera.CAPTURE\n"
        "from edgekit_device.__main__ import main\nsys.exit(main(sys.argv[1:]))\n"
    )
    command = [sys.executable, launcher, "predict", onnx_models / "labelled.onnx", "--camera", "--top", "1"]
    environment = {"PYTHONPATH": str(pyz), "PATH": "/usr/bin:/bin"}

    def frames(*more: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*map(str, command), *more], capture_output=True, text=True, check=False, env=environment, timeout=60
        )

    two = frames("--frames", "2")
    assert two.returncode == 0, two.stderr
    assert [line.split()[0] for line in two.stdout.splitlines()] == ["red", "red"]
    ended = frames()
    assert len(ended.stdout.splitlines()) == 3
    assert ended.returncode == 1
    assert "returns no images" in ended.stderr


def test_raspberry_pi_5_power_is_the_sum_of_its_rails():
    assert energy.parse_pmic(PMIC) == pytest.approx(0.0975925 * 3.7 + 0.05270095 * 3.3 + 1.31 * 0.72)
    assert energy.parse_pmic('error=1 error_msg="Command not registered"') is None
    assert energy.parse_pmic("") is None


def test_energy_is_mean_power_times_time(monkeypatch, onnx_models):
    """The firmware's output is recorded; the model really runs."""
    monkeypatch.setattr(probe, "output", lambda *command: PMIC if command == ("vcgencmd", "pmic_read_adc") else None)
    monkeypatch.setattr(energy, "IDLE_S", 0.3)
    lines = energy_lines(onnx_models)
    watts = energy.parse_pmic(PMIC)
    assert lines[-1]["source"] == "vcgencmd pmic_read_adc"
    assert lines[-1]["joules"] == pytest.approx(watts * lines[-1]["wall_s"])
    assert lines[-1]["idle_joules"] == pytest.approx(watts * lines[-1]["idle_s"])
    assert lines[-1]["runs"] >= 3


def test_a_power_chip_without_readings_is_not_0_joules(monkeypatch):
    """The meter was found, but while it measured the firmware gave no answer."""
    monkeypatch.setattr(probe, "output", lambda *command: None)
    joules, _, result = energy.measured(energy.PmicMeter(), lambda: "done")
    assert (joules, result) == (None, "done")


def test_rapl_counters_may_wrap_around(monkeypatch, tmp_path, onnx_models):
    """Counters as the kernel shows them, in a folder of their own; one wraps around during the measurement."""
    package = tmp_path / "intel-rapl:0"
    (package / "intel-rapl:0:0").mkdir(parents=True)
    (package / "max_energy_range_uj").write_text("10000000\n")
    (package / "energy_uj").write_text("9000000\n")
    monkeypatch.setattr(energy, "RAPL", tmp_path)
    meter = energy.find_meter()
    meter.start()
    (package / "energy_uj").write_text("1500000\n")
    assert meter.stop(1.0) == pytest.approx(2.5)


def test_next_model_waits_until_the_machine_is_cool(monkeypatch):
    heat = [61.0, 55.0, 48.5]
    monkeypatch.setattr(probe, "temperature_c", lambda: heat.pop(0))
    monkeypatch.setattr(sustained.time, "sleep", lambda seconds: None)
    sustained.cool_down(46.0)
    assert heat == []
    assert sustained.cool_down(None) < 1


def test_no_energy_without_a_meter(monkeypatch, tmp_path, onnx_models):
    monkeypatch.setattr(energy, "RAPL", tmp_path)
    monkeypatch.setattr(probe, "output", lambda *command: None)
    assert energy_lines(onnx_models) == [{"event": "energy", "key": "m", "source": None}]


@pytest.mark.parametrize(("verb", "with_images"), [("energy", True), ("sustained", True), ("sustained", False)])
def test_long_runs_take_one_input_after_another(monkeypatch, onnx_models, colours, verb, with_images):
    """The pictures that the runtime is given repeat only after all of them have been used."""
    images = [str(colours / label / "0.png") for label in ("red", "green", "blue")] if with_images else []
    models = [{"path": str(onnx_models / "uint8.onnx"), "images": images}]
    given: list[bytes] = []
    opened = JobModel.open

    def watched(self: JobModel, threads: int) -> Model:
        model = opened(self, threads)
        return replace(model, set_input=lambda tensor: (given.append(tensor.tobytes()), model.set_input(tensor)))

    monkeypatch.setattr(JobModel, "open", watched)
    monkeypatch.setattr(energy, "find_meter", lambda: energy.RaplMeter([]))
    monkeypatch.setattr(energy, "IDLE_S", 0.01)
    monkeypatch.setattr(sustained, "WINDOW_NS", 1_000_000)
    job = read_job(json.dumps({"models": models, "threads": 1, "seconds": 0.05}))
    {"energy": energy.energy, "sustained": sustained.sustained}[verb](job, [].append)
    count = len(images) or NOISE_IMAGES
    assert len(set(given)) == count
    assert all(given[place] == given[place % count] for place in range(len(given)))
    assert len(given) > count


def energy_lines(onnx_models: Path) -> list[dict]:
    lines: list[dict] = []
    job = read_job(f'{{"models": [{{"key": "m", "path": "{onnx_models}/uint8.onnx"}}], "seconds": 0.3}}')
    energy.energy(job, lines.append)
    return lines


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("labels.txt", "\ufeff0 blue\r\n1 green\r\n2 red\r\n\r\n", "red "),
        ("names.json", '{"red": 2, "blue": 0, "green": 1}', "red "),
        ("names.csv", "index,name\n2,red\n0,blue\n1,green\n", "red "),
        ("short.txt", "blue\nred\n", "2 labels do not fit 3 outputs"),
        ("twice.txt", "blue\nred\nred\n", "occurs more than once"),
        ("cut.json", '{"red": 2,', "cannot be read as JSON"),
    ],
)
def test_labels_files_of_any_origin(pyz, onnx_models, tmp_path, name, content, said):
    Image.fromarray(colour_pixels("red")).save(tmp_path / "red.png")
    (tmp_path / name).write_text(content, encoding="utf-8", newline="")
    arguments = ("predict", onnx_models / "uint8.onnx", tmp_path / "red.png", "--labels", tmp_path / name, "--top", "1")
    done = run(pyz, *arguments)
    assert "Traceback" not in done.stderr
    if said == "red ":
        assert done.returncode == 0, done.stderr
        assert done.stdout.split("  ")[1].startswith(said)
    else:
        assert done.returncode != 0
        assert said in done.stderr
