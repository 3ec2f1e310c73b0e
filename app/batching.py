"""Requests that arrive while others are being answered are answered together.

No waiting for company: a request alone starts at once; what comes meanwhile forms the next batch. So latency stays that
of one, and throughput grows with the batch that one encode and one scan serve. With two lanes one batch is encoded
while another is ranked.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from typing import Generic, TypeVar

from tasteline.errors import Overloaded

Request = TypeVar("Request")
Answer = TypeVar("Answer")
MAX_BATCH = 32
MAX_WAITING = 1_024


class Batcher(Generic[Request, Answer]):
    """Runs `answer(batch)` in `executor`, at most `lanes` batches at a time. For one event loop."""

    def __init__(self, answer: Callable[[Sequence[Request]], list[Answer]], executor: Executor, lanes: int = 1) -> None:
        self._answer = answer
        self._executor = executor
        self._waiting: deque[tuple[Request, asyncio.Future[Answer]]] = deque()
        self._lanes = lanes
        self._busy = 0
        self._tasks: set[asyncio.Task[None]] = set()
        """Held here, because the event loop holds a task only weakly."""

    async def submit(self, request: Request) -> Answer:
        """Raises Overloaded when MAX_WAITING requests wait already, and whatever `answer` raises."""
        if len(self._waiting) >= MAX_WAITING:
            raise Overloaded("Too many requests are waiting; try again shortly.")
        future: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._waiting.append((request, future))
        if self._busy < self._lanes:
            self._busy += 1
            lane = asyncio.create_task(self._drain())
            self._tasks.add(lane)
            lane.add_done_callback(self._tasks.discard)
        return await future

    async def _drain(self) -> None:
        try:
            while self._waiting:
                batch = [self._waiting.popleft() for _ in range(min(MAX_BATCH, len(self._waiting)))]
                batch = [(request, future) for request, future in batch if not future.done()]
                if batch:
                    await self._answer_all(batch)
        finally:
            self._busy -= 1  # at once and not in a callback: until then a request would wait for a lane that is over

    async def _answer_all(self, batch: list[tuple[Request, asyncio.Future[Answer]]]) -> None:
        loop = asyncio.get_running_loop()
        try:
            answers = await loop.run_in_executor(self._executor, self._answer, [request for request, _ in batch])
            settled = list(zip(batch, answers, strict=True))
        except Exception as error:  # noqa: BLE001 -- handed to whoever waits for it
            await self._settle_failure(batch, error)
            return
        for (_, future), answer in settled:
            if not future.done():
                future.set_result(answer)

    async def _settle_failure(self, batch: list[tuple[Request, asyncio.Future[Answer]]], error: Exception) -> None:
        """One bad request must not fail its neighbours: each is tried alone."""
        if len(batch) == 1:
            if not batch[0][1].done():
                batch[0][1].set_exception(error)
            return
        for entry in batch:
            await self._answer_all([entry])
