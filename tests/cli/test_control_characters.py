"""Control characters from files and devices are shown as escapes, wherever the command line prints."""

from __future__ import annotations

import io
import json

import pytest

from edgekit.cli.app import main
from edgekit.cli.output import Output, table
from edgekit.errors import EdgekitError
from edgekit.render.markdown import escaped
from edgekit.render.text import visible

NASTY = "a\x1b[31mred\x07\x9b2J\x7f\r\u202ecod\u2028x\udc80"
SHOWN = "a\\x1b[31mred\\x07\\x9b2J\\x7f\\r\\u202ecod\\u2028x\\udc80"


def test_control_characters_are_shown():
    assert visible(NASTY) == SHOWN
    assert visible("a\nb\tc") == "a\\nb\\tc"
    assert visible("a\nb\tc", keep="\n\t") == "a\nb\tc"
    assert visible("\U000e0041") == "\\U000e0041"


@pytest.mark.parametrize("text", ["Blüte 花 🌻", "کتاب\u200cها", "é", "👩\u200d🌾", "a\u00a0b"])
def test_text_of_all_languages_stays(text):
    assert visible(text) == text


def test_every_control_character_of_unicode_is_escaped():
    import unicodedata

    for code in range(0x110000):
        if unicodedata.category(chr(code)) in ("Cc", "Zl", "Zp", "Cs"):
            assert visible(chr(code)).startswith("\\")


def test_messages_results_and_tables_are_harmless(capsys):
    out = Output()
    out.info(NASTY)
    out.warn(NASTY)
    out.error(EdgekitError(NASTY, where=f"{NASTY}\n  hint: rm -rf", hint=NASTY))
    out.result({}, f"{NASTY}\n")
    out.result({}, table([NASTY], [[f"{NASTY}\nx"]]))
    with out.bar(NASTY, 1) as bar:
        bar.note(NASTY)
        bar.advance()
    said = capsys.readouterr()
    assert all(c.isprintable() or c == "\n" for c in said.err + said.out)
    assert said.err.count("hint:") == 2, "a line break in a path starts no new line"
    assert said.err.count(SHOWN) == 5
    assert len(said.out.splitlines()) == 4


def test_live_bars_are_harmless(monkeypatch):
    from rich.console import Console

    text = io.StringIO()
    out = Output()
    out._console = Console(file=text, force_terminal=True, width=200, color_system=None)
    with out.bar(f"[bold]{NASTY}[/bold]", 2) as bar:
        bar.note(f"[red]{NASTY}")
        bar.advance()
    assert f"[bold]{SHOWN}[/bold]" in text.getvalue()
    assert "\x1b[31m" not in text.getvalue()
    assert "\x07" not in text.getvalue()


def test_usage_errors_are_harmless(capsys):
    with pytest.raises(SystemExit):
        main(["bench", "--protocol\x1b[2J"])
    assert "\x1b" not in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main(["predict", "x\x1b[2J.onnx", "y\x1b[2J.png"])
    assert "\x1b" not in capsys.readouterr().err


def test_json_stays_exact(capsys):
    Output(json_mode=True).result({"name": NASTY})
    said = capsys.readouterr().out
    assert json.loads(said) == {"name": NASTY}
    assert said.isascii()


def test_markdown_is_harmless():
    assert "\x1b" not in escaped(NASTY)
    assert "\\x1b" in escaped(NASTY)
