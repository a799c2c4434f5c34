"""The page of ``watch``: the last picture, its top classes and the state of the device. Read-only.

There are five addresses, none of which is a path in the file system: ``/``, ``/state`` (the part of the page that
changes), ``/state.json``, ``/picture.jpg`` and the page's style and script.
"""

from __future__ import annotations

import hmac
import http.server
import io
import ipaddress
import json
import os
import re
import secrets
import socket
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from html import escape
from http.cookies import CookieError, SimpleCookie
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import numpy as np
from PIL import Image

from .failures import DeviceError
from .plain_text import visible

COOKIE = "edgekit-watch"
MOST_CONNECTIONS = 16
IDLE_S = 10.0
LONGEST_SIDE = 640

HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; img-src 'self' data:; style-src 'self'; script-src 'self'; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cross-Origin-Resource-Policy": "same-origin",
}

STYLE = """:root{color-scheme:light dark;font:1rem/1.5 system-ui,sans-serif}
body{max-width:44rem;margin:0 auto;padding:1rem}
h1{font-size:1.25rem;margin:0 0 1rem}
img{display:block;width:100%;max-height:60vh;object-fit:contain;background:#0002}
table{border-collapse:collapse;width:100%;margin:1rem 0}
th,td{text-align:left;padding:.25rem .5rem;border-bottom:1px solid #8886;vertical-align:top}
td.number{text-align:right;white-space:nowrap;font-variant-numeric:tabular-nums}
.top{font-size:1.5rem;margin:.75rem 0}
.late{border-left:.25rem solid #c60;padding-left:.75rem}
"""

SCRIPT = """"use strict";
const place = document.querySelector("main");
async function refresh() {
  try {
    const answer = await fetch("state", {cache: "no-store"});
    if (!answer.ok) throw new Error(answer.status);
    place.innerHTML = await answer.text();
  } catch (error) {
    let note = document.querySelector("#gone");
    if (!note) {
      note = document.createElement("p");
      note.id = "gone"; note.className = "late"; note.setAttribute("role", "alert");
      note.textContent = "The device does not answer. This page tries again every second.";
      place.prepend(note);
    }
  }
  setTimeout(refresh, 1000);
}
setTimeout(refresh, 1000);
"""


@dataclass(frozen=True)
class Snapshot:
    """What the page shows. ``top``: names and probabilities, most probable first. ``time_unix_s``: of the picture."""

    model: str
    sha256: str
    started_unix_s: float
    late_after_s: float | None = 15.0
    """How old the last picture may be before the page points it out; None: pictures come when they come."""
    time_unix_s: float | None = None
    number: int = 0
    """Pictures classified since the start."""
    top: tuple[tuple[str, float], ...] = ()
    latency_ms: float | None = None
    """From the frame to probabilities: resize and inference."""
    latency_ms_median: float | None = None
    """Of the last 100 pictures."""
    temperature_c: float | None = None
    throttled: tuple[str, ...] = ()
    kept: int | None = None
    kept_bytes: int = 0
    kept_most_bytes: int = 0
    drift: str = ""
    """The last verdict of the drift check, or why there is none."""
    drift_time_unix_s: float | None = None


class Board:
    """The newest snapshot and picture, written by the loop and read by the page."""

    def __init__(self, snapshot: Snapshot) -> None:
        self._lock = threading.Lock()
        self._snapshot = snapshot
        self._frame: np.ndarray | None = None
        self._encoded: tuple[int, bytes] | None = None

    def publish(self, snapshot: Snapshot, frame: np.ndarray) -> None:
        """Show ``frame`` uint8 (H, W, 3) and what belongs to it."""
        with self._lock:
            self._snapshot, self._frame = snapshot, frame

    def snapshot(self) -> Snapshot:
        """The newest one."""
        with self._lock:
            return self._snapshot

    def picture(self) -> bytes | None:
        """The newest picture as JPEG; None before the first. It is encoded when somebody looks at it."""
        with self._lock:
            number, frame = self._snapshot.number, self._frame
            if frame is None:
                return None
            if self._encoded is None or self._encoded[0] != number:
                image = Image.fromarray(frame)
                image.thumbnail((LONGEST_SIDE, LONGEST_SIDE))
                content = io.BytesIO()
                image.save(content, "JPEG", quality=80)
                self._encoded = (number, content.getvalue())
            return self._encoded[1]


