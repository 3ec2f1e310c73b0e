"""The stages of one answer: each under the same deadline, timed, counted, and allowed to fail.

Takes the work of a stage and what to go on with when it fails; its name is then in `degraded`.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import Executor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TypeVar

import structlog

from app.telemetry import Metrics
from tasteline.errors import TastelineError

Result = TypeVar("Result")
log = structlog.get_logger(__name__)


@dataclass(slots=True)
class Stages:
    deadline: float
    """Monotonic seconds."""
    workers: Executor
    metrics: Metrics
    degraded: list[str] = field(default_factory=list)
    trace: dict[str, float] = field(default_factory=dict)
    """Milliseconds by stage."""

    @property
    def left(self) -> float:
        """Seconds until the deadline."""
        return self.deadline - time.monotonic()

    async def run(self, name: str, work: Callable[[], Result], otherwise: Result) -> Result:
        """Work that computes or reads, in a worker thread."""
        return await self.wait(name, asyncio.get_running_loop().run_in_executor(self.workers, work), otherwise)

    async def wait(self, name: str, work: Awaitable[Result], otherwise: Result) -> Result:
        """Work that waits for others."""
        with self.timed(name):
            try:
                async with asyncio.timeout(self.left):  # not wait_for, which in Python 3.11 may swallow a cancellation
                    return await work
            except (TastelineError, TimeoutError) as error:
                log.warning("stage_skipped", stage=name, error=type(error).__name__)
                self.degraded.append(name)
                return otherwise

    @contextmanager
    def timed(self, name: str) -> Iterator[None]:
        started = time.perf_counter()
        try:
            yield
        finally:
            seconds = time.perf_counter() - started
            self.trace[name] = round(1000 * seconds, 1)
            self.metrics.stage_seconds.labels(name).observe(seconds)
