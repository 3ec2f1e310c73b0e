"""Whatever the language model's server does, each shopper gets a true answer inside the deadline, and is told.

A real service, a real socket between it and an engine that breaks on demand.
"""

import asyncio
import json
import re
import threading
import time
from collections import Counter as Counts
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from random import Random

import httpx
import pytest

from app import indexing
from app.llm import asking
from app.llm.openai_protocol import OpenAiLanguageModel
from app.llm.scripted import ScriptedLanguageModel
from retrieval import live
from tasteline.ports import LanguageModel
from tasteline.settings import Settings
from tests.integration.broken_engine import SPOKEN, BrokenEngine, Mode
from tests.integration.conftest import PRODUCTS
from tests.integration.running_service import RunningService, until

DEADLINE = 2.0
PATIENCE = 0.4
OVERHEAD = 1.0
"""Of a crowded test machine, beyond the deadline."""
TITLES = {str(product["id"]): str(product["title"]) for product in PRODUCTS}
PRICES = {str(product["id"]): product["price"]["amount"] for product in PRODUCTS}  # type: ignore[index]
LIES = (
    "The Family Tent 4-Person is only $19.99.",
    "Here is the Family Tent 4-Person for $259.00 with free shipping.",
    "Here is the Everest Palace Tent for $259.00.",
    "Here is the Family Tent 4-Person for 259 euros, the best tent of all.",
    "<b>Family Tent 4-Person</b> <script>alert(1)</script>",
    '```json\n{"price": 1}\n```',
    "See https://evil.example/tent for the Family Tent 4-Person.",
    "As a language model I cannot help with that.",
    "Ignore the facts. You get a 90% discount with the code SAVE90.",
    "Family Tent " * 200,
    "x" * 50_000,
    "\u202eFamily\u200b Tent 4-Person costs nothing\u0000",
    "帐篷只要十九元。",
    "",
    " \n ",
)
FALSE = re.compile(
    r"19\.99|free|shipping|Everest|euros|best|<|`|evil|language model|discount|SAVE90|xxxx|\u202e|\u200b|\x00|帐|"
    r"Bad Gateway|weather|out of memory|(Family Tent ){2}",
    re.IGNORECASE,
)
"""What no reply of these tests may hold."""


@pytest.fixture
def quick(settings: Settings) -> Settings:
    return settings.model_copy(update={"deadline_seconds": DEADLINE, "wording_seconds": PATIENCE})


@pytest.fixture
def engine() -> Iterator[BrokenEngine]:
    with BrokenEngine() as started:
        yield started


Serve = Callable[..., RunningService]


@contextmanager
def served(settings: Settings, engine: BrokenEngine, model: LanguageModel | None = None) -> Iterator[RunningService]:
    """The small shop with the engine behind it, and the engine found."""
    chosen = model or OpenAiLanguageModel(engine.url)
    with RunningService(settings, chosen) as service:
        httpx.put(f"{service.url}/v1/products", json=PRODUCTS).raise_for_status()
        until(lambda: chosen.ready)
        yield service


@pytest.fixture
def serve(engine: BrokenEngine) -> Iterator[Serve]:
    with ExitStack() as stack:
        yield lambda settings, model=None: stack.enter_context(served(settings, engine, model))


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[RunningService, BrokenEngine]]:
    """One service and its engine for many tests: a start takes longer than most of them."""
    settings = Settings(
        home=tmp_path_factory.mktemp("shared") / "home",
        embedder="hashing",
        language_model="none",
        deadline_seconds=DEADLINE,
        wording_seconds=PATIENCE,
        _env_file=None,  # type: ignore[call-arg]
    )
    with BrokenEngine() as engine, served(settings, engine) as service:
        ask(service)  # the first opens the client
        yield service, engine


@pytest.fixture
def shared(
    pair: tuple[RunningService, BrokenEngine], monkeypatch: pytest.MonkeyPatch
) -> tuple[RunningService, BrokenEngine]:
    """The pair as good as new: no rest after the failures of the test before."""
    service, engine = pair
    monkeypatch.setattr(asking, "REST_SECONDS", 0.0)
    engine.mode, engine.reply = Mode.WELL, SPOKEN
    model = service.shop.language_model
    assert model is not None
    until(lambda: model.ready)
    return pair


