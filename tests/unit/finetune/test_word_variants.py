"""Other ways to type a word."""

from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from finetune.word_variants import misspelt


@given(st.text(alphabet="abcdefgh", min_size=5, max_size=12), st.integers(0, 2**16))
def test_a_slip_of_the_finger_is_small(word: str, seed: int) -> None:
    slipped = misspelt(word, random.Random(seed))
    assert slipped[0] == word[0]
    assert abs(len(slipped) - len(word)) <= 1
    if len(slipped) == len(word):
        assert sum(left != right for left, right in zip(slipped, word, strict=True)) in (0, 2)
