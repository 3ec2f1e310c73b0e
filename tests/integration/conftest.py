"""A small shop behind the real service: real store, indexes and routes; hashing vectors and no language model."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from app.main import create_app
from tasteline.settings import Settings

JACKETS = [
    ("blue", "Ridge Waterproof Jacket, Blue", "Fernhollow", 7900, 4.5, {"color": ["Blue"], "material": ["Nylon"]}),
    ("red", "Ridge Waterproof Jacket, Red", "Fernhollow", 8900, 4.1, {"color": ["Red"], "material": ["Nylon"]}),
    ("green", "Storm Waterproof Jacket, Green", "Northgale", 12900, 4.8, {"color": ["Green"], "material": ["Wool"]}),
    ("brown", "Leather Waterproof Jacket", "Calder", 6900, 3.8, {"color": ["Brown"], "material": ["Leather"]}),
]
OTHERS = [
    ("tent", "Family Tent 4-Person", "Northgale", ["Outdoor", "Tents"], 25900),
    ("bag", "Down Sleeping Bag", "Northgale", ["Outdoor", "Sleeping Bags"], 9900),
    ("stove", "Camping Gas Stove", "Emberline", ["Outdoor", "Stoves"], 3900),
    ("kettle", "Enamel Kettle", "Emberline", ["Kitchen", "Kettles"], 2900),
]
PRODUCTS: list[dict[str, object]] = [
    {
        "id": product_id,
        "title": title,
        "brand": brand,
        "categories": ["Clothing", "Jackets"],
        "price": {"amount": amount, "currency": "USD"},
        "rating": rating,
        "attributes": attributes,
    }
    for product_id, title, brand, amount, rating, attributes in JACKETS
] + [
    {
        "id": product_id,
        "title": title,
        "brand": brand,
        "categories": categories,
        "price": {"amount": amount, "currency": "USD"},
    }
    for product_id, title, brand, categories, amount in OTHERS
]


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(home=tmp_path / "home", embedder="hashing", language_model="none", _env_file=None)  # type: ignore[call-arg]


@pytest.fixture
def client(settings: Settings) -> Iterator[TestClient]:
    with TestClient(create_app(settings), raise_server_exceptions=False) as made:
        assert made.put("/v1/products", json=PRODUCTS).json() == {"accepted": len(PRODUCTS), "repeated": 0}
        yield made


Say = Callable[..., dict[str, object]]


@pytest.fixture
def say(client: TestClient) -> Say:
    """Speak in one conversation; gives the whole completion."""

    def speak(text: str, **options: object) -> dict[str, object]:
        body = {
            "messages": [{"role": "user", "content": text}],
            "tasteline": {"conversation_id": "test", "user_id": "anna", **options},
        }
        response = client.post("/v1/chat/completions", json=body)
        assert response.status_code == 200, response.text
        completion: dict[str, object] = response.json()
        return completion

    return speak
