"""One row of a product feed, whatever the format, as a Product. Takes names and values, knows no file.

Columns are found by the names that shops use for them (`_ALIASES`, best first). What has no meaning to us becomes an
attribute under a cleaned name: `attr_t_product_colour` is "product colour". Negative stock (sold before it came in)
counts as none. Nested objects beyond `attributes` and price are left out.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache

from retrieval.importing.cleaning import clean_id, clean_line, clean_text
from retrieval.importing.feed import Feed
from retrieval.importing.records import Reject
from retrieval.importing.tables import normal_column
from retrieval.importing.values import MAX_COUNT, currency_code, parse_count, parse_price, parse_rating
from tasteline.errors import InvalidInput
from tasteline.types import Price, Product

MAX_TITLE = 1_000
MAX_DESCRIPTION = 100_000
MAX_CATEGORY_LEVELS = 20
MAX_NAME = 120
"""Characters of a brand, a category or an attribute's name."""
MAX_VALUE = 10_000
"""Characters of one attribute value: compatibility lists of cartridges are long."""
MAX_URL = 2_000
MAX_ATTRIBUTES = 500

_ALIASES: dict[str, tuple[str, ...]] = {
    "id": ("id", "product_id", "item_id", "sku", "productid", "itemid"),
    "title": ("title", "product_title", "product_name", "name"),
    "description": ("description", "long_description", "body", "body_html", "short_description", "summary"),
    "brand": ("brand", "brand_name", "supplier", "manufacturer", "vendor"),
    "category": ("categories", "category", "category_path", "product_type", "google_product_category"),
    "price": ("price_minor", "price_cents", "price"),
    "sale_price": ("sale_price",),
    "sale_dates": ("sale_price_effective_date",),
    "currency": ("currency", "price_currency", "currency_code"),
    "rating": ("rating", "average_rating", "avg_rating", "stars", "rating_value"),
    "rating_count": ("rating_count", "ratings_count", "review_count", "reviews_count", "num_reviews", "reviews"),
    "stock": ("stock", "quantity", "stock_quantity", "inventory"),
    "availability": ("availability", "in_stock", "available"),
    "url": ("url", "link", "product_url", "canonical_link", "mobile_link"),
    "image": ("image_url", "image_link", "image", "img", "thumbnail", "additional_image_link"),
    "attributes": ("attributes", "attrs", "specs"),
}
_PLACE = {name: (role, rank) for role, names in _ALIASES.items() for rank, name in enumerate(names)}
_KEPT_WHEN_BEATEN = frozenset({"id", "title", "brand", "category"})
"""A second column of these roles says something else (a maker's part number as `name`): it becomes an attribute."""
_MINOR_COLUMNS = frozenset({"price_minor", "price_cents"})
_AVAILABLE = frozenset(
    [
        "in_stock",
        "instock",
        "available",
        "preorder",
        "pre_order",
        "backorder",
        "limited_availability",
        "onlineonly",
        "true",
        "yes",
        "y",
        "1",
    ]
)
_GONE = frozenset(
    ["out_of_stock", "outofstock", "unavailable", "sold_out", "soldout", "discontinued", "false", "no", "n", "0"]
)
_MIDNIGHT = "T00:00:00Z"
"""Dates that went through a time stamp: "2009-12-10T00:00:00Z" is a day."""
_TYPED_ATTRIBUTE = re.compile(r"attr(?:ibute)?_(?:(?P<type>[tbn])_)?(?P<name>.+)")
_LIST_MARK = re.compile(r"\s*\|\s*|,(?=\S)")
_TRUE = frozenset({"true", "1", "yes"})


def product_from(row: Mapping[str, object], currency: str | None) -> Product:
    """`currency` is for prices that name none. Raises InvalidInput with the field that is wrong.

    >>> product_from({"sku": 7, "name": "Kettle", "price": 1999, "currency": "EUR"}, None).price
    Price(amount=1999, currency='EUR')
    """
    roles, extras = _sort_columns(row)
    title = clean_line(_text(roles.get("title"), "title"))
    if not title:
        raise InvalidInput("title is missing", field="title")
    return Product(
        id=clean_id(roles.get("id", ""), "id"),
        title=_within(title, MAX_TITLE, "title"),
        description=_within(clean_text(_text(roles.get("description"), "description")), MAX_DESCRIPTION, "description"),
        brand=_within(clean_line(_text(roles.get("brand"), "brand")), MAX_NAME, "brand") or None,
        categories=category_path(roles.get("category")),
        price=_price(roles, row, currency),
        rating=parse_rating(roles["rating"]) if "rating" in roles else None,
        rating_count=_rating_count(roles.get("rating_count")),
        stock=_stock(roles),
        attributes=_attributes(
            [(column, value) for column, value in extras if not _is_repetition(column, value, title)],
            roles.get("attributes"),
        ),
        url=_link(roles.get("url"), "url"),
        image_url=_link(roles.get("image"), "image_url"),
    )


