"""Queries made out of a catalogue, for choosing settings where no human judgements may be used.

Takes products and a seed, gives queries as a shopper would type them, each with the products that answer it, and
measures SearchSystems on them. Sees nothing of judgements, so what is chosen here can be reported on judged queries
with a clear conscience. How a query is made is `finetune.query_forms`: six of its forms are used, because each favours
another way of ranking and a setting has to do well on all.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

import numpy as np

from eval.metrics import judged_labels, labels_of, mrr_at_k, padded, recall_at_k
from eval.search import SearchSystem
from finetune.catalogue_words import CatalogueWords
from finetune.query_forms import MAKERS, Form
from finetune.splitting import Part, comparable, product_part
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
    passed_over: frozenset[str] = frozenset()
    """Ids of others that answer it, of another part: neither right nor wrong, wherever they are ranked."""


def known_item_queries(
    products: Sequence[Product],
    each: int = 150,
    seed: int = 0,
    part: Part | None = None,
    without: AbstractSet[str] = frozenset(),
) -> tuple[KnownItemQuery, ...]:
    """At most `each` different queries of every form; the same for the same products, number, seed, part and texts.

    Products are drawn with equal chance. With `part` only those of that part are drawn and are relevant, and a query
    that is one of `without` (spaces and capitals apart) is not made: so what a trained model is judged by is neither a
    text that it has learned from nor a product. A form that the catalogue does not allow (no brands, no attributes)
    gives fewer queries or none.
    """
    learned = {comparable(text) for text in without}
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
            if query is None or (text := " ".join(query[0])) in texts or comparable(text) in learned:
                continue
            answering = frozenset(products[place].id for place in query[1])
            relevant = frozenset(key for key in answering if part in (None, product_part(key)))
            if not relevant:
                continue  # a form may draw on something that only others have
            texts.add(text)
            made.append(KnownItemQuery(text, form, relevant, answering - relevant))
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
