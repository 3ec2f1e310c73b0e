"""Two language models in one running service: who is answered by which, what is counted, and how it ends."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any
from zlib import crc32

import pytest
from fastapi.testclient import TestClient

from app import trained
from app.agent.tasks import TriedTasks
from app.encoders import Encoders
from app.engines import open_store
from app.main import create_app
from app.shop import Shop
from app.telemetry import Metrics
from app.trained import LiveLlm, TrainedModels
from eval.online import report_of
from retrieval.experiment import Experiment, Experiments, assigned, key_of
from retrieval.registry import Registry
from retrieval.understanding import Vocabulary
from tasteline.settings import Settings
from tasteline.trials import Arm
from tasteline.types import ChatMessage
from tests.integration.conftest import PRODUCTS
from tests.unit.app.test_openai_protocol import Stub, delta, events, stub
from tests.unit.app.test_trained import SHOP, Engine, Made
from tests.unit.retrieval.trained import card, writing

PEOPLE = [f"u{number}" for number in range(12)]
A, B = card(0).id, card(1).id
TAUGHT_A, TAUGHT_B = "carl", "dora"
MODELS: dict[Arm, str] = {"A": A, "B": B}
_FACT = re.compile(r"^- (.+?) at \$", re.MULTILINE)


def words(asked: str) -> str:
    """True ones, about the product that is to be introduced."""
    titles = _FACT.findall(asked)
    return f"Take a look at the {titles[-1]}." if titles else "Hello."


class Speaking(Engine):
    """A trained one in this process, which words what it is shown."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self._replies = lambda messages: words(messages[-1].content)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """A home with two language models, the first of them live; each has learned from one person."""
    home = tmp_path / "home"
    values = {"embedder": "hashing", "language_model": "transformers", "vector_index": "numpy"}
    settings = Settings(home=home, _env_file=None, **values)  # type: ignore[arg-type, call-arg]
    registry = Registry(home)
    for number, person in enumerate((TAUGHT_A, TAUGHT_B)):
        made = card(number, kind="llm", base="a published model")
        registry.register(made, writing(f"weights of {made.id}"), [person])
    registry.promote(A)
    return settings


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> Made:
    made = Made()
    made.next = Speaking
    monkeypatch.setattr(trained, "open_language_model", lambda chosen: made._kept(Speaking("published")))
    monkeypatch.setattr(trained, "open_trained_language_model", made.trained)
    return made


class Served:
    """A service over HTTP, whose followers take a step when they are told to."""

    def __init__(self, settings: Settings, client: TestClient) -> None:
        self.settings = settings
        self.experiments = Experiments(settings.home)
        self._client = client
        client.put("/v1/products", json=PRODUCTS).raise_for_status()

    @property
    def shop(self) -> Shop:
        shop: Shop = self._client.app.state.shop  # type: ignore[attr-defined]
        return shop

    def start(self) -> Experiment:
        started = self.experiments.start(B)
        self.shop.models.tick()
        return started

    def chat(self, user: str | None = None, session: str | None = None) -> dict[str, Any]:
        body = {
            "messages": [{"role": "user", "content": "waterproof jacket"}],
            "tasteline": {"user_id": user, "session_id": session},
        }
        answer = self._client.post("/v1/chat/completions", json=body)
        assert answer.status_code == 200, answer.text
        details: dict[str, Any] = answer.json()["tasteline"]
        return details

    def click(self, user: str, chat: dict[str, Any]) -> None:
        event = {"event_id": f"click-{user}", "event": "view_item", "user_id": user}
        body = {**event, "product_id": chat["products"][0]["product"]["id"], "ranking_id": chat["ranking_id"]}
        self._client.post("/v1/events", json=body).raise_for_status()

    def erase_and_retire(self, user: str) -> None:
        self._client.delete(f"/v1/users/{user}", params={"retire": True}).raise_for_status()

    def get(self, path: str) -> dict[str, Any]:
        answer: dict[str, Any] = self._client.get(path).json()
        return answer

    def labels(self, metric: str, **wanted: str) -> set[str]:
        """Models that stand in a metric, in lines with these labels and a value above 0."""
        lines = [line for line in self._client.get("/metrics").text.splitlines() if line.startswith(metric)]
        chosen = [line for line in lines if all(f'{name}="{value}"' in line for name, value in wanted.items())]
        return {line.split('model="')[1].split('"')[0] for line in chosen if float(line.split()[-1]) > 0}


@pytest.fixture
def service(settings: Settings, made: Made) -> Iterator[Served]:
    with TestClient(create_app(settings)) as client:
        yield Served(settings, client)


def arm_of(started: Experiment, user: str | None, session: str | None = None) -> Arm:
    return assigned(started, key_of(user, session) or "").arm


def test_each_arm_is_answered_by_its_model_and_what_follows_is_counted(service: Served) -> None:
    assert {service.chat(person)["engine"] for person in PEOPLE} == {A}
    started = service.start()
    arms = {person: arm_of(started, person) for person in PEOPLE}
    assert set(arms.values()) == {"A", "B"}
    for number, person in enumerate(PEOPLE):
        first, again = service.chat(person), service.chat(person)
        assert {first["engine"], again["engine"]} == {MODELS[arms[person]]}
        if number % 3 == 0:
            service.click(person, first)
    service.shop.flush_rankings()
    report = report_of(started, service.shop.store.trial_outcomes(started.id))
    click = report.metrics["click"]
    for arm, rate in (("A", click.a), ("B", click.b)):
        people = [person for person in PEOPLE if arms[person] == arm]
        assert (rate.people, rate.shown) == (len(people), 2 * len(people))
        assert rate.acted == len([person for person in PEOPLE[::3] if person in people])
    service.shop.store.erase_user(PEOPLE[0])
    assert len(list(service.shop.store.trial_outcomes(started.id))) == 2 * (len(PEOPLE) - 1)


def test_a_session_has_an_arm_and_who_has_neither_is_in_none(service: Served) -> None:
    started = service.start()
    for session in PEOPLE:
        assert service.chat(session=session)["engine"] == MODELS[arm_of(started, None, session)]
    assert service.chat()["engine"] == A
    service.shop.flush_rankings()
    assert len(list(service.shop.store.trial_outcomes(started.id))) == len(PEOPLE)


def test_both_are_named_and_their_figures_kept_apart(service: Served) -> None:
    assert service.get("/health/ready")["candidates"] == {}
    service.start()
    ready = service.get("/health/ready")
    assert (ready["models"], ready["candidates"], ready["reasons"]) == ({"llm": A}, {"llm": B}, [])
    listed = {entry["id"]: entry.get("parent") for entry in service.get("/v1/models")["data"]}
    assert listed == {"tasteline": None, A: "a published model", B: "a published model"}
    for person in PEOPLE:
        service.chat(person)
    for metric, wanted in (
        ("tasteline_model_answers_total", {"outcome": "ok"}),
        ("tasteline_model_tokens_total", {"kind": "completion"}),
        ("tasteline_model_seconds_count", {}),
    ):
        assert service.labels(metric, **wanted) == {A, B}


def test_a_candidate_of_which_nothing_can_be_had_is_in_nobodys_way(service: Served, made: Made) -> None:
    made.next = lambda name: Engine(name, loads=False)  # type: ignore[assignment, return-value]
    started = service.start()
    assert {service.chat(person)["engine"] for person in PEOPLE} == {A}
    ready = service.get("/health/ready")
    assert ready["candidates"] == {}
    assert "the candidate llm model cannot be used, none is in use instead: half a file" in ready["reasons"][0]
    service.shop.flush_rankings()
    assert list(service.shop.store.trial_outcomes(started.id)) == []
    assert made.running == [A]


def end_by_stop(service: Served) -> None:
    service.experiments.stop("llm")


def end_by_promotion(service: Served) -> None:
    Registry(service.settings.home).promote(B)


def end_by_rollback(service: Served) -> None:
    Registry(service.settings.home).rollback("llm")


def end_by_erasing(person: str) -> Callable[[Served], None]:
    return lambda service: service.erase_and_retire(person)


@pytest.mark.parametrize(
    ("end", "model"),
    [
        (end_by_stop, A),
        (end_by_promotion, B),
        (end_by_rollback, "published"),
        (end_by_erasing(TAUGHT_A), "published"),
        (end_by_erasing(TAUGHT_B), A),
    ],
)
def test_at_its_end_all_get_the_live_one(service: Served, end: Callable[[Served], None], model: str) -> None:
    started = service.start()
    assert service.get("/health/ready")["candidates"] == {"llm": B}
    end(service)
    service.shop.models.tick()
    assert {service.chat(person)["engine"] for person in PEOPLE} == {model}
    ready = service.get("/health/ready")
    assert (ready["models"], ready["candidates"]) == ({} if model == "published" else {"llm": model}, {})
    service.shop.flush_rankings()
    assert list(service.shop.store.trial_outcomes(started.id)) == []


class Trying:
    """Both engines, and a clock that is set by hand."""

    def __init__(self, settings: Settings) -> None:
        self.now = 0.0
        self.settings = settings
        self.experiments = Experiments(settings.home)
        self.llm = LiveLlm(settings, SHOP.live)
        self.trials = self.llm.trials(self.experiments)
        self.trials._clock = lambda: self.now

    def follow(self) -> None:
        self.trials.follow(self.llm.follow)


def test_the_candidate_stays_until_its_last_answer_is_over(settings: Settings, made: Made) -> None:
    trying = Trying(settings)
    trying.experiments.start(B)
    trying.follow()
    assert made.running == [A, B]
    assert trying.trials("anna") is not None
    trying.experiments.stop("llm")
    for seconds in (0.0, settings.deadline_seconds):
        trying.now = seconds
        trying.follow()
        assert (trying.trials("anna"), made.running) == (None, [A, B])
    trying.now += 0.1
    trying.follow()
    assert (made.running, trying.trials.engine.empty) == ([A], True)
    trying.experiments.start(B)
    trying.follow()
    assert made.running == [A, B]
    assert trying.trials("anna") is not None


@pytest.mark.parametrize("which", ["usual", "candidate"])
def test_nobody_is_counted_while_an_engine_changes(settings: Settings, made: Made, which: str) -> None:
    """An engine answers from its exchange on; its model is the current one only when the exchange is over."""
    trying = Trying(settings)
    trying.experiments.start(B)
    trying.follow()
    engine = trying.llm.engine if which == "usual" else trying.trials.engine
    engine.exchange(Engine("the next"))
    assert all(trying.trials(person) is None for person in PEOPLE)


def test_both_are_closed_with_the_service(settings: Settings, made: Made) -> None:
    Experiments(settings.home).start(B)
    models = TrainedModels(settings, Encoders(settings), SHOP.live, Metrics())
    models.tick()
    assert made.running == [A, B]
    models.close()
    assert made.running == []


def test_where_no_model_is_asked_for_anything_no_arm_makes_a_difference(settings: Settings, made: Made) -> None:
    Experiments(settings.home).start(B)
    models = TrainedModels(settings, Encoders(settings), SHOP.live, Metrics())
    models.tick()

    def trials(**changes: object) -> set[bool]:
        chosen = settings.model_copy(update=changes)
        tasks = TriedTasks.of(chosen, models, Vocabulary, SHOP.live, SHOP.store, Metrics())
        return {tasks(person).trial is not None for person in PEOPLE}

    assert trials() == {True}
    assert trials(worded_products=0) == {False}
    assert trials(worded_products=0, model_judges="fused") == {True}
    models.close()


def adapters(path: str, body: dict[str, Any]) -> tuple[int, object]:
    """A vLLM with two adapters on one base: how sure it is depends on the prompt, and it words what it is shown."""
    if path == "/v1/models":
        lines = [{"id": "base"}, *({"id": name, "parent": "base"} for name in (A, B))]
        return 200, {"data": [{**line, "owned_by": "vllm"} for line in lines]}
    if path == "/tokenize":
        return 200, {"tokens": [crc32(body["prompt"].encode())]}
    asked = body["messages"][-1]["content"]
    if body.get("stream"):
        usage = {"prompt_tokens": 7, "completion_tokens": 2}
        return 200, events(delta(words(asked)), delta("", "stop"), {"choices": [], "usage": usage})
    first, *others = body["logprob_token_ids"]
    sure = 0.1 + 0.8 * (crc32(asked.encode()) % 100) / 100
    likely = [(first, sure), *((other, (1 - sure) / len(others)) for other in others)]
    entries = [{"token": f"token_id:{token}", "logprob": math.log(p), "bytes": None} for token, p in likely]
    return 200, {"choices": [{"index": 0, "message": {}, "logprobs": {"content": [{"top_logprobs": entries}]}}]}


@pytest.fixture
def server() -> Iterator[Stub]:
    with stub(adapters) as made:
        yield made


def asked_of(server: Stub, since: int) -> Sequence[str]:
    return [body["model"] for path, body, _ in server.asked[since:] if path == "/v1/chat/completions"]


def test_a_server_is_asked_for_each_by_its_name(settings: Settings, server: Stub) -> None:
    """All that one person's chat asks of the server is asked of one adapter, judgements too."""
    changes = {"language_model": "openai", "language_model_url": server.url, "model_judges": "fused"}
    with TestClient(create_app(settings.model_copy(update=changes))) as client:
        service = Served(settings, client)
        started = service.start()
        assert service.get("/health/ready")["candidates"] == {"llm": B}
        for person in PEOPLE:
            before = len(server.asked)
            said = service.chat(person)
            model = MODELS[arm_of(started, person)]
            assert (said["engine"], said["degraded"]) == (model, [])
            asked = asked_of(server, before)
            assert set(asked) == {model}
            assert len(asked) > 2, "its judgements and its words"
        assert {entry["id"] for entry in service.get("/v1/models")["data"]} == {"tasteline", A, B}
        assert service.labels("tasteline_model_tokens_total", kind="prompt") == {A, B}
        assert service.labels("tasteline_model_answers_total") == {A, B}
    with closing(open_store(settings)) as store:
        assert len(list(store.trial_outcomes(started.id))) == len(PEOPLE)


