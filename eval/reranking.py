"""`tasteline eval rerank`: candidates in, every system's order of them measured, runs out in TREC's form.

Takes a folder (a next-item set or judged searches) and, where wanted, candidates and orders from outside; gives the
mapping of a result and writes one run file for each system. Knows no reranker: whatever ranks can order candidates.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import numpy as np

from eval import asking, next_item
from eval.data.interactions import Codes, Dataset
from eval.data.loading import load
from eval.data.trec import Qrels, Run, read_run, topic_ids, write_judged_search, write_qrels, write_run
from eval.datasets import JudgedSearch, load_judged_search
from eval.measured import OURS, Measured, Slice, SystemResult
from eval.protocols.checks import check_split
from eval.protocols.split import Cases, Repeats
from eval.recommending import Asked, Bench, learning_of, opened, split_of, systems_of
from eval.rerank import LOOKED_THROUGH, by_lists, cut_half, recall_of, reordered
from eval.search import PROTOCOL, SearchSystem, slices, values_of
from eval.served import Progress, products_of, served
from eval.served import systems_of as search_systems
from eval.systems import NextItemSystem
from eval.tuned_orders import TunedModels, orders_of
from tasteline.errors import InvalidInput
from tasteline.settings import Settings

CANDIDATES = "candidates"
"""What the given order is called where it comes from a file."""


@dataclass(frozen=True, slots=True)
class Rerank:
    """What the command line says beside `Asked`."""

    first: str = OURS
    """The system whose list is reordered, where no candidates are given."""
    candidates: Path | None = None
    """A run: case, Q0, item, rank, score, tag."""
    runs: Mapping[str, Path] = field(default_factory=dict)
    """Orders from outside, by the name that they get in the table."""
    out: Path | None = None
    """Folder for each system's run."""
    people: int = 2_000
    depth: int = 20
    models: TunedModels = field(default_factory=TunedModels)
    """Tuned ones to put in the table: of people's next items, since of searches `eval search` has them."""


def run_rerank(
    asked: Asked, rerank: Rerank, settings: Settings, told: Callable[[str], None], progress: Progress | None = None
) -> dict[str, object]:
    """Judged searches where the folder has them, else people's next items."""
    if any(Path(asked.data).glob("judgements*.csv")):
        if rerank.models.any:
            raise InvalidInput("Tuned models put searches in order in `tasteline eval search`.", field="reranker")
        return _searches(asked, rerank, settings, progress)
    return _people(asked, rerank, settings, told, progress)


def _people(
    asked: Asked, rerank: Rerank, settings: Settings, told: Callable[[str], None], progress: Progress | None
) -> dict[str, object]:
    started = time.perf_counter()
    dataset = load(asked.data)
    split = split_of(dataset, asked.protocol)
    check_split(split, dataset)
    wanted = replace(asked, systems=tuple(dict.fromkeys((*asked.systems, rerank.first))) if asked.systems else ())
    with systems_of(wanted, Bench(settings, dataset, progress)) as (systems, notes):
        learning = learning_of(dataset, split, settings, asked.seed)
        split, looks = opened(dataset, split, asked, settings)
        cases, cut = _sampled(split.test if asked.part == "test" else split.valid, rerank.people, asked.seed)
        fitted = _fitted(systems, learning.dataset, lambda system: system.fit(learning), told, notes)
        people = [dataset.user_ids[user] for user in cases.users]
        items, repeats = len(split.catalogue), split.protocol.repeats
        name, candidates = _first_stage(fitted, cases, rerank, people, dataset, repeats)
        orders = {name: candidates}
        for system in fitted:
            if system.name != name:
                told(system.name)
                orders[system.name] = reordered(system, cases.histories, candidates, items, repeats=repeats)
    given = {each: _numbers(read_run(path), people, dataset, LOOKED_THROUGH) for each, path in rerank.runs.items()}
    orders |= {each: by_lists(candidates, order) for each, order in given.items()}
    if rerank.models.any:
        products = products_of(Path(asked.data))
        for each, order in orders_of(rerank.models, cases.histories, candidates, dataset, products, settings, told):
            orders[each] = order
    if rerank.out:
        _write(rerank.out, {each: _lists(order, dataset) for each, order in orders.items()}, people)
        _write_questions(rerank.out, cases, people, dataset)
    measured = Measured(
        task="rerank",
        dataset=dataset.name,
        checksum=dataset.checksum,
        protocol=f"{split.protocol.name}: {split.protocol.description} {_rule(rerank, name, len(cases))}",
        cases=tuple(people),
        systems={
            each: SystemResult(*next_item.values_of(order, cases.targets, split.catalogue, split.train))
            for each, order in orders.items()
        },
        slices=[cut, *next_item.slices(dataset, split, cases)],
        headline=next_item.HEADLINE,
        settings={"first": name, "depth": rerank.depth, "people": len(cases)},
        seed=asked.seed,
        seconds=time.perf_counter() - started,
        more={
            "part": asked.part,
            "leak": asdict(split.leak),
            "test_looks": looks,
            "notes": [f"{each}: {why}" for each, why in notes.items()],
            "candidate_recall": recall_of(candidates, cases.targets.items[cases.targets.starts[:-1]].tolist()),
        },
    )
    return measured.as_mapping()


