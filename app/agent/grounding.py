"""The check that nothing untrue leaves: which sentences of a language model are covered by the facts of the answer.

Takes what the model wrote and the ReplyFacts it was asked to word; gives the sentences that may be shown and why the
others may not. Closed by default: a sentence stays only when every number belongs to the product it is said of, every
name is one of the answer's, and every other word is either in those products' data or on a short list of words that
claim nothing (`harmless_words`). Knows no engine; descriptions are no facts here, since their authors may say anything.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from app.agent.harmless_words import COUNTED, HARMLESS, ORDINALS
from prompts import view
from prompts.facts import ReplyFacts
from prompts.money import SYMBOLS, amount_of
from prompts.untrusted import plain
from tasteline.types import Product

Why = Literal["markup", "link", "unfinished", "echo", "repeated", "claim", "number", "name", "word"]
Verdict = Literal["ok", "partly", "replaced"]

_CODE = re.compile(r"```.*?(?:```|\Z)|<(script|style)\b.*?(?:</\1\s*>|\Z)", re.DOTALL | re.IGNORECASE)
_LINK = re.compile(
    r"\]\(|\bwww\.|\w://|javascript:|\S@\S|\b[a-z0-9-]+\.(?:com|net|org|io|shop|example)\b", re.IGNORECASE
)
_SENTENCE_END = re.compile(r"(?<=[.!?])[\"”’')]*\s+(?=[\"“‘(]?[^\W_a-z])")
_FINISHED = re.compile(r"[.!?][\"”’')]*$")
_BULLET = re.compile(r"^(?:[-*•–—]|\(?\d{1,2}[.)])\s+")
_ECHO = re.compile(
    r"\b(?:facts|asked for:|shop assistant|language model|as an ai|instruction\w*|prompt\w*|system|shoppers?|"
    r"customers?|users?|assistant|sentence|respon[ds]\w*)(?!\w)",
    re.IGNORECASE,
)
CLAIM = re.compile(
    r"(?<!\w)(?:best\w*|cheap\w*|lowest|highest|greatest|finest|most|top[- ]rated|number one|#\s*1|less|more|better|"
    r"free|ship\w*|deliver\w*|discount\w*|sales?|sold|off|save|saving\w*|guarant\w*|warrant\w*|refund\w*|returns?|"
    r"money[- ]back|reviews?|award\w*|certif\w*|limited|exclusive\w*|popular|trending|new|perfect\w*|last chance|hurry|"
    r"coupons?|code|only|every\w*|always|never|not?|\w+n['’]t|without|stock|availab\w*|left)(?!\w)",
    re.IGNORECASE,
)
_BUNDLE = re.compile(
    r"\b(?:comes?|goes|go|works?|fits?|suits?|match\w*|has|have|takes?)\b[^,;:]* with [^,;:]*⟦\d", re.IGNORECASE
)
"""Two products said to belong together, which only an answer about complements knows."""
_STOCK = re.compile(r"\b(in|out of) stock\b", re.IGNORECASE)
_ASKED = re.compile(
    r"\b(?:ask\w*|look\w*|search\w*|request\w*|want\w*) for ((?:(?![:,;.!?⟦]| take | have | could ).)+)", re.IGNORECASE
)
_FOR_IT = re.compile(r"\b(?:could|might|may)\b.*? for ((?:an?|your|some|the) [^:,;.!?⟦]+)(?=[.!?])", re.IGNORECASE)
"""A hedged "could be a choice for a picnic", where a picnic was asked for."""
_VERB = re.compile(
    r"\b(?:is|are|be|has|asked|can|could|may|might|would|will|should|take|have|look|see|try|consider|like|fits?|suits?|found|"
    r"recommend|suggest|costs?|check|explore|comes?|goes|go|offers?|start|works?|['’](?:s|re|ve|d|ll))\b",
    re.IGNORECASE,
)
_MENTION = re.compile(r"⟦(\d+)⟧")
_MASK = re.compile(r"⟦\w+⟧")
_WORD = re.compile(r"[^\W\d_][\w'’-]*")
_AMOUNT = re.compile(
    r"(?P<sign>[A-Z]{0,3}[$€£¥₹₩])?\s?(?<![\w.,])(?P<number>\d+(?:,\d{3})*(?:\.\d+)?)(?:\s?(?P<unit>%|\w+))?",
    re.IGNORECASE,
)
_MONEY_WORDS = frozenset(
    [
        "dollar",
        "dollars",
        "bucks",
        "euro",
        "euros",
        "pound",
        "pounds",
        "yen",
        "cent",
        "cents",
        "rupees",
        "francs",
        "usd",
        "eur",
        "gbp",
        "jpy",
        "chf",
    ]
)
_ARTICLES = frozenset(["a", "an", "the", "some", "any", "of", "for", "and", "or", "with", "in", "my", "your", "to"])
_FEWEST_WORDS = 4
_LONGEST = 400


@dataclass(frozen=True, slots=True)
class Dropped:
    sentence: str
    why: Why


@dataclass(frozen=True, slots=True)
class Checked:
    text: str
    """What may be shown; empty when nothing may, and the template speaks alone."""
    dropped: tuple[Dropped, ...]
    verdict: Verdict
    """ok: all of it is kept; partly: some; replaced: nothing."""


@dataclass(frozen=True)
class _Known:
    """What may be said, prepared for look-ups. Masks stand for names and phrases that are true as they are."""

    facts: ReplyFacts

    @cached_property
    def products(self) -> tuple[Product, ...]:
        """Those shown, then the ones referred to."""
        shown = tuple(ranked.product for ranked in self.facts.products)
        return shown + ((self.facts.anchor,) if self.facts.anchor else ()) + self.facts.cart

    @cached_property
    def shown(self) -> int:
        return len(self.facts.products)

    @cached_property
    def names(self) -> tuple[tuple[re.Pattern[str], str], ...]:
        """(pattern, mask), longest name first: full titles, and beginnings of titles that only one product has."""
        found: dict[str, str] = {}
        titles = [view.title(product, 120).removesuffix("...") for product in self.products]
        for place, title in enumerate(titles):
            words = title.split()
            for count in range(len(words), 1, -1):
                start = " ".join(words[:count])
                if sum(other.casefold().startswith(start.casefold()) for other in titles) == 1:
                    found.setdefault(start, f"⟦{place}⟧")
            found.setdefault(title, f"⟦{place}⟧")
        labels = (plain(constraint.label, 60) for constraint in self.facts.constraints)
        found |= {label: "⟦L⟧" for label in labels if label}
        found |= {topic: "⟦T⟧" for i in self.facts.interests if (topic := plain(i.topic, 40))}
        return tuple((phrase_pattern(name), found[name]) for name in sorted(found, key=len, reverse=True))

    @cached_property
    def query_words(self) -> frozenset[str]:
        """Of the shopper's words those that are harmless to repeat as what was asked for."""
        return frozenset(roots(view.topic(self.facts)))

    def words(self, places: Iterable[int]) -> frozenset[str]:
        """Words of fact that hold for every one of these products."""
        rows = [product_words(self.products[place]) for place in places]
        return frozenset.intersection(*rows) if rows else frozenset()