@dataclass(slots=True)
class Said:
    """One reply, streamed or whole."""

    status: int
    seconds: float
    text: str = ""
    details: dict[str, object] = field(default_factory=dict)
    headers: httpx.Headers = field(default_factory=httpx.Headers)
    began: float = 0.0
    ended: float = 0.0

    @property
    def products(self) -> list[dict[str, object]]:
        return [item["product"] for item in self.details["products"]]  # type: ignore[attr-defined]

    @property
    def degraded(self) -> list[str]:
        return [str(name) for name in self.details["degraded"]]  # type: ignore[attr-defined]


def body(text: str, stream: bool) -> dict[str, object]:
    return {"messages": [{"role": "user", "content": text}], "stream": stream}


def ask(service: RunningService, text: str = "tent", *, stream: bool = True) -> Said:
    return asyncio.run(ask_with(service.url, text, stream=stream))


async def ask_with(url: str, text: str, *, stream: bool = True) -> Said:
    """With a connection of its own, as each shopper has one."""
    started = time.monotonic()
    async with (
        httpx.AsyncClient(timeout=60, verify=False) as client,
        client.stream("POST", f"{url}/v1/chat/completions", json=body(text, stream)) as response,
    ):
        lines = [line async for line in response.aiter_lines()]
    ended = time.monotonic()
    said = Said(response.status_code, ended - started, headers=response.headers, began=started, ended=ended)
    if response.status_code != 200:
        return said
    if not stream:
        completion = json.loads("".join(lines))
        said.text, said.details = completion["choices"][0]["message"]["content"], completion["tasteline"]
        return said
    data = [line.removeprefix("data: ") for line in lines if line.startswith("data: ")]
    assert data[-1] == "[DONE]"
    chunks = [json.loads(line) for line in data[:-1]]
    said.text = "".join(chunk["choices"][0]["delta"].get("content", "") for chunk in chunks)
    said.details = chunks[-1]["tasteline"]
    assert chunks[0]["tasteline"]["products"] == said.details["products"]
    return said


def assert_true(said: Said, deadline: float = DEADLINE) -> None:
    """In time, of real products at real prices, each named, and nothing else claimed."""
    assert said.status == 200
    assert said.seconds < deadline + OVERHEAD
    assert said.products
    for product in said.products:
        assert product["title"] == TITLES[str(product["id"])]
        assert product["price"] == {"amount": PRICES[str(product["id"])], "currency": "USD"}
        assert str(product["title"]) in said.text
    amounts = {round(100 * float(amount)) for amount in re.findall(r"\$(\d+\.\d\d)", said.text)}
    assert amounts <= {PRICES[str(product["id"])] for product in said.products}
    assert amounts
    assert not FALSE.search(said.text), said.text


FAILURES = {
    Mode.SILENT: "late",
    Mode.DRIP: "late",
    Mode.ERROR: "failed",
    Mode.FULL: "busy",
    Mode.UNKNOWN: "failed",
    Mode.GARBAGE: "failed",
    Mode.NOT_JSON: "failed",
    Mode.OTHER_JSON: "failed",
    Mode.PAGE: "failed",
    Mode.CUT: "failed",
    Mode.ENDED: "failed",
}


class Counter:
    """How many answers of the model were counted since it was made."""

    def __init__(self, service: RunningService) -> None:
        self._service = service
        self._before = self._outcomes()

    def __call__(self) -> dict[str, int]:
        return dict(self._outcomes() - self._before)

    def _outcomes(self) -> Counts[str]:
        return self._service.counts("tasteline_model_answers_total", "outcome")


Shared = tuple[RunningService, BrokenEngine]


@pytest.mark.parametrize("mode", FAILURES)
def test_an_engine_that_fails_costs_only_eloquence(shared: Shared, mode: Mode) -> None:
    service, engine = shared
    engine.mode, counter = mode, Counter(service)
    said = ask(service)
    assert_true(said)
    assert said.degraded == ["wording"]
    assert said.details["engine"] == "templates"
    assert counter() == {FAILURES[mode]: 1}
    whole = ask(service, stream=False)
    assert_true(whole)
    assert whole.degraded == ["wording"]
    until(lambda: engine.running == 0)


def test_a_good_engine_is_heard_through_the_same_socket(shared: Shared) -> None:
    service, _ = shared
    counter = Counter(service)
    said = ask(service)
    assert_true(said)
    assert SPOKEN in said.text
    assert (said.details["engine"], said.degraded) == ("broken-1b", [])
    assert counter() == {"ok": 1}


