"""TREC's files: what trec_eval would make of them, and which line is wrong."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from eval.data.trec import (
    Qrels,
    Run,
    judged_search,
    labels,
    read_qrels,
    read_run,
    read_topics,
    topic_ids,
    write_judged_search,
    write_qrels,
    write_run,
    write_topics,
)
from eval.datasets import load_judged_search
from eval.metrics import ndcg_at_k, recall_at_k
from tasteline.errors import InvalidInput, NotFound

REAL = Path(__file__).parents[5] / "shared" / "data" / "chorus-electronics"


def file(folder: Path, text: str | bytes) -> Path:
    path = folder / "file"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def test_the_order_is_that_of_trec_eval(tmp_path: Path) -> None:
    # Ranks say a, b, c, d. Scores say c first; 1 and 1 + 1e-12 are one float32, and of equal ones "d" > "b" > "a".
    path = file(tmp_path, "1 Q0 a 1 1 x\n1 Q0 b 2 1.000000000001 x\n1 Q0 c 3 2 x\n1 Q0 d 4 1e0 x\n")
    run = read_run(path)
    assert run.lists() == {"1": ["c", "d", "b", "a"]}
    assert run.ranks.tolist() == [3, 4, 2, 1]
    assert run.scores.tolist() == [2.0, 1.0, 1.000000000001, 1.0]
    assert read_run(path, follow="rank").lists() == {"1": ["a", "b", "c", "d"]}


def test_equal_scores_go_by_bytes(tmp_path: Path) -> None:
    path = file(tmp_path, "".join(f"1 Q0 {name} 0 .5 x\n" for name in ("10", "B", "é", "9", "a")))
    assert read_run(path).lists() == {"1": ["é", "a", "B", "9", "10"]}


def test_blanks_line_ends_and_mixed_queries_do_not_matter(tmp_path: Path) -> None:
    text = b'\xef\xbb\xbf\r\n  2\tQ0  b 1 -0.5 my-run\r\n\r\n1 Q0 a 1 9 my-run \n2 Q0 "c 2 -1e3 my-run'
    run = read_run(file(tmp_path, text))
    assert run.lists() == {"2": ["b", '"c'], "1": ["a"]}
    assert run.tag == "my-run"
    assert len(run) == 2


def test_an_empty_file_is_an_empty_run(tmp_path: Path) -> None:
    run = read_run(file(tmp_path, "\n"))
    assert (len(run), run.lists(), run.matrix().shape) == (0, {}, (0, 0))
    assert write_run(run, tmp_path / "again").read_bytes() == b""
    assert read_qrels(file(tmp_path, "")).as_mapping() == {}


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("1 Q0 b 2 0.5", "line 3: 5 fields"),
        ("1 Q0 b 2 0.5 my run", "line 3: 7 fields"),
        ("1 Q0 b two 0.5 x", "line 3: rank is 'two', not a whole number"),
        ("1 Q0 b 2 good x", "line 3: score is 'good', not a number"),
        ("1 Q0 b 2 nan x", "line 3: score is 'nan'"),
        ("1 Q0 a 2 0.5 x", "line 3: document a is there twice"),
        ("1 Q0 b 2 0.5 y", "line 3: tag 'y' after 'x'"),
        ("1 Q0 \xff 2 0.5 x", "cannot be read"),
    ],
)
def test_a_bad_line_of_a_run_is_named(tmp_path: Path, line: str, reason: str) -> None:
    with pytest.raises(InvalidInput, match=reason):
        read_run(file(tmp_path, f"\n1 Q0 a 1 0.9 x\n{line}\n2 Q0 a 1 0.9 x\n".encode("latin-1")))


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("1 0 b", "line 2: 3 fields"),
        ("1 0 b high", "line 2: rating is 'high'"),
        ("1 0 a 2", "line 2: document a is there twice"),
    ],
)
def test_a_bad_judgement_is_named(tmp_path: Path, line: str, reason: str) -> None:
    with pytest.raises(InvalidInput, match=reason):
        read_qrels(file(tmp_path, f"1 0 a 1\n{line}\n"))


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    for read in (read_run, read_qrels, read_topics):
        with pytest.raises(NotFound, match="nowhere"):
            read(tmp_path / "nowhere")


def test_arrays_become_a_run(tmp_path: Path) -> None:
    run = Run.of("mine", ["1", "2", "3"], ["c", "a", "b"], np.array([[2, 0], [1, -1], [-1, -1]]))
    assert run.lists() == {"1": ["b", "c"], "2": ["a"], "3": []}
    assert run.scores.tolist() == [2.0, 1.0, 2.0]
    assert write_run(run, tmp_path / "run").read_text() == "1 Q0 b 1 2.0 mine\n1 Q0 c 2 1.0 mine\n2 Q0 a 1 2.0 mine\n"
    np.testing.assert_array_equal(run.matrix(3), [[1, 2, -1], [0, -1, -1], [-1, -1, -1]])
    np.testing.assert_array_equal(run.matrix(1), [[1], [0], [-1]])


def test_a_run_is_measured_against_judgements() -> None:
    run = Run.of_lists("x", {"unasked": ["a"], "2": ["new", "b"], "1": ["a", "b"]})
    ranked, judged = labels(run, Qrels.of({"1": {"b": 3.0, "a": 0.0}, "2": {"b": 1.0, "c": 1.0}, "lost": {"a": 1.0}}))
    np.testing.assert_array_equal(ranked, [[0, 3], [np.nan, 1], [-np.inf, -np.inf]])
    np.testing.assert_allclose(recall_at_k(ranked, judged, 2), [1, 0.5, 0])
    np.testing.assert_allclose(ndcg_at_k(ranked, judged, 2)[0], 1 / np.log2(3))
    nothing, _ = labels(Run.of_lists("x", {}), Qrels.of({"1": {"a": 1.0}}), k=4)
    assert (nothing == -np.inf).all()
    assert nothing.shape == (1, 4)


@pytest.mark.parametrize("name", ["red shoe", "", "tab\tbed", "line\n"])
def test_ids_with_blanks_cannot_be_written(tmp_path: Path, name: str) -> None:
    with pytest.raises(InvalidInput, match="blank"):
        write_run(Run.of_lists("x", {name: ["a"]}), tmp_path / "run")
    with pytest.raises(InvalidInput, match="blank"):
        write_run(Run.of_lists("x", {"1": [name]}), tmp_path / "run")
    with pytest.raises(InvalidInput, match="blank"):
        write_run(Run.of_lists(name, {"1": ["a"]}), tmp_path / "run")
    with pytest.raises(InvalidInput, match="blank"):
        write_topics({name: "text"}, tmp_path / "topics")


def test_ratings_that_trec_eval_would_cut_off_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="whole numbers"):
        write_qrels(Qrels.of({"1": {"a": 0.5}}), tmp_path / "qrels")


def test_topics_are_cut_at_the_first_tab(tmp_path: Path) -> None:
    assert read_topics(file(tmp_path, "1\tred mug\r\n\r\n2\tpan\t28 cm\n")) == {"1": "red mug", "2": "pan\t28 cm"}


@pytest.mark.parametrize(
    ("text", "reason"),
    [("1\tmug\n2 pan\n", "line 2"), ("1\t \n", "line 1"), ("1\tmug\n1\tpan\n", "line 2: query 1 has another text")],
)
def test_a_bad_topic_is_named(tmp_path: Path, text: str, reason: str) -> None:
    with pytest.raises(InvalidInput, match=reason):
        read_topics(file(tmp_path, text))


def test_judged_searches_go_to_trec_and_come_back(tmp_path: Path) -> None:
    (tmp_path / "products.jsonl").write_text('{"id": "1", "title": "Mug"}\n')
    (tmp_path / "judgements.csv").write_text("query,product_id,rating\nred mug,1,3\nred mug,2,0\npan,2,1\n")
    dataset = load_judged_search(tmp_path)
    write_judged_search(dataset, tmp_path / "qrels", tmp_path / "topics")
    assert (tmp_path / "qrels").read_text() == "1 0 1 3\n1 0 2 0\n2 0 2 1\n"
    assert (tmp_path / "topics").read_text() == "1\tred mug\n2\tpan\n"
    assert topic_ids(dataset) == {"red mug": "1", "pan": "2"}
    again = judged_search(tmp_path / "qrels", tmp_path / "topics", tmp_path)
    assert (again.name, again.products, again.queries, again.qrels) == (
        dataset.name,
        dataset.products,
        dataset.queries,
        dataset.qrels,
    )
    assert again.checksum != dataset.checksum


@pytest.mark.parametrize(
    ("topics", "reason"), [("1\tmug\n", "judges query 2"), ("1\tmug\n2\tmug\n3\tpan\n", "2 judged queries have 1")]
)
def test_topics_that_do_not_fit_are_refused(tmp_path: Path, topics: str, reason: str) -> None:
    (tmp_path / "products.jsonl").write_text("{}\n")
    (tmp_path / "qrels").write_text("1 0 a 1\n2 0 a 1\n")
    (tmp_path / "topics").write_text(topics)
    with pytest.raises(InvalidInput, match=reason):
        judged_search(tmp_path / "qrels", tmp_path / "topics", tmp_path)


def test_the_real_judgements_survive_trec(tmp_path: Path) -> None:
    if not REAL.is_dir():
        pytest.skip(f"the real data is not at {REAL}")
    dataset = load_judged_search(REAL, ["judgements.dev.csv"])
    write_judged_search(dataset, tmp_path / "qrels", tmp_path / "topics")
    again = judged_search(tmp_path / "qrels", tmp_path / "topics", REAL)
    assert again.qrels == dataset.qrels
    assert len(read_qrels(tmp_path / "qrels").items) == 1301
