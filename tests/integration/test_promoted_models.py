"""A running service takes what is promoted, refuses what is broken, and goes back: encoder and reranker."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from typer.testing import CliRunner

from app.main import create_app
from retrieval.registry import Entry, Registry
from tasteline.cli import app as command_line
from tasteline.settings import Settings
from tests.integration.conftest import PRODUCTS
from tests.integration.running_service import until
from tests.integration.tuned import poisoned, register, tiny_cross_encoder, tiny_encoder, with_weights, zeroed

pytestmark = [
    # PyTorch and transformers deprecate their own internals; that is theirs to mend.
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.timeout(300),
]
PATIENCE = 60.0


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("models")
    for seed, name in enumerate(["published", "first", "second"]):
        tiny_encoder(root / name, seed, width=32 + 16 * seed)
    with_weights(tiny_encoder(root / "collapsed"), zeroed)
    with_weights(tiny_encoder(root / "poisoned"), poisoned)
    tiny_cross_encoder(root / "judge")
    with_weights(tiny_cross_encoder(root / "indifferent"), zeroed)
    with_weights(tiny_cross_encoder(root / "mad"), poisoned)
    tiny_cross_encoder(root / "classifier", labels=3)
    return root


@pytest.fixture
def settings(tmp_path: Path, folders: Path) -> Settings:
    chosen = {"embedder": "sentence-transformers", "reranker": "sentence-transformers", "vector_index": "numpy"}
    values = {**chosen, "embedder_model": str(folders / "published"), "language_model": "none"}
    return Settings(home=tmp_path / "home", _env_file=None, **values)  # type: ignore[arg-type, call-arg]


@pytest.fixture
def client(settings: Settings) -> Iterator[TestClient]:
    with TestClient(create_app(settings), raise_server_exceptions=False) as made:
        assert made.put("/v1/products", json=PRODUCTS).json() == {"accepted": len(PRODUCTS), "repeated": 0}
        yield made


@pytest.fixture
def registry(settings: Settings) -> Registry:
    return Registry(settings.home)


def promoted(registry: Registry, kind: str, number: int, folder: Path) -> Entry:
    entry = register(registry, kind, number, folder)  # type: ignore[arg-type]
    registry.promote(entry.id)
    return entry


def ready(client: TestClient) -> tuple[dict[str, str], list[str]]:
    answer = client.get("/health/ready")
    assert answer.status_code == 200
    return answer.json()["models"], answer.json()["reasons"]


def in_use(client: TestClient, kind: str, entry: Entry) -> None:
    until(lambda: ready(client) == ({kind: entry.id}, []), PATIENCE)


def engine(client: TestClient) -> str:
    return str(client.get("/v1/shop").json()["engine"]["embedder"])


def search(client: TestClient, query: str = "waterproof jacket") -> list[str]:
    answer = client.post("/v1/search", json={"query": query})
    assert (answer.status_code, answer.json()["degraded"]) == (200, [])
    return [item["product"]["id"] for item in answer.json()["items"]]


def test_an_encoder_is_taken_up_replaced_and_taken_back(client: TestClient, registry: Registry, folders: Path) -> None:
    assert "published" in engine(client)
    first = promoted(registry, "encoder", 0, folders / "first")
    in_use(client, "encoder", first)
    assert first.id in engine(client)
    assert set(search(client)[:4]) == {"blue", "red", "green", "brown"}
    kite = {"id": "kite", "title": "Paper Kite"}
    client.put("/v1/products", json=[kite])
    second = promoted(registry, "encoder", 1, folders / "second")
    in_use(client, "encoder", second)
    assert second.id in engine(client)
    assert search(client, "paper kite")[0] == "kite"
    registry.rollback("encoder")
    in_use(client, "encoder", first)
    assert first.id in engine(client)
    assert search(client, "paper kite")[0] == "kite"
    registry.rollback("encoder")
    until(lambda: ready(client) == ({}, []) and "published" in engine(client), PATIENCE)
    assert search(client, "paper kite")[0] == "kite"
    client.post("/v1/recommendations", json={"context": "welcome", "wish": "something for rain"}).raise_for_status()


@pytest.mark.parametrize(
    ("name", "said"), [("collapsed", "everything the same score"), ("poisoned", "not all numbers")]
)
def test_a_broken_encoder_is_refused_and_the_one_in_use_stays(
    client: TestClient, registry: Registry, folders: Path, name: str, said: str
) -> None:
    first = promoted(registry, "encoder", 0, folders / "first")
    in_use(client, "encoder", first)
    promoted(registry, "encoder", 1, folders / name)
    until(lambda: ready(client)[1], PATIENCE)
    models, [problem] = ready(client)
    assert models == {"encoder": first.id}
    assert said in problem
    assert f"{first.id} is in use instead" in problem
    assert first.id in engine(client)
    assert set(search(client)[:4]) == {"blue", "red", "green", "brown"}


def test_a_start_and_the_commands_use_the_live_encoder(
    settings: Settings, registry: Registry, folders: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with TestClient(create_app(settings)) as client:
        client.put("/v1/products", json=PRODUCTS).raise_for_status()
    for name in ("home", "embedder", "embedder_model", "vector_index", "reranker"):
        monkeypatch.setenv(f"TASTELINE_{name.upper()}", str(getattr(settings, name)))
    assert CliRunner().invoke(command_line, ["index", "--json"]).exit_code == 0
    first = promoted(registry, "encoder", 0, folders / "first")
    with TestClient(create_app(settings)) as client:  # its snapshot is of the published one
        assert ready(client) == ({"encoder": first.id}, [])
        assert first.id in engine(client)
    indexed = CliRunner().invoke(command_line, ["index", "--json"])
    assert first.id in indexed.stdout
    found = CliRunner().invoke(command_line, ["search", "enamel kettle", "--json"])
    assert '"kettle"' in found.stdout
    with TestClient(create_app(settings)) as client:
        assert first.id in engine(client)


def test_a_damaged_live_encoder_leaves_the_published_one(settings: Settings, registry: Registry, folders: Path) -> None:
    first = promoted(registry, "encoder", 0, folders / "first")
    (first.folder / "merged" / "config.json").write_text("{}")
    with TestClient(create_app(settings)) as client:
        client.put("/v1/products", json=PRODUCTS).raise_for_status()
        models, [problem] = ready(client)
        assert (models, "differs from its checksum" in problem) == ({}, True)
        assert "published" in engine(client)
        assert search(client)


def test_a_reranker_is_taken_up_and_one_that_fails_is_named(
    client: TestClient, registry: Registry, folders: Path
) -> None:
    before = search(client)
    judge = promoted(registry, "reranker", 0, folders / "judge")
    in_use(client, "reranker", judge)
    after = search(client)
    assert sorted(after) == sorted(before)
    assert after != before, "a random judge has its own opinion"
    for number, (name, said) in enumerate(
        [("indifferent", "the same score"), ("mad", "not all numbers"), ("classifier", "3 labels")], start=1
    ):
        promoted(registry, "reranker", number, folders / name)
        until(lambda told=said: any(told in note for note in ready(client)[1]), PATIENCE)
        assert ready(client)[0] == {"reranker": judge.id}
    assert search(client) == after
    for _ in range(4):
        registry.rollback("reranker")
    until(lambda: ready(client) == ({}, []), PATIENCE)
    assert search(client) == before


def test_a_reranker_without_time_is_skipped(settings: Settings, registry: Registry, folders: Path) -> None:
    promoted(registry, "reranker", 0, folders / "judge")
    hasty = settings.model_copy(update={"reranking_seconds": 1e-6})
    with TestClient(create_app(hasty)) as client:
        client.put("/v1/products", json=PRODUCTS).raise_for_status()
        answer = client.post("/v1/search", json={"query": "waterproof jacket"}).json()
        assert answer["degraded"] == ["reranker"]
        assert len(answer["items"]) == 8
        said = client.post(
            "/v1/chat/completions", json={"messages": [{"role": "user", "content": "a waterproof jacket"}]}
        )
        assert "reranker" in said.json()["tasteline"]["degraded"]
