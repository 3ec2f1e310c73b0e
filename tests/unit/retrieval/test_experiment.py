"""Traffic split between two models: sticky, by share, and only while what is compared is there."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from threading import Thread

import pytest

from retrieval.experiment import FILE, Experiment, Experiments, assigned, key_of
from retrieval.live_model import LiveModel
from retrieval.registry import Registry
from tasteline.errors import InvalidInput, ModelDamaged, NotFound
from tests.unit.retrieval.trained import START, damage, registered

KEYS = [f"user {number}" for number in range(20_000)]


def experiment(share: float = 0.5, salt: str = "salt", id_: str = "x") -> Experiment:
    return Experiment(id_, "next-item", "a", "b", share, salt, "click", START)


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    registry = Registry(tmp_path)
    registry.promote(registered(registry, 0).id)
    registered(registry, 1)
    return registry


@pytest.fixture
def ids(registry: Registry) -> tuple[str, str]:
    a, b = (entry.id for entry in registry.entries("next-item"))
    return a, b


@pytest.mark.parametrize("share", [0.05, 0.5, 0.9])
def test_the_share_is_kept(share: float) -> None:
    arms = Counter(assigned(experiment(share), key).arm for key in KEYS)
    assert arms["B"] / len(KEYS) == pytest.approx(share, abs=0.012)


def test_a_person_stays_where_they_are() -> None:
    one = experiment()
    assert all(assigned(one, key) == assigned(one, key) for key in KEYS[:100])
    wider = {key for key in KEYS if assigned(experiment(0.2), key).arm == "B"}
    assert wider <= {key for key in KEYS if assigned(experiment(0.4), key).arm == "B"}


def test_two_experiments_split_people_apart_anew() -> None:
    first, second = (
        {key for key in KEYS if assigned(experiment(salt=salt), key).arm == "B"} for salt in ("salt", "pepper")
    )
    assert len(first & second) / len(first) == pytest.approx(0.5, abs=0.03)


def test_a_unit_names_nobody_and_says_nothing_of_the_arm() -> None:
    trials = [assigned(experiment(), key) for key in KEYS]
    assert len({trial.unit for trial in trials}) == len(KEYS)
    high = Counter(trial.arm for trial in trials if trial.unit >= "8")
    assert high["A"] / high.total() == pytest.approx(0.5, abs=0.02)
    assert assigned(experiment(salt="pepper"), KEYS[0]).unit != assigned(experiment(), KEYS[0]).unit


def test_a_person_is_not_a_session_of_that_name() -> None:
    assert key_of("7", None) == key_of("7", "s") != key_of(None, "7")
    assert key_of(None, None) is None


def test_one_starts_and_stops(tmp_path: Path, ids: tuple[str, str]) -> None:
    moment = datetime.now(UTC)
    experiments = Experiments(tmp_path, lambda: moment)
    assert (experiments.running("next-item"), experiments.all("next-item")) == (None, ())
    started = experiments.start(ids[1], 0.3, "cart")
    assert (started.a, started.b, started.share, started.decides) == (*ids, 0.3, "cart")
    assert experiments.running("next-item") == started
    assert Experiments(tmp_path).running("next-item") == started
    with pytest.raises(InvalidInput, match="runs already"):
        experiments.start(ids[1])
    assert experiments.stop("next-item").stopped == moment
    assert experiments.running("next-item") is None
    with pytest.raises(InvalidInput, match="no experiment of next-item runs"):
        experiments.stop("next-item")
    assert experiments.start(ids[1]).salt != started.salt
    assert len(experiments.all("next-item")) == 2


def test_what_cannot_be_compared_does_not_start(tmp_path: Path, registry: Registry, ids: tuple[str, str]) -> None:
    experiments = Experiments(tmp_path)
    with pytest.raises(NotFound):
        experiments.start("nobody")
    with pytest.raises(InvalidInput, match="is the live"):
        experiments.start(ids[0])
    for share in (0.0, 0.999):
        with pytest.raises(InvalidInput, match="share"):
            experiments.start(ids[1], share)
    encoder = registered(registry, 2, kind="encoder")
    with pytest.raises(InvalidInput, match="no encoder model is live"):
        experiments.start(encoder.id)
    damage(registry.entry(ids[1]))
    with pytest.raises(ModelDamaged):
        experiments.start(ids[1])


def test_it_ends_where_another_model_becomes_live_or_the_candidate_is_withdrawn(
    tmp_path: Path, registry: Registry, ids: tuple[str, str]
) -> None:
    experiments = Experiments(tmp_path)
    experiments.start(ids[1])
    third = registered(registry, 3)
    registry.promote(third.id)
    assert experiments.running("next-item") is None
    experiments.start(ids[1])
    first, second = experiments.all("next-item")
    assert first.stopped is not None
    assert second.stopped is None
    registry.withdraw("next-item", [ids[1]])
    assert experiments.running("next-item") is None
    with pytest.raises(InvalidInput, match="withdrawn for good"):
        experiments.start(ids[1])


@pytest.mark.parametrize("before", [False, True])
def test_one_that_has_ended_does_not_begin_again_after_a_rollback(
    tmp_path: Path, registry: Registry, ids: tuple[str, str], before: bool
) -> None:
    third = registered(registry, 3)
    if before:  # the same model once more, over another one
        for model in (third.id, ids[0]):
            registry.promote(model)
    experiments = Experiments(tmp_path)
    experiments.start(ids[1])
    assert experiments.running("next-item") is not None
    if before:
        registry.rollback("next-item")
    else:
        registry.promote(third.id)
    assert experiments.running("next-item") is None
    registry.rollback("next-item")
    live = registry.live("next-item")
    assert live is not None
    assert live.id == ids[0]
    assert experiments.running("next-item") is None
    assert experiments.start(ids[1]).a == ids[0]


def test_what_was_live_long_ago_may_be_withdrawn_meanwhile(
    tmp_path: Path, registry: Registry, ids: tuple[str, str]
) -> None:
    third = registered(registry, 3)
    registry.promote(third.id)
    experiments = Experiments(tmp_path)
    experiments.start(ids[1])
    registry.withdraw("next-item", [ids[0]])
    assert experiments.running("next-item") is not None


def test_nothing_is_promoted_between_the_look_at_what_is_live_and_the_start(
    tmp_path: Path, registry: Registry, ids: tuple[str, str]
) -> None:
    third = registered(registry, 3)
    promoting = Thread(target=registry.promote, args=(third.id,))

    def meanwhile() -> str:
        promoting.start()
        promoting.join(0.2)
        assert promoting.is_alive()  # it waits
        return "token"

    experiments = Experiments(tmp_path, new_token=meanwhile)
    assert experiments.start(ids[1]).a == ids[0]
    promoting.join()
    assert experiments.running("next-item") is None
    live = registry.live("next-item")
    assert live is not None
    assert live.id == third.id


def test_a_service_follows_the_candidate(tmp_path: Path, registry: Registry, ids: tuple[str, str]) -> None:
    experiments = Experiments(tmp_path)
    candidate = LiveModel(experiments, "next-item", lambda entry: entry.id)
    candidate.follow()
    assert candidate.current() is None
    experiments.start(ids[1])
    candidate.follow()
    current = candidate.current()
    assert current is not None
    assert current.model == ids[1]
    experiments.stop("next-item")
    candidate.follow()
    assert candidate.current() is None
    experiments.start(ids[1])
    candidate.follow()
    assert candidate.current() is not None
    registry.withdraw("next-item", [ids[1]])
    candidate.follow()
    assert candidate.current() is None


def test_a_damaged_file_is_told(tmp_path: Path, ids: tuple[str, str]) -> None:
    Experiments(tmp_path).start(ids[1])
    (tmp_path / "models/registry/next-item" / FILE).write_text("[{}]")
    with pytest.raises(ModelDamaged, match="damaged"):
        Experiments(tmp_path).running("next-item")
