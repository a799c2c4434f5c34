"""The page that `edgekit deploy --target web` writes, in a real browser."""

from __future__ import annotations

import io
import re
import shutil
import tarfile
import time
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from modelfiles import LABELS
from PIL import Image
from web_helpers import Page

from edgekit.api import predict
from edgekit.bench.protocols import protocol_of
from edgekit.documents.web_page import WebPage
from edgekit.errors import EdgekitError
from edgekit.web.npm_registry import download

AXE = (
    "axe-core",
    "4.10.3",
    "sha512-Xm7bpRXnDSX2YE2YFfBk2FnF0ep6tmG7xPh8iHee8MIcrgq762Nkce856dYtJYLkuIoYZvGfTs/PbZhideTcEg==",
)

SEEN = """
Array.from(document.querySelectorAll("#results article"), (block) => ({
  key: block.dataset.key,
  classes: Array.from(block.querySelectorAll("li"), (item) => item.innerText.replace(/\\s+/g, " ").trim()),
}))
"""


def classes_of(page: Page) -> dict[str, list[str]]:
    """The classes that the page shows, best first, for each file."""
    return {
        one["key"]: [text.rpartition(" ")[0].rpartition(" ")[0] for text in one["classes"]]
        for one in page.evaluate(SEEN)
    }


def test_100_photographs_get_the_same_class_as_on_this_machine(page, page_folder, photos):
    here = predict(page_folder / "models" / "onnx-int8.onnx", photos, labels=_labels(page_folder))
    page.ready()
    differing = []
    for expected, photo in zip(here, photos, strict=True):
        page.choose(photo)
        shown = classes_of(page)["onnx-int8"]
        if shown[0] != expected.classes[0][0]:
            differing.append((photo.name, shown, expected.classes[0]))
    assert differing == []
    assert len({one.classes[0][0] for one in here}) > 1
    assert page.messages == []


def _labels(page_folder: Path) -> Path:
    path = page_folder.parent / "labels.txt"
    path.write_text("".join(f"{label}\n" for label in LABELS))
    return path


def test_nothing_outside_of_the_page_is_asked_for(page, photos):
    page.ready()
    page.evaluate("document.querySelector('#compare input').click()")
    page.choose(photos[0])
    page.drain()
    outside = [
        url for url in page.requests if not url.startswith((page.server.origin, "data:", "blob:http://127.0.0.1"))
    ]
    assert page.requests
    assert outside == []
    assert page.messages == []
    assert {path.rpartition("/")[2] for path in page.server.requests} >= {"onnx-int8.onnx", "onnx-fp32.onnx"}


def test_the_second_file_is_loaded_only_when_it_is_compared(page, photos):
    page.ready()
    page.choose(photos[0])
    assert list(classes_of(page)) == ["onnx-int8"]
    assert not any("onnx-fp32" in path for path in page.server.requests)
    page.evaluate("document.querySelector('#compare input').click()")
    page.wait("document.querySelectorAll('#results article').length === 2")
    assert list(classes_of(page)) == ["onnx-int8", "onnx-fp32"]


