from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from data_helpers import Watcher, image


@pytest.fixture
def watcher() -> Watcher:
    return Watcher()


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "cache"
    monkeypatch.setenv("EDGEKIT_CACHE", str(folder))
    return folder


MakeFolder = Callable[..., Path]


@pytest.fixture
def make_folder(tmp_path: Path) -> MakeFolder:
    """``make_folder({"train/cat": 5, ...})``: that many different PNG files in each folder."""

    def make(counts: dict[str, int], name: str = "photos", first_seed: int = 0) -> Path:
        root = tmp_path / name
        seed = first_seed
        for folder, count in counts.items():
            (root / folder).mkdir(parents=True, exist_ok=True)
            for number in range(count):
                image(seed).save(root / folder / f"{number:03d}.png")
                seed += 1
        return root

    return make