@dataclass(frozen=True, slots=True)
class _Sentence:
    raw: str
    masked: str
    known: _Known

    def mentioned(self) -> tuple[int, ...]:
        return tuple(int(place) for place in _MENTION.findall(self.masked))

    def about(self) -> tuple[int, ...]:
        """The products that the sentence is about: those named, else all that are shown."""
        named = tuple(place for place in self.mentioned() if place < self.known.shown)
        return named or tuple(range(self.known.shown))

    def owner(self, position: int) -> Product | None:
        """The product that something at `position` is said of: the name before it, else the only one there is."""
        before = [int(m.group(1)) for m in _MENTION.finditer(self.masked) if m.start() < position]
        candidates = before[-1:] or (self.about() if len(self.about()) == 1 else ())
        return self.known.products[candidates[0]] if candidates else None


@dataclass(frozen=True, slots=True)
class Judged:
    """One sentence: made plain, and what speaks against it."""

    text: str
    why: Why | None = None
    about: tuple[int, ...] = ()
    """Places (from 0) of the products shown that it names."""


class Grounding:
    """The check for one answer, sentence by sentence as they are written; remembers what it let pass."""

    def __init__(self, facts: ReplyFacts) -> None:
        self._known = _Known(facts)
        self.kept: list[str] = []

    def judge(self, raw: str) -> Judged:
        """Errs on the side of dropping."""
        raw = raw.strip()
        if len(raw) > _LONGEST:  # nothing of the kind is shown, and patterns take their time over it
            return Judged(raw[:_FEWEST_WORDS], "unfinished")
        text = plain(raw, _LONGEST)
        if _LINK.search(raw):
            return Judged(text or raw, "link")
        if text in self.kept:
            return Judged(text, "repeated")
        why = _objection(text, self._known)
        if why is None:
            self.kept.append(text)
        named = _Sentence(text, _masked(text, self._known), self._known).mentioned()
        return Judged(text, why, tuple(place for place in named if place < self._known.shown))

    def quotes_an_amount(self, judged: Judged) -> bool:
        """A true one, when it passed."""
        return bool(re.search(r"\d", _MASK.sub(" ", _masked(judged.text, self._known))))


