"""Models exchanged in a loaded service: requests that fail, the longest stall, and what memory is left of it.

Takes products, a home and a kind of model; gives ratios and raw figures of one run. Two models of that kind, made of
the published encoder with noise on its weights (how good they are is not the question), are promoted in turns while
clients search without a pause. The service is a process of its own, as in production, and learns of each promotion from
the registry's files. Before that, the same clients have the service for themselves.
"""

from __future__ import annotations

import secrets
import shutil
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import cycle
from pathlib import Path
from statistics import median

import httpx
import numpy as np
import psutil

import tasteline
from app.engines import open_store
from app.indexing import build_index
from eval.bench.load import HOST, LoadFailed
from eval.bench.search import distinct_queries
from eval.bench.servers import service
from retrieval.adapters.weights import encoder_path
from retrieval.model_card import ModelCard, ModelKind, TrainingData, new_id
from retrieval.registry import Entry, Registry
from tasteline.errors import InvalidInput
from tasteline.settings import Settings
from tasteline.types import Product

CLIENTS = 4
QUIET_SECONDS = 10.0
PATIENCE_SECONDS = 600.0
"""For one exchange: a large catalogue is embedded anew."""
NOISE = 0.02
"""Of each matrix's own spread."""


@dataclass(slots=True)
class Heard:
    """What the clients got, in milliseconds by the time of asking."""

    answers: list[tuple[float, float]] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    degraded: int = 0

    def between(self, start: float, end: float) -> list[float]:
        return [took for asked, took in self.answers if start <= asked < end]


def run(
    products: Sequence[Product], home: Path, kind: ModelKind, exchanges: int = 10, clients: int = CLIENTS
) -> dict[str, object]:
    """`home` is emptied but for converted models and embeddings. Raises LoadFailed where an exchange does not happen,
    InvalidInput for a kind that is not made here.
    """
    if kind not in _MAKERS:
        raise InvalidInput(f"{kind} models are not exchanged here; there are {', '.join(_MAKERS)}", field="kind")
    settings = _shop(products, home)
    registry = Registry(home)
    entries = [_registered(registry, kind, number) for number in range(2)]
    queries = distinct_queries(products)
    heard = Heard()
    with service(settings, TASTELINE_LANGUAGE_MODEL="none") as (port, process):
        url = f"http://{HOST}:{port}"
        for entry in entries:  # each is converted, and embeds the catalogue, once
            _exchange(registry, entry, url)
        with _asking(url, queries, clients, heard):
            quiet = time.monotonic()
            time.sleep(QUIET_SECONDS)
            before, begun = _memory_mb(process), time.monotonic()
            seconds = [_exchange(registry, entries[number % 2], url) for number in range(exchanges)]
            ended, after = time.monotonic(), _memory_mb(process)
    alone, during = heard.between(quiet, begun), heard.between(begun, ended)
    if not alone or not during:
        raise LoadFailed("no search was answered")
    return {
        "bench": "swap",
        "ratios": {"search_p50_during_exchange": round(median(alone) / median(during), 3)},
        "raw": {
            "kind": kind,
            "products": len(products),
            "clients": clients,
            "exchanges": exchanges,
            "requests": len(during),
            "failed": len(heard.failed),
            "degraded": heard.degraded,
            "first_failures": heard.failed[:3],
            "seconds_an_exchange": [round(each, 2) for each in seconds],
            "longest_stall_ms": round(max(during), 1),
            "longest_without_exchange_ms": round(max(alone), 1),
            "p50_ms": round(median(during), 1),
            "p50_without_exchange_ms": round(median(alone), 1),
            "p99_ms": round(float(np.percentile(during, 99)), 1),
            "p99_without_exchange_ms": round(float(np.percentile(alone, 99)), 1),
            "memory_before_mb": before,
            "memory_after_mb": after,
        },
    }


