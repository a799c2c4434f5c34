"""Commands that are killed at random moments, and what they leave compared with an undisturbed run.

    python tests/kills/killed_commands.py --kills 200 --seed 0 --out benchmarks/results/kills.json

Each verb is started on a copy of the same folder and killed, again and again, until it is done or was killed often
enough; then it runs to its end. What it leaves has to equal what it leaves undisturbed.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parents[1]), str(HERE.parent), str(HERE.parent / "targets")]

TRAINING = """
name: small
data: {name: digits, image_size: 32, limit_per_class: 4}
model: {weights: none, backbone: mobilenetv2, alpha: 0.35}
train:
  strategy: from-scratch
  batch_size: 16
  from_scratch: {epochs: 3, learning_rate: 3.0e-3, batchnorm_momentum: 0.8}
export: {files: [tflite-fp32, onnx-fp32], parity_images: 10}
bench: {protocol: quick, threads: [1], images: 40}
compare: {seeds: [0, 1]}
"""
MOST_IN_A_ROW = 6
"""So often the work on one copy is killed before it may end."""

SIGNALS = (signal.SIGKILL, signal.SIGKILL, signal.SIGKILL, signal.SIGHUP)

Outcome = dict[str, Any]


@dataclass(frozen=True)
class Verb:
    """``command``: the words after ``edgekit`` that start or continue the work in a folder. ``needs``: what the folder
    contains beforehand (``nothing``, ``run``, ``exported`` or ``measured``). ``outcome``: what it leaves in the folder.
    """

    needs: str
    command: Callable[[Path], list[str]]
    outcome: Callable[[Path], Outcome]


def train_command(folder: Path) -> list[str]:
    if (folder / "run/run.json").is_file():
        return ["train", "--run", "run", "--resume"]
    return ["train", "small.yaml", "--run", "run"]


def trained(folder: Path) -> Outcome:
    status = json.loads((folder / "run/run.json").read_text())["status"]
    return {"files": files(folder / "run"), "status": status, **learnt(folder / "run")}


def learnt(run: Path) -> Outcome:
    """Epochs, loss and accuracy of a run, and the probabilities of its test images."""
    with (run / "history.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    with np.load(run / "predictions.npz") as stored:
        probabilities = stored["probabilities"]
    return {
        "epochs": [(row["stage"], row["epoch"]) for row in rows],
        # The threads of the CPU may add up in another order; a lost or a repeated epoch is far outside of this.
        "curves": np.array(
            [[float(row[name]) for name in ("loss", "accuracy", "val_loss", "val_accuracy")] for row in rows]
        ),
        "probabilities": probabilities,
    }


def exported(folder: Path) -> Outcome:
    found: Outcome = {"files": files(folder / "run")}
    for file in sorted(folder.glob("run/exports/*/export.json")):
        document = json.loads(file.read_text())
        found[file.parent.name] = (document["status"], document["sha256"], document["size_bytes"])
    return found


def measured(target: str) -> Callable[[Path], Outcome]:
    def outcome(folder: Path) -> Outcome:
        found: Outcome = {"files": files(folder / "run")}
        for file in sorted((folder / "run/bench" / target).glob("*.json")):
            document = json.loads(file.read_text())
            accuracy = document["accuracy"]
            found[file.stem] = {
                "status": document["status"],
                "incomplete": document["incomplete"],
                # A process that was interrupted keeps its blocks, and another one measures those that are left.
                "blocks": [sum(len(p["blocks"]) for p in one["processes"]) for one in document["latency"]],
                "accuracy": (accuracy["accuracy"], accuracy["n_samples"], accuracy["agreement_with_keras"]),
                "memory": document["memory"] is not None,
            }
        return found

    return outcome


def compared(folder: Path) -> Outcome:
    study = json.loads((folder / "study/study.json").read_text())
    found: Outcome = {"files": files(folder / "study")}
    found["cells"] = [(cell["run"], cell["status"], cell["error"]) for cell in study["cells"]]
    for cell in study["cells"]:
        parts: list[Outcome] = [learnt(folder / "study" / cell["run"])]
        for file in sorted((folder / "study" / cell["run"]).glob("exports/*/export.json")):
            export = json.loads(file.read_text())
            bench = json.loads((file.parents[2] / f"bench/local/{file.parent.name}.json").read_text())
            # The hash changes with the last bit of a weight; what was measured has to be the file that is there.
            parts.append(
                {file.parent.name: (export["status"], export["size_bytes"], bench["sha256"] == export["sha256"])}
            )
        found |= {f"{cell['run']} {name}": value for part in parts for name, value in part.items()}
    return found


def reported(folder: Path) -> Outcome:
    document = json.loads((folder / "run/report/report.json").read_text())
    return {"files": files(folder / "run"), "report": {k: v for k, v in document.items() if k != "created"}}


def files(folder: Path) -> list[str]:
    found = (path.relative_to(folder) for path in folder.rglob("*"))
    return sorted(path.as_posix() for path in found if "tensorboard" not in path.parts)


BENCH = ["bench", "run", "--protocol", "quick", "--threads", "1"]
VERBS: dict[str, Verb] = {
    "train": Verb("nothing", train_command, trained),
    "export": Verb("run", lambda _: ["export", "run", "--fp32"], exported),
    "bench": Verb("exported", lambda _: BENCH, measured("local")),
    "bench over SSH": Verb("exported", lambda _: [*BENCH, "--target", "loop"], measured("loop")),
    "compare": Verb("nothing", lambda _: ["compare", "small.yaml", "--out", "study"], compared),
    "report": Verb("measured", lambda _: ["report", "run"], reported),
}


def start(verb: Verb, place: Path, config: Path) -> subprocess.Popen[bytes]:
    """The command in ``place``, with the settings of a user in ``config``; what it prints is in ``log`` beside it."""
    command = [sys.executable, "-m", "edgekit", *verb.command(place), "--quiet"]
    environment = {**os.environ, "PYTHONPATH": str(HERE.parents[1]), "XDG_CONFIG_HOME": str(config)}
    with (place.parent / "log").open("ab") as log:
        return subprocess.Popen(command, cwd=place, stdout=log, stderr=log, env=environment, start_new_session=True)


class Killer:
    """Runs verbs in ``folder``, undisturbed and killed."""

    def __init__(self, folder: Path, draw: random.Random) -> None:
        self.folder, self._draw = folder, draw
        self._stages: dict[str, Path] = {}
        self.seconds: dict[str, float] = {}
        self.kills: Counter[str] = Counter()
        self.by_signal: Counter[str] = Counter()
        self.copies: Counter[str] = Counter()
        self.servers = ExitStack()

    def stage(self, needs: str) -> Path:
        """A folder with what a verb needs, made once."""
        if needs not in self._stages:
            place = self.folder / f"with-{needs}"
            before = {"run": ("nothing", "train"), "exported": ("run", "export"), "measured": ("exported", "bench")}
            if needs == "nothing":
                place.mkdir()
                (place / "small.yaml").write_text(TRAINING)
            else:
                stage, verb = before[needs]
                shutil.copytree(self.stage(stage), place, symlinks=True)
                self._finish(VERBS[verb], place)
            self._stages[needs] = place
        return self._stages[needs]

    def undisturbed(self, name: str) -> Outcome:
        verb = VERBS[name]
        place = self._copy(verb, f"undisturbed-{name}")
        started = time.monotonic()
        self._finish(verb, place)
        self.seconds[name] = time.monotonic() - started
        return verb.outcome(place)

    def disturb(self, name: str, kills: int, expected: Outcome) -> None:
        """Kill ``name`` this often, on as many copies as it takes."""
        verb = VERBS[name]
        while self.kills[name] < kills:
            self.copies[name] += 1
            place = self._copy(verb, f"{name}-{self.copies[name]}")
            for _ in range(min(MOST_IN_A_ROW, kills - self.kills[name])):
                if not self._kill(name, verb, place):
                    break
            self._finish(verb, place)
            same(verb.outcome(place), expected, f"{name}, copy {self.copies[name]}")
            shutil.rmtree(place)

    def _copy(self, verb: Verb, name: str) -> Path:
        place = self.folder / name.replace(" ", "-") / "work"
        place.parent.mkdir()
        shutil.copytree(self.stage(verb.needs), place, symlinks=True)
        return place

    def _kill(self, name: str, verb: Verb, place: Path) -> bool:
        """Whether it was killed before its end."""
        running = start(verb, place, self.folder / "config")
        number = self._draw.choice(SIGNALS)
        try:
            code = running.wait(timeout=self._draw.uniform(0.01, 0.8) * self.seconds[name])
        except subprocess.TimeoutExpired:
            running.send_signal(number)  # to this process alone: what it started has to notice
            code = running.wait(timeout=300)
            if number == signal.SIGHUP and code not in (0, 130, -signal.SIGHUP):
                raise AssertionError(f"SIGHUP: exit code {code}\n{log_of(place)}") from None
            self.kills[name] += 1
            self.by_signal[number.name] += 1
            return True
        if code != 0:
            raise AssertionError(f"exit code {code}\n{log_of(place)}")
        return False

    def _finish(self, verb: Verb, place: Path) -> None:
        code = start(verb, place, self.folder / "config").wait(timeout=1800)
        if code != 0:
            raise AssertionError(f"{' '.join(verb.command(place))}: exit code {code}\n{log_of(place)}")


def log_of(place: Path) -> str:
    return (place.parent / "log").read_text(errors="replace")[-3000:]


def same(ours: Outcome, theirs: Outcome, what: str) -> None:
    """Raise :class:`AssertionError` with what differs."""
    assert ours.keys() == theirs.keys(), (what, sorted(ours), sorted(theirs))
    for key, value in theirs.items():
        if isinstance(value, np.ndarray):
            np.testing.assert_allclose(ours[key], value, atol=0.01, err_msg=f"{what}: {key}")
        else:
            assert ours[key] == value, f"{what}: {key}\n{ours[key]}\n{value}"


@contextmanager
def loopback_target(folder: Path) -> Iterator[None]:
    """The target ``loop``: an SSH server of this user, in the user's own targets file."""
    from loopback import serve

    from edgekit.targets.config import add_target

    (folder / "sshd").mkdir()
    (folder / "config/edgekit").mkdir(parents=True)
    with serve(folder / "sshd") as server:
        add_target(server.target(folder / "device"), folder / "config/edgekit/targets.toml")
        yield


