"""Queries made out of a catalogue, for choosing settings where no human judgements may be used.

Takes products and a seed, gives queries as a shopper would type them, each with the products that answer it, and
measures SearchSystems on them. Sees nothing of judgements, so what is chosen here can be reported on judged queries
with a clear conscience. How a query is made is `finetune.query_forms`: six of its forms are used, because each favours
another way of ranking and a setting has to do well on all.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from eval.metrics import judged_labels, labels_of, mrr_at_k, padded, recall_at_k
from eval.search import SearchSystem
from finetune.catalogue_words import CatalogueWords
from finetune.query_forms import MAKERS, Form
from finetune.splitting import Part, product_part
from tasteline.types import Product

FORMS: tuple[Form, ...] = ("fragment", "kind", "brand_kind", "attribute", "description", "synonym")
ATTEMPTS = 60
"""Tries for each query wanted before a form is given up: some catalogues have no attributes or no brands."""


@dataclass(frozen=True, slots=True)
class KnownItemQuery:
    text: str
    form: Form
    relevant: frozenset[str]
    """Ids of the products that answer it; at least one."""


def known_item_queries(
    products: Sequence[Product], each: int = 150, seed: int = 0, part: Part | None = None
) -> tuple[KnownItemQuery, ...]:
    """At most `each` different queries of every form; the same for the same products, number, seed and part.

    Products are drawn with equal chance; with `part` only those of that part, so that what a trained model is chosen
    by is never a query of a product that it was trained on. A form that the catalogue does not allow (no brands, no
    attributes) gives fewer queries or none.
    """
    words = CatalogueWords(products)
    drawn = [place for place, product in enumerate(products) if part in (None, product_part(product.id))]
    made: list[KnownItemQuery] = []
    for form in FORMS:
        chance = random.Random(f"{seed} {form}")
        texts: set[str] = set()
        for _ in range(each * ATTEMPTS if drawn else 0):
            if len(texts) == each:
                break
            query = MAKERS[form](words, drawn[chance.randrange(len(drawn))], chance)
            if query is None or " ".join(query[0]) in texts:
                continue
            texts.add(" ".join(query[0]))
            relevant = frozenset(products[place].id for place in query[1])
            made.append(KnownItemQuery(" ".join(query[0]), form, relevant))
    return tuple(made)


def evaluate_known_items(
    queries: Sequence[KnownItemQuery], systems: Sequence[SearchSystem], depth: int = 100
) -> dict[str, dict[str, dict[str, float]]]:
    """system → form (and "all": the mean over the forms) → mrr@10, recall@10 and recall@`depth`, recalls capped.

    "all" weighs the forms equally, however many queries each has.
    """
    results: dict[str, dict[str, dict[str, float]]] = {}
    for system in systems:
        values = _values(queries, system.rank([query.text for query in queries], depth), depth)
        forms = np.array([query.form for query in queries])
        by_form: dict[str, dict[str, float]] = {
            form: {metric: float(each[forms == form].mean()) for metric, each in values.items()}
            for form in FORMS
            if (forms == form).any()
        }
        over_all = {metric: float(np.mean([row[metric] for row in by_form.values()])) for metric in values}
        results[system.name] = {"all": over_all, **by_form}
    return results


def _values(
    queries: Sequence[KnownItemQuery], rankings: Sequence[Sequence[str]], depth: int
) -> dict[str, np.ndarray[tuple[int, ...], np.dtype[np.float64]]]:
    numbers: dict[str, int] = {}

    def number(product_id: str) -> int:
        return numbers.setdefault(product_id, len(numbers))

    items, judged = judged_labels([{number(each): 1.0 for each in sorted(query.relevant)} for query in queries])
    ranked = labels_of(padded([[number(each) for each in row] for row in rankings], width=depth), items, judged)
    return {
        "mrr@10": mrr_at_k(ranked, 10),
        "recall@10": recall_at_k(ranked, judged, 10, capped=True),
        f"recall@{depth}": recall_at_k(ranked, judged, depth, capped=True),
    }
