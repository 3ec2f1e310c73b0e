"""The ranker: what it may rank, that one request and many give the same, that features are what their names say."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from retrieval.models import ranker as module
from retrieval.models.ranker import NextItemRanker, feature_names
from retrieval.models.ranker_files import CODES_FILE, FOLLOWING_FILE, FUSION_FILE, HEAD_FILE, read_ranker, write_ranker
from retrieval.models.sequences import Sequences
from tasteline.errors import InvalidInput
from tests.unit.retrieval.models.small_ranker import ITEMS, features, network, ranker, stored

ASKED = Sequences.of([[0, 1, 2], [], [11], [3, 3, 4, 5, 6, 7, 8, 9]])


@pytest.fixture
def small() -> NextItemRanker:
    return ranker(network("transformer"), network("gru"))


def test_nobody_is_shown_what_they_have_unless_people_repeat(small: NextItemRanker) -> None:
    items, scores = small.rank(ASKED, ITEMS, repeats=False)
    for line in range(len(ASKED)):
        shown = items[line][items[line] >= 0]
        assert len(set(shown)) == len(shown) > 0
        assert not set(shown) & set(ASKED.take(np.array([line])).items)
        assert (np.diff(scores[line][: len(shown)]) <= 0).all()
        assert np.isneginf(scores[line][len(shown) :]).all()
    repeated, _ = small.rank(ASKED, ITEMS, repeats=True)
    assert {0, 1, 2} <= set(repeated[0])


def test_one_at_a_time_is_the_same_as_all_at_once(small: NextItemRanker) -> None:
    together, scores = small.rank(ASKED, 5, repeats=False)
    for line in range(len(ASKED)):
        alone, score = small.rank(ASKED.take(np.array([line])), 5, repeats=False)
        np.testing.assert_array_equal(alone[0], together[line])
        np.testing.assert_allclose(score[0], scores[line], rtol=1e-3, atol=1e-4)


def test_many_are_shared_out_and_come_back_in_their_order(
    small: NextItemRanker, monkeypatch: pytest.MonkeyPatch
) -> None:
    alone = small.rank(ASKED, 5, repeats=False)
    monkeypatch.setattr(module, "TOGETHER", 2)
    monkeypatch.setattr(module, "AT_HAND", 1)
    threads = torch.get_num_threads()
    for one, other in zip(small.rank(ASKED, 5, repeats=False), alone, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-3, atol=1e-4)
    assert torch.get_num_threads() == threads


@pytest.mark.parametrize("repeats", [False, True])
def test_without_gaps_the_features_are_those_of_the_candidates_there_are(small: NextItemRanker, repeats: bool) -> None:
    for line in range(len(ASKED)):
        asked = ASKED.take(np.array([line]))
        full, tight = (small.candidates(asked, repeats=repeats, gaps=gaps) for gaps in (True, False))
        there = full.items[0] >= 0
        np.testing.assert_array_equal(tight.items[0], full.items[0][there])
        np.testing.assert_allclose(tight.features[0], full.features[0][there], rtol=1e-5, atol=1e-6)


def test_only_what_is_allowed_is_ranked(small: NextItemRanker) -> None:
    allowed = np.zeros(ITEMS, dtype=np.bool_)
    allowed[[5, 10]] = True
    items, _ = small.rank(ASKED, 5, repeats=True, allowed=allowed)
    assert set(items.ravel()) <= {-1, 5, 10}
    assert {5, 10} <= set(items[0])
    nothing, _ = small.rank(ASKED, 5, repeats=True, allowed=np.zeros(ITEMS, dtype=np.bool_))
    assert (nothing == -1).all()


def test_the_features_of_a_candidate_say_what_their_names_do(small: NextItemRanker) -> None:
    candidates = small.candidates(Sequences.of([[3, 4, 2]]), repeats=True)
    names = feature_names(2)
    assert candidates.features.shape == (1, candidates.items.shape[1], len(names))
    value = {name: candidates.features[0, :, place] for place, name in enumerate(names)}
    items, shelf = candidates.items[0], small.shelf
    for place in np.flatnonzero(items >= 0):
        item = int(items[place])
        assert value["after_1"][place] == pytest.approx(np.log(shelf.following.forward[2, item] + 1e-3), rel=1e-5)
        assert value["before_1"][place] == pytest.approx(np.log(shelf.following.backward[2, item] + 1e-3), rel=1e-5)
        assert value["popularity"][place] == pytest.approx(np.log1p(shelf.following.popularity[item]))
        assert value["brand_last"][place] == (shelf.codes[item, 0] == shelf.codes[2, 0] > 0)
        share = np.mean([shelf.codes[item, 2] == shelf.codes[each, 2] for each in (3, 4, 2)])
        assert value["category_share"][place] == pytest.approx(share)
        assert value["seen"][place] == pytest.approx(np.log1p(float(item in (3, 4, 2))))
        cosine = features()[0].texts[item] @ features()[0].texts[2]
        assert value["cosine_last"][place] == pytest.approx(cosine, abs=1e-5)
    ago = {int(item): value["seen_ago"][place] for place, item in enumerate(items) if item >= 0}
    assert [ago[item] for item in (2, 4, 3)] == pytest.approx([1, 1 / 2, 1 / 3])
    best = int(np.argmax(np.where(items >= 0, value["network_0"], -np.inf)))
    assert value["network_rank_0"][best] == 0


def test_a_ranker_that_was_written_and_read_ranks_the_same(small: NextItemRanker, tmp_path: Path) -> None:
    write_ranker(stored(small), tmp_path)
    read = read_ranker(tmp_path)
    assert read.item_ids == stored(small).item_ids
    assert read.vocabulary == features()[1]
    again = NextItemRanker(list(read.networks.values()), read.fusion, small.shelf, from_each=read.from_each)
    for one, other in zip(again.rank(ASKED, 6, repeats=False), small.rank(ASKED, 6, repeats=False), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5)
    with torch.inference_mode():
        torch.testing.assert_close(read.networks["gru"].tower.describe(features()[0]), network("gru").tower.described())


@pytest.mark.parametrize("name", [FUSION_FILE, FOLLOWING_FILE, CODES_FILE, "gru.npy", "gru.safetensors"])
@pytest.mark.parametrize("content", [b"", b"rust", None])
def test_a_damaged_file_of_a_ranker_says_what_to_do(
    small: NextItemRanker, tmp_path: Path, name: str, content: bytes | None
) -> None:
    write_ranker(stored(small), tmp_path)
    (tmp_path / name).unlink()
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(InvalidInput, match="train anew"):
        read_ranker(tmp_path)


@pytest.mark.parametrize("damage", ["", "{}", '{"format": 99}', "not json"])
def test_a_folder_that_holds_no_ranker_says_what_to_do(small: NextItemRanker, tmp_path: Path, damage: str) -> None:
    write_ranker(stored(small), tmp_path)
    (tmp_path / HEAD_FILE).write_text(damage)
    with pytest.raises(InvalidInput, match="train"):
        read_ranker(tmp_path)
