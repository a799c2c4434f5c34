"""The page in a real browser: no console message, no request, nothing wider than the window, sorting works."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from html import unescape
from pathlib import Path

import pytest
from document_factory import recipe_of
from report_factory import give_the_same_images, leaky_study, two_run_study, write_bench, write_run, write_study

from edgekit.report.build import build_report

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome", "chrome"))), None)
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed here")

FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--allow-file-access-from-files",
    "--enable-logging=stderr",
    "--virtual-time-budget=4000",
    "--dump-dom",
)

PROBE = """<!doctype html><body><iframe src="{url}" style="width:{width}px;height:900px;border:0"></iframe>
<pre></pre><script>
document.querySelector("iframe").onload = (event) => {{
  const view = event.target.contentWindow, page = view.document, root = page.documentElement;
  const table = page.querySelector("table.sortable");
  const heading = [...table.tHead.rows[0].cells].find((cell) => cell.textContent.startsWith("{heading}"));
  const order = () => [...table.tBodies[0].rows].map((row) => row.cells[0].textContent);
  const click = () => {{ heading.querySelector("button").click(); return order(); }};
  const rising = click(), falling = click();
  // Every heading of every table, twice; folded ones are opened, as a person would.
  for (const fold of page.querySelectorAll("details")) fold.open = true;
  const unsorted = [], sign = (x, y) => isNaN(x) || isNaN(y) ? x.localeCompare(y) : x - y;
  let headings = 0;
  for (const sortable of page.querySelectorAll("table.sortable")) {{
    for (const cell of sortable.tHead.rows[0].cells) {{
      for (const direction of ["ascending", "descending"]) {{
        cell.querySelector("button").click();
        headings += 1;
        const values = [...sortable.tBodies[0].rows].map((row) => row.cells[cell.cellIndex].dataset.v ?? "");
        const known = values.filter((value) => value !== "");
        const turn = direction === "ascending" ? 1 : -1;
        const wrong = known.some((value, i) => i > 0 && turn * sign(known[i - 1], value) > 0)
          || values.slice(0, known.length).includes("") || cell.getAttribute("aria-sort") !== direction;
        if (wrong) unsorted.push(cell.textContent + " " + direction + ": " + values.join("|"));
      }}
    }}
  }}
  const seen = (e) => e.getBoundingClientRect().width > 0;
  const figures = [...page.querySelectorAll("svg")].filter(seen);
  const drawn = (svg) => {{
    const lines = [...svg.querySelectorAll("path, use")].map((e) => e.getBoundingClientRect());
    return svg.getBoundingClientRect().height > 100 && svg.querySelectorAll("text").length > 3
      && lines.filter((box) => box.width > 20 || box.height > 20).length > 3;
  }};
  const small = [];
  for (const e of page.querySelectorAll("main *")) {{
    if (![...e.childNodes].some((node) => node.nodeType === 3 && node.data.trim()) || !seen(e)) continue;
    const svg = e.closest("svg");
    const scale = svg ? svg.getBoundingClientRect().width / svg.viewBox.baseVal.width : 1;
    const size = parseFloat(view.getComputedStyle(e).fontSize) * scale;
    if (size < (svg ? 9 : 11.5)) small.push(size.toFixed(1) + " " + e.outerHTML.slice(0, 60));
  }}
  // Of every table with figures, the first of them is to be seen before anything is moved.
  const hidden = [...page.querySelectorAll("main table")].filter((e) => {{
    const figure = e.querySelector("tbody td.num");
    return figure && seen(e) && figure.getBoundingClientRect().right > root.clientWidth;
  }}).map((e) => e.closest("section").id + ": " + e.tHead.textContent.slice(0, 60));
  const inside = (e) => e.closest(".scroll, pre, svg") && !e.matches(".scroll, pre, svg");
  const over = (e) => !inside(e) && e.getBoundingClientRect().right > root.clientWidth + 1;
  const wide = [...page.querySelectorAll("main *")].filter(over).map((e) => e.outerHTML.slice(0, 90));
  document.querySelector("pre").textContent = JSON.stringify({{
    client: root.clientWidth, scroll: root.scrollWidth, wide, rising, falling, unsorted, headings, small, hidden,
    blank: figures.filter((svg) => !drawn(svg)).length,
    requests: view.performance.getEntriesByType("resource").map((entry) => entry.name),
    shown: figures.length,
    paper: view.getComputedStyle(page.body).backgroundColor,
  }});
}};
</script>"""


def asked_for(log: Path) -> list[str]:
    """What a page of this machine asked the network for; Chromium's own calls home have no page that asks."""
    events = json.loads(log.read_text(encoding="utf-8"))["events"]
    parts = [event.get("params") or {} for event in events]
    pages = ("file://", "null")
    return sorted({p["url"] for p in parts if p.get("initiator") in pages and str(p.get("url")).startswith("http")})


