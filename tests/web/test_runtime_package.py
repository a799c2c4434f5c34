"""Where onnxruntime-web comes from: a registry (a real one, on this machine), the cache, or a folder."""

from __future__ import annotations

import io
import tarfile
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from edgekit.errors import EdgekitError, InputError
from edgekit.web import runtime_package
from edgekit.web.npm_registry import PUBLIC_REGISTRY, integrity_of, registry, tarball_url
from edgekit.web.runtime_package import FILES, VERSION, runtime_files


def package(*names: str) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        for name in names:
            member = tarfile.TarInfo(f"package/dist/{name}")
            member.size = len(name)
            archive.addfile(member, io.BytesIO(name.encode()))
    return packed.getvalue()


@pytest.fixture
def served(monkeypatch, tmp_path) -> Iterator[dict[str, bytes]]:
    """The files of a registry, by path; npm is configured to use it."""
    files: dict[str, bytes] = {}

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200 if self.path in files else 404)
            self.end_headers()
            self.wfile.write(files.get(self.path, b""))

        def log_message(self, *_):
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setenv("npm_config_registry", f"http://127.0.0.1:{server.server_address[1]}/npm")
    yield files
    server.shutdown()
    server.server_close()


PATH = f"/npm/onnxruntime-web/-/onnxruntime-web-{VERSION}.tgz"


def test_the_package_is_downloaded_once(served, tmp_path, monkeypatch):
    served[PATH] = package(*FILES, "other.js")
    monkeypatch.setattr(runtime_package, "INTEGRITY", integrity_of(served[PATH]))
    found = runtime_files(tmp_path)
    assert {name: path.read_text() for name, path in found.items()} == {name: name for name in FILES}
    served.clear()
    assert runtime_files(tmp_path) == found


def test_another_file_is_refused(served, tmp_path):
    served[PATH] = package(*FILES)
    with pytest.raises(EdgekitError, match="not the one that was published"):
        runtime_files(tmp_path)
    assert not list(tmp_path.rglob("*.mjs"))


def test_offline_the_error_says_what_to_do(served, tmp_path, monkeypatch):
    monkeypatch.setenv("npm_config_registry", "http://127.0.0.1:9/")
    with pytest.raises(EdgekitError, match="cannot be downloaded") as error:
        runtime_files(tmp_path)
    assert "--runtime-dir" in str(error.value)
    assert f"npm pack onnxruntime-web@{VERSION}" in str(error.value)


@pytest.mark.parametrize("below", ["", "dist", "package/dist", "onnxruntime-web/dist"])
def test_a_folder_with_the_package_is_taken_instead(tmp_path, below):
    folder = tmp_path / "given" / below
    folder.mkdir(parents=True)
    for name in FILES:
        (folder / name).write_text(name)
    assert runtime_files(tmp_path / "cache", tmp_path / "given") == {name: folder / name for name in FILES}


def test_a_folder_without_it_is_refused(tmp_path):
    with pytest.raises(InputError, match="does not contain onnxruntime-web"):
        runtime_files(tmp_path, tmp_path)


def test_the_registry_is_that_of_npm(monkeypatch, tmp_path):
    monkeypatch.delenv("npm_config_registry", raising=False)
    monkeypatch.delenv("NPM_CONFIG_REGISTRY", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path))  # no npm
    monkeypatch.chdir(tmp_path)
    assert registry() == PUBLIC_REGISTRY
    (tmp_path / ".npmrc").write_text("fund=false\nregistry = https://registry.example/npm\n")
    assert tarball_url("@scope/name", "1.0.0") == "https://registry.example/npm/@scope/name/-/name-1.0.0.tgz"
    monkeypatch.setenv("NPM_CONFIG_REGISTRY", "https://other.example")
    assert registry() == "https://other.example/"


def test_the_cache_can_be_cleared(served, tmp_path, monkeypatch):
    from edgekit.data.cache import clear_cache

    monkeypatch.setenv("EDGEKIT_CACHE", str(tmp_path))
    served[PATH] = package(*FILES)
    monkeypatch.setattr(runtime_package, "INTEGRITY", integrity_of(served[PATH]))
    runtime_files(tmp_path)
    (tmp_path / "web" / "mine.txt").write_text("stays")
    assert clear_cache() > 0
    assert [path.name for path in Path(tmp_path, "web").iterdir()] == ["mine.txt"]