def _shop(products: Sequence[Product], home: Path) -> Settings:
    for path in (*home.glob("tasteline.db*"), home / "index", home / "models" / "registry"):
        shutil.rmtree(path, ignore_errors=True) if path.is_dir() else path.unlink(missing_ok=True)
    settings = Settings(home=home, language_model="none", _env_file=None)  # type: ignore[call-arg]
    with closing(open_store(settings)) as store:
        store.put_products(products)
    build_index(settings)
    return settings


def _registered(registry: Registry, kind: ModelKind, seed: int) -> Entry:
    created = datetime.now(UTC)
    card = ModelCard(
        id=new_id(created, secrets.token_hex(3)),
        kind=kind,
        created=created,
        data=TrainingData("noise", "none", users=0, items=0, events=0),
        settings={"noise": NOISE},
        metrics={},
        system="noise",
        main_metric="none",
        split="none",
        seconds=0.0,
        seed=seed,
        machine={},
        version=tasteline.__version__,
        base="all-MiniLM-L6-v2",
    )
    make = _MAKERS[kind]
    return registry.register(card, lambda folder: make(folder / "merged", seed))


def _noisy_encoder(folder: Path, seed: int) -> None:
    from safetensors.numpy import load_file, save_file

    shutil.copytree(encoder_path("embedded"), folder)
    random = np.random.default_rng(seed)
    weights = load_file(folder / "model.safetensors")
    for name, values in weights.items():
        if values.ndim > 1 and values.dtype == np.float32:
            noise = random.normal(scale=NOISE * values.std(), size=values.shape)
            weights[name] = (values + noise).astype(np.float32)
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})


def _noisy_reranker(folder: Path, seed: int) -> None:
    import torch
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    torch.manual_seed(seed)
    model = AutoModelForSequenceClassification.from_pretrained(encoder_path("embedded"), num_labels=1)
    torch.nn.init.normal_(model.classifier.weight, std=0.2)  # the head is new: without spread it would be refused
    model.save_pretrained(folder)
    AutoTokenizer.from_pretrained(encoder_path("embedded")).save_pretrained(folder)


_MAKERS: Mapping[ModelKind, Callable[[Path, int], None]] = {"encoder": _noisy_encoder, "reranker": _noisy_reranker}


def _exchange(registry: Registry, entry: Entry, url: str) -> float:
    """Seconds from the promotion until the service uses it."""
    begun = time.monotonic()
    registry.promote(entry.id, force=True)  # nobody measured it
    while time.monotonic() - begun < PATIENCE_SECONDS:
        ready = httpx.get(f"{url}/health/ready", timeout=60).json()
        if ready["models"].get(entry.card.kind) == entry.id:
            return time.monotonic() - begun
        if problems := [reason for reason in ready["reasons"] if "cannot be used" in reason]:
            raise LoadFailed(problems[0])
        time.sleep(0.05)
    raise LoadFailed(f"{entry.id} was not taken up within {PATIENCE_SECONDS:g} s")


@contextmanager
def _asking(url: str, queries: Sequence[str], clients: int, heard: Heard) -> Iterator[None]:
    stop = threading.Event()
    threads = [
        threading.Thread(target=_client, args=(url, [*queries[number:], *queries[:number]], heard, stop))
        for number in range(0, clients * 7, 7)
    ]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stop.set()
        for thread in threads:
            thread.join()


def _client(url: str, queries: Sequence[str], heard: Heard, stop: threading.Event) -> None:
    with httpx.Client(timeout=60) as client:
        for query in cycle(queries):
            if stop.is_set():
                return
            asked = time.monotonic()
            try:
                answer = client.post(f"{url}/v1/search", json={"query": query, "limit": 10})
                answer.raise_for_status()
            except httpx.HTTPError as error:
                heard.failed.append(f"{type(error).__name__}: {error}")
                continue
            heard.answers.append((asked, 1_000 * (time.monotonic() - asked)))
            heard.degraded += bool(answer.json()["degraded"])


def _memory_mb(process: psutil.Process) -> float:
    """Of the service and what it started: its own pages alone, not those of files that it maps."""
    every = [process, *process.children(recursive=True)]
    return round(sum(int(each.memory_full_info().uss) for each in every) / 2**20, 1)
