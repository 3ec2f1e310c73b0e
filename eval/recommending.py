"""`tasteline eval next-item` and `cold-start`: data set, protocol and systems put together, test looked at once.

Takes a folder and what the command line says, gives the mapping of a result. The one place that names the baselines of
recommendation: a new one is a line in `BASELINES`. What is slow to make (vectors, weights, chosen settings, the
service's index) is kept under `TASTELINE_HOME/eval` by the checksum of data and split.
"""

from __future__ import annotations

import hashlib
import time
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Literal

import numpy as np

from app.engines import open_embedder
from eval import asking, next_item
from eval.baselines.als import Als
from eval.baselines.content import Content
from eval.baselines.cooccurrence import LAST_ITEM, MARKOV, Cooccurrence
from eval.baselines.ease import Ease
from eval.baselines.item_knn import ItemKnn
from eval.baselines.popular import Popular, PopularRecent
from eval.baselines.sasrec import SasRec
from eval.baselines.sentence import Sentences, SpokenBm25, SpokenDense, SpokenSystem
from eval.cold_start import ColdStart, cold_start, without_history
from eval.data.amazon import ITEMS_FILE
from eval.data.interactions import Codes, Dataset, Histories
from eval.data.loading import load
from eval.learned import Heard, Learned, LearnedCounts, LearnedNetwork, Materials
from eval.measured import OURS, Measured, SystemResult
from eval.protocols.checks import check_split
from eval.protocols.decoys import ALARM, audit, write_amazon
from eval.protocols.leave_one_out import leave_one_out
from eval.protocols.looks import Look, SealedSplit
from eval.protocols.sampled import SampledSplit, rank_sampled
from eval.protocols.sampled import sampled as against_sample
from eval.protocols.session import session_split
from eval.protocols.split import Cases, Split
from eval.protocols.temporal import before_end, by_share, temporal
from eval.results import commit_of
from eval.served import Progress, products_of
from eval.served_next_item import ServedNextItem
from eval.systems import Learning, NextItemSystem, Ranker
from eval.welcome import FIXED, dialogues, strategies
from finetune.adversarial import AdversarialSettings
from finetune.next_item import Recipe
from retrieval.adapters.lexical_tantivy import TantivyLexicalIndex
from retrieval.models.ranker_files import StoredRanker
from retrieval.welcome import MOST_QUESTIONS
from tasteline.errors import InvalidInput
from tasteline.ports import Embedder
from tasteline.settings import Settings
from tasteline.types import Product

ProtocolName = Literal["leave-one-out", "temporal", "session"]
Part = Literal["test", "valid"]
LONG = 60 * 86_400
"""Seconds: a set that lasts longer is cut a month from its end, a shorter one by share of its events."""


class Bench:
    """What baselines are made out of, opened when the first one asks."""

    def __init__(
        self,
        settings: Settings,
        dataset: Dataset,
        progress: Progress | None,
        heard: Heard = lambda part, epoch: None,
        products: Mapping[str, Product] | None = None,
        embedder: Embedder | None = None,
        recipe: Recipe | None = None,
        begin: StoredRanker | None = None,
    ) -> None:
        """`heard` is told of each epoch of a training. `products` and `embedder`: where the shop's own are known.

        `recipe`: of what is trained; None is RECIPE. `begin`: another shop's ranker, to begin from.
        """
        self.settings = settings
        self.dataset = dataset
        self.progress = progress
        self.heard = heard
        self._known = products
        self._given_embedder = embedder
        self.recipe: Recipe = RECIPE if recipe is None else recipe
        self.begin: StoredRanker | None = begin

    @cached_property
    def embedder(self) -> Embedder:
        home = self.settings.home / "eval" / "cache"
        return self._given_embedder or open_embedder(self.settings.model_copy(update={"home": home}))

    @cached_property
    def materials(self) -> Materials:
        """What the learned systems share; their products are read as the shop's import reads them."""
        return Materials(self.embedder, self._products, self.heard)

    def _products(self) -> Mapping[str, Product]:
        if self._known is not None:
            return self._known
        return {product.id: product for product in products_of(self.feed)} if self.feed else {}

    @property
    def feed(self) -> Path | None:
        """The products as the shop's import would read them; None where the set is only arrays."""
        folder = self.dataset.folder
        return folder / ITEMS_FILE if folder and (folder / ITEMS_FILE).is_file() else None


