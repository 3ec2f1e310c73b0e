"""Makes a set of questions of a shop that has no labels: from its catalogue, from what people did, or both.

Takes the shop's store, indexes, embedder and own search; gives the set, written under the home. The way of a question:
made, divided (train or valid), searched for and kept if its product comes back, given hard negatives, written.
Questions from events need not come back: a person found the product. The same shop, recipe and seed give the same rows.
"""

from __future__ import annotations

import random
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

from finetune.catalogue_queries import EACH, Answers, Made, catalogue_queries
from finetune.event_questions import NEXT, TOGETHER, next_questions, search_questions, together_questions
from finetune.examples import Question
from finetune.hard_negatives import Mining, mine
from finetune.impressions import place_weights
from finetune.question_sets import About, QuestionSet, standing, write_question_set
from finetune.round_trip import WITHIN, Search, found_again
from finetune.splitting import divide, product_part
from finetune.written_queries import written_queries
from retrieval.live import Indexes
from tasteline.errors import InvalidInput
from tasteline.ports import Embedder, LanguageModel, Store
from tasteline.types import Event, Product

_MINING = Mining()
Progress = Callable[[int, int], None]
Told = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class QuestionRecipe:
    """What is chosen; flat, as `dataset.json` has it."""

    each: int = EACH
    """Queries made for each product."""
    most: int = 20_000
    """Of them all, drawn by chance: searching for one and finding its negatives takes some 10 ms."""
    written: int = 0
    """Products, drawn by chance, that a language model writes queries for; 0: none."""
    within: int = WITHIN
    """Places of a search in which the product has to be found again."""
    together: bool = False
    """Also pairs of products of one basket; for a model of what goes together, not for a search."""
    next_items: bool = False
    """Only what people decided for next, told as a taste; for a model that orders a person's candidates."""
    negatives: int = _MINING.each
    share: float = _MINING.share
    alike: float = _MINING.alike
    seed: int = 0


@dataclass(frozen=True, slots=True)
class OpenShop:
    """What of a shop is needed here. Nobody else may change the indexes meanwhile."""

    store: Store
    indexes: Indexes
    embedder: Embedder
    search: Search
    model: LanguageModel | None = None
    """Asked only where the recipe says so."""


@dataclass(slots=True)
class _Account:
    """What every step left out, and whether clicks could be weighted by their place."""

    dropped: dict[str, Mapping[str, int]] = field(default_factory=dict)
    places_weighted: bool = False

    def note(self, step: str, counts: Mapping[str, int]) -> None:
        if any(counts.values()):
            self.dropped[step] = dict(sorted(counts.items()))


def make_question_set(
    home: Path,
    name: str,
    shop: OpenShop,
    recipe: QuestionRecipe | None = None,
    told: Told = lambda step: None,
    progress: Progress | None = None,
) -> QuestionSet:
    """Written in the place of a set of that name. `told` hears of each step, `progress` how far it is.

    An empty shop gives an empty set. Raises InvalidInput where queries are to be written and there is no model.
    """
    recipe, account, began = recipe or QuestionRecipe(), _Account(), time.perf_counter()
    # Read first: whoever is erased from now on is missed by reading, not overlooked by making.
    erasures, revision = shop.store.erasures(), shop.indexes.revision
    products = list(shop.indexes.catalogue.products())
    told("questions")
    made = _made(products, shop, recipe, account, progress)
    divided = divide(made.questions)
    account.note("division", divided.left_out)
    sides = []
    for side, rows in (("train", divided.train), ("valid", divided.valid)):
        told(f"searching for {side}")
        kept = _found_again(rows, shop, recipe, account, side, progress)
        told(f"negatives of {side}")
        asked = _with_negatives(kept, made.answers, shop, recipe, account, side, progress)
        sides.append(_with_answers(asked, made.answers, None if side == "valid" else _named(asked)))
    about = About(
        name=name,
        created=datetime.now(UTC),
        seed=recipe.seed,
        settings={**asdict(recipe), "embedder": shop.embedder.name, "model": shop.model.name if shop.model else None},
        revision=revision,
        erasures=erasures,
        products=len(products),
        cut=divided.cut,
        places_weighted=account.places_weighted,
        origins={},
        dropped=account.dropped,
        seconds=round(time.perf_counter() - began, 3),
        checksum="",
    )
    # Somebody may have been erased meanwhile.
    train, valid = (standing(side, shop.store) for side in sides)
    return write_question_set(home, about, train, valid)


