"""Tables of pydantic models: keys, types, limits, defaults and the docstrings under the fields."""

from __future__ import annotations

import ast
import inspect
import itertools
import json
import textwrap
import typing
from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel
from pydantic_core import PydanticUndefined

from docgen.markdown import code, first_sentence, prose


def field_docs(model: type[BaseModel]) -> dict[str, str]:
    """The text of every field: its ``description``, or the docstring that stands under it in the class or a base."""
    found: dict[str, str] = {}
    for owner in reversed(model.__mro__):
        if owner is not BaseModel and owner is not object and issubclass(owner, BaseModel):
            found |= attribute_docstrings(owner)
    for name, field in model.model_fields.items():
        if field.description:
            found[name] = field.description
    return found


def attribute_docstrings(owner: type) -> dict[str, str]:
    """The docstrings under the annotated attributes in the body of a class."""
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(owner)))
    except (OSError, TypeError):
        return {}
    body = tree.body[0].body if tree.body and isinstance(tree.body[0], ast.ClassDef) else []
    docs: dict[str, str] = {}
    for statement, following in itertools.pairwise(body):
        if (
            isinstance(statement, ast.AnnAssign)
            and isinstance(statement.target, ast.Name)
            and isinstance(following, ast.Expr)
            and isinstance(following.value, ast.Constant)
            and isinstance(following.value.value, str)
        ):
            docs[statement.target.id] = inspect.cleandoc(following.value.value)
    return docs


def own_doc(model: type[Any]) -> str:
    """The docstring of a class, or "" where it has only an inherited one."""
    doc = model.__dict__.get("__doc__")
    return inspect.cleandoc(doc) if doc else ""


def default_text(model: type[BaseModel], name: str) -> str:
    """The default of a field as YAML would have it; "required" where there is none, "" for a nested section."""
    field = model.model_fields[name]
    if field.is_required():
        return "required"
    value = field.get_default(call_default_factory=not _takes_data(field))
    if value is PydanticUndefined or isinstance(value, BaseModel):
        return ""
    if value == "":
        return code('""')
    if isinstance(value, (list, tuple)) and value and all(isinstance(v, (str, int, float)) for v in value):
        return code("[" + ", ".join(map(str, value)) + "]")
    return code(value if isinstance(value, str) else json.dumps(value, default=str))


def _takes_data(field: Any) -> bool:
    return bool(getattr(field, "default_factory_takes_validated_data", False))


def type_text(schema: dict[str, Any], links: dict[str, str] | None = None) -> str:
    """A JSON Schema of one field in words: ``integer ≥ 1``, ``one of `a`, `b```, ``list of string or `null```."""
    links = links or {}
    union = schema.get("anyOf") or schema.get("oneOf") or schema.get("allOf")
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        text = f"[{name}]({links[name]})" if name in links else code(name)
    elif union:
        parts = list(dict.fromkeys(type_text(part, links) for part in union))
        text = (", or " if any("," in part for part in parts) else " or ").join(parts)
    elif "const" in schema:
        text = code(json.dumps(schema["const"]).strip('"'))
    elif "enum" in schema:
        text = "one of " + ", ".join(code(str(value)) for value in schema["enum"])
    else:
        text = _plain_type(schema, links)
    return text


def _plain_type(schema: dict[str, Any], links: dict[str, str]) -> str:
    kind = schema.get("type", "any value")
    items, values = schema.get("items"), schema.get("additionalProperties")
    if kind == "null":
        return code("null")
    if kind == "array":
        return f"list of {type_text(items, links)}" if items else "list"
    if kind == "object":
        return f"mapping of name to {type_text(values, links)}" if isinstance(values, dict) and values else "mapping"
    return " ".join(filter(None, [str(kind), _limits(schema)]))


def _limits(schema: dict[str, Any]) -> str:
    """The limits of a number in signs (``≥ 0, < 1``), or the pattern of a string."""
    signs = {"minimum": "≥", "exclusiveMinimum": ">", "maximum": "≤", "exclusiveMaximum": "<"}
    limits = [f"{sign} {schema[key]:g}" for key, sign in signs.items() if key in schema and schema[key] < 2**31]
    if "pattern" in schema:
        limits.append(f"matching {code(schema['pattern'])}")
    return ", ".join(limits)


def rows(model: type[BaseModel], links: dict[str, str] | None = None) -> list[tuple[str, str, str, str]]:
    """A table row for each field: key, type, default and description."""
    schema = model.model_json_schema(by_alias=True)
    docs = field_docs(model)
    result = []
    for name, field in model.model_fields.items():
        key = field.alias or name
        entry = schema.get("properties", {}).get(key, {})
        text = prose(docs.get(name) or _about_nested(field.annotation))
        result.append((code(key), type_text(entry, links), default_text(model, name), text))
    return result


def _about_nested(annotation: object) -> str:
    nested = list(nested_models(annotation))
    return first_sentence(own_doc(nested[0])) if len(nested) == 1 and own_doc(nested[0]) else ""


def nested_models(annotation: object) -> Iterator[type[BaseModel]]:
    """The models that an annotation names, in whatever list, mapping or union."""
    if isinstance(annotation, type) and not typing.get_args(annotation) and issubclass(annotation, BaseModel):
        yield annotation
    for argument in typing.get_args(annotation):
        yield from nested_models(argument)


def walk(path: str, model: type[BaseModel], seen: set[type] | None = None) -> Iterator[tuple[str, type[BaseModel]]]:
    """The model and those nested in it, each once, with the dotted path where it first stands."""
    seen = set() if seen is None else seen
    if model in seen:
        return
    seen.add(model)
    yield path, model
    for name, field in model.model_fields.items():
        for nested in nested_models(field.annotation):
            yield from walk(f"{path}.{name}" if path else name, nested, seen)
