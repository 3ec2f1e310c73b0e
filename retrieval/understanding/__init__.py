"""Understanding a request by rules: hard constraints, an order, and the query that is left. No language model.

    text ─ stars ─ price ─ measures ─ stock ─ order ─ categories ─ negations ─ brands ─ attributes ─ small talk ─ query

Each reader takes its words out of the request, so the ones with the clearest marks read first. A hard constraint that
removes what is wanted is worse than none: wherever the words or this shop's catalogue leave a doubt, the word stays in
the query. English only; the words are in `words_en.py`.
"""

from __future__ import annotations

from collections.abc import Collection

from retrieval.understanding.attribute import read_attributes
from retrieval.understanding.brand import read_brands
from retrieval.understanding.category import read_categories
from retrieval.understanding.measure import read_measures
from retrieval.understanding.merging import merge
from retrieval.understanding.negation import read_negations
from retrieval.understanding.price import read_price
from retrieval.understanding.request import Request
from retrieval.understanding.smalltalk import read_smalltalk
from retrieval.understanding.stars import read_sort, read_stars, read_stock
from retrieval.understanding.vocabulary import Vocabulary
from tasteline.types import Understood

__all__ = ["Vocabulary", "merge", "understand"]


def understand(text: str, vocabulary: Vocabulary, ignore: Collection[str] = ()) -> Understood:
    """What a request was taken to mean in this shop. Never raises; linear in the length of the text.

    `ignore` holds keys of constraints that the shopper has taken back: they do not limit, and the words of a brand,
    category or attribute go back into the query, while those of a price, a rating or a negation are dropped. Keys are
    unique. Where everything was understood the query is empty, except that the words of brands and attributes then
    stay in it as well, as something to rank by.

    >>> u = understand("Hi, could you show me a waterproof jacket under 80 please?", Vocabulary(currency="USD"))
    >>> u.query, [c.label for c in u.constraints]
    ('waterproof jacket', ['under $80'])
    """
    request = Request(text)
    read_stars(request)
    read_price(request, vocabulary)
    read_measures(request, vocabulary)
    read_stock(request)
    read_sort(request)
    read_categories(request, vocabulary)
    read_negations(request, vocabulary)
    read_brands(request, vocabulary)
    read_attributes(request, vocabulary)
    read_smalltalk(request)
    return Understood(
        text=text,
        query=request.query(ignore),
        constraints=tuple(f.constraint for f in request.findings if f.constraint.key not in ignore),
        sort=request.sort,
    )
