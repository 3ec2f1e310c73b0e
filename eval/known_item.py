"""Queries made out of a catalogue, for choosing settings where no human judgements may be used.

Takes products and a seed, gives queries as a shopper would type them, each with the products that answer it (known-item
search; Azzopardi, de Rijke and Balog, SIGIR 2007), and measures SearchSystems on them. Sees nothing of judgements, so
what is chosen here can be reported on judged queries with a clear conscience.

Six forms, because each favours another way of ranking and a setting has to do well on all: `fragment` (some title
words, reordered, plural changed, now and then a typo), `kind` ("toner cartridge"), `brand_kind`, `attribute` (kind and
a value that the title does not say), `description` (kind and words of the description that the title does not say) and
`synonym` (a fragment with the shop's word replaced by another that means the same). A product answers a query when it
fits all parts that went into it, so near-identical products count alike.
"""

from __future__ import annotations

import random
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal, get_args

import numpy as np

from eval.metrics import judged_labels, labels_of, mrr_at_k, padded, recall_at_k
from eval.search import SearchSystem
from tasteline.types import Product

Form = Literal["fragment", "kind", "brand_kind", "attribute", "description", "synonym"]
FORMS: tuple[Form, ...] = get_args(Form)

KIND_PRODUCTS = 12
KIND_BRANDS = 3
"""A phrase names a kind when that many products of that many brands carry it; others are mostly names of models."""
TYPO_SHARE = 0.15
"""Of fragment queries; 10 to 15 % of web queries are misspelt (Cucerzan and Brill, EMNLP 2004)."""
ATTEMPTS = 60
"""Tries for each query wanted before a form is given up: some catalogues have no attributes or no brands."""