def _fitted(
    systems: Sequence[NextItemSystem],
    dataset: str,
    fit: Callable[[NextItemSystem], object],
    told: Callable[[str], None],
    notes: dict[str, str],
) -> list[NextItemSystem]:
    done = []
    for system in systems:
        told(f"{system.name} learns {dataset}")
        try:
            fit(system)
        except InvalidInput as error:
            notes[system.name] = str(error)
            continue
        done.append(system)
    return done


def _sampled(cases: Cases, people: int, seed: int) -> tuple[Cases, Slice]:
    drawn = np.sort(np.random.default_rng(seed).permutation(len(cases))[:people])
    chosen = cases.take(drawn)
    histories, short = cut_half(chosen.histories, seed)
    return replace(chosen, histories=histories), Slice("history", ("whole", "cut to 1–2"), short.astype(np.int64))


def _first_stage(
    systems: Sequence[NextItemSystem],
    cases: Cases,
    rerank: Rerank,
    people: Sequence[str],
    dataset: Dataset,
    repeats: Repeats,
) -> tuple[str, Codes]:
    if rerank.candidates is not None:
        return CANDIDATES, _numbers(read_run(rerank.candidates), people, dataset, rerank.depth)
    first = next((system for system in systems if system.name == rerank.first), None)
    if first is None:
        raise InvalidInput(f"{rerank.first} gives no candidates here; choose another system with --first")
    items = len(dataset.catalogue)
    return first.name, asking.rank(first, cases.histories, items, rerank.depth, repeats=repeats)


def _numbers(run: Run, people: Sequence[str], dataset: Dataset, depth: int) -> Codes:
    """A run's lists as item numbers (people, depth), -1 past the end; nobody in it is an empty list."""
    numbers = {item: number for number, item in enumerate(dataset.catalogue.ids)}
    lists = run.lists()
    result = np.full((len(people), depth), -1, dtype=np.int32)
    for place, person in enumerate(people):
        named = lists.get(person, [])[:depth]
        unknown = next((item for item in named if item not in numbers), None)
        if unknown is not None:
            raise InvalidInput(
                f"the run {run.tag!r} ranks {unknown!r} for {person!r}, which {dataset.name} does not have"
            )
        result[place, : len(named)] = [numbers[item] for item in named]
    return result


def _lists(order: Codes, dataset: Dataset) -> list[list[str]]:
    return [[dataset.catalogue.ids[item] for item in row if item >= 0] for row in order.tolist()]


