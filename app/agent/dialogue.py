"""What a message means in its conversation: which move it makes, and what "it" and "the second one" are.

Rules only; takes the message and the state after the turn before, gives a `Move`. Knows neither store nor index.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from pydantic import TypeAdapter

Intent = Literal[
    "find",
    "refine",
    "more",
    "recommend",
    "similar",
    "complement",
    "details",
    "compare",
    "greeting",
    "thanks",
    "help",
    "off_topic",
]


@dataclass(frozen=True, slots=True)
class DialogueState:
    """What the assistant remembers after a turn."""

    fragments: tuple[str, ...] = ()
    """The request so far: what was asked first, then each refinement."""
    price_min: int | None = None
    price_max: int | None = None
    """From "cheaper" and its opposite, in minor units."""
    ignore: tuple[str, ...] = ()
    shown: tuple[str, ...] = ()
    """Product ids of the last answer, in the order that the shopper sees."""
    seen: tuple[str, ...] = ()
    """All that was shown for this request: "more" leaves them out."""
    focus: str | None = None
    """What "it" is."""
    mode: Literal["search", "recommend"] = "search"

    def to_json(self) -> str:
        return STATE.dump_json(self).decode()

    @classmethod
    def from_json(cls, text: str) -> DialogueState:
        """An unreadable state is an empty one: the shopper is asked again rather than refused."""
        try:
            return STATE.validate_json(text)
        except ValueError:
            return cls()

    def starting(self, text: str, ignore: Sequence[str]) -> DialogueState:
        """A new request forgets the old one's limits; what was shown stays nameable."""
        return replace(
            self, fragments=(text,), price_min=None, price_max=None, ignore=tuple(ignore), seen=(), mode="search"
        )


STATE = TypeAdapter(DialogueState)


@dataclass(frozen=True, slots=True)
class Move:
    intent: Intent
    text: str
    references: tuple[str, ...] = ()
    """Ids of shown products that the message points at."""
    cheaper: bool = False
    dearer: bool = False
    takes_back: tuple[str, ...] = ()
    """Constraint keys, or their first parts, that the shopper lifts: "any color"."""


PLACES = ("first", "second", "third", "fourth", "fifth", "sixth")
ORDINALS: Mapping[str, int] = {
    word: place
    for place, words in enumerate(
        (
            ("1st", "one", "1"),
            ("2nd", "two", "2"),
            ("3rd", "three", "3"),
            ("4th", "four", "4"),
            ("5th", "five", "5"),
            ("6th", "six", "6"),
        )
    )
    for word in (PLACES[place], *words)
}
PLACE = "(?:the )?(" + "|".join((*PLACES, "1st", "2nd", "3rd", "4th", "5th", "6th", "last")) + ")"
COUNT = "(one|two|three|four|five|six|[1-6])"
AND = r"\s*(?:and|&|,|vs\.?|with|to|or)\s*"


def _said(*phrases: str) -> re.Pattern[str]:
    """Any of these phrases (regular expressions), as whole words."""
    return re.compile(rf"\b(?:{'|'.join(phrases)})(?!\w)")


def _begins(*phrases: str) -> re.Pattern[str]:
    return re.compile(rf"^(?:{'|'.join(phrases)})(?!\w)")


BY_PLACE = _said(PLACE + "(?! (?:time|aid|edition|gen))")
BY_NUMBER = re.compile(rf"(?:#\s*|\bnumbers? |\bno\.? |\boptions? ){COUNT}\b(?:{AND}{COUNT}\b)?")
PAIR = _said(rf"(?:compare|between) (?:numbers? )?([1-6]){AND}([1-6])")
FIRST_FEW = _said("(?:the )?(?:first|top) (two|three|2|3)")
THESE = _said("them", "these", "those", "both", "all of (?:them|these)")
IT = _said("it", "its", "this", "that", "this one", "that one")