def run(shares: dict[str, int], seed: int, folder: Path, say: Callable[[str], None] = print) -> dict[str, Any]:
    """Kill each verb as often as ``shares`` says; the counts."""
    killer = Killer(folder, random.Random(seed))
    failures: list[str] = []
    with ExitStack() as servers:
        if shares.get("bench over SSH"):
            servers.enter_context(loopback_target(folder))
        for name, kills in shares.items():
            if not kills:
                continue
            try:
                killer.disturb(name, kills, killer.undisturbed(name))
            except AssertionError as error:
                failures.append(f"{name}: {error}")
                say(f"--- {failures[-1]}")
            say(f"{name}: killed {killer.kills[name]} times on {killer.copies[name]} copies")
    return {
        "seed": seed,
        "kills": sum(killer.kills.values()),
        "by_verb": dict(killer.kills),
        "by_signal": dict(killer.by_signal),
        "copies": dict(killer.copies),
        "undisturbed_s": {name: round(value, 1) for name, value in killer.seconds.items()},
        "failures": failures,
    }


def shared(kills: int) -> dict[str, int]:
    """``kills`` over the verbs: more for the short ones."""
    parts = {"train": 12, "export": 12, "bench": 28, "bench over SSH": 18, "compare": 5, "report": 25}
    return {name: max(1, round(kills * part / 100)) for name, part in parts.items()}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--verb", action="append", choices=list(VERBS), help="only this verb; repeatable")
    parser.add_argument("--out", type=Path, help="write the counts to this file")
    given = parser.parse_args()
    shares = dict.fromkeys(given.verb, given.kills) if given.verb else shared(given.kills)
    with tempfile.TemporaryDirectory(prefix="edgekit-kills-") as folder:
        os.environ["EDGEKIT_CACHE"] = str(Path(folder) / "cache")
        found = run(shares, given.seed, Path(folder))
    print(json.dumps(found, indent=1))
    if given.out is not None:
        command = ["python", "tests/kills/killed_commands.py", *sys.argv[1:]]
        given.out.write_text(json.dumps({"command": " ".join(command), **found}, indent=1) + "\n")
    return 1 if found["failures"] else 0


if __name__ == "__main__":
    sys.exit(main())
