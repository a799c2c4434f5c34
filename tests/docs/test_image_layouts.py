"""Every layout on the page about image folders is built as shown, and read, or refused, as the page says."""

from __future__ import annotations

import json
import re
import shlex
import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from markdown_files import ROOT
from PIL import Image

PAGE = ROOT / "docs" / "how-to" / "your-own-images.md"
ENOUGH = 10
"""How many files ``...`` continues a line to."""

BLOCKS = re.compile(
    r"```text\n(?P<tree>.*?)```\n\n(?:```csv\n(?P<csv>.*?)```\n\n)?```bash\n(?P<command>.*?)\n```\n\n"
    r"(?P<said>(?:Read as|Refused): .*?)\n\n",
    re.DOTALL,
)


@dataclass(frozen=True)
class Layout:
    tree: str
    csv: str | None
    command: str
    said: str

    def names(self, what: str) -> list[str]:
        match = re.search(rf"{what}:? ((?:`[^`]+`(?:, | and )?)+)", self.said)
        return re.findall(r"`([^`]+)`", match[1]) if match else []


def layouts() -> list[Layout]:
    text = PAGE.read_text(encoding="utf-8")
    return [Layout(**match.groupdict()) for match in BLOCKS.finditer(text)]


def continued(names: list[str]) -> list[str]:
    """``001.jpg 002.jpg ...`` as ``001.jpg`` to ``005.jpg``."""
    if names[-1] != "...":
        return names
    last = names[-2]
    number = re.search(r"(\d+)(?=\.\w+$)", last)
    assert number, last
    width, after = len(number[1]), int(number[1]) + 1
    more = range(after, after + ENOUGH - (len(names) - 1))
    return [*names[:-1], *(f"{last[: number.start()]}{i:0{width}d}{last[number.end() :]}" for i in more)]


class Builder:
    def __init__(self, root: Path, csv: str | None) -> None:
        self.root = root
        self.csv = csv
        self.seed = 0

    def build(self, tree: str) -> None:
        stack: list[tuple[int, Path]] = []
        for line in tree.splitlines():
            indent = len(line) - len(line.lstrip())
            stack = [entry for entry in stack if entry[0] < indent]
            here = stack[-1][1] if stack else self.root
            parts = re.split(r"\s{2,}", line.strip())
            if parts[0].endswith("/"):
                here = here / parts.pop(0).rstrip("/")
                here.mkdir(parents=True)
                stack.append((indent, here))
            if parts and parts[0].startswith("(copy of "):
                original = here.parent.parent / parts[0][len("(copy of ") : -1]
                shutil.copytree(original, here, dirs_exist_ok=True)
            elif parts:
                for name in continued(parts):
                    self.file(here / name)

    def file(self, path: Path) -> None:
        if path.suffix == ".csv":
            assert self.csv
            path.write_text(self.csv)
        elif path.suffix in (".txt", ".py"):
            path.write_text("text\n")
        elif {"masks", "trimaps"} & set(path.parts):
            shape = np.zeros((24, 24), np.uint8)
            shape[4 : 12 + self.seed % 8, 4:18] = 255
            Image.fromarray(shape).save(path, "PNG")
        else:
            pixels = np.random.default_rng(self.seed).integers(0, 256, (24, 24, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(path)
        self.seed += 1


def run(command: str, capsys: pytest.CaptureFixture[str]) -> tuple[int, str, str]:
    from edgekit.cli.app import main

    program, *words = shlex.split(command)
    assert program == "edgekit"
    with pytest.raises(SystemExit) as stop:
        main([*words, "--json"])
    captured = capsys.readouterr()
    return int(stop.value.code or 0), captured.out, captured.err


@pytest.mark.parametrize("number", range(len(layouts())))
def test_a_layout_is_read_as_the_page_says(number, tmp_path, monkeypatch, capsys):
    layout = layouts()[number]
    Builder(tmp_path, layout.csv).build(layout.tree)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("EDGEKIT_CACHE", str(tmp_path / "cache"))
    code, out, err = run(layout.command, capsys)
    if layout.said.startswith("Refused"):
        (reason,) = layout.names("Refused")
        assert code == 2, out
        assert reason in " ".join(err.split())
        return
    assert code == 0, err
    dataset = json.loads(out)["dataset"]
    assert dataset["classes"] == layout.names("classes")
    own = [split for split in ("train", "val", "test") if f"{split}: " not in dataset["layout"]]
    splits = layout.names("splits")
    assert splits == (own if splits else []), dataset["layout"]
    warned = layout.names("Left out with a warning")
    told = " ".join(err.split())
    if warned:
        total = sum(int(n) for n in re.findall(r"ignoring (\d+) (?:images|segmentation masks)", told))
        assert warned == [f"{total} {warned[0].split(' ', 1)[1]}"], told
    else:
        assert "warning" not in told
    recipe = (tmp_path / "recipe.yaml").read_text()
    where = re.search(r"--labels-from (\S+)", layout.command)
    assert re.findall(r"^  labels_from: \"?([^\"\n]+)", recipe, re.MULTILINE) == ([where[1]] if where else [])


def test_the_page_shows_the_layouts_that_are_understood_and_those_that_are_not():
    found = layouts()
    assert sum(layout.said.startswith("Read as") for layout in found) >= 14
    assert sum(layout.said.startswith("Refused") for layout in found) >= 6
    trees = PAGE.read_text(encoding="utf-8").count("```text\n")
    assert trees == len(found), "a tree on the page has no command, or no sentence on what becomes of it"
