"""The device program watching pictures: its page and token, pictures kept for labelling, and a replaced model."""

from __future__ import annotations

import http.client
import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from modelfiles import colour_pixels
from PIL import Image

from edgekit.device.picture_statistics import CONFIDENCE, picture_features
from edgekit.device.unsure_pictures import UnsurePictures
from edgekit.device.watch_page import Board, PageServer, Snapshot, state_html, token_of
from edgekit.device.working_folder import STATISTICS, TOKEN
from edgekit.documents.drift_reference import DriftReference
from edgekit.support.files import sha256_file
from edgekit.targets.device_program import program

SECRET = "0123456789abcdefTOKEN"


@pytest.fixture
def deployed(tmp_path, onnx_models) -> Path:
    """A folder as `edgekit deploy` leaves it, and the folder ``photos`` beside it."""
    folder = tmp_path / "my deployment"
    folder.mkdir()
    (folder / "edgekit-device.pyz").write_bytes(program())
    shutil.copy(onnx_models / "uint8.onnx", folder / "model.onnx")
    (folder / "labels.txt").write_text("blue\ngreen\n<script>red\n")
    (tmp_path / "photos").mkdir()
    return folder


def photo(folder: Path, label: str, seed: int = 0) -> None:
    name = f"{seed:04d}-{label}.png"
    Image.fromarray(colour_pixels(label, seed)).save(folder / f".{name}", "PNG")
    (folder / f".{name}").rename(folder / name)


@contextmanager
def watching(folder: Path, *options: object) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """A running ``watch`` in ``folder``, and the port of its page."""
    command = [sys.executable, "edgekit-device.pyz", "watch", "model.onnx", "--port", "0", "--every", "0"]
    command += ["--folder", "../photos", *map(str, options)]
    with subprocess.Popen(
        command, cwd=folder, text=True, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    ) as process:
        try:
            yield process, port_of(process)
        finally:
            process.kill()


def port_of(process: subprocess.Popen[str]) -> int:
    assert process.stdout is not None
    for line in process.stdout:
        if found := re.search(r"page: http://\S+:(\d+)/", line):
            return int(found[1])
    raise AssertionError(f"it ended with {process.wait()}")


def get(port: int, path: str, **headers: str) -> tuple[int, dict[str, str], bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    connection.putrequest("GET", path, skip_host="Host" in headers)
    for name, value in headers.items():
        connection.putheader(name, value)
    connection.endheaders()
    answer = connection.getresponse()
    return answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read()


def wait_for(port: int, number: int) -> dict:
    for _ in range(200):
        state = json.loads(get(port, "/state.json")[2])
        if state["number"] >= number:
            return state
        time.sleep(0.05)
    raise AssertionError(f"no picture {number}: {state}")


def test_the_page_shows_what_appears_in_the_folder(deployed):
    photos = deployed.parent / "photos"
    photo(photos, "green")
    (photos / "broken.png").write_bytes(b"not an image")
    with watching(deployed) as (process, port):
        assert wait_for(port, 1)["top"][0][0] == "green"
        photo(photos, "red", 1)
        state = wait_for(port, 2)
        assert state["top"][0][0] == "<script>red"
        assert state["sha256"] == sha256_file(deployed / "model.onnx")
        assert 0 < state["latency_ms"] < 1e5
        code, headers, page = get(port, "/")
        assert code == 200
        assert b"&lt;script&gt;red" in page
        assert b"<script>red" not in page
        assert "default-src 'none'" in headers["content-security-policy"]
        code, headers, picture = get(port, "/picture.jpg?2")
        assert (code, headers["content-type"]) == (200, "image/jpeg")
        assert picture[:2] == b"\xff\xd8"
        assert get(port, "/state")[0] == get(port, "/style.css")[0] == get(port, "/script.js")[0] == 200
        for path in ("/model.onnx", "/../model.onnx", "/%2e%2e/model.onnx", "//etc/passwd", "/photos/", "/unsure"):
            assert get(port, path)[0] == 404, path
        assert get(port, "/", Host="evil.example")[0] == 421, "another name that leads here"
        assert get(port, "/", Host=f"localhost:{port}")[0] == 200
        for method in ("POST", "PUT", "DELETE"):
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
            connection.request(method, "/", b"")
            assert connection.getresponse().status == 501
        process.terminate()
        assert "skipped broken.png: not an image" in process.stdout.read().replace("this is ", "")
    assert not (deployed / "unsure").exists(), "nothing is kept unless asked"
    assert not (deployed / TOKEN).exists()


def test_elsewhere_than_on_loopback_the_page_needs_the_token(deployed):
    photo(deployed.parent / "photos", "green")
    with watching(deployed, "--host", "0.0.0.0") as (_process, port):
        path = deployed / TOKEN
        token = path.read_text().strip()
        assert path.stat().st_mode & 0o077 == 0
        wrong = token[:-1] + ("a" if token[-1] != "a" else "b")
        for address in ("/", "/state.json", "/picture.jpg", f"/?token={wrong}", "/?token=", "/?token=%ff"):
            code, headers, body = get(port, address)
            assert code == 401, address
            assert b"green" not in body
            assert "set-cookie" not in headers
        assert get(port, "/", Authorization=f"Bearer {wrong}")[0] == 401
        assert get(port, "/", Cookie="edgekit-watch=\x00; a=b")[0] in (400, 401)
        assert get(port, "/state.json", Authorization=f"Bearer {token}")[0] == 200
        code, headers, _ = get(port, f"/?token={token}")
        assert (code, headers["location"]) == (303, "/")
        assert "HttpOnly; SameSite=Strict" in headers["set-cookie"]
        assert get(port, "/", Cookie=headers["set-cookie"].split(";")[0])[0] == 200


def test_a_token_file_is_kept_and_has_to_be_long(tmp_path):
    first = token_of(tmp_path / "token")
    assert token_of(tmp_path / "token") == first
    assert len(first) == 32
    (tmp_path / "token").write_text("short\n")
    with pytest.raises(Exception, match="not a token"):
        token_of(tmp_path / "token")


def test_many_idle_connections_do_not_stop_the_others(onnx_models):
    server = PageServer("127.0.0.1", 0)
    server.start(Board(Snapshot("m", "0", 0.0)))
    idle = []
    try:
        for _ in range(40):
            connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=5)
            connection.connect()
            idle.append(connection)
        for connection in idle:
            connection.close()
        for _ in range(50):
            try:
                assert get(server.port, "/")[0] == 200
                break
            except (OSError, http.client.HTTPException):
                time.sleep(0.1)
        else:
            raise AssertionError("the page does not answer any more")
    finally:
        server.close()