_WORD = re.compile(r"[^\W_]+(?:['’.-][^\W_]+)*")
_SEGMENT_END = re.compile(r"[|,(\[;:/]|\s[-–—]\s|\s(?:for|with|by|from|in)\s")
_STOP_WORDS = frozenset(
    _WORD.findall(
        "a an and are as at be by for from has in into is it its of on or that the this to with you your our will can"
        " all any more new pc pcs set pack piece pieces cm mm inch oz kg ml"
    )
)
_QUALIFIERS = frozenset(
    _WORD.findall(
        "black white red blue green grey gray silver gold pink purple yellow orange brown beige transparent multi"
        " multicolour multicolor colour color original genuine compatible small medium large mini xl wired wireless"
        " indoor outdoor high low"
    )
)
_UNWORDED = frozenset(("true", "false", "yes", "none"))
_SYNONYMS: tuple[tuple[str, ...], ...] = (
    ("notebook", "laptop"), ("tv", "television"), ("monitor", "computer screen"), ("headphones", "earphones"),
    ("headset", "headphones with microphone"), ("smartphone", "mobile phone", "cell phone"),
    ("fridge", "refrigerator"), ("charger", "power adapter"), ("cable", "cord", "lead"), ("keyboard", "keypad"),
    ("projector", "beamer"), ("printer", "printing machine"), ("camcorder", "video camera"), ("webcam", "pc camera"),
    ("router", "wifi box"), ("speaker", "loudspeaker"), ("speakers", "loudspeakers"), ("microphone", "mic"),
    ("battery", "accumulator"), ("flashlight", "torch"), ("backpack", "rucksack"), ("sleeve", "protective pouch"),
    ("desktop", "tower pc"), ("scanner", "document reader"), ("server", "rack computer"), ("switch", "network hub"),
    ("ups", "backup power"), ("cartridge", "ink refill"), ("toner", "laser ink"), ("mount", "bracket", "holder"),
    ("stand", "holder"), ("bike", "bicycle", "cycle"), ("cycling", "biking"), ("puzzle", "jigsaw"), ("doll", "dolly"),
    ("plush", "stuffed toy"), ("kids", "children"), ("kid", "child"), ("boys", "for sons"),
    ("toddler", "small child"), ("pants", "trousers"), ("sweater", "jumper", "pullover"), ("shirt", "top"),
    ("jacket", "coat"), ("sneakers", "trainers"), ("socks", "hosiery"), ("gloves", "mittens"), ("hat", "cap"),
    ("beanie", "knit hat"), ("purse", "handbag"), ("wallet", "billfold"), ("sunglasses", "shades"),
    ("swimsuit", "bathing suit"), ("costume", "fancy dress"), ("mug", "cup"), ("couch", "sofa"), ("rug", "carpet"),
    ("trash", "rubbish", "garbage"), ("lamp", "light"), ("blanket", "throw"), ("pillow", "cushion"),
    ("curtain", "drape"), ("vacuum", "hoover"), ("knife", "blade"), ("knives", "blades"), ("tent", "camping shelter"),
    ("flag", "banner"), ("gun", "blaster"), ("game", "party game"), ("stickers", "decals"), ("truck", "lorry"),
    ("car", "automobile"), ("airplane", "aeroplane", "plane"), ("train", "railway"), ("helmet", "head protection"),
    ("scope", "rifle sight"), ("holster", "gun carrier"), ("bottle", "flask"),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class KnownItemQuery:
    text: str
    form: Form
    relevant: frozenset[str]
    """Ids of the products that answer it; at least one."""


Part = tuple[list[str], set[int]] | None
"""Words that were drawn for a query, and the places of the products that fit them."""


def known_item_queries(products: Sequence[Product], each: int = 150, seed: int = 0) -> tuple[KnownItemQuery, ...]:
    """At most `each` different queries of every form; the same for the same products, number and seed.

    Products are drawn with equal chance. A form that the catalogue does not allow (no brands, no attributes) gives
    fewer queries or none.
    """
    words = _Words(products)
    made: list[KnownItemQuery] = []
    for form in FORMS:
        chance = random.Random(f"{seed} {form}")
        texts: set[str] = set()
        for _ in range(each * ATTEMPTS if products else 0):
            if len(texts) == each:
                break
            part = _MAKERS[form](words, chance.randrange(len(products)), chance)
            if part is None or " ".join(part[0]) in texts:
                continue
            texts.add(" ".join(part[0]))
            relevant = frozenset(products[place].id for place in part[1])
            made.append(KnownItemQuery(" ".join(part[0]), form, relevant))
    return tuple(made)


def evaluate_known_items(
    queries: Sequence[KnownItemQuery], systems: Sequence[SearchSystem], depth: int = 100
) -> dict[str, dict[str, dict[str, float]]]:
    """system → form (and "all": the mean over the forms) → mrr@10, recall@10 and recall@`depth`, recalls capped.

    "all" weighs the forms equally, however many queries each has.
    """
    results: dict[str, dict[str, dict[str, float]]] = {}
    for system in systems:
        values = _values(queries, system.rank([query.text for query in queries], depth), depth)
        forms = np.array([query.form for query in queries])
        by_form: dict[str, dict[str, float]] = {
            form: {metric: float(each[forms == form].mean()) for metric, each in values.items()}
            for form in FORMS
            if (forms == form).any()
        }
        over_all = {metric: float(np.mean([row[metric] for row in by_form.values()])) for metric in values}
        results[system.name] = {"all": over_all, **by_form}
    return results


def _values(
    queries: Sequence[KnownItemQuery], rankings: Sequence[Sequence[str]], depth: int
) -> dict[str, np.ndarray[tuple[int, ...], np.dtype[np.float64]]]:
    numbers: dict[str, int] = {}

    def number(product_id: str) -> int:
        return numbers.setdefault(product_id, len(numbers))

    items, judged = judged_labels([{number(each): 1.0 for each in sorted(query.relevant)} for query in queries])
    ranked = labels_of(padded([[number(each) for each in row] for row in rankings], width=depth), items, judged)
    return {
        "mrr@10": mrr_at_k(ranked, 10),
        "recall@10": recall_at_k(ranked, judged, 10, capped=True),
        f"recall@{depth}": recall_at_k(ranked, judged, depth, capped=True),
    }


class _Words:
    """What the makers of queries look up, counted once: words and kinds of every product, and who shares them."""

    def __init__(self, products: Sequence[Product]) -> None:
        self.products = products
        self.titles = [_words(product.title) for product in products]
        self.in_title = _postings(self.titles)
        self.descriptions = [_words(product.description) for product in products]
        self.in_description = _postings(self.descriptions)
        self.kinds = _kinds(products)
        self.of_kind: dict[str, set[int]] = defaultdict(set)
        for place, kind in enumerate(self.kinds):
            if kind is not None:
                self.of_kind[kind].add(place)


def _fragment(words: _Words, place: int, chance: random.Random) -> Part:
    title = _content(words.titles[place])
    if len(title) < 3:
        return None
    kept = chance.sample(title, k=min(len(title) - 1, chance.randint(2, 4)))
    if chance.random() < 0.5:
        kept.sort(key=title.index)  # half keep the order of the title
    relevant = _having(words.in_title, kept)
    typed = [_other_number(word) if chance.random() < 0.2 else word for word in kept]
    if chance.random() < TYPO_SHARE:
        spoiled = chance.randrange(len(typed))
        typed[spoiled] = _misspelt(typed[spoiled], chance)
    return typed, relevant


def _kind(words: _Words, place: int, chance: random.Random) -> Part:
    kind = words.kinds[place]
    if kind is None:
        return None
    typed = kind.split()
    if chance.random() < 0.5:
        typed[-1] = _other_number(typed[-1])
    return typed, words.of_kind[kind]


def _brand_kind(words: _Words, place: int, chance: random.Random) -> Part:
    brand, kind = words.products[place].brand, _kind(words, place, chance)
    if not brand or kind is None:
        return None
    same_brand = {each for each in kind[1] if words.products[each].brand == brand}
    parts = [_words(brand), kind[0]]
    chance.shuffle(parts)
    return [*parts[0], *parts[1]], same_brand


def _attribute(words: _Words, place: int, chance: random.Random) -> Part:
    kind = _kind(words, place, chance)
    values = [
        (name, value)
        for name, of_name in words.products[place].attributes.items()
        for value in of_name
        if _is_worded(value) and not set(_words(value)) & set(words.titles[place])
    ]
    if kind is None or not values:
        return None
    name, value = chance.choice(values)
    equal = {each for each in kind[1] if value in words.products[each].attributes.get(name, ())}
    return [*_words(value), *kind[0]], equal


def _is_worded(value: str) -> bool:
    """Whether somebody would type the value: short, letters only, not a yes or no."""
    return value.replace(" ", "").isalpha() and 3 <= len(value) <= 24 and value.casefold() not in _UNWORDED


def _description(words: _Words, place: int, chance: random.Random) -> Part:
    kind = _kind(words, place, chance)
    said = set(words.titles[place])
    fresh = [
        word
        for word in dict.fromkeys(_content(words.descriptions[place]))
        if word.isalpha() and len(word) > 3 and word not in said and len(words.in_description[word]) >= 3
    ]
    if kind is None or len(fresh) < 2:
        return None
    told = chance.sample(fresh, k=2)
    return [*told, *kind[0]], kind[1] & _having(words.in_description, told)


def _synonym(words: _Words, place: int, chance: random.Random) -> Part:
    title = _content(words.titles[place])
    known = [word for word in title if word in _OTHER_WORDS]
    if not known or len(title) < 3:
        return None
    replaced = chance.choice(known)
    others = [word for word in title if word != replaced and word.isalpha() and len(words.in_title[word]) >= 5]
    kept = chance.sample(others, k=min(len(others), chance.randint(0, 2)))
    return [*kept, chance.choice(_OTHER_WORDS[replaced])], _having(words.in_title, [*kept, replaced])


_MAKERS: Mapping[Form, Callable[[_Words, int, random.Random], Part]] = {
    "fragment": _fragment,
    "kind": _kind,
    "brand_kind": _brand_kind,
    "attribute": _attribute,
    "description": _description,
    "synonym": _synonym,
}
_OTHER_WORDS: Mapping[str, tuple[str, ...]] = {
    word: tuple(other for other in group if other != word) for group in _SYNONYMS for word in group if " " not in word
}


def _kinds(products: Sequence[Product]) -> list[str | None]:
    """The phrase that says what a product is: the longest one, of at most three words, that enough titles share.

    Feeds write titles in one of two ways. "Brand model kind details": the kind begins after brand and model.
    "Any praise of a kind, details": the kind ends the first segment.
    """
    candidates = [_kind_phrases(product) for product in products]
    frequency = Counter(phrase for phrases in candidates for phrase in phrases)
    brands: dict[str, set[str]] = defaultdict(set)
    for product, phrases in zip(products, candidates, strict=True):
        for phrase in phrases:
            brands[phrase].add(product.brand or product.id)  # without a brand each product speaks for itself
    named = {phrase for phrase, of in brands.items() if frequency[phrase] >= KIND_PRODUCTS and len(of) >= KIND_BRANDS}
    return [next((phrase for phrase in phrases if phrase in named), None) for phrases in candidates]


def _kind_phrases(product: Product) -> list[str]:
    """Phrases that could name the kind, longest first."""
    if product.brand and product.title.casefold().startswith(product.brand.casefold()):
        title = _words(product.title)
        coded = [place for place, word in enumerate(title[:6]) if not word.isalpha()]
        rest = title[max(coded[0] + 1 if coded else 0, len(_words(product.brand))) :]
        head = _until_qualifier(rest)[:3]
        return [" ".join(head[:length]) for length in range(len(head), 0, -1)]
    segment = _words(_SEGMENT_END.split(product.title, maxsplit=1)[0])
    tail = _until_qualifier(segment[::-1])[:2][::-1]
    return [" ".join(tail[-length:]) for length in range(len(tail), 0, -1)]


def _until_qualifier(words: Sequence[str]) -> list[str]:
    """The first words up to a colour, a size, a number or a filler, which describe but do not name."""
    kept: list[str] = []
    for word in words:
        if not word.isalpha() or len(word) < 3 or word in _QUALIFIERS or word in _STOP_WORDS:
            break
        kept.append(word)
    return kept


def _words(text: str) -> list[str]:
    return _WORD.findall(text.casefold())


def _content(words: Iterable[str]) -> list[str]:
    """Each word once, fillers left out."""
    return [word for word in dict.fromkeys(words) if word not in _STOP_WORDS and len(word) > 1]


def _postings(texts: Sequence[Sequence[str]]) -> dict[str, set[int]]:
    postings: dict[str, set[int]] = defaultdict(set)
    for place, words in enumerate(texts):
        for word in words:
            postings[word].add(place)
    return dict(postings)


def _having(postings: Mapping[str, set[int]], words: Sequence[str]) -> set[int]:
    """Places that have all the words; `words` is never empty here."""
    return set.intersection(*(postings[word] for word in words))


def _other_number(word: str) -> str:
    """Singular for plural and the other way round, by the regular rules; other words unchanged.

    >>> [_other_number(word) for word in ("battery", "batteries", "cable", "glasses", "tn-2110")]
    ['batteries', 'battery', 'cables', 'glass', 'tn-2110']
    """
    if not word.isalpha() or len(word) < 4:
        return word
    for plural, singular in (("ies", "y"), ("sses", "ss"), ("s", "")):
        if word.endswith(plural) and not word.endswith("ss"):
            return word.removesuffix(plural) + singular
    for ending, plural in (("y", "ies"), ("ss", "sses")):
        if word.endswith(ending) and word[-2] not in "aeou":
            return word.removesuffix(ending) + plural
    return word + "s"


def _misspelt(word: str, chance: random.Random) -> str:
    """One slip of the finger, not in the first letter: two neighbours swapped, one letter lost or doubled."""
    if not word.isalpha() or len(word) < 5:
        return word
    place = chance.randrange(1, len(word) - 1)
    swappable = [spot for spot, (left, right) in enumerate(pairwise(word)) if spot and left != right]
    slip = chance.choice(("swap", "lose", "double"))
    if slip == "swap" and swappable:
        place = chance.choice(swappable)
        return word[:place] + word[place + 1] + word[place] + word[place + 2 :]
    return word[:place] + (word[place] * 2 if slip == "double" else "") + word[place + 1 :]
