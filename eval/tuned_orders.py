"""Tuned models that put people's candidates in order: a cross-encoder and a language model that judges.

Takes people's histories and candidates as item numbers, gives the order of each model alone and of its places fused
with the given ones. Both are told the same of a person, in the words that the service has for a taste; nothing is
known of who is right.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from app.agent.judging import fused
from app.encoders import MERGED
from app.engines import open_language_model, open_reranker, wait_until_loaded
from eval.data.interactions import Codes, Dataset, Histories
from eval.judging import PATIENCE
from eval.served import folder_of
from prompts.judging import read_judgement, render_judgement, taste_of
from retrieval.text import product_text
from tasteline.ports import LanguageModel, Reranker
from tasteline.settings import Settings
from tasteline.types import Product

WEIGHTS = (0.1, 0.2, 0.4)
"""Of the model's places beside the given ones; which is used, valid says."""


@dataclass(frozen=True, slots=True)
class TunedModels:
    """Ids of the registry of this home, or folders. `untuned` asks the language model of the settings as well."""

    reranker: str | None = None
    llm: str | None = None
    untuned: bool = False

    @property
    def any(self) -> bool:
        return self.untuned or self.reranker is not None or self.llm is not None


class Fits(Protocol):
    """How well products fit a need, higher is better."""

    def __call__(self, need: str, products: Sequence[Product]) -> Sequence[float]: ...


def orders_of(
    models: TunedModels,
    histories: Histories,
    candidates: Codes,
    dataset: Dataset,
    products: Sequence[Product],
    settings: Settings,
    told: Callable[[str], None],
) -> Iterator[tuple[str, Codes]]:
    """(name, candidates in that model's order), for each model and each of its WEIGHTS.

    A person of whom no words are known keeps the given order. Raises NotFound for a model that is not there.
    """
    by_id = {product.id: product for product in products}
    shelf = [by_id[key] for key in dataset.catalogue.ids]
    for name, fits in _models(models, settings):
        told(name)
        found = _fits_of(fits, histories, candidates, shelf)
        yield name, _in_order(candidates, found, 1.0)
        for weight in WEIGHTS:
            yield f"{name} at {weight:g}", _in_order(candidates, found, weight)


def _models(models: TunedModels, settings: Settings) -> Iterator[tuple[str, Fits]]:
    if models.reranker is not None:
        folder = folder_of(models.reranker, settings)
        yield "cross_encoder", _by_reranker(open_reranker(str(folder / MERGED), folder.name, settings))
    wanted: list[tuple[str, str | Path]] = []
    if models.untuned:
        wanted.append(("untuned_llm", settings.language_model_name))
    if models.llm is not None:
        wanted.append(("llm", folder_of(models.llm, settings) / MERGED))
    for name, weights in wanted:
        chosen = {"language_model": "transformers", "language_model_name": str(weights)}
        model = open_language_model(settings.model_copy(update=chosen))
        assert model is not None
        with closing(model), asyncio.Runner() as loop:
            wait_until_loaded(model)
            yield name, _by_language_model(model, loop)


def _by_reranker(reranker: Reranker) -> Fits:
    def fits(need: str, products: Sequence[Product]) -> Sequence[float]:
        texts = [product_text(product) for product in products]
        return [float(score) for score in reranker.score([need] * len(texts), texts, timeout=PATIENCE)]

    return fits


def _by_language_model(model: LanguageModel, loop: asyncio.Runner) -> Fits:
    def fits(need: str, products: Sequence[Product]) -> Sequence[float]:
        judgement = render_judgement("pointwise", need, products)
        return read_judgement(judgement, loop.run(model.choose(judgement.prompts, judgement.labels, timeout=PATIENCE)))

    return fits


def _fits_of(fits: Fits, histories: Histories, candidates: Codes, shelf: Sequence[Product]) -> list[Sequence[float]]:
    """One number for each candidate of each person; equal ones where nothing is known."""
    found: list[Sequence[float]] = []
    for case in range(len(histories)):
        need = taste_of([shelf[item] for item in histories.of_case(case)])
        offered = [shelf[item] for item in candidates[case] if item >= 0]
        found.append(fits(need, offered) if need and offered else [0.0] * len(offered))
    return found


def _in_order(candidates: Codes, fits: Sequence[Sequence[float]], weight: float) -> Codes:
    """Places that hold no candidate stay at the end."""
    ordered = candidates.copy()
    for row, found in enumerate(fits):
        ordered[row, : len(found)] = candidates[row][fused(found, weight)]
    return ordered