def look(page: Path, tmp_path: Path, width: int, heading: str, *, dark: bool = False) -> tuple[dict, list[str]]:
    """What the probe found, and the console's messages."""
    probe = tmp_path / "probe.html"
    probe.write_text(PROBE.format(url=page.as_uri(), width=width, heading=heading), encoding="utf-8")
    profile = tmp_path / f"profile-{width}-{dark}"
    # Nothing is resolved; 0 is dark.
    log = tmp_path / "network.json"
    extra = ["--host-resolver-rules=MAP * ~NOTFOUND", f"--blink-settings=preferredColorScheme={0 if dark else 1}"]
    extra.append(f"--log-net-log={log}")
    command = [str(CHROMIUM), *FLAGS, *extra, f"--user-data-dir={profile}", "--window-size=1400,1000", probe.as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    found = re.search(r"<pre>(.*?)</pre>", done.stdout, re.DOTALL)
    assert found is not None, done.stderr[-2000:]
    seen = json.loads(unescape(found.group(1)))
    seen["requests"] += asked_for(log)
    return seen, [line for line in done.stderr.splitlines() if "CONSOLE" in line]


def assert_readable(seen: dict) -> None:
    """Every table sorts by every heading, no text is too small, and the first figures are there without scrolling."""
    assert seen["headings"] > 20
    assert seen["unsorted"] == []
    assert seen["small"] == []
    assert seen["hidden"] == []


def test_the_probe_would_see_a_request_and_an_error(tmp_path):
    """Otherwise the tests below could not fail."""
    study = two_run_study(tmp_path / "study")
    build_report(study)
    page = study / "report" / "report.html"
    text = re.sub(r"<meta http-equiv[^>]*>", "", page.read_text(encoding="utf-8"))
    more = (
        '<img src="http://example.invalid/a.png"><script>console.error("seen")</script><i style="font-size: 6px">x</i>'
    )
    page.write_text(text.replace("<main>", f"<main>{more}</i>"), encoding="utf-8")
    seen, console = look(page, tmp_path, 390, "Accuracy")
    assert any("http://example.invalid/a.png" in url for url in seen["requests"])
    assert any("seen" in line for line in console)
    assert len(seen["small"]) == 1


@pytest.mark.parametrize(("width", "dark"), [(1280, False), (390, True)])
def test_a_study_in_the_browser(tmp_path, width, dark):
    study = two_run_study(tmp_path / "study")
    build_report(study)
    seen, console = look(study / "report" / "report.html", tmp_path, width, "Accuracy", dark=dark)
    assert console == []
    assert seen["requests"] == []
    assert seen["scroll"] <= seen["client"]
    assert seen["wide"] == []
    assert seen["rising"] == ["2", "1", "4", "3"]
    assert seen["falling"] == ["3", "4", "1", "2"]
    assert seen["shown"] == 2 + 4 + 2  # one width of each plot, the curves of each run, those of both
    assert seen["blank"] == 0
    assert_readable(seen)
    assert seen["paper"] == ("rgb(20, 23, 26)" if dark else "rgb(255, 255, 255)")


def test_names_from_data_run_nothing_and_break_no_layout(tmp_path):
    evil = ("<script>console.error(1)</script>", "<img src=x onerror=console.error(2)>", "n" * 200, "$\\frac{1}{2}$")
    run = write_run(tmp_path / "run", classes=evil)
    build_report(run.path)
    seen, console = look(run.path / "report" / "report.html", tmp_path, 390, "Size")
    assert console == []
    assert seen["wide"] == []
    assert seen["requests"] == []


@pytest.mark.parametrize("width", [1280, 390])
def test_claims_audit_and_efficiency_in_the_browser(tmp_path, width):
    """Everything a study may have on one page, with names from data that are markup."""
    sides = {"left": {"backbone": "mobilenetv2"}, "right": {"backbone": "resnet50v2", "strategy": "fine-tuning"}}
    claims = [
        {"text": "<img src=x onerror=console.error(1)>", "metric": "size_bytes", "relation": "below", **sides},
        {"text": "faster", "metric": "latency", "relation": "below", "margin": 2, **sides},
    ]
    recipe = recipe_of(claims=claims, constraints=[{"max_latency_ms": 20, "max_size_mb": 5}])
    study = leaky_study(tmp_path / "study", recipe)
    build_report(study)
    page = study / "report" / "report.html"
    seen, console = look(page, tmp_path, width, "Verdict")  # sorts the table of claims
    assert console == []
    assert seen["requests"] == []
    assert seen["wide"] == []
    assert seen["scroll"] <= seen["client"]
    assert len(seen["rising"]) == 2 + 2  # pairs of files
    assert_readable(seen)


@pytest.mark.parametrize(("width", "dark"), [(1280, True), (390, False)])
def test_a_study_of_several_seeds_in_the_browser(tmp_path, width, dark):
    """Means over seeds first, learning curves with their bands, differences by class, the matrices of all seeds."""
    cells = []
    for backbone, factor, accuracy in (("mobilenetv2", 1, 0.90), ("resnet50v2", 9, 0.95)):
        for seed in range(3):
            place = tmp_path / "study" / "runs" / f"{backbone}-s{seed}"
            run = write_run(place, backbone=backbone, seed=seed, accuracy=accuracy + 0.01 * seed)
            for key in ("tflite-fp32", "tflite-int8"):
                write_bench(run, key, factor=factor)
            cells.append((run, "exported"))
    study = write_study(tmp_path / "study", cells)
    give_the_same_images(study)
    build_report(study)
    seen, console = look(study / "report" / "report.html", tmp_path, width, "Accuracy", dark=dark)
    assert console == []
    assert seen["requests"] == []
    assert seen["wide"] == []
    assert seen["scroll"] <= seen["client"]
    assert len(seen["rising"]) == 4  # means over seeds come first
    assert seen["shown"] == 2 + 2 + 6 * 2
    assert seen["blank"] == 0
    assert_readable(seen)