ProductRow = tuple[int, Mapping[str, object], bytes | str]
"""Line, columns and values, the row as it was written."""


def product_records(feed: Feed, rows: Iterable[ProductRow | Reject]) -> Iterator[Product | Reject]:
    """A record for each row. An id that comes again with other content is a reject: or else the feed would contradict
    itself on every import. With the same content it passes, and the store counts it as repeated. One small number is
    kept for each product of the feed (some 120 bytes).
    """
    seen: dict[str, int] = {}
    for row in rows:
        if isinstance(row, Reject):
            yield row
            continue
        line, values, raw = row
        try:
            product = product_from(values, feed.currency)
            if seen.setdefault(product.id, hash(raw)) != hash(raw):
                raise InvalidInput(f"id {product.id!r} came before with other content; the first stands", field="id")
        except InvalidInput as error:
            yield feed.reject(line, error.field, str(error), raw)
        else:
            yield product


def is_single(column: str) -> bool:
    """Can a feed have this column only once? Attributes may repeat, a title may not."""
    return _place(column)[0] not in ("attribute", "image", "url")


def roles_of(columns: list[str]) -> set[str]:
    return {_place(column)[0] for column in columns}


@lru_cache(maxsize=20_000)
def _place(column: str) -> tuple[str, int]:
    """What a column means, and how good a name for it this is. Cached: wide feeds repeat thousands of names."""
    name = normal_column(column)
    if name.startswith("img_"):
        return "image", 50 + len(name)
    return _PLACE.get(name, ("attribute", 0))


def _sort_columns(row: Mapping[str, object]) -> tuple[dict[str, object], list[tuple[str, object]]]:
    """The best filled column of each role, and everything else as (column, value)."""
    best: dict[str, tuple[int, str, object]] = {}
    extras: list[tuple[str, object]] = []
    for column, value in row.items():
        if value is None or value == "" or (isinstance(value, str) and value.isspace()):
            continue
        role, rank = _place(_within(column, MAX_NAME, "row"))
        if role == "attribute":
            extras.append((column, value))
            continue
        beaten = best.get(role)
        if beaten is None or rank < beaten[0]:
            best[role] = (rank, column, value)
        else:
            beaten = (rank, column, value)
        if beaten is not None and role in _KEPT_WHEN_BEATEN:
            extras.append(beaten[1:])
    return {role: value for role, (_, _, value) in best.items()}, extras


def _text(value: object, field: str) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    if isinstance(value, int | float) and not isinstance(value, bool):
        return _plain_number(value)
    if isinstance(value, list) and all(isinstance(part, str) for part in value):
        return "\n".join(value)
    raise InvalidInput("not text", field=field)


def _is_repetition(column: str, value: object, title: str) -> bool:
    """A second title that the first contains: a part number that the title ends with."""
    return isinstance(value, str) and _place(column)[0] == "title" and value.strip().lower() in title.lower()


def _within(text: str, limit: int, field: str) -> str:
    if len(text) > limit:
        raise InvalidInput(f"longer than {limit:,} characters", field=field)
    return text


def category_path(value: object) -> tuple[str, ...]:
    """Broad to narrow from "A > B", "A|B", "A/B" or a list; of several paths the first. Google's numbers are no names.

    >>> category_path("Toys_and_Games > Puzzles")
    ('Toys and Games', 'Puzzles')
    """
    if isinstance(value, list):
        names = [_text(part, "category") for part in (value[0] if value and isinstance(value[0], list) else value)]
        names = [level for name in names for level in (name.split(">") if ">" in name else [name])]
    else:
        text = _text(value, "category")
        mark = next((mark for mark in ">|/" if mark in text), None)
        names = text.split(mark) if mark else [text]
    path = tuple(dict.fromkeys(name for name in map(_category_name, names) if name and not name.isdigit()))
    if len(path) > MAX_CATEGORY_LEVELS:
        raise InvalidInput(f"more than {MAX_CATEGORY_LEVELS} levels", field="category")
    return path


def _category_name(name: str) -> str:
    name = name.strip()
    if "_" in name and " " not in name:  # a slug: Toys_and_Games
        name = name.replace("_", " ")
    return _within(clean_line(name), MAX_NAME, "category")


