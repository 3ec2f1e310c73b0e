"""Brands asked for: "by Canon", "Canon or Nikon", or the bare name where this shop's titles are clear about it."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

from retrieval.understanding import words_en as en
from retrieval.understanding.request import Request, any_of
from retrieval.understanding.vocabulary import Phrase, Vocabulary, longest
from tasteline.types import Constraint, Filters


@dataclass(frozen=True, slots=True)
class _Mention:
    phrase: Phrase
    first: int
    end: int
    """Word positions, `end` exclusive."""
    explicit: bool
    soft: bool
    start: int
    """Where the words to take out begin, "by" included."""
    stop: int


def read_brands(request: Request, vocabulary: Vocabulary) -> None:
    """One constraint for all brands named, as any of them will do. If one of several is unsure, all stay soft words."""
    mentions = _mentions(request, vocabulary)
    explicit = [m for m in mentions if m.explicit]
    chosen = explicit or ([] if any(m.soft for m in mentions) else mentions)
    if not chosen:
        return
    for mention in chosen:
        request.take(mention.start, mention.stop)
    phrases = list(dict.fromkeys(m.phrase for m in chosen))
    names = [vocabulary.evidence[p].names for p in phrases]
    constraint = Constraint(
        key="brand:" + ",".join("-".join(p) for p in phrases),
        label="by " + any_of(n[0] for n in names),
        filters=Filters(brands=tuple(name for group in names for name in group)),
    )
    request.add(constraint, *(request.span(m.first, m.end) for m in chosen))
    _take_links(request, chosen)


def _take_links(request: Request, mentions: list[_Mention]) -> None:
    """The "or" between two brands that were taken."""
    for a, b in pairwise(mentions):
        if b.first - a.end == 1 and request.words[a.end].text in en.LIST_WORDS:
            request.take(*request.span(a.end, b.first))


def _mentions(request: Request, vocabulary: Vocabulary) -> list[_Mention]:
    words = [w.text for w in request.words]
    found: list[_Mention] = []
    i = 0
    while i < len(words):
        phrase = longest(vocabulary.brand_phrases, words, i) if words[i] in vocabulary.brand_phrases else None
        if phrase and request.phrase_at(i, phrase):
            found.append(_mention(request, vocabulary, words, i, phrase, found))
            i += len(phrase)
        else:
            i += 1
    return found


def _mention(
    request: Request, vocabulary: Vocabulary, words: list[str], i: int, phrase: Phrase, found: list[_Mention]
) -> _Mention:
    end = i + len(phrase)
    start, stop = request.span(i, end)
    explicit = False
    linked = found[-1] if found and _is_list(words[found[-1].end : i]) else None
    if i and words[i - 1] in en.BY and request.adjacent(i - 1, i):
        explicit, start = True, _said_from(request, words, i)
    elif end < len(words) and words[end] == "brand" and request.adjacent(end - 1, end):
        explicit, stop = True, request.words[end].end
    elif linked is not None and linked.explicit:
        explicit = True
    beside = [w for k, w in enumerate(words) if not i <= k < end and w not in en.STOP_WORDS]
    soft = not vocabulary.evidence[phrase].is_meant(beside) or _is_about_fit(words, i, end, vocabulary)
    return _Mention(phrase, i, end, explicit, soft, start, stop)


def _said_from(request: Request, words: list[str], i: int) -> int:
    """ "made by", "brand: by": where the words before the name begin."""
    made = i >= 2 and words[i - 2] in ("made", "brand", "something", "anything") and request.adjacent(i - 2, i - 1)
    return request.words[i - 2 if made else i - 1].start


def _is_list(between: list[str]) -> bool:
    return len(between) <= 1 and all(word in en.LIST_WORDS for word in between)


def _is_about_fit(words: list[str], i: int, end: int, vocabulary: Vocabulary) -> bool:
    """ "case for …", "… or similar": the name says what goes with it or stands beside it, not who made it."""
    before = words[max(0, i - en.FITTING_REACH) : i]
    alternative = end + 1 < len(words) and words[end] == "or" and words[end + 1] not in vocabulary.brand_phrases
    compared = end < len(words) and words[end] in ("vs", "versus", "compatible", "style", "like", "type")
    return any(word in en.FITTING for word in before) or alternative or compared
