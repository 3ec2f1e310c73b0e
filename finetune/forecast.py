"""`tasteline train forecast`: three forests that say what people buy within the next 30 days, and whether they come.

Takes everybody's purchases as arrays, gives a `Forecaster`. Examples are windows cut out of the past: what was known
before each, and what was bought in it. Some people are left out of every window; by their newest the probabilities are
calibrated. Knows no store, no registry and no data set.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from retrieval.models.bought import DAY, Bought, Days, Floats, Numbers
from retrieval.models.calibration import Calibration
from retrieval.models.crowd import Crowd
from retrieval.models.forecast_features import Past, category_features, person_features, product_features
from retrieval.models.forecaster import Forecaster, Judge, candidates, most_popular, other_products
from retrieval.models.forest import Forest, Tree
from tasteline.errors import InvalidInput

Flags = NDArray[np.bool_]
Told = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class ForestSettings:
    """Of gradient boosting (Friedman, 2001) on histograms."""

    trees: int
    learning_rate: float
    leaves: int = 31
    smallest_leaf: int = 200
    l2: float = 5.0
    features: float = 0.4
    """Share that each split chooses from."""


@dataclass(frozen=True, slots=True)
class ForecastSettings:
    """Chosen on the valid part of Complete Journey."""

    days: int = 30
    windows: int = 6
    apart: int = 20
    """Days from the start of one window to the next."""
    before: int = 60
    """Days of purchases that a window needs before it."""
    people: int = 1_000
    """Of each window by whom categories are learned, at most."""
    people_for_products: int = 200
    taught: float = 0.7
    """Share of the people who are learned from; the others calibrate, and are in no window that is learned from."""
    never: float = 0.15
    """Share of the pairs that are learned from where the person never bought the thing; they count for the others."""
    popular: int = 300
    """Products that are candidates for everybody."""
    category: ForestSettings = ForestSettings(trees=120, learning_rate=0.07)
    product: ForestSettings = ForestSettings(trees=80, learning_rate=0.1)
    person: ForestSettings = ForestSettings(trees=100, learning_rate=0.05, leaves=8, smallest_leaf=100)


@dataclass(frozen=True, slots=True)
class Shelf:
    """The tables whose numbers the purchases use."""

    product_ids: tuple[str, ...]
    category_names: tuple[str, ...]
    category_of: Numbers
    """(products,) -1 for a product without a category."""


@dataclass(frozen=True, slots=True)
class Cut:
    """One window: what was known before it and who came in it."""

    past: Past
    inside: Past
    """What was bought in the window."""
    categories: Crowd
    products: Crowd
    people: Floats
    """(people, PERSON_NAMES)"""
    known: Numbers
    """People who had bought before."""
    taught: Numbers
    """Of those who came: by whom is learned."""
    held: Numbers
    """The others who came."""


@dataclass(frozen=True, slots=True)
class Lesson:
    """Lines of features with what happened, and for how many pairs each stands."""

    lines: Floats
    happened: Flags
    weights: Days

    @classmethod
    def joined(cls, parts: Sequence[Lesson]) -> Lesson:
        lines, happened, weights = (
            np.concatenate([getattr(part, name) for part in parts]) for name in ("lines", "happened", "weights")
        )
        return cls(lines, happened, weights)


def train_forecast(
    products: Bought,
    shelf: Shelf,
    moment: int,
    settings: ForecastSettings = ForecastSettings(),
    *,
    seed: int = 0,
    told: Told = lambda step: None,
) -> Forecaster:
    """Learn from all that was bought before `moment` (seconds). Raises InvalidInput where that is too little."""
    known = products.before(moment)
    told("what was known before each window")
    cuts = list(_cuts(known, shelf, moment, settings, seed))
    told("who comes")
    by_person = _fit_people(cuts, settings, seed)
    told("categories")
    by_category = _fit_categories(cuts, settings, seed)
    told("products")
    by_product, others = _fit_products(cuts, shelf, by_category, settings, seed)
    now = Past.of(known, shelf.category_of, len(shelf.category_names), moment)
    crowd = Crowd.of(now.products, moment)
    return Forecaster(
        shelf.category_names,
        shelf.product_ids,
        shelf.category_of,
        Crowd.of(now.categories, moment),
        crowd,
        most_popular(crowd, settings.popular),
        by_person,
        by_category,
        by_product,
        others,
        moment,
    )


# --- examples --------------------------------------------------------------------------------------------------------


def _cuts(products: Bought, shelf: Shelf, moment: int, settings: ForecastSettings, seed: int) -> Iterator[Cut]:
    """The newest first."""
    first = int(products.times.min()) if len(products) else moment
    starts = [moment - (settings.days + step * settings.apart) * DAY for step in range(settings.windows)]
    starts = [start for start in starts if start >= first + settings.before * DAY]
    if not starts:
        needed = settings.before + settings.days
        raise InvalidInput(
            f"a forecast is learned from purchases over {needed} days at least, here they span "
            f"{(moment - first) // DAY}; import more of them, with their times"
        )
    rng = np.random.default_rng(seed)
    teach = rng.permutation(products.people_count) < settings.taught * products.people_count
    for start in starts:
        cut = _cut(products, shelf, start, settings, teach, rng)
        if start == starts[0] and (len(cut.taught) < 20 or len(cut.held) < 10):
            raise InvalidInput(
                f"{len(cut.taught) + len(cut.held)} people who had bought before bought in the last {settings.days} "
                "days; a forecast needs 30 at least"
            )
        yield cut


def _cut(
    products: Bought, shelf: Shelf, start: int, settings: ForecastSettings, teach: Flags, rng: np.random.Generator
) -> Cut:
    """`teach`: (people,) by whom may be learned."""
    count = len(shelf.category_names)
    past = Past.of(products, shelf.category_of, count, start)
    stop = start + settings.days * DAY
    bought = products.between(start, stop)
    inside = Past.of(bought, shelf.category_of, count, stop)
    known = np.unique(past.products.people)
    came = rng.permutation(np.intersect1d(known, bought.people))
    taught, held = came[teach[came]][: settings.people], came[~teach[came]][: settings.people]
    return Cut(
        past,
        inside,
        Crowd.of(past.categories, start),
        Crowd.of(past.products, start),
        person_features(past),
        known,
        np.sort(taught),
        np.sort(held),
    )


def _sampled(pairs: Numbers, own: Numbers, share: float, rng: np.random.Generator) -> tuple[Numbers, Days]:
    """All pairs that are among `own`, and a share of the others; with their weights."""
    theirs = np.isin(pairs, own, assume_unique=True)
    kept = theirs | (rng.random(len(pairs)) < share)
    return pairs[kept], np.where(theirs[kept], 1.0, 1.0 / share)


def _category_lesson(cut: Cut, people: Numbers, share: float, rng: np.random.Generator) -> Lesson:
    own = cut.past.of_people(people)
    pairs = np.arange(len(people) * own.categories.thing_count)
    pairs, weights = _sampled(pairs, np.unique(own.categories.pairs()), share, rng)
    lines = category_features(own, cut.categories, pairs, cut.people[people])
    return Lesson(lines, np.isin(pairs, cut.inside.categories.of_people(people).pairs()), weights)


# --- forests ---------------------------------------------------------------------------------------------------------


def _fit_people(cuts: Sequence[Cut], settings: ForecastSettings, seed: int) -> Judge:
    """Who comes at all, of those who ever did. Every fifth person calibrates, the newest window says how many come."""
    lessons = [
        Lesson(cut.people[cut.known], np.isin(cut.known, cut.inside.products.people), np.ones(len(cut.known)))
        for cut in cuts
    ]
    held = [cut.known % 5 == seed % 5 for cut in cuts]
    learned = Lesson.joined([_part(lesson, ~apart) for lesson, apart in zip(lessons, held, strict=True)])
    asked = Lesson.joined([_part(lesson, apart) for lesson, apart in zip(lessons, held, strict=True)])
    judge = _judge(grown(learned, settings.person, seed), asked)
    newest = lessons[0]
    moved = judge.calibration.moved_to(judge.forest.sums(newest.lines), float(newest.happened.mean()))
    return replace(judge, calibration=moved)


def _part(lesson: Lesson, chosen: Flags) -> Lesson:
    return Lesson(lesson.lines[chosen], lesson.happened[chosen], lesson.weights[chosen])


def _fit_categories(cuts: Sequence[Cut], settings: ForecastSettings, seed: int) -> Judge:
    rng = np.random.default_rng([seed, 1])
    lesson = Lesson.joined([_category_lesson(cut, cut.taught, settings.never, rng) for cut in cuts])
    return _judge(grown(lesson, settings.category, seed), _category_lesson(cuts[0], cuts[0].held, 1.0, rng))


def _fit_products(
    cuts: Sequence[Cut], shelf: Shelf, by_category: Judge, settings: ForecastSettings, seed: int
) -> tuple[Judge, Calibration]:
    """The forest of candidates, and the calibration of all that are none."""
    rng = np.random.default_rng([seed, 2])

    def lesson(cut: Cut, people: Numbers, share: float) -> Lesson:
        """`people` are a few of those of the cut: their own rows alone are looked at."""
        own = cut.past.of_people(people)
        pairs = candidates(own, most_popular(cut.products, settings.popular))
        pairs, weights = _sampled(pairs, np.unique(own.products.pairs()), share, rng)
        chances = _chances(own, cut, people, by_category)
        lines = product_features(own, cut.products, pairs, cut.people[people], chances)
        return Lesson(lines, np.isin(pairs, cut.inside.products.of_people(people).pairs()), weights)

    some = settings.people_for_products
    taught = [np.sort(rng.permutation(cut.taught)[:some]) for cut in cuts]
    forest = grown(
        Lesson.joined([lesson(cut, people, settings.never) for cut, people in zip(cuts, taught, strict=True)]),
        settings.product,
        seed,
    )
    held = np.sort(rng.permutation(cuts[0].held)[:some])
    return _judge(forest, lesson(cuts[0], held, 1.0)), _others(cuts[0], held[:150], shelf, by_category, settings)


def _chances(own: Past, cut: Cut, people: Numbers, by_category: Judge) -> Floats:
    """(people, categories)"""
    count = own.categories.thing_count
    lines = category_features(own, cut.categories, np.arange(len(people) * count), cut.people[people])
    return by_category.probabilities(lines).reshape(len(people), count).astype(np.float32)


def _others(cut: Cut, people: Numbers, shelf: Shelf, by_category: Judge, settings: ForecastSettings) -> Calibration:
    own = cut.past.of_people(people)
    scores = other_products(cut.products, shelf.category_of, _chances(own, cut, people, by_category)).ravel()
    happened = np.zeros(len(scores), dtype=np.bool_)
    happened[cut.inside.products.of_people(people).pairs()] = True
    others = np.ones(len(scores), dtype=np.bool_)
    others[candidates(own, most_popular(cut.products, settings.popular))] = False
    return Calibration.of(scores[others], happened[others].astype(np.float64))


def _judge(forest: Forest, held: Lesson) -> Judge:
    return Judge(forest, Calibration.of(forest.sums(held.lines), held.happened.astype(np.float64), held.weights))


def grown(lesson: Lesson, settings: ForestSettings, seed: int) -> Forest:
    """Gradient-boosted trees by scikit-learn, as arrays."""
    from sklearn.ensemble import HistGradientBoostingClassifier

    if lesson.happened.all() or not lesson.happened.any():
        raise InvalidInput(
            "in the windows that were looked at everything or nothing was bought: nothing can be learned"
        )
    model = HistGradientBoostingClassifier(
        learning_rate=settings.learning_rate,
        max_iter=settings.trees,
        max_leaf_nodes=settings.leaves,
        min_samples_leaf=settings.smallest_leaf,
        l2_regularization=settings.l2,
        max_features=settings.features,
        max_bins=63,  # as good as 255, in half the time
        early_stopping=False,
        random_state=seed,
    ).fit(lesson.lines, lesson.happened, sample_weight=lesson.weights)
    nodes = [trees[0].nodes for trees in model._predictors]  # the one way to a tree; a test compares the sums
    return Forest.of([_tree(each) for each in nodes], float(model._baseline_prediction.ravel()[0]))


def _tree(nodes: NDArray[np.void]) -> Tree:
    leaf = nodes["is_leaf"].astype(np.bool_)
    return Tree(
        np.where(leaf, -1, nodes["feature_idx"]).tolist(),
        nodes["num_threshold"].tolist(),
        nodes["left"].tolist(),
        nodes["right"].tolist(),
        nodes["missing_go_to_left"].astype(np.bool_).tolist(),
        nodes["value"].tolist(),
    )