def _write(folder: Path, orders: Mapping[str, Sequence[Sequence[str]]], cases: Sequence[str]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, lists in orders.items():
        write_run(Run.of_lists(name, dict(zip(cases, lists, strict=True))), folder / f"{name}.run")


def _write_questions(folder: Path, cases: Cases, people: Sequence[str], dataset: Dataset) -> None:
    """What somebody else's reranker must know: each person's history, oldest first, and for measuring the targets."""
    histories = [cases.histories.of_case(case).tolist() for case in range(len(cases))]
    lines = (
        f"{person}\t{' '.join(dataset.catalogue.ids[item] for item in row)}\n"
        for person, row in zip(people, histories, strict=True)
    )
    (folder / "histories").write_text("".join(lines), encoding="utf-8")
    first = cases.targets.items[cases.targets.starts[:-1]].tolist()
    targets = {person: {dataset.catalogue.ids[item]: 1.0} for person, item in zip(people, first, strict=True)}
    write_qrels(Qrels.of(targets), folder / "qrels")


def _rule(rerank: Rerank, first: str, cases: int) -> str:
    return (
        f"{cases} drawn people, the history of every other one cut to its last one or two events. Candidates are the "
        f"first {rerank.depth} of {first}; systems only put them in order; a target that is not among them is missed."
    )


def _searches(asked: Asked, rerank: Rerank, settings: Settings, progress: Progress | None) -> dict[str, object]:
    started = time.perf_counter()
    dataset = load_judged_search(Path(asked.data))
    queries = dataset.judged_queries(rating=1.0)
    with served([dataset.products], dataset.checksum, settings, progress) as shop:
        systems = {system.name: system for system in search_systems(shop)}
        name, candidates = _candidates_of(systems, dataset, queries, rerank)
        orders = {name: candidates}
        for system in systems.values():
            if system.name != name and (not asked.systems or system.name in asked.systems):
                orders[system.name] = _in_order_of(candidates, system.rank(queries, LOOKED_THROUGH))
    topics = [topic_ids(dataset)[query] for query in queries]
    for each, path in rerank.runs.items():
        lists = read_run(path).lists()
        orders[each] = _in_order_of(candidates, [lists.get(topic, []) for topic in topics])
    if rerank.out:
        _write(rerank.out, orders, topics)
        write_judged_search(dataset, rerank.out / "qrels", rerank.out / "topics")
    return _searched(asked, rerank, dataset, queries, name, orders, time.perf_counter() - started)


def _searched(
    asked: Asked,
    rerank: Rerank,
    dataset: JudgedSearch,
    queries: Sequence[str],
    first: str,
    orders: Mapping[str, list[list[str]]],
    seconds: float,
) -> dict[str, object]:
    qrels = [dataset.qrels[query] for query in queries]
    measured = Measured(
        task="rerank",
        dataset=dataset.name,
        checksum=dataset.checksum,
        protocol=f"{PROTOCOL}; candidates are the first {rerank.depth} of {first}, systems only put them in order",
        cases=tuple(queries),
        systems={
            name: SystemResult(values_of(lists, qrels, next_item.K, rerank.depth)) for name, lists in orders.items()
        },
        slices=slices(queries, qrels),
        settings={"first": first, "depth": rerank.depth},
        seed=asked.seed,
        seconds=seconds,
    )
    return measured.as_mapping()


def _candidates_of(
    systems: Mapping[str, SearchSystem], dataset: JudgedSearch, queries: Sequence[str], rerank: Rerank
) -> tuple[str, list[list[str]]]:
    if rerank.candidates is not None:
        lists = read_run(rerank.candidates).lists()
        return CANDIDATES, [lists.get(topic_ids(dataset)[query], [])[: rerank.depth] for query in queries]
    if rerank.first not in systems:
        raise InvalidInput(f"{rerank.first} gives no candidates for searches; there are {', '.join(systems)}")
    return rerank.first, systems[rerank.first].rank(queries, rerank.depth)


def _in_order_of(candidates: Sequence[Sequence[str]], lists: Sequence[Sequence[str]]) -> list[list[str]]:
    ranks = [{item: rank for rank, item in enumerate(row)} for row in lists]
    return [
        sorted(row, key=lambda item, rank=rank: rank.get(item, len(rank)))  # type: ignore[misc]
        for row, rank in zip(candidates, ranks, strict=True)
    ]
