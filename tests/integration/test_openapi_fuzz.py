"""The service keeps to its own OpenAPI under thousands of made-up requests, right and wrong ones.

schemathesis reads the description that the service gives of itself and drives it over a real socket, in a process of
its own. It holds the service to all of its checks: no 5xx, only documented statuses, content types and headers, bodies
of the promised shape, what the schema forbids is refused and what it allows is taken.
"""

import json
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from fastapi.testclient import TestClient

from app.admission import Admission
from tasteline.settings import Settings
from tests.integration.conftest import PRODUCTS
from tests.integration.running_service import RunningService

SEEDS = (20_261, 20_262)
"""Two shorter runs meet more that is new than one long one."""
LEAST = 5_000
FAST = "search|chat|shop|health"
CONFIGURATION = """
[[operations]]
include-path = "/v1/chat/completions"
# That the last message is the user's, with some text, is beyond what a schema can say.
[operations.checks.positive_data_acceptance]
expected-statuses = ["2xx", "422"]

[[operations]]
include-path = "/v1/events"
# Nor that a time is not in the future: a schema knows no clock.
[operations.checks.positive_data_acceptance]
expected-statuses = ["2xx", "422"]
"""


@dataclass(frozen=True, slots=True)
class Fuzzed:
    """What a run came to."""

    cases: int
    seconds: float
    report: dict[str, object]
    output: str


def fuzz(url: str, folder: Path, seed: int, *options: str) -> Fuzzed:
    configuration, report = folder / "schemathesis.toml", folder / "report.json"
    configuration.write_text(CONFIGURATION)
    command = [str(Path(sys.executable).with_name("st")), "--config-file", str(configuration), "run"]
    command += [f"{url}/openapi.json", "--seed", str(seed), "--no-shrink", "--continue-on-failure", "--no-color"]
    command += ["--generation-database", "none", "--report", "json", "--report-json-path", str(report), *options]
    started = time.monotonic()
    ended = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert report.exists(), ended.stdout + ended.stderr
    found = json.loads(report.read_text())
    return Fuzzed(found["test_cases"]["generated"], time.monotonic() - started, found, ended.stdout)


def assert_sound(fuzzed: Fuzzed, service: RunningService) -> None:
    report = fuzzed.report
    assert not report["failures"], fuzzed.output
    assert not report["errors"], fuzzed.output
    assert report["complete"]
    operations = report["operations"]
    assert operations["tested"] == operations["selected"]  # type: ignore[index]
    assert operations["total"] == len(operations_of(service))  # type: ignore[index]
    statuses = service.counts("tasteline_requests_total", "status")
    assert not [status for status in statuses if status >= "500"]
    assert statuses["422"] > 0
    assert statuses.total() >= fuzzed.cases
    assert httpx.get(f"{service.url}/health/ready").status_code == 200


def operations_of(service: RunningService) -> list[str]:
    paths = httpx.get(f"{service.url}/openapi.json").json()["paths"]
    return [f"{method} {path}" for path, methods in paths.items() for method in methods]


@pytest.fixture
def scripted(settings: Settings) -> Settings:
    return settings.model_copy(update={"language_model": "scripted"})


def test_a_few_hundred_cases(scripted: Settings, tmp_path: Path) -> None:
    with RunningService(scripted) as service:
        httpx.put(f"{service.url}/v1/products", json=PRODUCTS).raise_for_status()
        fuzzed = fuzz(service.url, tmp_path, SEEDS[0], "--phases", "coverage", "--include-path-regex", FAST)
        assert fuzzed.cases >= 200
        assert_sound(fuzzed, service)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_over_five_thousand_cases(scripted: Settings, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with RunningService(scripted) as service:
        httpx.put(f"{service.url}/v1/products", json=PRODUCTS).raise_for_status()
        cases, seconds = 0, 0.0
        for seed in SEEDS:
            fuzzed = fuzz(service.url, tmp_path, seed, "--max-examples", "80")
            assert_sound(fuzzed, service)
            assert fuzzed.report["operations"]["selected"] == len(operations_of(service))  # type: ignore[index]
            cases, seconds = cases + fuzzed.cases, seconds + fuzzed.seconds
        with capsys.disabled():
            sys.stdout.write(f"\n{cases:,} cases in {seconds:.0f} s\n")
        assert cases >= LEAST


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("PUT", "/v1/products", [{"id": "a", "title": "A", "stock": False}]),
        ("PUT", "/v1/products", [{"id": "a", "title": "A", "rating": "4.5"}]),
        ("PUT", "/v1/products", [{"id": "a", "title": "A", "price": {"amount": 2**53, "currency": "USD"}}]),
        ("POST", "/v1/search", {"query": "tent", "filters": {"in_stock": 1}}),
        ("POST", "/v1/search", {"query": "tent", "limit": True}),
        ("POST", "/v1/events", {"event_id": "e", "event": "search", "user_id": "u", "query": "tent", "time": 0}),
        (
            "POST",
            "/v1/events",
            {"event_id": "e", "event": "search", "user_id": "u", "query": "tent", "time": "1767225600"},
        ),
        ("POST", "/v1/chat/completions", {"messages": [{"role": "user", "content": "tent"}], "stream": 1}),
    ],
)
def test_what_is_nearly_right_is_refused(client: TestClient, method: str, path: str, body: object) -> None:
    response = client.request(method, path, json=body)
    assert response.status_code == 422, response.text
    assert response.headers["content-type"] == "application/problem+json"


def test_whole_numbers_may_be_written_with_a_point(client: TestClient) -> None:
    assert client.put("/v1/products", json=[{"id": "a", "title": "A", "stock": 7.0}]).status_code == 200
    assert client.get("/v1/products/a").json()["stock"] == 7


def test_a_wrong_method_is_told_all_that_are_right(client: TestClient) -> None:
    response = client.post("/v1/products/tent")
    assert response.status_code == 405
    assert response.headers["allow"] == "DELETE, GET"


def test_refusals_are_documented_as_what_they_are(client: TestClient) -> None:
    described = client.get("/openapi.json").json()
    refusal = described["paths"]["/v1/chat/completions"]["post"]["responses"]["429"]
    assert list(refusal["content"]) == ["application/problem+json"]
    assert "Retry-After" in refusal["headers"]
    assert "Problem" in described["components"]["schemas"]


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/v1/recommendations", {}),
        ("PUT", "/v1/products", []),
        ("POST", "/v1/events", []),
        ("GET", "/v1/users/anna/interests", None),
        ("GET", "/v1/users/anna/export", None),
    ],
)
def test_a_full_queue_says_when_to_come_again(client: TestClient, method: str, path: str, body: object) -> None:
    client.app.state.shop.waiting = Admission(0, "requests")  # type: ignore[attr-defined]
    response = client.request(method, path, json=body)
    assert response.status_code == 429
    assert response.headers["content-type"] == "application/problem+json"
    assert int(response.headers["retry-after"]) >= 1
    assert client.get("/health/live").status_code == 200