RECIPE = Recipe()
"""What this service learns by, and what is measured."""


def network(name: str, bench: Bench) -> NextItemSystem:
    """One network of the recipe alone."""
    return LearnedNetwork(name, bench.recipe.networks[name], bench.materials, bench.recipe.schedule)


def adversarial(bench: Bench) -> NextItemSystem:
    """The transformer of the recipe, short histories made longer by generated steps while it learns."""
    settings = bench.recipe.networks["transformer"]
    return LearnedNetwork("adversarial", settings, bench.materials, bench.recipe.schedule, AdversarialSettings())


def served_by(bench: Bench) -> ServedNextItem:
    """This service with the learned ranker live in it."""
    return ServedNextItem(bench.settings, bench.feed, bench.progress, Learned(bench.recipe, bench.materials))


BASELINES: Mapping[str, Callable[[Bench], NextItemSystem]] = {
    "popular": lambda bench: Popular(),
    "popular_recent": lambda bench: PopularRecent(),
    "item_knn": lambda bench: ItemKnn(),
    "markov": lambda bench: Cooccurrence(MARKOV, "markov"),
    "last_item": lambda bench: Cooccurrence(LAST_ITEM, "last_item"),
    "cooccurrence": lambda bench: Cooccurrence(),
    "ease": lambda bench: Ease(),
    "als": lambda bench: Als(),
    "content": lambda bench: Content(bench.embedder),
    "sasrec": lambda bench: SasRec(),
    "following": lambda bench: LearnedCounts(bench.recipe.following, bench.materials),
    "transformer": lambda bench: network("transformer", bench),
    "adversarial": adversarial,
    "learned": lambda bench: Learned(bench.recipe, bench.materials, bench.begin),
}


@dataclass(frozen=True, slots=True)
class Asked:
    """What the command line says."""

    data: str
    protocol: ProtocolName = "leave-one-out"
    part: Part = "test"
    systems: tuple[str, ...] = ()
    """Names of `BASELINES` and "tasteline"; empty: all that the data set allows."""
    seed: int = 0
    audit: bool = False
    """Whether each system is audited with planted targets first."""


def run_next_item(
    asked: Asked,
    settings: Settings,
    told: Callable[[str], None],
    progress: Progress | None = None,
    *,
    sampled: int = 0,
) -> dict[str, object]:
    """Full ranking for everybody; the result says how often this test part was looked at before.

    `sampled`: rank against so many drawn items instead, only to reproduce old papers; 0 is none.
    """
    dataset = load(asked.data)
    split = split_of(dataset, asked.protocol)
    drawn = against_sample(split, negatives=sampled, seed=asked.seed) if sampled else None
    bench = Bench(settings, dataset, progress)
    return measure(asked, dataset, drawn.split if drawn else split, bench, settings, told, drawn).report


@dataclass(frozen=True, slots=True)
class Run:
    """A finished measurement with what it fitted."""

    report: dict[str, object]
    systems: Sequence[NextItemSystem]
    learning: Learning


def measure(
    asked: Asked,
    dataset: Dataset,
    split: Split,
    bench: Bench,
    settings: Settings,
    told: Callable[[str], None],
    drawn: SampledSplit | None = None,
) -> Run:
    """Fit and ask the systems; `drawn` ranks against a sample."""
    check_split(split, dataset)
    with systems_of(asked, bench) as (systems, notes):
        audits = audited(asked, dataset, settings, bench.progress, told) if asked.audit else {}
        learning = learning_of(dataset, split, settings, asked.seed)
        whole, looks = opened(dataset, split, asked, settings)
        cases = whole.test if asked.part == "test" else whole.valid
        measured = next_item.evaluate(
            dataset,
            whole,
            systems,
            learning,
            cases=cases,
            told=told,
            left_out=notes,
            strict=bool(asked.systems),
            rank=_sampled_rank(drawn, asked.part) if drawn else None,
        )
        return Run(described(measured, whole, asked, looks, notes, audits), systems, learning)


