"""A GPT in this process: OpenVINO GenAI on a GGUF file or a folder of OpenVINO IR, on the CPU.

Takes the path of the weights, a folder for the converted graph, and a number of threads; gives the LanguageModel port.
Greedy; still, the same messages may end in other words, since a prefix found in the engine's cache is rounded
differently. One worker thread owns the engine: it loads the weights on first use, runs one generation after the other
and is the queue. Knows nothing of products, prompts or whether the words are true.

Measured with SmolLM2-135M-Instruct Q4_1 (2 cores): a GGUF takes 4.9 s to load, its saved graph 2.7 s; loading and
generating release the interpreter lock (longest pause of another thread: 14 ms), so a service answers meanwhile.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import shutil
import tempfile
import threading
from collections.abc import AsyncGenerator, Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

from tasteline.errors import DeadlineExceeded, EngineFailed, MissingExtra, Overloaded
from tasteline.types import ChatMessage, Piece, Scores

_END = object()
"""Put behind the last piece."""
_LOOP_TAIL = 24
"""Characters: when the end of the text was seen twice before, the model turns in circles and is stopped."""

Emit = Callable[[object], None]


class OpenVinoLanguageModel:
    """Implements `tasteline.ports.LanguageModel`; the constructor only checks that the weights are there.

    `cache_dir` gets a subfolder with the graph that was made from a GGUF (once, about its size on disk).
    At most `max_waiting` requests stand in line: the next one gets Overloaded at once instead of a late answer.
    Raises MissingExtra when there is nothing at `path`.
    """

    def __init__(self, path: str | Path, cache_dir: Path, threads: int = 1, *, max_waiting: int = 8) -> None:
        self._path = Path(path)
        if not self._path.exists():
            raise MissingExtra(f"No language model at {self._path}.", remedy="make setup")
        self._cache_dir = cache_dir
        self._threads = threads
        self._max_waiting = max_waiting
        self._waiting = 0
        self._worker = ThreadPoolExecutor(1, thread_name_prefix="language-model")
        self._closed = threading.Event()
        self._pipeline: Any = None
        self._broken: EngineFailed | None = None

    @property
    def name(self) -> str:
        return self._path.stem

    @property
    def parent(self) -> str | None:
        return None

    @property
    def ready(self) -> bool:
        """Loaded: the next request starts at once. A caller in a hurry may skip a model that is not."""
        return self._pipeline is not None

    def warm(self) -> Future[None]:
        """Starts loading in the worker thread and returns at once; `.result()` waits and raises EngineFailed."""
        return self._submit(self._warm)

    async def choose(
        self, prompts: Sequence[Sequence[ChatMessage]], labels: Sequence[str], *, timeout: float
    ) -> Scores:
        raise NotImplementedError

    async def stream(
        self, messages: Sequence[ChatMessage], *, max_tokens: int, timeout: float, schema: str | None = None
    ) -> AsyncGenerator[Piece, None]:
        """Pieces of the reply. The time in line and, on first use, of loading counts towards `timeout`.

        Leaving the iteration early stops the engine after the token it is at.
        """
        if self._waiting >= self._max_waiting:
            raise Overloaded(f"{self._waiting} requests wait for the language model.")
        loop = asyncio.get_running_loop()
        deadline = loop.time() + timeout
        pieces: asyncio.Queue[object] = asyncio.Queue()
        left = threading.Event()

        def emit(piece: object) -> None:
            with suppress(RuntimeError):  # the loop has closed: nobody listens any more
                loop.call_soon_threadsafe(pieces.put_nowait, piece)

        job = self._submit(self._generate, tuple(messages), max_tokens, emit, left)
        job.add_done_callback(lambda _: emit(_END))
        self._waiting += 1
        try:
            while (piece := await self._next(pieces, deadline, timeout)) is not _END:
                yield Piece(str(piece))
            job.result()  # raises what broke the generation
        finally:
            left.set()
            job.cancel()
            self._waiting -= 1

    def close(self) -> None:
        """Stops what runs, drops what waits, frees the weights. May be called again."""
        self._closed.set()
        self._worker.shutdown(wait=True, cancel_futures=True)
        self._pipeline = None

    def _submit(self, work: Callable[..., None], *arguments: object) -> Future[None]:
        if self._closed.is_set():
            raise EngineFailed(f"The language model {self.name} is closed.")
        return self._worker.submit(work, *arguments)

    async def _next(self, pieces: asyncio.Queue[object], deadline: float, timeout: float) -> object:
        try:
            return await asyncio.wait_for(pieces.get(), deadline - asyncio.get_running_loop().time())
        except TimeoutError:
            raise DeadlineExceeded(f"The language model did not finish within {timeout:g} s.") from None

    def _warm(self) -> None:
        # The first generation compiles kernels and takes 1.2 s to its first token, later ones 0.05 s.
        self._generate((ChatMessage("user", "Hello"),), 1, lambda _: None, self._closed)

    def _generate(self, messages: tuple[ChatMessage, ...], max_tokens: int, emit: Emit, left: threading.Event) -> None:
        """Runs in the worker thread. Whatever the engine raises becomes EngineFailed."""
        pipeline = self._loaded()
        try:
            import openvino_genai as engine

            config = pipeline.get_generation_config()
            config.max_new_tokens = max_tokens
            config.do_sample = False
            config.apply_chat_template = False  # done below, where special tokens in the content are defused
            text = ""

            def streamer(piece: str) -> Any:
                # Must not raise: the engine only logs what a streamer raises, and goes on.
                nonlocal text
                if left.is_set() or self._closed.is_set() or _turns_in_circles(text := text + piece):
                    return engine.StreamingStatus.CANCEL
                if piece:
                    emit(piece)
                return engine.StreamingStatus.RUNNING

            if not left.is_set():
                pipeline.generate(_prompt(pipeline, messages), config, streamer)
        except Exception as error:
            raise EngineFailed(f"The language model {self.name} broke off: {_first_line(error)}") from error

    def _loaded(self) -> Any:
        """The pipeline; a failed load is remembered, so that later requests fail at once."""
        if self._broken is not None:
            raise self._broken
        if self._pipeline is None:
            try:
                self._pipeline = self._load()
            except Exception as error:
                self._broken = EngineFailed(f"The language model {self._path} cannot be loaded: {_first_line(error)}")
                raise self._broken from error
        return self._pipeline

    def _load(self) -> Any:
        import openvino_genai as engine

        options = {"INFERENCE_NUM_THREADS": self._threads}
        if self._path.is_dir():
            return engine.LLMPipeline(str(self._path), "CPU", **options)
        graph = self._cache_dir / _graph_key(self._path, engine.get_version())
        if graph.is_dir():
            return engine.LLMPipeline(str(graph), "CPU", **options)
        return self._load_and_save(engine, graph, options)

    def _load_and_save(self, engine: Any, graph: Path, options: dict[str, int]) -> Any:
        """Loads the GGUF and keeps its graph; the engine saves beside the file it reads, so it reads a link."""
        self._cache_dir.mkdir(parents=True, exist_ok=True)
        folder = Path(tempfile.mkdtemp(dir=self._cache_dir, prefix=".saving-"))
        try:
            link = folder / self._path.name
            link.symlink_to(self._path.resolve())
            pipeline = engine.LLMPipeline(str(link), "CPU", enable_save_ov_model=True, **options)
            link.unlink()
            with suppress(OSError):  # another process was faster: its folder is as good
                os.replace(folder, graph)
            return pipeline
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def _graph_key(path: Path, version: str) -> str:
    """Changes with the file and with the engine that converted it."""
    stat = path.stat()
    facts = f"{path.resolve()}|{stat.st_size}|{stat.st_mtime_ns}|{version}"
    return f"{path.stem}-{hashlib.sha256(facts.encode()).hexdigest()[:12]}"


def _prompt(pipeline: Any, messages: Sequence[ChatMessage]) -> str:
    """The messages in the model's own chat template; a `<|im_end|>` in somebody's text must not end their turn."""
    history = [{"role": message.role, "content": message.content.replace("<|", "< |")} for message in messages]
    return str(pipeline.get_tokenizer().apply_chat_template(history, add_generation_prompt=True))


def _turns_in_circles(text: str) -> bool:
    """
    >>> _turns_in_circles("It is a good pot. " * 3)
    False
    >>> _turns_in_circles("It is a good pot. " * 4)
    True
    """
    tail = text[-_LOOP_TAIL:]
    before = text.rfind(tail, 0, len(text) - 1)
    return before >= 0 and text.rfind(tail, 0, before + len(tail) - 1) >= 0


def _first_line(error: Exception) -> str:
    return next((line for line in str(error).splitlines() if line.strip()), type(error).__name__)
