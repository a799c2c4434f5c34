"""Whether a value that came as JSON is of a type of the protocol."""

from __future__ import annotations

import types
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints, is_typeddict


def problem(value: Any, kind: Any, where: str = "event") -> str | None:
    """Why ``value`` is not of type ``kind``; None: it is."""
    origin = get_origin(kind)
    if is_typeddict(kind):
        return typed_dict_problem(value, kind, where)
    if origin in (Union, types.UnionType):
        problems = [problem(value, one, where) for one in get_args(kind)]
        return None if None in problems else "; ".join(str(one) for one in problems)
    if origin is Literal:
        return None if value in get_args(kind) else f"{where} is {value!r}"
    if origin in (list, dict) and isinstance(value, origin):
        items = value.items() if origin is dict else enumerate(value)
        found = [problem(one, get_args(kind)[-1], f"{where}.{place}") for place, one in items]
        return next((one for one in found if one is not None), None)
    if kind is float and type(value) is int:
        return None
    return None if type(value) is kind else f"{where} is {value!r}, not {kind}"


def typed_dict_problem(value: Any, kind: Any, where: str) -> str | None:
    if not isinstance(value, dict):
        return f"{where} is {value!r}"
    missing, extra = kind.__required_keys__ - set(value), set(value) - set(kind.__annotations__)
    if missing or extra:
        return f"{where} lacks {sorted(missing)} and has unknown {sorted(extra)}"
    hints = get_type_hints(kind)
    found = [problem(one, hints[name], f"{where}.{name}") for name, one in value.items()]
    return next((one for one in found if one is not None), None)
