"""The check of a sentence about a person: may it be said, and which events bear it out?

Takes a sentence of a language model with the numbers of the lines that it rests on, those lines (steps, and after them
the turn where one was found), gives the sentence with its events, or why it may not be said. Closed by default: a
sentence has one of a few openings, which claim no more than an event shows, and everything after it is said of one
product. That somebody turned is said only of the turn that was found, in its names, in its direction, quoting its line.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final, Literal

from app.agent.grounding import CLAIM, product_words, root, roots
from app.agent.grounding import phrase_pattern as phrase
from prompts import view
from prompts.interest_turn import InterestTurn, callings
from prompts.interest_words import NumberedSentence, Sentence
from prompts.step import Step
from prompts.untrusted import plain
from tasteline.types import Product

Why = Literal["unquoted", "unfinished", "opening", "claim", "word", "empty", "turn"]

_VERBS: Final = {
    "bought": "bought", "purchased": "bought", "ordered": "bought",
    "viewed": "viewed", "looked at": "viewed", "browsed": "viewed", "were looking at": "viewed",
    "saved": "saved", "wishlisted": "saved",
    "put": "put in the cart", "added": "put in the cart",
}  # fmt: skip
"""Verb → the act that every product it is said of must have seen."""
_ACT = re.compile(
    r"(?:(?:you|you've|have|also|then|recently|just|lately)\s+)*(?P<verb>" + "|".join(_VERBS) + r")\b", re.IGNORECASE
)
_DRAWN = re.compile(
    r"you (?:also )?(?:are|seem|seem to be|may be|might be) (?:also )?(?:interested in|drawn to)\b"
    r"|you (?:also )?(?:may|might|seem to) (?:also )?(?:like|enjoy)\b"
    r"|you (?:also )?(?:show|have shown|have) (?:an )?interest in\b",
    re.IGNORECASE,
)
"""What any event shows: attention. Not "you need", "you own", "you are a", "your skin"."""
_IN_CART = re.compile(r"\s*\b(?:in|into|to)\s+(?:the|your)\s+(?:shopping\s+)?cart\b", re.IGNORECASE)
_PART = re.compile(r"\s*[,;:()]\s*|\s+(?:and|or|but|&|–|—|-)\s+|(?<=[.!])\s+", re.IGNORECASE)
TOKEN = re.compile(r"[^\W_][\w'’.%/-]*")
_LINKING_WORDS = """
a an the this that these those some several few both of for from in on at by with about to also too then and or it its
them product products item items thing things kind kinds sort type types brand category such as
"""
LINKING: Final = frozenset(_LINKING_WORDS.split())
"""Words that say nothing by themselves. Fewer than `harmless_words`, which praise and speak to the shopper: a sentence
about a person may do neither."""
_MOVED = r"(?:turn(?:ed|s|ing)?|mov(?:ed?|es|ing)|switch\w*|shift\w*|drift\w*|chang\w*|swap\w*|went|gone|going)"
_TURNS = re.compile(rf"\b{_MOVED}\b.*\b(?:from|to|towards?|into|away)\b", re.IGNORECASE)
"""Reads as a turn, whoever wrote it: also in a title that is quoted. What else says so has none of the openings."""
_TURNED = (
    r"(?:(?:lately|recently),?\s+)?you(?:['’]ve|\s+have)?(?:\s+(?:also|lately|recently|just))*"
    r"\s+(?:turned|moved|switched|shifted|went|gone)(?:\s+away)?"
)
_LATELY = r"(?:\s+(?:lately|recently))?(?=[.!,:;]|\s+and\b)"
_LED = re.compile(r"^(?:\s*[,:;])?(?:\s+and\b)?\s*")
"""Between a turn and what else the sentence tells."""


def check_sentence(
    sentence: NumberedSentence, steps: Sequence[Step], turn: InterestTurn | None = None
) -> Sentence | Why:
    """The sentence with those of its events that bear it out, or why it may not be said.

    Lines count from 1: the steps, then the turn.

    >>> from tasteline.types import Event, EventType
    >>> steps = [Step(Event("e1", EventType.PURCHASE), Product("1", "Willow Teapot", categories=("Kitchen", "Tea")))]
    >>> check_sentence(NumberedSentence("You bought a teapot.", (1,)), steps)
    Sentence(text='You bought a teapot.', event_ids=('e1',))
    >>> check_sentence(NumberedSentence("You viewed a teapot.", (1,)), steps)
    'word'
    >>> check_sentence(NumberedSentence("You love tea.", (1,)), steps)
    'opening'
    >>> check_sentence(NumberedSentence("You turned from Games to Kitchen.", (1,)), steps)
    'turn'
    """
    lines = len(steps) + (turn is not None)
    if not sentence.lines or not all(1 <= line <= lines for line in sentence.lines):
        return "unquoted"
    quoted = [steps[line - 1] for line in sentence.lines if line <= len(steps)]
    text = plain(sentence.text, 240)
    claims_turn = bool(_TURNS.search(text))
    openings = ("You", "Lately", "Recently") if claims_turn else "You"
    if not text.endswith((".", "!")) or not text.startswith(openings):
        return "unfinished"
    if not claims_turn:
        return _with_events(text, _borne(text, quoted))
    rest = _after_turn(text, turn) if turn is not None and lines in sentence.lines else None
    if turn is None or rest is None:
        return "turn"
    return _with_events(text, _borne(rest, quoted) if rest.strip(".! ") else {}, turn.evidence)


def _with_events(text: str, borne: dict[str, None] | Why, shown: tuple[str, ...] = ()) -> Sentence | Why:
    return borne if isinstance(borne, str) else Sentence(text, tuple(dict.fromkeys((*shown, *borne))))


def _after_turn(text: str, turn: InterestTurn) -> str | None:
    """What a sentence says beside that very turn; None where it does not say that one, or says another as well."""
    for before in callings(turn.before):
        for after in callings(turn.after):
            one, other = (phrase(name).pattern.replace(r"\&", "(?:&|and)") for name in (before, after))
            way = rf"(?:from\s+{one}\s+to(?:wards?)?\s+{other}|to(?:wards?)?\s+{other}\s+from\s+{one})"
            found = re.match(rf"{_TURNED}\s+{way}{_LATELY}", text, re.IGNORECASE)
            if found is not None:
                rest = _LED.sub("", text[found.end() :])
                return None if _TURNS.search(rest) else rest
    return None


def _borne(text: str, quoted: Sequence[Step]) -> dict[str, None] | Why:
    """Ids of the events that bear out everything that is said of products."""
    if CLAIM.search(_without_titles(text, quoted)):
        return "claim"
    parts = _said(text)
    if parts is None:
        return "opening"
    borne: dict[str, None] = {}
    for act, part in parts:
        bearing = [step for step in quoted if act in (None, step.act) and _covers(step.product, part)]
        if not bearing:
            return "word"
        borne |= dict.fromkeys(step.event.id for step in bearing)
    return borne or "empty"


def _said(text: str) -> list[tuple[str | None, str]] | None:
    """(act, words) of each part of a sentence that says something; None where it has no such opening.

    The act is None where any will do. It holds until the next verb: "You saved a cup and a pot, and bought tea."
    """
    drawn = _DRAWN.match(text)
    act: str | None = None
    parts: list[tuple[str | None, str]] = []
    for place, piece in enumerate(_PART.split(text[drawn.end() :] if drawn else text)):
        verb = _ACT.match(piece)
        if verb is not None:
            act = _VERBS[verb["verb"].casefold()]
        elif place == 0 and drawn is None:
            return None
        said = piece[verb.end() :] if verb else piece
        if act == "put in the cart":
            said = _IN_CART.sub("", said)
        if _telling(said):
            parts.append((act, said))
    return parts


def _telling(text: str) -> list[str]:
    tokens = (token.rstrip(".'’-/") for token in TOKEN.findall(text.casefold()))
    return [token for token in tokens if token and token not in LINKING]


def _covers(product: Product, text: str) -> bool:
    """Is every telling word one of the product's, and every figure one of its title, of the same thing?

    A brand is named as it is written: "a body shop" is not The Body Shop.
    """
    known = product_words(product)
    brand = plain(product.brand or "", 60)
    if brand and brand not in text and set(map(root, _telling(text))) <= set(roots(brand)):
        return False
    tokens = [token.rstrip(".'’-/") for token in TOKEN.findall(text.casefold())]
    title = f" {' '.join(token.rstrip('.,') for token in TOKEN.findall(view.title(product, 200).casefold()))} "
    for place, token in enumerate(tokens):
        if any(character.isdigit() for character in token):
            if f" {' '.join(tokens[place : place + 2])} " not in title:
                return False
        elif token not in LINKING and root(token) not in known and not all(r in known for r in roots(token)):
            return False
    return True


def _without_titles(text: str, steps: Sequence[Step]) -> str:
    """What is left when titles, or beginnings of them, are taken out: their words are quoted, not claimed."""
    for step in steps:
        words = view.title(step.product, 120).removesuffix("...").split()
        for count in range(len(words), 1, -1):
            text, times = phrase(" ".join(words[:count])).subn(" ", text)
            if times:
                break
    return text
