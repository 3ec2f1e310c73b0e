"""A BERT-class graph asked for many texts at once, on the CPU, by OpenVINO.

Takes tokenised texts (or pairs of them), gives one line of numbers for each. Where the speed comes from: 16-bit
arithmetic where the processor has it, batches of texts of one length so that next to nothing is padding, one stream of
work per core. Knows nothing of what the numbers mean.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from queue import LifoQueue
from threading import Lock
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tasteline.errors import DeadlineExceeded

GRAPH = "encoder.xml"
TOKENIZER = "tokenizer.json"

BATCH_TOKENS = 2048
BATCH_TEXTS = 64
"""Between 512 and 4,096 tokens the throughput moved by less than 5 %, beyond it fell."""

INTERACTIVE_TOKENS = 512
"""Up to so many (some 30 queries, or a handful of products) are answered at once beside whatever else is going on."""

Numbers = NDArray[np.float32]


class BatchedGraph:
    """The graph in `folder`. `width`: numbers in a line. `threads`: for one small call; long ones use all cores.
    `batch_tokens`: computed in one go, so how far a call may go past its deadline.

    Thread-safe: small calls run beside each other, long ones take turns.
    """

    def __init__(
        self, folder: Path, width: int, padding_token: int, threads: int = 1, batch_tokens: int = BATCH_TOKENS
    ) -> None:
        self._folder = folder
        self._batch_tokens = batch_tokens
        self._width = width
        self._padding_token = padding_token
        self._cores = _usable_cores()
        threads = min(threads, self._cores)
        streams = self._cores // threads
        interactive = _compile(folder, streams=streams, threads=streams * threads)
        self.precision = str(interactive.get_property("INFERENCE_PRECISION_HINT").to_string())
        """In use: f32 where the processor has no bf16."""
        self._inputs = [port.get_any_name() for port in interactive.inputs]
        self._idle: LifoQueue[Any] = LifoQueue()
        for _ in range(streams):
            self._idle.put(interactive.create_infer_request())
        self._long: Any = None
        self._long_lock = Lock()

    def lines(self, encodings: Sequence[Any], until: float | None = None) -> Numbers:
        """Shape (len(encodings), width), of what a `tokenizers` tokenizer gave.

        Raises DeadlineExceeded where a batch would begin after `until`, in `time.monotonic()`.
        """
        lines = np.empty((len(encodings), self._width), dtype=np.float32)
        if sum(len(encoding.ids) for encoding in encodings) <= INTERACTIVE_TOKENS:
            self._at_once(encodings, lines, until)
        else:
            with self._turn(until):
                self._on_all_cores(encodings, lines, until)
        return lines

    @contextmanager
    def _turn(self, until: float | None) -> Iterator[None]:
        """Of the long calls. Raises DeadlineExceeded where it does not come in time."""
        if not self._long_lock.acquire(timeout=-1 if until is None else max(0.0, until - time.monotonic())):
            raise DeadlineExceeded("Others took all the time.")
        try:
            yield
        finally:
            self._long_lock.release()

    def _at_once(self, encodings: Sequence[Any], lines: Numbers, until: float | None) -> None:
        request = self._idle.get()
        try:
            for rows in _batches(encodings, until, self._batch_tokens):
                lines[rows] = request.infer(self._padded(encodings, rows))[0].reshape(len(rows), -1)
        finally:
            self._idle.put(request)

    def _on_all_cores(self, encodings: Sequence[Any], lines: Numbers, until: float | None) -> None:
        if self._long is None:
            self._long = _asynchronous(_compile(self._folder, streams=self._cores, threads=self._cores))

        def keep(request: Any, sink: tuple[Numbers, list[int]]) -> None:
            target, rows = sink
            target[rows] = request.get_output_tensor(0).data.reshape(len(rows), -1)

        self._long.set_callback(keep)
        try:
            for rows in _batches(encodings, until, self._batch_tokens):
                self._long.start_async(self._padded(encodings, rows), (lines, rows))
        finally:
            self._long.wait_all()

    def _padded(self, encodings: Sequence[Any], rows: list[int]) -> dict[str, NDArray[np.int64]]:
        width = max(len(encodings[row].ids) for row in rows)
        filled = {name: np.zeros((len(rows), width), dtype=np.int64) for name in self._inputs}
        filled["input_ids"].fill(self._padding_token)
        for line, row in enumerate(rows):
            encoding = encodings[row]
            length = len(encoding.ids)
            filled["input_ids"][line, :length] = encoding.ids
            filled["attention_mask"][line, :length] = 1
            if "token_type_ids" in filled:
                filled["token_type_ids"][line, :length] = encoding.type_ids
        return filled


def tokenizer_in(folder: Path, window: int) -> Any:
    """Cuts at `window` tokens, of a pair the longer text first; never pads."""
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(folder / TOKENIZER))
    tokenizer.no_padding()
    tokenizer.enable_truncation(window)
    return tokenizer


def _batches(encodings: Sequence[Any], until: float | None, batch_tokens: int) -> Iterator[list[int]]:
    """Positions grouped by similar length, longest first, each group within `batch_tokens` once padded, or one text."""
    lengths = [len(encoding.ids) for encoding in encodings]
    order = sorted(range(len(lengths)), key=lengths.__getitem__, reverse=True)
    start = 0
    while start < len(order):
        if until is not None and time.monotonic() > until:
            raise DeadlineExceeded("There was no time for all texts.")
        longest = max(lengths[order[start]], 1)
        size = max(1, min(BATCH_TEXTS, batch_tokens // longest))
        yield order[start : start + size]
        start += size


def _usable_cores() -> int:
    """Fewer than the machine's where the process is bound to some of them."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _compile(folder: Path, *, streams: int, threads: int) -> Any:
    import openvino

    settings = {
        "INFERENCE_PRECISION_HINT": "bf16",  # OpenVINO itself falls back to f32 without AVX512_BF16 or AMX
        "NUM_STREAMS": streams,
        "INFERENCE_NUM_THREADS": threads,
        "ENABLE_CPU_PINNING": False,  # the process has other work; pinned streams would queue behind it
    }
    return openvino.Core().compile_model(folder / GRAPH, "CPU", settings)


def _asynchronous(compiled: Any) -> Any:
    import openvino

    return openvino.AsyncInferQueue(compiled, 0)
