"""The page of the device program's ``watch`` in a browser: it refreshes itself, and anyone can read it."""

from __future__ import annotations

import time
from collections.abc import Iterator

import numpy as np
import pytest
from test_web_page import axe  # noqa: F401
from web_helpers import Page

from edgekit.device.watch_page import Board, PageServer, Snapshot
from edgekit.web.chromium import Browser

EVIL = "<img src=x onerror=document.title='owned'>"
FEATURES = (("light", 390), ("dark", 1280))


@pytest.fixture
def server() -> Iterator[PageServer]:
    running = PageServer("127.0.0.1", 0)
    running.start(Board(Snapshot("camera", "0" * 64, time.time(), drift="0 of 200 pictures collected")))
    yield running
    running.close()


def show(server: PageServer, number: int, label: str) -> None:
    found = Snapshot(
        "camera",
        "0" * 64,
        time.time(),
        time_unix_s=time.time(),
        number=number,
        top=((label, 0.9), ("a very long name of a class " * 4, 0.06), ("third", 0.04)),
        latency_ms=12.3,
        latency_ms_median=12.0,
        temperature_c=61.2,
        throttled=("frequency capped",),
        kept=3,
        kept_bytes=400_000,
        kept_most_bytes=200_000_000,
        drift="drift in brightness (median 41, test split 118); 180 pictures compared with the test split",
        drift_time_unix_s=time.time(),
    )
    server.board.publish(found, np.full((480, 640, 3), 40 * number, np.uint8))


def opened(browser: Browser, server: PageServer) -> Page:
    """A page object for a server that is there already."""
    page = Page.__new__(Page)
    page.browser, page.messages, page.requests = browser, [], []
    page.drain()
    page.messages.clear()
    page.requests.clear()
    for domain in ("Log", "Network"):
        browser.call(f"{domain}.enable")
    browser.open(f"http://127.0.0.1:{server.port}/")
    return page


def test_it_refreshes_itself_and_shows_text_as_text(browser, server):
    page = opened(browser, server)
    assert "Waiting for the first picture" in page.evaluate("document.body.innerText")
    show(server, 1, EVIL)
    page.wait("document.querySelector('.top') !== null")
    assert page.evaluate("document.querySelector('.top').textContent") == f"{EVIL} 90.0%"
    show(server, 2, "cat")
    page.wait("document.querySelector('.top').textContent === 'cat 90.0%'")
    page.wait("document.querySelector('img').complete && document.querySelector('img').naturalWidth === 640")
    assert page.evaluate("document.title") == "camera"
    page.drain()
    assert page.messages == []
    assert all(address.startswith((f"http://127.0.0.1:{server.port}/", "data:")) for address in page.requests)
    server.close()
    page.wait("document.querySelector('[role=alert]')?.textContent.startsWith('The device does not answer')")


@pytest.mark.parametrize(("scheme", "width"), FEATURES)
def test_axe_finds_no_fault(browser, server, axe, scheme, width):  # noqa: F811
    show(server, 1, "cat")
    page = opened(browser, server)
    page.resize(width)
    browser.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
    page.wait("document.querySelector('.top') !== null")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert faults(page, axe) == []
    server.token = token = f"0123456789abcdef{width}"  # the browser keeps its cookie for the other test
    browser.open(f"http://127.0.0.1:{server.port}/")
    assert "Token required" in page.evaluate("document.body.innerText")
    assert faults(page, axe) == []
    page.evaluate(f"document.querySelector('input').value = '{token}'")
    page.evaluate("document.querySelector('form').requestSubmit()")
    page.wait("document.querySelector('.top') !== null")
    assert page.evaluate("location.href") == f"http://127.0.0.1:{server.port}/", "the token is not left in the address"
    browser.call("Emulation.setEmulatedMedia", features=[])


def faults(page: Page, program: str) -> list[str]:
    page.browser.call("Runtime.evaluate", expression=program)
    found: list[str] = page.evaluate(
        "axe.run().then(({ violations }) => violations.map((v) => `${v.id}: ${v.nodes.map((n) => n.html).join(' ')}`))"
    )
    return found
