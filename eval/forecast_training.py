"""`tasteline train forecast`: the shop's own purchases in; a forecast in the registry and the table of how good it is.

Takes settings; measures on the last 30 days what was learned before them, beside the rules that it has to beat, learns
again from everything, registers that, and makes it live where no rule is ahead. The one place where this training,
measuring and the registry meet.
"""

from __future__ import annotations

import hashlib
import secrets
import time
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path

import numpy as np

from app.engines import open_store
from eval.baselines.habits import habits
from eval.data.interactions import Catalogue, Dataset, Interactions
from eval.forecast import Level, measure, purchases
from eval.learned_forecast import NAME, Forecasts
from eval.own_shop import erasures
from eval.results import DISTRIBUTION, commit_of, machine
from finetune.forecast import ForecastSettings
from retrieval.deed_log import DeedLog
from retrieval.importing.run import import_paths
from retrieval.model_card import ModelCard, Scalar, TrainingData, new_id
from retrieval.models.bought import DAY
from retrieval.models.forecast_files import write_forecaster
from retrieval.registry import Entry, Registry
from retrieval.shop_purchases import MICROSECONDS, forecast_category, purchases_among
from tasteline.errors import InvalidInput
from tasteline.ports import Store
from tasteline.settings import Settings

BESIDE = ("popular", "recency", "personal_frequency", "decayed_frequency")
MAIN_METRIC = "recall@10"
LEVELS: tuple[Level, ...] = ("category", "anything")
NEEDED = (
    "a forecast is learned from purchases with a user id and a time, over 150 days or more, of 50 people or more; "
    "here {found}. Put more in with `tasteline import`; until then a simple rule forecasts"
)
LEAST_DAYS, LEAST_PEOPLE = 150, 50
"""60 days before a window, the window, and twice 30 days to choose by and to measure on."""


@dataclass(frozen=True, slots=True)
class ForecastTrainingAsked:
    """What the command line says."""

    data: Path | None = None
    """Imported into the shop first."""
    currency: str | None = None
    seed: int = 0
    promote: bool = True


def train_shop_forecast(
    asked: ForecastTrainingAsked,
    settings: Settings,
    told: Callable[[str], None],
    learning: ForecastSettings = ForecastSettings(),
) -> tuple[dict[str, object], Entry, bool]:
    """The table as a result mapping, the registered forecast, and whether it is live now.

    Raises InvalidInput where the shop has too few purchases with times, and says what is needed.
    """
    with closing(open_store(settings)) as store:
        if asked.data is not None:
            told(f"import of {asked.data}")
            import_paths([asked.data], store, rejects_file=settings.home / "rejects.jsonl", currency=asked.currency)
        known = store.erasures()  # before reading: whoever is erased meanwhile is seen below
        dataset = purchases_in(store, settings.home.resolve().name)
    require_enough(dataset)
    forecasts = Forecasts.of(dataset, learning, asked.seed)
    report = _measured(dataset, forecasts, asked.seed, told)
    told("learning from everything")
    started = time.perf_counter()
    model = forecasts.until(int(dataset.interactions.order.max()) + 1)
    card = _card(dataset, learning, report, asked.seed, time.perf_counter() - started)
    registry = Registry(settings.home)
    people = {dataset.user_ids[number] for number in np.unique(dataset.interactions.users)}
    entry = registry.register(card, lambda folder: write_forecaster(model, folder), people)
    if erasures(settings) != known:
        told("somebody was erased while it learned from them: not promoted; train again")
        registry.disown(entry)
        return report, entry, False
    live = asked.promote and is_ahead(_systems(report))
    if live:
        registry.promote(entry.id)
    return report, entry, live


