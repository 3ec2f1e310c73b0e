"""Requests of shoppers with what a reader takes them to mean: the measure of every way to understand a request.

Takes `requests.jsonl` (one object a line; README.md beside it says what each slot means), gives frozen dataclasses.
Checks what a line can say of itself; that brands, categories and products exist is checked against the demo
catalogue by a test. Knows nothing of the rules and models that are measured with it.

>>> len(load()) >= 330
True
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

from pydantic import ConfigDict, TypeAdapter, ValidationError

from tasteline.errors import InvalidInput
from tasteline.types import Sort

REQUESTS = Path(__file__).with_name("requests.jsonl")

Intent = Literal[
    "find",
    "refine",
    "more",
    "recommend",
    "similar",
    "complement",
    "compare",
    "details",
    "greeting",
    "thanks",
    "help",
    "off_topic",
]
Style = Literal["plain", "paraphrase", "indirect", "typo", "rambling", "number_words", "multi", "template"]
Split = Literal["dev", "test"]


@dataclass(frozen=True, slots=True)
class Request:
    """One message of a shopper and its gold: what this message says, nothing carried over from `before`."""

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)

    id: str
    text: str
    shown: tuple[str, ...]
    """Products on the shopper's screen, in order; empty before a first answer."""
    before: tuple[str, ...]
    """The shopper's earlier messages, oldest first."""
    intent: Intent
    category: str | None
    """Name in the catalogue of the kind of thing wanted, only where the text names it."""
    price_min: float | None
    price_max: float | None
    """Both in dollars, inclusive."""
    brand: str | None
    attributes: Mapping[str, str]
    """Attribute → the catalogue's value, lower-case."""
    exclude: tuple[str, ...]
    """Words that must not occur in a product, lower-case; an unwanted brand stands here too."""
    rating_min: float | None
    in_stock: bool
    sort: Sort
    references: tuple[str, ...]
    """Those of `shown` that the message points at."""
    soft: tuple[str, ...]
    """Wishes in a reader's words; no product is to be left out for them."""
    style: Style
    note: str
    """For people; begins with "no limit:" where words look like a limit and are none."""
    split: Split
    """Settings are chosen on `dev`, results reported on `test`."""

    @property
    def limited(self) -> bool:
        """Whether the message leaves any product out."""
        return bool(
            self.category
            or self.price_min is not None
            or self.price_max is not None
            or self.brand
            or self.attributes
            or self.exclude
            or self.rating_min is not None
            or self.in_stock
        )


_REQUEST = TypeAdapter(Request)


def load(path: Path = REQUESTS) -> list[Request]:
    """All requests in the order of the file.

    Raises InvalidInput with file and line for a line that is no request, that contradicts itself, or whose id or text
    stood before.
    """
    requests: list[Request] = []
    ids: set[str] = set()
    texts: set[str] = set()
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        try:
            request = _REQUEST.validate_json(line)
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            field = ".".join(str(part) for part in first["loc"])
            raise InvalidInput(
                f"{path} line {number}: {field or 'the line'}: {first['msg']}", field=field or None
            ) from error
        text = request.text.casefold()
        fault = _fault(request) or _again(request.id in ids, text in texts)
        if fault:
            raise InvalidInput(f"{path} line {number}: {fault}")
        ids.add(request.id)
        texts.add(text)
        requests.append(request)
    return requests


def _fault(request: Request) -> str | None:
    """What contradicts itself within one request."""
    low, high = request.price_min, request.price_max
    words = (*request.exclude, *request.attributes.values())
    faults = {
        "the text is empty": not request.text.strip(),
        "price_min is above price_max": low is not None and high is not None and low > high,
        "a price is negative": any(price is not None and price < 0 for price in (low, high)),
        "rating_min is not within 0 to 5": request.rating_min is not None and not 0 <= request.rating_min <= 5,
        "references name a product that was not shown": not set(request.references) <= set(request.shown),
        "excluded words and attribute values are written in lower case": any(word != word.lower() for word in words),
    }
    return next((fault for fault, holds in faults.items() if holds), None)


def _again(known_id: bool, known_text: bool) -> str | None:
    if known_id:
        return "the id stood in an earlier line"
    return "the same text stood in an earlier line" if known_text else None