def test_what_is_no_picture_is_refused_in_words_and_the_next_one_works(page, photos, tmp_path):
    page.ready()
    (tmp_path / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\nbroken")
    page.choose(tmp_path / "broken.png")
    text = page.evaluate("document.getElementById('problem').innerText")
    assert text == "This file cannot be classified: damaged or truncated PNG image"
    page.choose(photos[0])
    assert page.evaluate("document.getElementById('problem').hidden")
    assert classes_of(page)


def test_a_picture_can_be_dropped(page, photos):
    page.ready()
    page.evaluate(
        """
        (async () => {
          const canvas = new OffscreenCanvas(40, 30);
          const context = canvas.getContext("2d");
          context.fillStyle = "#f00";
          context.fillRect(0, 0, 40, 30);
          const data = new DataTransfer();
          data.items.add(new File([await canvas.convertToBlob()], "red.png", { type: "image/png" }));
          document.body.dispatchEvent(new DragEvent("drop", { dataTransfer: data, bubbles: true, cancelable: true }));
        })()
        """
    )
    page.wait("document.querySelectorAll('#results article').length === 1")
    assert classes_of(page)["onnx-int8"][0] == "red"


@pytest.mark.parametrize("width", [390, 1280])
def test_nothing_is_wider_than_the_window(page, photos, width):
    page.resize(width)
    page.ready()
    page.evaluate("document.querySelector('#compare input').click()")
    page.choose(photos[0])
    wide = page.evaluate(
        """
        Array.from(document.querySelectorAll("body *"))
          .filter((e) => !e.parentElement.closest(".scroll"))
          .filter((e) => e.getBoundingClientRect().right > document.documentElement.clientWidth + 1)
          .map((e) => e.outerHTML.slice(0, 80))
        """
    )
    assert wide == []
    assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")


def test_the_keyboard_reaches_everything_in_order(page):
    page.ready()
    order = []
    for _ in range(20):
        page.press("Tab", 9)
        name = page.evaluate(
            "document.activeElement.id"
            " || (document.activeElement === document.body ? '' : document.activeElement.outerHTML)"
        )
        if not name or name in order:
            break
        order.append(name)
    assert order[:2] == ["file", "camera"]
    assert 'value="onnx-fp32"' in order[2]
    assert order[3:6] == ["protocol", "device", "start"]
    page.evaluate("document.querySelector('#compare input').focus()")
    page.press(" ", 32, " ")
    assert page.evaluate("document.querySelector('#compare input').checked")
    page.evaluate("document.getElementById('file').focus()")
    page.press("Shift", 16)  # a key, so that the browser shows where the focus is
    assert page.evaluate("getComputedStyle(document.querySelector('label[for=file]')).outlineStyle") == "solid"


@pytest.fixture(scope="session")
def axe() -> str:
    """The program of axe-core, which finds faults of accessibility."""
    try:
        archive = download(*AXE, offline_hint="")
    except EdgekitError as error:
        pytest.skip(f"axe-core cannot be had here: {error.problem}")
    with tarfile.open(fileobj=io.BytesIO(archive), mode="r:gz") as packed:
        member = packed.extractfile("package/axe.min.js")
        assert member is not None
        return member.read().decode()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280])
def test_axe_finds_no_fault(page, photos, axe, width, scheme):
    page.resize(width)
    features = [{"name": "prefers-color-scheme", "value": scheme}]
    page.browser.call("Emulation.setEmulatedMedia", features=features)
    page.ready()
    page.evaluate("document.querySelector('#compare input').click()")
    page.choose(photos[0])
    page.browser.call("Runtime.evaluate", expression=axe)
    found = page.evaluate(
        "axe.run().then(({ violations }) => violations.map((v) => `${v.id}: ${v.nodes.map((n) => n.html).join(' ')}`))"
    )
    page.browser.call("Emulation.setEmulatedMedia", features=[])
    assert found == []


