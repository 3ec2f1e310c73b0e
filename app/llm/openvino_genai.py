"""A GPT in this process: OpenVINO GenAI on a GGUF file or a folder of OpenVINO IR, on the CPU.

Takes the path of the weights, a folder for the converted graph, and a number of threads; gives the LanguageModel port.
Greedy; still, the same messages may end in other words, since a prefix found in the engine's cache, or other requests
in the same step, round differently. One worker thread attends to all requests (`openvino_batching`), another reads
label probabilities (`openvino_choice`). Knows nothing of products, prompts or whether the words are true.

Measured with SmolLM2-135M-Instruct Q4_1, 1 thread, on 2 cores that five other programs used: loading 3 to 9 s; alone 40
to 60 tokens/s, first token 72 ms (p50, 40 tokens of prompt); 16 at once 180 to 225 tokens/s, first token 0.8 s; the
event loop was never held for longer than 53 ms (p99 8 ms).
"""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import AsyncGenerator, Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from app.llm.openvino_generation import Request
from app.llm.openvino_weights import graph_folder
from app.llm.text import last_line
from tasteline.errors import DeadlineExceeded, EngineFailed, InvalidInput, MissingExtra, Overloaded, TastelineError
from tasteline.types import ChatMessage, Piece, Scores

if TYPE_CHECKING:  # both load the engine's libraries, and do it in a worker thread
    from collections.abc import Generator

    from app.llm.openvino_batching import Batcher
    from app.llm.openvino_choice import LabelReader

Value = TypeVar("Value")


