"""The live language model of a shop: promoted, refused, taken back; at a start, with and without a good one."""

from collections.abc import Callable, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import Literal

import numpy as np
import pytest

from app import trained
from app.encoders import Encoders
from app.llm.scripted import ScriptedLanguageModel
from app.telemetry import Metrics
from app.trained import LiveLlm, TrainedModels
from retrieval.adapters.embedder_hashing import HashingEmbedder
from retrieval.registry import Entry, Registry
from tasteline.errors import EngineFailed, MissingExtra
from tasteline.ports import LanguageModel
from tasteline.settings import Settings
from tasteline.types import ChatMessage, Scores, Vectors
from tests.unit.retrieval.small_shop import SmallShop, product
from tests.unit.retrieval.trained import registered

SHOP = SmallShop([product(f"p{i}", f"Kettle {i}") for i in range(6)])


class Engine(ScriptedLanguageModel):
    """Gives `spread` more to each next prompt; loads unless it is told not to."""

    def __init__(self, name: str, spread: float = 0.01, loads: bool = True) -> None:
        super().__init__(["Hello."])
        self.called = name
        self.spread = spread
        self.loads = loads
        self.closed = False

    @property
    def name(self) -> str:
        return self.called

    def warm(self) -> Future[None]:
        warmed: Future[None] = Future()
        warmed.set_result(None) if self.loads else warmed.set_exception(EngineFailed("half a file"))
        return warmed

    async def choose(
        self, prompts: Sequence[Sequence[ChatMessage]], labels: Sequence[str], *, timeout: float
    ) -> Scores:
        first = 0.5 + self.spread * np.arange(len(prompts))
        return np.stack([first, *[1 - first] * (len(labels) - 1)], axis=1).astype(np.float32)

    def close(self) -> None:
        self.closed = True
        super().close()


class Made:
    """The engines that were opened, by the name that they were asked under; "published" is the configured one."""

    def __init__(self) -> None:
        self.engines: list[Engine] = []
        self.next = Engine

    def published(self, settings: Settings) -> LanguageModel:
        return self._kept(Engine("published"))

    def trained(self, merged: Path, name: str, settings: Settings) -> Engine:
        assert merged.name == "merged"
        return self._kept(self.next(merged.parent.name))

    def _kept(self, engine: Engine) -> Engine:
        self.engines.append(engine)
        return engine

    @property
    def running(self) -> list[str]:
        return [engine.name for engine in self.engines if not engine.closed]


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> Made:
    made = Made()
    monkeypatch.setattr(trained, "open_language_model", made.published)
    monkeypatch.setattr(trained, "open_trained_language_model", made.trained)
    return made


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(home=tmp_path, embedder="hashing", _env_file=None)  # type: ignore[call-arg]


def promoted(settings: Settings, number: int) -> Entry:
    registry = Registry(settings.home)
    entry = registered(registry, number, kind="llm", base="a published model")
    registry.promote(entry.id)
    return entry


def test_the_published_one_answers_until_one_is_promoted_and_after_it_is_taken_back(
    settings: Settings, made: Made
) -> None:
    llm = LiveLlm(settings, SHOP.live)
    for _ in range(2):
        llm.follow()
    assert (llm.engine.name, llm.current(), llm.problem, made.running) == ("published", None, None, ["published"])
    entry = promoted(settings, 0)
    llm.follow()
    assert (llm.engine.name, llm.engine.parent, made.running) == (entry.id, "a published model", [entry.id])
    Registry(settings.home).rollback("llm")
    llm.follow()
    assert (llm.engine.name, llm.current(), made.running) == ("published", None, ["published"])


@pytest.mark.parametrize(
    ("broken", "said"),
    [
        (lambda name: Engine(name, spread=0.0), "everything the same score"),
        (lambda name: Engine(name, spread=float("nan")), "not all numbers"),
        (lambda name: Engine(name, loads=False), "half a file"),
    ],
)
def test_a_broken_one_is_closed_and_the_one_in_use_stays(
    settings: Settings, made: Made, broken: Callable[[str], Engine], said: str
) -> None:
    first = promoted(settings, 0)
    llm = LiveLlm(settings, SHOP.live)
    llm.follow()
    made.next = broken  # type: ignore[assignment]
    promoted(settings, 1)
    for _ in range(2):
        llm.follow()
    assert (llm.engine.name, made.running) == (first.id, [first.id])
    assert said in str(llm.problem)


