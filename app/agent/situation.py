"""Where a conversation stands: the state before, the move made now, and what they ask of the shop.

Pure functions between dialogue, retrieval and facts: nothing is looked up but the catalogue that is passed in.
"""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from app.agent.dialogue import DialogueState, Intent, Move, read_move
from app.agent.phrases_en import PRICED
from prompts.facts import Asking, Facet, ReplyFacts, ReplyKind
from prompts.money import price_text
from retrieval.catalogue import Catalogue
from retrieval.recommend import RecommendationQuery
from retrieval.search import SearchQuery
from retrieval.understanding import merge
from retrieval.welcome import ANYTHING, Question
from tasteline.types import Choice, Constraint, Filters, Interest, Price, Product, RankedProduct, Ranking, Reason, Turn

CANDIDATES = 40
"""Asked for in chat, so that personal interest has something to choose from."""
RELEVANT = 0.6
"""Share of the best score below which chat does not mention a product."""
FACET_NAMES = ("color", "colour", "material", "size")
KINDS: Mapping[Intent, ReplyKind] = {
    "find": "found",
    "refine": "refined",
    "more": "more",
    "recommend": "recommended",
    "similar": "similar",
    "complement": "complement",
    "choose": "recommended",
    "details": "details",
    "compare": "compared",
    "greeting": "greeting",
    "thanks": "thanks",
    "help": "help",
    "off_topic": "off_topic",
}
SEARCHES: frozenset[Intent] = frozenset({"find", "refine", "more"})
ASKS_BACK: frozenset[Intent] = frozenset({"greeting", "recommend", "choose"})
"""Moves of a newcomer that the shop may answer with a question of its own."""
POINTING: frozenset[Intent] = frozenset({"details", "compare", "similar", "complement"})
"""Moves that need a product to be about."""


@dataclass(frozen=True, slots=True)
class ChatTurn:
    """One message; the conversation before it is the store's."""

    text: str
    conversation_id: str
    user_id: str | None = None
    session_id: str | None = None
    ignore: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Situation:
    state: DialogueState
    """Of this request, after the move."""
    move: Move
    turn: int = 0
    limits: tuple[Constraint, ...] = ()
    """From "cheaper" and the like: what no text says by itself."""
    before: DialogueState = field(default_factory=DialogueState)
    """As it was when the message came."""
    titles: tuple[str, ...] = ()
    """Of the products that were shown then, in their order; empty where one of them is gone."""
    soft: tuple[str, ...] = ()
    """Words of this message's meaning that rank and never limit."""

    @property
    def chosen(self) -> str:
        """What this message chose, as it was offered; "" where it was "anything" or no answer."""
        offered = dict(self.before.options)
        return offered.get(self.move.chosen, "") if self.move.chosen != ANYTHING else ""

    def after(self, shown: tuple[str, ...], question: Question | None = None) -> DialogueState:
        """What to remember once `shown` has been shown and `question` asked."""
        options = tuple((option.id, option.label) for option in question.options) if question else ()
        return replace(self._showing(shown), asked=question.id if question else "", options=options)

    def _showing(self, shown: tuple[str, ...]) -> DialogueState:
        intent = self.move.intent
        if intent in ("details", "compare"):
            return replace(self.state, focus=(self.move.references or shown or (self.state.focus,))[0])
        if intent in ("greeting", "thanks", "help", "off_topic") or not shown:
            return self.state
        return replace(self.state, shown=shown, seen=(*self.state.seen, *shown), focus=shown[0])


def first_look(text: str) -> Situation:
    """When nothing could be looked up: the message as a search of its own."""
    return Situation(DialogueState(fragments=(text,)), Move("find", text))


def read(text: str, ignore: Sequence[str], turns: Sequence[Turn], catalogue: Catalogue) -> Situation:
    """The move that `text` makes after `turns`."""
    answers = [turn for turn in turns if turn.role == "assistant"]
    state = DialogueState.from_json(answers[-1].state) if answers else DialogueState()
    titles = {product_id: product.title for product_id, product in _products(state.shown, catalogue).items()}
    move = read_move(text, state, titles)
    move = replace(move, references=tuple(_products(move.references, catalogue)))
    if move.intent == "refine" and (move.cheaper or move.dearer):
        situation = _repriced(_refined(state, move, ignore), move, len(answers), catalogue)
    else:
        situation = _moved(state, move, ignore, len(answers), catalogue.currency())
    known = tuple(titles.values()) if len(titles) == len(state.shown) else ()
    return replace(situation, before=state, titles=known)