def test_one_that_the_server_does_not_have_is_in_nobodys_way(settings: Settings) -> None:
    def one_adapter(path: str, body: dict[str, Any]) -> tuple[int, object]:
        return (404, {"error": {"message": "no such model"}}) if body.get("model") == B else adapters(path, body)

    with stub(one_adapter) as server:
        changes = {"language_model": "openai", "language_model_url": server.url}
        with TestClient(create_app(settings.model_copy(update=changes))) as client:
            service = Served(settings, client)
            service.start()
            assert {service.chat(person)["engine"] for person in PEOPLE} == {A}
            assert "no such model" in service.get("/health/ready")["reasons"][0]


def interests_of(messages: Sequence[ChatMessage]) -> str:
    """One sentence that the shopper's first event bears out."""
    return '{"sentences": [{"events": [1], "text": "You viewed a jacket."}], "query": ["jacket"]}'


def test_interests_are_worded_by_the_model_of_the_arm(settings: Settings, made: Made) -> None:
    def writing(name: str) -> Engine:
        engine = Engine(name)
        engine._replies = interests_of
        return engine

    made.next = writing  # type: ignore[assignment]
    with TestClient(create_app(settings.model_copy(update={"model_describes": True}))) as client:
        service = Served(settings, client)
        for person in PEOPLE:
            event = {"event_id": person, "event": "view_item", "user_id": person, "product_id": "blue"}
            client.post("/v1/events", json=event).raise_for_status()
        said = {person: service.get(f"/v1/users/{person}/interests")["engine"] for person in PEOPLE}
        assert set(said.values()) == {A}
        started = service.start()
        said = {person: service.get(f"/v1/users/{person}/interests")["engine"] for person in PEOPLE}
        assert said == {person: MODELS[arm_of(started, person)] for person in PEOPLE}
        # What the candidate wrote must not outlive an erasure either, although nobody asks it any more.
        service.experiments.stop("llm")
        service.shop.models.tick()
        service.erase_and_retire(next(person for person, model in said.items() if model == B))
        service.get("/v1/users/nobody/interests")
        kept = service.shop.tasks._candidate.writer._kept.all()
        assert [words.sentences for words in kept] == [()]
