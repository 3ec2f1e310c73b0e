"""The forecast learns rhythms, sees nothing of what it forecasts, and its probabilities are those of what happens."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from eval.metrics import auc, log_loss
from finetune.forecast import Lesson, _cuts, grown, train_forecast
from retrieval.models.bought import DAY, Bought
from retrieval.models.forecast_files import HEAD_FILE, read_forecaster, write_forecaster
from retrieval.models.forecaster import Forecaster
from tasteline.errors import InvalidInput
from tests.unit.finetune.small_year import END, PEOPLE, QUICK, SMALL_FOREST, START, shelf, year

MOMENT = END - 30 * DAY


@pytest.fixture(scope="module")
def model() -> Forecaster:
    return train_forecast(year(), shelf(), MOMENT, QUICK)


def outcome(bought: Bought) -> np.ndarray[tuple[int, int], np.dtype[np.bool_]]:
    inside = bought.between(MOMENT, END)
    result = np.zeros((bought.people_count, bought.thing_count), dtype=np.bool_)
    result[inside.people, inside.things] = True
    return result


def test_it_knows_what_is_due_and_who_is_gone(model: Forecaster) -> None:
    past = model.past(year(), MOMENT)
    chances = model.of_categories(past)
    happened = outcome(year().grouped(shelf().category_of, len(shelf().category_names)))
    came = happened.any(axis=1)
    assert chances.shape == happened.shape
    assert auc(happened[came].ravel(), chances[came].ravel().astype(np.float64)) > 0.9
    by_product = model.of_products(past, chances)
    bought = outcome(year())
    assert auc(bought[came].ravel(), by_product[came].ravel().astype(np.float64)) > 0.9
    share = bought[came].mean()
    guessed = log_loss(bought[came].ravel().astype(int), np.full(bought[came].size, share)).mean()
    assert log_loss(bought[came].ravel().astype(int), by_product[came].ravel().astype(np.float64)).mean() < guessed
    coming = model.coming(past)
    assert auc(outcome(year()).any(axis=1), coming) > 0.8
    assert ((coming > 0) & (coming < 1)).all()


def test_nothing_of_the_window_is_read(model: Forecaster) -> None:
    again = train_forecast(year().before(MOMENT), shelf(), MOMENT, QUICK)
    past = again.past(year(), MOMENT)
    np.testing.assert_array_equal(again.of_categories(past), model.of_categories(model.past(year(), MOMENT)))


def test_a_person_alone_gets_what_they_get_among_all(model: Forecaster) -> None:
    everybody = model.past(year(), MOMENT)
    alone = model.past(year().of_people(np.array([4])), MOMENT)
    chances = model.of_categories(everybody)
    np.testing.assert_allclose(model.of_categories(alone)[0], chances[4], atol=1e-6)
    np.testing.assert_allclose(
        model.of_products(alone, chances[4:5])[0], model.of_products(everybody, chances)[4], atol=1e-6
    )
    np.testing.assert_allclose(model.coming(alone)[0], model.coming(everybody)[4], atol=1e-9)


def test_who_buys_what_the_model_never_saw_has_come_all_the_same(model: Forecaster) -> None:
    """A weekly shopper who turned to new products 100 days ago is no less here than one who kept to the old."""
    weekly = START + DAY * np.arange(100, 210, 7)
    count = len(shelf().product_ids)

    def coming(numbers: np.ndarray[tuple[int], np.dtype[np.int64]]) -> float:
        bought = Bought.of(np.zeros(len(weekly)), numbers, weekly, people_count=1, thing_count=count)
        visits = Bought.of(np.zeros(len(weekly)), np.zeros(len(weekly)), weekly, people_count=1, thing_count=1)
        return float(model.coming(model.past(bought, MOMENT, visits))[0])

    known = np.zeros(len(weekly), dtype=np.int64)
    turned = np.where(np.arange(len(weekly)) < 3, 0, -1)
    assert coming(turned) == pytest.approx(coming(known), rel=0.2)
    alone = Bought.of(np.zeros(3), np.zeros(3), weekly[:3], people_count=1, thing_count=count)
    assert coming(turned) > 2 * float(model.coming(model.past(alone, MOMENT))[0])


def test_who_calibrates_is_in_no_window_that_is_learned_from() -> None:
    cuts = list(_cuts(year().before(MOMENT), shelf(), MOMENT, QUICK, seed=0))
    assert len(cuts) > 1
    taught = {person for cut in cuts for person in cut.taught.tolist()}
    held = {person for cut in cuts for person in cut.held.tolist()}
    assert taught
    assert held
    assert taught.isdisjoint(held)


def test_a_stranger_gets_probabilities_too(model: Forecaster) -> None:
    nobody = Bought.of([], [], [], people_count=1, thing_count=len(shelf().product_ids))
    past = model.past(nobody, MOMENT)
    found = model.of_products(past, model.of_categories(past))
    assert np.isfinite(found).all()
    assert np.isfinite(model.coming(past)).all()


def test_what_is_written_is_what_is_read(model: Forecaster, tmp_path: Path) -> None:
    write_forecaster(model, tmp_path)
    read = read_forecaster(tmp_path)
    past = model.past(year(), MOMENT)
    np.testing.assert_array_equal(read.of_categories(past), model.of_categories(past))
    chances = model.of_categories(past)
    np.testing.assert_array_equal(read.of_products(past, chances), model.of_products(past, chances))
    np.testing.assert_array_equal(read.coming(past), model.coming(past))
    head = tmp_path / HEAD_FILE
    head.write_text(head.read_text().replace('"gap_spread"', '"something"', 1))
    with pytest.raises(InvalidInput, match="another version"):
        read_forecaster(tmp_path)
    head.unlink()
    with pytest.raises(InvalidInput, match="train one anew"):
        read_forecaster(tmp_path)


def test_too_little_is_said(model: Forecaster) -> None:
    with pytest.raises(InvalidInput, match="over 90 days at least, here they span 50"):
        train_forecast(year(), shelf(), START + 50 * DAY, QUICK)
    few = year().of_people(np.arange(12))
    with pytest.raises(InvalidInput, match="needs 30 at least"):
        train_forecast(few, shelf(), MOMENT, QUICK)


def test_the_forest_is_that_of_the_library() -> None:
    from sklearn.ensemble import HistGradientBoostingClassifier

    rng = np.random.default_rng(0)
    lines = rng.normal(size=(3_000, 5)).astype(np.float32)
    lines[rng.random(lines.shape) < 0.2] = np.nan
    happened = np.nan_to_num(lines[:, 0]) + np.nan_to_num(lines[:, 1]) ** 2 > 0.7
    weights = rng.uniform(0.5, 2, len(lines))
    settings = replace(SMALL_FOREST, features=1.0)
    forest = grown(Lesson(lines, happened, weights), settings, 3)
    library = HistGradientBoostingClassifier(
        learning_rate=settings.learning_rate,
        max_iter=settings.trees,
        max_leaf_nodes=settings.leaves,
        min_samples_leaf=settings.smallest_leaf,
        l2_regularization=settings.l2,
        max_features=1.0,
        max_bins=63,
        early_stopping=False,
        random_state=3,
    ).fit(lines, happened, sample_weight=weights)
    np.testing.assert_allclose(forest.sums(lines), library.decision_function(lines), atol=1e-9)
    with pytest.raises(InvalidInput, match="nothing can be learned"):
        grown(Lesson(lines, np.zeros(len(lines), dtype=np.bool_), weights), settings, 0)


def test_people_count_is_kept() -> None:
    assert len(np.unique(year().people)) == PEOPLE
