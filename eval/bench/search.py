"""Search speed over HTTP: our whole service beside the search endpoint that one writes first (`plain_service`).

Takes products, gives ratios from one run. Both run as servers of their own processes over the same products with the
same embedding weights; a load generator in a third process (`load`) sends both the same distinct queries made out of
the catalogue (`known_item`), first from one client, then from 32. Both are up all the time, one is loaded at a time,
turn by turn so that a busy machine slows both, and a ratio is the median over the turns. Ours does more for a request
(words and meaning, limits read out of the text and kept, reasons, totals); nothing of that is switched off.
"""

from __future__ import annotations

import json
import platform
import random
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any
from urllib.parse import quote

import numpy as np
import psutil

from app.engines import open_embedder, open_store
from app.indexing import build_index, open_live
from app.schemas import ProductModel
from eval.bench.load import Load, get, load, post_json
from eval.bench.servers import server, service
from eval.known_item import known_item_queries
from retrieval.adapters.weights import encoder_path
from tasteline.settings import Settings
from tasteline.types import Product

CLIENTS = 32
LIMIT = 10
QUERIES_EACH = 150
"""Of each of the six forms: several hundred distinct queries."""
WARM_UP_SECONDS = 1.5
"""With one client and again with many, before anything counts: first calls compile and allocate."""


def run(products: Sequence[Product], home: Path, seconds: float = 4.0, repeats: int = 5) -> dict[str, Any]:
    """`{"bench": "search", "ratios": …, "raw": …}`; a ratio above 1 means that ours is faster.

    `home` is filled with our index of `products` and their embeddings and can be given again; each turn loads each
    server for `seconds` with one client and for `seconds` with 32. Raises LoadFailed where a server does not start or
    answers with an error.
    """
    settings = Settings(home=home)
    queries = distinct_queries(products)
    vectors = _indexed(products, settings)
    _write_for_plain_service(products, vectors, home / "plain")
    with _tasteline(settings) as ours, _plain_service(settings, home / "plain") as theirs:
        ours.requests = [post_json("/v1/search", {"query": query, "limit": LIMIT}) for query in queries]
        theirs.requests = [get(f"/search?q={quote(query)}&limit={LIMIT}") for query in queries]
        # All turns alone come first: a crowd leaves the plain service with a thread pool that slows it for good.
        _take_turns([theirs, ours], 1, seconds, repeats)
        _take_turns([theirs, ours], CLIENTS, seconds, repeats)
        return {"bench": "search", "ratios": _ratios(ours, theirs), "raw": _raw(products, queries, ours, theirs)}


def distinct_queries(products: Sequence[Product], seed: int = 0) -> list[str]:
    """Requests as shoppers would type them, all different, in an order without a pattern."""
    queries = list(dict.fromkeys(query.text for query in known_item_queries(products, QUERIES_EACH, seed)))
    random.Random(seed).shuffle(queries)
    return queries