def test_a_start_with_a_broken_one_has_the_published_one(settings: Settings, made: Made) -> None:
    made.next = lambda name: Engine(name, loads=False)  # type: ignore[assignment, return-value]
    promoted(settings, 0)
    llm = LiveLlm(settings, SHOP.live)
    for _ in range(2):
        llm.follow()
    assert (llm.engine.name, made.running) == ("published", ["published"])
    assert "half a file" in str(llm.problem)
    Registry(settings.home).rollback("llm")
    llm.follow()
    assert (llm.problem, made.running) == (None, ["published"])


def test_missing_weights_are_told_at_the_start_and_not_again_and_again(
    settings: Settings, made: Made, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def missing(chosen: Settings) -> LanguageModel:
        asked.append(chosen)
        raise MissingExtra("No language model.", remedy="make setup")

    monkeypatch.setattr(trained, "open_language_model", missing)
    with pytest.raises(MissingExtra):
        LiveLlm(settings, SHOP.live)
    made.next = lambda name: Engine(name, loads=False)  # type: ignore[assignment, return-value]
    promoted(settings, 0)
    llm = LiveLlm(settings, SHOP.live)
    with pytest.raises(MissingExtra):
        llm.follow()
    llm.follow()
    assert len(asked) == 2
    assert not llm.engine.ready


def test_what_was_taken_back_does_not_go_on_answering_where_the_published_one_is_missing(
    settings: Settings, made: Made, monkeypatch: pytest.MonkeyPatch
) -> None:
    promoted(settings, 0)
    llm = LiveLlm(settings, SHOP.live)
    llm.follow()
    configured = trained.open_language_model

    def missing(chosen: Settings) -> LanguageModel:
        raise MissingExtra("No language model.", remedy="make setup")

    monkeypatch.setattr(trained, "open_language_model", missing)
    Registry(settings.home).rollback("llm")
    with pytest.raises(MissingExtra):
        llm.follow()
    assert (llm.engine.empty, made.running) == (True, [])
    assert "No language model" in str(llm.problem)
    monkeypatch.setattr(trained, "open_language_model", configured)
    entry = promoted(settings, 1)
    llm.follow()
    assert (llm.engine.name, llm.problem) == (entry.id, None)


def test_only_engines_that_can_run_one_follow_the_registry(settings: Settings, made: Made) -> None:
    def models(given: LanguageModel | None = None, **changes: object) -> TrainedModels:
        chosen = settings.model_copy(update=changes)
        return TrainedModels(chosen, Encoders(chosen), SHOP.live, Metrics(), given)

    assert [one.kind for one in models().followed] == ["encoder", "reranker", "llm"]
    assert [one.kind for one in models(language_model="none").followed] == ["encoder", "reranker"]
    given = Engine("given")
    assert models(given).language_model is given
    assert [one.kind for one in models(given).followed] == ["encoder", "reranker"]


def test_closing_gives_up_what_is_being_embedded(settings: Settings, made: Made) -> None:
    models = TrainedModels(settings, Encoders(settings), SHOP.live, Metrics())
    models.encoder.close()
    with pytest.raises(EngineFailed, match="the service ends"):
        models.encoder._exchange(HashingEmbedder(32))
    assert SHOP.live.embedder.name == "hashing/256"
    assert models.encoder.progress is None


def test_an_embedding_is_given_up_when_another_one_is_wanted(settings: Settings, made: Made) -> None:
    registry = Registry(settings.home)
    registry.promote(registered(registry, 0, kind="encoder").id)
    encoder = TrainedModels(settings, Encoders(settings), SHOP.live, Metrics()).encoder

    class Slow(HashingEmbedder):
        def encode(self, texts: Sequence[str], kind: Literal["query", "document"]) -> Vectors:
            registry.rollback("encoder")
            return super().encode(texts, kind)

    with pytest.raises(EngineFailed, match="taken back, before"):
        encoder._exchange(Slow(32))
    assert SHOP.live.embedder.name == "hashing/256"
