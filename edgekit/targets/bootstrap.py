"""First contact with a device: find Python, enter the working folder, copy the device program there."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import cast

from edgekit.device.protocol.requests import HelloEvent
from edgekit.device.working_folder import MARKER, OBJECTS
from edgekit.errors import TargetError
from edgekit.targets.config import TargetConfig
from edgekit.targets.connection import Connection, RemoteFailure, quoted, shell_path
from edgekit.targets.device_program import program, program_name
from edgekit.targets.folder_rules import SYSTEM, SYSTEM_WHOLE
from edgekit.targets.limits import NOISE_BYTES
from edgekit.targets.request_events import RequestAnswers
from edgekit.targets.wheels import MIN_PYTHON

NO_FOLDER, NO_PYTHON, DAMAGED, SYSTEM_FOLDER, OTHERS_FOLDER = 91, 92, 93, 94, 95
"""Exit codes of the scripts below."""

HELLO = (
    "import hashlib,json,os,sys;n=sys.argv[1];p=os.path.join('objects',n);"
    "c=open(p,'rb').read() if os.path.exists(p) else b'';"
    "print(json.dumps({'event':'hello','version':list(sys.version_info[:3]),"
    "'program':hashlib.sha256(c).hexdigest()+'.pyz'}))"
)
"""Runs on any Python that a device may have, however old."""

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
    [ -n "$ours" ] || exit {OTHERS_FOLDER}
  fi
  : >{MARKER} || exit {NO_FOLDER}
fi
mkdir -p {OBJECTS} || exit {NO_FOLDER}
"""
"""Enter the working folder ``$w``. An existing folder is accepted only if it is empty, has edgekit's marker, or was
created by a version of edgekit that left no marker: its ``objects`` contains only files named by their SHA-256."""


def bring_program(connection: Connection, config: TargetConfig) -> None:
    """Create the working folder, and put the device program there unless it is there already.

    The program is verified after the transfer. Raises :class:`TargetError`, which says what the device lacks, and
    :class:`ConnectionLost`.
    """
    name = program_name()
    if _hello(connection, config)["program"] == name:
        return
    python = shell_path(config.python)
    script = f"cd {shell_path(config.folder)} && exec {python} -s -c {quoted(PUSH)} {name}"
    for attempt in range(2):
        try:
            for _ in connection.stream(script, [program()]):
                pass
        except RemoteFailure as error:
            if error.code == DAMAGED and attempt == 0:
                continue
            raise _push_failed(config, error.last) from None
        if _hello(connection, config)["program"] == name:
            return
    raise _push_failed(config, "the file is missing after the transfer")


def event_lines(lines: Iterable[bytes], target: str) -> Iterator[bytes]:
    """The lines of the program. Anything else, such as the output of a login script, is skipped.

    So is a line that is not complete, because the connection broke. Raises :class:`TargetError` where there is too much
    else.
    """
    noise = 0
    for line in lines:
        if line.startswith(b'{"event"') and line.endswith(b"\n"):
            yield line
            continue
        noise += len(line)
        if noise > NOISE_BYTES:
            raise TargetError(
                f"{target} sends too much that is no answer, so edgekit stopped listening",
                where=f"target {target}",
                hint="check what its login scripts print",
            )


def _hello(connection: Connection, config: TargetConfig) -> HelloEvent:
    """The version of Python and the program in the working folder. Raises :class:`TargetError` if either is missing."""
    where, python = shell_path(config.folder), shell_path(config.python)
    script = (
        f"w={where}{ENTER}"
        f"command -v {python} >/dev/null || exit {NO_PYTHON}; exec {python} -s -c {quoted(HELLO)} {program_name()}"
    )
    try:
        answers, hello = RequestAnswers(config.name, "hello", {}), None
        for line in event_lines(connection.stream(script), config.name):
            hello = cast("HelloEvent", answers.parsed(line))
            if tuple(hello["version"]) < MIN_PYTHON:
                version = ".".join(map(str, hello["version"]))
                raise _no_python(config, f"Python {version} on {config.name} is too old")
        if hello is not None:
            return hello
    except RemoteFailure as error:
        raise _refusal(config, error) from None
    raise TargetError(f"{config.name} did not answer as expected", hint=f"check that this works: ssh {config.host}")


def _refusal(config: TargetConfig, failed: RemoteFailure) -> TargetError:
    """The error for an exit code of the script."""
    if failed.code == NO_PYTHON:
        return _no_python(config, f"{config.python} was not found on {config.name}")
    where, setting = f"{config.name}:{config.folder}", "folder = ... in targets.toml"
    if failed.code == SYSTEM_FOLDER:
        return TargetError(
            "the working folder is a home folder, a folder above it, or a system folder",
            where=where,
            hint=f"use a separate folder for the target: {setting}",
        )
    if failed.code == OTHERS_FOLDER:
        return TargetError(
            "the working folder contains files that edgekit did not create",
            where=where,
            hint=f"use a new or empty folder for the target: {setting}",
        )
    if failed.code == NO_FOLDER:
        return TargetError(
            f"cannot create the working folder: {failed.last}",
            where=where,
            hint="free some space there, or give the target another folder",
        )
    return TargetError(f"Python does not start on {config.name}: {failed.last}")


def _no_python(config: TargetConfig, problem: str) -> TargetError:
    return TargetError(
        problem,
        where=f"target {config.name}",
        hint="install Python 3.9 or newer there (sudo apt install python3), or set its path: "
        "python = ... in targets.toml",
    )


def _push_failed(config: TargetConfig, reason: str) -> TargetError:
    return TargetError(
        f"cannot copy the device program to {config.name}: {reason}",
        where=f"{config.name}:{config.folder}",
        hint="free some space there, or give the target another folder",
    )
