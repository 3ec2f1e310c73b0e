"""`tasteline doctor`: each part tried in turn, with what to do where it does not work."""

from __future__ import annotations

import asyncio
import contextlib
import functools
from collections.abc import Callable
from dataclasses import dataclass

from app import engines, indexing, learned_ranking
from app.encoders import Encoders
from retrieval.experiment import Experiments
from retrieval.model_card import KINDS, ModelKind
from retrieval.registry import Registry
from tasteline.errors import InvalidInput, TastelineError
from tasteline.ports import LanguageModel
from tasteline.settings import Settings
from tasteline.types import ChatMessage

PATIENCE_SECONDS = 60.0
"""For weights to load, or a server to answer."""
WITHOUT: dict[ModelKind, str] = {
    "next-item": "recommendations come from counts and likeness; `tasteline train next-item` makes one",
    "encoder": "the published one is used",
    "reranker": "lists keep their order",
    "llm": "the published one is used",
    "forecast": "a simple rule forecasts; `tasteline train forecast` makes one",
    "offers": "advice about offers goes by what was counted; `tasteline train offers` trains one",
}
"""What the service does, and what can be done, where no model of a kind was trained."""


@dataclass(frozen=True, slots=True)
class Finding:
    part: str
    ok: bool
    detail: str


def examine(settings: Settings) -> list[Finding]:
    """Opens every part for real; changes nothing but creating an empty home."""
    parts: tuple[tuple[str, Callable[[Settings], str]], ...] = (
        ("home", lambda s: str(s.home.resolve())),
        ("store", _store),
        ("embedder", _embedder),
        ("index", _index),
        ("language model", _language_model),
        ("next-item model", _next_item),
        *((f"{kind} model", functools.partial(_trained, kind)) for kind in KINDS if kind != "next-item"),
        ("listening", _listening),
    )
    return [_finding(part, look, settings) for part, look in parts]


def _finding(part: str, look: Callable[[Settings], str], settings: Settings) -> Finding:
    try:
        return Finding(part, True, look(settings))
    except TastelineError as error:
        return Finding(part, False, str(error))
    except OSError as error:
        return Finding(part, False, f"{error}. Check that TASTELINE_HOME can be written.")


def _store(settings: Settings) -> str:
    with contextlib.closing(engines.open_store(settings)) as store:
        return f"{settings.sqlalchemy_url()} at revision {store.revision()}"


def _embedder(settings: Settings) -> str:
    embedder = engines.open_embedder(settings)
    embedder.encode(["a first sentence"], "query")
    return f"{embedder.name}, {embedder.dimension} dimensions"


def _index(settings: Settings) -> str:
    with contextlib.closing(engines.open_store(settings)) as store:
        live = indexing.open_live(settings, store, engines.open_embedder(settings))
        behind = store.revision() - live.revision
        return "up to date" if not behind else f"{behind} changes behind; `tasteline index` or a start catches up"


def _language_model(settings: Settings) -> str:
    model = engines.open_language_model(settings)
    if model is None:
        return "none: replies are templates"
    with contextlib.closing(model):
        engines.wait_until_loaded(model, PATIENCE_SECONDS)
        heard = asyncio.run(_first_word(model))
        return f"{model.name} by {settings.language_model}, which answers {heard}"


async def _first_word(model: LanguageModel) -> str:
    hello = [ChatMessage("user", "Say hello.")]
    written = [piece.text async for piece in model.stream(hello, max_tokens=4, timeout=PATIENCE_SECONDS)]
    return repr("".join(written))


def _trained(kind: ModelKind, settings: Settings) -> str:
    """Reads every file of the live one."""
    registry = Registry(settings.home)
    live = registry.live(kind)
    if live is None:
        waiting = registry.entries(kind)
        if not waiting:
            return f"none: {WITHOUT[kind]}"
        return f"none of {len(waiting)} is live; `tasteline models promote {waiting[-1].id}` takes the newest"
    registry.verify(live)
    card = live.card
    told = f"{live.id}, trained {card.created:%Y-%m-%d} on {card.data.name} ({card.data.events:,} events)"
    return told + _tried(kind, settings)


def _tried(kind: ModelKind, settings: Settings) -> str:
    """Reads every file of the candidate."""
    experiments = Experiments(settings.home)
    if (running := experiments.running(kind)) is None or (candidate := experiments.live(kind)) is None:
        return ""
    experiments.verify(candidate)
    return f"; experiment {running.id} gives {candidate.id} to {running.share:.0%} of people"


def _next_item(settings: Settings) -> str:
    """Opened as the service does, with the encoders that are here."""
    told = _trained("next-item", settings)
    if (live := Registry(settings.home).live("next-item")) is not None:
        learned_ranking.ranker_of(live, Encoders(settings))
    return told


def _listening(settings: Settings) -> str:
    if settings.unguarded():
        raise InvalidInput(f"{settings.host} without a key: set TASTELINE_API_KEYS='[\"…\"]', or a loopback host.")
    keys = f"{len(settings.api_keys)} keys" if settings.api_keys else "no key: loopback only"
    return f"{settings.host}:{settings.port}, {keys}"
