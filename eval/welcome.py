"""A welcome of up to three questions: newcomers who answer truthfully, and what an answer brings.

Takes the shop's questions (`retrieval.welcome`) and whole histories of new people, gives the answers that they would
give, question by question: the option that most of their own products fall in. Never looks at a target. Three ways to
choose the next question: by gain, as the shop does; drawn; in a fixed order.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from eval.data.interactions import Histories
from retrieval.welcome import ANYTHING, MOST_QUESTIONS, Question, Welcome
from tasteline.types import Choice, Rows

FIXED = ("category-1", "brand", "price")
"""Department, brand, price: how a form would ask."""

Answers = tuple[Choice, ...]
Next = Callable[[Answers, int], Question | None]
"""(answers so far, number of the case) → what to ask."""


@dataclass(frozen=True, slots=True)
class Dialogue:
    """After so many questions: each case's answers, and how it went."""

    answers: Sequence[Answers]

    def described(self) -> dict[str, float]:
        """Questions that a person was asked, and how many of them "anything" answered; means."""
        number = max(len(self.answers), 1)
        given = [answer for each in self.answers for answer in each]
        nothing = sum(answer.option == ANYTHING for answer in given)
        return {"questions": round(len(given) / number, 3), "anything": round(nothing / number, 3)}


def strategies(welcome: Welcome, seed: int) -> Mapping[str, Next]:
    """Name → how it chooses; every one asks only what is open and has at least two options."""
    kept: dict[Answers, Question | None] = {}

    def by_gain(answers: Answers, case: int) -> Question | None:
        if answers not in kept:
            kept[answers] = welcome.question(answers)
        return kept[answers]

    open_: dict[Answers, list[Question]] = {}

    def candidates(answers: Answers) -> list[Question]:
        if answers not in open_:
            open_[answers] = welcome.candidates(answers)
        return open_[answers]

    def drawn(answers: Answers, case: int) -> Question | None:
        found = candidates(answers)
        place = np.random.default_rng([seed, case, len(answers)]).integers(max(len(found), 1))
        return found[place] if found else None

    def fixed(answers: Answers, case: int) -> Question | None:
        asked = {answer.question for answer in answers}
        found = {question.id: question for question in candidates(answers)}
        return next((found[name] for name in FIXED if name in found and name not in asked), None)

    return {"gain": by_gain, "random": drawn, "fixed": fixed}


def dialogues(welcome: Welcome, rows: Rows, histories: Histories, choose: Next) -> list[Dialogue]:
    """After 0, 1, … MOST_QUESTIONS questions. `rows`: of each item, in `welcome`."""
    answers: list[Answers] = [()] * len(histories)
    found = [Dialogue(answers)]
    own = [known[known >= 0] for known in (rows[histories.of_case(case)] for case in range(len(histories)))]
    for _ in range(MOST_QUESTIONS):
        answers = list(answers)
        for case, given in enumerate(answers):
            question = choose(given, case)
            if question is not None:
                answers[case] = (*given, truthful(welcome, question, own[case]))
        found.append(Dialogue(answers))
    return found


def truthful(welcome: Welcome, question: Question, own: Rows) -> Choice:
    """The option that most of a person's products fall in; "anything" where no option holds as many as another group.

    Equal options are settled by the order in which they are read.
    """
    facet = welcome.facet(question.id)
    counts = Counter(facet.codes[own].tolist())
    of_option = {o.id: counts[facet.names.index(o.id)] for o in question.options if o.id != ANYTHING}
    best = max(of_option, key=lambda option: of_option[option])
    most = max((number for group, number in counts.items() if group >= 0), default=0)
    return Choice(question.id, best if of_option[best] == most > 0 else ANYTHING)
