"""Targets written in every way that TOML allows, in random files: removing one changes the meaning of no other."""

from __future__ import annotations

import random
import sys

import pytest

from edgekit.targets.config import TargetConfig, add_target, known_targets, project_file, remove_target

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

NAMES = ("pi", "nas", "a-b", "x_1", "h0st")
STYLES = ("table", "quoted", "literal", "inline", "dotted", "dotted-quoted", "spaced")


def value(random_: random.Random, text: str) -> str:
    """A string of TOML that means ``text``."""
    return random_.choice([f'"{text}"', f"'{text}'", f"'''{text}'''", f'"""\\\n  {text}"""'])


def written(random_: random.Random, name: str, style: str) -> tuple[str, str]:
    """The target ``name`` in one style: for the top of the file, and for below the first table."""
    quoted = random_.choice([f'"{name}"', f"'{name}'"])
    host, odd = value(random_, "host"), value(random_, f"[{random_.choice(NAMES)}]")
    comment = random_.choice(["", f"  # [{random_.choice(NAMES)}] of {name}", "#"])
    if style == "inline":
        return f"{random_.choice([name, quoted])} = {{ host = 'host', python = '[{name}]' }}{comment}\n", ""
    if style.startswith("dotted"):
        key = quoted if style.endswith("quoted") else name
        return f"{key}.host = {host}{comment}\n{key} . 'python' = {odd}\n", ""
    head = {"table": f"[{name}]", "quoted": f"[{quoted}]", "literal": f"[ {quoted} ]", "spaced": f"  [ {name} ]"}
    lines = [f"host = {host}{comment}", f"python = {odd}", "threads = [ # [x]\n  1,\n]"]
    random_.shuffle(lines)
    return "", f"{head[style]}{comment}\n" + "\n".join(lines) + "\n"


def document(random_: random.Random) -> str:
    top, below = [], []
    for name in random_.sample(NAMES, random_.randint(1, len(NAMES))):
        first, rest = written(random_, name, random_.choice(STYLES))
        note = random_.choice(["", "\n", f"# about {name}\n", f"\n# about {name}\n\n"])
        if first:
            top.append(note + first)
        else:
            below.append(note + rest)
    text = "".join([*top, *below]) + random_.choice(["", "# the end", "\n\n# the end\n"])
    return text.replace("\n", "\r\n") if random_.random() < 0.2 else text


@pytest.mark.parametrize("block", range(5))
def test_random_files(project, block):
    for seed in range(100 * block, 100 * (block + 1)):
        random_ = random.Random(seed)
        before = document(random_)
        project_file().write_bytes(before.encode())
        meaning = tomllib.loads(before)
        assert set(known_targets()) == set(meaning)
        name = random_.choice(list(meaning))
        remove_target(name)
        after = project_file().read_bytes().decode()
        assert tomllib.loads(after) == {key: one for key, one in meaning.items() if key != name}, before
        for other in meaning:
            if other != name:
                assert after.count(f"# about {other}") == before.count(f"# about {other}"), before
                assert after.count(f"] of {other}") == before.count(f"] of {other}"), before
        assert ("# the end" in after) == ("# the end" in before)
        assert all(line in before for line in after.splitlines() if line.strip())
        add_target(TargetConfig(name, "new"), project_file())
        assert tomllib.loads(project_file().read_bytes().decode()) == {**meaning, name: {"host": "new"}}
