"""The tables by which axes of an EinMix call get their names: every example of every row, and every row is needed."""

from __future__ import annotations

import re
from itertools import product

import pytest

from einmix.algebra import names
from einmix.algebra.names import AXIS_WORDS, GUESSES, axis_of, named_axes
from einmix.algebra.reading import groups_of

WORDS = [(row, name, axis) for row, words in enumerate(AXIS_WORDS.values()) for name, axis in words.items()]
CALLS = [(row, call, axes) for row, guess in enumerate(GUESSES) for call, axes in guess.examples.items()]


def called(call: str) -> str:
    """The names of a call's axes, in the order of the mixer."""
    left, right = groups_of(call)
    every = {name for group in left + right for name in group}
    kept = [name for group in left for name in group if [name] in right or any(name in each for each in right)]
    return " ".join(axis.name for axis in named_axes(left, right, kept, every))


@pytest.mark.parametrize(("row", "name", "axis"), WORDS)
def test_a_name_has_the_form_of_its_row_first(row: int, name: str, axis: str) -> None:
    assert axis_of(name) == axis
    assert [re.fullmatch(form, name) is not None for form in AXIS_WORDS][: row + 1] == [False] * row + [True]


@pytest.mark.parametrize(("row", "call", "axes"), CALLS)
def test_axes_are_called_as_the_examples_say(row: int, call: str, axes: str) -> None:
    assert called(call) == axes


@pytest.mark.parametrize("row", range(len(GUESSES)))
def test_a_guess_decides_one_of_its_examples(row: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without it the axes are called otherwise, or one of them nothing."""
    monkeypatch.setattr(names, "GUESSES", (*GUESSES[:row], *GUESSES[row + 1 :]))

    def found(call: str) -> str:
        try:
            return called(call)
        except StopIteration:
            return "nothing"

    assert any(found(call) != axes for call, axes in GUESSES[row].examples.items())


def test_every_name_speaks_of_an_axis() -> None:
    letters = "abcdghtwxIK0_é"
    for name in map("".join, (*product(letters), *product(letters, repeat=2), *product(letters, repeat=3))):
        assert name.startswith(("0", "_")) or axis_of(name)
