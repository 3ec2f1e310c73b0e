"""`tasteline train offers`: a response model for the advice of a shop, measured on later campaigns and registered.

Takes a log of campaigns and a home, gives the table, the entry of the registry and whether it is live. What is
registered is what was measured: fitted on the campaigns that had ended before the test campaigns began, and it knows
only what every shop's events tell (`retrieval.offers.taste`). It is kept to have learned from those people of the log
whose purchases were imported into this shop before.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Mapping
from contextlib import closing
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import cast

import polars as pl

from app.engines import open_store
from eval.coupon_response import EVENTS_ONLY_SYSTEM, candidates, cases_of, chosen, divided, measure
from eval.offers import looked
from eval.own_shop import erasures
from eval.results import DISTRIBUTION, commit_of, machine
from finetune.offer_response import fit_response
from retrieval.model_card import ModelCard, TrainingData, new_id
from retrieval.offers import taste
from retrieval.offers.campaign import CouponLog
from retrieval.offers.deeds import DAY
from retrieval.offers.response import FILE, ResponseModel
from retrieval.registry import Entry, Registry
from tasteline.settings import Settings
from tasteline.types import EventType

BESIDE = ("category_frequency", "popular")
MAIN_METRIC = "auc"


def train_offers(
    log: CouponLog, name: str, checksum: str, settings: Settings, told: Callable[[str], None], *, promote: bool = True
) -> tuple[dict[str, object], Entry, bool]:
    """Live where no simple rule beside it is better; withdrawn where somebody was erased while it learned."""
    started, known_erasures = time.perf_counter(), erasures(settings)
    systems = {each: candidates("coupons")[each] for each in (EVENTS_ONLY_SYSTEM, *BESIDE)}
    looks = looked("coupons", checksum, [*systems], settings, seed=0)
    report = measure(log, checksum, "coupons", told=told, systems=systems, reference=EVENTS_ONLY_SYSTEM).as_mapping()
    report = {**report, "part": "test", "test_looks": looks}
    model, people = fitted(log, name)
    here = imported_here(log, settings)
    table = cast(Mapping[str, Mapping[str, float]], report["systems"])
    products, events = log.coupons["product"].n_unique(), len(log.lines)
    data = TrainingData(name, checksum, len(people), products, events)
    card = _card(model, data, table, time.perf_counter() - started)
    registry = Registry(settings.home)
    entry = registry.register(card, lambda folder: model.write(folder / FILE), here)
    if erasures(settings) != known_erasures:
        registry.disown(entry)
        return report, entry, False
    live = promote and all(table[EVENTS_ONLY_SYSTEM][MAIN_METRIC] >= row[MAIN_METRIC] for row in table.values())
    if live:
        registry.promote(entry.id)
    return report, entry, live


def fitted(log: CouponLog, name: str) -> tuple[ResponseModel, list[str]]:
    """The model that was measured, and all whom it learned from."""
    parts = divided(log)
    train, middle = (cases_of(log, part, "coupons") for part in (parts.train, parts.middle))
    freedom, _ = chosen(candidates("coupons")[EVENTS_ONLY_SYSTEM], train, middle)
    known = train.with_more(middle)
    words = f"{len(parts.train) + len(parts.middle)} coupon campaigns of {name}, {int(known.responded.sum()):,} coupons"
    model = fit_response(taste.FEATURES, known.matrix(taste.FEATURES), known.responded, freedom, f"{words} redeemed")
    # Everybody's purchases say how many people buy of a group: they are in it, too.
    people = pl.concat([known.frame["person"], log.lines["person"]]).unique().sort()
    return model, people.to_list()


def imported_here(log: CouponLog, settings: Settings) -> set[str]:
    """Whose purchases in the log are this shop's, too. Another person may have the same id here: a foreign log's
    household "1" is not this shop's "1", and who erases one must not lose a model that never saw them.
    """
    theirs = log.lines.select("person", pl.col("product").cast(pl.String), pl.col("day").cast(pl.Int64)).unique()
    found: set[str] = set()
    with closing(open_store(settings)) as store:
        for page in store.deeds():
            rows = [
                (person, product, moment // DAY)
                for _, person, product, kind, moment, *_ in page
                if kind == EventType.PURCHASE and product is not None and moment is not None
            ]
            ours = pl.DataFrame(rows, schema=theirs.schema, orient="row")
            found.update(ours.join(theirs, on=["person", "product", "day"], how="semi")["person"])
    return found


def _card(
    model: ResponseModel, data: TrainingData, table: Mapping[str, Mapping[str, float]], seconds: float
) -> ModelCard:
    created, commit = datetime.now(UTC), commit_of(Path(__file__).parent)
    return ModelCard(
        id=new_id(created, secrets.token_hex(3)),
        kind="offers",
        created=created,
        data=data,
        settings={"features": ", ".join(model.names)},
        metrics=table,
        system=EVENTS_ONLY_SYSTEM,
        main_metric=MAIN_METRIC,
        split="test",
        seconds=round(seconds, 1),
        seed=0,
        machine=machine(),
        version=metadata.version(DISTRIBUTION),
        commit=commit.sha if commit else None,
        dirty=commit.dirty if commit else False,
        notes=f"A response, not an uplift. Learned from {model.learned_from}.",
    )
