"""The next-category task: of which category is the product to which somebody turns next?

Takes fitted next-item systems, a Dataset whose catalogue has `paths` and cases; gives a Measured. Any system takes
part: its scores of products are pooled into one score for each category, in the way that did best on valid. Knows
nothing of how a system works.

>>> scores = np.array([[3.0, -1.0, 2.9, 0.5]], dtype=np.float32)
>>> kinds = Categories(("boots", "tents"), np.array([0, 0, 1, 1], dtype=np.int32))
>>> [kinds.names[pooled(scores, kinds, way).argmax()] for way in ("best", "sum")]
['boots', 'tents']
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from eval import asking, next_item
from eval.baselines.matrices import moves
from eval.baselines.popular import fill_zeros
from eval.data.interactions import Catalogue, Codes, Dataset, Histories, Interactions
from eval.measured import Measured, Slice, SystemResult, binned
from eval.metrics import measured, measures, top_k
from eval.metrics.ranking import ndcg_at_k
from eval.protocols.cutting import keep_targets
from eval.protocols.split import Cases, Split
from eval.systems import ItemScores, Learning, NextItemSystem, Ranker
from tasteline.errors import InvalidInput

METRICS = ("ndcg@10", "recall@1", "recall@5", "mrr")
Way = Literal["best", "sum", "softmax", "ranks"]
WAYS: tuple[Way, ...] = ("ranks", "sum", "softmax", "best")
"""How products become a category; of equal ones on valid the first is taken."""
RANK_OFFSET = 10
"""A place in the first ten counts at most twice as much as the eleventh: one product must not decide alone."""

CategoryScores = NDArray[np.float32]
"""(cases, categories)"""
Score = Callable[[Histories], CategoryScores]


@dataclass(frozen=True, slots=True)
class Categories:
    """The narrowest categories that the catalogue names, and which item is of which."""

    names: tuple[str, ...]
    of_items: Codes
    """(items,) places in `names`, -1 for an item without a category."""

    @classmethod
    def of(cls, catalogue: Catalogue) -> Categories:
        """From `Catalogue.paths`, all levels together. Raises InvalidInput where no item has one.

        >>> Categories.of(Catalogue(("1", "2"), ("",) * 2, ("",) * 2, (("home", "lamps"), ()))).of_items.tolist()
        [0, -1]
        """
        paths = [" > ".join(path) for path in catalogue.paths]
        names = sorted({path for path in paths if path})
        if not names:
            raise InvalidInput("the catalogue names no category below its departments; nothing can be asked for")
        place = {name: number for number, name in enumerate(names)}
        return cls(tuple(names), np.array([place.get(path, -1) for path in paths], dtype=np.int32))

    @property
    def matrix(self) -> sparse.csr_matrix:
        """(items, categories): 1 where the item is of the category."""
        known = np.flatnonzero(self.of_items >= 0)
        shape = (len(self.of_items), len(self.names))
        return sparse.csr_matrix((np.ones(len(known), np.float32), (known, self.of_items[known])), shape=shape)


def pooled(scores: ItemScores, categories: Categories, way: Way) -> CategoryScores:
    """One score for each category from scores of items, of which -inf is none.

    "best": that of its best item. "sum": of its scores above 0, for counts and cosines. "softmax": its share of
    exp(score), for the logits of a network. "ranks": sum of 1 / (10 + rank) over its items among the first 100, for
    scores of any scale. A category that nothing speaks for has 0, in "best" -inf.
    """
    if way == "best":
        return _best(scores, categories)
    if way == "ranks":
        ranked, _ = top_k(scores, next_item.DEPTH)
        return pooled_lists(ranked, categories)
    highest = scores.max(axis=1, keepdims=True)
    weights = np.exp(scores - highest) if way == "softmax" else np.maximum(scores, 0)
    summed: CategoryScores = (categories.matrix.T @ weights.T).T.astype(np.float32)
    return summed


def pooled_lists(ranked: Codes, categories: Categories) -> CategoryScores:
    """As "ranks" does it, from lists (cases, depth) of items, -1 past the end."""
    result = np.zeros((len(ranked), len(categories.names)), dtype=np.float32)
    kinds = np.where(ranked < 0, -1, categories.of_items[ranked])
    for place, of_place in enumerate(kinds.T):
        known = np.flatnonzero(of_place >= 0)
        result[known, of_place[known]] += 1 / (RANK_OFFSET + 1 + place)
    return result


def evaluate(
    dataset: Dataset, split: Split, systems: Sequence[NextItemSystem], learning: Learning, cases: Cases
) -> Measured:
    """Ask fitted systems for the category of each case's target; cases whose target has none are left out.

    Beside them two that know categories only, `same_category` and `category_markov`. Raises InvalidInput where the
    catalogue names no categories or no case has one.
    """
    started = time.perf_counter()
    categories = Categories.of(split.catalogue)
    valid, asked = (_known(each, categories) for each in (learning.valid, cases))
    if not len(asked):
        raise InvalidInput(f"{dataset.name}: no target has a category")
    shares = _shares(split.train, categories)
    results = {}
    for name, score in _own(split.train, categories, shares).items():
        results[name] = _result(score(asked.histories), asked, categories, {})
    for system in systems:
        way = _chosen(system, valid, categories, shares, split)
        scores = _scores(system, asked, categories, shares, split, (way,))[way]
        results[system.name] = _result(scores, asked, categories, {"pooled_by": way})
    return Measured(
        task="next-category",
        dataset=dataset.name,
        checksum=dataset.checksum,
        protocol=f"{split.protocol.name}: {split.protocol.description} Asked for is the category of that product, as "
        f"narrow as the files name it ({len(categories.names)} of them); {len(cases) - len(asked)} cases whose product "
        "has none are left out. Scores of products are pooled into categories in the way that did best on valid.",
        cases=tuple(dataset.user_ids[user] for user in asked.users),
        systems=results,
        slices=[_moving(asked, categories), binned("history length", asked.histories.lengths, next_item.HISTORY)],
        headline=METRICS,
        settings={"categories": len(categories.names), "ways": list(WAYS)},
        seed=learning.seed,
        seconds=time.perf_counter() - started,
        resamples=next_item.RESAMPLES,
        groups=next_item.groups_of(asked),
    )


def _known(cases: Cases, categories: Categories) -> Cases:
    return keep_targets(cases, categories.of_items[cases.targets.items] >= 0)


def _targets(cases: Cases, categories: Categories) -> Codes:
    """(cases, 1): the category of each one's first target."""
    wanted: Codes = categories.of_items[cases.targets.items[cases.targets.starts[:-1]]][:, None]
    return wanted