def _made(
    products: Sequence[Product], shop: OpenShop, recipe: QuestionRecipe, account: _Account, progress: Progress | None
) -> Made:
    if recipe.next_items:
        return _next_items(products, shop.store, recipe, account)
    catalogue = catalogue_queries(products, recipe.each, recipe.seed)
    questions = [*catalogue.questions]
    if len(questions) > recipe.most:
        account.note("making", {"more than wanted": len(questions) - recipe.most})
        questions = random.Random(recipe.seed).sample(questions, k=recipe.most)
    if recipe.written:
        if shop.model is None:
            raise InvalidInput("Queries are to be written, and there is no language model.", field="written")
        drawn = random.Random(recipe.seed).sample(products, k=min(recipe.written, len(products)))
        written = written_queries(drawn, shop.model, progress=progress)
        account.note("writing", {str(outcome): n for outcome, n in written.outcomes.items() if outcome != "ok"})
        questions += written.questions
    did = _of_events(products, shop.store, recipe, account)
    return Made((*questions, *did), _accepted(catalogue.answers, did))


def _next_items(products: Sequence[Product], store: Store, recipe: QuestionRecipe, account: _Account) -> Made:
    questions, known = next_questions(_events(store), {product.id: product for product in products})
    if len(questions) > recipe.most:
        account.note("making", {"more than wanted": len(questions) - recipe.most})
        questions = random.Random(recipe.seed).sample(questions, k=recipe.most)
    return Made(tuple(questions), dict(known))


def _of_events(products: Sequence[Product], store: Store, recipe: QuestionRecipe, account: _Account) -> list[Question]:
    titles = {product.id: product.title for product in products}
    places = place_weights(store.rankings(), _events(store))
    account.places_weighted = places.corrected
    did = search_questions(_events(store), places)
    if recipe.together:
        did += together_questions(_events(store), titles)
    known = [question for question in did if question.positive in titles]
    account.note("events", {"product is gone": len(did) - len(known)})
    return known


def _events(store: Store) -> Iterable[Event]:
    return (event for _, event in store.events())


def _accepted(answers: Answers, did: Sequence[Question]) -> Answers:
    """With what anybody turned to after the same words."""
    turned_to: dict[str, set[str]] = defaultdict(set)
    for question in did:
        turned_to[question.query].add(question.positive)
    both: dict[str, AbstractSet[str]] = dict(answers)
    for text, ids in turned_to.items():
        both[text] = ids | both.get(text, frozenset())
    return both


def _found_again(
    rows: Sequence[Question],
    shop: OpenShop,
    recipe: QuestionRecipe,
    account: _Account,
    side: str,
    progress: Progress | None,
) -> list[Question]:
    made_up = [row for row in rows if not _did(row)]
    returned = found_again(made_up, shop.search, recipe.within, progress)
    account.note(f"round trip of {side}", returned.dropped)
    return [*returned.kept, *(row for row in rows if _did(row))]


def _did(row: Question) -> bool:
    return row.origin in (TOGETHER, NEXT) or row.origin.startswith("search_")


def _with_negatives(
    rows: Sequence[Question],
    answers: Answers,
    shop: OpenShop,
    recipe: QuestionRecipe,
    account: _Account,
    side: str,
    progress: Progress | None,
) -> Sequence[Question]:
    """Train's negatives are products of train: what is never a positive must not be pushed away either."""
    if not recipe.negatives:
        return rows
    mining = Mining(each=recipe.negatives, share=recipe.share, alike=recipe.alike, seed=recipe.seed)
    usable: Callable[[str], bool] = _any if side == "valid" else _of_train
    mined = mine(rows, answers, shop.indexes, shop.embedder, mining, usable, progress)
    account.note(f"candidates for negatives of {side}", mined.passed_over)
    return mined.questions


def _with_answers(rows: Sequence[Question], answers: Answers, among: AbstractSet[str] | None) -> Sequence[Question]:
    """Each with the others that answer it. `among`: those that matter, lest every "toner cartridge" name 600."""
    every = [answers.get(row.query, frozenset()) for row in rows]
    return [
        replace(row, answers=tuple(sorted((ids if among is None else ids & among) - {row.positive})))
        for row, ids in zip(rows, every, strict=True)
    ]


def _named(rows: Sequence[Question]) -> AbstractSet[str]:
    return {key for row in rows for key in (row.positive, *row.negatives)}


def _any(product_id: str) -> bool:
    del product_id
    return True


def _of_train(product_id: str) -> bool:
    return product_part(product_id) == "train"
