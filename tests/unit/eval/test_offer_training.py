"""A response model from campaigns to the registry: what was measured is what is live, and it can be taken back."""

from pathlib import Path

import numpy as np
import pytest

from app.engines import open_store, open_store_at
from eval import offer_training
from eval.coupon_response import cases_of, divided
from eval.offer_training import fitted, train_offers
from retrieval.erasure import erase_person
from retrieval.learned_from import LearnedFrom
from retrieval.offers import taste
from retrieval.offers.response import FILE, ResponseModel
from retrieval.registry import Registry
from tasteline.settings import Settings
from tests.unit.retrieval.offers.small_log import small_log

LOG = small_log()


def settings_in(home: Path) -> Settings:
    return Settings(home=home, embedder="hashing", language_model="none", _env_file=None)  # type: ignore[call-arg]


def test_it_knows_events_only_and_tells_who_takes_an_offer_up() -> None:
    model, people = fitted(LOG, "made up")
    assert model.names == taste.FEATURES
    assert people == sorted(set(LOG.lines["person"]))
    cases = cases_of(LOG, divided(LOG).test, "coupons")
    likely = model.probabilities(cases.matrix(taste.FEATURES))
    assert likely[cases.responded].mean() > 2 * likely[~cases.responded].mean()
    assert "campaigns of made up" in model.learned_from


def test_what_is_live_is_what_was_measured(tmp_path: Path) -> None:
    report, entry, live = train_offers(LOG, "made up", "c0ffee", settings_in(tmp_path), lambda name: None)
    assert live
    assert report["test_looks"] == 0
    assert (tmp_path / "eval" / "test_looks.jsonl").read_text().count("offers-coupons") == 1
    assert Registry(tmp_path).live("offers") == Registry(tmp_path).entry(entry.id)
    model = ResponseModel.read(entry.folder / FILE, taste.FEATURES)
    cases = cases_of(LOG, divided(LOG).test, "coupons")
    likely = model.probabilities(cases.matrix(taste.FEATURES))
    loss = -np.log(np.where(cases.responded, likely, 1 - likely)).mean()
    assert abs(report["systems"]["events_only"]["log_loss"] - loss) < 1e-6  # type: ignore[index]


def test_an_erased_person_is_known_to_be_in_it(tmp_path: Path) -> None:
    settings = settings_in(tmp_path)
    entry = train_offers(LOG, "made up", "c0ffee", settings, lambda name: None)[1]
    store = open_store(settings)
    erased = erase_person(tmp_path, store, open_store_at(settings), "p03", retire=True)
    store.close()
    assert [(learner.kind, learner.id, learner.live) for learner in erased.learners] == [("offers", entry.id, True)]
    assert Registry(tmp_path).live("offers") is None


def test_who_is_erased_while_it_learns_is_named_by_no_record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    counted = iter((0, 1))
    monkeypatch.setattr(offer_training, "erasures", lambda settings: next(counted))
    entry, live = train_offers(LOG, "made up", "c0ffee", settings_in(tmp_path), lambda name: None)[1:]
    assert not live
    assert Registry(tmp_path).is_withdrawn("offers", entry.id)
    assert LearnedFrom(tmp_path).models("p03") == []
