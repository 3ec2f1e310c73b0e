"""Words that wrap a request and say nothing about it: "Hi, could you show me … please?"."""

from __future__ import annotations

import re
from typing import Final

from retrieval.understanding import words_en as en
from retrieval.understanding.request import BARRIER, Request

_ANY: Final = "|".join(en.LEADS)
_CLAUSE: Final = rf"(?:^|[.,!?;:{BARRIER}])[ ,]*"
_LEAD: Final = re.compile(rf"{_CLAUSE}((?:{_ANY})(?:[ ,!.:]+(?:{_ANY}))*(?:[ ,]+{en.ARTICLES})?)(?![\w'-])")
_ARTICLE: Final = re.compile(r"^ *((?:a|an|some|any)) ")
_TRAIL: Final = re.compile(rf"(?:^|[ ,.!?;{BARRIER}])({en.TRAILS})[ ,.!?;{BARRIER}]*$")
_MOST_TRAILS: Final = 4


def read_smalltalk(request: Request) -> None:
    """Takes the wrapping words out; leaves no constraint."""
    for match in _LEAD.finditer(request.open_text):
        request.take(*match.span(1))
    article = _ARTICLE.match(request.open_text)
    if article:
        request.take(*article.span(1))
    for _ in range(_MOST_TRAILS):
        trail = _TRAIL.search(request.open_text)
        if trail is None:
            return
        request.take(*trail.span(1))