def test_a_measurement_in_the_page_becomes_a_result_that_reports_take(browser, page_folder, tmp_path, capsys):
    from edgekit.cli.app import main
    from edgekit.documents.bench import BenchResult
    from edgekit.report.model.sessions import comparisons

    folder = _with_short_protocol(page_folder, tmp_path / "page")
    run = page_folder.parent / "run"
    with closing(Page(browser, folder)) as page:
        page.ready()
        page.evaluate("document.getElementById('device').value = 'my-phone'")
        page.evaluate("document.getElementById('start').click()")
        page.wait("document.getElementById('measure-status').textContent === 'Measured.'", timeout_s=120)
        saved = run / "bench" / "my-phone"
        saved.mkdir(parents=True)
        browser.call("Browser.setDownloadBehavior", behavior="allow", downloadPath=str(saved))
        for number, name in enumerate(["onnx-int8.json", "onnx-fp32.json"]):
            page.evaluate(f"document.querySelectorAll('#measured a')[{number}].click()")
            _wait_for(saved / name)
        assert page.messages == []
    results = [BenchResult.read(saved / f"onnx-{scheme}.json") for scheme in ("fp32", "int8")]
    for result in results:
        assert result.ok
        assert result.bench.target == "my-phone"
        assert result.bench.runtime is not None
        assert result.bench.runtime.name == "onnxruntime-web"
        (latency,) = result.latency
        assert len(latency.processes) == 2
        assert [len(process.blocks) for process in latency.processes] == [6, 6]
        assert latency.n_answers > 0
        assert latency.n_invalid == 0
        assert len(result.bench.control) == 2
        assert "browser" in result.bench.environment.before.versions
    assert comparisons(results) is not None
    with pytest.raises(SystemExit) as stop:
        main(["report", str(run), "--json"])
    assert not stop.value.code
    assert "my-phone" in capsys.readouterr().out


def _wait_for(path: Path) -> None:
    end = time.monotonic() + 30
    while not path.exists():
        assert time.monotonic() < end, f"{path} was not saved"
        time.sleep(0.05)


def _with_short_protocol(page_folder: Path, copy: Path) -> Path:
    shutil.copytree(page_folder, copy)
    page = WebPage.read(copy / "page.json")
    short = protocol_of("quick", 2, 6, (12, 100_000), (2, 0))
    page.model_copy(update={"protocols": (short,)}).write(copy / "page.json")
    return copy


def test_a_measurement_can_be_stopped(page):
    page.ready()
    page.evaluate("document.getElementById('start').click()")
    page.wait("Number(document.getElementById('progress').value) > 0")
    assert page.evaluate("document.activeElement.id") == "stop"
    page.evaluate("document.getElementById('stop').click()")
    page.wait("document.getElementById('measure-status').textContent.startsWith('Stopped')")
    assert page.evaluate("document.activeElement.id") == "start"
    assert page.evaluate("document.querySelectorAll('#measured a').length") == 0


def test_the_page_needs_no_server_headers_and_says_what_a_file_cannot_do(page, browser, page_folder):
    assert page.evaluate("self.crossOriginIsolated") is False
    page.ready()
    browser.open((page_folder / "index.html").as_uri())
    text = browser.evaluate("document.getElementById('problem').innerText")
    assert "python3 -m http.server" in text


def test_the_page_is_as_small_as_promised(page_folder):
    """A page with an int8 MobileNetV2 (3 MB) stays below 15 MB."""
    models = sum(path.stat().st_size for path in (page_folder / "models").iterdir())
    whole = sum(path.stat().st_size for path in page_folder.rglob("*") if path.is_file())
    assert whole - models < 11_600_000


def test_the_page_names_its_files_and_hides_this_machine(page_folder):
    text = (page_folder / "page.json").read_text()
    assert [one.result.key for one in WebPage.read(page_folder / "page.json").models] == ["onnx-int8", "onnx-fp32"]
    assert str(page_folder.parent) not in text
    assert not re.search(r"/(home|root|tmp)/", text)


def test_a_grey_or_transparent_picture_is_classified(page, tmp_path):
    page.ready()
    pixels = np.zeros((50, 70, 4), np.uint8)
    pixels[..., 2], pixels[..., 3] = 255, 200
    Image.fromarray(pixels).save(tmp_path / "blue.png")
    page.choose(tmp_path / "blue.png")
    assert classes_of(page)["onnx-int8"][0] == "blue"


def test_a_program_that_does_not_start_is_an_error_and_no_endless_wait(browser, page_folder, tmp_path):
    folder = tmp_path / "page"
    shutil.copytree(page_folder, folder)
    (folder / "js" / "decode.js").write_text("this is no program")
    with closing(Page(browser, folder)) as page:
        page.wait("!document.getElementById('problem').hidden")
        assert page.evaluate("document.getElementById('problem').innerText").startswith("This page does not work here")
