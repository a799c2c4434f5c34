"""The files that stages exchange: typed, frozen, versioned documents, and the folders that contain them.

``DOCUMENTS`` lists every kind of JSON document with its model; the published JSON Schemas are generated from it. It is
imported on first use, because models need pydantic, and ``edgekit --help`` does not.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from edgekit.documents.catalog import DOCUMENTS as DOCUMENTS


def __getattr__(name: str) -> object:
    if name == "DOCUMENTS":
        from edgekit.documents.catalog import DOCUMENTS

        return DOCUMENTS
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