def check(text: str, facts: ReplyFacts) -> Checked:
    """Sentence by sentence; errs on the side of dropping.

    >>> from tasteline.types import Price, Product, RankedProduct
    >>> mug = RankedProduct(Product("1", "Tansy Mug", price=Price(1400, "USD")), 1.0)
    >>> checked = check("The Tansy Mug costs $14. It ships for free!", ReplyFacts("found", products=(mug,)))
    >>> checked.text, checked.verdict, checked.dropped
    ('The Tansy Mug costs $14.', 'partly', (Dropped(sentence='It ships for free!', why='claim'),))
    """
    grounding = Grounding(facts)
    dropped = [Dropped(match.group(), "markup") for match in _CODE.finditer(text)]
    complete, rest = sentences(_CODE.sub("\n", text))
    for raw in (*complete, rest):
        judged = grounding.judge(raw)
        if judged.why is not None and judged.text:
            dropped.append(Dropped(raw, judged.why))
    kept = grounding.kept
    verdict: Verdict = "replaced" if not kept else "partly" if dropped else "ok"
    return Checked(" ".join(kept), tuple(dropped), verdict)


def sentences(text: str) -> tuple[list[str], str]:
    """The finished sentences of a text that is still being written, and the rest, which more text may continue.

    >>> sentences("It costs $3.50. It is blue. And ")
    (['It costs $3.50.', 'It is blue.'], 'And ')
    """
    *lines, last = text.split("\n")
    parts = [part for line in lines for part in _SENTENCE_END.split(_BULLET.sub("", line.strip()))]
    *more, rest = _SENTENCE_END.split(_BULLET.sub("", last.lstrip()))
    return [part.strip() for part in (*parts, *more) if part.strip()], rest


def _objection(text: str, known: _Known) -> Why | None:
    """The first thing that speaks against a sentence; None when nothing does."""
    if not _FINISHED.search(text) or text[:1].islower() or len(text.split()) < _FEWEST_WORDS:
        return "unfinished"
    sentence = _Sentence(text, _masked(text, known), known)
    checks: Sequence[tuple[Callable[[_Sentence], bool], Why]] = (
        (_echoes, "echo"),
        (_repeats, "repeated"),
        (_misquotes_request, "claim"),
        (_claims, "claim"),
        (_misnames, "name"),
        (_miscounts, "number"),
        (_unknown_name, "name"),
        (_unknown_word, "word"),
        (_lacks_verb, "unfinished"),
    )
    return next((why for objects, why in checks if objects(sentence)), None)


