"""The shape of what a device sends: the keys, types and ranges of each event, as the protocol says them.

Nothing else of edgekit looks at an event before this.
"""

from __future__ import annotations

import json
import math
import re
import types
from collections.abc import Mapping
from functools import cache
from typing import Literal, TypeVar, Union, cast, get_args, get_origin, get_type_hints, is_typeddict

from edgekit.device.protocol import events, requests, verbs
from edgekit.errors import TargetError

LONGEST_TEXT = 1 << 16
"""Characters of one text of an event, except for packed probabilities."""

_LARGEST = 1 << 62
_UNITS: tuple[tuple[str, float, float], ...] = (
    ("_ns", 0, 1e18),
    ("_bytes", 0, 1e18),
    ("_khz", 0, 1e9),
    ("_c", -280, 2000),
    ("_s", 0, 1e12),
    ("joules", 0, 1e12),
    ("_cores", 0, 1e6),
    ("load_average", 0, 1e9),
)
"""The range of numbers whose key ends like this."""
_COUNTS = {
    **dict.fromkeys(("cores", "usable_cores", "threads", "runs", "count", "classes", "shape", "bits", "windows"), 1),
    **dict.fromkeys(
        ("userland_bits", "round", "start", "condition", "number", "predicted", "expected", "image", "pinned"), 0
    ),
    **dict.fromkeys(("differences", "cooldown_s", "python", "version", "size"), 0),
    "ns": 1,  # no run takes no time
    "nodes.ns": 0,  # but an operator may: ONNX Runtime counts whole microseconds
}
"""The smallest value of other numbers, by their key, or by the whole path to it where a key has two meanings."""


class InvalidAnswer(Exception):
    """An event that the protocol does not allow here."""


def invalid_answer(target: str, problem: str) -> TargetError:
    """The error for an answer that is not believed."""
    return TargetError(
        f"{target} sent an invalid response: {problem}",
        where=f"target {target}",
        hint="rerun this command; if it fails again, check that machine "
        + ("(edgekit doctor)" if target == "local" else f"(edgekit target doctor {target})"),
    )


def parse_line(line: bytes) -> dict[str, object]:
    """One JSON line of the device program. Raises :class:`InvalidAnswer`."""
    try:
        event = json.loads(line, parse_constant=_refuse)
    except (ValueError, RecursionError):
        raise InvalidAnswer(f"a line is not JSON: {_shown(line[:60].decode(errors='replace'))}") from None
    if not isinstance(event, dict) or not isinstance(event.get("event"), str):
        raise InvalidAnswer("a line is not an event")
    return cast("dict[str, object]", event)


def check_shape(event: Mapping[str, object], verb: str) -> None:
    """Raise :class:`InvalidAnswer` unless ``event`` is one that ``verb`` can emit, with all its keys and no other."""
    name = event.get("event")
    possible = [kind for kind in _kinds_of(verb) if name in get_args(_hints(kind)["event"])]
    if len(possible) > 1:  # told apart by another literal
        possible = [kind for kind in possible if _fits_literals(event, kind)]
    if not possible:
        raise InvalidAnswer(f"{_shown(name)} is not an event of {_shown(verb)}")
    try:
        _check_object(event, possible[0], "")
    except InvalidAnswer as error:
        raise InvalidAnswer(f"event {_shown(name)}: {error}") from None


def _refuse(constant: str) -> object:
    raise ValueError(constant)


@cache
def _hints(kind: type) -> dict[str, object]:
    return get_type_hints(kind)


@cache
def _kinds_of(verb: str) -> tuple[type, ...]:
    """The events that a device can emit for ``verb``."""
    answers: dict[str, object] = {
        verbs.PROBE: events.ProbeEvent,
        verbs.LATENCY: events.LatencyEvent,
        verbs.SUSTAINED: events.SustainedEvent,
        verbs.ENERGY: events.MeteredEvent,
        verbs.MEMORY: events.MemoryJobEvent,
        verbs.PROFILE: events.ProfileJobEvent,
        verbs.ACCURACY: events.AccuracyEvent,
        verbs.PREDICT: events.PredictEvent,
        verbs.VERIFY: events.VerifyEvent,
        verbs.FACTS: requests.FactsEvent,
        verbs.HAVE: requests.HaveEvent,
        verbs.PUT: requests.StoredEvent,
        verbs.INSTALL: requests.InstalledEvent,
        verbs.FETCH: requests.InstalledEvent,
        verbs.PLACE: requests.PlaceEvent,
        verbs.START: requests.FollowEvent,
        verbs.FOLLOW: requests.FollowEvent,
        verbs.RELEASE: requests.ReleasedEvent,
        verbs.PURGE: requests.PurgedEvent,
        "hello": requests.HelloEvent,
    }
    answer = answers[verb]
    found = get_args(answer) if get_origin(answer) in (Union, types.UnionType) else (answer,)
    own = (events.DoneEvent, events.ErrorEvent, requests.AliveEvent, requests.ExitEvent, requests.BrokenEvent)
    return tuple(kind for kind in (*found, *own) if kind not in (events.RestartedEvent, events.SittingEvent))


