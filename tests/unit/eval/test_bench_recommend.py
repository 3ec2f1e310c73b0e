"""The benchmark of recommendations: its shop, how ratios come of turns, a tiny run of all sides."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from eval.bench import recommend
from eval.bench.recommend import WARM_UP, Asked, run
from eval.bench.recommending_shop import Size, made_up, of_folder, open_bench_shop
from eval.bench.sides import RIVALS_PYTHON, Sides
from retrieval.recommend import RecommendationQuery
from tasteline.errors import NotFound, SetupError

TINY = Size(items=200, people=120, dimension=8, width=8)
TINY_MILLION = replace(TINY, items=300, encoders=("transformer",))


def test_without_the_rivals_it_says_how_to_get_them(tmp_path: Path) -> None:
    with pytest.raises(SetupError, match="make rivals"):
        run(None, tmp_path / "python")


def test_the_shop_recommends_and_is_opened_again_as_it_was(tmp_path: Path) -> None:
    contents = made_up(TINY)
    assert len(contents.histories) == TINY.people
    assert 4 <= contents.histories.lengths.mean() <= 14
    shown = []
    for _ in range(2):
        shop = open_bench_shop(contents, TINY, tmp_path, np.arange(5, 30))
        items = shop.recommender.recommend(RecommendationQuery(user_id=shop.users[3])).items
        assert len(items) == 10
        assert "bought" in items[0].reasons[0].text
        had = {contents.products[item].id for item in shop.histories.take(np.array([3])).items}
        assert not had & {item.product.id for item in items}
        shown.append([item.product.id for item in items])
        shop.close()
    assert shown[0] == shown[1]


def test_histories_of_a_folder_are_those_of_train(tmp_path: Path) -> None:
    (tmp_path / "items.csv").write_text(
        "item_id,asin,title,short_text,attributes\n1,x,Kettle,a kettle,Acme|Kitchen\n2,y,Mug,a mug,Acme|Kitchen\n"
    )
    rows = ["1,b,2,y,1,0,train", "1,b,1,x,0,0,train", "1,b,2,y,2,0,test", "2,a,2,y,0,0,train", "2,a,1,x,1,0,valid"]
    head = "user_id,raw_user_id,item_id,asin,position,gap_seconds,split"
    (tmp_path / "interactions.csv").write_text("\n".join([head, *rows]) + "\n")
    contents = of_folder(tmp_path)
    named = [contents.products[item].id for item in contents.histories.items]
    assert named == ["y", "x", "y"]  # a, then b in the order of positions
    assert contents.histories.starts.tolist() == [0, 1, 3]
    with pytest.raises(NotFound, match=r"interactions\.csv"):
        of_folder(tmp_path / "nowhere")


def test_ratios_are_medians_of_turns_and_the_difference_is_in_milliseconds() -> None:
    asked = Asked(raw=[[1.0, 2.0, 3.0], [2.0] * 3, [9.0] * 3], ours=[[4.0] * 3, [3.0] * 3, [10.0] * 3])
    assert asked.ratios()["recommend_p50"] == pytest.approx(2 / 3)
    assert asked.ratios("_million").keys() == {"recommend_p50_million", "recommend_p95_million"}
    report = asked.report()
    assert (report["turns"], report["requests"]) == (3, 3)
    assert report["raw_p50_ms"] == [2, 2, 9]
    assert report["more_p50_ms"] == 1
    assert report["more_of_pairs_p95_ms"] == pytest.approx(1.0)


def test_both_sides_answer_everybody_in_turn_and_warm_up_does_not_count() -> None:
    order: list[tuple[str, int]] = []
    people = list(range(WARM_UP + 4))
    asked = recommend._asked(
        lambda person: order.append(("raw", person)), lambda person: order.append(("ours", person)), people, repeats=2
    )
    assert [len(turn) for turn in (*asked.raw, *asked.ours)] == [4] * 4
    counted = order[2 * WARM_UP :]
    assert [side for side, _ in counted[:4]] == ["raw", "ours", "ours", "raw"]
    assert [side for side, _ in counted[8:12]] == ["ours", "raw", "raw", "ours"]
    assert {person for _, person in counted} == set(people[WARM_UP:])


def faked(answers: Sequence[int], asked: list[str]) -> object:
    def turn(_: object, contender: tuple[str, str], *options: str) -> dict[str, object]:
        side = contender[0]
        asked.append(side)
        times = [1.0, 2.0, 1.0] if side.startswith("ours") else [5.0, 4.0, 90.0]  # ratios 5, 2, 90
        memory = dict.fromkeys(("imports_mib", "inputs_mib", "peak_mib"), 10.0)
        seconds = times[(asked.count(side) - 1) % 3]
        values = {"people": answers[0] if side.startswith("ours") else answers[1]}
        return {"seconds": seconds, "cpu_seconds": seconds, **memory, "values": values}

    return turn


def test_a_run_gives_the_promised_names(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    monkeypatch.setattr(Sides, "turn", faked((120, 120), asked))
    result = run(None, Path(__file__), repeats=3, size=TINY, million=TINY_MILLION, requests=10)
    assert result["bench"] == "recommend"
    assert {name: result["ratios"].pop(name) for name in recommend.CONTESTS} == dict.fromkeys(recommend.CONTESTS, 5.0)
    assert result["ratios"].keys() == {f"recommend_p{at}{end}" for at in (50, 95) for end in ("", "_million")}
    assert all(0 < ratio < 2 for ratio in result["ratios"].values())
    assert asked[:4] == ["ours_recommending", "with_implicit", "with_implicit", "ours_recommending"]
    assert result["raw"]["million"]["products"] == 300
    small = run(None, Path(__file__), repeats=3, size=TINY, million=None, requests=10)
    assert "million" not in small["raw"]
    assert "recommend_p50_million" not in small["ratios"]


def test_sides_that_answered_somebody_else_are_not_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Sides, "turn", faked((120, 119), []))
    with pytest.raises(RuntimeError, match=r"recommend_batch_retrieval: ours answered .* theirs"):
        run(None, Path(__file__), repeats=1, size=TINY, million=None, requests=5)


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.skipif(not RIVALS_PYTHON.is_file(), reason="the rivals are not installed; make rivals")
def test_all_sides_answer_in_a_tiny_run() -> None:
    result = run(None, RIVALS_PYTHON, repeats=1, size=TINY, million=None, requests=10)
    assert result["ratios"].keys() == {"recommend_p50", "recommend_p95", *recommend.CONTESTS}
    assert all(ratio > 0 for ratio in result["ratios"].values())
