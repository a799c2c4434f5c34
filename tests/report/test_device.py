"""What targets said besides latency, as the report shows it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from report_factory import two_run_study

from edgekit.report.build import build_report
from edgekit.stats.energy import energy_of_a_run, sustained_load

AGREEMENT = {
    "n_images": 400,
    "n_same": 398,
    "max_difference": 0.031,
    "same_decoder": True,
    "host_decoder": "Pillow 11.3",
    "differing": [
        {
            "file": "glioma/<b>7</b>.jpg",
            "here": "glioma",
            "there": "no<i>tumor",
            "probability_here": 0.6,
            "probability_there": 0.51,
        },
        {
            "file": "glioma/8.jpg",
            "here": "glioma",
            "there": "meningioma",
            "probability_here": 0.6,
            "probability_there": 0.4,
        },
    ],
}
ENERGY = {
    "source": "pmic", "threads": 1, "joules": 15.0, "wall_s": 5.0, "runs": 100, "idle_joules": 4.0, "idle_s": 2.0
}  # fmt: skip
FLAGS = {"raw": "0", "now": [], "since_boot": []}
STATE = {"frequency_khz": 2_400_000, "temperature_c": 50.0, "throttled": None, "governor": "performance"}


def sustained(factor: float = 2.0) -> dict[str, Any]:
    """Sixteen seconds; at half time the firmware throttles and every run takes ``factor`` times as long."""
    windows = [
        {
            "start_s": float(second),
            "ns": [int(5e6 * (factor if second >= 8 else 1))] * 3,
            "frequency_khz": 2_400_000 if second < 8 else 1_500_000,
            "temperature_c": 50.0 + 2 * second,
            "throttled": {"raw": "4", "now": ["throttled"], "since_boot": []} if second == 10 else None,
        }
        for second in range(16)
    ]
    return {"seconds": 16.0, "threads": 4, "cooldown_s": 3.0, "before": STATE, "after": STATE, "windows": windows}


def change(path: Path, **values: Any) -> None:
    document = json.loads(path.read_text())
    document["accuracy"] |= values.pop("accuracy", {})
    document["environment"]["before"] |= values.pop("before", {})
    path.write_text(json.dumps(document | values))


@pytest.fixture
def measured(tmp_path: Path) -> Path:
    """A study whose files were measured on a Raspberry Pi: one with a meter and under load, one without."""
    study = two_run_study(tmp_path / "brain")
    for path in study.glob("runs/*/bench/local/*.json"):
        change(path, target="pi5", energy={"source": None})
    light = study / "runs/brain-mobilenetv2-s0/bench/local"
    change(
        light / "tflite-int8.json",
        accuracy={"agreement_with_host": AGREEMENT},
        energy=ENERGY,
        sustained=sustained(),
        before={"governor": "performance", "temperature_c": 48.0, "throttled": FLAGS},
    )
    return study


def section(study: Path) -> str:
    build_report(study)
    page = (study / "report" / "report.html").read_text(encoding="utf-8")
    assert page.count('<section id="device">') == 1
    return page[page.index('<section id="device">') : page.index('<section id="files">')]


def test_numbers() -> None:
    energy = energy_of_a_run(ENERGY)
    assert energy is not None
    assert energy.joules == pytest.approx(0.15)
    assert energy.joules_above_idle == pytest.approx(0.05), "2 W of the 3 W are taken by doing nothing"
    assert energy_of_a_run({"source": None}) is None
    load = sustained_load(sustained(1.5), 8)
    assert load is not None
    assert load.ratio == pytest.approx(1.5)
    assert [part.start_s for part in load.slices] == [0, 2, 4, 6, 8, 10, 12, 14]
    assert (load.slices[0].frequency_mhz, load.slices[-1].frequency_mhz) == (2400, 1500)
    assert load.firmware == ("throttled",)
    assert sustained_load(None, 8) is None


def test_the_page(measured: Path) -> None:
    text = section(measured)
    assert "398 of 400" in text
    assert "glioma/&lt;b&gt;7&lt;/b&gt;.jpg" in text
    assert "<b>7" not in text
    assert "no<i>tumor" not in text
    assert ">150<" in text
    assert "50 above idle" in text
    assert text.count("not measured") == 3
    assert "governor performance" in text
    assert ">2.00<" in text
    assert "2,400 to 1,500" in text
    assert ">throttled<" in text
    assert text.count("<svg") == 2


def test_the_document(measured: Path) -> None:
    build_report(measured)
    rows = json.loads((measured / "report" / "report.json").read_text())["candidates"]
    (told,) = [row for row in rows if row["energy"] is not None]
    assert told["agreement_with_host"]["n_same"] == 398
    assert told["energy"]["source"] == "pmic"
    assert told["sustained"]["ratio"] == 2.0
    assert len(told["sustained"]["slices"]) == 8


def test_results_that_tell_nothing_more_get_no_section(study: Path) -> None:
    build_report(study)
    assert 'id="device"' not in (study / "report" / "report.html").read_text(encoding="utf-8")
