"""`tasteline insights` from a terminal: one JSON object with --json, sentences without."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from typer.testing import CliRunner

from retrieval.adapters.store_sql import SqlStore
from tasteline.cli import app
from tasteline.types import Event, EventType, Product

NOW = datetime(2026, 3, 31, 12, tzinfo=UTC)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TASTELINE_HOME", str(tmp_path))
    store = SqlStore(f"sqlite:///{tmp_path}/tasteline.db")
    store.put_products(
        [Product(name, name.title(), categories=("Home", f"{name.title()}s")) for name in ("lamp", "kettle")]
    )

    def act(user: int, product: str, days: int) -> Event:
        moment = NOW - timedelta(days=days)
        return Event(f"{user}-{product}-{days}", EventType.VIEW_ITEM, f"u{user}", product_id=product, time=moment)

    events = [act(user, "lamp", days) for user in range(40) for days in (3, 40)]
    store.append_events([*events, *(act(user, "kettle", 5) for user in range(24))])
    store.close()
    return tmp_path


def test_json_is_one_object(home: Path) -> None:
    done = CliRunner().invoke(app, ["insights", "--days", "28", "--json"])
    assert done.exit_code == 0, done.output
    view = json.loads(done.stdout)
    assert [turn["topic"]["name"] for turn in view["rising"]] == ["Kettles"]
    assert view["people"] == 40


def test_a_person_reads_what_to_do_and_why(home: Path) -> None:
    done = CliRunner().invoke(app, ["insights", "--days", "28"])
    assert done.exit_code == 0, done.output
    assert "40 shoppers in the 28 days before 28 March 2026" in done.stdout
    assert "Bring Kettles onto the home page" in done.stdout
    assert "24 shoppers turned to it in the last 28 days, more than before." in done.stdout


def test_other_data_than_the_package_is_to_be_imported(home: Path) -> None:
    done = CliRunner().invoke(app, ["insights", "--data", "elsewhere"])
    assert done.exit_code == 2
