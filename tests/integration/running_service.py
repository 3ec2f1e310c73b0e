"""The service on a real socket, in a thread of this process, with the language model that a test wants."""

import re
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable
from functools import cached_property
from types import TracebackType

import httpx
import uvicorn

from app import bootstrap
from app.admission import Admission
from app.main import create_app
from app.shop import Shop
from tasteline.ports import LanguageModel
from tasteline.settings import Settings


def until(condition: Callable[[], object], seconds: float = 10.0) -> None:
    """Returns as soon as `condition` holds; fails when it does not within `seconds`."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not come about"
        time.sleep(0.005)


class RunningService:
    def __init__(self, settings: Settings, language_model: LanguageModel | None = None) -> None:
        def open_shop(chosen: Settings) -> Shop:
            return bootstrap.open_shop(chosen, language_model=language_model)

        self._listener = socket.socket()
        self._listener.bind(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        # With the settings' own engine all metrics are in one registry, those of the requests too.
        self.app = create_app(settings, open_shop if language_model is not None else None)
        self._server = uvicorn.Server(uvicorn.Config(self.app, log_config=None))
        self._thread = threading.Thread(target=self._server.run, kwargs={"sockets": [self._listener]})

    def __enter__(self) -> "RunningService":
        self._thread.start()
        until(lambda: self._server.started or not self._thread.is_alive(), 60)
        assert self._server.started
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._client.close()
        self._server.should_exit = True
        self._thread.join()
        self._listener.close()

    @cached_property
    def _client(self) -> httpx.Client:
        return httpx.Client(timeout=30)

    @property
    def shop(self) -> Shop:
        shop: Shop = self.app.state.shop
        return shop

    @property
    def chats(self) -> Admission:
        chats: Admission = self.app.state.chats
        return chats

    def counts(self, metric: str, label: str) -> Counter[str]:
        """The samples of `/metrics`, as a scraper reads them, by the value of one label."""
        counted: Counter[str] = Counter()
        for line in self._client.get(f"{self.url}/metrics").text.splitlines():
            sample, _, value = line.rpartition(" ")
            name, _, labels = sample.partition("{")
            if name == metric and (found := re.search(rf'\b{label}="([^"]*)"', labels)):
                counted[found.group(1)] += int(float(value))
        return counted
