"""What a person meets first: help, version, exit codes, one clear error."""

from __future__ import annotations

import io
import json
import os
import re
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout
from importlib.util import find_spec
from pathlib import Path

import pytest
import typer

from edgekit.cli import listing
from edgekit.cli.app import main
from edgekit.cli.output import Output
from edgekit.cli.verbs import VERBS
from edgekit.errors import InputError

README = Path(__file__).parents[2] / "README.md"
VERB_NAMES = [verb.name for verb in VERBS]
COMMANDS = [
    name if not isinstance(command, typer.Typer) else f"{name} {action.name}"
    for name, command, _ in VERBS
    for action in (command.registered_commands if isinstance(command, typer.Typer) else [None])
]
HEAVY = ("numpy", "pydantic", "tensorflow", "keras", "jax", "torch", "matplotlib", "scipy", "PIL", "onnx")


@pytest.fixture(autouse=True)
def narrow_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.delenv("EDGEKIT_DEBUG", raising=False)


def edgekit(*arguments: str) -> subprocess.CompletedProcess[str]:
    """The command in this process: the same entry point, without a new interpreter for every case."""
    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err), pytest.raises(SystemExit) as end:
        main(list(arguments))
    return subprocess.CompletedProcess(arguments, end.value.code, out.getvalue(), err.getvalue())


def test_version_of_the_installed_command() -> None:
    answer = subprocess.run([sys.executable, "-m", "edgekit", "--version"], capture_output=True, text=True, check=False)
    assert answer.returncode == 0
    assert re.fullmatch(r"edgekit \d+\.\d+\.\d+\n", answer.stdout)


def test_help_has_one_line_for_every_verb_and_fits_80_columns() -> None:
    answer = edgekit("--help")
    assert answer.returncode == 0
    lines = answer.stdout.partition("Commands:\n")[2].splitlines()
    assert [line.split(maxsplit=1) for line in lines] == [[verb.name, verb.summary] for verb in VERBS]
    assert max(map(len, answer.stdout.splitlines())) <= 80


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys; from edgekit.cli.app import main\n"
        "try: main(['--help'])\n"
        "except SystemExit: pass\n"
        "print([m for m in sys.modules if m.partition('.')[0] in sys.argv[1:]], file=sys.stderr)"
    )
    answer = subprocess.run([sys.executable, "-c", code, *HEAVY], capture_output=True, text=True, check=False)
    assert answer.stderr.strip() == "[]"


@pytest.mark.parametrize("name", COMMANDS)
def test_every_verb_has_help_with_an_example_and_the_common_options(name: str) -> None:
    answer = edgekit(*name.split(), "--help")
    assert answer.returncode == 0, answer.stderr
    assert re.search(rf"Examples?:\s+edgekit {name}", answer.stdout)
    for option in ("--json", "--quiet", "--help"):
        assert option in answer.stdout
    assert max(map(len, answer.stdout.splitlines())) <= 80


@pytest.mark.parametrize("name", ["add", "list", "setup", "doctor", "remove"])
def test_the_actions_of_target_have_the_same(name: str) -> None:
    answer = edgekit("target", name, "--help")
    assert answer.returncode == 0, answer.stderr
    assert re.search(rf"Examples?:\s+edgekit target {name}", answer.stdout)
    for option in ("--json", "--quiet", "--help"):
        assert option in answer.stdout
    assert max(map(len, answer.stdout.splitlines())) <= 80


