"""The Python API reference, from ``edgekit.__all__``: signatures and docstrings."""

from __future__ import annotations

import dataclasses
import enum
import importlib
import inspect
import json
import re
import types
import typing
from typing import Any

from pydantic import BaseModel

from docgen.markdown import block, notice, prose, table
from docgen.models import attribute_docstrings, field_docs, own_doc, type_text

INTRODUCTION = """\
# Python API

The names on this page are the public API: `import edgekit` gives you all of them. Everything else is private and may
change without notice. [JSON documents](documents.md) describes the fields of returned documents.
"""

NOTHING = """\
# Python API

This version has no public Python API. Use the [command line](cli.md): every verb prints one JSON document with
`--json`.
"""

SECTIONS = ("Args", "Arguments", "Parameters", "Returns", "Raises", "Yields", "Example", "Examples", "Note", "Notes")
TITLES = {"Args": "Arguments", "Parameters": "Arguments"}
WIDTH = 100


def page() -> str:
    """The whole page."""
    module = importlib.import_module("edgekit")
    names = [name for name in getattr(module, "__all__", ()) if not name.startswith("_")]
    if not names:
        return notice("`edgekit.__all__`") + "\n\n" + NOTHING
    parts = [notice("`edgekit.__all__`"), INTRODUCTION.rstrip(), *_overview(module, names)]
    entries = [(name, getattr(module, name)) for name in names]
    groups = {
        "Functions": [(n, o) for n, o in entries if not inspect.isclass(o) and callable(o)],
        "Classes": [(n, o) for n, o in entries if inspect.isclass(o) and not issubclass(o, BaseException)],
        "Exceptions": [(n, o) for n, o in entries if inspect.isclass(o) and issubclass(o, BaseException)],
        "Modules and values": [(n, o) for n, o in entries if not callable(o)],
    }
    for title, members in groups.items():
        if members:
            parts += [f"## {title}", *(_entry(name, thing) for name, thing in members)]
    return "\n\n".join(parts) + "\n"


def _overview(package: Any, names: list[str]) -> list[str]:
    """The docstring of the module that the first function comes from, unless that is the package itself."""
    functions = (getattr(package, name) for name in names)
    text = importlib.import_module("edgekit.api").__doc__ if functions else None
    return [docstring(inspect.cleandoc(text))] if text else []


def _entry(name: str, thing: Any) -> str:
    heading = f"### {name}"
    if inspect.ismodule(thing):
        return "\n\n".join([heading, docstring(thing.__doc__ or "")]).rstrip()
    if inspect.isclass(thing):
        return "\n\n".join(part for part in [heading, *_class(name, thing)] if part)
    if callable(thing):
        text = docstring(inspect.getdoc(thing) or "")
        return "\n\n".join(part for part in [heading, block(signature(name, thing), "python"), text] if part)
    return f"{heading}\n\nA value of type `{type(thing).__name__}`."


def _class(name: str, cls: type[Any]) -> list[str]:
    parts = []
    if issubclass(cls, BaseException):
        bases = [base.__name__ for base in cls.__bases__ if base is not object]
        parts.append(block(f"class {name}({', '.join(bases)})", "python"))
    elif not issubclass(cls, (enum.Enum, BaseModel)):
        parts.append(block(signature(name, cls), "python"))
    parts.append(docstring(own_doc(cls)) if not _is_generated_doc(cls) else "")
    if issubclass(cls, enum.Enum):
        parts.append(table(("Member", "Value"), [(f"`{m.name}`", f"`{m.value!r}`") for m in cls]))
    elif dataclasses.is_dataclass(cls):
        docs = attribute_docstrings(cls)
        fields = [(f"`{f.name}`", f"`{_annotation(f.type, '')}`", prose(docs.get(f.name, ""))) for f in _fields(cls)]
        parts.append(table(("Attribute", "Type", "Description"), fields) if fields else "")
    elif cls.__module__.startswith("edgekit.recipe"):
        parts.append("[Recipe](recipe.md) describes its fields.")
    elif issubclass(cls, BaseModel):
        properties = cls.model_json_schema().get("properties", {})
        docs = field_docs(cls)
        parts.append(
            table(
                ("Attribute", "Type", "Description"),
                [(f"`{n}`", type_text(properties.get(n, {})), prose(docs.get(n, ""))) for n in cls.model_fields],
            )
            if cls.model_fields
            else ""
        )
    parts += [_member(name, key, value) for key, value in vars(cls).items() if _public(key, value)]
    return parts


def _fields(cls: type[Any]) -> list[Any]:
    return [field for field in dataclasses.fields(cls) if not field.name.startswith("_")]


def _is_generated_doc(cls: type[Any]) -> bool:
    """Whether the docstring is the signature that ``@dataclass`` writes."""
    return dataclasses.is_dataclass(cls) and own_doc(cls).startswith(f"{cls.__name__}(")