def _chosen(
    system: NextItemSystem, valid: Cases, categories: Categories, shares: NDArray[np.float32], split: Split
) -> Way:
    """The way with the best nDCG@10 on valid; of a system that gives lists there is but one."""
    if isinstance(system, Ranker) or not len(valid):
        return "ranks"
    wanted = _targets(valid, categories)
    found = _scores(system, valid, categories, shares, split, WAYS)

    def ndcg(way: Way) -> float:
        ranked, _ = top_k(found[way], 10)
        hit = np.where(ranked == wanted, 1.0, 0.0)
        return float(ndcg_at_k(hit, np.ones((len(valid), 1)), 10).mean())

    return max(WAYS, key=ndcg)


def _scores(
    system: NextItemSystem,
    cases: Cases,
    categories: Categories,
    shares: NDArray[np.float32],
    split: Split,
    ways: Sequence[Way],
) -> Mapping[Way, CategoryScores]:
    """Scores of the categories in each way; what no product speaks for follows by popularity."""
    items, repeats = len(split.catalogue), split.protocol.repeats
    if isinstance(system, Ranker):
        lists = asking.rank(system, cases.histories, items, next_item.DEPTH, repeats=repeats)
        return dict.fromkeys(ways, fill_zeros(pooled_lists(lists, categories), shares))
    batch = max(1, asking.BATCH_SCORES // items)
    parts: dict[Way, list[CategoryScores]] = {way: [] for way in ways}
    for start in range(0, len(cases), batch):
        scores = asking.scored(system, cases.histories.slice(start, start + batch), items, repeats=repeats)
        for way in ways:
            parts[way].append(fill_zeros(pooled(scores, categories, way), shares))
    return {way: np.concatenate(each) for way, each in parts.items()}


def _result(scores: CategoryScores, cases: Cases, categories: Categories, chosen: Mapping[str, object]) -> SystemResult:
    ranked, _ = top_k(scores, len(categories.names))
    values = measured(measures(*METRICS), ranked, _targets(cases, categories), np.ones((len(cases), 1)))
    return SystemResult(values, chosen=chosen)


def _best(scores: ItemScores, categories: Categories) -> CategoryScores:
    known = np.flatnonzero(categories.of_items >= 0)
    order = known[np.argsort(categories.of_items[known], kind="stable")]
    starts = np.searchsorted(categories.of_items[order], np.arange(len(categories.names)))
    best: CategoryScores = np.maximum.reduceat(scores[:, order], starts, axis=1)
    return best


def _moving(cases: Cases, categories: Categories) -> Slice:
    """Whether the target is of the category that was looked at last: most are, and staying there is easily said."""
    stays = _last_known(cases.histories, categories) == _targets(cases, categories)[:, 0]
    return Slice("category", ("stays", "moves on"), (~stays).astype(np.int64))


def _last_known(histories: Histories, categories: Categories) -> Codes:
    """The category of each one's last item that has one, -1 where none has."""
    result = np.full(len(histories), -1, dtype=np.int32)
    of_event = categories.of_items[histories.items]
    case = np.repeat(np.arange(len(histories)), histories.lengths)
    result[case[of_event >= 0]] = of_event[of_event >= 0]  # ascending: the last assignment is the last event
    return result


def _shares(train: Interactions, categories: Categories) -> NDArray[np.float32]:
    counts = np.bincount(categories.of_items[train.items] + 1, minlength=len(categories.names) + 1)[1:]
    shares: NDArray[np.float32] = (counts / max(counts.max(), 1)).astype(np.float32)
    return shares


def _own(train: Interactions, categories: Categories, shares: NDArray[np.float32]) -> Mapping[str, Score]:
    """What categories alone can do: stay in the last known one, or follow the moves of train."""
    number = len(categories.names)
    kinds = categories.of_items[train.items]
    # a step of an unknown category is passed over, as it is in a history
    kept = moves(train.users, train.items) & (kinds >= 0)
    users, steps = train.users[kept], kinds[kept]
    pair = users[1:] == users[:-1]
    counts = sparse.csr_matrix((np.ones(pair.sum(), np.float32), (steps[:-1][pair], steps[1:][pair])), (number, number))

    def same(histories: Histories) -> CategoryScores:
        scores: CategoryScores = np.tile(shares, (len(histories), 1))
        at = _last_known(histories, categories)
        scores[np.flatnonzero(at >= 0), at[at >= 0]] += 1
        return scores

    def markov(histories: Histories) -> CategoryScores:
        at = _last_known(histories, categories)
        scores: CategoryScores = counts[np.maximum(at, 0)].toarray()
        scores[at < 0] = 0
        return fill_zeros(scores, shares)

    return {"same_category": same, "category_markov": markov}
