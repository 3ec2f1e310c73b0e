"""Places are given while there are any and come back whatever happens in them; work ends when its client has gone."""

import asyncio
from collections.abc import Callable

import pytest
from fastapi import Request

from app.admission import Admission
from app.routes.dependencies import unless_gone
from tasteline.errors import Overloaded


def test_the_next_is_refused_until_one_leaves() -> None:
    admission = Admission(2, "conversations", retry_after=3.0)
    with admission.place():
        with admission.place():
            with pytest.raises(Overloaded, match="2 conversations") as refused, admission.place():
                raise AssertionError("there were only two places")
            assert refused.value.retry_after == 3.0
        with admission.place():
            assert admission.taken == 2
    assert admission.taken == 0


def test_a_failure_gives_the_place_back() -> None:
    admission = Admission(1, "requests")
    for _ in range(3):
        with pytest.raises(ZeroDivisionError), admission.place():
            raise ZeroDivisionError
    assert admission.taken == 0


def request(leaves: Callable[[], bool]) -> Request:
    async def receive() -> dict[str, object]:
        while not leaves():
            await asyncio.sleep(0.001)
        return {"type": "http.disconnect"}

    return Request({"type": "http"}, receive)


def test_work_is_done_for_one_who_stays() -> None:
    async def work() -> str:
        await asyncio.sleep(0.01)
        return "done"

    assert asyncio.run(unless_gone(request(lambda: False), work())) == "done"


def test_work_ends_with_the_client_and_has_cleaned_up() -> None:
    ended: list[str] = []

    async def work() -> None:
        try:
            ended.append("begun")
            await asyncio.sleep(60)
        finally:
            await asyncio.sleep(0.01)
            ended.append("cleaned up")

    assert asyncio.run(unless_gone(request(lambda: bool(ended)), work())) is None
    assert ended == ["begun", "cleaned up"]


def test_an_error_of_the_work_is_the_callers() -> None:
    async def work() -> None:
        raise Overloaded("full")

    with pytest.raises(Overloaded):
        asyncio.run(unless_gone(request(lambda: False), work()))