def _public(key: str, value: Any) -> bool:
    if key.startswith(("_", "model_")):
        return False
    documented = getattr(value, "__func__", value)
    return (inspect.isroutine(documented) or isinstance(value, property)) and bool(inspect.getdoc(documented))


def _member(owner: str, key: str, value: Any) -> str:
    if isinstance(value, property):
        return f"**`{owner}.{key}`** (property)\n\n{docstring(inspect.getdoc(value) or '')}"
    function = getattr(value, "__func__", value)
    text = docstring(inspect.getdoc(function) or "")
    return f"**`{owner}.{key}`**\n\n{block(signature(key, function, bound=True), 'python')}\n\n{text}"


def signature(name: str, thing: Any, *, bound: bool = False) -> str:
    """The signature as Python source, one parameter a line where it does not fit on one."""
    try:
        found = inspect.signature(thing)
    except (TypeError, ValueError):
        return f"{name}(...)"
    parameters = list(found.parameters.values())
    if bound and parameters and parameters[0].name in {"self", "cls"}:
        parameters = parameters[1:]
    result = "" if inspect.isclass(thing) else _annotation(found.return_annotation, " -> ")
    texts = [_with_aliases(text, thing) for text in _parameter_texts(parameters)]
    line = f"{name}({', '.join(texts)}){result}"
    if len(line) <= WIDTH:
        return line
    return f"{name}(\n" + "".join(f"    {text},\n" for text in texts) + f"){result}"


def _with_aliases(text: str, function: Any) -> str:
    """The parameter with names of unions, such as ``AnyPath``, spelled out."""
    known = getattr(function, "__globals__", {})

    def spelled(match: re.Match[str]) -> str:
        value = known.get(match.group())
        is_union = typing.get_origin(value) in {typing.Union, types.UnionType}
        return _annotation(value, "").replace("os.PathLike", "PathLike") if is_union else match.group()

    name, colon, annotation = text.partition(": ")
    return name + colon + re.sub(r"\b[A-Z]\w+\b", spelled, annotation)


def _parameter_texts(parameters: list[inspect.Parameter]) -> list[str]:
    texts = []
    starred = False
    for parameter in parameters:
        if parameter.kind is parameter.KEYWORD_ONLY and not starred:
            texts.append("*")
            starred = True
        prefix = {parameter.VAR_POSITIONAL: "*", parameter.VAR_KEYWORD: "**"}.get(parameter.kind, "")
        starred = starred or prefix == "*"
        annotation = _annotation(parameter.annotation, ": ")
        default = "" if parameter.default is parameter.empty else _default(parameter.default, spaced=bool(annotation))
        texts.append(prefix + parameter.name + annotation + default)
    return texts


def _default(value: Any, *, spaced: bool) -> str:
    text = json.dumps(value, ensure_ascii=False) if isinstance(value, str) else repr(value)
    text = "..." if " at 0x" in text or text.startswith("<") else text
    return f" = {text}" if spaced else f"={text}"


def _annotation(annotation: Any, before: str) -> str:
    if annotation is inspect.Parameter.empty:
        return ""
    text = annotation if isinstance(annotation, str) else inspect.formatannotation(annotation)
    text = re.sub(r"^(['\"])([^'\"]*)\1$", r"\2", text)  # quoted in the source, too
    return before + re.sub(r"\b(?:pathlib(?:\._local)?|typing|collections\.abc|edgekit(?:\.\w+)*)\.(?=\w)", "", text)


def docstring(text: str) -> str:
    """A docstring as Markdown: sections such as ``Args:`` become lists, indented literal blocks become code."""
    parts = []
    text = re.sub(r"(\n    [^\n]*\n)\s*\n(?=    \S)", r"\1\0\n", text.strip())  # an empty line within code
    for paragraph in re.split(r"\n\s*\n", text):
        first, _, rest = paragraph.partition("\n")
        title = first.strip().rstrip(":")
        if first.strip().endswith(":") and title in SECTIONS and rest:
            parts += [f"**{TITLES.get(title, title)}**", _section(title, inspect.cleandoc("\n" + rest))]
        elif paragraph.startswith(("    ", ">>>")):
            parts.append(block(inspect.cleandoc("\n" + paragraph.replace("\0", "")), "python"))
        else:
            parts.append(re.sub(r"::$", ":", prose(paragraph)))
    return "\n\n".join(part for part in parts if part)


def _section(title: str, text: str) -> str:
    if title.startswith("Example"):
        return block(text, "python")
    items = re.split(r"\n(?=\S)", text)
    if title in {"Returns", "Yields", "Note", "Notes"}:
        return prose(" ".join(text.split()))
    return "\n".join(_item(" ".join(item.split())) for item in items)


def _item(text: str) -> str:
    name, colon, rest = text.partition(":")
    return f"- `{name.strip()}`: {prose(rest)}" if colon else f"- {prose(text)}"