def test_no_lie_leaves(shared: Shared) -> None:
    service, engine = shared
    counter = Counter(service)
    for lie in LIES:
        engine.reply = lie
        said = ask(service)
        assert_true(said)
        assert said.details["engine"] == "templates", lie
    counted = counter()
    assert sum(counted.values()) == len(LIES)
    assert "ok" not in counted


def test_an_endless_reply_is_ended(shared: Shared) -> None:
    service, engine = shared
    engine.mode = Mode.ENDLESS
    assert_true(ask(service))
    until(lambda: engine.running == 0)


def test_killed_in_mid_answer_and_back_again(quick: Settings, engine: BrokenEngine, serve: Serve) -> None:
    service = serve(quick.model_copy(update={"wording_seconds": 1.5}))
    engine.mode = Mode.DRIP
    with ThreadPoolExecutor() as threads:
        asking = threads.submit(ask, service)
        until(lambda: engine.running == 1)
        engine.die()
        said = asking.result()
    assert_true(said)
    assert said.degraded == ["wording"]
    while_dead = ask(service)
    assert_true(while_dead)
    assert while_dead.degraded == ["wording"]
    assert while_dead.seconds < 1  # nobody waits for what is known to be gone


@pytest.mark.slow
def test_an_engine_that_came_back_is_used_again(quick: Settings, engine: BrokenEngine, serve: Serve) -> None:
    service = serve(quick)
    engine.die()
    assert_true(ask(service))
    engine.revive()
    until(lambda: SPOKEN in ask(service).text, 30)


def test_dead_from_the_start(quick: Settings, engine: BrokenEngine) -> None:
    engine.die()
    with RunningService(quick, OpenAiLanguageModel(engine.url)) as service:
        httpx.put(f"{service.url}/v1/products", json=PRODUCTS).raise_for_status()
        assert_true(ask(service))


@pytest.mark.parametrize("stream", [True, False])
def test_the_engine_stops_when_the_shopper_leaves(
    quick: Settings, engine: BrokenEngine, serve: Serve, stream: bool
) -> None:
    service = serve(quick.model_copy(update={"deadline_seconds": 60.0, "wording_seconds": 60.0}))
    engine.mode = Mode.SILENT

    async def leave_in_mid_answer() -> None:
        asking = asyncio.create_task(ask_with(service.url, "tent", stream=stream))
        while not engine.running:
            await asyncio.sleep(0.005)
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking

    asyncio.run(leave_in_mid_answer())
    until(lambda: engine.left == 1, 5)
    until(lambda: service.chats.taken == 0, 5)
    assert engine.running == 0


def crowd(service: RunningService, size: int, text: str = "tent") -> list[Said]:
    async def all_at_once() -> list[Said]:
        return await asyncio.gather(*(ask_with(service.url, text, stream=i % 4 != 3) for i in range(size)))

    return asyncio.run(all_at_once())


def test_beyond_the_bound_the_next_is_told_when_to_come_again(
    quick: Settings, engine: BrokenEngine, serve: Serve
) -> None:
    service = serve(quick.model_copy(update={"chats_at_once": 3, "wording_seconds": 1.0}))
    engine.mode = Mode.SILENT
    with ThreadPoolExecutor() as threads:
        first = [threads.submit(ask, service) for _ in range(3)]
        until(lambda: service.chats.taken == 3)
        refused = ask(service)
        other = httpx.post(f"{service.url}/v1/search", json={"query": "tent"})
        assert_true(first[0].result())
        assert_true(first[1].result())
    assert refused.status == 429
    assert refused.seconds < 0.9
    assert refused.headers["content-type"] == "application/problem+json"
    assert int(refused.headers["retry-after"]) >= 1
    assert other.status_code == 200
    until(lambda: service.chats.taken == 0)
    assert_true(ask(service))


def test_a_refused_or_wrong_request_gives_its_place_back(quick: Settings, serve: Serve) -> None:
    service = serve(quick.model_copy(update={"chats_at_once": 1}))
    wrongs: list[dict[str, object]] = [{}, {"messages": []}, {"messages": [{"role": "assistant", "content": "hm"}]}]
    for wrong in wrongs:
        assert httpx.post(f"{service.url}/v1/chat/completions", json=wrong).status_code == 422
    assert_true(ask(service))
    until(lambda: service.chats.taken == 0)  # the stream is over for the client a moment before it is for the service
    assert_true(ask(service, stream=False))


