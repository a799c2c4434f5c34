"""Trains the networks of the brain MRI study on a machine with a GPU, and packs them for the machine that exports them.

    KERAS_BACKEND=jax python benchmarks/gpu_study.py train --data DATA --weights WEIGHTS --out OUT --pack PARTS
    python benchmarks/gpu_study.py unpack --data DATA --weights WEIGHTS --out OUT PARTS/*.tar.*
    python benchmarks/brain_mri_study.py --data DATA --weights WEIGHTS --out OUT --device auto

The first command runs on the machine with the GPU, the others on the one that exports and measures. The cells are those
of ``brain_mri_study.py``. Each is trained by :func:`edgekit.train` in a process of its own, several at a time. DATA,
WEIGHTS and OUT have to be the same absolute paths on both machines, and the options of the study the same in all three
commands, because the recipe of a run holds them.

Train few cells at a time: XLA chooses kernels by timing them, which takes long while other processes use the GPU.

To keep PARTS small, the weights that training changed are rounded to half precision (small tensors excepted). The
network is evaluated again where it is unpacked, so the accuracy in run.json is that of the rounded weights, in single
precision; a GPU multiplies in TensorFloat-32 by default.
"""

from __future__ import annotations

import argparse
import io
import json
import re
import subprocess
import sys
import tarfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from brain_mri_study import PARTS, RECIPE, add_options, study_settings

from edgekit.documents.folders import RunFolder
from edgekit.recipe import Recipe
from edgekit.recipe.resolve import resolve_recipe, training_settings
from edgekit.study.cells import Cell, plan_cells
from edgekit.study.folder import Study
from edgekit.support.files import sha256_file
from edgekit.train.training import save_network

PART_BYTES = 15 * 2**20
KEPT_WHOLE = 10_000
"""Tensors with fewer values are kept in single precision: biases, and what batch normalization has measured."""
NOTE = "after training, weights that had changed were rounded to half precision; the accuracy is that of the result"
CHANGED = "changed-weights.npz"


def recipe_of(part: str, arguments: argparse.Namespace) -> Recipe:
    """The recipe of the study ``part``."""
    return resolve_recipe(RECIPE, training_settings(data=arguments.data) | study_settings(part, arguments))


def cells(arguments: argparse.Namespace) -> dict[str, tuple[Path, Cell]]:
    """The study folder and the cell of every run, by ``STUDY/RUN``."""
    found = {}
    for part in PARTS:
        for cell in plan_cells(recipe_of(part, arguments), arguments.out / part):
            found[f"{part}/{cell.name}"] = (arguments.out / part, cell)
    return found


def train_cell(study: Path, cell: Cell) -> None:
    """Train one cell and store the weights that changed, rounded."""
    import edgekit

    run = RunFolder(study / cell.run)
    edgekit.train(cell.recipe, run=run.path, resume=run.run_json.is_file())
    import keras

    network = keras.models.load_model(run.model, compile=False)
    np.savez(run.path / CHANGED, **changed_weights(network.get_weights(), initial_weights(cell)))


def initial_weights(cell: Cell) -> list[Any]:
    return [np.asarray(value) for value in initial_network(cell).get_weights()]


def initial_network(cell: Cell) -> Any:
    from edgekit.train.network import build_network

    recipe = cell.recipe
    return build_network(recipe.model, image_size=recipe.data.image_size, classes=4, seed=recipe.train.seed)


def changed_weights(trained: list[Any], initial: list[Any]) -> dict[str, Any]:
    """The weights that training changed, by their number, in half precision where they are many."""
    return {
        str(number): new.astype(np.float16) if new.size >= KEPT_WHOLE else new
        for number, (new, old) in enumerate(zip(trained, initial, strict=True))
        if not np.array_equal(new, old)
    }


def rebuilt(network: Any, changed: dict[str, Any], weights: list[Any]) -> None:
    """Give ``network`` the weights, of which some are ``changed``."""
    network.set_weights(
        [changed[str(i)].astype(np.float32) if str(i) in changed else value for i, value in enumerate(weights)]
    )


def save(network: Any, run: RunFolder) -> None:
    """Store the network as training does, with its hash and size in ``run.json``."""
    document = run.read_finished_run()
    save_network(document.recipe, run, network, len(document.dataset.classes))
    files = {**document.files, run.model.name: sha256_file(run.model)}
    model = document.model.model_copy(update={"keras_size_bytes": run.model.stat().st_size})
    document.model_copy(update={"files": files, "model": model}).write(run.run_json)


