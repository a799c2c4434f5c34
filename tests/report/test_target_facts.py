"""What targets report besides latency, as the report shows it."""

from __future__ import annotations

from pathlib import Path

import pytest
from report_factory import change_bench, two_run_study

from edgekit.documents.bench import (
    BenchDocument,
    DifferingImage,
    EnergyRecord,
    HostAgreement,
    SustainedRecord,
    SustainedWindow,
)
from edgekit.documents.machine import MachineState, Throttling
from edgekit.documents.report import ReportDocument
from edgekit.report.build import build_report

AGREEMENT = HostAgreement(
    n_images=400,
    n_same=398,
    max_difference=0.031,
    same_decoder=True,
    host_decoder="Pillow 11.3",
    differing=(
        DifferingImage(
            file="glioma/<b>7</b>.jpg",
            here="glioma",
            there="no<i>tumor",
            probability_here=0.49,
            probability_there=0.51,
        ),
        DifferingImage(
            file="glioma/8.jpg", here="glioma", there="meningioma", probability_here=0.39, probability_there=0.4
        ),
    ),
)
ENERGY = EnergyRecord(source="pmic", threads=1, joules=15.0, wall_s=5.0, runs=100, idle_joules=4.0, idle_s=2.0)
STATE = MachineState(frequency_khz=2_400_000, temperature_c=50.0, throttled=None, governor="performance")


def sustained(factor: float = 2.0) -> SustainedRecord:
    """Sixteen seconds; after half the time the firmware throttles and every run takes ``factor`` times as long."""
    windows = tuple(
        SustainedWindow(
            start_s=float(second),
            ns=(int(5e6 * (factor if second >= 8 else 1)),) * 3,
            frequency_khz=2_400_000 if second < 8 else 1_500_000,
            temperature_c=50.0 + 2 * second,
            throttled=Throttling(raw="4", now=("throttled",), since_boot=()) if second == 10 else None,
        )
        for second in range(16)
    )
    return SustainedRecord(seconds=16.0, threads=4, cooldown_s=3.0, before=STATE, after=STATE, windows=windows)


@pytest.fixture
def measured(tmp_path: Path) -> Path:
    """A study whose files were measured on a Raspberry Pi: one with a meter and a sustained run, the others without."""
    study = two_run_study(tmp_path / "brain")
    for path in study.glob("runs/*/bench/local/*.json"):
        change_bench(path, target="pi5", energy=EnergyRecord(source=None))
    path = study / "runs/brain-mobilenetv2-s0/bench/local/tflite-int8.json"
    bench = BenchDocument.read(path)
    assert bench.accuracy is not None
    quiet = {"temperature_c": 48.0, "throttled": Throttling(raw="0", now=(), since_boot=())}
    before = bench.environment.before.model_copy(update=quiet)
    change_bench(
        path,
        accuracy=bench.accuracy.model_copy(update={"agreement_with_host": AGREEMENT}),
        energy=ENERGY,
        sustained=sustained(),
        environment=bench.environment.model_copy(update={"before": before}),
    )
    return study


def section(study: Path) -> str:
    build_report(study)
    page = (study / "report" / "report.html").read_text(encoding="utf-8")
    assert page.count('<section id="targets">') == 1
    return page[page.index('<section id="targets">') : page.index('<section id="checks">')]


def test_numbers() -> None:
    energy = ENERGY.per_run()
    assert energy is not None
    assert energy.joules == pytest.approx(0.15)
    assert energy.joules_above_idle == pytest.approx(0.05), "2 W of the 3 W are drawn when idle"
    assert EnergyRecord(source=None).per_run() is None
    load = sustained(1.5).summary(8)
    assert load is not None
    assert load.ratio == pytest.approx(1.5)
    assert [part.start_s for part in load.slices] == [0, 2, 4, 6, 8, 10, 12, 14]
    assert (load.slices[0].frequency_mhz, load.slices[-1].frequency_mhz) == (2400, 1500)
    assert load.firmware == ("throttled",)
    assert sustained().model_copy(update={"windows": ()}).summary(8) is None


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
    files = ReportDocument.read(measured / "report" / "report.json").candidates
    (told,) = [file for file in files if file.energy is not None]
    assert told.agreement_with_host == AGREEMENT
    assert told.energy is not None
    assert told.energy.source == "pmic"
    assert told.sustained is not None
    assert told.sustained.ratio == 2.0
    assert len(told.sustained.slices) == 8


def test_without_such_facts_there_is_no_section(study: Path) -> None:
    build_report(study)
    assert 'id="targets"' not in (study / "report" / "report.html").read_text(encoding="utf-8")