@dataclass(slots=True)
class Contender:
    """A server under measurement: where it listens, what it is asked, and what its turns gave."""

    name: str
    port: int
    process: psutil.Process
    requests: list[bytes] = field(default_factory=list)
    alone: list[Load] = field(default_factory=list)
    crowd: list[Load] = field(default_factory=list)
    cpu_ms: list[float] = field(default_factory=list)
    """CPU time of the server for each request of a turn with many clients."""
    _sent: int = 0

    def warm_up(self, clients: int) -> None:
        self._load(clients, WARM_UP_SECONDS)

    def alone_for(self, seconds: float) -> None:
        self.alone.append(self._load(1, seconds))

    def crowded_for(self, seconds: float) -> None:
        before = _cpu_seconds(self.process)
        crowd = self._load(CLIENTS, seconds)
        self.cpu_ms.append(1000 * (_cpu_seconds(self.process) - before) / crowd.requests)
        self.crowd.append(crowd)

    def _load(self, clients: int, seconds: float) -> Load:
        done = load(self.port, self.requests, clients, seconds, first=self._sent)
        self._sent += done.requests  # the next phase goes on in the list instead of asking the same again
        return done

    def report(self) -> dict[str, Any]:
        return {
            "p50_ms": [round(each.p50_ms, 2) for each in self.alone],
            "p95_ms": [round(each.p95_ms, 2) for each in self.alone],
            f"requests_per_second_{CLIENTS}": [round(each.per_second, 1) for each in self.crowd],
            f"p50_ms_{CLIENTS}": [round(each.p50_ms, 1) for each in self.crowd],
            f"p95_ms_{CLIENTS}": [round(each.p95_ms, 1) for each in self.crowd],
            f"cpu_ms_per_request_{CLIENTS}": [round(each, 2) for each in self.cpu_ms],
            "load_generator_cpu_ms_per_request": [
                round(1000 * each.generator_cpu_seconds / each.requests, 3) for each in self.crowd
            ],
            "mean_answer_bytes": round(median(each.mean_bytes for each in self.crowd)),
            "memory_mb": round(self.process.memory_info().rss / 2**20),
        }


def _take_turns(contenders: Sequence[Contender], clients: int, seconds: float, repeats: int) -> None:
    """Warm both up, then load one after the other, the one that went last going first in the next turn."""
    for contender in contenders:
        contender.warm_up(clients)
    for turn in range(repeats):
        for contender in contenders if turn % 2 == 0 else reversed(contenders):
            if clients == 1:
                contender.alone_for(seconds)
            else:
                contender.crowded_for(seconds)


def _ratios(ours: Contender, theirs: Contender) -> dict[str, float]:
    alone = zip(ours.alone, theirs.alone, strict=True)
    crowd = zip(ours.crowd, theirs.crowd, strict=True)
    return {
        "search_p50": median(their.p50_ms / our.p50_ms for our, their in alone),
        f"search_throughput_{CLIENTS}": median(our.per_second / their.per_second for our, their in crowd),
    }


def _raw(products: Sequence[Product], queries: Sequence[str], ours: Contender, theirs: Contender) -> dict[str, Any]:
    return {
        "products": len(products),
        "distinct_queries": len(queries),
        "clients": CLIENTS,
        "repeats": len(ours.alone),
        "machine": platform.machine(),
        "cores": psutil.cpu_count(),
        ours.name: ours.report(),
        theirs.name: theirs.report(),
    }


def _indexed(products: Sequence[Product], settings: Settings) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    """Bring our home up to `products`, no more and no less; their vectors, in order."""
    wanted = {product.id for product in products}
    with closing(open_store(settings)) as store:
        gone = [c.product_id for c in store.changes(0) if c.product is not None and c.product_id not in wanted]
        store.delete_products(gone)
        store.put_products(products)
    build_index(settings)
    with closing(open_store(settings)) as store:
        live = open_live(settings, store, open_embedder(settings))
        with live.read() as indexes:
            return indexes.vectors.vectors(indexes.catalogue.rows(product.id for product in products))


def _write_for_plain_service(
    products: Sequence[Product], vectors: np.ndarray[tuple[int, ...], np.dtype[np.float32]], folder: Path
) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "products.json").write_text(json.dumps([ProductModel.of(product).model_dump() for product in products]))
    np.save(folder / "vectors.npy", vectors)


@contextmanager
def _tasteline(settings: Settings) -> Iterator[Contender]:
    with service(settings) as (port, process):
        yield Contender("tasteline", port, process)


@contextmanager
def _plain_service(settings: Settings, folder: Path) -> Iterator[Contender]:
    environment = {"PLAIN_FOLDER": str(folder.resolve()), "PLAIN_MODEL": encoder_path(settings.embedder_model)}
    command = ["-m", "uvicorn", "eval.bench.plain_service:app", "--port", "{port}"]
    with server("plain_service", command, environment, "/search?q=start", folder) as (port, process):
        yield Contender("plain_service", port, process)


def _cpu_seconds(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)