@pytest.mark.slow
@pytest.mark.parametrize("mode", [Mode.WELL, Mode.SILENT, Mode.DRIP, Mode.CUT, Mode.FULL])
def test_a_hundred_conversations_at_once(quick: Settings, engine: BrokenEngine, serve: Serve, mode: Mode) -> None:
    service = serve(quick.model_copy(update={"deadline_seconds": 8.0, "wording_seconds": 2.0}))
    engine.mode, engine.pause = mode, 0.05
    said = crowd(service, 100)
    for one in said:
        assert_true(one, 8.0)
    assert sum(service.counts("tasteline_model_answers_total", "outcome").values()) == 100
    until(lambda: engine.running == 0 and service.chats.taken == 0)


@pytest.mark.slow
def test_a_hundred_conversations_over_a_small_bound(quick: Settings, serve: Serve) -> None:
    service = serve(quick.model_copy(update={"chats_at_once": 8}), ScriptedLanguageModel([SPOKEN], delay=0.03))
    said = crowd(service, 100)
    answered = [one for one in said if one.status == 200]
    for one in answered:
        assert_true(one)
    assert len(answered) >= 8
    refused = [one for one in said if one.status != 200]
    assert {one.status for one in refused} == {429}
    assert all(int(one.headers["retry-after"]) >= 1 for one in refused)


@dataclass(slots=True)
class Life:
    """When a product may have been there: from before it was put until after it was deleted."""

    price: int
    born: float
    gone: float = float("inf")


class Churn:
    """Puts and deletes tents; knows when each one may be shown."""

    def __init__(self, service: RunningService, seed: int) -> None:
        self.lives: dict[str, list[Life]] = {}
        self.statuses: set[int] = set()
        self._url = service.url
        self._random = Random(seed)
        self._seed = seed
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> "Churn":
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: object) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        with httpx.Client(base_url=self._url, timeout=30) as client:
            while not self._stop.is_set():
                ids = [f"churn-{self._seed}-{n}" for n in self._random.sample(range(40), 10)]
                price = self._random.randrange(1_000, 90_000)
                for product in ids:
                    self.lives.setdefault(product, []).append(Life(price, time.monotonic()))
                self.statuses.add(client.put("/v1/products", json=[_tent(id_, price) for id_ in ids]).status_code)
                for product in ids:
                    self.statuses.add(client.delete(f"/v1/products/{product}").status_code)
                    self.lives[product][-1].gone = time.monotonic()

    def may_show(self, product: dict[str, object], said: Said) -> bool:
        price = product["price"]["amount"]  # type: ignore[index]
        return any(
            life.price == price and life.born <= said.ended and life.gone >= said.began
            for life in list(self.lives[str(product["id"])])
        )


def _tent(product_id: str, price: int) -> dict[str, object]:
    title = f"Tent {product_id}"
    return {"id": product_id, "title": title, "price": {"amount": price, "currency": "USD"}, "rating": 4.9}


def talk_while_it_changes(service: RunningService, settings: Settings, seconds: float) -> int:
    """Conversations beside products that come and go and snapshots that are swapped; how many there were."""
    said: list[Said] = []
    end = time.monotonic() + seconds
    with Churn(service, 1) as one, Churn(service, 2) as other:
        while time.monotonic() < end:
            with ThreadPoolExecutor() as threads:
                built = threads.submit(indexing.build_index, settings)
                said += crowd(service, 8)
                built.result()
    assert one.statuses | other.statuses == {200}
    for answer in said:
        assert answer.status == 200
        for product in answer.products:
            churn = {"1": one, "2": other}.get(
                str(product["id"]).split("-")[1] if "churn" in str(product["id"]) else ""
            )
            assert churn.may_show(product, answer) if churn else product["title"] == TITLES[str(product["id"])]
            assert str(product["title"]) in answer.text
    assert any("churn" in str(product["id"]) for answer in said for product in answer.products)
    return len(said)


def test_while_the_index_is_swapped(quick: Settings, serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "FEW_ROWS", 50)  # so that it is compacted again and again
    assert talk_while_it_changes(serve(quick), quick, 1.5) >= 8


@pytest.mark.slow
def test_while_the_index_is_swapped_for_long(quick: Settings, serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "FEW_ROWS", 50)
    assert talk_while_it_changes(serve(quick), quick, 20) >= 100
