"""A page that is large keeps the inside of folded details and the later rows of long tables packed."""

from __future__ import annotations

import base64
import json
import re
import subprocess
import zlib
from collections import Counter
from html import unescape
from pathlib import Path

import pytest
from report_factory import leaky_study, write_bench, write_run, write_study
from test_report_browser import CHROMIUM, FLAGS
from test_report_page import Page

from edgekit.documents.folders import RunFolder
from edgekit.report.build import build_report
from edgekit.report.render import folding
from edgekit.report.render.folding import Folding

PROBE = """<!doctype html><body><iframe src="{url}" style="width:1280px;height:900px;border:0"></iframe><pre></pre>
<script>
const words = (text) => text.replace(/\\s+/g, " ").trim();
document.querySelector("iframe").onload = async (event) => {{
  const view = event.target.contentWindow, page = view.document;
  const none = async (selector) => {{
    while (page.querySelector(selector)) await new Promise((done) => setTimeout(done, 1));
  }};
  const before = page.querySelectorAll("main *").length;
  page.querySelector("#runs th button").click();  // sorting needs all rows
  await none("#runs > .more");
  const sorted = page.querySelector("#runs table").tBodies[0].rows.length;
  for (let closed; (closed = page.querySelector("main details:not([open])")); ) {{
    closed.open = true;
    await none("details[open] > [data-packed]");
  }}
  page.querySelectorAll(".more button").forEach((more) => more.click());
  await none(".more button");
  const loaded = [...page.images].map((image) => image.src.slice(0, 23));
  document.querySelector("pre").textContent = JSON.stringify({{
    before, sorted, loaded, target: page.querySelector("#run-1 details")?.open,
    after: page.querySelectorAll("main *").length, text: words(page.querySelector("main").innerText),
  }});
}};
</script>"""


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six runs, so that their details are folded, and pictures."""
    folder = leaky_study(tmp_path_factory.mktemp("folding") / "brain")
    runs = [write_run(folder / "runs" / f"brain-vgg16-s{seed}", backbone="vgg16", seed=seed) for seed in range(4)]
    for run in runs:
        write_bench(run, "tflite-int8")
    names = ("brain-mobilenetv2-s0", "brain-resnet50v2-s0")
    older = [RunFolder(folder / "runs" / name) for name in names]
    return write_study(folder, [(run, "exported") for run in (*older, *runs)])


def page_of(study: Path) -> str:
    build_report(study)
    return (study / "report" / "report.html").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def pages(study: Path) -> dict[str, str]:
    """The same report, once packed and once with everything in its place."""
    found = {"plain": page_of(study)}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(folding, "INLINE_CHARACTERS", 0)
        patch.setattr(folding, "_ROWS_AT_LEAST", 3)
        patch.setattr(folding, "ROWS_SHOWN", 2)
        found["packed"] = page_of(study)
    return found


def unpacked(page: str) -> str:
    """The page with everything in its place, by the same rules as its script."""
    chunks = [
        json.loads(zlib.decompress(base64.b64decode(data)))
        for data in re.findall(r'<script type="application/octet-stream" id="packed-\d+">([^<]*)</script>', page)
    ]
    place = re.compile(r'<(?:div|button type="button") data-packed="(\d+) (\d+)">[^<]*</(?:div|button)>')
    while place.search(page):
        page = place.sub(lambda found: chunks[int(found.group(1))][int(found.group(2))], page)
    return page


def test_nothing_is_lost_in_a_packed_page(pages: dict[str, str]) -> None:
    plain, packed = (text.partition("<main>")[2] for text in (pages["plain"], pages["packed"]))
    assert packed.count("data-packed") > 10
    assert packed.count(" more rows</button>") > 5
    assert "Recall<" not in packed.partition("</main>")[0]
    words, whole = (Counter(Page(text.partition("</main>")[0]).text.split()) for text in (plain, unpacked(packed)))
    assert not words - whole


def test_a_packed_page_still_runs_only_its_own_script(pages: dict[str, str]) -> None:
    scripts = Page(pages["packed"]).all("script")
    assert [entry for entry in scripts if "type" not in entry] == [{}]
    assert {entry.get("type") for entry in scripts[:-1]} == {"application/octet-stream", "application/json"}
    assert "<noscript>" in pages["packed"]
    assert "<noscript>" not in pages["plain"]


def test_a_long_table_shows_its_first_rows_and_a_button(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folding, "INLINE_CHARACTERS", 0)
    parts = Folding()
    body = "".join(f"<tr class=x><td>{i}</td></tr>\n" for i in range(1000))
    table, more = parts.table(f"<table><thead><tr><th>n</th></tr></thead><tbody>\n{body}</tbody></table>")
    (html,), data = parts.finish([table + more])
    assert html.count("<tr") == 1 + folding.ROWS_SHOWN
    assert "Show 900 more rows" in html
    assert unpacked(f"{html}{data}").count("<tr") == 1001
    short, nothing = parts.table(f"<table><tbody>{body[: body.index('<tr class=x><td>120<')]}</tbody></table>")
    assert nothing == "" and "Show" not in short


def test_data_cannot_pretend_to_be_packed() -> None:
    parts = Folding()
    kept = parts.fold("<p>first</p>")
    (html,), data = parts.finish([f"<p>&lt;!--fold 0--&gt;</p>{kept}"])
    assert html == "<p>&lt;!--fold 0--&gt;</p><p>first</p>"
    assert data == ""


def test_the_same_picture_is_stored_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folding, "INLINE_CHARACTERS", 0)
    parts = Folding()
    first, second, other = parts.picture(b"one"), parts.picture(b"one"), parts.picture(b"two")
    assert first == second != other
    _, data = parts.finish([parts.fold(f"<img {first}><img {second}><img {other}>")])
    assert json.loads(re.search(r'id="pictures">(.*?)</script>', data).group(1)) == ["b25l", "dHdv"]  # type: ignore[union-attr]


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed here")
def test_opened_in_a_browser_a_packed_page_is_the_plain_one(pages: dict[str, str], tmp_path: Path) -> None:
    found = {}
    for name, text in pages.items():
        (tmp_path / f"{name}.html").write_text(text, encoding="utf-8")
        probe = tmp_path / f"probe-{name}.html"
        probe.write_text(PROBE.format(url=(tmp_path / f"{name}.html").as_uri() + "#run-1"), encoding="utf-8")
        command = [str(CHROMIUM), *FLAGS, f"--user-data-dir={tmp_path / name}", probe.as_uri()]
        done = subprocess.run(command, capture_output=True, text=True, timeout=180, check=True)
        shown = re.search(r"<pre>(.*?)</pre>", done.stdout, re.DOTALL)
        assert shown is not None, done.stderr[-2000:]
        found[name] = json.loads(unescape(shown.group(1)))
        assert not [line for line in done.stderr.splitlines() if "CONSOLE" in line]
    plain, whole = found["plain"], found["packed"]
    assert whole["text"] == plain["text"]
    assert whole["sorted"] == plain["sorted"] == 6
    assert whole["before"] < plain["before"] - 1000
    assert whole["loaded"] == plain["loaded"] != []
    assert whole["target"] is True
