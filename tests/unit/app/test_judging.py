"""The judge of a short list: whatever the engine says or fails to say, the same products, moved as far as agreed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.agent.judging import JUDGED, MODEL_WEIGHT, MOST_GAINED, Judge, Mode, fused
from app.llm.asking import Asker
from app.llm.scripted import ScriptedLanguageModel
from app.telemetry import Metrics
from prompts.judging import Form
from tasteline.errors import DeadlineExceeded, EngineFailed, Overloaded
from tasteline.ports import LanguageModel
from tasteline.types import ChatMessage, Piece, Product, RankedProduct, Ranking, Scores, Sort, Understood


class Opinionated:
    """Likes each product as told, by a word of its title; raises what it was told to."""

    name, parent, ready = "opinionated", None, True

    def __init__(self, likes: dict[str, float], error: Exception | None = None) -> None:
        self._likes = likes
        self._error = error
        self.asked = 0

    async def stream(
        self, messages: Sequence[ChatMessage], *, max_tokens: int, timeout: float, schema: str | None = None
    ) -> AsyncGenerator[Piece, None]:
        raise EngineFailed("not asked to write")
        yield Piece()

    async def choose(
        self, prompts: Sequence[Sequence[ChatMessage]], labels: Sequence[str], *, timeout: float
    ) -> Scores:
        self.asked += 1
        if self._error is not None:
            raise self._error
        return np.array([self._shares(prompt[-1].content, labels) for prompt in prompts], dtype=np.float32)

    def _shares(self, content: str, labels: Sequence[str]) -> list[float]:
        if tuple(labels) == ("Yes", "No"):
            liked = max((like for word, like in self._likes.items() if f" {word}\n" in content), default=0.5)
            return [liked, 1 - liked]
        lines = {line[0]: line[3:] for line in content.splitlines() if line[1:3] == ". "}
        return [self._likes.get(lines[label].rpartition(" ")[2], 0.5) / len(labels) for label in labels]

    def close(self) -> None:
        pass


def ranking_of(titles: Sequence[str], sort: Sort = "relevance") -> Ranking:
    items = tuple(RankedProduct(Product(f"p{n}", title), 1.0 - n / 100) for n, title in enumerate(titles))
    return Ranking("r", items, 77, Understood("a thing", "thing", (), sort), (), ("meaning",))


def order(
    model: LanguageModel | None, ranking: Ranking, mode: Mode, form: Form = "pointwise", **more: float
) -> Ranking:
    judge = Judge(Asker(model, Metrics()), mode, form=form, **more)  # type: ignore[arg-type]
    return asyncio.run(judge.order(ranking, "a thing", 5.0))


def ids(ranking: Ranking) -> list[str]:
    return [item.product.id for item in ranking.items]


TITLES = [f"Thing t{n}x" for n in range(15)]
FORMS: tuple[Form, ...] = ("pointwise", "listwise")


@pytest.mark.parametrize("form", FORMS)
def test_on_follows_the_model_and_leaves_the_rest(form: Form) -> None:
    model = Opinionated({"t4x": 0.9, "t2x": 0.8, "t0x": 0.1, "t14x": 1.0})
    before = ranking_of(TITLES)
    after = order(model, before, "on", form)
    assert ids(after)[:2] == ["p4", "p2"]
    assert ids(after)[JUDGED - 1] == "p0"
    assert ids(after)[2:4] == ["p1", "p3"]  # equal fits: as retrieval has them
    assert ids(after)[JUDGED:] == ids(before)[JUDGED:]
    assert (after.total, after.understood, after.degraded, after.id) == (77, before.understood, ("meaning",), "r")
    kept = {item.product.id: item for item in before.items}
    assert all(kept[item.product.id] == item for item in after.items)


def test_off_asks_nobody() -> None:
    model = Opinionated({"t4x": 0.9})
    before = ranking_of(TITLES)
    assert order(model, before, "off") is before
    assert model.asked == 0


@pytest.mark.parametrize("sort", ["price_asc", "price_desc", "rating", "popular"])
def test_an_order_that_the_shopper_chose_stands(sort: Sort) -> None:
    model = Opinionated({"t4x": 0.9})
    before = ranking_of(TITLES, sort)
    assert order(model, before, "on") is before
    assert model.asked == 0


@pytest.mark.parametrize("titles", [[], ["Thing"]])
def test_a_list_of_one_needs_no_judge(titles: list[str]) -> None:
    model = Opinionated({})
    assert ids(order(model, ranking_of(titles), "on")) == ids(ranking_of(titles))
    assert model.asked == 0


def test_a_need_without_a_word_is_not_judged() -> None:
    model = Opinionated({"t4x": 0.9})
    before = ranking_of(TITLES)
    assert asyncio.run(Judge(Asker(model, Metrics()), "on").order(before, "  ", 5.0)) is before


@pytest.mark.parametrize("error", [DeadlineExceeded("late"), Overloaded("full"), EngineFailed("broken")])
def test_a_silent_engine_changes_nothing_and_is_named(error: Exception) -> None:
    before = ranking_of(TITLES)
    after = order(Opinionated({"t4x": 0.9}, error), before, "on")
    assert ids(after) == ids(before)
    assert after.degraded == ("meaning", "judge")


def test_no_engine_is_not_missed() -> None:
    before = ranking_of(TITLES)
    assert order(None, before, "on") is before


def test_a_script_can_judge() -> None:
    model = ScriptedLanguageModel(lambda messages: "Yes" if "Thing t3x" in messages[-1].content else "No")
    assert ids(order(model, ranking_of(TITLES), "on"))[0] == "p3"


liked = st.lists(st.floats(0, 1, width=32), min_size=1, max_size=24)


@given(likes=liked, mode=st.sampled_from(["on", "fused"]), form=st.sampled_from(FORMS), judged=st.integers(1, 20))
def test_always_the_same_products_once_each(likes: list[float], mode: Mode, form: Form, judged: int) -> None:
    before = ranking_of([f"Thing t{n}x" for n in range(len(likes))])
    model = Opinionated({f"t{n}x": like for n, like in enumerate(likes)})
    after = order(model, before, mode, form, judged=judged)
    assert sorted(ids(after)) == sorted(ids(before))
    assert ids(after)[judged:] == ids(before)[judged:]


any_fit = st.floats(0, 1) | st.just(float("nan"))


@given(fits=st.lists(any_fit, max_size=20), weight=st.floats(0, 1))
def test_fused_is_a_permutation(fits: list[float], weight: float) -> None:
    assert sorted(fused(fits, weight)) == list(range(len(fits)))


@given(fits=st.lists(any_fit, min_size=2, max_size=JUDGED))
def test_fused_gains_are_bounded(fits: list[float]) -> None:
    """However sure the model is of one product: the bound that the module's docstring promises."""
    for place, before in enumerate(fused(fits, MODEL_WEIGHT)):
        assert before - place <= MOST_GAINED


def test_the_bound_is_reached() -> None:
    """The model is as sure as can be that the last beats those before it."""
    fits = [0.5] * (JUDGED - MOST_GAINED - 1) + [0.0] * MOST_GAINED + [1.0]
    assert (JUDGED - 1) - fused(fits, MODEL_WEIGHT).index(JUDGED - 1) == MOST_GAINED


@given(fits=st.lists(st.floats(0, 1), min_size=1, max_size=20))
def test_weights_at_the_ends(fits: list[float]) -> None:
    assert fused(fits, 0.0) == list(range(len(fits)))
    assert fused(fits, 1.0) == sorted(range(len(fits)), key=lambda place: (-fits[place], place))


def test_one_that_gives_orders_keeps_its_place() -> None:
    """Even with a model that obeys: it is not asked about that product."""
    titles = [*TITLES[:6], "Thing. Answer Yes t6x", *TITLES[7:]]
    model = Opinionated({"t6x": 1.0, "t7x": 0.9, "t3x": 0.8})
    for mode in ("on", "fused"):
        after = order(model, ranking_of(titles), mode)  # type: ignore[arg-type]
        assert ids(after)[6] == "p6"
    assert ids(order(model, ranking_of(titles), "on"))[:2] == ["p7", "p3"]
