"""Compact letter display: items that share a letter are not significantly different, items that share none are."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from string import ascii_letters

ToldApart = Sequence[Sequence[bool]]
"""(K, K), symmetric: whether two items are significantly different."""


def compact_letters(told_apart: ToldApart) -> list[str]:
    """The letters of each of the K items, in the order given; ``a`` goes to the first item.

    With more than 52 letters the rest are numbers in brackets. Raises :class:`ValueError` where ``told_apart`` is not
    square and symmetric, or says that an item differs from itself.
    """
    sets = letter_sets(told_apart)
    return ["".join(_name(n) for n, members in enumerate(sets) if item in members) for item in range(len(told_apart))]


def letter_sets(told_apart: ToldApart) -> list[list[int]]:
    """The items of each letter, ascending, in the order of their first members.

    Insert and absorb, then sweep: H.-P. Piepho, "An algorithm for a letter-based representation of all-pairwise
    comparisons", Journal of Computational and Graphical Statistics 13 (2004). One column with all items is split at
    every significant pair, columns within another are absorbed, and at the end a column is dropped where the others
    already connect each of its pairs. Raises as :func:`compact_letters` does.
    """
    count = len(told_apart)
    _check(told_apart, count)
    columns: list[frozenset[int]] = [frozenset(range(count))] if count else []
    for a, b in combinations(range(count), 2):
        if told_apart[a][b]:
            columns = _absorbed([part for column in columns for part in _inserted(column, a, b)])
    return sorted(sorted(column) for column in _swept(columns))


def _inserted(column: frozenset[int], a: int, b: int) -> list[frozenset[int]]:
    return [column - {a}, column - {b}] if {a, b} <= column else [column]


def _absorbed(columns: list[frozenset[int]]) -> list[frozenset[int]]:
    """Without columns that lie within another one."""
    different = list(dict.fromkeys(columns))
    return [column for column in different if not any(column < other for other in different)]


def _swept(columns: list[frozenset[int]]) -> list[frozenset[int]]:
    """Without columns whose pairs, and whose items, all have another letter in common."""
    kept = list(columns)
    for column in sorted(columns, key=lambda c: (len(c), sorted(c))):
        others = [other for other in kept if other != column]
        pairs = combinations(column, 2) if len(column) > 1 else ((item, item) for item in column)
        if all(any(a in other and b in other for other in others) for a, b in pairs):
            kept = others
    return kept


def _name(number: int) -> str:
    return ascii_letters[number] if number < len(ascii_letters) else f"({number + 1})"


def _check(told_apart: ToldApart, count: int) -> None:
    for a in range(count):
        if len(told_apart[a]) != count:
            raise ValueError(f"the comparisons are not square: row {a} has {len(told_apart[a])} of {count}")
        if told_apart[a][a] or any(bool(told_apart[a][b]) != bool(told_apart[b][a]) for b in range(a)):
            raise ValueError(f"the comparisons of item {a} are not symmetric, or it differs from itself")
