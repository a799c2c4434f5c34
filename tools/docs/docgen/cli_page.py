"""The command-line reference, from the Typer application itself."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from docgen.markdown import block, code, first_sentence, notice, prose, table

COMMON = ("--json", "--quiet", "--help")
"""Options that every verb has; they are described once."""

EXIT_CODES = (
    ("0", "Success."),
    ("1", "The job failed. The message gives the reason."),
    ("2", "Wrong usage or bad input."),
    (
        "3",
        "A check failed: the accuracy gate, the parity check, the golden outputs, or a check against a baseline "
        "(undecided: 0).",
    ),
    ("4", "A target could not be reached or prepared."),
    ("130", "Interrupted. Most verbs resume when you run the same command again."),
)

INTRODUCTION = """\
# Command line

Results go to stdout; progress and messages go to stderr. This page lists what `edgekit VERB --help` prints.

## Common options

Every verb takes these options.

| Option | Description |
| --- | --- |
| `--json` | Print one JSON document on stdout and nothing else. |
| `-q`, `--quiet` | Show no progress on stderr. |
| `-h`, `--help` | Show the help and exit. |

`edgekit --version` prints the version. An error is one message that says what is wrong, where, and how to fix it;
set `EDGEKIT_DEBUG=1` to get the Python traceback as well.

## Exit codes
"""


def page() -> str:
    """The whole page."""
    commands = list(verbs())
    index = table(
        ("Verb", "Purpose"), [(f"[`{name}`](#{name.replace(' ', '-')})", _summary(verb)) for name, verb in commands]
    )
    parts = [notice("the command-line interface"), INTRODUCTION.rstrip(), table(("Code", "Meaning"), EXIT_CODES)]
    parts += ["## Verbs", index, *(_section(name, verb) for name, verb in commands)]
    return "\n\n".join(parts) + "\n"


def verbs() -> Iterator[tuple[str, Any]]:
    """Every command of ``edgekit``, with its full name (``edgekit data audit``), in the order of the help."""
    import typer

    from edgekit.cli.app import app

    yield from _commands("edgekit", typer.main.get_command(app))


def _commands(name: str, group: Any) -> Iterator[tuple[str, Any]]:
    for key, command in group.commands.items():
        if getattr(command, "hidden", False):
            continue
        full = f"{name} {key}"
        if getattr(command, "commands", None):
            yield from _commands(full, command)
        else:
            yield full, command


def _summary(command: Any) -> str:
    return prose(first_sentence(command.help or ""))


def _section(name: str, command: Any) -> str:
    import typer

    context = typer.Context(command, info_name=name)
    text, examples = _help(command.help or "")
    usage = " ".join([name, *command.collect_usage_pieces(context)])
    parts = [f"### {name}", text, block(usage, "text")]
    arguments, options = _parameters(command, context)
    if arguments:
        parts.append(table(("Argument", "Description"), arguments))
    if options:
        parts.append(table(("Option", "Value", "Description", "Default"), options))
    if examples:
        parts += ["Examples:" if "\n" in examples else "Example:", block(examples, "bash")]
    return "\n\n".join(part for part in parts if part)


def _help(text: str) -> tuple[str, str]:
    """The paragraphs of a help text as Markdown, and its examples as they are."""
    paragraphs: list[str] = []
    examples: list[str] = []
    for part in re.split(r"\n\s*\n", text.strip()):
        lines = part.split("\n")
        kept = lines[0].strip() == "\b"
        lines = lines[1:] if kept else lines
        match = re.match(r"Examples?:\s*(.*)", lines[0].strip())
        if match:
            rest = [line.strip() for line in lines[1:]]
            examples += rest if kept else []
            if match.group(1):
                examples.append(" ".join([match.group(1), *(() if kept else rest)]))
        elif kept:
            paragraphs.append(block("\n".join(lines), "text"))
        else:
            paragraphs.append(prose("\n".join(line.strip() for line in lines)))
    return "\n\n".join(paragraphs), "\n".join(line for line in examples if line)


def _parameters(command: Any, context: Any) -> tuple[list[tuple[str, ...]], list[tuple[str, ...]]]:
    arguments: list[tuple[str, ...]] = []
    options: list[tuple[str, ...]] = []
    for parameter in command.params:
        record = parameter.get_help_record(context)
        if record is None or set(parameter.opts) & set(COMMON):
            continue
        names, value = _invocation(record[0])
        description, extras = _extras(record[1])
        limits = [extra for extra in extras if not extra.startswith(("default:", "required"))]
        if limits and value in {"int range", "float range", "int", "float", "N"}:
            signs = ", ".join(limits).replace("x>=", "≥ ").replace("x<=", "≤ ")
            value = f"{'N' if 'int' in value else value}, {signs}".replace("float range", "number")
        default = next((e.partition(":")[2].strip() for e in extras if e.startswith("default:")), "")
        if parameter.param_type_name == "argument":
            name = getattr(parameter, "metavar", None) or record[0].partition(" ")[0]
            needed = "" if parameter.required else " Optional."
            arguments.append((code(name), prose(description) + needed))
        else:
            name = ", ".join(map(code, names))
            options.append((name, _value(value), prose(description), _default(default, required=parameter.required)))
    return arguments, options


def _value(text: str) -> str:
    """The value of an option as code; choices one by one, because a table shows ``\\|`` within code differently."""
    return " or ".join(code(part.strip()) for part in text.split("|"))


def _default(default: str, *, required: bool) -> str:
    if required:
        return "required"
    is_remark = default.startswith("(") or " " in default
    return prose(default.strip("()")) if is_remark else code(default)


def _invocation(text: str) -> tuple[list[str], str]:
    """``-j, --jobs N`` as its names and the value: ``(["-j", "--jobs"], "N")``."""
    names = re.findall(r"(?:^|[\s,/])(--?[A-Za-z][\w-]*)", text)
    value = re.sub(r"(?:^|[\s,/]+)--?[A-Za-z][\w-]*", "", text).strip(" ,/")
    return names, value.strip("<>") if re.fullmatch(r"<[^<>]*>", value) else value


def _extras(text: str) -> tuple[str, list[str]]:
    """The help of an option without the ``[default: 1; x>=0]`` at its end, and the parts of that.

    A default that the help itself states in brackets at its end, ``(default: 32)``, counts as well.
    """
    text = " ".join(text.split())
    extras: list[str] = []
    if match := re.search(r"\s*\[([^\[\]]*)\]$", text):
        parts = [part.strip() for part in match.group(1).split(";")]
        if any(re.match(r"default:|required|x[<>]|\d+(\.\d+)?<=?x", part) for part in parts):
            text, extras = text[: match.start()], parts
    if match := re.search(r"\s*\((default: [^()]*)\)$", text):
        text, extras = text[: match.start()], [*extras, match.group(1)]
    return text.strip(), extras
