"""The documents of training and data describe every field in their JSON Schema."""

from __future__ import annotations

from typing import Any

import pytest

from edgekit.documents.audit import AuditDocument
from edgekit.documents.base import Document
from edgekit.documents.images import CorruptedCopyDocument, DownloadDocument, SuggestionDocument
from edgekit.documents.run import GradCamDocument, RunDocument

OWN_NAME_SAYS_IT = {"path", "split", "reason", "name", "sha256", "weights", "dataset", "model", "environment", "timing"}
"""Fields that need no description."""


def undescribed(schema: dict[str, Any]) -> list[str]:
    models = {schema["title"]: schema, **schema.get("$defs", {})}
    return [
        f"{name}.{field}"
        for name, model in models.items()
        for field, about in model.get("properties", {}).items()
        if field not in OWN_NAME_SAYS_IT and "description" not in about and "$ref" not in about
    ]


@pytest.mark.parametrize(
    "document",
    [RunDocument, GradCamDocument, AuditDocument, SuggestionDocument, CorruptedCopyDocument, DownloadDocument],
)
def test_every_field_has_a_description(document: type[Document]) -> None:
    assert undescribed(document.model_json_schema()) == []
