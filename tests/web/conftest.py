"""What the tests of the web page share: a browser, the runtime, real pictures, and a page of a small run."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))

from modelfiles import colours, onnx_models  # noqa: F401
from web_helpers import Page, photo_tiles

from edgekit.data.cache import cache_dir
from edgekit.errors import EdgekitError
from edgekit.web.chromium import Browser, find_chromium
from edgekit.web.runtime_package import runtime_files


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Everything here but the tests of downloading needs a browser."""
    if find_chromium() is not None:
        return
    for item in items:
        if "browser" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.skip(reason="no Chromium is installed here"))


@pytest.fixture(scope="session")
def web_runtime() -> dict[str, Path]:
    """The files of onnxruntime-web."""
    try:
        return runtime_files(cache_dir())
    except EdgekitError as error:
        pytest.skip(f"onnxruntime-web cannot be had here: {error.problem}")


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    if find_chromium() is None:
        pytest.skip("no Chromium is installed here")
    with closing(Browser()) as running:
        yield running


@pytest.fixture(scope="session")
def photos(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """100 JPEG files of odd sizes, cut from two photographs."""
    return photo_tiles(tmp_path_factory.mktemp("photos"), 100)


@pytest.fixture(scope="session")
def page_folder(tmp_path_factory, onnx_models, colours, web_runtime) -> Path:  # noqa: F811
    """What `edgekit deploy --target web` writes for a run with two ONNX files."""
    from runfolders import make_run

    from edgekit.bench.web_page import deploy_page

    folder = tmp_path_factory.mktemp("web")
    models = {"onnx-fp32": onnx_models / "labelled.onnx", "onnx-int8": onnx_models / "uint8.onnx"}
    run = make_run(folder / "run", models, colours)
    deploy_page([run.path], folder / "page", title="Colours")
    return folder / "page"


@pytest.fixture
def page(browser, page_folder) -> Iterator[Page]:
    """The page, opened in the browser from a server without any special header."""
    with closing(Page(browser, page_folder)) as opened:
        yield opened