GREETING = re.compile(
    r"^(?:hi|hello|hey|good (?:morning|afternoon|evening|day)|greetings|howdy)[\s!.,]*(?:there|all)?[\s!.?]*$"
)
THANKS = re.compile(
    r"^(?:(?:ok(?:ay)?|great|perfect|cool|nice|no)[\s,!.]+)?(?:thanks?|thank you|thx|cheers|bye|goodbye)\b.*$"
)
HELP = _said(
    "what can you (?:do|help)", "who are you", "what are you", "how (?:do|does) (?:this|it|you) work", "^help$"
)
RECOMMEND = _said(
    "recommend(?:ations?)?(?! (?:a|an|me a|me an|some))",
    "suggest(?:ions?)?(?! (?:a|an|me a|me an|some))",
    "something for me",
    "surprise me",
    "inspire me",
    "what (?:would|might|could) i like",
    "what(?:'s| is) (?:new|popular|trending)",
    "any ideas",
)
SIMILAR = _said(
    "similar", "like (?:it|this|that|the|number)", "like #", "alternatives?", "same (?:kind|style)", "more like"
)
COMPLEMENT = _said(
    "goes? (?:well )?with",
    "go(?:es)? together",
    "match(?:es)? (?:it|this|that|the)",
    "accessor(?:y|ies) for (?:it|this|that|the)",
    "what else (?:do|would|will) i need",
    "pairs? with",
)
COMPARE = _said("compare", "difference", "differ", "versus", "vs", "which (?:one )?is (?:better|best|cheaper|lighter)")
MORE = re.compile(
    r"^(?:(?:show|give)(?: me)? )?(?:(?:some|any|a few) )?"
    r"(?:more|others?|other (?:options|ones)|something else|next|else)"
    r"(?: (?:please|options|results|ones|products|like (?:these|those)))*[\s.!?]*$"
)
CHEAPER = _said(
    "cheaper", "less expensive", "lower price", "more affordable", "too (?:expensive|much|pricey)", "lower budget"
)
DEARER = _said(
    "more expensive", "pricier", "higher[- ]end", "more premium", "better quality", "fancier", "more upscale"
)
DETAILS = _said(
    "(?:tell me )?more about",
    "tell me about",
    "more (?:info|details)",
    "details",
    "how much (?:is|does|are)",
    "what(?:'s| is) the (?:price|size|weight|capacity|colou?r|material|rating)",
    rf"(?:is|are|does|do|has|have|can|how (?:big|heavy|many|long|large) (?:is|are)) (?:it|this|that|they|{PLACE})",
)
REFINES = re.compile(
    r"^(?:(?:and|but|ok(?:ay)?|no|yes|hmm),? )*"
    r"(?:in|but|only|just|with|without|not|no|make it|also|under|over|below|above|for|by|from|any|ones?"
    r"|something (?:in|under|over|with|without)|what about|how about|do you have (?:it|them|these|one|any) in"
    r"|preferably|rather|instead|(?:show|have) (?:it|them) in)\b"
)
ANY = re.compile(r"^(?:in )?any (price|brand|rating|stars|colou?r|size|material|category|gender)(?: is fine)?[\s.!]*$")
IS_FINE = re.compile(r"^(\w[\w -]{0,40}?) (?:is|are|would be) (?:fine|ok|okay|good|alright)[\s.!]*$")
ALSO_SOLD_OUT = _said("also what is out of stock", "out of stock (?:is|are) (?:fine|ok|okay)")
FILLERS = re.compile(r"\b(?:show|only|just|make|it|them|ones?|what about|how about|do you have|any)\b", re.IGNORECASE)
OFF_TOPIC = _said(
    "weather",
    "capital of",
    "president",
    "prime minister",
    "write (?:me )?(?:a|an|some) (?:poem|story|essay|song|code|script|function|email)",
    "translate",
    "(?:tell|know) (?:me )?a joke",
    "solve",
    "equation",
    "python script",
    "javascript",
    "stock market",
    "bitcoin",
    "football score",
    "who (?:won|was|invented)",
    "meaning of life",
    "politics",
    "religion",
    r"ignore (?:\w+ )?(?:previous|prior|above)",
    "system prompt",
    "your instructions",
    "pretend (?:to be|you)",
    "jailbreak",
    "medical advice",
    "legal advice",
)

SMALL_TALK: tuple[tuple[Intent, re.Pattern[str]], ...] = (
    ("greeting", GREETING),
    ("thanks", THANKS),
    ("help", HELP),
    ("off_topic", OFF_TOPIC),
)