def run_cold_start(
    asked: Asked,
    settings: Settings,
    told: Callable[[str], None],
    progress: Progress | None = None,
    *,
    most: int | None = None,
) -> dict[str, dict[str, object]]:
    """Three results: "" has new people (0, 1, 2–4 events) and new items as slices, "sentence" people who only speak,
    "welcome" people who only answer up to three questions; the last where ours is among the systems.

    `most`: see `eval.cold_start`.
    """
    dataset = load(asked.data)
    cold = cold_start(split_of(dataset, asked.protocol), dataset, most=most, seed=asked.seed)
    check_split(cold.split, dataset)
    bench = Bench(settings, dataset, progress)
    with systems_of(asked, bench) as (systems, notes):
        learning = learning_of(dataset, cold.split, settings, asked.seed)
        whole, looks = opened(dataset, cold.split, asked, settings)
        measured = next_item.evaluate(
            dataset,
            whole,
            systems,
            learning,
            cases=whole.test if asked.part == "test" else whole.valid,
            task="cold-start",
            told=told,
            extra_slices=[cold.kinds[asked.part]],
            left_out=notes,
            strict=bool(asked.systems),
        )
        newcomers = {"sentence": _spoken(bench, systems, cold, asked, learning)}
        if (ours := next((each for each in systems if isinstance(each, ServedNextItem)), None)) is not None:
            newcomers["welcome"] = _welcomed(bench, ours, cold, asked)
    return {
        "": described(measured, whole, asked, looks, notes, {}),
        **{name: described(each, whole, asked, looks, {}, {}) for name, each in newcomers.items()},
    }


def _spoken(
    bench: Bench, systems: Sequence[NextItemSystem], cold: ColdStart, asked: Asked, learning: Learning
) -> Measured:
    """People of whom only a sentence is known, made out of their history; what they have is in no list."""
    started = time.perf_counter()
    split, cases = cold.split, cold.strangers[asked.part]
    sentences = Sentences(split.catalogue, asked.seed).of(cases.histories)
    depth = next_item.DEPTH + int(cases.histories.lengths.max(initial=0))
    popular = Popular()
    popular.fit(learning)
    nobody = Histories.of([[] for _ in sentences])
    ranked = {"popular": asking.rank(popular, nobody, len(split.catalogue), depth, repeats=True)}
    speakers: list[SpokenSystem] = [
        SpokenBm25(TantivyLexicalIndex(coordination=False), split.catalogue),
        SpokenDense(bench.embedder, split.catalogue, learning.cache),
        *(system for system in systems if isinstance(system, ServedNextItem)),
    ]
    ranked |= {system.name: system.rank_sentences(sentences, depth) for system in speakers}
    return _newcomers(
        bench,
        cold,
        asked,
        ranked,
        {},
        "sentence: new people of whom nothing is known but one sentence, written by rule out of the categories and "
        "words of their history, never of the target; what they have is left out of all lists.",
        started,
    )


