"""Just enough of the flatbuffer format to read a few fields of a file without its schema."""

from __future__ import annotations

import struct


class Table:
    """One table of a flatbuffer: fields are found by their number through the table's vtable."""

    def __init__(self, content: bytes, position: int) -> None:
        self._content = content
        self._position = position

    @classmethod
    def root(cls, content: bytes) -> Table:
        return cls(content, struct.unpack_from("<I", content, 0)[0])

    def _field(self, number: int) -> int | None:
        vtable = self._position - self._at(self._position, "<i")
        entry = 4 + 2 * number
        offset = self._at(vtable + entry, "<H") if entry < self._at(vtable, "<H") else 0
        return self._position + offset if offset else None

    def _at(self, position: int, code: str) -> int:
        return int(struct.unpack_from(code, self._content, position)[0])

    def _vector(self, number: int) -> tuple[int, int]:
        """Position of the first element and number of elements."""
        field = self._field(number)
        if field is None:
            return 0, 0
        start = field + self._at(field, "<I")
        return start + 4, self._at(start, "<I")

    def number(self, number: int, code: str) -> int:
        field = self._field(number)
        return 0 if field is None else self._at(field, code)

    def table(self, number: int) -> Table:
        field = self._field(number)
        if field is None:
            raise IndexError(number)
        return Table(self._content, field + self._at(field, "<I"))

    def tables(self, number: int) -> list[Table]:
        start, count = self._vector(number)
        positions = range(start, start + 4 * count, 4)
        return [Table(self._content, p + self._at(p, "<I")) for p in positions]

    def bytes(self, number: int) -> bytes:
        start, count = self._vector(number)
        return self._content[start : start + count]

    def text(self, number: int) -> str:
        return self.bytes(number).decode("utf-8")

    def ints(self, number: int) -> list[int]:
        start, count = self._vector(number)
        return list(struct.unpack_from(f"<{count}i", self._content, start))

    def longs(self, number: int) -> list[int]:
        start, count = self._vector(number)
        return list(struct.unpack_from(f"<{count}q", self._content, start))

    def floats(self, number: int) -> list[float]:
        start, count = self._vector(number)
        return list(struct.unpack_from(f"<{count}f", self._content, start))
