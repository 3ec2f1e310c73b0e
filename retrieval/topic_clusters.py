"""Topics where the feed names none: groups of products of like meaning, called by the words that tell them apart.

Takes unit vectors and titles, gives a group for each and a name for each group. Average linkage over cosine distance:
no number of groups has to be given, and the same products give the same groups. Knows no catalogue and no person.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import count, pairwise

import numpy as np
from numpy.typing import NDArray
from scipy.cluster.hierarchy import fcluster, linkage

from tasteline.types import Vectors

APART = 0.55
"""Cosine distance at which two groups stay two: with a sentence encoder a shelf of a shop, not a department."""
LINKED = 300
"""Products that are linked (some 10 ms); those touched before them join the nearest group."""
MOST_NAMED = 2
"""Terms in a name."""
TITLE_WORDS = 12
"""Of a title: what it is comes first in a feed, sizes and claims later."""

Codes = NDArray[np.int64]
_WORD = re.compile(r"[^\W\d_][\w'’-]+")
_LINKING_WORDS = "a an and as at by for from in into of on or per the to with without your you pack set new"
_LINKING = frozenset(_LINKING_WORDS.split())


def clusters(vectors: Vectors) -> Codes:
    """(n, dimension) unit vectors, those touched last at the end → (n,) group from 0."""
    if len(vectors) < 2:
        return np.zeros(len(vectors), dtype=np.int64)
    latest = vectors[-LINKED:]
    tree = linkage(_distances(latest), method="average")
    codes = fcluster(tree, t=APART, criterion="distance").astype(np.int64) - 1
    centres = np.stack([latest[codes == code].mean(axis=0) for code in range(codes.max() + 1)])
    earlier = np.argmax(vectors[:-LINKED] @ centres.T, axis=1) if len(vectors) > LINKED else np.zeros(0, dtype=np.int64)
    return np.concatenate([earlier, codes]).astype(np.int64)


def names_of(titles: Sequence[str], codes: Codes, background: Sequence[str]) -> list[str]:
    """Name of each group, unique. A group without a telling word is called by its first title.

    >>> titles = ["Rose Hand Cream", "Hand Cream with Shea", "Steel Garden Rake", "Leaf Rake"]
    >>> names_of(titles, np.array([0, 0, 1, 1]), titles)
    ['Hand Cream', 'Rake']
    """
    terms = [dict(_terms(title)) for title in titles]
    everywhere = Counter(term for title in background for term, _ in _terms(title))
    names: list[str] = []
    for code in range(int(codes.max(initial=-1)) + 1):
        members = np.flatnonzero(codes == code).tolist()
        name = _name([terms[place] for place in members], everywhere, max(1, len(background)))
        name = name or titles[members[0]][:60]
        names.append(next(each for each in _told_apart(name, titles[members[0]][:40]) if each not in names))
    return names


def _told_apart(name: str, title: str) -> Iterator[str]:
    """The name, with a title, and then with a number: two groups of one name would be taken for one."""
    yield from (name, f"{name} ({title})")
    yield from (f"{name} ({title}, {number})" for number in count(2))


def _distances(vectors: Vectors) -> NDArray[np.float64]:
    """Cosine distances as `linkage` takes them: above the diagonal, row by row."""
    apart = 1.0 - (vectors @ vectors.T).astype(np.float64)
    return np.asarray(np.maximum(apart[np.triu_indices(len(vectors), 1)], 0.0), dtype=np.float64)


def _name(members: Sequence[dict[str, str]], everywhere: Counter[str], background: int) -> str:
    """The term that most members have and the rest of the shop has not; a phrase of two words before each of them."""
    counts = Counter(term for terms in members for term in terms)
    share = {term: count / len(members) for term, count in counts.items()}
    ratio = {term: share[term] / ((everywhere[term] + 0.5) / (background + 1)) for term in share}
    # A phrase weighs more: "hand cream" says what "cream" leaves open, as long as as many have it.
    gain = {t: share[t] * np.log(max(1.0, ratio[t])) * (1.4 if " " in t else 1.0) for t in share}
    best = sorted(gain, key=lambda term: (-gain[term], term))
    if not best or gain[best[0]] <= 0:
        return ""
    first = best[0]
    others = [t for t in best[1:] if gain[t] >= 0.6 * gain[first] and not set(t.split()) & set(first.split())]
    spelled = {term: form for terms in members for term, form in terms.items()}
    chosen = [first, *others[: MOST_NAMED - 1]] if share[first] < 0.5 else [first]
    return ", ".join(spelled[term] for term in chosen)


def _terms(title: str) -> Iterator[tuple[str, str]]:
    """(folded, as written): words and pairs of neighbours."""
    words = [word for word in _WORD.findall(title)[:TITLE_WORDS] if word.casefold() not in _LINKING]
    yield from ((word.casefold(), word) for word in words)
    yield from ((f"{a} {b}".casefold(), f"{a} {b}") for a, b in pairwise(words))
