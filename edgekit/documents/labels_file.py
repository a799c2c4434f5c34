"""Reads a file of class names that a person names on the command line."""

from __future__ import annotations

from pathlib import Path

from edgekit.device.labels import MOST_BYTES, LabelsError, parse_labels
from edgekit.errors import InputError
from edgekit.support.paths import expanded


def read_labels_file(path: Path) -> list[str]:
    """The class names in a labels file of any origin: text, JSON or CSV.

    Raises :class:`InputError` for a file that cannot be read, has no names, or can be read in two ways.
    """
    try:
        with expanded(path).open("rb") as stream:
            return parse_labels(stream.read(MOST_BYTES + 1), path.name)
    except LabelsError as error:
        hint = "write one name per line, or use JSON ([name, ...], {name: index}, {index: name}) or CSV (index,name)"
        raise InputError(f"the labels file cannot be used: {error.reason}", where=str(path), hint=hint) from None
    except (OSError, ValueError) as error:
        reason = ((isinstance(error, OSError) and error.strerror) or str(error)).lower()
        raise InputError(f"the labels file cannot be read: {reason}", where=str(path)) from None
