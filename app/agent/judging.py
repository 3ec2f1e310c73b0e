"""A short list re-ordered by a language model's label probabilities: on their own, or fused with the retrieval order.

Takes a ranking and the need in words, gives the same ranking in another order: the same products, once each, with the
scores, reasons and limits that they had. A `score` goes on to say how retrieval rated the product; the order of `items`
alone says where it stands. Knows nothing of how the list was made or what the labels were.

Three things bound what a stranger's product text can do here. Only the first JUDGED products move. A product whose text
gives orders to who reads it is not judged and keeps its place. And fused, a product overtakes at most MOST_GAINED of
the others that are judged, however sure the model is.

Measured on validation data with SmolLM2-135M-Instruct (43 searches made from a catalogue, 43 next purchases; only lists
with a right product among the first 12; change of nDCG@10 with its standard error): pointwise alone -.11±.06 and
-.25±.06, listwise -.09±.03 and -.13±.03; fused at weight .1 +.007±.005 and .000 pointwise, 0 and 0 listwise; at weight
.2 -.02±.02 and -.05±.02 pointwise. Such a model is no judge, hence "off" by default; a larger one is to be measured.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Final, Literal

from app.llm.asking import Asker
from prompts.judging import Form, addresses_judge, read_judgement, render_judgement
from tasteline.types import Product, RankedProduct, Ranking

Mode = Literal["off", "on", "fused"]

JUDGED: Final = 12
"""Products from the top that are judged: what a page shows, and one second of one core with a model of 135M."""
FORM: Final[Form] = "pointwise"
"""One product's text cannot speak for or against another's, and fused it did no worse."""
MODEL_WEIGHT: Final = 0.1
"""Of the place that the model gives, beside that of retrieval."""
MOST_GAINED: Final = math.floor(MODEL_WEIGHT / (1 - MODEL_WEIGHT) * (JUDGED - 1))
"""With places r in retrieval and m by the model, a product overtakes another only where (1 - w)(r - r') < w(m' - m),
and m' - m is at most JUDGED - 1: so many at most stand before it that it can overtake."""


class Judge:
    """`form`, `judged` and `weight` are as measured on validation data; others are for measuring."""

    def __init__(
        self, asker: Asker, mode: Mode, *, form: Form = FORM, judged: int = JUDGED, weight: float = MODEL_WEIGHT
    ) -> None:
        self._asker = asker
        self._mode = mode
        self._form = form
        self._judged = judged
        self._weight = weight if mode == "fused" else 1.0

    @property
    def asked(self) -> bool:
        """Is there a judgement to wait for?"""
        return self._mode != "off" and self._asker.present

    def depth(self, shown: int) -> int:
        """How long a list must be for `shown` of it to be chosen."""
        return max(shown, self._judged) if self._mode != "off" else shown

    async def order(self, ranking: Ranking, need: str, timeout: float) -> Ranking:
        """The ranking in the model's order, or in its own where there is nothing to judge or nobody to ask.

        Left alone are lists of one, lists in an order that the shopper chose (by price, by rating), and needs without
        a word. An engine that gives nothing within `timeout` seconds adds "judge" to `degraded`; one that is not there
        or still loading is not missed.
        """
        if self._mode == "off" or not need.strip() or not _by_relevance(ranking) or not self._asker.present:
            return ranking
        open_places = [
            place for place, item in enumerate(ranking.items[: self._judged]) if not addresses_judge(item.product)
        ]
        if len(open_places) < 2:
            return ranking
        fits = await self._fits(need, [ranking.items[place].product for place in open_places], timeout)
        if fits is None:
            return replace(ranking, degraded=(*ranking.degraded, "judge"))
        return replace(ranking, items=_moved(ranking.items, open_places, fused(fits, self._weight)))

    async def _fits(self, need: str, products: Sequence[Product], timeout: float) -> list[float] | None:
        judgement = render_judgement(self._form, need, products)
        chosen = await self._asker.choose(judgement.name, judgement.prompts, judgement.labels, timeout)
        return None if chosen is None else read_judgement(judgement, chosen)


def fused(fits: Sequence[float], weight: float) -> list[int]:
    """Places in retrieval, best first, after the model's order got `weight` of the say; ties as retrieval has them.

    A product's place in the fused list follows (1 - weight) · place in retrieval + weight · place by the model. Places
    rather than probabilities: how sure a model is differs from need to need and from engine to engine. Equal fits
    share the middle of the places that they take. NaN fits worst.

    >>> fused([0.2, 0.9, 0.4], weight=1.0), fused([0.2, 0.9, 0.4], weight=0.2), fused([0.5, 0.5, 0.5], weight=1.0)
    ([1, 2, 0], [0, 1, 2], [0, 1, 2])
    """
    known = [-math.inf if math.isnan(fit) else fit for fit in fits]
    better = [sum(other > fit for other in known) for fit in known]
    equal = [sum(other == fit for other in known) for fit in known]
    by_model = [above + (same - 1) / 2 for above, same in zip(better, equal, strict=True)]
    blended = [(1 - weight) * place + weight * by_model[place] for place in range(len(fits))]
    return sorted(range(len(fits)), key=lambda place: (blended[place], place))


def _moved(
    items: Sequence[RankedProduct], open_places: Sequence[int], order: Sequence[int]
) -> tuple[RankedProduct, ...]:
    """The products of the open places among themselves in a new order; every other stays where it is."""
    moved = list(items)
    for place, chosen in zip(open_places, order, strict=True):
        moved[place] = items[open_places[chosen]]
    return tuple(moved)


def _by_relevance(ranking: Ranking) -> bool:
    return len(ranking.items) > 1 and (ranking.understood is None or ranking.understood.sort == "relevance")
