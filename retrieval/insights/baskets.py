"""Association rules of baskets: what is bought together, with support, confidence and lift.

Takes acts, gives `Rule`s between topics. Baskets are a person's purchases of one session (of one day where events name
none). Itemsets of up to three topics are counted by products of sparse matrices, exactly and twenty times as fast as
walking a tree in Python, which would also keep a running service from its shoppers (the interpreter's lock); the rules
and their measures come from mlxtend (Raschka, 2018). A test compares both with mlxtend's FP-growth (Han et al., 2000).
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy import sparse, stats

from retrieval.insights.acts import Acts
from retrieval.insights.movements import ALARMS

if TYPE_CHECKING:
    import pandas as pd

SUPPORT = 0.005
"""Share of baskets that hold all topics of a rule, at least."""
LIFT = 1.2
"""A rule that raises the chance by less is not worth a line."""
MOST_PAIRS = 4_000
"""The most frequent pairs that are looked at for a third topic: bounds memory."""

Baskets: TypeAlias = sparse.csr_matrix
"""(baskets, topics): 1 where the topic was bought."""


@dataclass(frozen=True, slots=True)
class Rule:
    if_bought: tuple[int, ...]
    then: tuple[int, ...]
    baskets: int
    shoppers: int
    """Different people whose baskets these are."""
    support: float
    confidence: float
    lift: float


def baskets_of(acts: Acts) -> tuple[Baskets, NDArray[np.int64]]:
    """Baskets of the purchases, and the person of each."""
    bought = acts.table.lazy().filter("bought").select("basket", "topic", "person").unique().sort("basket").collect()
    _, basket = np.unique(bought["basket"].to_numpy(), return_inverse=True)
    shape = (int(basket[-1]) + 1 if len(basket) else 0, len(acts.topics))
    held = sparse.csr_matrix((np.ones(len(basket), np.int32), (basket, bought["topic"].to_numpy())), shape=shape)
    people = np.zeros(shape[0], dtype=np.int64)
    people[basket] = bought["person"].to_numpy()
    return held, people


def itemsets(baskets: Baskets, support: float) -> Iterator[tuple[tuple[int, ...], int]]:
    """(topics, rising; number of baskets) of all sets of one to three topics in at least a share `support` of them."""
    least = max(int(np.ceil(support * baskets.shape[0] - 1e-9)), 1)
    alone = np.asarray(baskets.sum(axis=0)).ravel()
    frequent = np.flatnonzero(alone >= least)
    yield from (((int(topic),), int(alone[topic])) for topic in frequent)
    held = baskets[:, frequent].tocsc()
    together = sparse.triu(held.T @ held, k=1).tocoo()
    enough = together.data >= least
    order = np.argsort(-together.data[enough], kind="stable")
    pairs = np.stack([together.row[enough], together.col[enough]], axis=1)[order]
    for (a, b), number in zip(pairs.tolist(), together.data[enough][order].tolist(), strict=True):
        yield (int(frequent[a]), int(frequent[b])), number
    for three, number in _threes(held, pairs[:MOST_PAIRS], least):
        yield (int(frequent[three[0]]), int(frequent[three[1]]), int(frequent[three[2]])), number


def _threes(
    held: sparse.csc_matrix, pairs: NDArray[np.int32], least: int, at_once: int = 256
) -> Iterator[tuple[tuple[int, int, int], int]]:
    for start in range(0, len(pairs), at_once):
        part = pairs[start : start + at_once]
        both = held[:, part[:, 0]].multiply(held[:, part[:, 1]])
        counted = (both.T @ held).tocoo()
        wanted = (counted.data >= least) & (counted.col > part[counted.row, 1])  # each set once, in rising order
        for row, third, number in zip(
            counted.row[wanted].tolist(), counted.col[wanted].tolist(), counted.data[wanted].tolist(), strict=True
        ):
            yield (int(part[row, 0]), int(part[row, 1]), third), number


def rule_table(baskets: Baskets, support: float = SUPPORT, lift: float = LIFT) -> pd.DataFrame:
    """mlxtend's table: antecedents, consequents (frozen sets of topics), support, confidence and lift."""
    import pandas as pd
    from mlxtend.frequent_patterns import association_rules

    found = list(itemsets(baskets, support))
    if not any(len(topics) > 1 for topics, _ in found):
        return pd.DataFrame(columns=["antecedents", "consequents", "support", "confidence", "lift"])
    shares = [number / baskets.shape[0] for _, number in found]
    table = pd.DataFrame({"support": shares, "itemsets": [frozenset(topics) for topics, _ in found]})
    measures = ["support", "confidence", "lift"]  # of twelve: all of them take half as long again
    return association_rules(table, metric="lift", min_threshold=lift, return_metrics=measures)


def rules(acts: Acts, fewest: int, most: int) -> list[Rule]:
    """The `most` rules that tell most, each set of topics once: by lift beyond 1 times the root of the support, so that
    neither what everybody buys anyway nor what hardly anybody buys comes first.

    Of the rules of a set the surest (highest confidence) is told; a set of three only where its rule has half as
    much lift again as any pair in it: else the third topic tells nothing. None that chance would make.
    """
    baskets, people = baskets_of(acts)
    table = rule_table(baskets)
    best: dict[frozenset[int], Rule] = {}
    columns = zip(
        table["antecedents"], table["consequents"], table["support"], table["confidence"], table["lift"], strict=True
    )
    for left, right, support, confidence, lift in columns:
        told = best.get(left | right)
        if len(right) == 1 and (told is None or confidence > told.confidence):
            number = round(support * baskets.shape[0])
            best[left | right] = Rule(tuple(sorted(left)), tuple(right), number, 0, support, confidence, lift)
    sure = _sure(list(best.values()), baskets.shape[0])
    worth = [rule for rule in sure if _adds(frozenset({*rule.if_bought, *rule.then}), rule, best)]
    worth.sort(key=lambda rule: (-math.sqrt(rule.support) * (rule.lift - 1), rule.if_bought, rule.then))
    found = [_with_people(rule, baskets, people) for rule in worth[: 2 * most]]
    return [rule for rule in found if rule.shoppers >= fewest][:most]


def _sure(rules: list[Rule], baskets: int) -> list[Rule]:
    """Those that chance would hardly make: hypergeometric, Bonferroni's correction over all of them."""
    with_if = [round(rule.support / rule.confidence * baskets) for rule in rules]
    with_then = [round(rule.confidence / rule.lift * baskets) for rule in rules]
    p = stats.hypergeom.sf([rule.baskets - 1 for rule in rules], baskets, with_if, with_then)
    return [rule for rule, each in zip(rules, p, strict=True) if each * len(rules) <= ALARMS]


def _adds(topics: frozenset[int], rule: Rule, best: dict[frozenset[int], Rule]) -> bool:
    within = [best[topics - {topic}].lift for topic in topics if topics - {topic} in best]
    return len(topics) == 2 or rule.lift >= 1.5 * max(within, default=0.0)


def _with_people(rule: Rule, baskets: Baskets, people: NDArray[np.int64]) -> Rule:
    held = np.asarray(baskets[:, [*rule.if_bought, *rule.then]].todense()).all(axis=1)
    return Rule(
        rule.if_bought, rule.then, rule.baskets, len(np.unique(people[held])), rule.support, rule.confidence, rule.lift
    )