def train(arguments: argparse.Namespace) -> int:
    """Train all cells, ``--jobs`` at a time, and pack those that are done. Returns how many are not."""
    from edgekit.data.decode import decode_dataset
    from edgekit.data.loading import open_dataset

    started = time.monotonic()
    planned = cells(arguments)
    recipe = next(iter(planned.values()))[1].recipe
    decode_dataset(open_dataset(recipe.data), recipe.data.image_size, recipe.data.resize)  # once, for all processes
    print(f"images decoded: {time.monotonic() - started:.0f} s", flush=True)
    planned = {name: value for name, value in planned.items() if re.search(arguments.only, name)}
    waiting = sorted(planned, key=lambda name: (planned[name][1].after is not None, not name.startswith("scratch")))
    running: dict[str, subprocess.Popen[bytes]] = {}
    done: dict[str, float] = {}
    failed: list[str] = []
    arguments.pack.mkdir(parents=True, exist_ok=True)
    while (waiting or running) and time.monotonic() - started < arguments.seconds:
        for name in list(waiting):
            study, cell = planned[name]
            after = None if cell.after is None else f"{study.name}/{Path(cell.after).name}"
            ready = after is None or after in done or (study / str(cell.after) / "model.keras").is_file()
            if len(running) < arguments.jobs and ready:
                waiting.remove(name)
                running[name] = start(name, arguments)
        for name, process in list(running.items()):
            if process.poll() is None:
                continue
            del running[name]
            if process.returncode == 0:
                done[name] = time.monotonic() - started
                print(f"{name}: done at {done[name]:.0f} s", flush=True)
            else:
                failed.append(name)
                print(f"{name}: FAILED\n{log(name, arguments).read_text()[-1500:]}", flush=True)
        time.sleep(0.2)
    for process in running.values():
        process.kill()
    for name in done:
        pack(name, RunFolder(planned[name][0] / planned[name][1].run), arguments.pack)
    print(json.dumps({"seconds": time.monotonic() - started, "done": done, "failed": failed, "left": waiting}))
    return len(failed) + len(waiting) + len(running)


def log(name: str, arguments: argparse.Namespace) -> Path:
    return Path(arguments.pack) / f"{name.replace('/', '-')}.log"


def start(name: str, arguments: argparse.Namespace) -> subprocess.Popen[bytes]:
    options = [f"--{key}={getattr(arguments, key)}" for key in ("data", "weights", "out", "epochs", "size", "device")]
    options += [f"--scratch-epochs={arguments.scratch_epochs}", "--seeds", *map(str, arguments.seeds)]
    options += [] if arguments.limit is None else [f"--limit={arguments.limit}"]
    with log(name, arguments).open("wb") as stream:
        return subprocess.Popen(
            [sys.executable, __file__, "cell", f"--name={name}", *options], stdout=stream, stderr=subprocess.STDOUT
        )


def pack(name: str, run: RunFolder, out: Path) -> None:
    """One tar file of the run, in numbered parts: all of the folder but ``model.keras``."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        for path in sorted(run.path.rglob("*")):
            if path.is_file() and path != run.model and "tensorboard" not in path.parts:
                archive.add(path, f"{name}/{path.relative_to(run.path)}")
    content = stream.getvalue()
    for number, at in enumerate(range(0, len(content), PART_BYTES)):
        (out / f"{name.replace('/', '-')}.tar.{number}").write_bytes(content[at : at + PART_BYTES])


def unpack(arguments: argparse.Namespace) -> int:
    """Run folders from the parts, each with its ``model.keras``, and evaluated with it."""
    from edgekit.train.evaluate import evaluate

    planned = cells(arguments)
    whole: dict[str, list[Path]] = {}
    for part in arguments.parts:
        whole.setdefault(part.stem, []).append(part)
    for name, parts in sorted(whole.items()):
        ordered = sorted(parts, key=lambda part: int(part.suffix[1:]))
        with tarfile.open(fileobj=io.BytesIO(b"".join(part.read_bytes() for part in ordered))) as archive:
            key = "/".join(archive.getnames()[0].split("/")[:2])
            study, cell = planned[key]
            Study.open(study, recipe_of(study.name, arguments))  # the study exists before its first run
            run = RunFolder(study / cell.run)
            for member in archive.getmembers():
                target = run.path / member.name.removeprefix(f"{key}/")
                target.parent.mkdir(parents=True, exist_ok=True)
                content = archive.extractfile(member)
                assert content is not None
                target.write_bytes(content.read())
        network = initial_network(cell)
        with np.load(run.path / CHANGED) as changed:
            rebuilt(network, dict(changed), network.get_weights())
        save(network, run)
        (run.path / CHANGED).unlink()
        document = evaluate(run)
        document.model_copy(update={"warnings": (*document.warnings, NOTE)}).write(run.run_json)
        print(f"{name}: {run.path}, accuracy {document.accuracy:.4f}", flush=True)
    return 0


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    verbs = parser.add_subparsers(dest="verb", required=True)
    for verb in ("train", "cell", "unpack"):
        command = verbs.add_parser(verb)
        add_options(command, device="auto")
        if verb == "train":
            command.add_argument("--pack", type=Path, required=True, help="folder for the parts and the logs")
            command.add_argument("--jobs", type=int, default=2, help="cells to train at the same time")
            command.add_argument("--only", default="", help="regular expression of the cells to train (default: all)")
            command.add_argument("--seconds", type=float, default=3600, help="stop after this time")
        if verb == "cell":
            command.add_argument("--name", required=True, help="STUDY/RUN")
        if verb == "unpack":
            command.add_argument("parts", nargs="+", type=Path)
    return parser.parse_args()


def main() -> int:
    arguments = parse()
    if arguments.verb == "train":
        return train(arguments)
    if arguments.verb == "unpack":
        return unpack(arguments)
    train_cell(*cells(arguments)[arguments.name])
    return 0


if __name__ == "__main__":
    sys.exit(main())
