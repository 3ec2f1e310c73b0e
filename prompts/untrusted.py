"""Text that strangers wrote (feeds, shoppers, language models), made fit to stand inside ours.

Takes any string; gives one line of plain characters: no markup, no address to click, nothing invisible, nothing that
looks like the end of a fence or of somebody's turn. Does not judge what the words say.
"""

from __future__ import annotations

import html
import re
import unicodedata
from typing import Final

_ELEMENT = re.compile(r"<(script|style|iframe|svg|object)\b.*?(?:</\1\s*>|$)", re.IGNORECASE | re.DOTALL)
_TAG = re.compile(r"<[/!]?[a-z][^>]*(?:>|$)|<!--.*?(?:-->|$)", re.IGNORECASE | re.DOTALL)
_LINK = re.compile(r"!?\[([^\]]*)\]\([^)]*\)")
_ADDRESS = re.compile(
    r"\b(?:https?|ftp|file)\s*:\s*//\S+|\b(?:java|vb)script\s*:\s*\S*|\bdata:\w+/\S+|\bwww\.\S+|\S+@\S+\.\w+"
    r"|\b[\w-]+(?:\.[\w-]+)*\.(?:com|net|org|io|co|ru|cn|info|biz|shop|example|test|invalid)\b(?:/\S*)?",
    re.IGNORECASE,
)
_TURN = re.compile(r"<\|.*?\|>|\[/?INST\]|<</?SYS>>|</?s>", re.IGNORECASE)
_FENCE = re.compile(r"([=#~`*_|<>\[\]{}\\-])\1+|[`*|<>\[\]{}\\#~]|(?<!\w)_|_(?!\w)")
_SPACE = re.compile(r"\s+")
_INVISIBLE: Final = frozenset({"Cc", "Cf", "Co", "Cs", "Cn"})
"""Control, format (zero-width, bidirectional, tags), private, surrogate, unassigned."""


def plain(text: str, limit: int = 200) -> str:
    """One line of at most `limit` characters, cut at a word; the same when applied twice.

    >>> plain("A <b>red</b>\\u200b mug [now](http://evil.example) `$0`")
    'A red mug now $0'
    >>> plain("one two three", limit=11)
    'one two...'
    """
    for _ in range(3):  # what is taken out may have parted the pieces of something else to take out
        before, text = text, _cleaned(text)
        if text == before:
            break
    return _cut(text, limit)


def _cleaned(text: str) -> str:
    text = unicodedata.normalize("NFKC", html.unescape(text))
    text = "".join(
        c if unicodedata.category(c) not in _INVISIBLE else " " if c in "\t\n\r\x0b\x0c" else "" for c in text
    )
    for pattern, instead in (
        (_ELEMENT, " "),
        (_TURN, " "),
        (_TAG, " "),
        (_LINK, r"\1"),
        (_ADDRESS, " "),
        (_FENCE, " "),
    ):
        text = pattern.sub(instead, text)
    return _SPACE.sub(" ", text).strip()


def _cut(text: str, limit: int) -> str:
    if len(text) <= limit:
        return text
    # Three dots, since NFKC would make them of the one character the next time.
    return text[: limit - 3].rsplit(" ", 1)[0].rstrip(" ,.;:-") + "..."
