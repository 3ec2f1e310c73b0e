"""Batches form while one is being answered; nobody waits for another's mistake."""

import asyncio
import threading
from collections.abc import Callable, Coroutine, Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest

from app import batching
from app.batching import MAX_BATCH, Batcher
from tasteline.errors import InvalidInput, Overloaded

Answer = Callable[[Sequence[int]], list[int]]


class Worker:
    """Doubles numbers; holds every batch until told; a negative number is a mistake."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.go = threading.Event()

    def __call__(self, batch: Sequence[int]) -> list[int]:
        self.batches.append(list(batch))
        assert self.go.wait(5)
        if any(number < 0 for number in batch):
            raise InvalidInput("negative")
        return [2 * number for number in batch]


def run(scenario: Callable[[Batcher[int, int], Worker], Coroutine[object, object, None]]) -> Worker:
    worker = Worker()
    with ThreadPoolExecutor(max_workers=1) as executor:

        async def main() -> None:
            await scenario(Batcher(worker, executor), worker)

        asyncio.run(main())
    return worker


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(5):
        while not condition():
            await asyncio.sleep(0.001)


def test_one_alone_starts_at_once_and_the_rest_go_together() -> None:
    async def scenario(batcher: Batcher[int, int], worker: Worker) -> None:
        first = asyncio.create_task(batcher.submit(1))
        await until(lambda: worker.batches == [[1]])
        rest = [asyncio.create_task(batcher.submit(number)) for number in range(2, 6)]
        await asyncio.sleep(0)
        worker.go.set()
        assert await asyncio.gather(first, *rest) == [2, 4, 6, 8, 10]
        assert await batcher.submit(7) == 14

    assert run(scenario).batches == [[1], [2, 3, 4, 5], [7]]


def test_no_batch_is_larger_than_allowed() -> None:
    async def scenario(batcher: Batcher[int, int], worker: Worker) -> None:
        worker.go.set()
        count = 3 * MAX_BATCH + 1
        assert await asyncio.gather(*(batcher.submit(n) for n in range(count))) == [2 * n for n in range(count)]

    assert max(len(batch) for batch in run(scenario).batches) == MAX_BATCH


def test_a_mistake_reaches_only_the_one_who_made_it() -> None:
    async def scenario(batcher: Batcher[int, int], worker: Worker) -> None:
        worker.go.set()
        answers = await asyncio.gather(*(batcher.submit(n) for n in (1, -1, 3)), return_exceptions=True)
        assert [answers[0], answers[2]] == [2, 6]
        assert isinstance(answers[1], InvalidInput)
        assert await batcher.submit(4) == 8

    run(scenario)


def test_too_many_waiting_are_told_to_come_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batching, "MAX_WAITING", 2)

    async def scenario(batcher: Batcher[int, int], worker: Worker) -> None:
        first = asyncio.create_task(batcher.submit(1))
        await until(lambda: worker.batches)
        waiting = [asyncio.create_task(batcher.submit(n)) for n in (2, 3)]
        await asyncio.sleep(0)
        with pytest.raises(Overloaded):
            await batcher.submit(4)
        worker.go.set()
        assert await asyncio.gather(first, *waiting) == [2, 4, 6]

    run(scenario)


def test_who_went_away_is_not_answered() -> None:
    async def scenario(batcher: Batcher[int, int], worker: Worker) -> None:
        first = asyncio.create_task(batcher.submit(1))
        await until(lambda: worker.batches)
        gone, stays = asyncio.create_task(batcher.submit(2)), asyncio.create_task(batcher.submit(3))
        await asyncio.sleep(0)
        gone.cancel()
        await asyncio.sleep(0)
        first.cancel()  # while it is being answered
        worker.go.set()
        assert await stays == 6

    assert run(scenario).batches == [[1], [3]]


def test_a_closed_executor_is_an_error_not_a_wait() -> None:
    async def main() -> None:
        executor = ThreadPoolExecutor(max_workers=1)
        executor.shutdown()
        with pytest.raises(RuntimeError):
            await asyncio.wait_for(Batcher(Worker(), executor).submit(1), 5)

    asyncio.run(main())
