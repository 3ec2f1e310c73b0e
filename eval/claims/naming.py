"""Names in a line, and the limits that are said again by their label."""

from __future__ import annotations

import re
from dataclasses import replace

from eval.claims import patterns
from eval.claims.line import READ, Line
from eval.claims.names import Mention, Names
from eval.claims.shelf import stems
from tasteline.types import Constraint


def read_limits_by_label(line: Line) -> None:
    """Limits as they were understood, in parentheses: elsewhere "linen" may be a word of a title.

    Prices and stars are read as amounts further on.
    """
    for limit in line.told.constraints:
        if re.search(r"[$€£¥]|\bstars?\b", limit.label):
            continue
        for place in re.finditer(rf"(?<![\w“]){re.escape(limit.label)}(?![\w”])", line.text):
            if any(aside.start() < place.start() < aside.end() for aside in patterns.ASIDE.finditer(line.text)):
                _keeps(line, limit)
                line.mask(*place.span())


def _keeps(line: Line, limit: Constraint) -> None:
    line.kept_by_all(limit.label, lambda each: line.shelf.keeps(line.product(each), limit.filters))


def read_names(line: Line, names: Names) -> None:
    """Outside of quotations; afterwards they are masked, and the line is parted into sentences."""
    bare = patterns.QUOTE.sub(lambda quote: READ * len(quote.group()), line.text)
    near = [*line.told.shown, *line.told.asked]
    found = names.mentions(bare, near)
    if line.told.deeds and any(not mention.known or mention.kind == "unknown" for mention in found):
        found = names.mentions(bare, [*near, *line.told.touched()])
    for mention in found:
        meant = line.expected in mention.ids and mention.kind == "product"
        line.mentions.append(replace(mention, ids=(line.expected or "",)) if meant else mention)
    line.part_into_sentences()
    for mention in line.mentions:
        _claimed(line, mention)
    for mention in line.mentions:
        line.mask(mention.start, mention.end)
    line.spans.clear()
    line.part_into_sentences()


def _claimed(line: Line, mention: Mention) -> None:
    if mention.kind == "product" and mention.known:
        titles = {line.shelf.titles[each] for each in mention.ids}
        several = len(titles) > 1
        why = f"may be any of {len(mention.ids)}" if several else mention.ids[0]
        line.claim("name", mention.text, "unverifiable" if several else "supported", why)
    elif mention.kind == "product":
        line.claim("name", mention.text, "unsupported", "sold here, but neither shown nor asked about")
    elif mention.kind == "unknown":
        _unknown(line, mention)
    else:
        _said_of(line, mention)


def _unknown(line: Line, mention: Mention) -> None:
    """Nobody's name; unless it is the shop's, or a word that the product spoken of carries."""
    if set(stems(mention.text)) <= set(stems(line.told.shop_name)):
        return
    single = len(mention.text.split()) == 1 and not mention.ids
    subject = line.subject(mention.start) if single else ()
    if subject and all(line.shelf.carries(each, mention.text) for each in subject):
        line.claim("attribute", mention.text, "supported", subject[0])
    elif not (single and mention.start == 0):  # a word that only begins the line names nothing
        line.claim("name", mention.text, "unsupported", "no product of the shop is called that")


def _said_of(line: Line, mention: Mention) -> None:
    """A brand, a category or a capitalised quality: of the product nearby, else of any that is shown."""
    subject = mention.ids or line.subject(mention.start, fallback=False)
    if subject:
        line.of_products("attribute", mention.text, subject, lambda each: line.shelf.carries(each, mention.text))
    elif mention.kind == "category":
        line.claim("attribute", mention.text, "supported", "a category of the shop")
    elif line.told.shown:
        line.of_products("attribute", mention.text, line.told.shown, lambda e: line.shelf.carries(e, mention.text))
