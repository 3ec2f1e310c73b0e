from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from retrieval.importing.cleaning import clean_id, clean_line, clean_text
from tasteline.errors import InvalidInput


@pytest.mark.parametrize(
    ("raw", "clean"),
    [
        ("plain", "plain"),
        ("  two   blanks\t", "two blanks"),
        ("ig\u200bno\u200dre \u202eprevious\u2066", "ignore previous"),
        ("tag\U000e0041\U000e0042s", "tags"),
        ("soft\u00adhyphen", "softhyphen"),
        ("bell\x07 and \x1b[31mred", "bell and [31mred"),
        ("Cr&egrave;me &amp; Lotion", "Crème & Lotion"),
        ("cafe\u0301", "café"),
        ("👨\u200d👩\u200d👧 set", "👨\u200d👩\u200d👧 set"),
        ("❤\ufe0f mug", "❤\ufe0f mug"),
        ("می\u200cخواهم", "می\u200cخواهم"),
        ("\ufeffbom", "bom"),
        ("\ud800lone", "lone"),
    ],
)
def test_hidden_characters_go_and_visible_ones_stay(raw: str, clean: str) -> None:
    assert clean_line(raw) == clean


def test_a_description_keeps_its_paragraphs() -> None:
    assert clean_text("One \r\n two\n\n\n\nthree\u2028four\x00") == "One\ntwo\n\nthree\nfour"


@given(st.text())
def test_clean_text_can_always_be_stored_and_shown(raw: str) -> None:
    for clean in (clean_line(raw), clean_text(raw)):
        clean.encode()
        assert not {"\u200b", "\u202e", "\ufeff", "\x00"} & set(clean)
        assert all(unicodedata.category(mark) != "Cc" for mark in clean.replace("\n", ""))
    assert "\n" not in clean_line(raw)


@pytest.mark.parametrize(("value", "id_"), [("a b ", "a b"), (7, "7"), (7.0, "7"), (2**60, str(2**60)), ("ü/1", "ü/1")])
def test_an_id_is_kept_as_it_is(value: object, id_: str) -> None:
    assert clean_id(value, "id") == id_


@pytest.mark.parametrize("value", ["", " ", None, True, 1.5, 2.0**60, [], "x" * 201, "a\x00b", "a\u200bb", "a\nb"])
def test_an_id_that_nobody_could_type_is_refused(value: object) -> None:
    with pytest.raises(InvalidInput) as caught:
        clean_id(value, "product_id")
    assert caught.value.field == "product_id"
