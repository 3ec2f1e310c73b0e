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
    render_readme_tables,
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
