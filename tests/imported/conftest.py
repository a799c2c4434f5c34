from __future__ import annotations

from pathlib import Path

import pytest
from import_helpers import write_photos, write_stranger


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(autouse=True)
def use_cache(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGEKIT_CACHE", str(cache))


@pytest.fixture(scope="session")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three classes with different colours, in split folders. Tests only read it."""
    return write_photos(tmp_path_factory.mktemp("images") / "photos")


@pytest.fixture(scope="session")
def stranger(tmp_path_factory: pytest.TempPathFactory, photos: Path) -> Path:
    """A trained classifier that somebody else made. Tests only read it."""
    return write_stranger(photos, tmp_path_factory.mktemp("models") / "stranger.keras")


@pytest.fixture
def labels(tmp_path: Path) -> Path:
    """The stranger's labels."""
    from import_helpers import ORDER

    path = tmp_path / "labels.txt"
    path.write_text("\n".join(ORDER) + "\n")
    return path