def state_html(found: Snapshot, now: float) -> str:
    """The part of the page that changes. All text is escaped."""
    if found.time_unix_s is None:
        return "<p>Waiting for the first picture.</p>"
    age = max(0.0, now - found.time_unix_s)
    is_late = found.late_after_s is not None and age > found.late_after_s
    late = f'<p class="late">The last picture is {age:.0f} s old.</p>' if is_late else ""
    taken = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(found.time_unix_s))
    name, probability = found.top[0]
    classes = "".join(_row(label, f"{share:.1%}", number=True) for label, share in found.top)
    return (
        f'{late}<img src="picture.jpg?{found.number}" alt="The last picture, taken {taken}">'
        f'<p class="top">{_text(name)} {probability:.1%}</p>'
        f"<table><caption>Top classes</caption><tbody>{classes}</tbody></table>"
        f"<table><caption>Device</caption><tbody>{''.join(_row(*row) for row in _facts(found, taken))}</tbody></table>"
    )


def _facts(found: Snapshot, taken: str) -> list[tuple[str, str]]:
    rows = [("Picture", f"{found.number:,}, {taken}")]
    if found.latency_ms is not None and found.latency_ms_median is not None:
        rows.append(
            ("Latency", f"{found.latency_ms:.1f} ms (median of the last 100: {found.latency_ms_median:.1f} ms)")
        )
    heat = "not known" if found.temperature_c is None else f"{found.temperature_c:.0f} °C"
    rows.append(("Temperature", heat + (f" ({', '.join(found.throttled)})" if found.throttled else "")))
    if found.kept is not None:
        limit, pictures = found.kept_most_bytes / 1e6, "picture" if found.kept == 1 else "pictures"
        rows.append(
            ("Kept for labelling", f"{found.kept:,} {pictures}, {found.kept_bytes / 1e6:.1f} of {limit:,.0f} MB")
        )
    when = ""
    if found.drift_time_unix_s is not None:
        when = time.strftime("%H:%M: ", time.localtime(found.drift_time_unix_s))
    rows.append(("Drift check", when + found.drift))
    rows.append(("Model", f"{found.model}, SHA-256 {found.sha256[:12]}"))
    return rows


def _row(name: str, value: str, number: bool = False) -> str:
    kind = ' class="number"' if number else ""
    return f'<tr><th scope="row">{_text(name)}</th><td{kind}>{_text(value)}</td></tr>'


def _text(text: str) -> str:
    return escape(visible(text), quote=True)


def page_html(found: Snapshot, now: float) -> str:
    """The whole page; without JavaScript, it reloads itself."""
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>{_text(found.model)}</title>"
        '<link rel="stylesheet" href="style.css"><link rel="icon" href="data:,">'
        '<noscript><meta http-equiv="refresh" content="5"></noscript></head>'
        f"<body><header><h1>{_text(found.model)} on {_text(socket.gethostname())}</h1></header>"
        f'<main>{state_html(found, now)}</main><script src="script.js"></script></body></html>'
    )


LOGIN = (
    '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Token required</title>'
    '<meta name="viewport" content="width=device-width,initial-scale=1"></head><body><main><h1>Token required</h1>'
    '<form action="/"><label>Token, from the file watch-token on the device '
    '<input name="token" type="password" autocomplete="off" autofocus></label> <button>Open</button></form>'
    "</main></body></html>"
)


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach ``host``."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def token_of(path: Path) -> str:
    """The token in ``path``, which is created, readable by its owner only, if it does not exist."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="ascii") as stream:
            stream.write(secrets.token_urlsafe(24) + "\n")
    except FileExistsError:
        pass
    except OSError as error:
        raise DeviceError(f"cannot write the token: {error.strerror}", str(path)) from None
    try:
        token = path.read_text(encoding="ascii", errors="replace").strip()
    except OSError as error:
        raise DeviceError(f"cannot read the token: {error.strerror}", str(path)) from None
    if not re.fullmatch(r"[A-Za-z0-9_-]{16,200}", token):
        raise DeviceError(
            "this is not a token: 16 or more letters, digits, - and _; delete the file to get a new one", str(path)
        )
    return token


class PageServer(http.server.ThreadingHTTPServer):
    """Serves a :class:`Board` until :meth:`close`. ``token``: None on loopback, where ``Host`` must be loopback too."""

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, host: str, port: int, board: Board | None = None, token: str | None = None) -> None:
        self.address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self.board = board
        self.token = token
        self._places = threading.BoundedSemaphore(MOST_CONNECTIONS)
        try:
            super().__init__((host, port), _Handler)
        except (OSError, OverflowError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            raise DeviceError(f"cannot listen on {host}, port {port}: {reason}; choose another --port") from None

    def start(self, board: Board) -> None:
        """Answer requests in a thread from now on."""
        self.board = board
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.2}, daemon=True).start()

    def close(self) -> None:
        """Stop answering and free the port."""
        if self.board is not None:
            self.shutdown()
        self.server_close()

    @property
    def port(self) -> int:
        """The port, also if the system chose it."""
        return int(self.server_address[1])

    def server_bind(self) -> None:
        # That of HTTPServer looks up the machine's full name, which may take long without a network.
        super(http.server.HTTPServer, self).server_bind()
        self.server_name, self.server_port = str(self.server_address[0]), int(self.server_address[1])

    def process_request(self, request: Any, client_address: Any) -> None:
        """One more thread, unless there are too many already."""
        if not self._places.acquire(blocking=False):
            self.shutdown_request(request)
            return
        super().process_request(request, client_address)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Answer one connection."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._places.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is no news."""