def purchases_in(store: Store, name: str) -> Dataset:
    """Purchases of known products by people with an id, with their times. Raises InvalidInput where there is none."""
    categories = {
        change.product_id: forecast_category(change.product)
        for change in store.changes(0)
        if change.product is not None
    }
    done = purchases_among(DeedLog(store).read())
    lines = zip(done.person.tolist(), done.product.tolist(), (done.moment // MICROSECONDS).tolist(), strict=True)
    named = ((done.people[person], done.products[product], seconds) for person, product, seconds in lines)
    rows = [row for row in named if row[1] in categories]
    if not rows:
        raise InvalidInput(NEEDED.format(found="there is none"))
    users, user_numbers = np.unique([row[0] for row in rows], return_inverse=True)
    ids = tuple(sorted(categories))
    numbers = {product_id: number for number, product_id in enumerate(ids)}
    events = Interactions.of(user_numbers, [numbers[row[1]] for row in rows], [row[2] for row in rows])
    catalogue = Catalogue(ids, ids, tuple(categories[each] for each in ids))
    checksum = hashlib.sha256(repr(sorted(rows)).encode("utf-8", "surrogatepass")).hexdigest()
    return Dataset(name, checksum, catalogue, tuple(users.tolist()), events, timed=True)


def require_enough(dataset: Dataset) -> None:
    """Raises InvalidInput, which says what there is and what is needed."""
    order = dataset.interactions.order
    days = int(order.max() - order.min()) // DAY
    people = len(np.unique(dataset.interactions.users))
    if days < LEAST_DAYS or people < LEAST_PEOPLE:
        raise InvalidInput(NEEDED.format(found=f"they span {days} days and {people} people"))


def is_ahead(systems: Mapping[str, Mapping[str, float]]) -> bool:
    """Whether no rule ranks better or has the better probabilities; equal will do."""
    ours = systems[NAME]
    others = [values for name, values in systems.items() if name != NAME]
    return all(ours[MAIN_METRIC] >= values[MAIN_METRIC] and ours["log_loss"] <= values["log_loss"] for values in others)


def _measured(dataset: Dataset, forecasts: Forecasts, seed: int, told: Callable[[str], None]) -> dict[str, object]:
    """By category; AUC and log-loss of coming at all stand beside."""
    found: dict[str, dict[str, dict[str, float]]] = {}
    first: dict[str, object] = {}
    for level in LEVELS:
        beside = [each for each in habits(level) if each.name in BESIDE]
        measured = measure(
            dataset,
            level,
            [*beside, forecasts.candidate(level)],
            seed=seed,
            told=lambda name, level=level: told(f"{level}: {name}"),  # type: ignore[misc]
        )
        report = measured.as_mapping()
        first = first or report
        found[level] = _systems(report)
    coming = {
        name: {f"comes_{metric}": value for metric, value in row.items() if metric in ("auc", "log_loss")}
        for name, row in found["anything"].items()
    }
    systems = {name: {**row, **coming.get(name, {})} for name, row in found["category"].items()}
    return {**first, "systems": systems}


def _systems(report: Mapping[str, object]) -> dict[str, dict[str, float]]:
    systems = report["systems"]
    assert isinstance(systems, dict)
    return systems


def _card(
    dataset: Dataset, learning: ForecastSettings, report: Mapping[str, object], seed: int, seconds: float
) -> ModelCard:
    created, commit = datetime.now(UTC), commit_of(Path(__file__).parent)
    products = purchases(dataset, "product")
    people = len(np.unique(products.users))
    return ModelCard(
        id=new_id(created, secrets.token_hex(3)),
        kind="forecast",
        created=created,
        data=TrainingData(dataset.name, dataset.checksum, people, len(products.names), len(products.users)),
        settings=_flat(asdict(learning)),
        metrics=_systems(report),
        system=NAME,
        main_metric=MAIN_METRIC,
        split="test",
        seconds=round(seconds, 1),
        seed=seed,
        machine=machine(),
        version=metadata.version(DISTRIBUTION),
        commit=commit.sha if commit else None,
        dirty=commit.dirty if commit else False,
        notes="Measured on the last 30 days by a forecast that had not seen them; this one has learned from them too.",
    )


def _flat(values: Mapping[str, object]) -> dict[str, Scalar]:
    flat: dict[str, Scalar] = {}
    for name, value in values.items():
        if isinstance(value, dict):
            flat |= {f"{name}.{key}": each for key, each in value.items()}
        elif isinstance(value, str | int | float | bool):
            flat[name] = value
    return flat
