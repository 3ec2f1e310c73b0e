"""`tasteline train encoder` and `train reranker`: a shop without labels in, a tuned model and what it brings out.

Takes settings and what the command line says; makes questions of the shop's own catalogue and events, trains, measures
on queries for products that no training saw, with the search that the service runs, and makes the model live where it
is ahead of what is live. The one place where questions, trainers, search and registry meet.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np

from app.shop import Shop
from eval.beginnings import base_folder, base_named
from eval.datasets import checksum_of
from eval.known_item import FORMS, KnownItemQuery, known_item_queries
from eval.lora_entry import Hearing, Lesson, drawn, learned, live_id, registered
from eval.measured import OURS, Measured, Slice, SystemResult
from eval.metrics import judged_labels, measured, measures, padded
from eval.own_shop import brought_up_to_date, erasures, own_shop
from eval.search import SearchSystem
from eval.served import NEVER, Served, adopt, dense_of, reranking_by, systems_of
from finetune.examples import Question, read_examples
from finetune.lora.job import Outcome
from finetune.lora.settings import EncoderSettings, LoraSettings, RerankerSettings, read_settings
from finetune.question_making import OpenShop, QuestionRecipe, make_question_set
from finetune.question_sets import QuestionSet
from retrieval.adapters.weights import encoder_path
from retrieval.live import LiveIndex
from retrieval.registry import Entry
from retrieval.text import product_text
from tasteline.errors import InvalidInput
from tasteline.settings import Settings

Kind = Literal["encoder", "reranker"]
TRAIN, VALID = "train.jsonl", "valid.jsonl"
QUESTIONS = "search"
"""What the set of questions is called under `home/datasets`."""
BEFORE = OURS
"""The search as it is served now."""
TUNED = "tuned"
MAIN_METRIC = "ndcg@10"
METRICS = (MAIN_METRIC, "mrr@10", "recall@10", "recall@100")
PROTOCOL = (
    "queries made of products that are kept for this (five in a hundred), among all products; no text is one that was "
    "learned from or stopped by; what answers one is relevant where it is kept for this too, and passed over where not"
)
DEPTH = 100


@dataclass(frozen=True, slots=True)
class SearchTrainingAsked:
    """What the command line says."""

    kind: Kind
    data: Path | None = None
    """Imported into the shop first."""
    currency: str | None = None
    base: str | None = None
    """Folder, hub id, or id of a model of this registry; None: the encoder of the settings."""
    file: Path | None = None
    """TOML of settings for the job."""
    assignments: tuple[str, ...] = ()
    """name=value, which overrule the file."""
    each: int = QuestionRecipe().each
    """Queries made for each product."""
    next_items: bool = False
    """Not searches: what people decided for next (`tasteline eval rerank` says what it brings)."""
    questions: int = 2_000
    """To learn from, at most; drawn by chance where there are more."""
    queries: int = 150
    """Of each form, for the measuring."""
    seed: int = 0
    promote: bool = True


def train_for_search(
    asked: SearchTrainingAsked, settings: Settings, hearing: Hearing
) -> tuple[dict[str, object], Entry, bool]:
    """The table as a result mapping, the registered model, and whether it is live now.

    A job that was broken off goes on with the same command. Raises InvalidInput for settings that do not exist and a
    catalogue of which no question can be made, MissingExtra where the base is not there.
    """
    asked = replace(asked, base=base_named(settings.home, asked.base))
    chosen = _settings(asked)
    brought_up_to_date(settings, asked.data, asked.currency, hearing.told, hearing.embedding)
    base, known = base_folder(settings.home, asked.base) or encoder_path(settings.embedder_model), erasures(settings)
    with own_shop(settings) as shop:
        before = live_id(settings, asked.kind)  # read first: it is what stands in the table beside the new one

        def rows() -> tuple[tuple[Question, ...], tuple[Question, ...], dict[str, str], tuple[Question, ...]]:
            questions = _questions(shop, asked, settings.home, hearing)
            taken = drawn(questions.train, asked.questions, asked.seed)
            _queries(shop, asked, (*taken, *questions.valid))  # what cannot be measured is not learned
            hearing.told(f"{asked.kind} learns from {len(taken):,} of {len(questions.train):,} questions")
            return taken, questions.valid, _texts(shop.live), ()

        made = f"{asked.each} {asked.questions} {asked.seed} of {shop.live.revision} by {shop.live.embedder.name}"
        made += " next" if asked.next_items else ""
        with learned(settings.home, asked.kind, base, chosen, made, rows, hearing) as (folder, outcome):
            hearing.told("measuring")
            report = _measured(asked, shop, folder, settings, hearing)
            entry, live = registered(
                folder,
                _lesson(asked, folder, shop, chosen, settings, outcome, known),
                report,
                settings,
                system=TUNED,
                baseline=BEFORE,
                metric=MAIN_METRIC,
                promote=asked.promote,
                before=before,
            )
    return report, entry, live


def _lesson(
    asked: SearchTrainingAsked,
    folder: Path,
    shop: Shop,
    chosen: LoraSettings,
    settings: Settings,
    outcome: Outcome,
    known: int,
) -> Lesson:
    rows = list(read_examples(folder / TRAIN, Question))
    with shop.live.read() as indexes:
        products = indexes.catalogue.size
    return Lesson(
        kind=asked.kind,
        checksum=checksum_of([folder / TRAIN]),
        people={row.user_id for row in rows if row.user_id is not None},
        products=products,
        rows=len(rows),
        settings={"questions": asked.questions, "each": asked.each, "next_items": asked.next_items, **asdict(chosen)},
        base=asked.base or settings.embedder_model,
        seed=asked.seed,
        seconds=outcome.seconds,
        erasures=known,
        kept=outcome.kept,
    )


def _settings(asked: SearchTrainingAsked) -> LoraSettings:
    base = EncoderSettings(seed=asked.seed) if asked.kind == "encoder" else RerankerSettings(seed=asked.seed)
    return read_settings(base, asked.file, asked.assignments)


def _questions(shop: Shop, asked: SearchTrainingAsked, home: Path, hearing: Hearing) -> QuestionSet:
    first = Served(shop.searcher.reranked(None))
    with shop.live.read() as indexes:  # nobody else is here
        open_shop = OpenShop(shop.store, indexes, indexes.embedder, first.rank)
        most = 2 * asked.questions if asked.next_items else QuestionRecipe().most
        recipe = QuestionRecipe(each=asked.each, most=most, next_items=asked.next_items, seed=asked.seed)
        made = make_question_set(home, QUESTIONS, open_shop, recipe, hearing.told, hearing.embedding)
    if not made.train:
        lacking = "events of people who decided for two products" if asked.next_items else "products with titles"
        raise InvalidInput(f"no question can be made of this shop; import {lacking} first")
    return made


def _texts(live: LiveIndex) -> dict[str, str]:
    with live.read() as indexes:
        return {product.id: product_text(product) for product in indexes.catalogue.products()}


def _measured(
    asked: SearchTrainingAsked, shop: Shop, folder: Path, settings: Settings, hearing: Hearing
) -> dict[str, object]:
    """Words alone, meaning alone, the search of now, and that with the new model in it."""
    learned_from = [row for part in (TRAIN, VALID) for row in read_examples(folder / part, Question)]
    queries = _queries(shop, asked, learned_from)
    started = time.perf_counter()
    results = {system.name: _result(system, queries) for system in systems_of(shop, patient=True)}
    tuned = _tuned(asked.kind, shop, folder, settings, hearing)
    results |= {system.name: _result(system, queries) for system in tuned}
    codes = np.array([FORMS.index(query.form) for query in queries])
    return Measured(
        task="search",
        dataset=settings.home.resolve().name,
        checksum=f"revision {shop.live.revision}",
        protocol=PROTOCOL,
        cases=tuple(query.text for query in queries),
        systems=results,
        slices=[Slice("form", FORMS, codes)],
        seed=asked.seed,
        seconds=time.perf_counter() - started,
        reference=TUNED,
    ).as_mapping()


def _queries(shop: Shop, asked: SearchTrainingAsked, learned_from: Sequence[Question]) -> Sequence[KnownItemQuery]:
    """For the verdict. Raises InvalidInput where there is none."""
    with shop.live.read() as indexes:
        products = list(indexes.catalogue.products())
    texts = {row.query for row in learned_from}
    queries = known_item_queries(products, asked.queries, asked.seed, part="test", without=texts)
    if not queries:
        raise InvalidInput("no query can be made of the products that are kept for measuring; import more products")
    return queries


def _tuned(kind: Kind, shop: Shop, folder: Path, settings: Settings, hearing: Hearing) -> Sequence[SearchSystem]:
    """The search with the new model, and the new encoder alone. The indexes of `shop` are then those of the encoder."""
    if kind == "reranker":
        return [Served(shop.searcher.reranked(reranking_by(folder, settings)), TUNED)]
    adopt(shop, folder, settings, hearing.embedding)
    return [dense_of(shop, "tuned encoder"), Served(shop.searcher.patient(NEVER), TUNED)]


def _result(system: SearchSystem, queries: Sequence[KnownItemQuery]) -> SystemResult:
    rankings, latencies = _ranked(system, queries)
    numbers: dict[str, int] = {}

    def number(product_id: str) -> int:
        return numbers.setdefault(product_id, len(numbers))

    items, judged = judged_labels([{number(each): 1.0 for each in sorted(query.relevant)} for query in queries])
    ranked = padded([[number(each) for each in row] for row in rankings], width=DEPTH)
    return SystemResult(measured(measures(*METRICS), ranked, items, judged), latencies=latencies)


def _ranked(
    system: SearchSystem, queries: Sequence[KnownItemQuery]
) -> tuple[list[list[str]], np.ndarray[tuple[int], np.dtype[np.float64]]]:
    """DEPTH places without what is passed over, and the milliseconds of each request, asked one after the other."""
    system.rank([queries[0].text], DEPTH)  # the first call loads and compiles; it is nobody's latency
    rankings, latencies = [], []
    for query in queries:
        started = time.perf_counter()
        ranking = system.rank([query.text], DEPTH + len(query.passed_over))[0]
        latencies.append((time.perf_counter() - started) * 1000)
        rankings.append([each for each in ranking if each not in query.passed_over][:DEPTH])
    return rankings, np.array(latencies)