class _Handler(http.server.BaseHTTPRequestHandler):
    server: PageServer
    server_version = "edgekit"
    sys_version = ""
    timeout = IDLE_S

    def do_GET(self) -> None:
        self._answer(with_body=True)

    def do_HEAD(self) -> None:
        self._answer(with_body=False)

    def log_message(self, format: str, *args: Any) -> None:
        """Requests are not logged: they could contain the token."""

    def _answer(self, with_body: bool) -> None:
        address = urlsplit(self.path)
        token = self.server.token
        if token is None and not self._is_for_loopback():
            self._send(421, "text/plain", b"this page answers to localhost only\n", with_body)
        elif token is not None and "token" in (query := parse_qs(address.query)) and _same(query["token"][-1], token):
            cookie = f"{COOKIE}={token}; Path=/; HttpOnly; SameSite=Strict; Max-Age=2592000"
            self._send(303, "text/plain", b"", with_body, {"Location": "/", "Set-Cookie": cookie})
        elif token is not None and not self._has_token(token):
            more = {"WWW-Authenticate": "Bearer"}
            self._send(401, "text/html; charset=utf-8", LOGIN.encode(), with_body, more)
        else:
            self._send(*self._content(address.path), with_body)

    def _content(self, path: str) -> tuple[int, str, bytes]:
        board = self.server.board
        assert board is not None
        makers: dict[str, tuple[str, Callable[[], bytes | None]]] = {
            "/": ("text/html; charset=utf-8", lambda: page_html(board.snapshot(), time.time()).encode()),
            "/state": ("text/html; charset=utf-8", lambda: state_html(board.snapshot(), time.time()).encode()),
            "/state.json": ("application/json", lambda: json.dumps(asdict(board.snapshot())).encode()),
            "/picture.jpg": ("image/jpeg", board.picture),
            "/style.css": ("text/css", STYLE.encode),
            "/script.js": ("text/javascript", SCRIPT.encode),
        }
        kind, content = makers.get(path, ("text/plain", lambda: None))
        found = content()
        return (404, "text/plain", b"not found\n") if found is None else (200, kind, found)

    def _is_for_loopback(self) -> bool:
        """Against pages elsewhere whose name is made to lead here (DNS rebinding)."""
        host = self.headers.get("Host", "")
        name = urlsplit(f"//{host}").hostname if re.fullmatch(r"[A-Za-z0-9.:\[\]-]{1,100}", host) else None
        return name is not None and is_loopback(name)

    def _has_token(self, token: str) -> bool:
        kind, _, given = self.headers.get("Authorization", "").partition(" ")
        if kind == "Bearer":
            return _same(given.strip(), token)
        try:
            found = SimpleCookie(self.headers.get("Cookie", "")).get(COOKIE)
        except CookieError:
            return False
        return found is not None and _same(found.value, token)

    def _send(
        self, code: int, kind: str, content: bytes, with_body: bool, more: Mapping[str, str] | None = None
    ) -> None:
        self.send_response(code)
        for name, value in {
            "Content-Type": kind,
            "Content-Length": str(len(content)),
            **HEADERS,
            **(more or {}),
        }.items():
            self.send_header(name, value)
        self.end_headers()
        if with_body:
            self.wfile.write(content)


def _same(given: str, token: str) -> bool:
    """Compare in constant time."""
    return hmac.compare_digest(given.encode("utf-8", "replace"), token.encode())
