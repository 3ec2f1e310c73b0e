"""The learned forecast as a system of the interests task: one training for each window serves all three levels.

Takes a timed Dataset, gives a Candidate for each level. It learns from purchases by product whatever the level, and
cuts them at the window's start itself: what the harness does not show of the window, it does not look at.
"""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from eval.data.interactions import Codes, Dataset
from eval.forecast import Candidate, Level, Purchases, Scores, Window, purchases
from finetune.forecast import ForecastSettings, Shelf, train_forecast
from retrieval.models.bought import Bought
from retrieval.models.forecast_files import read_forecaster, write_forecaster
from retrieval.models.forecaster import Forecaster
from tasteline.errors import InvalidInput

NAME = "tasteline"
VERSION = 2
"""Raise it when the same settings learn something else: what is kept is trained anew."""


@dataclass
class Forecasts:
    """The forecasters of one data set by the moment until which they learned."""

    products: Bought
    shelf: Shelf
    settings: ForecastSettings
    seed: int
    cache: Path | None = None
    """Where trained ones are kept; None: nowhere."""
    trained: dict[int, Forecaster] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        dataset: Dataset,
        settings: ForecastSettings = ForecastSettings(),
        seed: int = 0,
        cache: Path | None = None,
    ) -> Forecasts:
        """Raises InvalidInput where the data set has no real times or no purchase of a thing with a category."""
        products, shelf = stocked(dataset)
        known = repr((dataset.checksum, settings, seed, VERSION)).encode()
        folder = cache / f"forecast-{hashlib.sha256(known).hexdigest()[:16]}" if cache else None
        return cls(products, shelf, settings, seed, folder)

    def until(self, moment: int) -> Forecaster:
        """The one that learned from all before `moment`, trained where it is not kept."""
        if moment not in self.trained:
            self.trained[moment] = self._kept(moment) or self._trained(moment)
        return self.trained[moment]

    def _kept(self, moment: int) -> Forecaster | None:
        folder = self.cache / str(moment) if self.cache else None
        return read_forecaster(folder) if folder and folder.is_dir() else None

    def _trained(self, moment: int) -> Forecaster:
        known = self.products.before(moment)
        model = train_forecast(known, self.shelf, moment, self.settings, seed=self.seed)
        if self.cache:
            self.cache.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(dir=self.cache) as writing:
                write_forecaster(model, Path(writing))
                shutil.copytree(writing, self.cache / str(moment), dirs_exist_ok=True)
        return model

    def candidate(self, level: Level) -> Candidate:
        return Candidate(NAME, lambda _: LearnedForecast(self, level), {})


@dataclass
class LearnedForecast:
    """One level of it."""

    forecasts: Forecasts
    level: Level
    name: str = field(default=NAME, init=False)
    probabilities: bool = field(default=True, init=False)
    _model: Forecaster = field(init=False)
    _known: Bought = field(init=False)
    _moment: int = field(init=False)

    def fit(self, known: Purchases, window: Window) -> None:
        if window.start < known.times.max(initial=0):
            raise InvalidInput("what is known reaches into the window that is to be forecast")
        self._moment = window.start
        self._model = self.forecasts.until(window.start)
        self._known = self.forecasts.products.before(window.start)

    def scores(self, users: Codes) -> Scores:
        past = self._model.past(self._known.of_people(users.astype(np.int64)), self._moment)
        if self.level == "anything":
            return self._model.coming(past)[:, None].astype(np.float32)
        chances = self._model.of_categories(past)
        return chances if self.level == "category" else self._model.of_products(past, chances)


def stocked(dataset: Dataset) -> tuple[Bought, Shelf]:
    """All purchases by product, and the tables of products and categories, numbered as `purchases` numbers them."""
    products, categories = purchases(dataset, "product"), purchases(dataset, "category")
    numbers = {name: number for number, name in enumerate(categories.names)}
    category: Mapping[str, str] = dict(zip(dataset.catalogue.ids, dataset.catalogue.categories, strict=True))
    of_product = np.array([numbers.get(category[each], -1) for each in products.names], dtype=np.int64)
    bought = Bought.of(
        products.users,
        products.things,
        products.times,
        people_count=len(products.user_ids),
        thing_count=len(products.names),
    )
    return bought, Shelf(products.names, categories.names, of_product)
