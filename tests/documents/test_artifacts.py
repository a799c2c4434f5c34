"""Files that stages exchange are written completely or not at all, and damaged ones are errors."""

from __future__ import annotations

import hashlib
import os
import stat
from pathlib import Path

import pytest

from edgekit.documents.base import read_json, write_json
from edgekit.documents.dataset_list import DatasetRow, read_dataset_csv, write_dataset_csv
from edgekit.documents.export import ExportDocument
from edgekit.documents.folders import RunFolder
from edgekit.documents.run import RunDocument
from edgekit.errors import InputError
from edgekit.support.files import atomic_path, sha256_file, temporaries, write_bytes, write_text

FINISHED_RUN = Path(__file__).parents[2] / "benchmarks/results/brain-mri-mobilenetv2/fine-tuning.run.json"
FROZEN = Path(__file__).parent / "frozen"


def names(folder):
    return sorted(p.name for p in folder.iterdir())


def test_a_file_is_written_completely_and_leaves_nothing_behind(tmp_path):
    with atomic_path(tmp_path / "new" / "model.weights.h5") as temporary:
        assert list(temporaries(tmp_path)) == [temporary]
        assert temporary.name.endswith(".weights.h5")  # Keras chooses the format by it
        assert temporary.parent == tmp_path / "new"
        temporary.write_text("whole")
        assert not (tmp_path / "new" / "model.weights.h5").exists()
    assert names(tmp_path / "new") == ["model.weights.h5"]


def test_a_file_is_on_the_disk_before_it_replaces_another(tmp_path, monkeypatch):
    """Otherwise a power failure may leave an empty file under the name of the old one."""
    path = tmp_path / "run.json"
    path.write_text("old")
    flushed: list[tuple[str, str]] = []
    fsync = os.fsync

    def watched(handle: int) -> None:
        flushed.append((Path(f"/proc/self/fd/{handle}").read_text(), path.read_text()))
        fsync(handle)

    monkeypatch.setattr(os, "fsync", watched)
    write_text(path, "new")
    assert flushed == [("new", "old")]
    assert path.read_text() == "new"


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_a_failure_keeps_the_old_file(tmp_path, error):
    path = tmp_path / "run.json"
    path.write_text("old")
    with pytest.raises(error), atomic_path(path) as temporary:
        temporary.write_text("half")
        raise error
    assert path.read_text() == "old"
    assert names(tmp_path) == ["run.json"]


def test_a_file_gets_the_permissions_of_the_user(tmp_path):
    before = os.umask(0o027)
    try:
        write_text(tmp_path / "a.txt", "x")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "a.txt").stat().st_mode) == 0o640


def test_json_reads_back_with_its_version(tmp_path):
    write_json(tmp_path / "a.json", {"size_bytes": 3, "labels": ["Möhre"]})
    assert read_json(tmp_path / "a.json") == {
        "schema_version": 1,
        "size_bytes": 3,
        "labels": ["Möhre"],
    }


def test_nan_is_never_written(tmp_path):
    write_json(tmp_path / "a.json", {"loss": 1.0})
    with pytest.raises(ValueError, match="JSON"):
        write_json(tmp_path / "a.json", {"loss": float("nan")})
    assert read_json(tmp_path / "a.json")["loss"] == 1.0
    assert names(tmp_path) == ["a.json"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "missing"),
        (b"{", "not readable JSON"),
        (b"\xff\xfe", "not readable JSON"),
        (b"[1]", "not written by edgekit"),
        (b'{"a": 1}', "not written by edgekit"),
        (b'{"schema_version": "1"}', "not written by edgekit"),
    ],
)
def test_a_damaged_or_newer_document_is_an_error(tmp_path, content, message):
    path = tmp_path / "a.json"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError, match=message) as caught:
        read_json(path)
    assert caught.value.where == str(path)


def test_a_hash_is_that_of_the_bytes(tmp_path):
    content = bytes(range(256)) * 8192  # two blocks and a half
    write_bytes(tmp_path / "a", content)
    assert sha256_file(tmp_path / "a") == hashlib.sha256(content).hexdigest()


def test_a_list_of_images_reads_back_the_same(tmp_path):
    rows = [
        DatasetRow("a/1, the first.png", 'say "a"', "train", "0" * 64),
        DatasetRow("ä/zwei\nZeilen.jpg", "ä", "val", "1" * 64),
        DatasetRow(" /leading space.png", " ", "test", "2" * 64),
    ]
    write_dataset_csv(tmp_path / "dataset.csv", rows)
    assert read_dataset_csv(tmp_path / "dataset.csv") == rows


@pytest.mark.parametrize("content", ["", "file,label\n", "path,class,split\n"])
def test_another_csv_file_is_not_a_list_of_images(tmp_path, content):
    (tmp_path / "dataset.csv").write_text(content)
    with pytest.raises(InputError, match="not a list of images"):
        read_dataset_csv(tmp_path / "dataset.csv")


def test_a_missing_folder_and_a_folder_without_a_run_are_different_errors(tmp_path):
    with pytest.raises(InputError, match="does not exist"):
        RunFolder(tmp_path / "none").read_run()
    with pytest.raises(InputError, match="not a run folder"):
        RunFolder(tmp_path).read_run()


def test_an_unfinished_run_is_an_error_with_the_command_that_resumes_it(tmp_path):
    run = RunFolder(tmp_path)
    done = RunDocument.read(FINISHED_RUN)
    done.model_copy(update={"status": "running"}).write(run.run_json)
    assert run.read_run().status == "running"
    with pytest.raises(InputError, match="has not finished") as caught:
        run.read_finished_run()
    assert "--resume" in str(caught.value.hint)


def test_only_complete_exports_are_listed(tmp_path):
    run = RunFolder(tmp_path)
    assert run.done_exports() == []
    document = ExportDocument.read(FROZEN / "export-v1-onnx-fp32.json")
    for key in ("tflite-int8", "onnx-fp32"):
        document.model_copy(update={"file": "model.bin"}).write(run.export(key).export_json)
    run.export("tflite-fp32").path.mkdir()
    assert [e.key for e in run.done_exports()] == ["onnx-fp32", "tflite-int8"]


def test_class_names_keep_their_order_and_spaces(tmp_path):
    run = RunFolder(tmp_path)
    write_text(run.labels, "no tumour\nzebra\nape\n")
    assert run.read_labels() == ["no tumour", "zebra", "ape"]
