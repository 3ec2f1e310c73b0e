"""Two lanes: batches run beside each other, and no request is left behind when a lane ends."""

import asyncio
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest

from app.batching import MAX_BATCH, Batcher


class Doubling:
    """Twice each number, slowly; keeps the batches and how many ran at once."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.most_at_once = 0
        self._at_once = 0
        self._lock = threading.Lock()

    def __call__(self, numbers: Sequence[int]) -> list[int]:
        with self._lock:
            self.batches.append(list(numbers))
            self._at_once += 1
            self.most_at_once = max(self.most_at_once, self._at_once)
        time.sleep(0.01)
        with self._lock:
            self._at_once -= 1
        return [2 * number for number in numbers]


@pytest.mark.parametrize("lanes", [1, 2])
def test_all_are_answered_in_few_batches(lanes: int) -> None:
    doubling = Doubling()

    async def ask() -> list[int]:
        with ThreadPoolExecutor(lanes) as executor:
            batcher = Batcher(doubling, executor, lanes)
            return await asyncio.gather(*(batcher.submit(number) for number in range(100, 200)))

    assert asyncio.run(ask()) == [2 * number for number in range(100, 200)]
    assert max(map(len, doubling.batches)) <= MAX_BATCH
    assert len(doubling.batches) <= 5
    assert doubling.most_at_once == lanes


@pytest.mark.parametrize("lanes", [1, 2])
def test_no_request_waits_for_a_lane_that_is_over(lanes: int) -> None:
    async def ask() -> None:
        with ThreadPoolExecutor(lanes) as executor:
            batcher = Batcher(Doubling(), executor, lanes)

            async def one_after_the_other() -> None:
                for number in range(100, 110):
                    assert await batcher.submit(number) == 2 * number

            await asyncio.wait_for(asyncio.gather(*(one_after_the_other() for _ in range(5))), 5)

    asyncio.run(ask())
