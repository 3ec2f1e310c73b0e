"""At most three questions to somebody of whom nothing is known, each the one that is expected to tell most.

Takes arrays (how much each product is turned to, what divides the products, what followed what) and the answers so
far; gives the next question, or how likely each product is what they turn to. Pure: knows no store, request or wire.

**What is asked.** Let p(x) be how likely the newcomer turns to product x next, given the answers so far. A question
divides the products into groups; its options are the largest ones. An option o is what somebody chooses whose taste
lies in group o; with `like[o, g(x)]`, how likely a person whose next choice is of group g(x) chooses o, Bayes' rule
gives p(x | o) = p(x) · like[o, g(x)] / P(o) where P(o) = Σ_x p(x) · like[o, g(x)]. Asked is the question with the
largest expected information about the next choice (Lindley, "On a Measure of the Information Provided by an
Experiment", 1956), in bits:

    gain = Σ_o P(o) · KL(p(x | o) ‖ p(x)) = Σ_o Σ_x p(x) · like[o, g(x)] · log2(like[o, g(x)] / P(o))

over the options only, for "anything" is no evidence. Were taste never to change, `like` would be the identity and the
gain the entropy of the groups: two halves, one bit. But who bought shampoo may buy lipstick next, and seldom of the
same brand: an answer tells far less about the next choice than it divides the shelf, and by very different factors for
categories and for brands. That is why `like` is counted from what followed what (`likeness`), why the information is
about the next choice and not about the groups, and why answers are evidence and no filter
(docs/adr/0015-the-question-that-tells-most.md has the measurements).

>>> sides = Facet("side", "side", "Which side?", ("left", "right"), ("Left", "Right"), np.array([0, 0, 1]), np.eye(3))
>>> welcome = Welcome(np.array([1.0, 1.0, 2.0]), [sides])
>>> question = welcome.question([])
>>> question.id, [option.label for option in question.options], question.gain
('side', ['Left', 'Right', 'Anything'], 1.0)
>>> welcome.belief([Choice("side", "left")]).tolist()
[0.5, 0.5, 0.0]
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tasteline.errors import NotFound
from tasteline.types import Choice, Mask

MOST_QUESTIONS = 3
MOST_OPTIONS = 5
"""Beside "anything": what is read at a glance."""
ANYTHING = "anything"
WITHIN = " > "
"""Between the levels in the name of a group."""
LEAST_GAIN = 0.05
"""Bits. On valid of Beauty's newcomers all three questions tell more than that; stopping at .08 saves half a question
of two and costs a twentieth of nDCG@10, at .1 a tenth. What tells less is not worth a click."""
ASSUMED_STEPS = 100.0
"""How many counted steps weigh as much as what is assumed of a shop in which nothing was counted."""
FOLLOWED = 0.5
"""Weight of what followed the products of the answers, beside what is turned to in their groups. On the same people
nDCG@10 after two questions is .0141 without it, .0178 with this half, .0184 (and less after three) with nothing else;
the half keeps products that nothing has led to yet."""

Weights = NDArray[np.float64]
Codes = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Option:
    id: str
    label: str


@dataclass(frozen=True, slots=True)
class Question:
    id: str
    text: str
    options: tuple[Option, ...]
    """The largest groups, then "anything"."""
    gain: float
    """Bits about the next choice that an answer is expected to tell."""


@dataclass(frozen=True, slots=True)
class Facet:
    """One thing that divides the products: a level of the categories, brand, price, an attribute."""

    id: str
    family: str
    """Levels of one thing, from broad to narrow in the order of the facets: the narrowest answer speaks for all."""
    text: str
    names: tuple[str, ...]
    """Of the groups; what an answer quotes. On a lower level the names of the levels around it come first."""
    labels: tuple[str, ...]
    codes: Codes
    """(products,) each one's group, -1 for none."""
    like: Weights
    """(groups + 1, groups + 1): [a, g] is how likely somebody whose next choice is of group g is at home in a; columns
    sum to 1. The last of both is no group."""
    ordered: bool = False
    """Options are read in the order of the groups, as price bands are, and not the largest first."""


