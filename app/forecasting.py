"""The forecast in the service: the trained one that is live, followed, and what answers without one.

Takes settings, store, log of deeds and indexes; gives what the routes ask and the model that is followed.
"""

from __future__ import annotations

import time

import numpy as np

from retrieval.deed_log import DeedLog
from retrieval.forecast import Forecasting, Trained
from retrieval.live import LiveIndex
from retrieval.live_model import LiveModel
from retrieval.models.forecast_files import read_forecaster
from retrieval.models.forecaster import Forecaster
from retrieval.registry import Entry, Registry
from retrieval.shop_purchases import ShopPurchases, one_person
from tasteline.ports import Store
from tasteline.settings import Settings


def open_forecasting(
    settings: Settings, store: Store, log: DeedLog, live: LiveIndex
) -> tuple[Forecasting, LiveModel[Forecaster]]:
    """Nothing is put in order before the first question."""
    model = LiveModel(Registry(settings.home), "forecast", _loaded, _tried)

    def trained() -> Trained | None:
        loaded = model.current()
        return None if loaded is None else Trained(loaded.entry.id, loaded.model)

    purchases = ShopPurchases(log, seconds=settings.deadline_seconds)
    return Forecasting(store, live, purchases, trained, time.time), model


def _loaded(entry: Entry) -> Forecaster:
    return read_forecaster(entry.folder)


def _tried(model: Forecaster) -> None:
    """One that cannot be asked must not become live."""
    past = model.past(one_person([0], [model.trained_until - 1], len(model.product_ids)), model.trained_until)
    found = model.of_products(past, model.of_categories(past)), model.coming(past)
    if not all(np.isfinite(each).all() for each in found):
        raise ValueError("its forecasts are no numbers")
