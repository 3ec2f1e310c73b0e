"""What a writer wrote, its reader gives again: the same people, items, events and order."""

from __future__ import annotations

import socket
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eval.data.hugging_face import read_hugging_face, write_hugging_face
from eval.data.interactions import PURCHASE, TYPES, Catalogue, Dataset, Interactions
from eval.data.packed import pack, unpack
from eval.data.recbole import read_recbole, write_recbole
from eval.data.trec import Qrels, Run, read_qrels, read_run, read_topics, write_qrels, write_run, write_topics
from tasteline.errors import InvalidInput

SENTENCES = st.text(st.characters(exclude_categories=["Cs", "Cc"]) | st.sampled_from('\t\n",:'), max_size=8)
IDS = st.text(st.characters(exclude_categories=["Cs", "Cc"]) | st.sampled_from('\t"'), min_size=1, max_size=4)
WORDS = st.text(st.characters(categories=["L", "N", "P", "S"]), min_size=1, max_size=4)


@st.composite
def datasets(draw: st.DrawFn, *, idle: bool) -> Dataset:
    """`idle`: people without an event too."""
    people = draw(st.lists(IDS, min_size=1, max_size=4, unique=True))
    ids = draw(st.lists(IDS, min_size=1, max_size=4, unique=True))
    texts = draw(st.lists(SENTENCES, min_size=len(ids), max_size=len(ids)))
    categories = draw(st.lists(SENTENCES, min_size=len(ids), max_size=len(ids)))
    event = st.tuples(
        st.integers(0, len(people) - 1),
        st.integers(0, len(ids) - 1),
        st.integers(-3, 3) | st.integers(1_500_000_000, 1_600_000_000),
    )
    users, items, order = zip(*draw(st.lists(event, min_size=1, max_size=8)), strict=True)
    if not idle:
        there = np.unique(users)
        people = [people[user] for user in there]
        users = np.searchsorted(there, users)
    types = draw(st.lists(st.sampled_from([PURCHASE, 0, 2]), min_size=len(users), max_size=len(users)))
    split = draw(st.none() | st.lists(st.integers(0, 2), min_size=len(users), max_size=len(users)))
    return Dataset(
        name="toy",
        checksum="",
        catalogue=Catalogue(tuple(ids), tuple(texts), tuple(categories)),
        user_ids=tuple(people),
        interactions=Interactions.of(users, items, order, types),
        timed=draw(st.booleans()),
        split=None if split is None else np.array(split, dtype=np.int8),
    )


def assert_same(one: Dataset, other: Dataset) -> None:
    assert (one.catalogue, one.timed) == (other.catalogue, other.timed)
    ours = [one.user_ids[user] for user in one.interactions.users]
    assert ours == [other.user_ids[user] for user in other.interactions.users]
    for column in ("items", "order", "types", "rows"):
        np.testing.assert_array_equal(getattr(one.interactions, column), getattr(other.interactions, column))
    assert (one.split is None) == (other.split is None)
    if one.split is not None and other.split is not None:
        np.testing.assert_array_equal(one.split, other.split)


@settings(max_examples=40, deadline=None)
@given(datasets(idle=True))
def test_recbole_files(dataset: Dataset) -> None:
    with TemporaryDirectory() as folder:
        again = read_recbole(write_recbole(dataset, Path(folder)))
    assert again.user_ids == dataset.user_ids
    assert again.name == dataset.name
    assert_same(dataset, again)


@settings(max_examples=30, deadline=None)
@given(datasets(idle=False))
def test_saved_data_sets(dataset: Dataset) -> None:
    pytest.importorskip("datasets", reason="the package datasets is not installed")
    with TemporaryDirectory() as folder:
        again = read_hugging_face(write_hugging_face(dataset, Path(folder)))
    assert again.user_ids == dataset.user_ids
    assert_same(dataset, again)


