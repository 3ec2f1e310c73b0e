"""The guess of a text's tokens is an upper one: budgets that stand on it hold."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prompts.prompt import Prompt, Reading, tokens_at_most
from tasteline.errors import MissingExtra


@pytest.mark.parametrize(
    ("text", "least"),
    [
        ("", 0),
        ("A teapot for four people", 5),
        ("Waterproof jacket, navy, size M", 9),
        ("茶壶和四个杯子", 7),
        ("https://shop.example/p/12345?colour=navy", 12),
        ("🫖🫖🫖", 6),
    ],
)
def test_it_is_not_below_what_a_tokeniser_counts(text: str, least: int) -> None:
    assert tokens_at_most(text) >= least


@given(st.text(), st.text())
def test_it_grows_with_the_text_and_a_whole_costs_no_more_than_its_parts(one: str, other: str) -> None:
    together = tokens_at_most(one + other)
    assert max(tokens_at_most(one), tokens_at_most(other)) <= together <= tokens_at_most(one) + tokens_at_most(other)


def test_a_reading_without_a_value_has_none() -> None:
    assert Reading("late").value is None
    assert Prompt("name_v1", (), 10).schema is None


def test_it_holds_for_a_real_tokeniser() -> None:
    """Every text that goes into a prompt is cut by this guess."""
    tokenizers = pytest.importorskip("tokenizers")
    from retrieval.adapters.weights import encoder_path

    try:
        folder = Path(encoder_path("embedded"))
    except MissingExtra as error:
        pytest.skip(f"The embedded weights are not installed: {error}")
    tokenizer = tokenizers.Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.no_truncation()
    for text in ("Waterproof jacket, navy, size M, $79.00", "a gift for my sister who loves camping in the rain"):
        assert tokens_at_most(text) >= len(tokenizer.encode(text, add_special_tokens=False).ids)
