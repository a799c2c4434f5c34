"""Every command that writes ends as if nobody had disturbed it, after kill -9 and SIGHUP at random moments."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from killed_commands import VERBS, run

KILLS = int(os.environ.get("EDGEKIT_TEST_KILLS", "2"))
SEED = int(os.environ.get("EDGEKIT_TEST_SEED", "0"))


@pytest.mark.slow
@pytest.mark.parametrize("verb", [name for name in VERBS if name != "compare"])  # tests/study/test_kill.py
def test_killed_at_random_moments(verb: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGEKIT_CACHE", str(tmp_path / "cache"))
    found = run({verb: KILLS}, SEED, tmp_path)
    assert found["failures"] == []
    assert found["kills"] == KILLS
