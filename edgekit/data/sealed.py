"""Documents in the cache that carry a checksum of themselves: a damaged one is not believed."""

from __future__ import annotations

import hashlib
import json
from typing import TypeVar

from edgekit.documents.base import Document

S = TypeVar("S", bound="SealedDocument")


class SealedDocument(Document):
    """A document with a checksum over all its other values."""

    checksum: str = ""
    """SHA-256 of the other values."""

    def seal(self: S) -> S:
        """The same document with its checksum."""
        return self.model_copy(update={"checksum": self._digest()})

    def is_sound(self) -> bool:
        """Whether the values are those that were sealed."""
        return self.checksum == self._digest()

    def _digest(self) -> str:
        values = {name: value for name, value in self.to_dict().items() if name != "checksum"}
        return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()
