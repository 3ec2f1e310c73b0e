"""Text and ids of a feed, made safe to keep. Takes what a file says, gives plain strings; knows no format.

What is taken out of text: control characters, zero-width and bidirectional marks, soft hyphens, Unicode tag characters
and variation selectors (all of them can hide words from a reader but not from a model), and lone surrogates.
What stays: emoji, and the joiners (U+200C, U+200D) and the emoji selector (U+FE0F) where both neighbours, or for the
selector the one before it, are beyond ASCII. Family emoji, Persian and Indic scripts need them; English words do not.
"""

from __future__ import annotations

import html
import re
import unicodedata

from tasteline.errors import InvalidInput

MAX_ID = 200
"""Characters; longer keys are a sign of a shifted column."""

_BREAKS = re.compile("\r\n?|[\u2028\u2029\x85\x0b\x0c]")
_HIDDEN = re.compile(
    "[\x00-\x08\x0e-\x1f\x7f-\x84\x86-\x9f\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b\u200e\u200f"
    "\u202a-\u202e\u2060-\u206f\u3164\ufe00-\ufe0e\ufeff\uffa0\ufff0-\ufffb\ud800-\udfff"
    "\U0001d173-\U0001d17a\U000e0000-\U000e0fff]"
)
_LOOSE_JOINER = re.compile("(?:(?<![^\x00-\x7f])[\u200c\u200d\ufe0f])|(?:[\u200c\u200d](?![^\x00-\x7f]))")
_SPACES = re.compile(r"[^\S\n]+")
_BLANK_LINES = re.compile(r" ?\n[ \n]*")


def clean_line(text: str) -> str:
    """One line of visible text in NFC: titles, names, attribute values.

    >>> clean_line("  Cr&egrave;me\\u200b  de\\tla mer ")
    'Crème de la mer'
    """
    if text.isascii() and text.isprintable() and "&" not in text and "  " not in text:
        return text.strip()
    return " ".join(clean_text(text).split())


def clean_text(text: str) -> str:
    """Visible text in NFC with its line breaks, runs of blanks closed: descriptions. HTML entities are resolved."""
    if "&" in text:
        text = html.unescape(text)
    text = _BREAKS.sub("\n", text)
    text = _HIDDEN.sub("", text)
    text = _LOOSE_JOINER.sub("", text)
    if not text.isascii():
        text = unicodedata.normalize("NFC", text)
    text = _SPACES.sub(" ", text)
    return _BLANK_LINES.sub(lambda match: "\n\n" if match[0].count("\n") > 1 else "\n", text).strip()


def clean_id(value: object, field: str) -> str:
    """An id as a string. It is never altered beyond its outer blanks: events must go on naming the same product.

    Raises InvalidInput for what is no string or whole number, and for ids that nobody could see or type.
    """
    if isinstance(value, str):
        text = value.strip()
    elif isinstance(value, int) and not isinstance(value, bool):
        text = str(value)
    elif isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        text = str(int(value))  # a JSON writer without integers; beyond 2^53 digits are already lost
    else:
        raise InvalidInput("an id must be a string or a whole number below 2^53", field=field)
    if not text:
        raise InvalidInput(f"{field} is missing", field=field)
    if len(text) > MAX_ID:
        raise InvalidInput(f"longer than {MAX_ID} characters", field=field)
    if not text.isprintable():
        raise InvalidInput("contains control or zero-width characters", field=field)
    return text
