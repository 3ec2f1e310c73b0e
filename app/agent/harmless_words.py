"""Words that a language model may use about products without a fact behind them: they claim nothing that can be false.

Left out on purpose: negations (they turn a fact around), comparisons and superlatives ("cheaper", "best"), qualities
that only a feed can know ("durable", "quiet"), and all the promises of a shop ("free", "new", "sale", "delivery").
"""

from __future__ import annotations

from typing import Final

_HARMLESS = """
a an the this that these those it its they them their here there which what who where how when i i'd i'll i've we
you your you'd you'll you're yours me us let's it's that's they're here's there's and or but as so if then also too
well plus while for of to in on at by with from about into up out is are be been am will would can could may might
should do does have has had let one ones each both either another other others some several few hello hi hey welcome
sure certainly absolutely happy glad please thanks thank great good nice lovely fine beautiful wonderful delightful
fantastic excellent choice choices option options pick picks suggestion suggestions idea ideas match matches find
finds product products item items selection list range possibility contender candidate found picked chosen selected
suggest suggests recommend recommends consider considering offer offers show shows see look looks looking take give
try explore check browse choose decide start begin keep want wanted wish need needs like likes liked love enjoy suit
suits fit fits work works help helps go goes come comes make makes ask asked asking search searched request
requested mind thing things something anything kind sort way worth maybe perhaps really quite very just right close
similar alongside together along price prices priced cost costs rated rating ratings star stars called named titled
shop question questions know tell interest interests interested based since because following below introduce
introducing day collection fun
"""
HARMLESS: Final = frozenset(_HARMLESS.split())
"""In lower case."""

_COUNTED = """
zero one two three four five six seven eight nine ten
eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen twenty
"""
COUNTED: Final = {word: number for number, word in enumerate(_COUNTED.split())} | {
    "couple": 2, "pair": 2, "both": 2, "trio": 3, "dozen": 12, "hundred": 100, "thousand": 1000,
}  # fmt: skip

ORDINALS: Final = {
    word: place
    for place, words in enumerate(
        ("first 1st", "second 2nd", "third 3rd", "fourth 4th", "fifth 5th", "sixth 6th", "seventh 7th", "eighth 8th"), 1
    )
    for word in words.split()
}
