"""Ranking against a sample, as many papers did: only to reproduce their numbers, and marked on every line.

Takes a Split whose cases have one target each, gives the same split under a name that begins with "sampled-" and, for
each case, the few items that are ranked. Metrics against a sample are no estimate of metrics against the catalogue
and may order systems otherwise (Krichene and Rendle, KDD 2020): nothing here is a default.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from eval.asking import BATCH_SCORES, scored
from eval.data.interactions import Codes
from eval.metrics.topk import top_k
from eval.protocols.cutting import case_of_event, contained, distinct
from eval.protocols.split import Cases, Protocol, Repeats, Split
from eval.systems import Scorer
from tasteline.errors import InvalidInput

MARK = "sampled-"
By = Literal["uniform", "popularity"]
Weights = NDArray[np.float32]
"""(items,): chances of being drawn, in proportion; 0 is never drawn."""


@dataclass(frozen=True, slots=True)
class SampledSplit:
    split: Split
    """As it was, but for the protocol's name and description."""
    valid: Codes
    """(valid cases, negatives + 1): the target among the sampled, ascending by item number."""
    test: Codes
    """(test cases, negatives + 1), likewise."""


def sampled(split: Split, *, negatives: int = 99, by: By = "uniform", seed: int = 0) -> SampledSplit:
    """For each case its target and `negatives` other items, never of the history, none twice; seeded.

    "popularity" draws one after the other in proportion to the train rows of what is left, "uniform" with equal
    chances. Raises InvalidInput where a case has several targets or too few items can be drawn for one.
    """
    counts = np.bincount(split.train.items, minlength=len(split.catalogue)).astype(np.float32)
    weights = np.ones_like(counts) if by == "uniform" else counts
    valid, test = (
        _candidates(cases, weights, negatives, np.random.default_rng([seed, part]))
        for part, cases in enumerate((split.valid, split.test))
    )
    chances = "equal chances" if by == "uniform" else "chances in proportion to train rows"
    description = (
        f"{split.protocol.description} NOT A FULL RANKING: each target is ranked against only {negatives} other items, "
        f"drawn with {chances} (seed {seed}) from those outside the history; numbers cannot be compared with those of "
        "a full ranking."
    )
    protocol = Protocol(f"{MARK}{negatives}-{by}-{split.protocol.name}", description, split.protocol.repeats)
    return SampledSplit(replace(split, protocol=protocol), valid, test)


def line_name(system: str, protocol: Protocol) -> str:
    """What a line of a result or a table is called: a number from a sample never stands there without saying so.

    >>> line_name("popular", Protocol("sampled-99-uniform-leave-one-out", ""))
    'popular (sampled-99-uniform)'
    >>> line_name("popular", Protocol("leave-one-out", ""))
    'popular'
    """
    if not protocol.name.startswith(MARK):
        return system
    return f"{system} ({'-'.join(protocol.name.split('-')[:3])})"


def rank_sampled(system: Scorer, cases: Cases, candidates: Codes, items: int, depth: int, *, repeats: Repeats) -> Codes:
    """(cases, depth) items of `candidates`, best first, -1 past the end; equal scores go by item number.

    `items` is the size of the catalogue, `repeats` that of the protocol. Raises ValueError as `eval.asking` does.
    """
    ranked = np.full((len(cases), depth), -1, dtype=np.int32)
    batch = max(1, BATCH_SCORES // max(items, 1))
    for start in range(0, len(cases), batch):
        asked = candidates[start : start + batch]
        scores = scored(system, cases.histories.slice(start, start + batch), items, repeats=repeats)
        best, _ = top_k(np.take_along_axis(scores, asked, axis=1), depth)
        ranked[start : start + batch] = np.where(best < 0, -1, np.take_along_axis(asked, np.maximum(best, 0), axis=1))
    return ranked


def _candidates(cases: Cases, weights: Weights, negatives: int, rng: np.random.Generator) -> Codes:
    if len(cases.targets.items) != len(cases):
        raise InvalidInput("ranking against a sample is defined for one target a case; use leave-one-out or next_only")
    result = np.column_stack((cases.targets.items, _drawn(cases, weights, negatives, rng)))
    result.sort(axis=1)  # the target's place must not tell it from the others, not even where scores are equal
    return result


def _drawn(cases: Cases, weights: Weights, negatives: int, rng: np.random.Generator) -> Codes:
    """(cases, negatives) items: drawn one after the other, and drawn again where an item is taken already."""
    items = len(weights)
    of_event = case_of_event(cases.histories.starts)
    targets = np.arange(len(cases)) * items + cases.targets.items
    taken = distinct(np.concatenate((targets, of_event * items + cases.histories.items)))
    drawable = weights > 0
    left = drawable.sum() - np.bincount(taken[drawable[taken % items]] // items, minlength=len(cases))
    if (left < negatives).any():
        raise InvalidInput(f"a case has only {left.min()} items that can be drawn; {negatives} were asked for")
    chances = np.cumsum(weights, dtype=np.float64)
    result = np.full(len(cases) * negatives, -1, dtype=np.int32)
    missing = np.arange(len(result))
    while len(missing):
        drawn = np.searchsorted(chances, rng.random(len(missing)) * chances[-1], side="right").astype(np.int32)
        keys = missing // negatives * items + drawn
        new = np.zeros(len(keys), dtype=np.bool_)
        new[np.unique(keys, return_index=True)[1]] = True
        new &= ~contained(keys, taken)
        result[missing[new]] = drawn[new]
        taken = np.concatenate((taken, keys[new]))
        missing = missing[~new]
    return result.reshape(len(cases), negatives)
