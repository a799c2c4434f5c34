"""A few odd inputs of every area, other ones than those that were tried before; `make fuzz` tries them for hours."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from areas import AREAS
from attempts import Workspace
from fuzz import attempt

INPUTS = {"recipes": 25, "settings": 25, "options": 12, "documents": 6, "images": 10}
INPUTS |= {"models": 2, "cache": 6, "streams": 3}
SEED = int(os.environ.get("EDGEKIT_TEST_SEED", "7"))


@pytest.mark.parametrize("area", list(AREAS))
def test_odd_inputs_end_with_one_clear_message(area: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGEKIT_CACHE", str(tmp_path / "edgekit-cache"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "edgekit-config"))
    monkeypatch.delenv("EDGEKIT_DEBUG", raising=False)
    work = Workspace(tmp_path / area)
    work.path.mkdir()
    AREAS[area].prepare(work)
    for number in range(INPUTS.get(area, 40)):
        try:
            attempt(area, number, SEED, work)
            work.check()
        except BaseException:
            print(f"repeat it with: python tests/fuzz/fuzz.py --seed {SEED} --only {area}/{number}")
            raise