def _welcomed(bench: Bench, ours: ServedNextItem, cold: ColdStart, asked: Asked) -> Measured:
    """People of whom only answers are known, after each number of questions, by each way to choose these."""
    started = time.perf_counter()
    cases = cold.strangers[asked.part]
    depth = next_item.DEPTH + int(cases.histories.lengths.max(initial=0))
    welcome, rows = ours.welcome()
    ranked: dict[str, Codes] = {}
    chosen: dict[str, Mapping[str, object]] = {}
    for strategy, choose in strategies(welcome, asked.seed).items():
        for number, dialogue in enumerate(dialogues(welcome, rows, cases.histories, choose)):
            name = "no questions" if number == 0 else f"{number} by {strategy}"
            name = OURS if (strategy, number) == ("gain", MOST_QUESTIONS) else name
            if name not in ranked:
                ranked[name] = ours.rank_answers(dialogue.answers, depth)
                chosen[name] = dialogue.described()
    return _newcomers(
        bench,
        cold,
        asked,
        ranked,
        chosen,
        "welcome: new people of whom nothing is known but their answers to at most three questions of the shop, true "
        'to most of their history (else "anything"), never of the target; what they have is left out of all lists. '
        f"Questions are chosen by gain, as the shop does ({OURS} after three), drawn, or in the fixed order "
        f"{', '.join(FIXED)}.",
        started,
    )


def _newcomers(
    bench: Bench,
    cold: ColdStart,
    asked: Asked,
    ranked: Mapping[str, Codes],
    chosen: Mapping[str, Mapping[str, object]],
    protocol: str,
    started: float,
) -> Measured:
    """Lists for the strangers, measured without what these have already."""
    split, cases = cold.split, cold.strangers[asked.part]
    results = {}
    for name, lists in ranked.items():
        shown = without_history(lists, cases.histories, next_item.DEPTH)
        values, whole = next_item.values_of(shown, cases.targets, split.catalogue, split.train)
        results[name] = SystemResult(values, whole, chosen=chosen.get(name, {}))
    return Measured(
        task="cold-start",
        dataset=bench.dataset.name,
        checksum=bench.dataset.checksum,
        protocol=f"{split.protocol.name}, {protocol}",
        cases=tuple(bench.dataset.user_ids[user] for user in cases.users),
        systems=results,
        slices=next_item.slices(bench.dataset, split, cases),
        headline=next_item.HEADLINE,
        settings={"k": next_item.K, "depth": next_item.DEPTH},
        seed=asked.seed,
        seconds=time.perf_counter() - started,
        resamples=next_item.RESAMPLES,
    )


def split_of(dataset: Dataset, protocol: ProtocolName, *, repeats: bool = False) -> Split:
    """Temporal: the last month for test and the one before for valid, or a tenth of the events each in a short set.

    "session" takes what `eval.protocols.session.by_session` made of a data set.
    """
    if protocol == "leave-one-out":
        return leave_one_out(dataset, repeats=repeats)
    if not dataset.timed:
        raise InvalidInput(f"{dataset.name} has no times that could be compared between people; use leave-one-out")
    order = dataset.interactions.order
    long = int(order.max() - order.min()) > LONG
    moments = before_end(dataset) if long else by_share(dataset)
    return session_split(dataset, moments) if protocol == "session" else temporal(dataset, moments, min_history=1)


def learning_of(dataset: Dataset, split: Split, settings: Settings, seed: int) -> Learning:
    """What systems learn from, with a checksum of data and split together."""
    cache = settings.home / "eval" / "cache"
    return Learning.of(split, dataset.name, split_checksum(dataset, split), cache=cache, seed=seed)


def split_checksum(dataset: Dataset, split: Split) -> str:
    """SHA-256 over the data set's and what of it is train and valid."""
    digest = hashlib.sha256(f"{dataset.checksum} {split.protocol.name}".encode())
    for rows in (split.train.rows, split.valid.histories.rows, split.valid.targets.rows):
        digest.update(rows.tobytes())
    return digest.hexdigest()


def _sampled_rank(drawn: SampledSplit, part: Part) -> next_item.Rank:
    candidates = drawn.test if part == "test" else drawn.valid
    depth = min(next_item.DEPTH, candidates.shape[1])
    items, repeats = len(drawn.split.catalogue), drawn.split.protocol.repeats

    def rank(system: NextItemSystem, cases: Cases) -> Codes:
        if isinstance(system, Ranker):
            raise InvalidInput("it gives short lists and no score for a drawn item; a sampled ranking needs scores")
        ranked = rank_sampled(system, cases, candidates, items, depth, repeats=repeats)
        return np.pad(ranked, ((0, 0), (0, next_item.DEPTH - depth)), constant_values=-1)

    return rank