def _masked(text: str, known: _Known) -> str:
    """Names, limits and interests replaced by masks, so that their own words and numbers are not judged."""
    for pattern, mask in known.names:
        text = pattern.sub(mask, text)
    text = _ASKED.sub(lambda match: _mask_request(match, known), text)
    return _FOR_IT.sub(lambda match: _mask_request(match, known), text)


def _mask_request(match: re.Match[str], known: _Known) -> str:
    said = frozenset(roots(match.group(1))) - _ARTICLES
    if not said or not said <= known.query_words:
        return match.group()
    return match.group().replace(match.group(1), "⟦Q⟧ ")


def _lacks_verb(sentence: _Sentence) -> bool:
    """A mere list of names and prices."""
    return not _VERB.search(sentence.masked)


def _echoes(sentence: _Sentence) -> bool:
    return bool(_ECHO.search(sentence.masked))


def _repeats(sentence: _Sentence) -> bool:
    """A product named twice, or four words in a row said twice."""
    mentioned = sentence.mentioned()
    words = sentence.masked.casefold().split()
    runs = [tuple(words[i : i + 4]) for i in range(len(words) - 3)]
    return len(set(mentioned)) < len(mentioned) or len(set(runs)) < len(runs)


def _misquotes_request(sentence: _Sentence) -> bool:
    """Says that something else was asked for than was."""
    return any(not match.group(1).strip().startswith("⟦Q") for match in _ASKED.finditer(sentence.masked)) or bool(
        re.search(
            r"\b(?:asked|searched|requested|looking) for (?:an? |the |some )?⟦[^Q]", sentence.masked, re.IGNORECASE
        )
    )


def _claims(sentence: _Sentence) -> bool:
    """A promise, superlative, comparison or negation that the facts do not make; stock is said where it is known."""
    stocks = [sentence.known.products[place].stock for place in sentence.about()]

    def verified(match: re.Match[str]) -> str:
        there = match.group(1).casefold() == "in"
        true = bool(stocks) and all(stock is not None and (stock > 0) == there for stock in stocks)
        return " " if true else match.group()

    related = _BUNDLE.search(sentence.masked) and sentence.known.facts.kind not in ("complement", "cart_advice")
    return bool(related or CLAIM.search(_STOCK.sub(verified, sentence.masked)))


def _misnames(sentence: _Sentence) -> bool:
    """Changes a title, or offers the product that others are compared with or that lies in the cart already."""
    if re.search(r"⟦\d+⟧ [A-Z]", sentence.masked):
        return True
    reference = r"\b(?:like|with|to|alongside|by)\s+(?:the\s+|your\s+)?$"
    return any(
        int(match.group(1)) >= sentence.known.shown
        and not re.search(reference, sentence.masked[: match.start()], re.IGNORECASE)
        for match in _MENTION.finditer(sentence.masked)
    )


def _miscounts(sentence: _Sentence) -> bool:
    text = _MASK.sub(lambda mask: "⟦" + "_" * (len(mask.group()) - 2) + "⟧", sentence.masked)
    amounts = [(m, m.group("number").replace(",", "")) for m in _AMOUNT.finditer(text)]
    if any(not _amount_holds(m, number, sentence) for m, number in amounts):
        return True
    covered = _AMOUNT.sub(lambda match: " " * len(match.group()), text)
    if re.search(r"\d|%", covered) or re.search(r"[-−]\s?[$€£¥₹₩\d]", text):
        return True
    return any(not _spoken_number_holds(match, covered, sentence) for match in _WORD.finditer(covered.casefold()))


def _amount_holds(match: re.Match[str], number: str, sentence: _Sentence) -> bool:
    owner = sentence.owner(match.start())
    unit = (match.group("unit") or "").casefold()
    if match.group("sign") or unit in _MONEY_WORDS:
        return owner is not None and _is_price(owner, match.group("sign") or "", unit, number)
    return _quantity_holds(float(number), number, unit, owner, sentence)


