"""The HTML page: complete without a network, escaped, the same bytes twice, honest about sampling and noise."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from eval.report.html import render, write_report
from eval.report.reading import best_of, read
from tasteline.errors import InvalidInput, NotFound

pytest.importorskip("matplotlib", reason="plots need the extra with matplotlib")

RESULTS = Path(__file__).parents[3] / "eval/results"
FULL: dict[str, object] = {
    "task": "next-item",
    "dataset": "kitchen",
    "protocol": "leave-one-out: the last event is the target",
    "systems": {
        "popular": {"ndcg@10": 0.0123, "recall@10": 0.5, "novelty@10": 9.0},
        "close": {"ndcg@10": 0.0571, "recall@10": 0.4, "novelty@10": 8.0},
        "tasteline": {"ndcg@10": 0.0583, "recall@10": 0.6, "novelty@10": 7.0},
    },
    "intervals": {"popular": {"ndcg@10": [0.011, 0.014]}, "tasteline": {"ndcg@10": [0.055, 0.061]}},
    "comparisons": [
        {"baseline": name, "metric": metric, "difference": 0.01, "interval": [0.001, 0.02], "p": p, "p_corrected": p}
        for name, metric, p in (
            ("popular", "ndcg@10", 0.001),
            ("close", "ndcg@10", 0.4),
            ("popular", "recall@10", 0.001),
            ("close", "recall@10", 0.002),
        )
    ],
    "slices": {
        "history_length": {
            "0": {"cases": 1234, "systems": {"tasteline": {"ndcg@10": 0.05}, "popular": {"ndcg@10": 0.01}}},
            "1": {"cases": 2, "systems": {}, "intervals": {}},
        }
    },
    "latency_ms": {"popular": {"p50": 0.1, "p95": 0.3}, "tasteline": {"p50": 9.0, "p95": None}},
    "fit_seconds": {"tasteline": 12.5},
    "chosen": {"tasteline": {"decay": 0.7}},
    "curves": {"tasteline": {"x": "epoch", "metric": "valid ndcg@10", "points": [[1, 0.01], [2, 0.05]]}},
    "reliability": {"tasteline": [[0.1, 0.12, 50], [0.9, 0.8, 10]]},
    "leak": {"known": True, "train_after_target": 0.25, "rows_after_median": None},
    "test_looks": 2,
    "notes": ["stopped early"],
    "published": [{"name": "TIGER", "values": {"ndcg@10": 0.0384}, "source": "Rajput et al."}],
    "settings": {"k": 10},
    "seed": 0,
    "checksum": "c0ffee",
    "commit": "a" * 40,
    "dirty": True,
    "versions": {"numpy": "2.4.6"},
    "machine": {"cores": 2},
}
EVIL = '$x_1$ 名 </svg><script>alert("x")</script> & <img src=http://example.org/x> -->'


@pytest.fixture(scope="module")
def full() -> str:
    return render([FULL], "Report", ["beauty"])


class Page(HTMLParser):
    """Elements with their attributes, and what stands in each row of a table."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.rows: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag == "tr":
            self.rows.append("")

    def handle_data(self, data: str) -> None:
        if self.rows:
            self.rows[-1] += data

    def all_of(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]


def test_the_page_is_the_same_bytes_twice_and_asks_for_nothing(full: str) -> None:
    assert full == render([FULL], "Report", ["beauty"])
    assert "://" not in full
    page = Page(full)
    assert not {"script", "link", "img", "iframe"} & {tag for tag, _ in page.elements}
    assert not [a for _, a in page.elements if str(a.get("src", a.get("href", "#")))[0] != "#"]


def test_every_part_of_a_result_is_shown(full: str) -> None:
    page = Page(full)
    headings = re.findall(r"<h4>(.*?)</h4>", full)
    assert headings == [
        "tasteline minus each, ndcg@10",
        "ndcg@10 by history length",
        "ndcg@10 against latency",
        "Learning curves, valid ndcg@10",
        "Reliability of the forecasts",
    ]
    for text in (
        "beauty",
        "n 1,234",
        "decay 0.7",
        "stopped early",
        "For 25.0 %",
        "looked at 2 times",
        "TIGER (published)",
    ):
        assert text in full, text
    assert "uncommitted changes" in full
    assert "better than 1, not to be told from 1 of 2 others" in full
    pictures = [each for each in page.all_of("svg") if each.get("role") == "img"]
    assert len(pictures) == len(headings)
    assert all(each["aria-label"] for each in pictures)
    assert len(page.all_of("caption")) == len(page.all_of("table")) >= 5


