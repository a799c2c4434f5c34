"""What the answers to requests have to be: each names what was asked for, in the same order, and none is missing."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Mapping
from typing import Any

from edgekit.errors import TargetError
from edgekit.targets.event_shapes import InvalidAnswer, check_shape, invalid_answer, parse_line

SIGNS_AT_ONCE = 500
"""They arrive together after the connection, or this machine, was asleep for a while."""

Asked = Mapping[str, Any]
Event = Mapping[str, Any]
Grammar = Generator[None, Event, None]


class RequestAnswers:
    """Checks the answers to one request, one line after another."""

    def __init__(self, target: str, verb: str, request: Asked) -> None:
        self._target, self._verb = target, verb
        self._signs, self._start = 0, time.monotonic()
        self._grammar: Grammar | None = _GRAMMARS[verb](request)
        try:
            next(self._grammar)
        except StopIteration:
            self._grammar = None

    def parsed(self, line: bytes) -> Event:
        """The event of one line. Raises :class:`TargetError` if it cannot be the next answer."""
        try:
            event = parse_line(line)
            check_shape(event, self._verb)
            self._advance(event)
        except InvalidAnswer as error:
            raise self._refusal(error) from None
        return event

    def _advance(self, event: Event) -> None:
        name = event["event"]
        if name == "alive":
            self._signs += 1
            if self._signs > SIGNS_AT_ONCE + time.monotonic() - self._start:
                raise InvalidAnswer("it gives a sign of life more often than once a second")
        if name in ("error", "alive"):
            return
        if name == "done":
            if self._grammar is not None:
                raise InvalidAnswer(f"the request {self._verb!r} is done, but answers are missing")
            return
        if self._grammar is None:
            raise InvalidAnswer(f"event {name!r} after the last answer to {self._verb!r}")
        try:
            self._grammar.send(event)
        except StopIteration:
            self._grammar = None

    def _refusal(self, error: InvalidAnswer) -> TargetError:
        return invalid_answer(self._target, str(error))


def _single(check: Callable[[Asked, Event], str | None] | None = None) -> Callable[[Asked], Grammar]:
    """One answer, in which ``check`` finds no problem."""

    def grammar(request: Asked) -> Grammar:
        event = yield
        if event["event"] in ("exit", "broken"):
            raise InvalidAnswer(f"event {event['event']!r} outside of a job")
        problem = check(request, event) if check is not None else None
        if problem is not None:
            raise InvalidAnswer(problem)

    return grammar


def _facts(_request: Asked, event: Event) -> str | None:
    facts = event["facts"]
    if len(facts["python"]) != 3:
        return f"its Python has the version {facts['python']!r}"
    return None if facts["bits"] in (32, 64) else f"its Python has {facts['bits']} bits"


def _have(request: Asked, event: Event) -> str | None:
    missing = event["missing"]
    if len(set(missing)) != len(missing) or not set(missing) <= set(request["objects"]):
        return "it asks for files that were not offered"
    return None


def _installed(request: Asked, event: Event) -> str | None:
    return None if event["id"] == request["id"] else "it installed something else"


def _placed(request: Asked, event: Event) -> str | None:
    if event["event"] == "rejected" and not request["update"]:
        return "it rejects files that it was to copy without a check"
    return None


def _put(request: Asked) -> Grammar:
    for entry in request["objects"]:
        event = yield
        if event.get("name") != entry["name"]:
            raise InvalidAnswer("it received another file than the one that was sent")


def _followed(request: Asked) -> Grammar:
    number = request.get("skip_lines", 0)
    while True:
        event = yield
        if event["event"] in ("stderr", "lost"):
            return
        if event["event"] != "line":
            raise InvalidAnswer(f"event {event['event']!r} between the lines of a job")
        if event["number"] != number:
            raise InvalidAnswer(f"line {event['number']} of a job came where line {number} was expected")
        number += 1


_GRAMMARS: dict[str, Callable[[Asked], Grammar]] = {
    "facts": _single(_facts),
    "have": _single(_have),
    "put": _put,
    "install": _single(_installed),
    "fetch": _single(_installed),
    "place": _single(_placed),
    "start": _followed,
    "follow": _followed,
    "release": _single(),
    "purge": _single(),
    "hello": _single(),
}
