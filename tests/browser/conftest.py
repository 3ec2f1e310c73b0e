"""The real demo shop and a real Chromium, for the tests of the page.

Gives `shop_url` (a server of its own, on a free port, over an empty home) and `visit`, which opens a page in a fresh
browser context. After each test it is checked that no request left the shop and that the console stayed free of errors.
With TASTELINE_TEST_URL set, the tests go to the server that already runs there.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, Request, expect, sync_playwright

CHROMIUM = ("chromium", "chromium-browser", "google-chrome")
QUIET = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]
START_SECONDS = 420
"""The first start embeds two thousand products, on a loaded machine."""

expect.set_options(timeout=15_000)


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def wait_until_ready(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    """Raises with the end of the server's log when it stops or is late."""
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            if httpx.get(f"{url}/health/ready", timeout=2).is_success:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.5)
    raise RuntimeError(f"the demo shop did not get ready:\n{log.read_text(errors='replace')[-2000:]}")


@pytest.fixture(scope="session")
def shop_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    running = os.environ.get("TASTELINE_TEST_URL")
    if running:
        yield running.rstrip("/")
        return
    home = tmp_path_factory.mktemp("shop")
    log = home / "server.log"
    port = free_port()
    command = [
        sys.executable,
        "-c",
        "from tasteline.cli import main; main()",
        "demo",
        "--port",
        str(port),
        "--no-browser",
    ]
    environment = {**os.environ, "TASTELINE_HOME": str(home / "var")}
    with log.open("wb") as output:
        process = subprocess.Popen(command, env=environment, stdout=output, stderr=subprocess.STDOUT)
    try:
        url = f"http://127.0.0.1:{port}"
        wait_until_ready(url, process, log)
        yield url
    finally:
        process.terminate()
        process.wait(timeout=30)


@pytest.fixture(scope="module")  # Playwright keeps an event loop running: it must be gone before other tests run theirs
def browser() -> Iterator[Browser]:
    path = next(filter(None, map(shutil.which, CHROMIUM)), None)
    if path is None:
        pytest.skip("Chromium is not installed: `apt-get install chromium` (or Google Chrome) lets these tests run.")
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=path, args=QUIET)
        yield chromium
        chromium.close()


@dataclass
class Watch:
    """What a page did: the addresses it asked for, the events it sent, and what it complained about."""

    origin: str
    addresses: list[str] = field(default_factory=list)
    events: list[dict[str, Any]] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)

    def follow(self, page: Page) -> None:
        page.on("request", self._note_request)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("console", self._note_console)

    def _note_request(self, request: Request) -> None:
        self.addresses.append(request.url)
        if request.url.endswith("/v1/events"):
            self.events.append(request.post_data_json or {})

    def _note_console(self, said: ConsoleMessage) -> None:
        if said.type == "error":
            self.complaints.append(said.text)

    @property
    def strangers(self) -> list[str]:
        return [
            address for address in self.addresses if urlsplit(address).netloc != self.origin and address[:5] != "data:"
        ]


@pytest.fixture
def watch(shop_url: str) -> Watch:
    return Watch(urlsplit(shop_url).netloc)


Visit = Callable[..., Page]


@pytest.fixture
def visit(browser: Browser, shop_url: str, watch: Watch) -> Iterator[Visit]:
    """`visit("#person=…", width=390)` opens the page and waits until the first products are there."""
    contexts = []

    def opened(
        hash_: str = "", *, width: int = 1440, height: int = 900, scheme: str = "light", wait: bool = True
    ) -> Page:
        context = browser.new_context(
            viewport={"width": width, "height": height},
            color_scheme="dark" if scheme == "dark" else "light",
            reduced_motion="reduce",
            locale="en-US",
        )
        contexts.append(context)
        page = context.new_page()
        watch.follow(page)
        page.goto(f"{shop_url}/{hash_}")
        if wait:
            page.wait_for_selector("#view .card:not(.skeleton), #view .nothing")
        return page

    yield opened
    for context in contexts:
        context.close()
    assert not watch.strangers, f"requests left the shop: {watch.strangers}"
    assert not watch.complaints, f"the console complained: {watch.complaints}"


@pytest.fixture(scope="session")
def person(shop_url: str) -> dict[str, str]:
    """The first featured person of the demo."""
    people: list[dict[str, str]] = httpx.get(f"{shop_url}/v1/shop").json()["people"]
    return people[0]
