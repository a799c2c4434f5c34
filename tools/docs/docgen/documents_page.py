"""The JSON documents of edgekit: a page with their keys, and a JSON Schema file for each.

The table of documents is ``edgekit.documents.DOCUMENTS``, ``{name: model}``. Where that package does not exist, the
page says so and no schema is written.
"""

from __future__ import annotations

import importlib
import json
import re
from typing import Any

from pydantic import BaseModel, TypeAdapter

from docgen.markdown import code, notice, prose, table
from docgen.models import own_doc, rows, type_text, walk

PAGE = "docs/reference/documents.md"

INTRODUCTION = """\
# JSON documents

edgekit's stages exchange JSON files, and `--json` prints the same documents. Every document carries `schema_version`.
edgekit refuses a document that a newer version wrote and tells you to upgrade.

Names carry their unit: `latency_ns` is in nanoseconds, `size_bytes` in bytes, `drop_points` in percentage points of
accuracy. Latencies are stored as raw samples; edgekit computes the statistics when it reads them.

[Run folder](run-folder.md) lists where each file is stored.
"""

RECIPE = "edgekit.recipe."
"""Models below this package have a page of their own."""

NO_SCHEMAS = "This version does not publish JSON Schemas."


def documents() -> dict[str, type[Any]]:
    """The table of documents, empty where this version has none."""
    try:
        module = importlib.import_module("edgekit.documents")
    except ModuleNotFoundError as error:
        if error.name != "edgekit.documents":
            raise
        return {}
    return dict(getattr(module, "DOCUMENTS", {}))


def pages(table_of_documents: dict[str, type[Any]] | None = None) -> dict[str, str]:
    """The page, and a schema file for each document."""
    found = documents() if table_of_documents is None else table_of_documents
    parts = [notice("`edgekit.documents.DOCUMENTS`"), INTRODUCTION.rstrip()]
    built: dict[str, str] = {}
    if not found:
        parts.append(NO_SCHEMAS)
    nested = _nested(found)
    links = {model.__name__: f"#{model.__name__.lower()}" for model in nested}
    links |= {model.__name__: "recipe.md" for model in _nested(found, of_recipe=True)}
    for name, model in found.items():
        schema = TypeAdapter(model).json_schema(by_alias=True, mode="serialization")
        file = f"{re.sub(r'[^a-z0-9]+', '-', name.lower()).strip('-')}.schema.json"
        built[f"docs/reference/schemas/{file}"] = json.dumps(schema, indent=1, sort_keys=True) + "\n"
        parts += [f"## {name}", *_document(model, schema, links), f"JSON Schema: [{file}](schemas/{file})"]
    if nested:
        parts.append("## Nested objects")
    for model in nested:
        parts += [f"### {model.__name__}", *_document(model, {}, links)]
    return {PAGE: "\n\n".join(parts) + "\n", **built}


def _nested(found: dict[str, type[Any]], *, of_recipe: bool = False) -> list[type[BaseModel]]:
    """The models inside the documents, each once, by name: those that the recipe page has, or all others."""
    seen: set[type] = set()
    models = [m for top in found.values() if _is_model(top) for _, m in walk("", top, seen)]
    chosen = (m for m in models if m not in found.values() and m.__module__.startswith(RECIPE) == of_recipe)
    return sorted(chosen, key=lambda m: m.__name__)


def _is_model(thing: type[Any]) -> bool:
    return isinstance(thing, type) and issubclass(thing, BaseModel)


def _document(model: type[Any], schema: dict[str, Any], links: dict[str, str]) -> list[str]:
    parts = [prose(own_doc(model))] if own_doc(model) else []
    if _is_model(model):
        fields = [(key, kind, text) for key, kind, _, text in rows(model, links)]
    else:
        properties = schema.get("properties", {}).items()
        fields = [(code(key), type_text(entry), prose(entry.get("description", ""))) for key, entry in properties]
    return [*parts, table(("Key", "Type", "Description"), fields)] if fields else parts
