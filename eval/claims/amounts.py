"""Amounts of a line: prices, limits and differences, stars, numbers of ratings, stock."""

from __future__ import annotations

import re
from collections.abc import Sequence
from decimal import Decimal

from eval.claims import patterns
from eval.claims.line import Holds, Line, number_of, verdict_of


def read_money(line: Line) -> None:
    amounts = list(patterns.MONEY.finditer(line.text))
    in_turn = _in_turn(line, amounts)
    for number, found in enumerate(amounts):
        limit = _limit_in(line.text, amounts, number)
        said = _amount(found)
        if limit:
            _limited(line, found, said, limit)
        elif patterns.GAP_BEFORE.search(line.text[: found.start()]) or patterns.GAP_AFTER.match(
            line.text[found.end() :]
        ):
            _gap(line, found, said)
        else:
            _priced(line, found, said, in_turn.get(number))
    for found in (*amounts, *patterns.CENTS.finditer(line.text)):
        line.mask(*found.span())


def _amount(found: re.Match[str]) -> Decimal:
    return number_of(found["a"] or found["b"] or found["c"])


def _in_turn(line: Line, amounts: Sequence[re.Match[str]]) -> dict[int, tuple[str, ...]]:
    """ "The A and the B cost $1 and $2": as many names as amounts, all names first."""
    named = [each for each in line.mentions if each.kind == "product"]
    if len(named) == len(amounts) > 1 and named[-1].end <= amounts[0].start():
        return {number: mention.ids for number, mention in enumerate(named)}
    return {}


def _limit_in(text: str, amounts: Sequence[re.Match[str]], number: int) -> str:
    """The word that makes amount `number` a limit ("under", "at least"); empty where it is none."""
    found = amounts[number]
    before, after = text[: found.start()], text[found.end() :]
    if number + 1 < len(amounts) and patterns.RANGE.match(text[found.end() : amounts[number + 1].start()]):
        within = patterns.LIMIT.search(before) or patterns.BETWEEN.search(before) or "–" in after[:2]
        return "at least" if within else ""
    if number and "–" in text[amounts[number - 1].end() : found.start()]:
        return "at most"
    if number and patterns.BETWEEN.search(text[: amounts[number - 1].start()]):
        return "at most"
    if limit := patterns.LIMIT.search(before):
        return limit["word"].casefold()
    if patterns.LIMIT_AFTER.match(after):
        return "at least"
    return "at most" if patterns.LIMIT_AFTER_BELOW.match(after) else ""


def _limited(line: Line, found: re.Match[str], said: Decimal, word: str) -> None:
    below = word == "at most" or re.fullmatch(patterns.BELOW, word) is not None

    def kept(product_id: str) -> bool:
        price = line.shelf.price(product_id)
        if price is None:
            return False
        return (price < said if below else price > said) or (price == said and word not in patterns.STRICT)

    subject = line.subject(found.start(), fallback=False)
    if subject:
        line.of_products("constraint", f"{word} {found.group()}", subject, kept)
    elif line.told.shown:
        line.of_every("constraint", f"{word} {found.group()}", kept)
    else:
        line.kept_by_all(found.group(), kept)


def _gap(line: Line, found: re.Match[str], said: Decimal) -> None:
    """Between the two that the sentence names; of one, to the dearest or the cheapest that is shown."""
    prices = [price for each in line.told.shown if (price := line.shelf.price(each)) is not None]
    beside = [mention.ids[0] for mention in line.named_beside(found.start())]
    named = [price for each in beside if (price := line.shelf.price(each)) is not None]
    if len(named) > 1:
        gaps = {abs(named[0] - other) for other in named[1:]}
    else:
        own = named[0] if named else min(prices, default=Decimal(0))
        gaps = {abs(own - end) for end in (min(prices, default=own), max(prices, default=own))}
    line.claim("comparison", f"difference {found.group()}", verdict_of(said in gaps), f"{sorted(map(str, gaps))}")


