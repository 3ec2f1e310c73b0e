"""The reference engine: any chat model that transformers loads, in this process, on the CPU or the GPU.

Takes a hub id, a folder, or the folder of a LoRA adapter; gives the LanguageModel port. Requests run side by side in
transformers' continuous batching. Greedy. Knows nothing of products, prompts or whether the words are true.

Measured with SmolLM2-135M-Instruct in float32, one thread, for each second of CPU time: 12 tokens of one request, 57 of
16 at once; 3 prompts of 120 tokens for a choice, 9 when their beginning was read before.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncGenerator, Awaitable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from app.llm.repetition import turns_in_circles
from app.llm.transformers_weights import base_of, check_present, display_name
from tasteline.errors import DeadlineExceeded, EngineFailed, InvalidInput, Overloaded, TastelineError
from tasteline.types import ChatMessage, Piece, Scores, Usage

if TYPE_CHECKING:
    from app.llm.transformers_engine import Engine, Receive, Written
    from app.llm.transformers_steering import LabelLogits

    Answers = asyncio.Queue[Written | EngineFailed]

Result = TypeVar("Result")


class TransformersLanguageModel:
    """Implements `tasteline.ports.LanguageModel`; the constructor loads nothing.

    `threads` counts for PyTorch in the whole process. At most `max_waiting` requests run and wait: the next one gets
    Overloaded at once. Raises MissingExtra when the weights are not there. A load that failed is remembered; an engine
    that broke off later is loaded anew by the next request.
    """

    def __init__(self, model: str | Path, threads: int = 1, *, max_waiting: int = 32) -> None:
        self._model = str(model)
        check_present(self._model)
        self._base = base_of(self._model)
        if self._base is not None:
            check_present(self._base)
        self._threads = threads
        self._max_waiting = max_waiting
        self._waiting = 0
        self._closed = threading.Event()
        self._starting = threading.Lock()
        self._thread: threading.Thread | None = None
        self._engine: Future[Engine] | None = None

    @property
    def name(self) -> str:
        return display_name(self._model)

    @property
    def parent(self) -> str | None:
        return display_name(self._base) if self._base is not None else None

    @property
    def ready(self) -> bool:
        engine = self._engine
        return engine is not None and engine.done() and engine.exception() is None

    def warm(self) -> Future[None]:
        """Starts loading in a thread and returns at once; `.result()` waits and raises what went wrong."""
        warmed: Future[None] = Future()

        def finish(engine: Future[Engine]) -> None:
            error = engine.exception()
            warmed.set_exception(error) if error else warmed.set_result(None)

        self._loaded().add_done_callback(finish)
        return warmed

    async def stream(
        self, messages: Sequence[ChatMessage], *, max_tokens: int, timeout: float, schema: str | None = None
    ) -> AsyncGenerator[Piece, None]:
        """As the port says. The time of loading, on first use, counts towards `timeout`."""
        with self._place():
            clock = _Deadline(timeout)
            engine = await self._engine_by(clock)
            steering = engine.schema_mask(schema) if schema is not None else None
            prompt = await clock.wait(asyncio.to_thread(engine.prompt, messages))
            answers: Answers = asyncio.Queue()
            request = engine.submit(prompt, max_tokens, _into(answers), steering)
            try:
                text, seen, stream = "", 0, engine.text_stream()
                while True:
                    written = _unbroken(await clock.wait(answers.get()))
                    new = "".join(map(stream.push, written.tokens[seen:])) + (stream.rest() if written.end else "")
                    seen, text = len(written.tokens), text + new
                    if new:
                        yield Piece(new)
                    if written.end or turns_in_circles(text):
                        break
                yield Piece(finish=written.end or "repetition", usage=Usage(len(prompt), seen))
            finally:
                engine.cancel(request)

    async def choose(
        self, prompts: Sequence[Sequence[ChatMessage]], labels: Sequence[str], *, timeout: float
    ) -> Scores:
        """As the port says; the prompts run beside whatever else is generated."""
        if not labels:
            raise InvalidInput("There are no labels to choose from.", field="labels")
        if not prompts:
            return np.zeros((0, len(labels)), dtype=np.float32)
        with self._place():
            clock = _Deadline(timeout)
            engine = await self._engine_by(clock)
            tokens, readers = await clock.wait(asyncio.to_thread(_questions, engine, prompts, labels))
            answers: Answers = asyncio.Queue()
            requests: list[str] = []
            try:
                for prompt, reader in zip(tokens, readers, strict=True):
                    requests.append(engine.submit(prompt, 1, _into(answers), reader))
                for _ in requests:
                    _unbroken(await clock.wait(answers.get()))
            finally:
                for request in requests:
                    engine.cancel(request)
        return _softmax(np.stack([reader.logits for reader in readers]))

    def close(self) -> None:
        """Breaks off what runs, frees the weights. May be called again."""
        with self._starting:
            self._closed.set()
            engine, thread, self._engine = self._engine, self._thread, None
        if engine is not None and engine.done() and engine.exception() is None:
            engine.result().stop()
        if thread is not None:
            thread.join()

    @contextmanager
    def _place(self) -> Iterator[None]:
        """One of `max_waiting` places, given back at the end."""
        if self._waiting >= self._max_waiting:
            raise Overloaded(f"{self._waiting} requests wait for the language model.")
        self._waiting += 1
        try:
            yield
        finally:
            self._waiting -= 1

    async def _engine_by(self, clock: _Deadline) -> Engine:
        loop, loaded, arrived = asyncio.get_running_loop(), self._loaded(), asyncio.Event()

        def tell(_: Future[Engine]) -> None:
            with suppress(RuntimeError):  # the loop has closed
                loop.call_soon_threadsafe(arrived.set)

        loaded.add_done_callback(tell)  # not asyncio.wrap_future: who leaves would cancel the load for all
        await clock.wait(arrived.wait())
        return loaded.result()

    def _loaded(self) -> Future[Engine]:
        with self._starting:
            if self._closed.is_set():
                raise EngineFailed(f"The language model {self.name} is closed.")
            if self._engine is None:
                self._engine = Future()
                # A daemon, as is the generating thread that it starts: an unclosed model lets the process end.
                self._thread = threading.Thread(
                    target=self._serve, args=(self._engine,), name="language-model", daemon=True
                )
                self._thread.start()
            return self._engine

    def _serve(self, loaded: Future[Engine]) -> None:
        """The worker thread: loads, then delivers until the engine ends."""
        try:
            engine = self._start()
        except TastelineError as error:
            loaded.set_exception(error)
            return
        with self._starting:
            loaded.set_result(engine)
            closed_meanwhile = self._closed.is_set()
        if closed_meanwhile:
            engine.stop()
        engine.deliver()
        with self._starting:
            if self._engine is loaded:
                self._engine = None

    def _start(self) -> Engine:
        try:
            from app.llm.transformers_engine import Engine

            engine = Engine(self._model, self._threads)
            engine.start()
        except TastelineError:
            raise
        except Exception as error:
            raise EngineFailed(f"The language model {self.name} cannot be loaded: {_first_line(error)}") from error
        return engine


class _Deadline:
    """`timeout` seconds from now for everything that is waited for through it."""

    def __init__(self, timeout: float) -> None:
        self._timeout = timeout
        self._end = asyncio.get_running_loop().time() + timeout

    async def wait(self, what: Awaitable[Result]) -> Result:
        try:
            async with asyncio.timeout_at(self._end):  # not wait_for, which in Python 3.11 may swallow a cancellation
                return await what
        except TimeoutError:
            raise DeadlineExceeded(f"The language model did not finish within {self._timeout:g} s.") from None


def _into(answers: Answers) -> Receive:
    """Puts into a queue of this event loop, from any thread."""
    loop = asyncio.get_running_loop()

    def receive(answer: Written | EngineFailed) -> None:
        with suppress(RuntimeError):  # the loop has closed: nobody listens any more
            loop.call_soon_threadsafe(answers.put_nowait, answer)

    return receive


def _unbroken(answer: Written | EngineFailed) -> Written:
    if isinstance(answer, EngineFailed):
        raise answer
    return answer


def _questions(
    engine: Engine, prompts: Sequence[Sequence[ChatMessage]], labels: Sequence[str]
) -> tuple[list[list[int]], list[LabelLogits]]:
    first_tokens = engine.first_tokens(prompts[0], labels)
    return [engine.prompt(prompt) for prompt in prompts], [engine.label_logits(first_tokens) for _ in prompts]


def _softmax(logits: np.ndarray[tuple[int, int], np.dtype[np.float64]]) -> Scores:
    odds = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(odds / odds.sum(axis=1, keepdims=True), dtype=np.float32)


def _first_line(error: Exception) -> str:
    return next((line for line in str(error).splitlines() if line.strip()), type(error).__name__)
