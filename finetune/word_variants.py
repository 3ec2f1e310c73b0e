"""Other ways to type a word: singular or plural, a slip of the finger, what some call it instead.

Takes a word, gives words; English. Knows no catalogue.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from itertools import pairwise

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
OTHER_WORDS: Mapping[str, tuple[str, ...]] = {
    word: tuple(other for other in group if other != word) for group in _SYNONYMS for word in group if " " not in word
}
"""Word -> what else it is called. American and British, trade and household."""


def other_number(word: str) -> str:
    """Singular for plural and the other way round, by the regular rules; other words unchanged.

    >>> [other_number(word) for word in ("battery", "batteries", "cable", "glasses", "tn-2110")]
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


def misspelt(word: str, chance: random.Random) -> str:
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