def _fits_literals(event: Mapping[str, object], kind: type) -> bool:
    return all(
        event.get(key) in get_args(hint) for key, hint in _hints(kind).items() if get_origin(hint) is Literal
    ) and set(event) <= set(_hints(kind))


def _check(value: object, hint: object, key: str) -> None:
    """Raise :class:`InvalidAnswer` unless ``value``, found at ``key``, is of the type ``hint``."""
    origin, of = get_origin(hint), get_args(hint)
    if isinstance(hint, type) and is_typeddict(hint):
        _check_object(value, hint, key)
    elif origin is Literal:
        if not any(value == one and type(value) is type(one) for one in of):
            raise _not(value, key, " or ".join(map(repr, of)))
    elif origin in (Union, types.UnionType):
        _check_union(value, of, key)
    elif origin is list:
        _check_list(_of_type(value, list, key, "a list"), of[0], key)
    elif origin is dict:
        for name, one in _of_type(value, dict, key, "an object").items():
            _check(name, of[0], key)
            _check(one, of[1], f"{key}.{name}")
    else:
        _check_plain(value, hint, key)


def _check_list(values: list[object], of: object, key: str) -> None:
    """Numbers are looked at all at once: this machine may be measuring meanwhile."""
    if values and of in (int, float) and set(map(type, values)) <= {int, of}:
        numbers = cast("list[float]", values)
        _check_range(min(numbers), key)
        _check_range(max(numbers), key)
        return
    for number, one in enumerate(values):
        _check(one, of, f"{key}[{number}]")


def _check_union(value: object, of: tuple[object, ...], key: str) -> None:
    if value is None and type(None) in of:
        return
    options = [one for one in of if one is not type(None)]
    if requests.ExitEvent in options:  # a line of a job, which the checks of that job look at
        _of_type(value, dict, key, "an event")
    else:
        _check(value, options[0], key)


def _check_object(value: object, kind: type, key: str) -> None:
    found, hints = _of_type(value, dict, key, "an object"), _hints(kind)
    required: frozenset[str] = getattr(kind, "__required_keys__")  # noqa: B009 - unknown to the type checker
    missing = sorted(required - set(found))
    if missing:
        raise InvalidAnswer(f"{', '.join(missing)} {'is' if len(missing) == 1 else 'are'} missing")
    unknown = sorted(set(found) - set(hints))
    if unknown:
        raise InvalidAnswer(f"unknown key {_shown(unknown[0])}")
    for name, one in found.items():
        _check(one, hints[name], f"{key}.{name}" if key else name)


def _check_plain(value: object, hint: object, key: str) -> None:
    if hint is bool:
        _of_type(value, bool, key, "true or false")
    elif hint is str:
        text = _of_type(value, str, key, "a text")
        if len(text) > LONGEST_TEXT and not key.endswith("_b64"):
            raise InvalidAnswer(f"{key} has {len(text)} characters")
    elif hint is int or hint is float:
        wanted = "a whole number" if hint is int else "a number"
        if isinstance(value, bool) or not isinstance(value, int if hint is int else (int, float)):
            raise _not(value, key, wanted)
        _check_range(value, key)
    else:
        raise TypeError(f"{key}: the protocol has a type that is not checked: {hint!r}")


def _check_range(value: float, key: str) -> None:
    if not -_LARGEST <= value <= _LARGEST or not math.isfinite(value):
        raise _not(value, key, "a number in range")
    path = re.sub(r"\[\d+\]", "", key)
    name = path.rpartition(".")[2]
    low, high = float(_COUNTS.get(path, _COUNTS.get(name, -_LARGEST))), float(_LARGEST)
    for unit, least, most in _UNITS:
        if name.endswith(unit):
            low, high = max(low, least), most
            break
    if not low <= value <= high:
        raise InvalidAnswer(f"{key} is {value}, {f'below {low:g}' if value < low else f'above {high:g}'}")


Kind = TypeVar("Kind")


def _of_type(value: object, kind: type[Kind], key: str, wanted: str) -> Kind:
    if not isinstance(value, kind):
        raise _not(value, key, wanted)
    return value


def _not(value: object, key: str, wanted: str) -> InvalidAnswer:
    return InvalidAnswer(f"{key} is {_shown(value)}, not {wanted}")


def _shown(value: object) -> str:
    """``value`` in a message: short, and printable because of ``repr``."""
    if isinstance(value, int) and abs(value) > _LARGEST:  # int to text is slow, and limited, for huge numbers
        return "a huge number"
    text = type(value).__name__ if isinstance(value, dict | list) else ascii(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
