"""report.html and report.json: what they hold, that nothing is loaded from outside, that data is escaped."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from html import unescape
from html.parser import HTMLParser
from pathlib import Path

import pytest
from document_factory import CLASSES, recipe_of
from report_factory import change_run, two_run_study, write_bench, write_run, write_study

from edgekit.documents.report_findings import MissingRecord
from edgekit.documents.run import ImportRecord
from edgekit.errors import InputError
from edgekit.report.build import build_report
from edgekit.support.progress import Progress

EVIL = ("<script>alert(1)</script>", '"><img src=x onerror=alert(2)>', "{{ 7 * 7 }} & $x$", "d" * 60)


class Page(HTMLParser):
    """Tags with their attributes, and the visible text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.text += data

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


@pytest.fixture(scope="module")
def built(tmp_path_factory) -> tuple[str, Page]:
    """The page of the two-run study, for tests that only look at it."""
    return page_of(two_run_study(tmp_path_factory.mktemp("built") / "brain"))


def page_of(folder: Path) -> tuple[str, Page]:
    build_report(folder)
    text = (folder / "report" / "report.html").read_text(encoding="utf-8")
    return text, Page(text)


def test_the_files_are_written_and_nothing_else(study):
    document = build_report(study)
    assert sorted(p.name for p in (study / "report").iterdir()) == [
        "candidates.csv",
        "cards",
        "report.html",
        "report.json",
        "report.md",
    ]
    assert document.report_html == str(study / "report" / "report.html")
    assert document.report_json == str(study / "report" / "report.json")
    printed = document.to_dict()
    stored = json.loads((study / "report" / "report.json").read_text())
    assert printed == {**stored, "report_html": document.report_html, "report_json": document.report_json}


def test_stable_keys(study):
    document = build_report(study).to_dict()
    assert document["kind"] == "study"
    keys = {"run_id", "backbone", "strategy", "seed", "accuracy", "n_samples", "accuracy_ci95", "format", "scheme"}
    keys |= {"size_bytes", "gzip_bytes", "sha256", "peak_rss_bytes", "target", "runtime", "protocol"}
    for candidate in document["candidates"]:
        assert keys <= candidate.keys()
        assert {"threads", "latency_ms_p50", "latency_ms_p99", "unstable"} <= candidate["latency"][0].keys()
    assert [c["on_pareto_front"] for c in document["candidates"]] == [True] * 4
    assert {entry["threads"] for entry in document["noise_floor"]} == {1, 4}
    assert len(document["runs"]) == 2


def test_nothing_comes_from_outside(built):
    text, page = built
    assert not re.search(r"https?:", text)
    assert not re.search(r"@import|@font-face|url\((?!#)", text)
    for tag, attributes in page.tags:
        assert tag not in {"base", "iframe", "object", "embed", "form"}
        assert not attributes.get("src")
        for name in ("href", "xlink:href"):
            value = attributes.get(name)
            assert value is None or value.startswith("#") or value == "data:,"


def test_what_came_from_data_is_escaped(tmp_path):
    run = write_run(tmp_path / "run", classes=EVIL)
    document = run.read_run()
    change_run(
        run,
        warnings=("<script>alert(3)</script>",),
        dataset=document.dataset.model_copy(update={"name": "<b>images</b>"}),
        recipe=document.recipe.model_copy(update={"description": "</pre><script>alert(4)</script>"}),
    )
    write_bench(run, "tflite-fp32", unstable=("<script>alert(5)</script>",))
    text, page = page_of(run.path)
    assert len(page.all("script")) == 1
    assert page.all("img") == []
    assert not any(name.startswith("on") for _, attributes in page.tags for name in attributes)
    for name in EVIL:
        assert name in page.text
    assert "alert(4)" in page.text
    assert "49 & $x$" not in page.text
    assert text.count("<script>") == 1


def test_script_runs_only_by_its_hash(built):
    text, page = built
    policy = next(meta["content"] for meta in page.all("meta") if meta.get("http-equiv"))
    script = re.search(r"<script>(.*?)</script>", text, re.DOTALL).group(1)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in policy
    assert "default-src 'none'" in policy


def test_ids_are_unique_and_every_reference_has_one(built):
    text, page = built
    ids = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    references = set(re.findall(r'(?:href="|url\()#([^")]+)', text))
    assert references <= set(ids)


