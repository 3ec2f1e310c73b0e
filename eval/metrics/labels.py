"""From what was ranked and what was judged to the arrays of labels that every ranking metric takes.

Items are integers from 0 on (any numbering of the caller's, 32 or 64 bits); -1 is an empty place. Knows nothing of
string ids.

>>> labels_of(ranked=np.array([[7, 5, 9]]), items=np.array([[5, 7]]), labels=np.array([[0.0, 3.0]]))
array([[ 3.,  0., nan]])
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from eval.metrics.ranking import PAST_THE_END, Labels, Values

EMPTY = -1
Items = NDArray[np.integer]

_CHUNK_PLACES = 2**18  # looked at together: the arrays of a chunk fit a processor's cache, and its loop costs little


def labels_of(ranked: Items, items: Items, labels: Labels) -> Labels:
    """Label of each ranked item: `labels[q, j]` where `items[q, j]` is it, NaN where nobody judged it.

    `ranked` (n, ranks) and `items` (n, judgements) are filled up with -1; an empty rank gives -inf. An item that is
    judged twice for one query gets one of its labels; an item ranked twice raises ValueError, for it would be
    counted twice and lift nDCG above 1.

    Beside the result it needs a few MB, whatever n; `over_chunks` does without the whole result, too.
    """
    _check(ranked, items, labels)
    found = np.empty(ranked.shape)
    for rows in _chunks(ranked, items):
        found[rows] = _label(ranked[rows], items[rows], labels[rows], rows.start)
    return found


def over_chunks(
    metrics: Callable[[Labels, Labels], Mapping[str, Values]], ranked: Items, items: Items, labels: Labels
) -> dict[str, Values]:
    """What `metrics(labels of what was ranked, all judgements)` gives for each query, some thousand queries at a time.

    Takes what `labels_of` takes and raises what it raises; gives one array (n,) for each name. The labels of one
    chunk stay in the processor's cache and never exist for all queries at once: a million people with a hundred
    ranks need 800 MB less, and no metric waits for memory. `metrics` must treat each query by itself.

    >>> from eval.metrics.ranking import mrr_at_k, recall_at_k
    >>> def both(ranked, judged):
    ...     return {"recall@2": recall_at_k(ranked, judged, 2), "mrr@2": mrr_at_k(ranked, 2)}
    >>> ranked, bought = np.array([[4, 7], [4, 7], [4, 7]]), np.array([[4], [7], [9]])
    >>> {name: values.tolist() for name, values in over_chunks(both, ranked, bought, np.ones((3, 1))).items()}
    {'recall@2': [1.0, 1.0, 0.0], 'mrr@2': [1.0, 0.5, 0.0]}
    """
    _check(ranked, items, labels)
    result: dict[str, Values] = {}
    for rows in _chunks(ranked, items):
        found = _label(ranked[rows], items[rows], labels[rows], rows.start)
        judged = np.where(items[rows] == EMPTY, PAST_THE_END, labels[rows])
        for name, values in metrics(found, judged).items():
            result.setdefault(name, np.empty(len(ranked)))[rows] = values
    return result


def padded(lists: Sequence[Sequence[int]], width: int | None = None) -> NDArray[np.int64]:
    """Lists of item numbers as one array (len(lists), width), filled up with -1; longer lists are cut.

    >>> padded([[4], [], [1, 2, 3]], width=2)
    array([[ 4, -1],
           [-1, -1],
           [ 1,  2]])
    """
    width = max((len(row) for row in lists), default=0) if width is None else width
    result = np.full((len(lists), width), EMPTY, dtype=np.int64)
    for number, row in enumerate(lists):
        result[number, : min(len(row), width)] = row[:width]
    return result


def judged_labels(judgements: Sequence[Mapping[int, float]]) -> tuple[NDArray[np.int64], Labels]:
    """Judgements of each query, {item: label}, as the two arrays that `labels_of` takes.

    >>> judged_labels([{5: 3.0}, {}])
    (array([[ 5],
           [-1]]), array([[  3.],
           [-inf]]))
    """
    items = padded([list(row) for row in judgements])
    labels = np.full(items.shape, PAST_THE_END)
    for number, row in enumerate(judgements):
        labels[number, : len(row)] = list(row.values())
    return items, labels


def _label(ranked: Items, items: Items, labels: Labels, first: int) -> Labels:
    """The labels of one chunk, which starts with query `first`."""
    if items.shape[1] == 1:  # a next item: no look-up needed
        short = _refuse_repeats(np.sort(ranked, axis=1), first)
        found = np.where(ranked == items, labels, np.nan)
    else:
        short = True
        found = np.full(ranked.shape, np.nan)
        queries, ranks, judgements = _matches(ranked, items, first)
        found[queries, ranks] = labels[queries, judgements]
    if short:
        found[ranked == EMPTY] = PAST_THE_END
    return found


def _matches(ranked: Items, items: Items, first: int) -> tuple[NDArray[np.integer], ...]:
    """Query, rank and place of the judgement wherever a ranked item is judged.

    Judged and ranked items of a query are sorted together, each with its column in its lowest bits: the same item on
    both sides comes to stand side by side, the judgement first.
    """
    judgements = items.shape[1]
    both = np.concatenate([items, ranked], axis=1)
    bits = both.shape[1].bit_length()
    if int(both.max(initial=0)) >> (63 - bits):  # numbers so large that there is no room for a column
        both = np.unique(both, return_inverse=True)[1].reshape(both.shape) - int((both == EMPTY).any())
    narrow = not int(both.max(initial=0)) >> (31 - bits)
    keys = both.astype(np.int32 if narrow else np.int64, copy=False) << bits
    columns = np.arange(keys.shape[1], dtype=keys.dtype)
    columns[:judgements] = columns[:judgements][::-1]  # of an item judged twice the first comes next to the ranked one
    keys |= columns
    keys.sort(axis=1)
    same = (keys[:, 1:] ^ keys[:, :-1]) >> bits == 0
    same &= keys[:, 1:] >= 0  # empty places are negative
    queries, places = np.divmod(np.flatnonzero(same), same.shape[1])  # nonzero itself is ten times slower
    before, after = keys[queries, places] & ((1 << bits) - 1), keys[queries, places + 1] & ((1 << bits) - 1)
    if (before >= judgements).any():
        _refuse(first + int(queries[(before >= judgements).argmax()]))
    matching = after >= judgements
    return queries[matching], after[matching] - judgements, judgements - 1 - before[matching]


def _refuse_repeats(ordered: Items, first: int) -> bool:
    """Whether there are empty places; equal neighbours are looked at twice only where these may be meant."""
    short = bool((ordered[:, :1] == EMPTY).any())
    repeated = ordered[:, 1:] == ordered[:, :-1]
    if short:
        repeated &= ordered[:, 1:] != EMPTY
    if repeated.any():
        _refuse(first + int(repeated.any(axis=1).argmax()))
    return short


def _refuse(query: int) -> None:
    raise ValueError(f"ranking {query} has an item twice; a ranking names an item once")


def _chunks(ranked: Items, items: Items) -> Iterator[slice]:
    step = max(1, _CHUNK_PLACES // max(1, ranked.shape[1] + items.shape[1]))
    return (slice(start, min(start + step, len(ranked))) for start in range(0, len(ranked), step))


def _check(ranked: Items, items: Items, labels: Labels) -> None:
    if ranked.ndim != 2 or items.ndim != 2 or items.shape != labels.shape or len(items) != len(ranked):
        raise ValueError(
            f"ranked has shape {ranked.shape}, items {items.shape}, labels {labels.shape}; "
            "give (queries, ranks), (queries, judgements), (queries, judgements)"
        )
