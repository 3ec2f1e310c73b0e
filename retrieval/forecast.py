"""What a person will buy within the next 30 days, whether they come at all, and who of all people is leaving.

Takes the store's purchases and, where one was trained, a forecaster; gives probabilities with plain reasons, which are
facts of the history. Without a trained forecaster the person's own decayed frequency answers, and is named. The moment
is that of the shop's newest purchase where the data end before today: an imported year is read as of its end.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from retrieval.live import LiveIndex
from retrieval.models.bought import DAY, Bought, Days, Floats
from retrieval.models.forecaster import Forecaster
from retrieval.models.rhythm import NAMES, rhythm
from retrieval.shop_purchases import Everybody, ShopPurchases, forecast_category, one_person, purchases_of
from tasteline.ports import EventStore

DAYS = 30
BASELINE = "decayed_frequency"
SCALE_DAYS = 60.0
"""A purchase a days ago counts exp(-a / 60) of one now: the best of the simple rules on a year of groceries."""
PURCHASES = 20_000
"""Of one person that are read, the newest."""
REGULAR = 3
"""Visits from which on somebody used to come."""
STILL_DAYS = 90.0
"""Since the last visit, up to which somebody may be leaving: who stayed away for longer has left."""
_LAST, _GAP, _BOUGHT = (NAMES.index(name) for name in ("last", "gap", "bought"))


@dataclass(frozen=True, slots=True)
class Rhythm:
    """How somebody came or bought: facts of the history."""

    times: int
    last_days: float | None
    """Since the last time; None where there was none."""
    gap_days: float | None
    """Mean from one time to the next; None for fewer than two."""

    @classmethod
    def of(cls, line: Floats) -> Rhythm:
        last, gap = (None if np.isnan(line[place]) else round(float(line[place]), 1) for place in (_LAST, _GAP))
        return cls(int(line[_BOUGHT]), last, gap)


@dataclass(frozen=True, slots=True)
class Likely:
    """A category or product, and how likely it is bought within the days asked for."""

    name: str
    """Of the category, or the product's id."""
    title: str
    probability: float
    reason: str
    rhythm: Rhythm


@dataclass(frozen=True, slots=True)
class PersonForecast:
    as_of: int
    """Seconds since 1970."""
    model: str
    """Id of the trained one, or `BASELINE`."""
    comes: float
    """Probability of any purchase."""
    visits: Rhythm
    categories: tuple[Likely, ...]
    products: tuple[Likely, ...]


@dataclass(frozen=True, slots=True)
class Leaving:
    """Somebody who used to come."""

    user_id: str
    probability: float
    """That they buy nothing within the days asked for."""
    overdue: float
    """Days since the last visit over their usual gap, a day at least."""
    visits: Rhythm


@dataclass(frozen=True, slots=True)
class Trained:
    """A forecaster and its id."""

    id: str
    model: Forecaster


@dataclass(frozen=True, slots=True)
class _Tables:
    """What the numbers of a person's purchases mean."""

    product_ids: Sequence[str]
    category_names: Sequence[str]
    category_of: np.ndarray[tuple[int], np.dtype[np.int64]]