def test_the_same_folder_gives_the_same_page(study):
    def stable(text: str) -> str:
        return re.sub(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00", "TIME", text)

    assert stable(page_of(study)[0]) == stable(page_of(study)[0])


def test_figures_hold_text_and_the_pages_colours(built):
    text, _ = built
    figures = re.findall(r"<svg.*?</svg>", text, re.DOTALL)
    # Two thread counts in two widths; loss and accuracy of two runs, and of both together.
    assert len(figures) == 2 * 2 + 2 * 2 + 2
    for figure in figures:
        assert "<text" in figure
        assert "var(--ink)" in figure
        assert 'role="img"' in figure
        assert re.findall(r"#[0-9a-f]{6}\b", figure) == []
    assert "<title>2: MobileNetV2, feature-extraction, tflite-int8" in text


def test_the_page_shows_every_part(built):
    _, page = built
    for part in (
        "What these numbers do not prove",
        "Most accurate",
        "Pareto front",
        "Confusion matrix",
        "Precision",
        *CLASSES,
        "Example CPU 9000",
        "litert 2.3.0 XNNPACK",
        "edgekit compare recipe.yaml",
    ):
        assert part in page.text
    table = page.text[page.text.index("Drop, points") : page.text.index("Click a heading")]
    assert "p90 8.01" in table
    assert "p99" not in table  # too few: 64 runs


def test_the_page_of_a_run_lists_the_commands_that_made_it(tmp_path):
    run = write_run(tmp_path / "my run")
    for key in ("tflite-fp32", "tflite-int8"):
        write_bench(run, key)
    _, page = page_of(run.path)
    assert "edgekit train recipe.yaml --run 'my run'" in page.text
    assert "edgekit bench 'my run' --target local --protocol quick --threads 1,4" in page.text
    assert "backbone: mobilenetv2" in page.text


def test_nothing_in_the_report_names_local_folders(tmp_path):
    """Paths in report.json are below the study, and the page names folders of images and weights by their last part."""
    recipe = recipe_of(data={"path": "/home/ann/scans"}, model={"weights": "/home/ann/mobile.weights.h5"})
    study = two_run_study(tmp_path / "brain", recipe)
    built = build_report(study)
    assert built.runs[0].run_dir == "runs/brain-mobilenetv2-s0"
    assert built.candidates[0].result == "runs/brain-mobilenetv2-s0/bench/local/tflite-fp32.json"
    for file in (study / "report").rglob("*.*"):
        text = file.read_text()
        assert str(tmp_path) not in text, file
        assert "/home/ann" not in text, file
    page = (study / "report" / "report.html").read_text()
    assert "edgekit compare recipe.yaml --out brain" in page
    assert "scans (--data) and mobile.weights.h5 (--set model.weights)" in page
    assert "path: scans" in page


def test_a_run_that_is_not_measured_says_so(tmp_path):
    """The terminal has the command for this machine; the report, which is shared, does not name its folders."""
    run = write_run(tmp_path / "run")
    heard: list[str] = []

    class Listener(Progress):
        def info(self, text: str) -> None:
            heard.append(text)

    document = build_report(run.path, progress=Listener())
    assert [entry.command for entry in document.missing] == ["edgekit bench run"]
    assert f"edgekit bench {run.path}" in heard[0]
    text = (run.path / "report" / "report.html").read_text()
    assert "No latency has been measured yet." in text
    assert "This compares the Keras models, because no exported file has been scored on the test split yet." in text


def test_a_run_without_exports_says_so(tmp_path):
    run = write_run(tmp_path / "run", files=())
    document = build_report(run.path)
    assert [entry.command for entry in document.missing] == ["edgekit export run"]
    assert document.candidates == ()


def test_an_unfinished_run_shows_its_curves(tmp_path):
    run = write_run(tmp_path / "run", finished=False)
    document = build_report(run.path)
    assert document.missing[0].command == "edgekit train --run run --resume"
    assert "Loss per epoch" in (run.path / "report" / "report.html").read_text()


def test_an_empty_study(tmp_path):
    folder = tmp_path / "study"
    folder.mkdir()
    write_study(folder, [])
    command = "edgekit compare RECIPE --out study"
    (found,) = build_report(folder).missing
    assert found == MissingRecord(text="No run of this study has been trained yet.", command=command)


def test_an_unfinished_study_is_resumed_by_its_own_command(tmp_path):
    """Not each run by ``train --resume``, which would leave the study's cells behind."""
    folder = tmp_path / "study"
    runs = [write_run(folder / "runs" / "a"), write_run(folder / "runs" / "b", finished=False)]
    write_study(folder, [(runs[0], "exported"), (runs[1], "waiting")])
    command = "edgekit compare RECIPE --out study"
    texts = {entry.text: entry.command for entry in build_report(folder).missing}
    assert texts["1 of 2 cells not trained yet; finished cells are kept."] == command
    assert not [text for text in texts if "Training of" in text]


def test_without_curves_and_with_many_classes(tmp_path):
    run = write_run(tmp_path / "run", classes=tuple(f"class {i:02}" for i in range(20)), n_test=600)
    run.history.unlink()
    text, page = page_of(run.path)
    assert "This run has no training curves." in text
    assert "Most frequent confusions" in text
    assert any(
        (image.get("href") or image.get("xlink:href") or "").startswith("data:image/png") for image in page.all("image")
    )


def test_wrong_folders_are_refused(tmp_path):
    with pytest.raises(InputError, match="does not exist"):
        build_report(tmp_path / "nowhere")
    with pytest.raises(InputError, match="contains no run"):
        build_report(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_documents_of_a_newer_edgekit_are_refused_and_nothing_is_written(study):
    path = study / "runs" / "brain-mobilenetv2-s0" / "run.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"schema_version": 99}))
    with pytest.raises(InputError, match="newer edgekit"):
        build_report(study)
    assert not (study / "report").exists()


def test_damaged_predictions_are_named(study):
    path = study / "runs" / "brain-mobilenetv2-s0" / "predictions.npz"
    path.write_bytes(b"not an archive")
    with pytest.raises(InputError, match="this file is damaged"):
        build_report(study)


def test_the_command_of_an_imported_network_has_its_name_and_resizing(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run")
    facts = {"format": "keras", "sha256": "0" * 64, "keras_version": "3", "mean": (0, 0, 0), "std": (1, 1, 1)}
    words = {"scaling": "unit", "labels": "folders", "output": "softmax", "max_abs_difference": 0.0, "tried_images": 0}
    imported = ImportRecord.model_validate({"file": "my model.keras", **facts, **words})
    recipe = run.read_run().recipe
    data = recipe.data.model_copy(update={"resize": "crop"})
    change_run(run, imported=imported, recipe=recipe.model_copy(update={"data": data}))
    build_report(run.path)
    page = unescape((run.path / "report" / "report.html").read_text())
    assert (
        "edgekit import 'my model.keras' --data DIR --scaling unit --name mobilenetv2 --resize crop --run run" in page
    )
