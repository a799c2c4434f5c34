"""What a report leaves out, and says that it does, where a study has very many runs, files or kinds of model."""

from __future__ import annotations

import io
import json
from itertools import pairwise
from pathlib import Path

import pytest
from PIL import Image
from report_factory import two_run_study

from edgekit.documents.history import EpochResult
from edgekit.report.build import build_report
from edgekit.report.figures import charts
from edgekit.report.figures.learning_curves import curves, ticks
from edgekit.report.model import ranking
from edgekit.report.model.source import read_source
from edgekit.report.sections import front, learning, runs
from edgekit.stats.significance import holm


def add_pictures(folder: Path, colour: int) -> int:
    """One Grad-CAM picture in a run; its size in bytes."""
    folder.mkdir(parents=True)
    stream = io.BytesIO()
    Image.new("RGB", (320, 160), (colour, 0, 0)).save(stream, "JPEG")
    (folder / "000.jpg").write_bytes(stream.getvalue())
    facts = {"label": "glioma", "predicted": "glioma", "probability": 0.9, "right": True}
    entry = {"picture": "000.jpg", "file": f"test/{colour}.jpg", **facts}
    (folder / "gradcam.json").write_text(json.dumps({"schema_version": 1, "images": [entry]}))
    return len(stream.getvalue())


def test_a_large_report_says_what_it_leaves_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    study = two_run_study(tmp_path / "brain")
    sizes = [add_pictures(path / "figures" / "gradcam", i) for i, path in enumerate(sorted((study / "runs").iterdir()))]
    monkeypatch.setattr(runs, "PICTURE_BYTES", sizes[0])
    monkeypatch.setattr(ranking, "MOST_RANKED", 3)
    monkeypatch.setattr(front, "MOST_POINTS", 2)
    monkeypatch.setattr(learning, "MOST_LINES", 1)
    monkeypatch.setattr(charts, "MOST_NUMBERED", 1)
    document = build_report(study)
    text = (study / "report" / "report.html").read_text(encoding="utf-8")
    assert text.count('src="data:image/jpeg') == 1
    assert text.count("Its Grad-CAM pictures are in <code>figures/gradcam/</code>") == 1
    (ranked,) = document.ranking.values()
    assert (len(ranked.rows), ranked.pairs_tested) == (3, 6)
    assert "1 less accurate exported file not ranked" in text
    assert "the front and the most accurate of 4 kinds of file" in text
    assert "the 1 most accurate of 2 kinds of model" in text


def test_pictures_are_read_when_the_page_needs_them(tmp_path: Path) -> None:
    """Those of a thousand runs would be hundreds of megabytes."""
    study = two_run_study(tmp_path / "brain")
    size = add_pictures(study / "runs" / "brain-mobilenetv2-s0" / "figures" / "gradcam", 3)
    (picture,) = read_source(study).runs[0].gradcam
    assert picture.size_bytes == size
    assert not any(isinstance(value, bytes) for value in vars(picture).values())
    assert picture.jpeg.startswith(b"\xff\xd8")


def test_untested_hypotheses_make_the_others_harder_to_reject() -> None:
    p_values = [0.01, 0.02, 0.9]
    assert holm(p_values, 7) == holm([*p_values, *[1.0] * 7])[:3]
    assert holm(p_values, 7)[0] == pytest.approx(0.1)


@pytest.mark.parametrize(("low", "high", "most"), [(0.0, 1.0, 6), (-3.2, 117.0, 6), (0.91, 0.9101, 6), (0.5, 2.5, 8)])
def test_ticks_are_few_round_and_inside(low: float, high: float, most: int) -> None:
    found = ticks(low, high, most)
    assert 2 <= len(found) <= most + 1
    assert all(low <= tick <= high for tick in found)
    assert len({round(b - a, 10) for a, b in pairwise(found)}) == 1


def test_curves_of_one_epoch_and_of_a_constant_are_drawn() -> None:
    row = EpochResult("from-scratch", 1, 0.5, 0.25, 0.5, 0.25, 1e-3, 1.0, 10.0)
    for rows in ([row], [row] * 50):
        svg = curves(rows, "accuracy", width=380, height=250)
        assert "nan" not in svg and "inf" not in svg
        assert 'role="img"' in svg
        assert ">epoch<" in svg