def _price(roles: Mapping[str, object], row: Mapping[str, object], default: str | None) -> Price | None:
    """A sale price counts when no dates limit it; with dates only the time of the question could tell."""
    value = roles.get("price")
    if value is None:
        return None
    own = currency_code(roles["currency"]) if "currency" in roles else None
    minor = any(row.get(name) is value for name in _MINOR_COLUMNS)
    price = parse_price(value, own, minor=minor, default=default)
    if "sale_price" not in roles or "sale_dates" in roles:
        return price
    sale = parse_price(roles["sale_price"], own, minor=minor, default=default)
    return sale if sale.currency == price.currency and sale.amount < price.amount else price


def _rating_count(value: object) -> int | None:
    return None if value is None or isinstance(value, list) else parse_count(value, "rating_count")


def _stock(roles: Mapping[str, object]) -> int | None:
    """Units; 0 whenever the feed says that it is gone, None when it only says that there is some."""
    if "availability" in roles and not _is_available(roles["availability"]):
        return 0
    return max(0, parse_count(roles["stock"], "stock", least=-MAX_COUNT)) if "stock" in roles else None


def _is_available(value: object) -> bool:
    word = (
        str(value if isinstance(value, str | int) else "")
        .strip()
        .rsplit("/", 1)[-1]
        .lower()
        .replace(" ", "_")
        .replace("-", "_")
    )
    if word in _GONE:
        return False
    if word in _AVAILABLE:
        return True
    raise InvalidInput(f"{word[:40]!r} is neither in stock nor out of stock", field="availability")


def _link(value: object, field: str) -> str | None:
    """Only web addresses and paths of the shop itself: a `javascript:` link must never reach a page."""
    if isinstance(value, list):
        value = value[0] if value else None
    if value is None or isinstance(value, dict):
        return None
    link = _text(value, field).strip()
    if not link.startswith(("http://", "https://", "/")) or not link.isprintable() or " " in link:
        raise InvalidInput("not an http(s) address", field=field)
    return _within(link, MAX_URL, field)


def _attributes(extras: list[tuple[str, object]], own: object) -> dict[str, tuple[str, ...]]:
    """The columns without a meaning, and the feed's own object {name: value} or list [{"name": …, "value": …}]."""
    found: dict[str, tuple[str, ...]] = {}
    for column, value in extras:
        _add_attribute(found, column, value)
    if isinstance(own, dict):
        for name, value in own.items():
            _add_attribute(found, name, value)
    elif isinstance(own, list):
        for entry in own:
            if isinstance(entry, dict) and isinstance(entry.get("name"), str):
                _add_attribute(found, entry["name"], entry.get("value"))
    elif isinstance(own, str):
        _add_attribute(found, "attributes", own)
    if len(found) > MAX_ATTRIBUTES:
        raise InvalidInput(f"more than {MAX_ATTRIBUTES} attributes", field="attributes")
    return found


def _add_attribute(found: dict[str, tuple[str, ...]], column: str, value: object) -> None:
    name, kind = _attribute_name(column)
    values = tuple(text for part in (value if isinstance(value, list) else [value]) for text in _values(part, kind))
    if name and values:
        found[name] = tuple(dict.fromkeys(found.get(name, ()) + values))


@lru_cache(maxsize=20_000)
def _attribute_name(column: str) -> tuple[str, str]:
    """("product colour", "t") for `attr_t_product_colour`."""
    match = _TYPED_ATTRIBUTE.fullmatch(normal_column(column))
    name = match["name"] if match else normal_column(column)
    kind = (match["type"] or "") if match else ""
    return _within(" ".join(clean_line(name.replace("_", " ")).split()), MAX_NAME, "attributes"), kind


def _values(value: object, kind: str) -> tuple[str, ...]:
    if isinstance(value, bool):
        return ("yes" if value else "no",)
    if isinstance(value, int | float):
        return (_plain_number(value),)
    if not isinstance(value, str) or not (text := clean_line(value)):
        return ()
    if kind == "b":
        return ("yes" if text.lower() in _TRUE else "no",)
    if kind == "n":
        return (text.removesuffix(".0"),)
    return _split_list(_within(text.removesuffix(_MIDNIGHT), MAX_VALUE, "attributes"))


def _split_list(text: str) -> tuple[str, ...]:
    """ "Black,Silver" and "S | M" are lists; "1,000", and prose with a blank after its commas, are not."""
    if "|" not in text and ("," not in text or ", " in text):
        return (text,)
    parts = [part for part in _LIST_MARK.split(text) if part]
    if any(len(part) > 40 or part[0].isdigit() for part in parts):
        return (text,)
    return tuple(parts)


def _plain_number(value: int | float) -> str:
    return str(int(value)) if isinstance(value, float) and value.is_integer() and abs(value) < 1e15 else str(value)