class OpenVinoLanguageModel:
    """Implements `tasteline.ports.LanguageModel`; the constructor only checks that the weights are there.

    `cache_dir` gets a subfolder with the graph that was made from a GGUF (once, about its size on disk).
    At most `max_waiting` requests are taken at once, running or in line: the next one gets Overloaded.
    Raises MissingExtra when there is nothing at `path`.
    """

    def __init__(self, path: str | Path, cache_dir: Path, threads: int = 1, *, max_waiting: int = 32) -> None:
        self._path = Path(path)
        if not self._path.exists():
            raise MissingExtra(f"No language model at {self._path}.", remedy="make setup")
        self._cache_dir = cache_dir
        self._options: dict[str, object] = {"INFERENCE_NUM_THREADS": threads}
        self._max_waiting = max_waiting
        self._waiting = 0
        self._requests: SimpleQueue[Request] = SimpleQueue()
        self._attendant = ThreadPoolExecutor(1, thread_name_prefix="language-model")
        self._labels = ThreadPoolExecutor(1, thread_name_prefix="language-model-labels")
        self._closed = threading.Event()
        self._converting = threading.Lock()
        self._batcher: Batcher | None = None
        self._reader: LabelReader | None = None
        self._broken: EngineFailed | None = None
        self._crashed = False
        """Since the last answer: at the second time the engine is given up."""

    @property
    def name(self) -> str:
        return self._path.stem

    @property
    def parent(self) -> str | None:
        return None

    @property
    def ready(self) -> bool:
        """Loaded: the next request starts at once. A caller in a hurry may skip a model that is not."""
        return self._batcher is not None

    def warm(self) -> Future[None]:
        """Starts loading in the worker thread and returns at once; `.result()` waits and raises EngineFailed."""

        def load() -> None:
            self._loaded()

        return self._submit(self._attendant, load)

    async def stream(
        self, messages: Sequence[ChatMessage], *, max_tokens: int, timeout: float, schema: str | None = None
    ) -> AsyncGenerator[Piece, None]:
        """Pieces of the reply. The time in line and, on first use, of loading counts towards `timeout`.

        Leaving the iteration takes the request out of the engine after the step it is at. Raises InvalidInput for a
        schema that the engine does not take and TooLarge for a prompt that does not fit into its memory.
        """
        _check_schema(schema)
        loop = asyncio.get_running_loop()
        deadline = loop.time() + timeout
        pieces: asyncio.Queue[Piece | Exception] = asyncio.Queue()

        def emit(piece: Piece | Exception) -> None:
            with suppress(RuntimeError):  # the loop has closed: nobody listens any more
                loop.call_soon_threadsafe(pieces.put_nowait, piece)

        request = Request(tuple(messages), max_tokens, schema, emit)
        with self._place_in_line(request.left):
            self._requests.put(request)
            self._submit(self._attendant, self._attend)
            finished = False
            while not finished:
                piece = await self._next(pieces, deadline, timeout)
                finished = piece.finish is not None
                yield piece

    async def choose(
        self, prompts: Sequence[Sequence[ChatMessage]], labels: Sequence[str], *, timeout: float
    ) -> Scores:
        """As the port's. The first call compiles a second copy of the graph, some 2 s that count towards `timeout`."""
        if not labels:
            raise InvalidInput("There is nothing to choose from.", field="labels")
        left = threading.Event()
        with self._place_in_line(left):
            reading = self._submit(self._labels, lambda: self._read_labels(prompts, labels, left))
            try:
                async with asyncio.timeout(timeout):
                    return await asyncio.wrap_future(reading)
            except TimeoutError:
                raise self._late(timeout) from None

    def close(self) -> None:
        """Stops what runs, drops what waits, frees the weights. May be called again."""
        self._closed.set()
        self._attendant.shutdown(wait=True, cancel_futures=True)
        self._labels.shutdown(wait=True, cancel_futures=True)
        while (request := self._next_request()) is not None:
            request.emit(self._is_closed())
        if self._batcher is not None:
            self._batcher.close()
        self._batcher = None
        self._reader = None

    @contextmanager
    def _place_in_line(self, left: threading.Event) -> Generator[None, None, None]:
        if self._waiting >= self._max_waiting:
            raise Overloaded(f"{self._waiting} requests wait for the language model.")
        self._waiting += 1
        try:
            yield
        finally:
            left.set()
            self._waiting -= 1

    def _submit(self, worker: ThreadPoolExecutor, work: Callable[[], Value]) -> Future[Value]:
        if not self._closed.is_set():
            with suppress(RuntimeError):  # closed in this moment
                return worker.submit(work)
        raise self._is_closed()

    async def _next(self, pieces: asyncio.Queue[Piece | Exception], deadline: float, timeout: float) -> Piece:
        try:
            async with asyncio.timeout_at(deadline):  # not wait_for, which in Python 3.11 may swallow a cancellation
                piece = await pieces.get()
        except TimeoutError:
            raise self._late(timeout) from None
        if isinstance(piece, Exception):
            raise piece
        return piece

    def _attend(self) -> None:
        """Runs in the worker thread, once for each request; a request that joined an earlier burst is gone by then."""
        request = self._next_request()
        if request is None or request.left.is_set():
            return
        try:
            batcher = self._loaded()
        except EngineFailed as error:
            request.emit(error)
            return
        try:
            batcher.burst(request, self._next_request, self._closed)
            self._crashed = False
        except EngineFailed as error:  # all who asked have been told
            self._recover(error)

    def _recover(self, error: EngineFailed) -> None:
        """Load afresh, at once and not at the next request, which could be told to wait; but not again and again."""
        self._batcher = None
        if self._crashed:
            self._broken = error
            return
        self._crashed = True
        with suppress(EngineFailed):  # kept in `_broken` for who asks next
            self._loaded()

    def _next_request(self) -> Request | None:
        try:
            return self._requests.get_nowait()
        except Empty:
            return None

    def _loaded(self) -> Batcher:
        """A failed load is remembered, so that later requests fail at once."""
        if self._broken is not None:
            raise self._broken
        if self._batcher is None:
            try:
                from app.llm.openvino_batching import Batcher

                batcher = Batcher(self._graph(), self._options, self._max_waiting)
                batcher.warm()
            except Exception as error:
                self._broken = EngineFailed(f"The language model {self._path} cannot be loaded: {last_line(error)}")
                raise self._broken from error
            self._batcher = batcher
        return self._batcher

    def _graph(self) -> Path:
        with self._converting:
            return graph_folder(self._path, self._cache_dir, self._options)

    def _read_labels(
        self, prompts: Sequence[Sequence[ChatMessage]], labels: Sequence[str], left: threading.Event
    ) -> Scores:
        """Runs in the second worker thread, batch by batch while somebody waits for it."""
        read = [np.empty((0, len(labels)), dtype=np.float32)]
        try:
            from app.llm.openvino_choice import LabelReader

            self._reader = self._reader or LabelReader(self._graph(), self._options)
            for batch in self._reader.batches(prompts, labels):
                if left.is_set() or self._closed.is_set():
                    raise self._is_closed()
                read.append(batch())
        except TastelineError:
            raise
        except Exception as error:
            raise EngineFailed(f"The language model {self.name} broke off: {last_line(error)}") from error
        return np.vstack(read)

    def _late(self, timeout: float) -> DeadlineExceeded:
        return DeadlineExceeded(f"The language model did not finish within {timeout:g} s.")

    def _is_closed(self) -> EngineFailed:
        return EngineFailed(f"The language model {self.name} is closed.")


def _check_schema(schema: str | None) -> None:
    """What can be seen without the engine, in which a bad schema would break the step that all requests share."""
    if schema is None:
        return
    try:
        parsed = json.loads(schema)
    except ValueError as error:
        raise InvalidInput(f"The schema is no JSON: {error}", field="schema") from error
    if not isinstance(parsed, dict):
        raise InvalidInput("The schema is no JSON object.", field="schema")