def test_saving_speaks_to_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    library = pytest.importorskip("datasets", reason="the package datasets is not installed")

    def refuse(*_: object) -> None:
        raise AssertionError("a connection was opened")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    shown = library.are_progress_bars_disabled()
    read_hugging_face(write_hugging_face(toy(), tmp_path))
    assert capfd.readouterr() == ("", "")
    assert library.are_progress_bars_disabled() == shown


def toy() -> Dataset:
    rows = Interactions.of([0, 0, 1], [0, 1, 1], [5, 6, 5], [TYPES.index(TYPES[0])] * 3)
    return Dataset("toy", "", Catalogue(("a", "b"), ("", ""), ("", "")), ("x", "y"), rows, timed=True)


rankings = st.dictionaries(WORDS, st.lists(WORDS, min_size=1, max_size=5, unique=True), min_size=1, max_size=4)


@settings(max_examples=60, deadline=None)
@given(rankings, st.data())
def test_runs(ranked: dict[str, list[str]], data: st.DataObject) -> None:
    plain = Run.of_lists("mine", ranked)
    count = len(plain.items)
    run = Run(
        "mine",
        plain.queries,
        plain.documents,
        plain.starts,
        plain.items,
        np.array(data.draw(st.lists(st.floats(allow_nan=False), min_size=count, max_size=count)), dtype=np.float64),
        plain.ranks,
    )
    with TemporaryDirectory() as folder:
        again = read_run(write_run(run, Path(folder) / "run"), follow="rank")
    assert (again.tag, again.queries, again.documents) == (run.tag, run.queries, run.documents)
    for column in ("starts", "items", "scores", "ranks"):
        np.testing.assert_array_equal(getattr(again, column), getattr(run, column))
    with TemporaryDirectory() as folder:
        assert read_run(write_run(plain, Path(folder) / "run")).lists() == ranked


@settings(max_examples=60, deadline=None)
@given(st.dictionaries(WORDS, st.dictionaries(WORDS, st.integers(-2, 2**40).map(float), min_size=1), min_size=1))
def test_qrels(judged: dict[str, dict[str, float]]) -> None:
    with TemporaryDirectory() as folder:
        assert read_qrels(write_qrels(Qrels.of(judged), Path(folder) / "qrels")).as_mapping() == judged


@settings(max_examples=60, deadline=None)
@given(st.dictionaries(WORDS, SENTENCES.filter(lambda text: text.strip() and "\n" not in text)))
def test_topics(topics: dict[str, str]) -> None:
    with TemporaryDirectory() as folder:
        assert read_topics(write_topics(topics, Path(folder) / "topics")) == topics


@given(st.lists(st.floats(width=64) | st.sampled_from([0.0, -0.0, 0.5, float("nan")])))
def test_packed_values_are_the_same_bits(values: list[float]) -> None:
    array = np.array(values, dtype=np.float64)
    assert unpack(pack(array)).tobytes() == array.tobytes()


def test_packed_values_of_a_metric_are_short() -> None:
    rng = np.random.default_rng(0)
    ranks = np.where(rng.random(22_363) < 0.1, rng.integers(1, 11, 22_363), np.inf)
    assert len(pack(1 / np.log2(ranks + 1))) < 15_000
    many = np.arange(70_000.0)  # more than two bytes count
    np.testing.assert_array_equal(unpack(pack(many)), many)


@pytest.mark.parametrize("change", ["version", "cut", "letter", "foreign"])
def test_a_damaged_string_is_refused(change: str) -> None:
    good = pack(np.arange(50.0))
    damaged = {
        "version": good.replace("f64.1", "f64.9"),
        "cut": good[:-8],
        "letter": good[:30] + ("A" if good[30] != "A" else "B") + good[31:],
        "foreign": "f64.1:ü",
    }
    with pytest.raises(InvalidInput, match="packed values"):
        unpack(damaged[change])


def test_only_lists_of_numbers_are_packed() -> None:
    with pytest.raises(ValueError, match="2 dimensions"):
        pack(np.zeros((2, 2)))
