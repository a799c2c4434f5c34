"""The messages between host and device: jobs, requests and events, as JSON objects with known keys.

The host starts the device program with a verb and sends one JSON object, a *job* (it runs models) or a *request* (it
looks after files and running jobs). The program answers with one JSON object per line, the *events*. Both sides import
these types: ``jobs`` and ``requests`` hold what is sent, ``events`` and ``requests`` what comes back, and each verb in
``verbs`` ties the two together, so that a wrong key is a type error on either side.

Host and device always run the same version: the host sends the program before it uses it. Keys may therefore change
without a migration. Units are part of the key (``_ns``, ``_bytes``, ``_c``). Standard library only, Python 3.9.
"""

from __future__ import annotations

from typing import Callable, TypeVar

CONTROL_SUFFIX = "#again"
"""Ends the key of the second copy of a model that is measured twice, as the A/A control."""

SAME_SUFFIX = "#same"
"""Ends the key of the copy of a model that is measured on one image again and again."""

DECODED_IMAGES = 16
"""Images on which decoding and resizing are timed."""

NOISE_IMAGES = 8
"""Different pictures of seeded noise, the input of a model without images."""

CLEAN: tuple[str, int] = ("clean", 0)
"""The condition of an image that is not corrupted, in place of the name and severity of a corruption."""

CHUNK = 32
"""How many images one ``predictions`` event is about."""


def control_key(key: str) -> str:
    """The key of the second copy of the model ``key``."""
    return key + CONTROL_SUFFIX


def same_key(key: str) -> str:
    """The key of the copy of the model ``key`` that always gets the same image."""
    return key + SAME_SUFFIX


def model_key(key: str) -> str:
    """The key of the model that ``key`` is about, which may be a copy of it."""
    for suffix in (CONTROL_SUFFIX, SAME_SUFFIX):
        if key.endswith(suffix):
            return key[: -len(suffix)]
    return key


Emitted_contra = TypeVar("Emitted_contra", contravariant=True)

Emit = Callable[[Emitted_contra], None]
"""Writes one event as a line of JSON, at once."""