@dataclass(frozen=True, slots=True)
class Steps:
    """What followed what: from one product to another, so often."""

    before: Codes
    after: Codes
    often: Weights

    @classmethod
    def none(cls) -> Steps:
        return cls(np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64), np.zeros(0))


class Welcome:
    """One shop's questions. `weights` (products,): how much each is turned to, 0 for what is not there."""

    def __init__(self, weights: Weights, facets: Sequence[Facet], steps: Steps | None = None) -> None:
        self._weights = weights.astype(np.float64)
        self._facets = {facet.id: facet for facet in facets}
        self._level = {facet.id: level for level, facet in enumerate(facets)}
        self._steps = steps or Steps.none()
        left = np.bincount(self._steps.before, self._steps.often, minlength=len(weights))
        self._share = self._steps.often / left[self._steps.before]

    def __len__(self) -> int:
        return len(self._weights)

    def facet(self, question: str) -> Facet:
        """Raises NotFound."""
        found = self._facets.get(question)
        if found is None:
            raise NotFound(f"There is no question {question!r} here. Answer one that was asked, or start anew.")
        return found

    def knows(self, answer: Choice) -> bool:
        """Is it an option of a question here?"""
        facet = self._facets.get(answer.question)
        return facet is not None and (answer.option == ANYTHING or answer.option in facet.names)

    def heard(self, answers: Sequence[Choice]) -> list[Choice]:
        """The answers; of two to one question the later. Raises NotFound for no question, and for no option of it."""
        for answer in answers:
            facet = self.facet(answer.question)
            if not self.knows(answer):
                raise NotFound(f"Question {facet.id!r} has no option {answer.option!r} here. Start anew.")
        return list({answer.question: answer for answer in answers}.values())

    def belief(self, answers: Sequence[Choice], allowed: Mask | None = None) -> Weights:
        """(products,) how likely each is what they turn to; sums to 1, zeros where nothing is allowed."""
        by_group, followed = self._by_group(answers, allowed), self._followed(answers, allowed)
        return by_group if followed is None else (1.0 - FOLLOWED) * by_group + FOLLOWED * followed

    def question(self, answers: Sequence[Choice], allowed: Mask | None = None) -> Question | None:
        """The one that tells most; None after the third answer, and where none tells enough."""
        if len(answers) >= MOST_QUESTIONS:
            return None
        best = max(self.candidates(answers, allowed), key=lambda question: question.gain, default=None)
        return best if best is not None and best.gain >= LEAST_GAIN else None

    def candidates(self, answers: Sequence[Choice], allowed: Mask | None = None) -> list[Question]:
        """Every question that is still open, with what it would tell."""
        belief = self._by_group(answers, allowed)
        made = (self._made(facet, answers, belief) for facet in self._facets.values() if self._is_open(facet, answers))
        return [question for question in made if question is not None]

    def tells(self, answers: Sequence[Choice]) -> bool:
        """Is there anything but "anything"?"""
        return bool(self._told(answers))

    def chosen(self, answers: Sequence[Choice], product: int) -> list[str]:
        """Labels of the answers that this product bears out; of one family the narrowest."""
        told = self._told(answers)
        return [facet.labels[group] for facet, group in told if facet.codes[product] == group]

    def _told(self, answers: Sequence[Choice]) -> list[tuple[Facet, int]]:
        """Facet and group of each family's narrowest answer; "anything" tells nothing."""
        told: dict[str, tuple[Facet, int]] = {}
        for answer in sorted(answers, key=lambda answer: self._level[answer.question]):
            facet = self._facets[answer.question]
            if answer.option != ANYTHING:
                told[facet.family] = (facet, facet.names.index(answer.option))
        return list(told.values())

    def _evidence(self, answers: Sequence[Choice]) -> Weights:
        """(products,) how likely these answers are from somebody whose next choice is this product."""
        evidence = np.ones(len(self._weights))
        for facet, group in self._told(answers):
            evidence *= facet.like[group, facet.codes]  # code -1 reads the last column: of no group
        return evidence

    def _by_group(self, answers: Sequence[Choice], allowed: Mask | None) -> Weights:
        return _shared(self._weights * self._evidence(answers), allowed)

    def _followed(self, answers: Sequence[Choice], allowed: Mask | None) -> Weights | None:
        """What people turned to after the products that all answers speak of, as if those were a history."""
        told = self._told(answers)
        if not told:
            return None
        touched = np.where(np.all([facet.codes == group for facet, group in told], axis=0), self._weights, 0.0)
        steps = self._steps
        after = np.bincount(steps.after, touched[steps.before] * self._share, minlength=len(self._weights))
        shared = _shared(after.astype(np.float64), allowed)
        return shared if shared.any() else None

    def _is_open(self, facet: Facet, answers: Sequence[Choice]) -> bool:
        """Of its family nothing was answered yet, or only broader levels, and not with "anything"."""
        family = [answer for answer in answers if self._facets[answer.question].family == facet.family]
        broader = (self._level[answer.question] < self._level[facet.id] for answer in family)
        return all(broader) and all(answer.option != ANYTHING for answer in family)

    def _made(self, facet: Facet, answers: Sequence[Choice], belief: Weights) -> Question | None:
        masses = np.bincount(facet.codes + 1, belief, minlength=len(facet.names) + 1)[1:]
        around = [(wider, group) for wider, group in self._told(answers) if wider.family == facet.family]
        for wider, group in around:
            inside = [name.startswith(wider.names[group] + WITHIN) for name in facet.names]
            masses = np.where(inside, masses, 0.0)
        groups = [int(group) for group in np.argsort(-masses, kind="stable")[:MOST_OPTIONS] if masses[group] > 0]
        if len(groups) < 2:
            return None
        groups = sorted(groups) if facet.ordered else groups
        text = f"Anything in particular in {around[0][0].labels[around[0][1]]}?" if around else facet.text
        options = (*_labelled(facet, groups), Option(ANYTHING, "Anything"))
        return Question(facet.id, text, options, self._gain(facet, answers, belief, groups))

    def _gain(self, facet: Facet, answers: Sequence[Choice], belief: Weights, groups: Sequence[int]) -> float:
        """The formula above; what a broader answer of the family has told already is not told again."""
        known = self._evidence(answers)
        gain = 0.0
        for group in groups:
            told = self._evidence([*answers, Choice(facet.id, facet.names[group])])
            like = np.divide(told, known, out=np.zeros_like(told), where=known > 0)
            possible = (like > 0) & (belief > 0)
            chance = float(belief @ like)
            gain += float((belief[possible] * like[possible]) @ np.log2(like[possible] / chance))
        return gain