def _is_price(product: Product, sign: str, unit: str, number: str) -> bool:
    if product.price is None or unit in ("cent", "cents"):
        return False
    code = product.price.currency
    named = {"USD": "dollar", "EUR": "euro", "GBP": "pound", "JPY": "yen"}.get(code, "") + "s"
    right_currency = sign.upper() == SYMBOLS.get(code) if sign else unit in (code.casefold(), named)
    return right_currency and float(amount_of(product.price)) == float(number)


def _quantity_holds(value: float, number: str, unit: str, owner: Product | None, sentence: _Sentence) -> bool:
    """A number that is no price: stars, ratings, a count of products, or one in the product's attributes."""
    if unit in ("star", "stars"):
        return owner is not None and owner.rating is not None and value == round(owner.rating, 1)
    if unit in ("rating", "ratings"):
        return owner is not None and owner.rating_count == value
    if unit in ("product", "products", "option", "options", "item", "items", "match", "matches", "choices", "picks"):
        return value in (sentence.known.shown, sentence.known.facts.total)
    if owner is None or unit == "%":
        return False
    said = f"{number} {unit}".strip()
    values = (value.casefold() for _, value in view.attributes(owner).items())
    return any(said == text or said in re.split(r",\s*", text) for text in values)


def _spoken_number_holds(match: re.Match[str], text: str, sentence: _Sentence) -> bool:
    word = match.group()
    if word in ORDINALS:
        named = [place for place in sentence.mentioned() if place < sentence.known.shown]
        return ORDINALS[word] <= sentence.known.shown and named in ([], [ORDINALS[word] - 1])
    if word not in COUNTED or word == "one":  # "one" is a pronoun here; "one left" is a claim
        return True
    return COUNTED[word] in (sentence.known.shown, len(set(sentence.about())))


def _unknown_name(sentence: _Sentence) -> bool:
    return any(word[0].isupper() for word in _strange_words(sentence) if not sentence.raw.startswith(word))


def _unknown_word(sentence: _Sentence) -> bool:
    return bool(_strange_words(sentence))


def _strange_words(sentence: _Sentence) -> list[str]:
    """Words that neither the products' data covers nor the harmless list, as they were written."""
    allowed = sentence.known.words(sentence.about())
    limited = any(constraint.key.partition(":")[0] == "price" for constraint in sentence.known.facts.constraints)
    found = _WORD.findall(_MASK.sub(" ", sentence.masked))
    return [word for word in found if not _is_allowed(word.casefold().replace("’", "'"), allowed, limited)]


def _is_allowed(word: str, allowed: frozenset[str], limited: bool) -> bool:
    if word in HARMLESS or word in COUNTED or word in ORDINALS or word in _MONEY_WORDS or word == "stock":
        return True
    return (
        root(word) in allowed
        or all(root(part) in allowed for part in word.split("-"))
        or (limited and word == "budget")
    )


def product_words(product: Product) -> frozenset[str]:
    attributes = (word for name, text in view.attributes(product).items() for word in (*roots(name), *roots(text)))
    texts = (product.title, *product.categories)
    return frozenset((*attributes, *(word for text in texts for word in roots(plain(text)))))


def roots(text: str) -> list[str]:
    return [root(part) for word in _WORD.findall(text.casefold()) for part in (word, *word.split("-"))]


def root(word: str) -> str:
    """Plural and possessive taken off.

    >>> [root(word) for word in ("boots", "berries", "glass", "children's")]
    ['boot', 'berry', 'glass', 'children']
    """
    word = word.replace("’", "'").removesuffix("'s").removesuffix("'")
    if word.endswith("ies") and len(word) > 4:
        return word[:-3] + "y"
    return word[:-1] if word.endswith("s") and not word.endswith("ss") and len(word) > 3 else word


def phrase_pattern(name: str) -> re.Pattern[str]:
    """The name as a whole, however it is spaced or capitalised, with its possessive."""
    words = r"\s+".join(re.escape(word) for word in name.split())
    return re.compile(rf"(?<![\w⟦]){words}(?:['’]s)?(?![\w⟧])", re.IGNORECASE)
