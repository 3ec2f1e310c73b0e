"""Segments: people of like interests, how many they are, and what they turn to more than others do.

Takes acts, gives `Segment`s and the segment of each person. A person is the shares of their attention by topic (square
roots, so that the angle between two people is Hellinger's distance), in a few dimensions (truncated SVD) and clustered
by k-means, both of scikit-learn. How many there are is the number with the best silhouette (Rousseeuw, 1987), between 2
and `MOST`. A segment is named by the topics that stand out in it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy import sparse

from retrieval.insights.acts import Acts
from retrieval.insights.movements import Floats

PAST = 182
"""Days of a person's profile: half a year; acts without a time all count."""
FEWEST_ACTS = 5
"""Of a person, under which there is no profile to compare."""
MOST = 8
"""Segments: more are no glance."""
DIMENSIONS = 16
SAMPLE = 2_000
"""People among whom the silhouette is measured; it compares all pairs."""
CLEARER = 0.02
"""Points of share by which a topic stands out, at least."""
COMMON = 0.2
"""Share of a segment's people who turn to a topic, at least, for it to stand for the segment."""


@dataclass(frozen=True, slots=True)
class Standing:
    """A topic in a segment, against everybody else who has a profile."""

    topic: int
    share: float
    """Of the segment's people who turned to it."""
    elsewhere: float | None
    """Of all the others; None: of too few of them to show."""


@dataclass(frozen=True, slots=True)
class Segment:
    number: int
    people: int
    share: float
    """Of the people who have a segment."""
    stands_out: tuple[Standing, ...]
    """Topics that its people turn to more than others, clearest first."""


@dataclass(frozen=True, slots=True)
class Segmentation:
    segments: Sequence[Segment]
    """Largest first."""
    of_person: NDArray[np.int64]
    """Number of a segment by person, -1 without one."""
    silhouette: float
    """Of the number chosen: 1 is apart, 0 is one cloud."""

    def people_of(self, segment: int) -> NDArray[np.int64]:
        return np.flatnonzero(self.of_person == segment)


def segment(acts: Acts, fewest: int, seed: int = 0) -> Segmentation:
    """Nobody has a segment where under 2 * `fewest` people have a profile; segments under `fewest` are dissolved."""
    nobody = np.full(acts.people, -1, dtype=np.int64)
    attention, people = _profiles(acts)
    if len(people) < max(2 * fewest, 3 * MOST):
        return Segmentation((), nobody, 0.0)
    points = _points(attention, seed)
    labels, silhouette = _clustered(points, seed)
    sizes = np.bincount(labels)
    kept = [label for label in np.argsort(-sizes, kind="stable").tolist() if sizes[label] >= fewest]
    for number, label in enumerate(kept):
        nobody[people[labels == label]] = number
    turned = (attention > 0).astype(np.float64)
    # Of those in a segment: of all with a profile, the shares would tell how few are in none.
    total = int(sizes[kept].sum())
    found = [
        Segment(number, int(sizes[label]), sizes[label] / total, _standing(turned, labels == label, fewest))
        for number, label in enumerate(kept)
    ]
    return Segmentation(found, nobody, silhouette)


def _profiles(acts: Acts) -> tuple[sparse.csr_matrix, NDArray[np.int64]]:
    """(people with enough acts, topics): attention; and who they are."""
    rows = (
        acts.table.lazy()
        .filter(pl.col("age") < PAST)
        .group_by("person", "topic")
        .agg(pl.col("weight").sum(), acts=pl.len())
        .filter(pl.col("acts").sum().over("person") >= FEWEST_ACTS)
        .sort("person", "topic")
        .collect()
    )
    people, place = np.unique(rows["person"].to_numpy().astype(np.int64), return_inverse=True)
    weights = rows["weight"].to_numpy().astype(np.float64)
    shape = (len(people), len(acts.topics))
    return sparse.csr_matrix((weights, (place, rows["topic"].to_numpy())), shape=shape), people


def _points(attention: sparse.csr_matrix, seed: int) -> Floats:
    """Rare topics weigh more (inverse document frequency): what everybody buys tells nobody apart."""
    from sklearn.decomposition import TruncatedSVD
    from sklearn.preprocessing import normalize

    turned = np.maximum(np.asarray((attention > 0).sum(axis=0)).ravel(), 1)
    shares = normalize(attention, norm="l1").sqrt() @ sparse.diags(np.log1p(attention.shape[0] / turned))
    dimensions = min(DIMENSIONS, min(attention.shape) - 1)
    reduced = TruncatedSVD(dimensions, random_state=seed).fit_transform(normalize(shares))
    points: Floats = normalize(reduced)
    return points


def _clustered(points: Floats, seed: int) -> tuple[NDArray[np.int64], float]:
    from sklearn.cluster import KMeans
    from sklearn.metrics import silhouette_score
    from threadpoolctl import threadpool_limits

    best: tuple[float, NDArray[np.int64]] = (-2.0, np.zeros(len(points), dtype=np.int64))
    different = len(np.unique(points.round(6), axis=0))
    for number in range(2, min(MOST, different) + 1):
        with threadpool_limits(1, user_api="openmp"):  # several wait for each other on busy cores
            labels = KMeans(number, n_init=4, random_state=seed).fit_predict(points)
        if len(np.unique(labels)) < 2:
            continue
        sample = min(SAMPLE, len(points))
        score = float(silhouette_score(points, labels, sample_size=sample, random_state=seed))
        if score > best[0]:
            best = (score, labels.astype(np.int64))
    return best[1], best[0]


def _standing(turned: sparse.csr_matrix, inside: NDArray[np.bool_], fewest: int, most: int = 6) -> tuple[Standing, ...]:
    """`fewest` people of the segment turned to each."""
    here, there = (np.asarray(turned[side].sum(axis=0)).ravel() for side in (inside, ~inside))
    within = here / inside.sum()
    elsewhere = there / (~inside).sum() if not inside.all() else within
    apart = np.where((within >= COMMON) & (here >= fewest), within - elsewhere, -np.inf)
    order = np.argsort(-apart, kind="stable")[:most]
    return tuple(
        Standing(int(topic), float(within[topic]), float(elsewhere[topic]) if there[topic] >= fewest else None)
        for topic in order
        if apart[topic] > CLEARER
    )
