"""Association rules: by hand, by brute force over all sets, and by mlxtend's FP-growth."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pandas as pd
import pytest
from mlxtend.frequent_patterns import association_rules, fpgrowth
from scipy import sparse

from retrieval.insights.baskets import itemsets, rule_table, rules

from .made_acts import acts

RuleKey = tuple[tuple[int, ...], tuple[int, ...]]
Measures = tuple[float, float, float]


def random_baskets(seed: int, baskets: int = 400, topics: int = 9) -> sparse.csr_matrix:
    """Some topics that come together, so that there are rules with one, two and three topics."""
    rng = np.random.default_rng(seed)
    held = rng.random((baskets, topics)) < rng.uniform(0.05, 0.5, topics)
    held[:, 1] |= held[:, 0] & (rng.random(baskets) < 0.8)
    held[:, 2] |= held[:, 0] & held[:, 1] & (rng.random(baskets) < 0.9)
    return sparse.csr_matrix(held.astype(np.int32))


def brute_force(baskets: sparse.csr_matrix, support: float, lift: float) -> dict[RuleKey, Measures]:
    """Every set of up to three topics and every way to divide it, counted basket by basket."""
    rows = [frozenset(np.flatnonzero(row).tolist()) for row in baskets.toarray()]

    def share(topics: tuple[int, ...]) -> float:
        return sum(frozenset(topics) <= row for row in rows) / len(rows)

    found: dict[RuleKey, Measures] = {}
    for size in (2, 3):
        for topics in combinations(range(baskets.shape[1]), size):
            both = share(topics)
            if both < support:
                continue
            for number in range(1, size):
                for left in combinations(topics, number):
                    right = tuple(topic for topic in topics if topic not in left)
                    confidence = both / share(left)
                    if confidence / share(right) >= lift:
                        found[left, right] = (both, confidence, confidence / share(right))
    return found


def of_table(table: pd.DataFrame) -> dict[RuleKey, Measures]:
    columns = (table[name] for name in ("antecedents", "consequents", "support", "confidence", "lift"))
    return {
        (tuple(sorted(left)), tuple(sorted(right))): (support, confidence, lift)
        for left, right, support, confidence, lift in zip(*columns, strict=True)
    }


@pytest.mark.parametrize("seed", range(4))
def test_rules_are_those_of_brute_force(seed: int) -> None:
    baskets = random_baskets(seed)
    ours, expected = of_table(rule_table(baskets, 0.04, 1.1)), brute_force(baskets, 0.04, 1.1)
    assert ours.keys() == expected.keys()
    assert len(expected) > 20
    for key, values in expected.items():
        assert ours[key] == pytest.approx(values)


@pytest.mark.parametrize("seed", range(4))
def test_rules_are_those_of_fp_growth(seed: int) -> None:
    baskets = random_baskets(seed, baskets=900, topics=14)
    frame = pd.DataFrame(baskets.toarray().astype(bool))
    frequent = fpgrowth(frame, min_support=0.03, max_len=3)
    expected = of_table(association_rules(frequent, metric="lift", min_threshold=1.2))
    ours = of_table(rule_table(baskets, 0.03, 1.2))
    assert ours.keys() == expected.keys()
    for key, values in expected.items():
        assert ours[key] == pytest.approx(values)


def test_each_itemset_comes_once() -> None:
    found = list(itemsets(random_baskets(0), 0.04))
    assert any(len(topics) == 3 for topics, _ in found)
    assert len({frozenset(topics) for topics, _ in found}) == len(found)


def test_itemsets_at_the_very_limit_count() -> None:
    baskets = sparse.csr_matrix(np.array([[1, 1, 0], [1, 1, 0], [1, 0, 1], [0, 0, 1]], dtype=np.int32))
    assert dict(itemsets(baskets, 0.5)) == {(0,): 3, (1,): 2, (2,): 2, (0, 1): 2}


def test_a_rule_worked_by_hand() -> None:
    # 100 baskets of as many people: 20 with both, 5 with the first alone, 15 with the second alone.
    rows = [(person, 0, 1) for person in range(25)] + [(person, 1, 1) for person in (*range(20), *range(25, 40))]
    rows += [(person, 2, 1) for person in range(40, 100)]
    [rule] = rules(acts(rows, 3), fewest=5, most=10)
    assert (rule.if_bought, rule.then) == ((0,), (1,))  # the surer direction
    assert (rule.baskets, rule.shoppers) == (20, 20)
    assert (rule.support, rule.confidence, rule.lift) == (
        pytest.approx(0.2),
        pytest.approx(20 / 25),
        pytest.approx(20 / 25 / 0.35),
    )


def test_baskets_of_few_people_are_not_shown() -> None:
    rows = [(0, topic, age) for age in range(40) for topic in (0, 1)] + [(p, 2, 1) for p in range(1, 60)]
    assert rules(acts(rows, 3), fewest=5, most=10) == []


def test_purchases_by_chance_make_no_rules() -> None:
    rng = np.random.default_rng(1)
    rows = [(int(p), int(topic), 1) for p in range(500) for topic in rng.choice(20, 4, replace=False)]
    assert rules(acts(rows, 20), fewest=5, most=50) == []


def test_nothing_bought() -> None:
    made = acts([(0, 0, 1), (1, 1, 1)], 2)
    assert rules(made, fewest=5, most=10) == []
