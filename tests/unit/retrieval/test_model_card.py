"""The card of a trained model: what is written is what is read, and people can read it, too."""

import math
from datetime import UTC, datetime, timedelta, timezone

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from retrieval.model_card import (
    KINDS,
    ModelCard,
    card_from_json,
    card_to_json,
    card_to_markdown,
    checked,
    kind_of,
    new_id,
)
from tasteline.errors import InvalidInput
from tests.unit.retrieval.trained import card

SCALARS = st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False)
VALUES = st.none() | st.floats(allow_nan=False, allow_infinity=False)


@given(
    settings=st.dictionaries(st.text(), SCALARS | st.text(), max_size=4),
    metrics=st.dictionaries(st.text(), st.dictionaries(st.text(), VALUES, max_size=3), max_size=3),
    created=st.datetimes(timezones=st.just(UTC)),
    notes=st.text(),
)
def test_what_is_written_is_read(
    settings: dict[str, object], metrics: dict[str, dict[str, float | None]], created: datetime, notes: str
) -> None:
    made = card(settings=settings, metrics=metrics, created=created, notes=notes)
    read = card_from_json(card_to_json(made))
    assert read == made
    assert [type(value) for value in read.settings.values()] == [type(value) for value in settings.values()]
    assert checked(made) == made


def test_values_of_numpy_and_undefined_ones_can_be_written() -> None:
    metrics = {"sasrec": {"ndcg@10": np.float32(0.5), "auc": math.nan}}
    made = checked(card(metrics=metrics, seconds=np.float64(2.5)))
    assert made.metrics == {"sasrec": {"ndcg@10": 0.5, "auc": None}}
    assert card_from_json(card_to_json(made)) == made


WRONG: dict[str, tuple[dict[str, object], str]] = {
    "a kind that there is not": ({"kind": "oracle"}, "kind"),
    "a time without a zone": ({"created": datetime(2026, 3, 1)}, "created"),
    "a setting that is no scalar": ({"settings": {"layers": [1, 2]}}, "settings.layers"),
    "a metric that is no number": ({"metrics": {"sasrec": {"ndcg@10": "good"}}}, "metrics.sasrec.ndcg@10"),
    "no time": ({"seconds": math.nan}, "seconds"),
}


@pytest.mark.parametrize("what", WRONG)
def test_a_card_that_could_not_be_read_again_is_refused(what: str) -> None:
    changes, named = WRONG[what]
    with pytest.raises(InvalidInput, match=named) as refused:
        checked(card(**changes))
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("text", [b"", b"{", b"[]", b'{"id": "a"}', b"\xff\xfe"])
def test_what_is_no_card_is_one_line(text: bytes) -> None:
    with pytest.raises(InvalidInput) as refused:
        card_from_json(text)
    assert str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_card_of_a_later_version_is_read() -> None:
    text = card_to_json(card()).replace(b"{", b'{"temperature": 300,', 1)
    assert card_from_json(text) == card()


def test_ids_sort_by_time_in_utc() -> None:
    noon = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
    later_elsewhere = datetime(2026, 3, 1, 8, 0, 1, tzinfo=timezone(timedelta(hours=-4)))
    assert new_id(noon, "zzzz") == "20260301-120000-zzzz"
    assert new_id(noon, "zzzz") < new_id(later_elsewhere, "0000")


def test_kinds() -> None:
    assert [kind_of(kind) for kind in KINDS] == list(KINDS)
    with pytest.raises(InvalidInput, match="'oracle' is no kind of model; there are next-item, encoder"):
        kind_of("oracle")


def rows(made: ModelCard, first: str) -> list[str]:
    return [line for line in card_to_markdown(made, "live").splitlines() if line.startswith(f"| {first}")]


def test_people_read_a_table_with_the_baselines() -> None:
    text = card_to_markdown(card(base="all-MiniLM-L6-v2", notes="A first try.", dirty=True), "retired")
    assert "| | ndcg@10 | recall@10 |" in text.replace("|  |", "| |")
    assert "| **sasrec** | 0.05 | 0.09 |" in text
    assert "| popular | 0.01 | 0.02 |" in text
    assert "| state | retired |" in text
    for said in ("1,200 users", "56,000 events", "c0ffee", "0123abcd with uncommitted changes", "on valid", "seed 7"):
        assert said in text
    assert "\nA first try.\n" in text


def test_what_is_missing_leaves_no_hole() -> None:
    bare = card(metrics={}, settings={}, commit=None)
    text = card_to_markdown(bare)
    assert "##" not in text
    assert "state" not in text
    assert "no commit" in text
    assert bare.main_value is None
    partly = card(metrics={"popular": {"recall@10": 0.5}, "sasrec": {"ndcg@10": 0.25}})
    assert rows(partly, "popular") == ["| popular | – | 0.5 |"]
    assert partly.main_value == 0.25


def test_a_bar_in_a_name_does_not_break_the_table() -> None:
    assert rows(card(settings={"a|b": "c\nd"}), "a") == ["| a\\|b | c d |"]
