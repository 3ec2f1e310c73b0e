"""Several queries for each product of a catalogue, to learn from where a shop has no labels.

Takes products and a seed, gives questions in the forms of `finetune.query_forms`, and for each text the products that
its maker accepts as an answer: what is in there is never a negative. Judges nothing and searches nothing.
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

from finetune.catalogue_words import CatalogueWords
from finetune.examples import Question
from finetune.query_forms import FORMS, MAKERS, Form
from tasteline.types import Product

EACH = 2
"""Queries for each product: of a shop of 20,000 what two cores learn from in some minutes."""
MOST_ANSWERS = 8
"""Questions of one text: "toner cartridge" is typed for each of 600 products, and is one lesson."""

LIKELINESS: Mapping[Form, float] = {"title": 0.2, "model": 0.3, "fragment": 0.5}
"""Of a form to be tried before others; 1 where nothing is said. Every product has a title, few have a value or a kind:
drawn evenly, two questions of three were pieces of titles, which words alone find."""

Answers = Mapping[str, AbstractSet[str]]
"""Query text → ids of the products that are known to answer it."""


@dataclass(frozen=True, slots=True)
class Made:
    questions: tuple[Question, ...]
    answers: Answers


def catalogue_queries(
    products: Sequence[Product], each: int = EACH, seed: int = 0, forms: Sequence[Form] = FORMS
) -> Made:
    """At most `each` questions for each product, every one of another form; the same for the same catalogue and seed.

    A product whose feed says little gets fewer. Of one text `MOST_ANSWERS` questions are kept, drawn by chance.
    """
    words = CatalogueWords(products, sure=True)
    by_text: dict[str, list[Question]] = defaultdict(list)
    answers: dict[str, set[str]] = defaultdict(set)
    known: set[tuple[str, Form, int]] = set()
    for place, product in enumerate(products):
        for text, form, places in _of_product(words, place, each, seed, forms):
            by_text[text].append(Question(query=text, positive=product.id, origin=form))
            if (text, form, len(places)) not in known:  # else the same set again, 600 times for a large kind
                known.add((text, form, len(places)))
                answers[text].update(products[of].id for of in places)
    return Made(tuple(_few_of_each(by_text.values(), seed)), dict(answers))


def _of_product(
    words: CatalogueWords, place: int, each: int, seed: int, forms: Sequence[Form]
) -> Iterator[tuple[str, Form, AbstractSet[int]]]:
    chance = random.Random(f"{seed} {words.products[place].id}")
    texts: set[str] = set()
    # A draw without replacement by weight (Efraimidis and Spirakis, 2006).
    keys = {form: chance.random() ** (1 / LIKELINESS.get(form, 1.0)) for form in forms}
    for form in sorted(forms, key=lambda form: -keys[form]):
        if len(texts) == each:
            return
        drawn = MAKERS[form](words, place, chance)
        # A form may draw on something that only others have, such as a synonym's word: the query is theirs then.
        if drawn is None or place not in drawn[1] or (text := " ".join(drawn[0])) in texts:
            continue
        texts.add(text)
        yield text, form, drawn[1]


def _few_of_each(groups: Iterable[list[Question]], seed: int) -> Iterator[Question]:
    for questions in groups:
        if len(questions) <= MOST_ANSWERS:
            yield from questions
        else:
            yield from random.Random(f"{seed} {questions[0].query}").sample(questions, k=MOST_ANSWERS)