def read_move(message: str, state: DialogueState, titles: Mapping[str, str]) -> Move:
    """`titles`: id → title of the products last shown. A message without sense is a search, which may find nothing."""
    text = " ".join(message.split())
    low = text.casefold()
    references = _references(low, state, titles)
    for intent, pattern in SMALL_TALK:
        if pattern.search(low):
            return Move(intent, text)
    if (state.shown or state.focus) and (move := _about_shown(low, text, references, state)):
        return move
    if state.fragments and (taken_back := _taken_back(low)):
        return Move("refine", text, takes_back=taken_back)
    if state.fragments and (REFINES.match(low) or CHEAPER.search(low) or DEARER.search(low)):
        said = " ".join(FILLERS.sub(" ", text).split()) or text
        return Move("refine", said, references, bool(CHEAPER.search(low)), bool(DEARER.search(low)))
    if RECOMMEND.search(low):
        return Move("recommend", text)
    return Move("find", text)


def _taken_back(low: str) -> tuple[str, ...]:
    """What "any price" and "leather is fine" lift, as constraint keys or their first parts."""
    if match := ANY.match(low):
        field = {"colour": "color", "stars": "rating"}.get(match[1], match[1])
        return (field,)
    if ALSO_SOLD_OUT.search(low):
        return ("stock",)
    if match := IS_FINE.match(low):
        return (f"without:{'-'.join(match[1].split())}",)
    return ()


def _about_shown(low: str, text: str, references: tuple[str, ...], state: DialogueState) -> Move | None:
    """Moves that only make sense once something is on the table."""
    pointed = references or ((state.focus,) if state.focus and IT.search(low) else ())
    if CHEAPER.search(low) or DEARER.search(low):
        return Move("refine", text, pointed, bool(CHEAPER.search(low)), bool(DEARER.search(low)))
    if COMPARE.search(low):
        return Move("compare", text, references if len(references) > 1 else state.shown[:2])
    if COMPLEMENT.search(low):
        return Move("complement", text, pointed or state.shown[:1])
    if SIMILAR.search(low):
        return Move("similar", text, pointed or state.shown[:1])
    if MORE.match(low):
        return Move("more", text)
    if DETAILS.search(low) and (pointed or state.focus or len(state.shown) == 1):
        return Move("details", text, pointed or ((state.focus,) if state.focus else state.shown[:1]))
    if not REFINES.match(low) and (references or BY_PLACE.fullmatch(low.removesuffix(" one").strip(" .!?"))):
        # A place that nothing was shown at leaves the references empty: the reply asks which one is meant.
        return Move("details", text, references)
    return None


def _references(low: str, state: DialogueState, titles: Mapping[str, str]) -> tuple[str, ...]:
    shown = state.shown
    if not shown:
        return ()
    if match := FIRST_FEW.search(low):
        return shown[: 3 if match[1] in ("three", "3") else 2]
    places = [int(number) - 1 for match in PAIR.finditer(low) for number in match.groups()]
    places += [ORDINALS[word] for match in BY_NUMBER.finditer(low) for word in match.groups() if word]
    places += [len(shown) - 1 if match[1] == "last" else ORDINALS[match[1]] for match in BY_PLACE.finditer(low)]
    if places:
        return tuple(dict.fromkeys(shown[place] for place in places if place < len(shown)))
    if THESE.search(low) and COMPARE.search(low):
        return shown[:3]
    return _by_name(low, shown, titles)


def _by_name(low: str, shown: Sequence[str], titles: Mapping[str, str]) -> tuple[str, ...]:
    """ "the Fernhollow one": words that name just one of the products shown, said with an article."""
    if not re.search(r"\b(?:the|that|this)\b", low):
        return ()
    said = set(re.findall(r"\w{3,}", low))
    words = {product_id: set(re.findall(r"\w{3,}", titles.get(product_id, "").casefold())) for product_id in shown}
    hits = {}
    for product_id in shown:
        others = set().union(*(words[other] for other in shown if other != product_id))
        hits[product_id] = len(said & (words[product_id] - others))
    best = max(hits.values())
    return tuple(product_id for product_id in shown if hits[product_id] == best)[:1] if best else ()
