"""Continuous batching: several requests share every step of the engine, and one may come or go at any step.

Takes requests, gives each its pieces. `Batcher.burst` runs in the thread that attends to the requests, and returns
when none is left. Knows no asyncio and nothing of prompts. Importing it loads the engine's library.

The engine's `step()` holds the interpreter lock while it computes (15 ms a token, over 1 s the first time), which
would stop the whole service; its `generate()` lets go of it, and takes requests in that are added while it runs. So
`generate()` runs in a second thread with the first request of a burst, called its lead, and the others join it.
"""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Event
from typing import Any

import numpy as np
import openvino as ov
import openvino_genai as engine

from app.llm.openvino_generation import Generation, Request, Source
from app.llm.text import TextStream, history, last_line
from tasteline.errors import EngineFailed, InvalidInput
from tasteline.types import ChatMessage

POLL_SECONDS = 0.003
"""How often new tokens are looked for; a step takes 15 ms and more."""
CACHE_BLOCKS = 1024
"""Of 32 tokens each: 32 requests of 1,000 tokens, and what is kept of earlier ones (380 MB for SmolLM2-135M)."""
CHUNK_TOKENS = 256
"""Of prefill a step, so that a long prompt does not hold up the others' next token for longer than some 0.4 s."""
LEAD_TOKENS = 1024
"""A longer prompt joins behind a lead of one token: a lead cannot be cancelled before its first token."""

Arrived = Callable[[], Request | None]
"""Gives the next request in line, or None; does not wait."""


class Joined:
    """The tokens of a request that was added while the engine ran."""

    def __init__(self, handle: Any) -> None:
        self._handle = handle

    def read(self) -> list[int]:
        tokens: list[int] = []
        while self._handle.can_read():
            for output in self._handle.read().values():
                tokens += output.generated_ids
        return tokens

    def running(self) -> bool:
        return bool(self._handle.get_status() == engine.GenerationStatus.RUNNING)

    def cancel(self) -> None:
        self._handle.cancel()


class Lead(engine.StreamerBase):  # type: ignore[misc]  # the engine has no types
    """The tokens of the request that `generate` was called with; the engine calls `write` in a thread of its own."""

    def __init__(self) -> None:
        super().__init__()
        self._tokens: SimpleQueue[int] = SimpleQueue()
        self._cancelled = Event()

    def write(self, token: int | Sequence[int]) -> Any:
        for each in [token] if isinstance(token, int) else token:
            self._tokens.put(each)
        status = engine.StreamingStatus
        return status.CANCEL if self._cancelled.is_set() else status.RUNNING

    def end(self) -> None:
        """Called when the whole burst is over or has broken off; this request's end is told by its last token."""

    def read(self) -> list[int]:
        tokens = []
        try:
            while True:
                tokens.append(self._tokens.get_nowait())
        except Empty:
            return tokens

    def running(self) -> bool:
        return True

    def cancel(self) -> None:
        self._cancelled.set()