@pytest.mark.parametrize("name", VERB_NAMES)
def test_every_verb_is_in_the_readme(name: str) -> None:
    assert f"edgekit {name}" in README.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["fly"], "No such command"),
        (["train", "--fast"], "No such option"),
        (["train", "--epochs", "many"], "Invalid value for '--epochs'"),
        (["train"], "there are no images to use"),
        (["train", "no-such-recipe"], "no-such-recipe"),
        (["train", "--data", "no/such/folder"], "no/such/folder"),
        (["train", "--data", ".", "--backbone", "mobilenetv3"], "did you mean 'mobilenetv2'"),
        (["train", "--data", ".", "--set", "train.epoch=3"], "unknown key"),
        (["train", "--data", ".", "--set", "train.batch_size=many"], "train.batch_size"),
        (["train", "--data", ".", "--set", "train.batch_size"], "KEY=VALUE"),
        (["train", "--data", ".", "--image-size", "16"], "32"),
        (["train", "--resume"], "--run"),
        (["train", "--data", ".", "--strategy", "from-scratch"], "weights: none"),
        (["evaluate", "no/such/run"], "no/such/run"),
        (["export", "no/such/run"], "no/such/run"),
        (["bench", "no/such/run"], "no/such/run"),
        (["report", "no/such/run"], "no/such/run"),
        (["predict", "no/such/model.tflite", __file__], "model.tflite"),
        (["init", "no/such/folder"], "no/such/folder"),
        (["data", "audit", "no/such/folder"], "no/such/folder"),
        (["data", "fetch", "no-such-dataset"], "no-such-dataset"),
        (["list", "colours"], "colours"),
        (["verify", "no/such/run"], "no/such/run"),
        (["deploy", "no/such/run", "--target", "pi4"], "no/such/run"),
        (["target", "add", "Pi 4", "host"], "invalid target name"),
        (["target", "add", "pi4", "-oProxyCommand=x"], "No such option"),
        (["target", "add", "pi4", "a;b"], "not a host name"),
        (["target", "doctor", "local"], "edgekit doctor"),
        (["target", "setup", "web"], "'web' is a browser on this machine"),
        (["deploy", ".", "--target", "web"], "-o DIR"),
        (["deploy", ".", "--target", "pi4", "-o", "page"], "--out is for a web page"),
        (["list", "backbones", "--layers", "alexnet"], "alexnet"),
    ],
)
def test_wrong_use_is_one_clear_error_with_code_2(
    arguments: list[str], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    answer = edgekit(*arguments)
    assert answer.returncode == 2, answer.stderr
    assert said in " ".join(answer.stderr.split())
    assert "Traceback" not in answer.stderr
    assert answer.stdout == ""
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("verb", [["target", "setup", "pi9"], ["bench", ".", "--target", "pi9"]])
def test_an_unknown_target_is_code_4(verb: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    answer = edgekit(*verb)
    assert answer.returncode == 4
    assert "edgekit target add pi9 USER@HOST" in answer.stderr


def test_an_error_says_what_where_and_what_to_do() -> None:
    error = InputError("unknown backbone 'x'", where="recipe.yaml", hint="choose one of: vgg16")
    assert str(error) == "unknown backbone 'x'\n  where: recipe.yaml\n  hint: choose one of: vgg16"


def test_output_survives_a_terminal_that_knows_ascii_only() -> None:
    code = "from edgekit.cli import app; from edgekit.cli.output import Output\n"
    code += "app.app = lambda **_: Output().result({}, 'k\u00e4fer'); app.main([])"
    answer = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONIOENCODING": "ascii"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (answer.returncode, answer.stdout) == (0, "k\\xe4fer\n"), answer.stderr


def test_errors_are_json_too(tmp_path: Path) -> None:
    answer = edgekit("evaluate", str(tmp_path / "run"), "--json")
    error = json.loads(answer.stdout)["error"]
    assert error["exit_code"] == answer.returncode == 2
    assert str(tmp_path / "run") in error["where"]


def test_a_bug_is_one_line_and_a_traceback_only_for_debugging(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> listing.Rows:
        raise KeyError("no such column")

    monkeypatch.setitem(listing._TABLES, listing.Table.formats, broken)
    plain = edgekit("list", "formats")
    assert plain.returncode == 1
    assert "Traceback" not in plain.stderr
    assert "EDGEKIT_DEBUG=1" in plain.stderr
    monkeypatch.setenv("EDGEKIT_DEBUG", "1")
    with pytest.raises(KeyError):
        main(["list", "formats"])


def test_an_interrupt_that_arrives_inside_of_tensorflow_is_no_bug(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted() -> listing.Rows:
        raise RuntimeError("pybind11::error_already_set: KeyboardInterrupt: <EMPTY MESSAGE>")

    monkeypatch.setitem(listing._TABLES, listing.Table.formats, interrupted)
    answer = edgekit("list", "formats")
    assert (answer.returncode, answer.stderr) == (130, "interrupted\n")


def test_a_damaged_document_is_bad_input_and_no_bug(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "run.json").write_text('{"schema_version": 1, "status": "done"}')
    answer = edgekit("evaluate", str(tmp_path / "run"))
    assert answer.returncode == 2
    assert "damaged" in answer.stderr


def test_a_run_of_a_newer_edgekit_is_refused(tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text('{"schema_version": 99}')
    answer = edgekit("evaluate", str(tmp_path))
    assert answer.returncode == 2
    assert "newer edgekit" in answer.stderr
    assert "upgrade" in answer.stderr


@pytest.mark.parametrize("what", ["backbones", "recipes", "formats", "runtimes"])
def test_lists_fit_80_columns_and_are_json(what: str) -> None:
    text = edgekit("list", what).stdout
    assert max(map(len, text.splitlines())) <= 80
    assert json.loads(edgekit("list", what, "--json").stdout)[what]


def test_doctor_says_what_this_machine_can_do() -> None:
    text = edgekit("doctor").stdout
    assert max(map(len, text.splitlines())) <= 80
    document = json.loads(edgekit("doctor", "--json").stdout)
    needed = [find_spec(module) is not None for module in ("keras", "sklearn")]
    frameworks = [find_spec(module) is not None for module in ("tensorflow", "jax", "torch")]
    assert document["can"]["train"] is (all(needed) and any(frameworks))
    assert {"keras", "litert", "onnxruntime", "browser"} <= {check["name"] for check in document["checks"]}


def test_a_long_step_without_a_terminal_says_how_far_it_is(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def step() -> str:
        with Output().bar("accuracy", 3) as bar:
            for _ in range(3):
                bar.advance()
        return capsys.readouterr().err

    assert step() == "", "what is soon done says nothing"
    monkeypatch.setattr("edgekit.cli.output.LOG_EVERY_S", 0.0)
    assert step() == "accuracy: 1 of 3\naccuracy: 2 of 3\naccuracy: 3 of 3\n"
    clock = iter((0.0, 20.0, 400.0, 600.0))
    monkeypatch.setattr("edgekit.cli.output.time.monotonic", clock.__next__)
    assert step() == ("accuracy: 1 of 3, about 40 s left\naccuracy: 2 of 3, about 3 min left\naccuracy: 3 of 3\n")