def _priced(line: Line, found: re.Match[str], said: Decimal, of: tuple[str, ...] | None) -> None:
    rough = patterns.ROUGH.search(line.text[: found.start()]) is not None

    def costs(product_id: str) -> bool:
        price = line.shelf.price(product_id)
        return price is not None and (price == said or (rough and abs(price - said) <= price * patterns.ROUGHLY))

    if of is None and patterns.SAME_PRICE.search(line.sentence(found.start())):
        line.of_every("price", found.group(), costs)
    else:
        line.of_products("price", found.group(), of or line.subject(found.start()), costs)


def read_against(line: Line) -> None:
    """ "Rated highest: 4.6 against 4.4 and 4.2 stars": the ratings of all, best first, and whose is the best."""
    for found in line.taking(patterns.AGAINST):
        ratings = [rating for each in line.told.shown if (rating := line.product(each).rating)]
        ratings.sort(reverse=True)
        said = [Decimal(each) for each in (found["a"], *re.findall(r"\d\.\d", found["rest"]))]
        holds = len(said) == len(ratings) and all(map(_rounds_to, ratings, said))
        leader = line.subject(found.start())
        best = bool(leader) and ratings[:1] == [line.product(leader[0]).rating]
        line.claim("rating", found.group(), verdict_of(holds and best), f"ratings are {ratings}")


def read_stars(line: Line) -> None:
    for found in line.taking(patterns.STARS):
        said = _amount(found)
        before, after = line.text[: found.start()], line.text[found.end() :]
        labelled = "(" in before and any(limit.label == found.group() for limit in line.told.constraints)
        if labelled or patterns.STARS_AFTER.match(after) or patterns.STARS_BEFORE.search(before):
            line.kept_by_all(found.group(), _at_least(line, said))
        else:
            line.of_products("rating", found.group(), line.subject(found.start()), _rated(line, said))


def _at_least(line: Line, stars: Decimal) -> Holds:
    return lambda each: Decimal(str(line.product(each).rating or 0)) >= stars


def _rated(line: Line, said: Decimal) -> Holds:
    return lambda each: _rounds_to(line.product(each).rating, said)


def _rounds_to(rating: float | None, said: Decimal) -> bool:
    """4.25 may be said as 4.2 or 4.3, and 4.3 not as 4."""
    if rating is None:
        return False
    digits = -int(said.as_tuple().exponent)
    exact = Decimal(str(rating))
    return exact == said or (digits > 0 and abs(exact - said) <= Decimal(5).scaleb(-digits - 1))


def read_ratings(line: Line) -> None:
    for found in line.taking(patterns.RATINGS):
        said = number_of(found["a"] or found["b"])
        line.of_products("rating_count", found.group(), line.subject(found.start()), _rated_by(line, said))


def _rated_by(line: Line, said: Decimal) -> Holds:
    return lambda each: line.product(each).rating_count == said


def read_stock(line: Line) -> None:
    def units(product_id: str) -> int | None:
        return line.product(product_id).stock

    for found in line.taking(patterns.LEFT):
        said = number_of(found["a"])
        line.of_products("stock", found.group(), line.subject(found.start()), _left(line, said))
    states: tuple[tuple[re.Pattern[str], Holds], ...] = (
        (patterns.GONE, lambda each: units(each) == 0),
        (patterns.FEW, lambda each: 0 < (units(each) or 0) <= patterns.FEW_UNITS),
        (patterns.THERE, lambda each: units(each) != 0),
    )
    for pattern, holds in states:
        for found in line.taking(pattern):
            if not patterns.OF_THE_SEARCH.search(line.text[: found.start()]):
                _in_store(line, found, holds)


def _left(line: Line, said: Decimal) -> Holds:
    return lambda each: line.product(each).stock == said


def _in_store(line: Line, found: re.Match[str], holds: Holds) -> None:
    subject = line.subject(found.start(), fallback=bool(line.mentions))
    if subject:
        line.of_products("stock", found.group(), subject, holds)
    else:
        line.kept_by_all(found.group(), holds)