@contextmanager
def systems_of(asked: Asked, bench: Bench) -> Iterator[tuple[list[NextItemSystem], dict[str, str]]]:
    """The systems, ours last and opened; and a place for notes of what had to be left out."""
    unknown = set(asked.systems) - {*BASELINES, OURS}
    if unknown:
        raise InvalidInput(
            f"no system is called {', '.join(sorted(unknown))}; there are {', '.join(BASELINES)}, {OURS}"
        )
    wanted = asked.systems or (*BASELINES, OURS)
    with ExitStack() as stack:
        systems = [BASELINES[name](bench) for name in BASELINES if name in wanted]
        if OURS in wanted:
            systems.append(stack.enter_context(served_by(bench)))
        yield systems, {}


def opened(dataset: Dataset, split: Split, asked: Asked, settings: Settings) -> tuple[Split, int | None]:
    """The split with its test part, once the look is written down; without it for a run on valid."""
    sealed = SealedSplit(split)
    if asked.part == "valid":
        return sealed.for_choosing, None
    commit = commit_of(Path(__file__).parent)
    look = Look(
        dataset.name,
        dataset.checksum,
        split.protocol.name,
        asked.systems or (*BASELINES, OURS),
        {"seed": asked.seed},
        commit.sha if commit else None,
        datetime.now(UTC).isoformat(timespec="seconds"),
    )
    return sealed.open(settings.home / "eval", look)


def audited(
    asked: Asked, dataset: Dataset, settings: Settings, progress: Progress | None, told: Callable[[str], None]
) -> dict[str, object]:
    """Each baseline and the service fitted anew on a copy of the data with planted test targets."""
    results: dict[str, object] = {}
    for name in asked.systems or (*BASELINES, OURS):
        told(f"audit of {name}")
        with ExitStack() as stack:

            def make(decoy: Dataset, name: str = name, stack: ExitStack = stack) -> NextItemSystem:
                wanted = replace(asked, systems=(name,))
                return stack.enter_context(systems_of(wanted, Bench(settings, decoy, progress)))[0][0]

            home = settings.home / "eval" / "decoys" / dataset.checksum[:16]
            write = write_amazon(dataset.folder, home) if dataset.folder and _is_amazon(dataset.folder) else None
            try:
                found = audit(make, dataset, lambda each: split_of(each, asked.protocol), write=write, seed=asked.seed)
            except InvalidInput as error:
                results[name] = {"left_out": str(error)}
                continue
        results[name] = {**asdict(found), "caught": found.p < ALARM}
    return results


def _is_amazon(folder: Path) -> bool:
    return (folder / ITEMS_FILE).is_file()


def described(
    measured: Measured,
    split: Split,
    asked: Asked,
    looks: int | None,
    notes: Mapping[str, str],
    audits: Mapping[str, object],
) -> dict[str, object]:
    more: dict[str, object] = {
        **measured.more,
        "part": asked.part,
        "leak": asdict(split.leak),
        "test_looks": looks,
        "notes": [f"{name}: {why}" for name, why in notes.items()],
    }
    if audits:
        more["audit"] = audits
    if measured.task == "next-item" and split.protocol.name == "leave-one-out" and asked.part == "test":
        more["published"] = published(measured.dataset)
    return replace(measured, more=more).as_mapping()


def published(dataset: str) -> list[object]:
    """Rows of papers for this set under leave-one-out and full ranking; none for an unknown set."""
    with (Path(__file__).parent / "published.toml").open("rb") as stream:
        rows: list[object] = tomllib.load(stream).get(dataset, [])
    return rows


def names(text: str | None) -> tuple[str, ...]:
    """ "a, b" → ("a", "b"); nothing where nothing is asked for."""
    return tuple(name.strip() for name in (text or "").split(",") if name.strip())
