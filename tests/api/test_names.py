"""The public names of ``import edgekit``: cheap to import, and functions whatever was imported before."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import edgekit

ROOT = Path(__file__).parents[2]
HEAVY = ("numpy", "pydantic", "tensorflow", "keras", "jax", "torch", "matplotlib", "scipy", "PIL", "onnx", "typer")
FUNCTIONS = [name for name in edgekit.__all__ if name.islower()]
SUBPACKAGES = ("train", "export", "bench", "report")


def python(code: str) -> str:
    """What ``code`` prints in a new interpreter."""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_import_loads_nothing_heavy() -> None:
    code = f"import sys, edgekit; print([m for m in sys.modules if m.partition('.')[0] in {HEAVY!r}])"
    assert python(code) == "[]"


@pytest.mark.parametrize("name", edgekit.__all__)
def test_every_public_name_has_a_docstring(name: str) -> None:
    value = getattr(edgekit, name)
    assert callable(value)
    assert value.__doc__
    assert name in dir(edgekit)


@pytest.mark.parametrize("name", SUBPACKAGES)
@pytest.mark.parametrize(
    "imports",
    [
        "import edgekit",
        "import edgekit; import edgekit.{name}",
        "import edgekit.{name}; import edgekit",
        "import edgekit.{name}.{module}",
        "from edgekit.{name}.{module} import __doc__ as _; import edgekit",
        "from edgekit.{name} import {module}; import edgekit",
        "import edgekit; edgekit.{name}; import edgekit.{name}.{module}",
        "import importlib, edgekit; importlib.import_module('edgekit.{name}.{module}')",
    ],
)
def test_a_command_is_a_function_in_every_order_of_imports(name: str, imports: str) -> None:
    module = {"train": "history_log", "export": "plan", "bench": "protocols", "report": "build"}[name]
    code = imports.format(name=name, module=module)
    home = {"train": "networks", "export": "networks", "bench": "measuring", "report": "studies"}[name]
    told = python(f"{code}; print(edgekit.{name}.__module__, edgekit.{name}.__qualname__)")
    assert told == f"edgekit.api.{home} {name}"


def test_subpackages_can_still_be_imported_from() -> None:
    code = "import edgekit; edgekit.bench; from edgekit.bench.protocols import PROTOCOLS; print(len(PROTOCOLS) > 0)"
    assert python(code) == "True"


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'fly'"):
        edgekit.fly  # noqa: B018


def test_the_functions_and_the_example_type_check(tmp_path: Path) -> None:
    """As a user's code, in strict mode: the functions are seen and not the subpackages of the same names."""
    pytest.importorskip("mypy")
    (tmp_path / "user.py").write_text(
        "import edgekit\n"
        "import edgekit.train.history_log\n"
        "from edgekit import train\n"
        "reveal_type(edgekit.train(data='photos', epochs=1))\n"
        "reveal_type(train())\n"
        "reveal_type(edgekit.load_study('x').cells[0].seed)\n"
        "edgekit.export('run', fils=['tflite-int8'])\n"
    )
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "mypy",
            "--strict",
            "--config-file",
            str(ROOT / "pyproject.toml"),
            "--cache-dir",
            str(ROOT / ".mypy_cache"),
            str(tmp_path / "user.py"),
            str(ROOT / "docs" / "examples" / "api.py"),
        ],
        env={**os.environ, "MYPYPATH": str(ROOT)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.count("edgekit.documents.run.RunDocument") == 2, done.stdout + done.stderr
    assert 'Revealed type is "int"' in done.stdout
    assert 'Unexpected keyword argument "fils"' in done.stdout
    assert "Found 1 error" in done.stdout


def test_the_package_says_that_it_is_typed() -> None:
    assert (Path(edgekit.__file__).parent / "py.typed").is_file()
