"""Two shops as one: who may be learned from, what is asked, and that only the target's items are ranked."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from eval import asking
from eval.baselines.begun import Begun
from eval.baselines.item_knn import ItemKnn
from eval.baselines.newcomers import PopularAmongShared, PopularFirst
from eval.baselines.popular import Popular
from eval.baselines.taste import ContentPopular, Ridge
from eval.data.interactions import Dataset
from eval.data.shared import read_shared
from eval.protocols.checks import LeakError, check_split
from eval.protocols.transfer import Joint, joined, transfer
from eval.systems import Learning, Scorer
from eval.transfer import NOTHING_KNOWN, evaluate
from retrieval.adapters.embedder_hashing import HashingEmbedder
from tasteline.errors import InvalidInput
from tests.unit.eval.protocols.toy_shop import dataset_of
from tests.unit.eval.small_histories import write_histories

SHARED, OTHERS, ITEMS = 40, 30, 20


def shop(name: str, people: list[str], shift: int) -> Dataset:
    """Who likes even (odd) items in one shop likes them in the other: person n takes items of n's parity."""
    rng = np.random.default_rng(shift)
    sequences = [(2 * rng.permutation(ITEMS // 2)[:6] + number % 2).tolist() for number in range(len(people))]
    made = dataset_of(sequences, items=ITEMS)
    words = tuple(f"{name} {'even' if item % 2 == 0 else 'odd'} thing" for item in range(ITEMS))
    ids = tuple(f"{name}{item}" for item in range(ITEMS))
    return replace(made, name=name, user_ids=tuple(people), catalogue=replace(made.catalogue, ids=ids, texts=words))


def both() -> Joint:
    target = shop("soap", [f"t{n}" for n in range(SHARED)] + [f"only{n}" for n in range(OTHERS)], 1)
    source = shop("ball", [f"s{n}" for n in range(SHARED)] + [f"just{n}" for n in range(OTHERS)], 2)
    return joined(source, target, {f"t{n}": f"s{n}" for n in range(SHARED)})


JOINT = both()


def learning(bridge: bool = True) -> Learning:
    return Learning.of(transfer(JOINT, bridge=bridge), "toy", "toy")


def test_items_of_the_source_follow_those_of_the_target() -> None:
    assert JOINT.target_items == ITEMS
    assert JOINT.dataset.catalogue.ids[ITEMS - 1 : ITEMS + 1] == ("soap19", "ball0")
    assert len(JOINT.dataset.user_ids) == SHARED + 2 * OTHERS
    assert np.bincount(JOINT.roles).tolist() == [2 * OTHERS, 16, 12, 12]


def test_what_a_person_did_in_the_source_comes_first() -> None:
    rows = JOINT.dataset.interactions.histories(np.array([3]))
    side = rows.items >= ITEMS
    assert side.tolist() == sorted(side.tolist(), reverse=True)
    assert (side.sum(), (~side).sum()) == (6, 4), "all of the source, what the target's own split learns from"


@pytest.mark.parametrize("bridge", [True, False])
def test_target_rows_of_shared_people_are_nowhere_in_train(bridge: bool) -> None:
    split = transfer(JOINT, bridge=bridge)
    check_split(split, JOINT.dataset)
    roles = JOINT.roles[split.train.users]
    of_target = split.train.items < ITEMS
    assert set(roles[of_target]) == ({0, 1} if bridge else {0})
    assert set(roles[~of_target]) == {0, 1, 2, 3}, "the source side of everybody is learned from"
    assert set(JOINT.roles[split.valid.users]) == {2}
    assert set(JOINT.roles[split.test.users]) == {3}
    assert len(split.valid) == len(split.test) == 12


def test_asked_is_the_first_item_or_the_first_five_from_source_histories() -> None:
    one, five = transfer(JOINT), transfer(JOINT, first=5)
    for place, user in enumerate(one.valid.users):
        did = JOINT.dataset.interactions.histories(np.array([user])).items
        assert one.valid.targets.items[place] == did[did < ITEMS][0]
        wanted = five.valid.targets.items[five.valid.targets.starts[place] : five.valid.targets.starts[place + 1]]
        assert wanted.tolist() == did[did < ITEMS].tolist(), "a person has four rows that may be looked at"
        assert one.valid.histories.of_case(place).tolist() == did[did >= ITEMS].tolist()
    assert "NOT time-safe" in one.protocol.description


def test_only_target_items_are_ranked() -> None:
    made = learning()
    for system in (Popular(), ItemKnn()):
        system.fit(made)
        ranked = asking.rank(system, made.valid.histories, 2 * ITEMS, 2 * ITEMS, repeats=False, pools=made.valid.pools)
        assert ranked.max() < ITEMS
        assert ((ranked >= 0).sum(axis=1) == ITEMS).all()


def test_a_target_of_the_other_side_is_refused() -> None:
    split = transfer(JOINT)
    pools = split.valid.pools
    assert pools is not None
    turned = replace(split.valid, pools=replace(pools, of_items=1 - pools.of_items))
    with pytest.raises(LeakError, match="no candidates"):
        check_split(replace(split, valid=turned), JOINT.dataset)


def found(system: Scorer, made: Learning) -> float:
    """Share of the first five of each valid person's list that are of their parity."""
    system.fit(made)
    ranked = asking.rank(system, made.valid.histories, 2 * ITEMS, 5, repeats=False, pools=made.valid.pools)
    return float((ranked % 2 == made.valid.targets.items[:, None] % 2).mean())


def test_taste_goes_over_the_bridge_and_not_without_it() -> None:
    assert found(ItemKnn(), learning()) > 0.9
    assert found(ItemKnn(), learning(bridge=False)) == found(Popular(), learning(bridge=False))
    assert found(Ridge(HashingEmbedder(), {**RIDGE, "to": ("items",)}), learning()) > 0.9
    assert found(Ridge(HashingEmbedder(), {**RIDGE, "to": ("vectors",)}), learning()) > 0.9
    assert found(ContentPopular(HashingEmbedder()), learning(bridge=False)) > 0.9, "the words are the same"
    with pytest.raises(InvalidInput, match="both sides"):
        Ridge(HashingEmbedder()).fit(learning(bridge=False))


def test_beginnings_and_history_in_one_list() -> None:
    made = learning()
    mixed = Begun(ItemKnn(), grid={"weight": (0.9,), "among": ("shared",), "decay": (0.0,)})
    assert found(mixed, made) > found(PopularFirst(), made) + 0.1
    scores, first = mixed.score(made.valid.histories), mixed.score(made.valid.histories.last(0))
    assert scores[:, :ITEMS].sum(axis=1) == pytest.approx(1), "a probability over the target"
    assert first[0, :ITEMS].sum() == pytest.approx(1)
    counts = PopularFirst({"among": ("shared",), "decay": (0.0,)})
    counts.fit(made)
    begun = np.maximum(counts.score(made.valid.histories)[0, :ITEMS], 0)
    assert np.corrcoef(first[0, :ITEMS], begun)[0, 1] > 0.9, "with nothing known, what people begin with"


RIDGE = {"prior": ("popular",), "popularity": (0.3,), "regularisation": (1.0,)}


def test_lists_for_newcomers() -> None:
    made = learning()
    first = PopularFirst({"among": ("shared",), "decay": (0.0,)})
    first.fit(made)
    bridge = np.flatnonzero(JOINT.roles == 1)
    begun = [made.train.histories(np.array([user])).items for user in bridge]
    counts = np.bincount([items[items < ITEMS][0] for items in begun], minlength=2 * ITEMS)
    scores = first.score(made.valid.histories)[0]
    assert np.maximum(scores, 0)[:ITEMS].tolist() == counts[:ITEMS].tolist()
    among = PopularAmongShared()
    among.fit(made)
    had = np.bincount(np.concatenate([np.unique(items[items < ITEMS]) for items in begun]), minlength=2 * ITEMS)
    assert np.maximum(among.score(made.valid.histories)[0], 0).tolist() == had.tolist()
    without = PopularFirst()
    without.fit(learning(bridge=False))
    assert without.tuning.chosen["among"] == "all"


def test_with_and_without_history_in_pairs() -> None:
    made, split = learning(), transfer(JOINT)
    systems: list[Scorer] = [Popular(), ItemKnn()]
    for system in systems:
        system.fit(made)
    result = evaluate(JOINT.dataset, split, systems, made, split.valid)
    assert set(result.systems) == {"popular", "item_knn", NOTHING_KNOWN.format("item_knn")}
    gains: list[dict[str, object]] = result.more["gains"]  # type: ignore[assignment]
    assert {(each["system"], each["against"]) for each in gains} == {
        ("item_knn", "item_knn without history"),
        ("item_knn", "popular"),
    }
    values = result.systems["item_knn"].values["recall@10"], result.systems["popular"].values["recall@10"]
    gain = next(each for each in gains if each["against"] == "popular" and each["metric"] == "recall@10")
    assert gain["gain"] == pytest.approx(values[0].mean() / values[1].mean() - 1, abs=1e-6)


def test_shops_that_share_an_item_or_nobody_are_refused() -> None:
    target, source = shop("soap", ["a", "b"], 1), shop("ball", ["c", "d"], 2)
    with pytest.raises(InvalidInput, match="name its target"):
        joined(replace(source, catalogue=target.catalogue), target, {"a": "c"})
    with pytest.raises(InvalidInput, match="nobody to ask"):
        joined(source, target, {"a": "c"})
    with pytest.raises(InvalidInput, match="should be in both"):
        joined(source, target, {"a": "nobody"})


def test_the_table_of_who_is_in_both(tmp_path: Path) -> None:
    folders = [write_histories(tmp_path / name, seed) for seed, name in enumerate(("toy-soap", "toy-ball"))]
    table = tmp_path / "shared.csv"
    table.write_text("soap_user_id,ball_user_id\n1,3\n2,1\n")
    assert read_shared(table, *folders) == {"U0": "U2", "U1": "U0"}
    table.write_text("soap_user_id,ball_user_id\n1,3\n999,1\n")
    with pytest.raises(InvalidInput, match=r"line 3.*999"):
        read_shared(table, *folders)
    table.write_text("soap_user_id,bat_user_id\n1,3\n")
    with pytest.raises(InvalidInput, match="one column"):
        read_shared(table, *folders)
