"""A response model from campaigns to the registry: what was measured is what is live, and it can be taken back."""

from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

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
from tasteline.types import Event
from tests.unit.retrieval.offers.small_log import small_log
from tests.unit.retrieval.small_shop import event

LOG = small_log()
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


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
    """Where the log was imported here; else somebody of the same id is another one."""
    settings = settings_in(tmp_path)
    store = open_store(settings)
    store.append_events([purchase(row) for row in LOG.lines.filter(person="p03").iter_rows(named=True)])
    store.append_events([event("p04", "a-book", "purchase", time=datetime(2026, 3, 1, tzinfo=UTC))])
    entry = train_offers(LOG, "made up", "c0ffee", settings, lambda name: None)[1]
    assert entry.card.data.users == 80
    assert erase_person(tmp_path, store, open_store_at(settings), "p04").learners == ()
    erased = erase_person(tmp_path, store, open_store_at(settings), "p03", retire=True)
    store.close()
    assert [(learner.kind, learner.id, learner.live) for learner in erased.learners] == [("offers", entry.id, True)]
    assert Registry(tmp_path).live("offers") is None


def test_who_is_erased_while_it_learns_is_named_by_no_record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings, counted = settings_in(tmp_path), iter((0, 1))
    with closing(open_store(settings)) as store:
        store.append_events([purchase(row) for row in LOG.lines.filter(person="p03").iter_rows(named=True)])
    monkeypatch.setattr(offer_training, "erasures", lambda settings: next(counted))
    entry, live = train_offers(LOG, "made up", "c0ffee", settings, lambda name: None)[1:]
    assert not live
    assert Registry(tmp_path).is_withdrawn("offers", entry.id)
    assert LearnedFrom(tmp_path).models("p03") == []


def purchase(line: dict[str, Any]) -> Event:
    """As an import of that line would put it into the store."""
    return event(line["person"], str(line["product"]), "purchase", time=EPOCH + timedelta(days=line["day"], hours=12))
