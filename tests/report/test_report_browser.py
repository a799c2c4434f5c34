"""The page in a real browser: no console message, no request, nothing wider than the window, sorting works."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from html import unescape
from pathlib import Path

import pytest
from report_factory import leaky_study, two_run_study, write_run

from edgekit.recipe import validate
from edgekit.report.stage import build_report

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
  const inside = (e) => e.closest(".scroll, pre, svg") && !e.matches(".scroll, pre, svg");
  const over = (e) => !inside(e) && e.getBoundingClientRect().right > root.clientWidth + 1;
  const wide = [...page.querySelectorAll("main *")].filter(over).map((e) => e.outerHTML.slice(0, 90));
  document.querySelector("pre").textContent = JSON.stringify({{
    client: root.clientWidth, scroll: root.scrollWidth, wide, rising, falling,
    requests: view.performance.getEntriesByType("resource").map((entry) => entry.name),
    shown: [...page.querySelectorAll("svg")].filter((e) => e.getBoundingClientRect().width > 0).length,
    paper: view.getComputedStyle(page.body).backgroundColor,
  }});
}};
</script>"""


def look(page: Path, tmp_path: Path, width: int, heading: str, *, dark: bool = False) -> tuple[dict, list[str]]:
    """What the probe found, and the console's messages."""
    probe = tmp_path / "probe.html"
    probe.write_text(PROBE.format(url=page.as_uri(), width=width, heading=heading), encoding="utf-8")
    profile = tmp_path / f"profile-{width}-{dark}"
    # Chromium's own calls home go nowhere; 0 is dark.
    extra = ["--host-resolver-rules=MAP * ~NOTFOUND", f"--blink-settings=preferredColorScheme={0 if dark else 1}"]
    command = [str(CHROMIUM), *FLAGS, *extra, f"--user-data-dir={profile}", "--window-size=1400,1000", probe.as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    found = re.search(r"<pre>(.*?)</pre>", done.stdout, re.DOTALL)
    assert found is not None, done.stderr[-2000:]
    return json.loads(unescape(found.group(1))), [line for line in done.stderr.splitlines() if "CONSOLE" in line]


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
    study = leaky_study(tmp_path / "study")
    sides = {"left": {"backbone": "mobilenetv2"}, "right": {"backbone": "resnet50v2", "strategy": "fine-tuning"}}
    claims = [
        {"text": "<img src=x onerror=console.error(1)>", "metric": "size_bytes", "relation": "below", **sides},
        {"text": "faster", "metric": "latency", "relation": "below", "margin": 2, **sides},
    ]
    recipe = {"claims": claims, "constraints": [{"max_latency_ms": 20, "max_size_mb": 5}]}
    document = json.loads((study / "study.json").read_text())
    document["recipe"] = validate(recipe, "test").document()
    (study / "study.json").write_text(json.dumps(document))
    build_report(study)
    page = study / "report" / "report.html"
    seen, console = look(page, tmp_path, width, "Verdict")  # sorts the table of claims
    assert console == []
    assert seen["requests"] == []
    assert seen["wide"] == []
    assert seen["scroll"] <= seen["client"]
    assert len(seen["rising"]) == 2 + 2  # pairs of files
