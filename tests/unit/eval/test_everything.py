"""`eval report`: everything that a folder allows, on one page, and nothing measured twice by one commit."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from eval import everything
from eval.everything import jobs_of, run_everything
from eval.in_session import run_in_session
from eval.recommending import Asked
from eval.results import Commit
from tasteline.errors import InvalidInput, NotFound
from tasteline.settings import Settings
from tests.unit.eval.small_histories import write_histories


@pytest.fixture
def data(tmp_path: Path) -> Path:
    write_histories(tmp_path / "data" / "glim")
    judged = tmp_path / "data" / "judged"
    judged.mkdir()
    (judged / "products.jsonl").write_text('{"id": "1", "title": "Red mug"}\n{"id": "2", "title": "Tin kettle"}\n')
    (judged / "judgements.csv").write_text("query,product_id,rating\nmug,1,3\nkettle,2,2\n")
    return tmp_path / "data"


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(home=tmp_path / "home", embedder="hashing", language_model="none")


def quiet(name: str) -> None:
    pass


def test_the_jobs_follow_from_what_lies_there(data: Path, settings: Settings) -> None:
    names = [job.name for job in jobs_of(data, settings, quiet, None)]
    assert {"next-item-glim", "cold-start-glim", "rerank-glim", "search-judged", "rerank-judged", "bench-eval"} <= set(
        names
    )


def test_visits_of_a_click_stream_are_a_job_and_are_measured(tmp_path: Path, settings: Settings) -> None:
    head = "event_time,event_type,product_id,category_id,category_code,brand,price,user_id,user_session"
    rows = [
        f"2026-05-01 0{visit // 60}:{visit % 60:02}:{step:02} UTC,view,{step + visit % 2},7,mug,acme,9.5,1,v{visit}"
        for visit in range(180)
        for step in range(4)
    ]
    (tmp_path / "clicks").mkdir()
    (tmp_path / "clicks" / "events.csv").write_text("\n".join([head, *rows]) + "\n")
    jobs = {job.name: job for job in jobs_of(tmp_path, settings, quiet, None)}
    visits = jobs["next-item-clicks-session"]
    assert visits.parts == ("", "category")
    assert "cold-start-clicks" not in jobs
    asked = replace(Asked(str(tmp_path / "clicks")), systems=("popular", "markov"), protocol="session")
    assert set(run_in_session(asked, settings, quiet)) == set(visits.parts)


def test_a_page_and_its_results_and_nothing_twice(
    data: Path, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit = Commit("c0ffee" * 6 + "c0ff", dirty=False)
    monkeypatch.setattr(everything, "commit_of", lambda path: commit)
    monkeypatch.setattr("eval.results.commit_of", lambda path: commit)
    out = tmp_path / "report" / "index.html"
    assert run_everything(data, out, settings, quiet, only="search-judged, rerank-judged") == out
    written = out.with_name("search-judged.json")
    assert json.loads(written.read_text())["systems"]["tasteline"]["ndcg@10"] == 1.0
    page = out.read_text()
    assert "rerank" in page
    assert "<svg" in page
    stamp = written.stat().st_mtime_ns
    run_everything(data, out, settings, quiet, only="search-judged")
    assert written.stat().st_mtime_ns == stamp, "this commit has measured it"
    run_everything(data, out, settings, quiet, only="search-judged", again=True)
    assert written.stat().st_mtime_ns != stamp


def test_a_folder_without_data_and_a_name_without_a_job_are_refused(
    data: Path, settings: Settings, tmp_path: Path
) -> None:
    with pytest.raises(NotFound, match="no data set"):
        run_everything(tmp_path / "report", tmp_path / "x.html", settings, quiet)
    with pytest.raises(InvalidInput, match="next-item-glim"):
        run_everything(data, tmp_path / "x.html", settings, quiet, only="next-item-glum")