def likeness(codes: Codes, groups: int, weights: Weights, steps: Steps, steady: float) -> Weights:
    """`Facet.like` of a facet, counted from steps.

    The steps between two groups are added to what is assumed where nothing is known: the share `steady` stays in its
    group, the others turn to any by its weight.
    """
    size = groups + 1
    shares = np.bincount(codes % size, weights, minlength=size)
    shares = (shares + 1e-9) / (shares + 1e-9).sum()  # no column of zeros
    assumed = steady * np.diag(shares) + (1.0 - steady) * np.outer(shares, shares)
    pairs = (codes[steps.before] % size) * size + codes[steps.after] % size
    joint = np.bincount(pairs, steps.often, minlength=size * size).reshape(size, size) + ASSUMED_STEPS * assumed
    like: Weights = joint / joint.sum(axis=0)
    return like


def _labelled(facet: Facet, groups: Sequence[int]) -> list[Option]:
    """Short labels; with the levels around it where two would read the same."""
    times = Counter(facet.labels[group] for group in groups)
    return [
        Option(name, label if times[label] == 1 else name.replace(WITHIN, " › "))
        for name, label in ((facet.names[group], facet.labels[group]) for group in groups)
    ]


def _shared(weights: Weights, allowed: Mask | None) -> Weights:
    kept = weights if allowed is None else np.where(allowed, weights, 0.0)
    total = kept.sum()
    return kept / total if total > 0 else kept
