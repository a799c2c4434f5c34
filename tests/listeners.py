"""Progress that a test listens to."""

from __future__ import annotations

from edgekit.support.progress import Progress


class StopsAt(Progress):
    """Interrupts, as Ctrl-C would, when a message with ``text`` is about to be shown."""

    def __init__(self, text: str) -> None:
        self._text = text

    def info(self, text: str) -> None:
        if self._text in text:
            raise KeyboardInterrupt


class Told(Progress):
    """Keeps what a stage says: ``infos``, and ``lines`` with the warnings between them."""

    def __init__(self) -> None:
        self.infos: list[str] = []
        self.lines: list[str] = []

    def info(self, text: str) -> None:
        self.infos.append(text)
        self.lines.append(text)

    def warn(self, text: str) -> None:
        self.lines.append(f"warning: {text}")
