"""Letters against brute force: two items share one exactly where they are not significantly different."""

from itertools import combinations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgekit.stats.letter_display import compact_letters, letter_sets


@st.composite
def comparisons(draw):
    count = draw(st.integers(1, 9))
    apart = [[False] * count for _ in range(count)]
    for a, b in combinations(range(count), 2):
        apart[a][b] = apart[b][a] = draw(st.booleans())
    return apart


@given(comparisons())
@settings(max_examples=300, deadline=None, derandomize=True)
def test_two_items_share_a_letter_exactly_where_they_are_not_different(apart):
    letters = compact_letters(apart)
    assert all(letters)
    for a, b in combinations(range(len(apart)), 2):
        assert bool(set(letters[a]) & set(letters[b])) != apart[a][b]


@given(comparisons())
@settings(max_examples=200, deadline=None, derandomize=True)
def test_no_letter_can_be_left_out(apart):
    sets = [set(members) for members in letter_sets(apart)]
    for left_out in sets:
        others = [members for members in sets if members is not left_out]
        pairs = list(combinations(left_out, 2)) or [(item, item) for item in left_out]
        assert not all(any({a, b} <= members for members in others) for a, b in pairs)


def test_items_that_do_not_stand_side_by_side_share_a_letter():
    """The first and the third do not differ, the second differs from both: today's contiguous cliques lose the pair."""
    apart = [[False, True, False], [True, False, True], [False, True, False]]
    assert compact_letters(apart) == ["a", "b", "a"]


def test_the_usual_staircase():
    apart = [[abs(a - b) > 1 for b in range(4)] for a in range(4)]
    assert compact_letters(apart) == ["a", "ab", "bc", "c"]


def test_nothing_and_one():
    assert compact_letters([]) == []
    assert compact_letters([[False]]) == ["a"]


def test_more_letters_than_the_alphabet_has():
    apart = [[a != b for b in range(54)] for a in range(54)]
    assert compact_letters(apart)[-2:] == ["(53)", "(54)"]


@pytest.mark.parametrize("bad", [[[False, True]], [[True]], [[False, True], [False, False]]])
def test_comparisons_that_contradict_themselves_are_refused(bad):
    with pytest.raises(ValueError, match="comparisons"):
        compact_letters(bad)
