"""The first contact with a device: is there a Python that will do, a working folder, and the device program in it?"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator

from edgekit.device.purging import MARKER
from edgekit.errors import TargetError
from edgekit.targets.base import Event
from edgekit.targets.config import SYSTEM, SYSTEM_WHOLE, TargetConfig
from edgekit.targets.connection import Connection, RemoteFailure, folder, quoted
from edgekit.targets.device_program import program, program_name
from edgekit.targets.wheels import MIN_PYTHON

NO_FOLDER, NO_PYTHON, DAMAGED, SYSTEM_FOLDER, FOREIGN = 91, 92, 93, 94, 95
"""Exit codes of the scripts below."""

HELLO = (
    "import hashlib,json,os,sys;n=sys.argv[1];p=os.path.join('objects',n);"
    "c=open(p,'rb').read() if os.path.exists(p) else b'';"
    "print(json.dumps({'event':'hello','version':list(sys.version_info[:3]),"
    "'program':hashlib.sha256(c).hexdigest()+'.pyz'}))"
)
"""Python as old as may be found on a device."""

PUSH = (
    "import hashlib,os,sys;n=sys.argv[1];t='objects/'+n+'.part';b=sys.stdin.buffer.read();"
    "f=open(t,'wb');f.write(b);f.close();h=hashlib.sha256(open(t,'rb').read()).hexdigest()+'.pyz';"
    f"os.replace(t,'objects/'+n) if h==n else sys.exit({DAMAGED})"
)

HEX64 = "[0-9a-f]" * 64
ENTER = f"""
mkdir -p "$w" && cd "$w" || exit {NO_FOLDER}
p=$(pwd -P); h=$(cd && pwd -P)
case "$p" in {"|".join(map(quoted, SYSTEM))}|{"|".join(f"{quoted(name)}/*" for name in SYSTEM_WHOLE)})
  exit {SYSTEM_FOLDER};; esac
case "$h/" in "$p"/*) exit {SYSTEM_FOLDER};; esac
if [ ! -f {MARKER} ]; then
  found=$(ls -A)
  if [ -n "$found" ]; then
    ours=; LC_ALL=C
    if [ -d objects ] && [ ! -L objects ]; then
      if [ "$found$(ls -A objects)" = objects ]; then ours=1; fi
      for f in objects/*; do
        case "${{f#objects/}}" in {HEX64}|{HEX64}.*) ours=1;; "*") ;; *) ours=; break;; esac
      done
    fi
    [ -n "$ours" ] || exit {FOREIGN}
  fi
  : >{MARKER} || exit {NO_FOLDER}
fi
mkdir -p objects || exit {NO_FOLDER}
"""
"""Go to the working folder ``$w``. One that is there already is taken only where it is empty, has edgekit's marker, or
was made by an edgekit that left none: its ``objects`` holds files that are named by their SHA-256 and no others."""


def bring_program(connection: Connection, config: TargetConfig) -> None:
    """Make the working folder and put the device program there where it is not yet, checked after the transfer.

    Raises :class:`TargetError` with what is missing on the device, and :class:`ConnectionLost`.
    """
    name = program_name()
    if _hello(connection, config).get("program") == name:
        return
    python = folder(config.python)
    script = f"cd {folder(config.folder)} && exec {python} -s -c {quoted(PUSH)} {name}"
    for attempt in range(2):
        try:
            for _ in connection.stream(script, [program()]):
                pass
        except RemoteFailure as error:
            if error.code == DAMAGED and attempt == 0:
                continue
            raise _push_failed(config, error.last) from None
        if _hello(connection, config).get("program") == name:
            return
    raise _push_failed(config, "it is not there")


def read_events(lines: Iterable[bytes]) -> Iterator[Event]:
    """The JSON lines of the program; what a login script prints before them is passed over."""
    for line in lines:
        if line.startswith(b'{"event"'):
            try:
                event: Event = json.loads(line)
            except ValueError:
                continue
            yield event


def _hello(connection: Connection, config: TargetConfig) -> Event:
    """Whether there is a working folder, a Python, and this program in it."""
    where, python = folder(config.folder), folder(config.python)
    script = (
        f"w={where}{ENTER}"
        f"command -v {python} >/dev/null || exit {NO_PYTHON}; exec {python} -s -c {quoted(HELLO)} {program_name()}"
    )
    try:
        for event in read_events(connection.stream(script)):
            if event["event"] == "hello":
                if tuple(event["version"]) < MIN_PYTHON:
                    raise _no_python(config, f"Python {'.'.join(map(str, event['version']))} there is too old")
                return event
    except RemoteFailure as error:
        if error.code == NO_PYTHON:
            raise _no_python(config, f"there is no {config.python} on {config.name}") from None
        if error.code == SYSTEM_FOLDER:
            raise TargetError(
                "the working folder is the home there, one above it, or a folder of the system",
                where=f"{config.name}:{config.folder}",
                hint="give the target a folder of its own: folder = ... in targets.toml",
            ) from None
        if error.code == FOREIGN:
            raise TargetError(
                "the working folder holds files that edgekit did not make",
                where=f"{config.name}:{config.folder}",
                hint="give the target a new or an empty folder: folder = ... in targets.toml",
            ) from None
        if error.code == NO_FOLDER:
            raise TargetError(
                f"the working folder cannot be made: {error.last}",
                where=f"{config.name}:{config.folder}",
                hint="free some space there, or give the target another folder",
            ) from None
        raise TargetError(f"Python does not start on {config.name}: {error.last}") from None
    raise TargetError(f"{config.name} gives no answer that can be understood", hint=f"ssh {config.host}")


def _no_python(config: TargetConfig, problem: str) -> TargetError:
    return TargetError(
        problem,
        where=f"target {config.name}",
        hint="it needs Python 3.9 or newer: sudo apt install python3 there, or give its path: "
        "python = ... in targets.toml",
    )


def _push_failed(config: TargetConfig, reason: str) -> TargetError:
    return TargetError(
        f"the device program could not be put on {config.name}: {reason}",
        where=f"{config.name}:{config.folder}",
        hint="free some space there, or give the target another folder",
    )
