"""What remains to be done if edgekit is killed: end the job on the target, and the ssh clients here."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from collections.abc import Sequence
from pathlib import Path

SCRIPT = r"""
socket=$1 leave=$2 words=$3; shift 3
cat >/dev/null
n=0
while [ ! -S "$socket" ] && [ $n -lt 16 ]; do sleep 1; n=$((n + 1)); done
[ -S "$socket" ] || exit 0
if [ -n "$leave" ]; then
  printf '%s\n' "$words" | "$@" "$leave" &
  client=$!
  (sleep 15; kill $client) &
  timer=$!
  wait $client
  kill $timer
fi
"$@" -O exit
rm -f "$socket"
"""
"""``cat`` ends when the pipe to edgekit does. A client that is still connecting gets a moment to create the socket."""


class ConnectionGuard:
    """A small process beside each connection that outlives this one, however that ends.

    ``client``: the words that run ssh over the shared connection at ``socket``.
    """

    def __init__(self, client: Sequence[str], socket: Path) -> None:
        self._client, self._socket = list(client), socket
        self._leave, self._words = "", ""
        self._process: subprocess.Popen[bytes] | None = None

    def leave_with(self, command: str, body: bytes) -> None:
        """Run ``command`` on the target with ``body`` as its input before the connection is ended."""
        self._leave, self._words = command, body.decode()

    def start(self) -> None:
        """Start the process unless it runs."""
        if self._process is not None and self._process.poll() is None:
            return
        arguments = [str(self._socket), self._leave, self._words, *self._client]
        self._process = subprocess.Popen(
            ["sh", "-c", SCRIPT, "edgekit-guard", *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    def stop(self) -> None:
        """The connection ends in the usual way."""
        process, self._process = self._process, None
        if process is None:
            return
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        if process.stdin is not None:
            process.stdin.close()