def test_text_on_the_page_is_escaped():
    snapshot = Snapshot("m", "0", 0.0, time_unix_s=1.0, number=1, top=(('"><img onerror=x>\u202e', 0.5),), drift="<b>")
    html = state_html(snapshot, 100.0)
    assert "<img onerror" not in html
    assert "<b>" not in html
    assert "\\u202e" in html
    assert "The last picture is 99 s old." in html


def test_pictures_of_low_confidence_are_kept_within_the_limit(tmp_path, monkeypatch):
    monkeypatch.setattr("edgekit.device.unsure_pictures.EVERY_S", 0)
    folder = tmp_path / "unsure"
    folder.mkdir()
    (folder / "mine.jpg").write_bytes(b"x" * 500_000)
    random = np.random.default_rng(0)
    frames = [np.kron(random.integers(0, 256, (30, 40, 3), np.uint8), np.ones((8, 8, 1), np.uint8)) for _ in range(12)]
    store = UnsurePictures(folder, 100_000, 0.6)
    assert store.offer(frames[0], "cat", 0.6) is None, "not unsure"
    first = store.offer(frames[0], "../a b\u202e", 0.59)
    assert first is not None
    assert re.search(r"Z_p0\.59_a-b\.jpg$", first.name)
    assert store.offer(frames[0], "cat", 0.1) is None, "the same scene again"
    for frame in frames[1:]:
        store.offer(frame, "cat", 0.1)
        time.sleep(0.002)  # the time is a part of the name
        assert store.bytes <= 100_000
    assert not first.exists(), "the oldest makes room"
    assert (folder / "mine.jpg").exists(), "it is not one of ours, and does not count"
    left = len(store)
    assert left == len(list(folder.glob("*_p0.10_cat.jpg"))) > 1
    (folder / "2026-01-01T00-00-00.000Z_p0.10_cat.jpg.part").write_bytes(b"half")
    again = UnsurePictures(folder, 100_000, 0.6)
    assert len(again) == left
    assert not list(folder.glob("*.part"))
    monkeypatch.setattr("edgekit.device.unsure_pictures.LEAST_FREE_BYTES", 1 << 62)
    assert again.offer(frames[0], "cat", 0.1) is None, "the disk is full"


