"""A chat answer beside what the bare language model takes for its words: time to the first token, and to the last.

Takes products and the settings of an engine; gives ratios from one run. Our side is the whole service over HTTP
(understanding, search, ranking, facts, wording, check, streaming); the other is the same engine, with the same threads,
given the very prompts that the service makes (`bare_engine`). They take turns, first with one conversation and then
with 16 at once; every request is made once in the whole run, so that no side finds the other's prompt in a cache.

Speed is compared where both sides say the whole of it: give the model time (`TASTELINE_WORDING_SECONDS`), else a crowd
on a small machine gets the templates, which are quick. `share_degraded` under `raw` tells.

Our first token is the first word of the reply that a shopper sees, which is the template's; `model_line_ms` under `raw`
is when the model's first checked sentence was there.
"""

from __future__ import annotations

import asyncio
import json
import platform
import random
import subprocess
import sys
from collections.abc import Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import mean, median
from time import perf_counter
from typing import Any, Literal

import httpx
import psutil

from app.agent.situation import ChatTurn
from app.agent.voice import WORDED
from app.bootstrap import open_shop
from app.engines import open_store
from app.indexing import build_index
from eval.bench.bare_engine import Task, Timed
from eval.bench.load import LoadFailed
from eval.bench.search import distinct_queries
from eval.bench.servers import service
from prompts.prompt import Prompt
from prompts.wording import render_wording
from tasteline.settings import Settings
from tasteline.types import Product

CROWD = 16
EACH_ALONE, EACH_CROWD = 12, 48
"""Requests of a turn."""
WARM_UP = 4
WARM_SECONDS = 300.0
"""For the first start of an engine, which converts the weights."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A request, and the prompt that the service makes of it."""

    text: str
    prompt: Prompt

    @property
    def messages(self) -> list[dict[str, str]]:
        return [{"role": message.role, "content": message.content} for message in self.prompt.messages]


@dataclass(frozen=True, slots=True)
class Served:
    timed: Timed
    model_line_ms: float | None
    degraded: bool


@dataclass(slots=True)
class Turns:
    """What the turns with so many conversations gave."""

    clients: int
    bare: list[list[Timed]] = field(default_factory=list)
    ours: list[list[Served]] = field(default_factory=list)

    def ratio(self, what: Literal["first_ms", "complete_ms"]) -> float:
        """Bare over ours at p50, the median of the turns: above 1 means that ours is faster."""
        pairs = zip(self.bare, self.ours, strict=True)
        return median(_p50(theirs, what) / _p50([each.timed for each in ours], what) for theirs, ours in pairs)

    def report(self) -> dict[str, Any]:
        served = [each for turn in self.ours for each in turn]
        worded = [each.model_line_ms for each in served if each.model_line_ms is not None]
        return {
            "conversations": self.clients,
            "bare_first_ms": [round(median(t.first_ms for t in turn), 1) for turn in self.bare],
            "bare_complete_ms": [round(median(t.complete_ms for t in turn), 1) for turn in self.bare],
            "first_ms": [round(median(s.timed.first_ms for s in turn), 1) for turn in self.ours],
            "complete_ms": [round(median(s.timed.complete_ms for s in turn), 1) for turn in self.ours],
            "model_line_ms": round(median(worded), 1) if worded else None,
            "share_worded_by_the_model": round(len(worded) / len(served), 3),
            "share_degraded": round(mean(each.degraded for each in served), 3),
        }


def run(products: Sequence[Product], settings: Settings, repeats: int = 3) -> dict[str, Any]:
    """`{"bench": "chat", "ratios": …, "raw": …}`; `settings` name the home, which is filled, and the engine.

    Raises LoadFailed where the engine does not come up.
    """
    with closing(open_store(settings)) as store:
        store.put_products(products)
    build_index(settings)
    asked = iter(_worded_requests(products, settings, 2 * repeats * (EACH_ALONE + EACH_CROWD + 2 * WARM_UP) + CROWD))
    alone, crowd = Turns(1), Turns(CROWD)
    environment = {f"TASTELINE_{name.upper()}": str(value) for name, value in _engine(settings).items()}
    with service(settings, **environment) as (port, _):
        asyncio.run(_warm(port, [next(asked) for _ in range(CROWD)]))
        before = _prefix_cache(settings)
        for turns, each in ((alone, EACH_ALONE), (crowd, EACH_CROWD)):
            for _ in range(repeats):
                turns.bare.append(_bare([next(asked) for _ in range(each + WARM_UP)], turns.clients, settings))
                turns.ours.append(_ours(port, [next(asked) for _ in range(each)], turns.clients))
        after = _prefix_cache(settings)
    return {
        "bench": "chat",
        "ratios": {
            "chat_first_token": alone.ratio("first_ms"),
            "chat_complete": alone.ratio("complete_ms"),
            f"chat_first_token_{CROWD}": crowd.ratio("first_ms"),
            f"chat_complete_{CROWD}": crowd.ratio("complete_ms"),
        },
        "raw": {
            "engine": settings.language_model,
            "model": settings.language_model_name,
            "threads": settings.language_model_threads,
            "wording_seconds": settings.wording_seconds,
            "repeats": repeats,
            "machine": platform.machine(),
            "cores": psutil.cpu_count(),
            "prefix_cache_hit_rate": _hit_rate(before, after),
            "alone": alone.report(),
            "crowd": crowd.report(),
        },
    }


def _p50(timed: Sequence[Timed], what: Literal["first_ms", "complete_ms"]) -> float:
    return median(each.first_ms if what == "first_ms" else each.complete_ms for each in timed)