def turned(situation: Situation, intent: Intent, places: Sequence[int], currency: str | None) -> Situation:
    """The same message taken for another move, about the products shown at `places` (from 1; others are ignored)."""
    before, text = situation.before, situation.move.text
    shown = tuple(dict.fromkeys(before.shown[place - 1] for place in places if 0 < place <= len(before.shown)))
    move = Move(intent, text, shown, further=text if intent == "refine" else "")
    made = _moved(before, move, situation.state.ignore, situation.turn, currency)
    return replace(made, before=before, titles=situation.titles)


def reworded(situation: Situation, fragments: Sequence[str], soft: Sequence[str]) -> Situation:
    """With `fragments` in the place of what this message added to the request."""
    state = replace(situation.state, fragments=(*situation.state.fragments[:-1], *fragments))
    limits = situation.limits
    if any(PRICED.search(fragment.casefold()) for fragment in fragments):
        state, limits = _priced_anew(state), ()
    return replace(situation, state=state, limits=limits, soft=tuple(soft))


def _moved(state: DialogueState, move: Move, ignore: Sequence[str], turn: int, currency: str | None) -> Situation:
    if move.intent == "find":
        return Situation(state.starting(move.text, ignore), move, turn)
    if move.intent in ("recommend", "choose"):
        answers = (*state.answers, Choice(state.asked, move.chosen)) if move.intent == "choose" else state.answers
        fresh = DialogueState(shown=state.shown, focus=state.focus, mode="recommend", answers=answers)
        return Situation(fresh, move, turn)
    if move.intent == "similar" and move.references:
        return Situation(replace(state, mode="similar", anchor=move.references[0], seen=()), move, turn)
    if move.intent == "refine":
        state = _refined(state, move, ignore)
    return Situation(state, move, turn, _limit(state, currency))


def _refined(state: DialogueState, move: Move, ignore: Sequence[str]) -> DialogueState:
    """The request with what was added to it and without what was taken back."""
    ignored = dict.fromkeys((*state.ignore, *ignore, *move.takes_back))
    fragments = (*state.fragments, move.further) if move.further else state.fragments
    mode = "search" if fragments else state.mode
    state = replace(state, ignore=tuple(ignored), fragments=fragments, seen=(), mode=mode)
    if "price" in move.takes_back:
        return replace(state, price_min=None, price_max=None)
    return _priced_anew(state) if PRICED.search(move.further.casefold()) else state


def _priced_anew(state: DialogueState) -> DialogueState:
    """A price that is named takes the place of every earlier one, and of "any price"."""
    kept = tuple(key for key in state.ignore if key != "price")
    return replace(state, price_min=None, price_max=None, ignore=kept)


def _repriced(state: DialogueState, move: Move, turn: int, catalogue: Catalogue) -> Situation:
    """ "Cheaper" than what was pointed at, else than the middle of what was shown."""
    pointed = _products(move.references or state.shown, catalogue).values()
    prices = [product.price.amount for product in pointed if product.price]
    if not prices:
        return Situation(state, move, turn)
    middle = int(statistics.median_high(prices) if move.cheaper else statistics.median_low(prices))
    state = replace(state, ignore=tuple(key for key in state.ignore if key != "price"))
    if move.cheaper:
        state = replace(state, price_max=middle - 1, price_min=None)
    else:
        state = replace(state, price_min=middle + 1, price_max=None)
    if not state.fragments and move.references:
        names = [product.categories[-1] for product in pointed if product.categories]
        state = replace(state, fragments=(names[0],) if names else (), mode="search")
    return Situation(state, move, turn, _limit(state, catalogue.currency()))


def _limit(state: DialogueState, currency: str | None) -> tuple[Constraint, ...]:
    if currency is None or (state.price_min is None and state.price_max is None):
        return ()
    low, high = state.price_min, state.price_max
    label = f"under {price_text(Price(high + 1, currency))}" if high is not None else ""
    label = label or f"over {price_text(Price((low or 1) - 1, currency))}"
    return (Constraint("price", label, Filters(price_min=low, price_max=high, currency=currency)),)


def search_query(situation: Situation, user_id: str | None = None) -> SearchQuery | None:
    """The whole request so far as one search; None where the move asks for none."""
    state = situation.state
    if situation.move.intent not in SEARCHES or not state.fragments:
        return None
    more = situation.move.intent == "more"
    return SearchQuery(
        text=state.fragments[0],
        further=state.fragments[1:],
        limits=situation.limits,
        soft=situation.soft,
        filters=Filters(exclude_ids=frozenset(state.seen if more else ())),
        ignore=frozenset(state.ignore),
        limit=CANDIDATES,
        floor=RELEVANT,
        user_id=user_id,
    )


