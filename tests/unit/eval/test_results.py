"""Result files: never without a commit, complete, and the source of the README's tables."""

from __future__ import annotations

import json
import platform
import subprocess
from pathlib import Path

import numpy as np
import pytest

from eval.results import (
    commit_of,
    machine,
    markdown_table,
    package_versions,
    read_result,
    render_documents,
    render_readme_tables,
    slices_table,
    stale_tables,
    write_result,
)
from tasteline.errors import InvalidInput, NotFound, SetupError

REPORT = {
    "task": "search",
    "dataset": "kitchen",
    "protocol": "by hand",
    "systems": {"bm25": {"ndcg@10": 0.5, "recall@100": None}, "tasteline": {"ndcg@10": 1.0, "recall@100": 0.25}},
    "intervals": {"bm25": {"ndcg@10": [0.25, 0.75]}},
    "settings": {"k": 10},
    "seed": 0,
    "checksum": "c0ffee",
    "seconds": 0.1,
}
README = "# Shop\n\n<!-- result:search -->\nold\n<!-- /result -->\n\ntext\n"


def git(repository: Path, *arguments: str) -> None:
    who = ["-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "commit.gpgsign=false"]
    subprocess.run(["git", *who, *arguments], cwd=repository, check=True, capture_output=True)


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    git(tmp_path, "init", "-q")
    (tmp_path / "code.py").write_text("x = 1\n")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-q", "-m", "first")
    return tmp_path


def test_a_result_says_where_it_comes_from(repository: Path) -> None:
    path = write_result(REPORT, repository / "eval" / "results", "search")
    written = json.loads(path.read_text())
    assert {key: written[key] for key in REPORT} == REPORT
    commit = commit_of(repository)
    assert commit is not None
    assert written["commit"] == commit.sha
    assert len(commit.sha) == 40
    assert written["dirty"] is False
    assert written["versions"]["python"] == platform.python_version()
    assert written["versions"]["numpy"] == np.__version__
    assert written["machine"]["cores"] >= 1
    assert platform.node() not in json.dumps(written["machine"]).split('"')


def test_without_a_commit_nothing_is_written(tmp_path: Path) -> None:
    git(tmp_path, "init", "-q")
    with pytest.raises(SetupError, match="no commit"):
        write_result(REPORT, tmp_path / "eval" / "results", "search")
    assert not (tmp_path / "eval").exists()


def test_a_dirty_tree_is_refused_or_written_down(repository: Path) -> None:
    (repository / "code.py").write_text("x = 2\n")
    folder = repository / "eval" / "results"
    with pytest.raises(SetupError, match="differs"):
        write_result(REPORT, folder, "search")
    path = write_result(REPORT, folder, "search", allow_dirty=True)
    assert json.loads(path.read_text())["dirty"] is True


def test_an_untracked_file_is_dirt_but_another_result_is_not(repository: Path) -> None:
    folder = repository / "eval" / "results"
    write_result(REPORT, folder, "one")
    write_result(REPORT, folder, "two")
    (repository / "new.py").write_text("")
    with pytest.raises(SetupError, match="differs"):
        write_result(REPORT, folder, "three")


def test_an_incomplete_report_is_refused(repository: Path) -> None:
    report = {key: value for key, value in REPORT.items() if key != "checksum"}
    with pytest.raises(InvalidInput, match="checksum"):
        write_result(report, repository, "search")


def test_what_is_not_a_number_becomes_null(repository: Path) -> None:
    report = {**REPORT, "raw": {"values": [float("nan"), 1.0, (float("inf"),)]}}
    written = json.loads(write_result(report, repository, "search", allow_dirty=True).read_text())
    assert written["raw"] == {"values": [None, 1.0, [None]]}


def test_the_table_by_hand() -> None:
    lines = markdown_table({**REPORT, "commit": "0123456789abcdef", "dirty": True}).splitlines()
    assert lines[:4] == [
        "| | ndcg@10 | recall@100 |",
        "|---|---|---|",
        "| bm25 | .500 (.250–.750) | – |",
        "| **tasteline** | **1.000** | **.250** |",
    ]
    assert lines[5] == "kitchen; by hand; 95 % bootstrap intervals in brackets; commit 0123456789ab with changes"


def test_counts_have_no_decimals_and_small_values_four() -> None:
    systems = {
        "a": {"wrong": 25.0, "ndcg@10": 0.0583, "mrr": 1.0},
        "tasteline": {"wrong": 0.0, "ndcg@10": 0.0, "mrr": 0.0},
    }
    lines = markdown_table({"systems": systems}).splitlines()
    assert lines[2:4] == ["| a | 25 | .0583 | 1.000 |", "| **tasteline** | **0** | **.0000** | **.000** |"]


def test_a_sampled_ranking_says_so_in_every_row() -> None:
    lines = markdown_table({**REPORT, "protocol": "sampled-99"}).splitlines()
    assert [line.split("|")[1] for line in lines[2:4]] == [" bm25, sampled ", " **tasteline, sampled** "]


def test_rows_of_papers_stand_above_ours_with_their_source() -> None:
    rows = [
        {"name": "TIGER", "values": {"ndcg@10": 0.4}, "source": "Rajput et al., 2023"},
        {"name": "Old", "values": {"hr@10": 0.7}, "source": "1 | 2", "sampled": True},
    ]
    assert markdown_table({**REPORT, "published": rows}).splitlines()[:6] == [
        "| | ndcg@10 | recall@100 | hr@10 | source |",
        "|---|---|---|---|---|",
        "| TIGER (published) | .400 | – | – | Rajput et al., 2023 |",
        "| Old (published, sampled) | – | – | .700 | 1 \\| 2 |",
        "| bm25 | .500 (.250–.750) | – | – | this run |",
        "| **tasteline** | **1.000** | **.250** | **–** | **this run** |",
    ]


def test_a_slice_is_a_table_with_a_column_for_each_system() -> None:
    cut = {
        "0": {"cases": 1200, "systems": {"bm25": {"ndcg@10": 0.5}, "tasteline": {"ndcg@10": 0.75}},
              "intervals": {"bm25": {"ndcg@10": [0.25, 0.75]}}},
        "1": {"cases": 3, "systems": {}, "intervals": {}},
    }  # fmt: skip
    result = {**REPORT, "slices": {"history": cut}}
    assert slices_table(result, "history").splitlines() == [
        "| history, ndcg@10 | cases | bm25 | tasteline |",
        "|---|---|---|---|",
        "| 0 | 1,200 | .500 (.250–.750) | .750 |",
        "| 1 | 3 | – | – |",
    ]
    with pytest.raises(NotFound, match="history"):
        slices_table(result, "category")


def test_documents_are_rendered_in_place_and_only_where_stale(tmp_path: Path) -> None:
    (tmp_path / "search.json").write_text(json.dumps({**REPORT, "commit": "abc"}))
    stale, plain = tmp_path / "stale.md", tmp_path / "plain.md"
    stale.write_text(README)
    plain.write_text("no table\n")
    assert render_documents([stale, plain], tmp_path) == [stale]
    assert stale_tables(stale.read_text(), tmp_path) == []
    assert render_documents([stale, plain], tmp_path) == []


def test_ratios_have_a_table_too_and_other_shapes_are_refused() -> None:
    assert "| search_p50 | 1.25 |" in markdown_table({"ratios": {"search_p50": 1.25}})
    with pytest.raises(InvalidInput, match="systems"):
        markdown_table({"task": "search"})


def test_readme_tables_are_rendered_once_and_then_fresh(tmp_path: Path) -> None:
    (tmp_path / "search.json").write_text(json.dumps({**REPORT, "commit": "abc"}))
    assert stale_tables(README, tmp_path) == ["search"]
    rendered = render_readme_tables(README, tmp_path)
    assert "| **tasteline** |" in rendered
    assert "old" not in rendered
    assert rendered.startswith("# Shop\n\n<!-- result:search -->\n|")
    assert rendered.endswith("<!-- /result -->\n\ntext\n")
    assert stale_tables(rendered, tmp_path) == []
    assert render_readme_tables(rendered, tmp_path) == rendered
    assert stale_tables(rendered.replace(".250", ".260", 1), tmp_path) == ["search"]


def test_a_table_without_its_result_is_named(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match=r"search\.json"):
        render_readme_tables(README, tmp_path)
    (tmp_path / "search.json").write_text("{")
    with pytest.raises(InvalidInput, match="JSON"):
        read_result(tmp_path, "search")


def test_the_machine_and_versions_are_read() -> None:
    assert set(machine()) == {"cpu", "cores", "memory_mib", "system"}
    assert "tantivy" in package_versions()


def test_a_mark_may_ask_for_some_metrics_or_for_a_slice(tmp_path: Path) -> None:
    part = {"cases": 7, "systems": {"bm25": {"ndcg@10": 0.125}}, "intervals": {}}
    (tmp_path / "search.json").write_text(
        json.dumps({**REPORT, "commit": "abc", "slices": {"length": {"1 word": part}}})
    )
    some = render_readme_tables("<!-- result:search of recall@100 -->\n<!-- /result -->", tmp_path)
    assert "| | recall@100 |" in some
    assert "ndcg" not in some.partition("commit")[0].partition("by hand")[0]
    sliced = render_readme_tables("<!-- result:search of ndcg@10 by length -->\n<!-- /result -->", tmp_path)
    assert "| 1 word | 7 | .125 |" in sliced
    assert stale_tables(sliced, tmp_path) == []
    with pytest.raises(NotFound, match="weather"):
        render_readme_tables("<!-- result:search by weather -->\n<!-- /result -->", tmp_path)