class Forecasting:
    """`now`: seconds since 1970; `trained`: what is live, None where nothing is."""

    def __init__(
        self,
        store: EventStore,
        live: LiveIndex,
        purchases: ShopPurchases,
        trained: Callable[[], Trained | None],
        now: Callable[[], float],
    ) -> None:
        self._store = store
        self._live = live
        self._purchases = purchases
        self._trained = trained
        self._now = now

    def of_person(self, user_id: str, limit: int = 10) -> PersonForecast:
        """The likeliest categories and products; of somebody unknown what the model says of a stranger.

        A product that came after the training is known to be a visit, and to the model not at all.
        """
        rows = purchases_of(self._store.history(user_id, limit=PURCHASES))
        moment = self._moment(self._purchases(), max((at for _, at in rows), default=0))
        rows = [row for row in rows if row[1] < moment]
        trained = self._trained()
        tables = self._tables(rows, trained)
        numbers = {product_id: number for number, product_id in enumerate(tables.product_ids)}
        known = [(numbers[product_id], at) for product_id, at in rows if product_id in numbers]
        bought = one_person([number for number, _ in known], [at for _, at in known], len(numbers))
        came = one_person([0] * len(rows), [at for _, at in rows], 1)
        if trained is None:
            comes, categories, products = _by_frequency(bought, tables, moment)
        else:
            past = trained.model.past(bought, moment, came)
            comes, chances = float(trained.model.coming(past)[0]), trained.model.of_categories(past)
            categories, products = chances[0], trained.model.of_products(past, chances)[0]
            categories, products = comes * categories, comes * products
        in_categories = bought.grouped(tables.category_of, len(tables.category_names))
        return PersonForecast(
            moment,
            trained.id if trained else BASELINE,
            comes,
            Rhythm.of(_visits(came, moment)[0]),
            self._likeliest(in_categories, categories, moment, limit, lambda number: tables.category_names[number]),
            self._likeliest(bought, products, moment, limit, self._title(tables.product_ids), tables.product_ids),
        )

    def leaving(self, limit: int = 20) -> tuple[int, str, list[Leaving]]:
        """(moment, model, people who used to come, lately still, and are likely not to, the likeliest first)."""
        everybody = self._purchases()
        moment, trained = self._moment(everybody, 0), self._trained()
        bought = everybody.bought.before(moment)
        visits = _visits(bought, moment)
        if trained is None:
            comes = _rates(bought.as_visits(), moment)[:, 0]
        else:
            known = _renumbered(everybody, bought, trained.model)
            comes = trained.model.coming(trained.model.past(known, moment, bought.as_visits()))
        may_leave = (visits[:, _BOUGHT] >= REGULAR) & (visits[:, _LAST] <= STILL_DAYS)
        order = [place for place in np.argsort(comes, kind="stable") if may_leave[place]][:limit]
        found = [
            Leaving(
                everybody.people[place],
                float(1 - comes[place]),
                round(float(visits[place, _LAST] / max(visits[place, _GAP], 1.0)), 1),
                Rhythm.of(visits[place]),
            )
            for place in order
        ]
        return moment, trained.id if trained else BASELINE, found

    def _moment(self, everybody: Everybody, own: int) -> int:
        return min(int(self._now()), max(everybody.last, own) + 1) if max(everybody.last, own) else int(self._now())

    def _tables(self, rows: Sequence[tuple[str, int]], trained: Trained | None) -> _Tables:
        if trained is not None:
            model = trained.model
            return _Tables(model.product_ids, model.category_names, model.category_of)
        ids = list(dict.fromkeys(product_id for product_id, _ in rows))
        with self._live.read() as indexes:
            found = [indexes.catalogue.row(product_id) for product_id in ids]
            named = [forecast_category(indexes.catalogue.product(row)) if row is not None else "" for row in found]
        names = sorted({name for name in named if name})
        return _Tables(ids, names, np.array([names.index(name) if name else -1 for name in named], dtype=np.int64))

    def _title(self, product_ids: Sequence[str]) -> Callable[[int], str | None]:
        def title(number: int) -> str | None:
            with self._live.read() as indexes:
                row = indexes.catalogue.row(product_ids[number])
                return None if row is None else indexes.catalogue.product(row).title

        return title

    def _likeliest(
        self,
        bought: Bought,
        chances: Floats | Days,
        moment: int,
        limit: int,
        title: Callable[[int], str | None],
        ids: Sequence[str] | None = None,
    ) -> tuple[Likely, ...]:
        """The first `limit` that still have a title: a product that is gone is not forecast."""
        found: list[Likely] = []
        for number in np.argsort(-chances.astype(np.float64), kind="stable"):
            if len(found) == limit:
                break
            named = title(int(number))
            if named is None:
                continue
            line = rhythm(bought, moment, np.array([number]), _since(bought, moment))[0]
            how = Rhythm.of(line)
            name = ids[number] if ids is not None else named
            found.append(Likely(name, named, round(float(chances[number]), 4), _reason(how), how))
        return tuple(found)


def _reason(how: Rhythm) -> str:
    """A plain sentence of facts."""
    if how.last_days is None:
        return "not bought yet; others with such a basket buy it"
    ago = _days_ago(how.last_days)
    if how.gap_days is None:
        return f"bought once, {ago}"
    return f"bought {how.times} times, every {_days(how.gap_days)}, last {ago}"


def _days(days: float) -> str:
    """After "every".

    >>> _days(1.2), _days(12.4)
    ('day', '12 days')
    """
    return "day" if days < 1.5 else f"{days:.0f} days"


def _days_ago(days: float) -> str:
    if days < 1:
        return "within the last day"
    return f"{days:.0f} day{'' if round(days) == 1 else 's'} ago"


def _visits(bought: Bought, moment: int) -> Floats:
    """(people, rhythm.NAMES) of coming at all."""
    people = np.arange(bought.people_count)
    return rhythm(bought.as_visits(), moment, people, np.zeros(len(people)))


def _since(bought: Bought, moment: int) -> Days:
    return np.array([(moment - bought.times.min()) / DAY if len(bought) else 0.0])


def _rates(bought: Bought, moment: int) -> Days:
    """(people, things) probability of at least one purchase in `DAYS` at the decayed rate (a Poisson process)."""
    weights = np.exp(-(moment - bought.times) / DAY / SCALE_DAYS) / SCALE_DAYS
    cells = bought.people_count * bought.thing_count
    rates = np.bincount(bought.pairs(), weights, minlength=cells).reshape(bought.people_count, bought.thing_count)
    return np.asarray(-np.expm1(-DAYS * rates), dtype=np.float64)


def _by_frequency(bought: Bought, tables: _Tables, moment: int) -> tuple[float, Days, Days]:
    in_categories = bought.grouped(tables.category_of, len(tables.category_names))
    comes = float(_rates(bought.as_visits(), moment)[0, 0])
    return comes, _rates(in_categories, moment)[0], _rates(bought, moment)[0]


def _renumbered(everybody: Everybody, bought: Bought, model: Forecaster) -> Bought:
    """By the model's numbers of products, without those that it does not know."""
    numbers = {product_id: number for number, product_id in enumerate(model.product_ids)}
    of_product = np.array([numbers.get(product_id, -1) for product_id in everybody.product_ids], dtype=np.int64)
    return bought.grouped(of_product, len(model.product_ids))
