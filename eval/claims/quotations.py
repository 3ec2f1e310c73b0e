"""What a line quotes or states as a row: words matched, descriptions, attributes, what a person did and is drawn to."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from eval.claims import patterns
from eval.claims.comparisons import recount
from eval.claims.line import Holds, Line, number_of, verdict_of
from eval.claims.shelf import key_of, stems, words


def read_quotations(line: Line) -> None:
    """Quotations that are neither a match, nor a description, nor a limit are the shopper's own words."""
    for quote in line.taking(patterns.QUOTE):
        before, inside, after = line.text[: quote.start()], quote.group()[1:-1], line.text[quote.end() :]
        subject = line.subject(quote.start())
        if before.endswith("description: ") and subject:
            excerpt = _flat(re.sub(r"(?:\.\.\.|…)?\.?$", "", inside))
            told = _flat(line.product(subject[0]).description)
            line.claim("attribute", inside, verdict_of(excerpt in told), "its description")
        elif patterns.MATCHES.search(before) and subject:
            line.of_products("attribute", inside, subject, _saying(line, inside))
        elif lifted := patterns.LIFTED.match(after):
            _lifted(line, inside, lifted["a"])
            line.mask(quote.end(), quote.end() + lifted.end())


def _saying(line: Line, phrase: str) -> Holds:
    """Its words, fillers too, since a quotation says that they are there."""

    def says(product_id: str) -> bool:
        own = set(stems(line.shelf.texts[product_id]))
        return all(each in own for each in stems(phrase))

    return says


def _lifted(line: Line, label: str, said: str) -> None:
    kept = tuple(each for each in line.told.constraints if each.label != label)
    text = f"without “{label}”, {said} products"
    if len(kept) == len(line.told.constraints):
        line.claim("count", text, "unsupported", "no such limit was understood")
    else:
        recount(line, text, number_of(said), kept)


def read_histories(line: Line) -> None:
    for told in patterns.DONE.finditer(line.text):
        named = next((each for each in line.mentions if each.start >= told.end() and each.kind == "product"), None)
        events = patterns.VERBS.get(told["verb"].casefold(), tuple(line.told.deeds))
        done = {each for name in events for each in line.told.deeds.get(name, ())}
        text = f"{told.group()} {named.text if named else ''}"
        _history(line, text, holds=bool(named and done & set(named.ids)))
    for told in patterns.BEFORE.finditer(line.text):
        _history(line, told.group(), holds=bool(set(line.told.touched()) & set(line.subject(told.start()))))


def read_interests(line: Line) -> None:
    """Topics that a person is drawn to: something that they touched must be of each."""
    found = patterns.DRAWN.search(line.text)
    if found is None:
        return
    touched = {name.casefold() for each in line.told.touched() for name in line.product(each).categories}
    topics = patterns.TOPICS_END.split(found["a"])[0]
    for topic in _topics(topics, set(line.shelf.categories.values())):
        _history(line, topic, holds=all(part.strip().casefold() in touched for part in topic.split("›")))
    line.mask(found.start("a"), found.start("a") + len(topics))


def _history(line: Line, text: str, *, holds: bool) -> None:
    if line.told.deeds:
        line.claim("history", text, verdict_of(holds), "what the person did")
    else:
        line.claim("history", text, "unverifiable", "no history of the person is known here")


def _topics(text: str, categories: set[str]) -> Iterator[str]:
    """Of "A › B, C and D": names of categories hold "&" and commas themselves, so the longest known one is taken."""
    rest = text.strip()
    while rest:
        path = []
        while name := max((each for each in categories if rest.startswith(each)), key=len, default=""):
            path.append(name)
            rest = rest[len(name) :]
            if not rest.startswith(" › "):
                break
            rest = rest.removeprefix(" › ")
        if not path:
            yield rest
            return
        yield " › ".join(path)
        rest = re.sub(r"^(?:, | and | or )", "", rest).strip()


def read_rows(line: Line) -> None:
    """ "Material: steel against brass.", "Both share: brand A; color red.", "Color: red; size: S, M." """
    if shared := patterns.SHARED.match(line.text):
        for part in shared["rest"].split("; "):
            name = max((n for n in line.shelf.attribute_names if part.startswith(f"{n} ")), key=len, default="")
            _row(line, name, part.removeprefix(f"{name} "), line.told.shown)
        line.mask(0, len(line.text))
        return
    text = line.text.rstrip(". ")
    rows = list(patterns.ROW.finditer(text))
    names = [row["name"].strip().casefold() for row in rows]
    if not rows or rows[0].start() or not all(name in line.shelf.attribute_names for name in names):
        return
    each_own = re.split(r" against |; ", text[rows[0].start("value") :]) if len(rows) == 1 else []
    if len(each_own) == len(line.told.shown) > 1:
        for value, product_id in zip(each_own, line.told.shown, strict=True):
            _row(line, names[0], value, (product_id,))
    else:
        for name, row in zip(names, rows, strict=True):
            _row(line, name, row["value"], line.about or line.told.shown[:1])
    line.mask(0, len(line.text))


def _row(line: Line, name: str, value: str, of: Sequence[str]) -> None:
    text = f"{name}: {value.strip()}"
    if value.strip() == "not stated":
        line.of_every("attribute", text, lambda each: not line.shelf.values(each, name), of)
    else:
        line.of_every("attribute", text, lambda each: _listed_in(value, line.shelf.values(each, name)), of)


def _listed_in(said: str, values: Sequence[str]) -> bool:
    """Is each part of "S, M, L" one of the values? A value may have commas itself."""
    known = {_flat(value) for value in values}
    return _flat(said) in known or all(_flat(part) in known for part in said.split(", "))


def read_unknown_facts(line: Line) -> None:
    """ "I do not know the weight" is a claim too: that the shop says nothing of it."""
    for found in line.taking(patterns.UNKNOWN_FACT):
        subject = line.subject(found.start()) or line.about or line.told.shown[:1]
        for name in re.split(r", | or ", found["a"]):
            line.of_products("attribute", f"{name} unknown", subject, _untold(line, name))


def _untold(line: Line, name: str) -> Holds:
    return lambda each: not line.shelf.values(each, name) and not line.shelf.carries(each, name)


def _flat(text: str) -> str:
    return " ".join(key_of(word.text) for word in words(text))
