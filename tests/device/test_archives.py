"""Metadata archives that are damaged, or made to fill the memory of whoever opens them."""

from __future__ import annotations

import io
import tracemalloc
import zipfile
from pathlib import Path

import pytest

from edgekit.device.archives import member_names, read_member
from edgekit.device.metadata import _tflite_images, _tflite_labels


def archive(
    path: Path, content: bytes = b"cat\ndog\n", name: str = "labels.txt", kind: int = zipfile.ZIP_STORED
) -> Path:
    """A file with an archive at its end, as TFLite metadata is stored."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", kind) as made:
        made.writestr(name, content)
    path.write_bytes(b"\x1c\0\0\0TFL3" + bytes(100) + stream.getvalue())
    return path


def test_labels_are_read(tmp_path: Path) -> None:
    file = archive(tmp_path / "model.tflite")
    assert member_names(str(file)) == ["labels.txt"]
    assert _tflite_labels(str(file)) == ["cat", "dog"]


@pytest.mark.parametrize("name", ["labels.txt", "edgekit.json"])
def test_a_bomb_is_not_unpacked(name: str, tmp_path: Path) -> None:
    """200 kB that unpack to 200 MB."""
    file = archive(tmp_path / "model.tflite", bytes(200_000_000), name, zipfile.ZIP_DEFLATED)
    assert file.stat().st_size < 1_000_000
    tracemalloc.start()
    assert _tflite_labels(str(file)) is None
    assert _tflite_images(str(file)) == {}
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 50_000_000


@pytest.mark.parametrize(
    ("where", "content"),
    [
        (8, b"\x63\0"),  # a compression that does not exist
        (6, b"\x01\0"),  # encrypted
        (14, b"\0\0\0\0"),  # another checksum
        (30, b"\xff\xff\xff"),  # another name
    ],
)
def test_a_damaged_archive_has_no_labels(where: int, content: bytes, tmp_path: Path) -> None:
    file = archive(tmp_path / "model.tflite", kind=zipfile.ZIP_DEFLATED)
    data = bytearray(file.read_bytes())
    for signature, shift in ((b"PK\x03\x04", 0), (b"PK\x01\x02", 2)):
        if where == 30 and shift:
            continue
        start = data.index(signature) + where + shift
        data[start : start + len(content)] = content
    file.write_bytes(data)
    assert _tflite_labels(str(file)) is None
    assert read_member(str(file), "labels.txt", 1000) is None


@pytest.mark.parametrize("cut", [1, 10, 30, 60])
def test_a_cut_archive_has_no_labels(cut: int, tmp_path: Path) -> None:
    file = archive(tmp_path / "model.tflite")
    file.write_bytes(file.read_bytes()[:-cut])
    assert _tflite_labels(str(file)) is None
    assert member_names(str(file)) == []
