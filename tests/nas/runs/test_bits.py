"""Bits of examples as text: whatever was right comes back, and nothing else is taken for it."""

from math import ceil

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nas.runs.bits import packed, unpacked


@given(st.lists(st.booleans(), min_size=1, max_size=300))
def test_what_was_right_comes_back(right):
    found = np.array(right)
    text = packed(found)
    assert unpacked(text, len(right), sum(right) / len(right)).tolist() == right
    assert len(text) == 4 * ceil(ceil(len(right) / 8) / 3)
    for examples in {len(right) - 8, len(right) + 8, 0} - {len(right)}:
        with pytest.raises(ValueError, match="bits of"):
            unpacked(text, examples, 0.5)
    with pytest.raises(ValueError, match="which is no accuracy of"):
        unpacked(text, len(right), (sum(right) + 1) / len(right))


@pytest.mark.parametrize("text", ["oA", "o\u00e4==", "oA==\n", "oQ=="], ids=["torn", "not ASCII", "a line", "filled"])
def test_torn_or_foreign_text_is_refused(text):
    with pytest.raises(ValueError, match="bits of"):
        unpacked(text, 3, 2 / 3)


@pytest.mark.parametrize(("examples", "characters"), [(288, 48), (10_000, 1_668)])
def test_it_is_short(examples, characters):
    assert len(packed(np.ones(examples, bool))) == characters
