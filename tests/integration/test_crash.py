"""The real server is killed with -9 under load, again and again: nothing acknowledged is lost, the index agrees."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from random import Random

import httpx
import pytest

from retrieval.adapters.store_sql import SqlStore

KILLS = 20
WRITERS = 4


class KilledServer:
    """`tasteline serve` in a process of its own, on one home."""

    def __init__(self, home: Path) -> None:
        environment = os.environ | {
            "TASTELINE_HOME": str(home),
            "TASTELINE_EMBEDDER": "hashing",
            "TASTELINE_LANGUAGE_MODEL": "none",
            "TASTELINE_PORT": "0",
        }
        command = [sys.executable, "-m", "tasteline.cli", "serve"]
        self.process = subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True)
        assert self.process.stderr is not None
        self.url = next(line for line in self.process.stderr if "opens at" in line).split()[-1].rstrip("/")
        threading.Thread(target=self._drain, daemon=True).start()
        self._await_ready()

    def _drain(self) -> None:
        """The pipe must be emptied, or the server stops at a full one."""
        assert self.process.stderr is not None
        with self.process.stderr as pipe:
            for _ in pipe:
                pass

    def _await_ready(self) -> None:
        for _ in range(600):
            try:
                if httpx.get(f"{self.url}/health/ready").status_code == 200:
                    return
            except httpx.HTTPError:
                pass
            time.sleep(0.05)
        raise AssertionError("the server did not come back after a kill")

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()


def load(url: str, life: int, writer: int, events: set[str], products: set[str]) -> None:
    """Writes until the server dies; remembers only what it acknowledged."""
    with httpx.Client(base_url=url, timeout=10) as client:
        step = 0
        while True:
            step += 1
            name = f"{life}-{writer}-{step}"
            try:
                if step % 5 == 0:
                    answer = client.put(
                        "/v1/products", json=[{"id": f"p{name}", "title": f"Lantern x{life}w{writer}s{step}"}]
                    )
                    if answer.status_code == 200:
                        products.add(f"p{name}")
                else:
                    event = {"event_id": name, "event": "view_item", "user_id": f"u{writer}", "product_id": "any"}
                    if client.post("/v1/events", json=event).status_code == 200:
                        events.add(name)
            except httpx.HTTPError:
                return


def under_load(server: KilledServer, life: int, then: Callable[[], None], events: set[str], products: set[str]) -> None:
    writers = [
        threading.Thread(target=load, args=(server.url, life, writer, events, products)) for writer in range(WRITERS)
    ]
    for thread in writers:
        thread.start()
    then()
    for thread in writers:
        thread.join()


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_nothing_acknowledged_is_lost(tmp_path: Path) -> None:
    home, random = tmp_path / "home", Random(5)
    events: set[str] = set()
    products: set[str] = set()
    for life in range(KILLS):
        server = KilledServer(home)

        def kill_soon(running: KilledServer = server) -> None:
            time.sleep(random.uniform(0.2, 1.2))
            running.kill()

        under_load(server, life, kill_soon, events, products)
    assert len(events) > KILLS
    assert len(products) > KILLS

    store = SqlStore(f"sqlite:///{home / 'tasteline.db'}")
    stored_events = {event.id for _, event in store.events()}
    stored_products = {change.product_id for change in store.changes(0) if change.product}
    revision = store.revision()
    store.close()
    assert events - stored_events == set()
    assert products - stored_products == set()

    server = KilledServer(home)
    try:
        ready = httpx.get(f"{server.url}/health/ready").json()
        assert (ready["products"], ready["revision"]) == (len(stored_products), revision)
        for product_id in random.sample(sorted(products), 20):
            title = httpx.get(f"{server.url}/v1/products/{product_id}").json()["title"]
            items = httpx.post(f"{server.url}/v1/search", json={"query": title}).json()["items"]
            assert items[0]["product"]["id"] == product_id
    finally:
        server.kill()
