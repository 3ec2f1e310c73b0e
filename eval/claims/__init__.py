"""What a reply claims, and whether it is so: every amount, rating, count, name, quality and promise in its words.

Takes the plain text of a reply, the whole store and what the reply was about (`Told`); gives `Claim`s, each supported,
unsupported, or unverifiable where the store cannot tell. Amounts, differences, extremes and counts are computed anew
from the products. Knows no template, no prompt and nothing of the service's own check: it audits them, and shares
neither code nor word lists with them. Strict, except that praise ("lovely", "great choice") is nobody's fact.

A reply is read line by line (`line`), from the surest signs to the faintest: names (`names`, `naming`), quotations and
rows (`quotations`), amounts (`amounts`), counts and comparisons (`comparisons`), then what products are like
(`qualities`). What has been read is masked, so that the number of a title is nobody's price.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from eval.claims.amounts import read_against, read_money, read_ratings, read_stars, read_stock
from eval.claims.comparisons import read_counts, read_extremes, read_first_of_them, read_nothing, read_promises
from eval.claims.line import Claim, Kind, Line, Told, Verdict
from eval.claims.names import Names
from eval.claims.naming import read_limits_by_label, read_names
from eval.claims.qualities import lexicon, read_features, read_kinds, read_numbers, read_sizes
from eval.claims.quotations import read_histories, read_interests, read_quotations, read_rows, read_unknown_facts
from eval.claims.shelf import Shelf
from tasteline.types import Constraint, Product

__all__ = ["Claim", "Claims", "Kind", "Told", "Verdict", "claims_of"]

_STEPS = (
    read_quotations, read_histories, read_unknown_facts, read_nothing, read_against, read_ratings, read_stars,
    read_money, read_stock, read_counts, read_first_of_them, read_extremes, read_promises, read_sizes, read_kinds,
)  # fmt: skip
"""In this order: "4.6 against 4.4 stars" is not two ratings, "771 ratings" no number of products."""


def claims_of(
    reply: str,
    products: Mapping[str, Product],
    shown: Sequence[str],
    constraints: Sequence[Constraint] = (),
    *,
    asked: Sequence[str] = (),
    request: str = "",
    query: str = "",
) -> list[Claim]:
    """All claims of one reply; `Claims` is cheaper for many replies over the same products.

    >>> shop = {"1": Product("1", "Willow Teapot", rating=4.5)}
    >>> [(claim.kind, claim.verdict) for claim in claims_of("The Willow Teapot has 4.4 stars.", shop, ["1"])]
    [('name', 'supported'), ('rating', 'unsupported')]
    """
    told = Told(tuple(shown), tuple(asked), request, query, tuple(constraints))
    return Claims(products).of(reply, told)


class Claims:
    """`products` is the whole store by id."""

    def __init__(self, products: Mapping[str, Product]) -> None:
        self._shelf = Shelf(products)
        self._names = Names(self._shelf)
        self._qualities = lexicon(self._shelf)

    def of(self, reply: str, told: Told) -> list[Claim]:
        """In the order of the lines; within a line in the order of reading."""
        found: list[Claim] = []
        about: tuple[str, ...] = ()
        for text in filter(str.strip, reply.split("\n")):
            line = Line(text, told, self._shelf, about)
            self._read(line)
            found += line.found
            about = line.last_named() or about
        return found

    def _read(self, line: Line) -> None:
        read_interests(line)
        read_rows(line)
        read_limits_by_label(line)
        read_names(line, self._names)
        for step in _STEPS:
            step(line)
        read_features(line, self._qualities)
        read_numbers(line)
