"""The same conversation on every engine that the README names: the same products and facts, whoever words them."""

import re
from pathlib import Path

import httpx
import pytest

from tasteline.settings import Settings
from tests.integration.conftest import PRODUCTS
from tests.integration.running_service import RunningService, until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

MESSAGES = ("waterproof jackets", "only under $80", "show me more", "compare the first two", "recommend something")
PRICES = {f"${product['price']['amount'] / 100:.2f}" for product in PRODUCTS}  # type: ignore[index]
WORDED = re.compile(r"tasteline_model_answers_total\{.*\} [1-9]")


def conversation(settings: Settings) -> tuple[list[list[str]], list[dict[str, object]]]:
    """(ids of the products of each answer, the details of each) over a real server."""
    details: list[dict[str, object]] = []
    with RunningService(settings) as service:
        assert httpx.put(f"{service.url}/v1/products", json=PRODUCTS).json()["accepted"] == len(PRODUCTS)
        if (model := service.shop.language_model) is not None:
            until(lambda: model.ready, 300)
        for text in MESSAGES:
            options = {"conversation_id": "same", "user_id": "anna"}
            body = {"messages": [{"role": "user", "content": text}], "tasteline": options}
            answer = httpx.post(f"{service.url}/v1/chat/completions", json=body, timeout=60)
            assert answer.status_code == 200, answer.text
            said = answer.json()
            prices = set(re.findall(r"\$\d+\.\d\d", said["choices"][0]["message"]["content"]))
            assert prices <= PRICES | {"$80.00", "$10.00", "$20.00", "$60.00"}, prices  # and what two of them differ by
            details.append(said["tasteline"])
        asked = bool(WORDED.search(httpx.get(f"{service.url}/metrics").text))
    assert asked == (settings.language_model != "none")
    return [[item["product"]["id"] for item in each["products"]] for each in details], details  # type: ignore[attr-defined]


@pytest.mark.parametrize("engine", ["scripted", "openvino", "transformers", "openai"])
def test_facts_do_not_depend_on_the_engine(engine: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    plain = Settings(home=tmp_path / "plain", embedder="hashing", language_model="none", _env_file=None)  # type: ignore[call-arg]
    url = request.getfixturevalue("vllm_server").url if engine == "openai" else plain.language_model_url
    chosen = {
        "home": tmp_path / engine,
        "language_model": engine,
        "language_model_url": url,
        "deadline_seconds": 60.0,
        "wording_seconds": 50.0,
    }
    expected, _ = conversation(plain)
    shown, details = conversation(plain.model_copy(update=chosen))
    assert shown == expected
    for each in details:
        assert each["degraded"] == []
        assert each["runtime"] == ("" if each["engine"] == "templates" else engine)