def test_a_replaced_model_is_taken_over(deployed):
    """The folder is replaced as `edgekit deploy --update` does it, while the program runs in it."""
    photos = deployed.parent / "photos"
    photo(photos, "red")
    with watching(deployed, "--keep-mb", "1", "--unsure-below", "1") as (process, port):
        assert wait_for(port, 1)["top"][0][0] == "<script>red"
        new = deployed.with_name("new")
        shutil.copytree(deployed, new, ignore=shutil.ignore_patterns("unsure"))
        (new / "labels.txt").write_text("one\ntwo\nthree\n")
        deployed.rename(deployed.with_name("old"))
        new.rename(deployed)
        shutil.move(deployed.with_name("old") / "unsure", deployed / "unsure")
        photo(photos, "green", 1)
        new_port = port_of(process)
        assert wait_for(new_port, 2)["top"][0][0] == "two"
        assert wait_for(new_port, 2)["kept"] == len(list((deployed / "unsure").iterdir())) >= 1


def test_drift_is_reported(deployed):
    """The test split was bright; the pictures are not. Statistics of another model are not used."""
    random = np.random.default_rng(0)
    rows = [
        picture_features(np.clip(random.integers(150, 256, (32, 32, 3)), 0, 255).astype(np.uint8)) for _ in range(60)
    ]
    values = {name: tuple(row[name] for row in rows) for name in rows[0]}
    document = DriftReference(
        model_sha256=sha256_file(deployed / "model.onnx"),
        n_images=60,
        values={**values, CONFIDENCE: tuple(np.round(random.uniform(0.3, 1, 60), 4).tolist())},
        predicted=(20, 20, 20),
    )
    document.write(deployed / STATISTICS)
    for seed in range(60):
        photo(deployed.parent / "photos", ("red", "green", "blue")[random.integers(3)], seed)
    with watching(deployed, "--drift-every", "0", "--drift-window", "50", "--frames", "60") as (process, _port):
        said = process.stdout.read()
    assert "drift check: 0 of 50 pictures collected" in said
    assert re.search(r"drift check: drift in .*brightness \(median [\d.]+, test split [\d.]+\)", said), said
    document.model_copy(update={"model_sha256": "another"}).write(deployed / STATISTICS)
    with watching(deployed, "--frames", "1") as (process, _port):
        assert "drift check: off (statistics.json describes another model" in process.stdout.read()


def test_wrong_use_is_explained(deployed):
    def said(*words: str) -> str:
        done = subprocess.run(
            [sys.executable, "edgekit-device.pyz", *words], cwd=deployed, capture_output=True, text=True, check=False
        )
        assert done.returncode != 0
        assert "Traceback" not in done.stderr
        return done.stderr

    server = PageServer("127.0.0.1", 0)
    assert "choose another --port" in said("watch", "model.onnx", "--port", str(server.port))
    server.close()
    assert "cannot listen on no.such.host.invalid" in said("watch", "model.onnx", "--host", "no.such.host.invalid")
    assert "no such folder" in said("watch", "model.onnx", "--folder", "nowhere", "--port", "0")
    assert "is not from" in said("watch", "model.onnx", "--unsure-below", "2")
    assert "invalid number value" in said("watch", "model.onnx", "--every", "soon")
    assert "cannot read this model file" in said("watch", "no.onnx", "--port", "0")
    (deployed / "labels.txt").write_text("one\n")
    assert "1 labels do not fit 3 outputs" in said("watch", "model.onnx", "--port", "0")


def test_the_unit_is_one_that_systemd_accepts(deployed):
    odd = deployed.with_name('50% "off" $HOME')
    deployed.rename(odd)
    command = [sys.executable, "edgekit-device.pyz", "unit", "model.onnx", "--keep-mb", "20", "--host", "0.0.0.0"]
    text = subprocess.run(
        [*command, "--folder", "../photos"], cwd=odd, capture_output=True, text=True, check=True
    ).stdout
    assert "WorkingDirectory=" + str(odd).replace("%", "%%") in text
    assert f'"--folder={odd}/../photos"'.replace("%", "%%").replace("$", "$$").replace(' "off"', ' \\"off\\"') in text
    assert "--host=0.0.0.0 --keep-mb=20.0" in text
    path = odd.parent / "edgekit-test.service"
    path.write_text(text)
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is not installed")
    environment = {**os.environ, "SYSTEMD_UNIT_PATH": f"{odd.parent}:"}
    checked = subprocess.run(
        ["systemd-analyze", "verify", path], capture_output=True, text=True, check=False, env=environment
    )
    assert checked.returncode == 0, checked.stderr
    assert "edgekit-test" not in checked.stderr
