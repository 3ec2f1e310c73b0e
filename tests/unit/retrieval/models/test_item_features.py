"""Descriptions as codes: what was there at the training, what came later, and the way through JSON."""

from __future__ import annotations

import json

import numpy as np
import pytest

from retrieval.models.item_features import FIELDS, PRICE_BANDS, Description, Vocabulary
from tests.unit.retrieval.small_shop import product

ACME = Description("a", "Acme", ("Home", "Lamps"), 100)
BRIO = Description("b", "Brio", ("Home", "Kettles"), 900)
NAMELESS = Description("c")


@pytest.fixture
def vocabulary() -> Vocabulary:
    return Vocabulary.of([ACME, ACME, BRIO, BRIO, Description("d", "Single", ("Alone",), 500), NAMELESS])


def test_names_that_two_items_share_have_codes_by_name(vocabulary: Vocabulary) -> None:
    assert vocabulary.brands == {"Acme": 1, "Brio": 2}
    assert vocabulary.departments == {"Home": 1}
    codes = vocabulary.codes([ACME, BRIO])
    assert codes[:, : FIELDS.index("price")].tolist() == [[1, 1, 2], [2, 1, 1]]


def test_what_is_not_known_is_0(vocabulary: Vocabulary) -> None:
    assert vocabulary.codes([NAMELESS]).tolist() == [[0, 0, 0, 0]]
    stranger = Description("later", "Newcomer", ("Home", "Tents"), None)
    assert vocabulary.codes([stranger]).tolist() == [[0, 1, 0, 0]]  # a new kind of a known department
    assert vocabulary.codes([Description("d", "Single", ("Alone",))]).tolist() == [[0, 0, 0, 0]]
    assert vocabulary.codes([]).shape == (0, len(FIELDS))


def test_every_code_has_a_place_in_the_sizes(vocabulary: Vocabulary) -> None:
    dear, free = Description("x", "Acme", ("Home", "Lamps"), 10**12), Description("y", price=0)
    codes = vocabulary.codes([ACME, BRIO, NAMELESS, dear, free])
    assert (codes < np.array(vocabulary.sizes)).all()
    assert (codes >= 0).all()


def test_price_bands_hold_equal_numbers_of_items() -> None:
    items = [Description(str(price), price=price**2) for price in range(1, 101)]
    bands = Vocabulary.of(items).codes(items)[:, FIELDS.index("price")]
    assert np.bincount(bands)[1:].tolist() == [10] * PRICE_BANDS
    assert (np.diff(bands) >= 0).all()


def test_one_price_for_all_is_a_band_and_no_price_at_all_is_none() -> None:
    same = [Description("a", price=5)] * 3
    assert len(set(Vocabulary.of(same).codes(same)[:, FIELDS.index("price")])) == 1
    priceless = Vocabulary.of([NAMELESS, NAMELESS])
    assert priceless.codes([ACME])[0, FIELDS.index("price")] == 0, "no band was learned"


def test_it_reads_back_what_it_wrote(vocabulary: Vocabulary) -> None:
    again = Vocabulary.from_json(json.loads(json.dumps(vocabulary.as_json())))
    assert again == vocabulary
    assert again.sizes == vocabulary.sizes


def test_a_product_is_described_by_its_facts() -> None:
    lamp = product("p", "Lamp", "Home", "Lamps", price=700, brand="Acme")
    assert Description.of(lamp, "text") == Description("text", "Acme", ("Home", "Lamps"), 700)
    assert Description.of(product("q", "Bare"), "") == Description("")
