"""Turns of real households, written out so that a reader can say whether they are right: `eval drift --examples 10`.

Takes the purchases of completejourney before its last 30 days, which other evaluations ask about. Households are put in
one seeded order: on those of the first `CHOSEN_ON` the method was chosen, of the others the first so many that turned
are written: when, from what to what, how the shares moved by month, and what
was bought around it. Nothing is chosen by hand; the file lies under TASTELINE_HOME, because it quotes the data set.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from eval.data.interactions import Dataset
from eval.data.loading import load
from eval.protocols.temporal import before_end
from retrieval.catalogue import Catalogue
from retrieval.drifts import Drift
from retrieval.steps import Steps, steps_of
from retrieval.topics import Topic, by_category
from retrieval.turning import drifts_in
from tasteline.types import Event, EventType, Product

DATA = "completejourney"
CHOSEN_ON = 0.6
"""Share of the households that may be looked at while the method changes."""
AROUND = 8
"""Purchases quoted on each side of a turn."""


def write_examples(
    file: Path, count: int, seed: int = 0, data: str = DATA, *, held_out: bool = True
) -> tuple[int, int]:
    """(examples written, households looked at). Raises MissingExtra without the package."""
    dataset = load(data)
    products = _products(dataset)
    catalogue = Catalogue()
    catalogue.add(products)
    end = before_end(dataset).test
    written: list[str] = []
    looked = 0
    order = np.random.default_rng(seed).permutation(len(dataset.user_ids))
    known = int(CHOSEN_ON * len(order))
    for user in order[known:] if held_out else order[:known]:
        if len(written) == count:
            break
        looked += 1
        steps = steps_of(_history(dataset, int(user), products, end))
        topics = by_category({pid: catalogue.product(catalogue.rows([pid])[0]) for pid in steps.product_ids}, catalogue)
        if drifts := drifts_in(steps, topics):
            written.append("\n".join(_told(dataset.user_ids[user], drifts, steps, topics, catalogue)))
    of = "others than the method was chosen on" if held_out else "those that the method was chosen on"
    head = f"# Turns of real households\n\n{len(written)} of the first {looked} of {of}, {data}, seed {seed}.\n"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("\n".join([head, *written]), encoding="utf-8")
    return len(written), looked


def _products(dataset: Dataset) -> list[Product]:
    items = dataset.catalogue
    return [
        Product(pid, text, categories=tuple(dict.fromkeys(filter(None, path))))
        for pid, text, path in zip(items.ids, items.texts, items.paths, strict=True)
    ]


def _history(dataset: Dataset, user: int, products: Sequence[Product], end: int) -> list[Event]:
    """A household's purchases before `end`, oldest first; what has one moment is one basket."""
    events = dataset.interactions
    first, last = np.searchsorted(events.users, [user, user + 1])
    mine = first + np.flatnonzero(events.order[first:last] < end)
    return [
        Event(
            id=str(row),
            type=EventType.PURCHASE,
            session_id=str(events.order[row]),
            product_id=products[events.items[row]].id,
            time=datetime.fromtimestamp(int(events.order[row]), UTC),
        )
        for row in mine
    ]


def _told(
    user: str, drifts: Sequence[Drift], steps: Steps, topics: Mapping[str, Topic], catalogue: Catalogue
) -> Iterator[str]:
    yield f"## Household {user}: {len(steps)} purchases, {int(steps.visits[-1]) + 1} baskets\n"
    for drift in drifts:
        since = drift.since.date() if drift.since else ""
        yield f"**{since}: from {', '.join(drift.before)} to {', '.join(drift.after)}** ({drift.confidence:.2f})\n"
        yield from _months((*drift.before, *drift.after), steps, topics)
        yield from _visits(drift, steps, topics)
        first = drift.step - 1
        for title, places in (("before", range(max(0, first - 400), first)), ("after", range(first, len(steps)))):
            names = drift.before if title == "before" else drift.after
            about = [place for place in places if _broad(steps, place, topics) in names]
            shown = about[-AROUND:] if title == "before" else about[:AROUND]
            bought = (catalogue.product(catalogue.rows([steps.product_ids[steps.products[p]]])[0]).title for p in shown)
            yield f"- {title}: {'; '.join(bought)}"
        yield ""


def _visits(drift: Drift, steps: Steps, topics: Mapping[str, Topic]) -> Iterator[str]:
    """In how many baskets before and after each topic was."""
    first = drift.step - 1
    for name in (*drift.before, *drift.after):
        about = [place for place in range(len(steps)) if _broad(steps, place, topics) == name]
        sides = [{int(steps.visits[place]) for place in about if (place < first) == before} for before in (True, False)]
        whole = int(steps.visits[first]), int(steps.visits[-1]) + 1 - int(steps.visits[first])
        yield f"- {name}: in {len(sides[0])} of {whole[0]} baskets before, {len(sides[1])} of {whole[1]} after"


def _broad(steps: Steps, place: int, topics: Mapping[str, Topic]) -> str:
    topic = topics.get(steps.product_ids[steps.products[place]])
    return topic.broad if topic else ""


def _months(names: Sequence[str], steps: Steps, topics: Mapping[str, Topic]) -> Iterator[str]:
    """Purchases of each topic, and of all, month by month."""
    months = [datetime.fromtimestamp(float(time), UTC).strftime("%m") for time in steps.times]
    total = Counter(months)
    columns = sorted(total)
    yield f"| | {' | '.join(columns)} |"
    yield f"|---|{'---|' * len(columns)}"
    for name in names:
        count = Counter(month for place, month in enumerate(months) if _broad(steps, place, topics) == name)
        yield f"| {name} | {' | '.join(str(count[month]) for month in columns)} |"
    yield f"| all | {' | '.join(str(total[month]) for month in columns)} |\n"
