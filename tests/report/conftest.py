from __future__ import annotations

from pathlib import Path

import pytest
from report_factory import two_run_study


@pytest.fixture
def study(tmp_path: Path) -> Path:
    """Two runs with two exports each, all measured in one session."""
    return two_run_study(tmp_path / "brain")
