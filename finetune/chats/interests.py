"""What a person is drawn to, in words that their own steps bear out: answers by template, kept where the check lets
them pass.

Takes people's events, how the service makes steps of them and finds a turn in them, and its check of a sentence; gives
rows. Where somebody has turned, the first sentence of the answer says so. The template varies
what a small model would else repeat, and says nothing that the check, which is the service's own, does not find in the
lines that the sentence quotes. A sentence that fails is not shown to a model as a good one.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Final

import numpy as np

from finetune.chats.drawing import drawn
from finetune.chats.parts import Cut, Part
from finetune.examples import ChatExample
from prompts.interest_turn import InterestTurn, names
from prompts.interest_words import (
    ASKED_SENTENCES,
    ASKED_WORDS,
    NumberedSentence,
    Worded,
    fitting,
    render_interest_words,
    short_title,
    write_interest_words,
)
from prompts.prompt import Prompt
from prompts.step import Step
from tasteline.types import Event

StepsOf = Callable[[Sequence[Event]], Sequence[Step]]
"""A history, oldest first → steps as the service makes them."""
TurnOf = Callable[[Sequence[Event]], InterestTurn | None]
"""A history, oldest first → its latest turn as the service would tell it at the last event."""
Holds = Callable[[NumberedSentence, Sequence[Step], InterestTurn | None], bool]
"""Would the service show this sentence about these steps and this turn?"""

_SAID: Final[Mapping[str, tuple[str, ...]]] = {
    "bought": ("You bought {}.",),
    "put in the cart": ("You put {} in the cart.",),
    "saved": ("You saved {}.",),
    "viewed": ("You viewed {}.", "You looked at {}."),
}
_TURNED: Final = ("You turned from {} to {}.", "You turned from {} to {} lately.")
_WORD: Final = re.compile(r"[A-Za-z][A-Za-z'-]{2,19}")
LOOKED_AT = 6
"""More moments of a person where a turn is looked for: one of twenty has one, too few to learn from."""
TITLES = 2
"""In one sentence, at most."""


def interest_chats(
    people: Mapping[str, Sequence[Event]],
    steps_of: StepsOf,
    turn_of: TurnOf,
    holds: Holds,
    *,
    part: Part,
    cut: Cut,
    each: int = 2,
    seed: int,
) -> Iterator[ChatExample]:
    """Rows of at most `each` moments of a person, drawn, and of one more where they had turned, if one is seen.

    `people`: events by user id, oldest first.
    """
    rng = np.random.default_rng([seed, part == "valid", 3])
    for user_id, events in people.items():
        moments = [place for place, event in enumerate(events) if cut.takes(part, user_id, event.time)]
        order = [moments[place] for place in rng.permutation(len(moments))]
        turned = (place for place in order[each : each + LOOKED_AT] if turn_of(events[: place + 1]))
        for chosen in sorted({*order[:each], *islice(turned, 1)}):
            last, history = events[chosen], events[: chosen + 1]
            steps, turn = steps_of(history), turn_of(history)
            if not steps:
                continue
            prompt = render_interest_words(steps, turn=turn)
            answer = worded(fitting(steps, turn=turn), turn, spoken(prompt), holds, rng)
            if answer is not None:
                yield ChatExample(
                    task="interests",
                    messages=prompt.messages,
                    answer=write_interest_words(answer),
                    user_id=user_id,
                    time=last.time,
                )


def spoken(prompt: Prompt) -> re.Pattern[str]:
    """What the form of the answer allows a sentence to be."""
    schema = json.loads(prompt.schema or "{}")
    return re.compile(schema["properties"]["sentences"]["items"]["properties"]["text"]["pattern"])


def worded(
    steps: Sequence[Step],
    turn: InterestTurn | None,
    allowed: re.Pattern[str],
    holds: Holds,
    rng: np.random.Generator,
) -> Worded | None:
    """Two sentences that hold, about different things, and words to search by; None where there are no such two."""

    def fits(sentence: NumberedSentence) -> bool:
        return bool(allowed.search(sentence.text)) and holds(sentence, steps, turn)

    tellers = (_turned(turn, len(steps) + 1, rng), _done(steps, rng), _drawn_to(steps, rng))
    said = [next(filter(fits, each), None) for each in tellers]
    kept = [sentence for sentence in said if sentence is not None]
    words = _query(steps)
    if len(kept) < ASKED_SENTENCES or not words:
        return None
    return Worded(tuple(kept[:ASKED_SENTENCES]), " ".join(words))


def _turned(turn: InterestTurn | None, line: int, rng: np.random.Generator) -> Iterator[NumberedSentence]:
    """The turn, in the order and the names of its line."""
    if turn is not None:
        sides = (" and ".join(names(side)) for side in (turn.before, turn.after))
        yield NumberedSentence(drawn(_TURNED, rng).format(*sides), (line,))


def _done(steps: Sequence[Step], rng: np.random.Generator) -> Iterator[NumberedSentence]:
    """What was done last, with what was done in the same way just before it where there is room for both."""
    act = steps[-1].act
    lines = [line for line, step in enumerate(steps, start=1) if step.act == act][-TITLES:]
    way = drawn(_SAID[act], rng)
    for chosen in (lines, lines[-1:]):
        titles = [short_title(steps[line - 1].product) for line in chosen]
        if len(set(titles)) == len(titles):
            yield NumberedSentence(way.format(" and ".join(titles)), tuple(chosen))


def _drawn_to(steps: Sequence[Step], rng: np.random.Generator) -> Iterator[NumberedSentence]:
    """Kinds, with a brand where one made them all, from the latest on; else the latest kind alone."""
    kinds: dict[str, list[int]] = {}
    for line in range(len(steps), 0, -1):
        product = steps[line - 1].product
        if product.categories:
            kinds.setdefault(product.categories[-1].casefold(), []).append(line)
    names = list(kinds)[:TITLES]
    for chosen in (names, names[:1]):
        lines = sorted(line for name in chosen for line in kinds[name])[-3:]
        brands = {steps[line - 1].product.brand for line in lines}
        by = f" by {brands.pop()}" if len(brands) == 1 and None not in brands and rng.random() < 0.7 else ""
        if chosen:
            yield NumberedSentence(f"You are interested in {' and '.join(chosen)}{by}.", tuple(lines))
            yield NumberedSentence(f"You are interested in {' and '.join(chosen)}.", tuple(lines))


def _query(steps: Sequence[Step]) -> list[str]:
    """Words of the latest kinds, then of the latest title."""
    kinds = [step.product.categories[-1] for step in reversed(steps) if step.product.categories]
    texts = [*kinds[:2], short_title(steps[-1].product)]
    words = [word.casefold() for text in texts for word in _WORD.findall(text) if word.casefold() != "and"]
    return list(dict.fromkeys(words))[:ASKED_WORDS]
