"""Corrupted images, arms and Grad-CAM in the report."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
from PIL import Image
from report_factory import predictions, write_run, write_study
from test_report_page import page_of

from edgekit.documents.corruptions import CLEAN, Store
from edgekit.documents.folders import RunFolder
from edgekit.documents.run import GradCamDocument, GradCamPicture
from edgekit.report.model.corruption_rows import ArmDifference
from edgekit.report.model.paired import _of_differences

N = 200
LABELS = np.arange(N, dtype=np.int32) % 4


def show_corrupted(run: RunFolder, key: str, clean: float, corrupted: float) -> None:
    """Predictions with that share of correct ones; each severity costs another 5 points."""
    random = np.random.default_rng(0)
    store = Store(run, "local", key)
    store.open(model_sha256=key, seed=0, n_samples=1, dataset_sha256="0")
    files = [f"Testing/{i}.jpg" for i in range(N)]
    store.write(CLEAN, [0], LABELS, files, [predictions(LABELS, 4, clean, random)])
    for name in ("haze", "jpeg"):
        layers = [predictions(LABELS, 4, corrupted - 0.05 * step, random) for step in range(3)]
        store.write(name, [1, 3, 5], LABELS, files, np.stack(layers))


def write_gradcam(run: RunFolder) -> None:
    run.gradcam.mkdir(parents=True)
    Image.new("RGB", (320, 160), (90, 60, 30)).save(run.gradcam / "000.jpg")
    picture = GradCamPicture(
        picture="000.jpg",
        file="Testing/<b>glioma</b>/7.jpg",
        label="glioma",
        predicted="notumor",
        probability=0.91,
        right=False,
    )
    GradCamDocument(images=(picture,)).write(run.gradcam / "gradcam.json")


@pytest.fixture
def arms(tmp_path):
    """A study of two arms and two seeds, all evaluated on corrupted images."""
    runs = []
    for arm, gain in (("basic", 0.0), ("mixed", 0.1)):
        for seed in (0, 1):
            run = write_run(tmp_path / "study" / "runs" / f"{arm}-s{seed}", seed=seed, arm=arm)
            show_corrupted(run, "keras", 0.9, 0.7 + gain)
            show_corrupted(run, "tflite-int8", 0.9, 0.65 + gain)
            runs.append((run, "exported"))
    return write_study(tmp_path / "study", runs)


def test_each_arm_has_its_mean_over_seeds_and_its_table(arms):
    text, page = page_of(arms)
    section = text[text.index('id="corrupted"') :]
    for arm, keras, int8 in (("basic", "65.0", "60.0"), ("mixed", "75.0", "70.0")):
        for what, corrupted in (("Keras", keras), ("tflite-int8", int8)):
            title = f"MobileNetV2, feature-extraction, {arm}, {what}"
            row = section[section.index(f'data-v="{title}">{arm}, {what}<') :]
            assert f">{corrupted}<" in row[: row.index("</tr>")]
    assert "haze" in page.text
    assert "As robust as the fp32 file?" in page.text
    document = json.loads((arms / "report" / "report.json").read_text())
    assert len(document["robustness"]) == 4
    entry = document["robustness"][0]
    assert entry["models"][0]["mean_corruption_error"] == pytest.approx(0.35)
    assert entry["paired"][0]["reference"] == "keras"
    assert entry["paired"][0]["corrupted_loss"] == pytest.approx(0.05)
    assert {run["arm"] for run in document["runs"]} == {"basic", "mixed"}
    assert {c["arm"] for c in document["candidates"]} == {"basic", "mixed"}
    groups = {group["title"] for group in document["groups"]}
    assert groups >= {f"MobileNetV2, feature-extraction, {arm}, tflite-int8" for arm in ("basic", "mixed")}


def test_arms_are_compared_seed_by_seed(arms):
    text, _ = page_of(arms)
    assert "Training variants (arms)" in text
    document = json.loads((arms / "report" / "report.json").read_text())
    keras, int8 = document["robustness_of_arms"]
    assert (keras["arm"], keras["reference"]) == (int8["arm"], int8["reference"]) == ("mixed", "basic")
    assert (keras["corrupted"], keras["clean"], keras["seeds"]) == (pytest.approx(0.1), pytest.approx(0), 2)
    low, high = keras["corrupted_ci95"]
    assert 0 < low < 0.1 < high
    assert set(keras["by_corruption"]) == {"haze", "jpeg"}
    assert keras["verdict"] == int8["verdict"] == "supported"


def test_the_reference_arm_is_the_same_where_its_first_seed_lacks_a_file(arms):
    """Without it, the first arm that had an int8 file became the reference, which reversed the sign of the column."""
    first = sorted((arms / "runs").iterdir())[0]
    gone = [path for path in first.rglob("*") if "int8" in path.name and "corrupt" in str(path.relative_to(first))]
    assert gone
    for path in gone:
        shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
    text, _ = page_of(arms)
    document = json.loads((arms / "report" / "report.json").read_text())
    keras, int8 = document["robustness_of_arms"]
    assert (keras["arm"], keras["reference"], keras["seeds"]) == ("mixed", "basic", 2)
    assert (int8["arm"], int8["reference"], int8["seeds"]) == ("mixed", "basic", 1)
    assert int8["corrupted"] == pytest.approx(0.1)
    assert "tflite-int8, mixed minus basic, 1 seed" in text
    assert "Keras, mixed minus basic, 2 seeds" in text


def test_files_are_judged_against_their_fp32_counterparts_over_all_seeds(arms):
    page_of(arms)
    document = json.loads((arms / "report" / "report.json").read_text())
    text = (arms / "report" / "report.md").read_text()
    assert "additional loss of tflite-int8 under corruption compared with keras: +5.0 points" in text
    basic, mixed = document["robustness_of_files"]
    assert (basic["title"], mixed["title"]) == tuple(
        f"MobileNetV2, feature-extraction, {arm}" for arm in ("basic", "mixed")
    )
    assert (basic["model"], basic["reference"], basic["seeds"]) == ("tflite-int8", "keras", 2)
    assert basic["clean_loss"] == pytest.approx(0)
    assert (basic["corrupted_loss"], basic["extra_loss"]) == (pytest.approx(0.05), pytest.approx(0.05))
    assert basic["verdict"] in ("refuted", "undecided")


def test_one_seed_decides_nothing_about_an_arm():
    def verdict(first: float, second: float, seeds: int = 2) -> str:
        differences = np.array([[first] * 400, [second] * 400]) + np.tile([0.05, -0.05], 200)
        evidence = _of_differences(differences, "methods")
        return ArmDifference("m", "local", "mixed", "basic", seeds, evidence, evidence, {}).verdict

    assert verdict(0.25, 0.26) == "supported"
    assert verdict(0.25, 0.26, seeds=1) == "undecided"
    assert verdict(-0.25, -0.26) == "refuted"
    assert verdict(0.3, -0.2) == "undecided"


def test_without_corrupted_images_there_is_no_such_section(tmp_path):
    text, _ = page_of(write_run(tmp_path / "run").path)
    assert "Corrupted images" not in text
    assert "Grad-CAM" not in text


def test_where_the_network_looks_is_shown_and_names_are_escaped(tmp_path):
    run = write_run(tmp_path / "run")
    write_gradcam(run)
    text, page = page_of(run.path)
    (picture,) = (image for image in page.all("img") if image["src"].startswith("data:image/jpeg;base64,"))
    assert "notumor" in picture["alt"]
    assert "<b>glioma</b>/7.jpg" not in text
    assert "predicted notumor" in page.text