def test_ids_are_unique_and_every_reference_has_its_target() -> None:
    html = render([FULL, FULL], "Report")
    ids = [str(attributes["id"]) for _, attributes in Page(html).elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    assert set(re.findall(r"(?:url\(|href=\")#([^)\"]+)", html)) <= set(ids)


def test_what_a_file_says_is_escaped_everywhere() -> None:
    values = {EVIL: {"ndcg@10": 0.5, EVIL: 0.25}, "tasteline": {"ndcg@10": 0.6}}
    cut = {EVIL: {EVIL: {"cases": 3, "systems": values}}}
    result = {"task": EVIL, "dataset": EVIL, "protocol": EVIL, "systems": values, "slices": cut, "notes": [EVIL]}
    times = {name: {"p50": 1.0, "p95": 2.0} for name in values}
    html = render([{**result, "latency_ms": times, "extra": EVIL}], EVIL, [EVIL])
    page = Page(html)
    assert not page.all_of("script")
    assert not page.all_of("img")
    assert html.count("</svg>") == len(page.all_of("svg"))
    assert re.search(r"<text[^>]*>\$x_1\$ 名 &lt;/svg&gt;", html)  # in a plot, and not read as a formula


def test_a_sampled_ranking_says_so_on_every_line_and_comes_last() -> None:
    sampled = {**FULL, "protocol": "sampled-99: as old papers did", "published": []}
    html = render([sampled, FULL], "Report", ["old", "honest"])
    assert html.index('id="r0-title">honest') < html.index('id="r1-title">old')
    section = html[html.index('<section id="r1"') :]
    assert "comparable with no other number" in section
    lines = [
        row for row in re.findall(r"<tr.*?</tr>", section, re.DOTALL) if "<tr class" in row or '<th scope="row"' in row
    ]
    by_system = [row for row in lines if "popular" in row or "tasteline" in row]
    assert len(by_system) >= 6
    assert all("sampled" in row for row in by_system)
    captions = re.findall(r"<caption>(.*?)</caption>|<figcaption>(.*?)</figcaption>", section)
    assert captions
    assert all("sample" in "".join(each) for each in captions)


def test_the_best_is_emphasised_only_beyond_noise(full: str) -> None:
    result = read(FULL)
    assert best_of(result, "ndcg@10") == ("tasteline", frozenset({"close"}))
    assert best_of(result, "recall@10") == ("tasteline", frozenset())
    assert best_of(result, "novelty@10") == (None, frozenset())
    assert re.findall(r'class="(best|tied)"><span class="value">([.\d]+)', full) == [
        ("tied", ".0571"),
        ("tied", ".0583"),
        ("best", ".600"),
    ]


def test_without_tests_overlapping_intervals_tie() -> None:
    systems = {"a": {"log_loss": 0.3}, "b": {"log_loss": 0.4}, "c": {"log_loss": 0.5}}
    intervals = {"a": {"log_loss": [0.2, 0.4]}, "b": {"log_loss": [0.35, 0.45]}, "c": {"log_loss": [0.45, 0.55]}}
    assert best_of(read({"systems": systems, "intervals": intervals}), "log_loss") == ("a", frozenset({"b"}))


@pytest.mark.slow
def test_every_result_of_this_repository_has_its_section(tmp_path: Path) -> None:
    out = write_report([RESULTS], tmp_path / "deep" / "report.html")
    html = out.read_text()
    for path in RESULTS.glob("*.json"):
        assert f">{path.stem}</h2>" in html


def test_what_is_no_result_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="no result file"):
        write_report([tmp_path], tmp_path / "report.html")
    (tmp_path / "odd.json").write_text(json.dumps({"systems": {"popular": 3}}))
    with pytest.raises(InvalidInput, match=r"odd: systems\.popular"):
        write_report([tmp_path / "odd.json"], tmp_path / "report.html")
    assert not (tmp_path / "report.html").exists()