class Batcher:
    """Owns the loaded pipeline; only one thread may use it. `at_once` bounds the requests in one step."""

    def __init__(self, folder: Path, options: dict[str, object], at_once: int) -> None:
        scheduler = engine.SchedulerConfig()
        scheduler.num_kv_blocks = CACHE_BLOCKS
        scheduler.max_num_batched_tokens = CHUNK_TOKENS
        scheduler.max_num_seqs = at_once + 1
        scheduler.enable_prefix_caching = True
        self._pipeline = engine.ContinuousBatchingPipeline(str(folder), scheduler, "CPU", options)
        self._tokenizer = self._pipeline.get_tokenizer()
        defaults = self._pipeline.get_config()
        self._stop_ids = frozenset({defaults.eos_token_id, *defaults.stop_token_ids})
        self._steps = ThreadPoolExecutor(1, thread_name_prefix="language-model-steps")
        self._numbers = itertools.count(1)
        self._running: list[Generation] = []
        self._proven: set[str | None] = {None}
        """Schemas that the engine has compiled; one that it cannot compile breaks the step that all share."""

    def warm(self) -> None:
        """The first step compiles kernels and takes 1 s; later ones 15 ms."""
        self._pump([_one_token()], self._config(1, None), None).result()

    def close(self) -> None:
        self._steps.shutdown(wait=True)

    def burst(self, first: Request, arrived: Arrived, closed: Event) -> None:
        """Run `first` and whatever arrives meanwhile, until all have ended; every request is told how.

        Raises EngineFailed when the engine broke, after telling everybody. `closed` ends it early.
        """
        line: deque[Request] = deque([first])
        try:
            while line:
                self._round(line.popleft(), lambda: line.popleft() if line else arrived(), closed)
                line.extend(self._too_late())
        except Exception as error:
            broken = EngineFailed(f"The language model broke off: {last_line(error)}")
            for generation in self._running:
                generation.fail(broken)
            for request in line:
                request.emit(broken)
            raise broken from error
        finally:
            self._running.clear()

    def _round(self, first: Request, arrived: Arrived, closed: Event) -> None:
        """One call of `generate`. Afterwards `_running` has only those that came too late for it."""
        pumping = self._start(first)
        while pumping is not None and not pumping.done():
            if closed.is_set():
                self._fail_all(EngineFailed("The language model was closed."))
            elif self._pipeline.has_non_finished_requests():
                self._let_in(arrived)
            self._attend()
            wait([pumping], POLL_SECONDS)
        if pumping is None:
            return
        if error := pumping.exception():
            self._blame(error)
        self._attend()

    def _start(self, first: Request) -> Future[Any] | None:
        """`generate` with the first request as its lead, or with one token where that has a long prompt."""
        prompt = self._encoded(first)
        if prompt is None:
            return None
        config = self._config(first.max_tokens, first.schema)
        if prompt.shape[1] <= LEAD_TOKENS:
            lead = Lead()
            self._running.append(self._generation(first, prompt, lead))
            return self._pump([prompt], config, lead)
        pumping = self._pump([_one_token()], self._config(1, None), None)
        while not (self._pipeline.has_non_finished_requests() or pumping.done()):
            wait([pumping], POLL_SECONDS / 10)
        self._join(first, prompt)
        return pumping

    def _pump(self, prompts: list[Any], config: Any, lead: Lead | None) -> Future[Any]:
        return self._steps.submit(self._pipeline.generate, prompts, [config], lead)

    def _let_in(self, arrived: Arrived) -> None:
        while (request := arrived()) is not None:
            prompt = self._encoded(request)
            if prompt is not None:
                self._join(request, prompt)

    def _join(self, request: Request, prompt: Any) -> None:
        config = self._config(request.max_tokens, request.schema)
        handle = self._pipeline.add_request(next(self._numbers), prompt, config)
        self._running.append(self._generation(request, prompt, Joined(handle)))

    def _attend(self) -> None:
        for generation in self._running:
            generation.attend()
            if generation.count:
                self._proven.add(generation.request.schema)
        self._running = [generation for generation in self._running if not generation.done]

    def _too_late(self) -> list[Request]:
        """Those added when `generate` was about to return: they still wait, and must go round again."""
        late, self._running = self._running, []
        for generation in late:
            if isinstance(generation.source, Lead):
                generation.no_room()
            generation.source.cancel()
        if late:
            self._pipeline.step()  # drops what was cancelled, computes nothing: some 30 µs
        return [generation.request for generation in late if not generation.done]

    def _blame(self, error: BaseException) -> None:
        """After a crash, in which the engine dropped every request: an unknown schema is the likely cause."""
        message = last_line(error)
        suspects = [generation for generation in self._running if generation.request.schema not in self._proven]
        if not suspects:
            raise error
        for generation in suspects:
            generation.fail(InvalidInput(f"The language model's JSON schema is refused: {message}", field="schema"))
        self._fail_all(EngineFailed(f"The language model broke off at another request's schema: {message}"))
        self._pipeline.step()  # drops the cancelled ones that it had not taken in yet

    def _fail_all(self, error: Exception) -> None:
        for generation in self._running:
            generation.fail(error)

    def _generation(self, request: Request, prompt: Any, source: Source) -> Generation:
        return Generation(request, int(prompt.shape[1]), source, TextStream(self._tokenizer.decode), self._stop_ids)

    def _encoded(self, request: Request) -> Any:
        """The prompt's tokens, shape (1, n); None when nobody waits any more or the template refuses them."""
        if request.left.is_set():
            return None
        try:
            return encoded(self._tokenizer, request.messages)
        except RuntimeError as error:
            request.emit(InvalidInput(f"The chat template does not take these messages: {last_line(error)}"))
            return None

    def _config(self, max_tokens: int, schema: str | None) -> Any:
        config = self._pipeline.get_config()
        config.max_new_tokens = max_tokens
        config.do_sample = False
        config.apply_chat_template = False
        if schema is not None:
            config.structured_output_config = engine.StructuredOutputConfig(json_schema=schema)
        return config


def encoded(tokenizer: Any, messages: Sequence[ChatMessage]) -> Any:
    """The messages in the model's own chat template, up to where its answer begins; shape (1, tokens), int64."""
    text = tokenizer.apply_chat_template(history(messages), add_generation_prompt=True)
    return tokenizer.encode(text, add_special_tokens=False).input_ids


def _one_token() -> Any:
    return ov.Tensor(np.ones((1, 1), dtype=np.int64))