def wanted(situation: Situation, user_id: str | None, session_id: str | None) -> RecommendationQuery | None:
    """The recommendation that the move asks for; None where it asks for none."""
    state, move = situation.state, situation.move
    person = RecommendationQuery(user_id=user_id, session_id=session_id)
    if move.intent == "similar" and move.references:
        return replace(person, context="similar", product_id=move.references[0])
    if move.intent == "complement" and move.references:
        return replace(person, context="cart", cart=move.references)
    more = move.intent == "more"
    unseen = Filters(exclude_ids=frozenset(state.seen if more else ()))
    if more and state.mode == "similar" and state.anchor:
        return replace(person, context="similar", product_id=state.anchor, filters=unseen)
    if state.mode == "recommend" and move.intent in ("recommend", "choose", "refine", "more"):
        newcomer = replace(person, context="welcome", answers=state.answers) if state.answers else person
        return replace(newcomer, filters=merge(unseen, situation.limits))
    return None


def facts_of(
    situation: Situation,
    ranking: Ranking | None,
    interests: Sequence[Interest],
    degraded: Sequence[str],
    catalogue: Catalogue,
    shop_name: str,
) -> ReplyFacts:
    """All that a reply to this move may say."""
    move = situation.move
    kind = _kind(situation, ranking, degraded)
    facts = ReplyFacts(
        kind=kind,
        turn=situation.turn,
        request=move.text,
        departments=tuple(catalogue.top_categories()[:6]),
        degraded=tuple(degraded),
        shop_name=shop_name,
    )
    if move.intent in ("details", "compare"):
        shown = tuple(
            RankedProduct(product, 1.0, (Reason("match", "", (product.id,)),))
            for product in _products(move.references, catalogue).values()
        )
        return replace(facts, products=shown, total=len(shown), asked=_asked(move.text, shown))
    if ranking is None:
        return facts
    anchor = _products(move.references[:1], catalogue) if move.intent in ("similar", "complement") else {}
    understood = ranking.understood
    return replace(
        facts,
        query=understood.query if understood else "",
        constraints=understood.constraints if understood else (),
        products=() if kind == "nothing_found" or _exhausted(situation, ranking) else ranking.items,
        total=ranking.total if ranking.understood else max(ranking.total, len(ranking.items)),
        closest=bool(understood and understood.query and not ranking.total),
        relaxations=ranking.relaxations if kind == "nothing_found" else (),
        interests=tuple(interests[:3]) if kind == "recommended" else (),
        anchor=next(iter(anchor.values()), None),
        facets=_facets(ranking.items),
    )


def put_to(question: Question | None) -> Asking | None:
    """A question as the reply puts it."""
    if question is None:
        return None
    return Asking(question.text, tuple(option.label for option in question.options))


def _exhausted(situation: Situation, ranking: Ranking | None) -> bool:
    """More was asked for, and all that fits has been shown already."""
    none_left = ranking is not None and (not ranking.items or bool(ranking.relaxations))
    return situation.move.intent == "more" and bool(situation.state.seen) and none_left


def _kind(situation: Situation, ranking: Ranking | None, degraded: Sequence[str]) -> ReplyKind:
    move = situation.move
    if "retrieve" in degraded:
        return "degraded"
    if move.intent in POINTING and not move.references:
        return "clarify"
    if move.intent in SEARCHES and ranking is None:
        return "clarify"
    if _exhausted(situation, ranking):
        return "more"
    if ranking is not None and (not ranking.items or ranking.relaxations):
        return "nothing_found"
    if move.intent in ("more", "refine") and situation.state.mode == "recommend":
        return "recommended"
    return KINDS[move.intent]


def _products(ids: Sequence[str], catalogue: Catalogue) -> dict[str, Product]:
    """Those that still exist, in order."""
    rows = ((product_id, catalogue.row(product_id)) for product_id in ids)
    return {product_id: catalogue.product(row) for product_id, row in rows if row is not None}


def _asked(text: str, shown: Sequence[RankedProduct]) -> tuple[str, ...]:
    """Attributes of the product that the message names, and what it names beside them ("weight")."""
    low, told = text.casefold(), " ".join(item.product.title for item in shown).casefold()
    names = dict.fromkeys(name for item in shown for name in item.product.attributes)
    asked = [name for name in names if name.casefold() in low]
    general = ("size", "weight", "color", "material", "capacity", "warranty", "waterproof", "wireless")
    return tuple(dict.fromkeys(asked + [name for name in general if name in low and name not in told]))


def _facets(items: Sequence[RankedProduct]) -> tuple[Facet, ...]:
    """What the products shown differ in, commonest value first: what a follow-up can truly ask for."""
    facets = []
    for name in FACET_NAMES:
        values = Counter(value for item in items for value in item.product.attributes.get(name, ()))
        if len(values) > 1:
            facets.append(Facet(name, tuple(value for value, _ in values.most_common(5))))
    return tuple(facets)
