"""A small web server for one program on this machine: only the files that it is given, only to who knows the token."""

from __future__ import annotations

import secrets
import threading
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css",
    ".js": "text/javascript",
    ".mjs": "text/javascript",
    ".json": "application/json",
    ".svg": "image/svg+xml",
    ".wasm": "application/wasm",
}

ISOLATION = {
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Embedder-Policy": "require-corp",
    "Cross-Origin-Resource-Policy": "same-origin",
}
"""With these headers, a browser lets a page use several threads and a finer clock."""


class PageServer:
    """Serves files on 127.0.0.1, below a secret path, until it is closed."""

    def __init__(self, files: dict[str, Path], *, isolated: bool = True) -> None:
        """``files``: by their POSIX path in the URL. ``isolated``: send :data:`ISOLATION`."""
        self.files: dict[str, Path | bytes] = dict(files)
        self.requests: list[str] = []
        """The paths that were asked for."""
        self._token = secrets.token_urlsafe(16)
        headers = ISOLATION if isolated else {}
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self, headers))
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    @property
    def origin(self) -> str:
        """Protocol, address and port."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def url(self, name: str) -> str:
        """The address of one of the files."""
        return f"{self.origin}/{self._token}/{name}"

    def share(self, content: Path | bytes) -> str:
        """Also serve this file or these bytes; the path relative to the others."""
        name = f"files/{len(self.files)}"
        self.files[name] = content
        return name

    def find(self, path: str) -> tuple[str, bytes] | None:
        """Type and content of what a request asks for; None if that is not served."""
        self.requests.append(path)
        _, token, *rest = path.partition("?")[0].split("/")
        name = "/".join(rest)
        if not secrets.compare_digest(token.encode(), self._token.encode()) or name not in self.files:
            return None
        content = self.files[name]
        if isinstance(content, Path):
            try:
                content = content.read_bytes()
            except OSError:
                return None
        return TYPES.get(Path(name).suffix, "application/octet-stream"), content

    def close(self) -> None:
        """Stop serving."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def _handler(server: PageServer, headers: dict[str, str]) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            found = server.find(self.path)
            if found is None:
                self.send_error(HTTPStatus.NOT_FOUND)
                return
            kind, content = found
            self.send_response(HTTPStatus.OK)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(content)))
            self.send_header("Cache-Control", "no-store")
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    return Handler