def _engine(settings: Settings) -> dict[str, object]:
    names = ("language_model", "language_model_name", "language_model_url", "language_model_threads", "wording_seconds")
    return {name: getattr(settings, name) for name in names}


def _worded_requests(products: Sequence[Product], settings: Settings, count: int) -> list[Asked]:
    """Distinct requests whose answers a model is asked to word, with the prompts that come of them."""
    found: list[Asked] = []
    with closing(open_shop(settings.model_copy(update={"language_model": "none"}))) as shop:

        async def collect() -> None:
            for number, text in enumerate(distinct_queries(products)):
                facts = (await shop.assistant.answer(ChatTurn(text, f"bench-{number}"))).facts
                if facts.kind in WORDED and facts.products:
                    found.append(Asked(text, render_wording(facts, settings.worded_products)))
                if len(found) == count:
                    return

        asyncio.run(collect())
    if len(found) < count:
        raise LoadFailed(f"only {len(found)} of {count} requests find products here; give a larger feed")
    random.Random(0).shuffle(found)
    return found


def _bare(asked: Sequence[Asked], clients: int, settings: Settings) -> list[Timed]:
    task = Task(
        prompts=[each.messages for each in asked],
        warm_up=WARM_UP,
        clients=clients,
        max_tokens=asked[0].prompt.max_tokens,
        threads=settings.language_model_threads,
        **_where(settings),
    )
    done = subprocess.run(
        [sys.executable, "-m", "eval.bench.bare_engine"],
        input=json.dumps(asdict(task)),
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    if done.returncode != 0:
        raise LoadFailed((done.stderr.strip().splitlines() or ["the bare engine died"])[-1])
    return [Timed(**each) for each in json.loads(done.stdout)]


def _where(settings: Settings) -> dict[str, str]:
    """The server and its model, or the folder of the converted graph that the service has made by now."""
    if settings.language_model == "openai":
        listed = httpx.get(f"{settings.language_model_url}/models").json()["data"]
        name = settings.language_model_name
        return {"url": settings.language_model_url, "model": listed[0]["id"] if name == "embedded" else name}
    if settings.language_model != "openvino":
        raise LoadFailed(f"bench chat compares openvino and openai engines, not {settings.language_model}")
    if Path(settings.language_model_name).is_dir():
        return {"folder": settings.language_model_name}
    graphs = sorted(
        (settings.home / "models").glob("*/openvino_detokenizer.xml"), key=lambda path: path.stat().st_mtime
    )
    if not graphs:
        raise LoadFailed(f"no converted language model in {settings.home / 'models'}")
    return {"folder": str(graphs[-1].parent)}


def _ours(port: int, asked: Sequence[Asked], clients: int) -> list[Served]:
    async def crowd() -> list[Served]:
        waiting, done = list(asked), []
        async with httpx.AsyncClient(timeout=60) as client:

            async def one_client() -> None:
                while waiting:
                    done.append(await _talk(client, port, waiting.pop(0).text))

            await asyncio.gather(*(one_client() for _ in range(clients)))
        return done

    return asyncio.run(crowd())


async def _talk(client: httpx.AsyncClient, port: int, text: str) -> Served:
    body = {"model": "tasteline", "stream": True, "messages": [{"role": "user", "content": text}]}
    sent, first, line, reply = perf_counter(), None, None, ""
    last: dict[str, Any] = {}
    async with client.stream("POST", f"http://127.0.0.1:{port}/v1/chat/completions", json=body) as response:
        if response.status_code != 200:
            raise LoadFailed(f"the service answered {response.status_code}")
        async for data in response.aiter_lines():
            if not data.startswith("data: {"):
                continue
            last = json.loads(data[6:])
            words = last["choices"][0]["delta"].get("content") if last["choices"] else None
            if words:
                reply += words
                first = first or perf_counter()
                line = line or (perf_counter() if "\n" in reply else None)
    details = last["tasteline"]
    complete = perf_counter()
    worded = details["engine"] != "templates" and line is not None
    return Served(
        Timed(1000 * ((first or complete) - sent), 1000 * (complete - sent)),
        1000 * (line - sent) if worded and line else None,
        "wording" in details["degraded"],
    )


async def _warm(port: int, asked: Sequence[Asked]) -> None:
    """Until the model has spoken: its weights are loaded beside the first answers."""
    until = perf_counter() + WARM_SECONDS
    async with httpx.AsyncClient(timeout=60) as client:
        while perf_counter() < until:
            served = await asyncio.gather(*(_talk(client, port, each.text) for each in asked))
            if any(each.model_line_ms is not None for each in served):
                return
            await asyncio.sleep(0.5)
    raise LoadFailed("the language model of the service did not say a word")


def _prefix_cache(settings: Settings) -> tuple[float, float] | None:
    """(tokens found in the prefix cache, tokens looked up) as vLLM counts them; None for other engines."""
    if settings.language_model != "openai":
        return None
    text = httpx.get(settings.language_model_url.removesuffix("/v1") + "/metrics").text
    counted = {
        name: sum(float(line.rsplit(" ", 1)[1]) for line in text.splitlines() if line.startswith(f"vllm:{name}"))
        for name in ("prefix_cache_hits_total", "prefix_cache_queries_total")
    }
    return counted["prefix_cache_hits_total"], counted["prefix_cache_queries_total"]


def _hit_rate(before: tuple[float, float] | None, after: tuple[float, float] | None) -> float | None:
    if before is None or after is None or after[1] == before[1]:
        return None
    return round((after[0] - before[0]) / (after[1] - before[1]), 3)
