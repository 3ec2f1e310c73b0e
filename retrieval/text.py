"""The text that stands for a product when it is embedded.

Takes a `Product`, gives one plain string: title, brand and category path, a few telling attributes, description. The
most telling comes first and the whole is bounded, because a BERT-class encoder reads a fixed window and cuts the rest.
Knows nothing of any encoder; the same product always gives the same text, which makes the text a cache key.
"""

from __future__ import annotations

import html
import re
import unicodedata
from collections.abc import Mapping

from tasteline.types import Product

MAX_CHARACTERS = 1000
"""Some 230 word pieces of shop English: what fits a window of 256 with room for figures, which split finely."""

TELLING_ATTRIBUTES = frozenset(
    (
        "type",
        "colour",
        "color",
        "material",
        "style",
        "pattern",
        "gender",
        "age group",
        "audience",
        "occasion",
        "season",
        "room",
        "theme",
        "genre",
        "author",
        "artist",
        "flavour",
        "flavor",
        "scent",
    )
)
"""Names, without a leading "product", of what shoppers put into words. Technical feeds carry a hundred more, and on
judged electronics queries those only push the products apart that belong together (nDCG@10 .76 with any eight of them,
.77 with none, .81 with these)."""

MAX_VALUE_CHARACTERS = 32
MAX_VALUES = 4

MAX_MARKUP_CHARACTERS = 8000
"""Read at most; what follows could not get into the text, and hostile markup stays cheap to strip."""

_TAG = re.compile(r"</?[a-zA-Z][^<>]*>|<!--.*?-->", re.DOTALL)
_INVISIBLE_ELEMENT = re.compile(r"<(script|style)\b.*?</\1\s*>", re.DOTALL | re.IGNORECASE)
_MARKDOWN_LINK = re.compile(r"!?\[([^\]]*)\]\([^)\s]*\)")
_MARKDOWN_LINE = re.compile(r"^[ \t]*(?:#{1,6}[ \t]+|>[ \t]+|[-*+•][ \t]+|-{3,}[ \t]*$|={3,}[ \t]*$)", re.MULTILINE)
_MARKDOWN_SPAN = re.compile(r"(\*\*|__|~~|`)(?=\S)(.+?)(?<=\S)\1")
_UNTELLING = frozenset(
    {"", "-", "n", "n/a", "na", "no", "none", "not available", "not supported", "true", "false", "y", "yes"}
)


def product_text(product: Product) -> str:
    """One line of at most `MAX_CHARACTERS` characters; empty when the product says nothing.

    >>> product_text(Product("1", "Pour-over kettle", "# Pour-over kettle\\n\\nHolds **one** litre.", brand="Acme"))
    'Pour-over kettle. Acme. Holds one litre.'
    """
    title = plain(product.title)
    parts = [title]
    if product.brand and not _mentions(title, product.brand):
        parts.append(plain(product.brand))
    parts.append(_category_path(product.categories))
    parts.append(_telling_attributes(product.attributes, title))
    parts.append(_description(product.description, title))
    return _cut(_joined(parts), MAX_CHARACTERS)


def well_formed(text: str) -> str:
    """`text` with lone surrogates, which JSON can carry and no encoder accepts, replaced."""
    return text.encode("utf-8", "replace").decode("utf-8")


def plain(text: str) -> str:
    """`text` without HTML, markdown, control and zero-width characters, and runs of white space."""
    text = text[:MAX_MARKUP_CHARACTERS]
    if "<" in text or "&" in text:
        text = html.unescape(_TAG.sub(" ", _INVISIBLE_ELEMENT.sub(" ", text)))
        text = _TAG.sub(" ", text)  # markup that was itself escaped, as many feeds have it
    text = _MARKDOWN_LINK.sub(r"\1", text)
    text = _MARKDOWN_LINE.sub("", text)
    text = _MARKDOWN_SPAN.sub(r"\2", text)
    if not text.isascii():
        text = "".join(character for character in text if unicodedata.category(character) != "Cf")
    return " ".join("".join(character if character.isprintable() else " " for character in text).split())


def _category_path(categories: tuple[str, ...]) -> str:
    # Machine names such as "Toys_and_Games" are words to a person and should be to the encoder.
    return ", ".join(plain(name.replace("_", " ")) for name in categories)


def _telling_attributes(attributes: Mapping[str, tuple[str, ...]], title: str) -> str:
    """Short values of the telling attributes that the title does not already say, in the feed's order."""
    entries: list[str] = []
    for name, values in attributes.items():
        words = " ".join(name.replace("_", " ").casefold().split()).removeprefix("product ")
        if words not in TELLING_ATTRIBUTES:
            continue
        fresh = [value for value in map(plain, values) if _is_telling(value) and not _mentions(title, value)]
        if fresh:
            entries.append(f"{words}: {', '.join(fresh[:MAX_VALUES])}")
    return "; ".join(entries)


def _is_telling(value: str) -> bool:
    return (
        len(value) <= MAX_VALUE_CHARACTERS
        and value.casefold() not in _UNTELLING
        and any(character.isalpha() for character in value)  # bare figures mean little to an encoder
    )


def _mentions(text: str, phrase: str) -> bool:
    return f" {phrase.casefold()} " in f" {text.casefold()} "


def _description(description: str, title: str) -> str:
    """The description without the title, or the part of it, that many feeds repeat in front as a heading."""
    first, _, rest = description.lstrip().partition("\n")
    if first.startswith("#") and plain(first).casefold() in title.casefold():
        description = rest
    text = plain(description)
    if title and text.casefold().startswith(title.casefold()):
        rest = text[len(title) :]
        if not rest[:1].isalnum():
            return rest.lstrip(" .,:;|-–—!")
    return text


def _joined(parts: list[str]) -> str:
    sentences = [part.strip() for part in parts if part.strip()]
    closed = [part if part[-1] in ".!?" else f"{part}." for part in sentences[:-1]]
    return " ".join(closed + sentences[-1:])


def _cut(text: str, limit: int) -> str:
    """At most `limit` characters, cut at a space where there is one."""
    if len(text) <= limit:
        return text
    head = text[: limit + 1].rsplit(" ", 1)[0]
    return head[:limit].rstrip()
