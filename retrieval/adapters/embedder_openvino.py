"""The default Embedder: a BERT-class encoder in this process, on the CPU, by OpenVINO.

Takes a hub id or a folder of any one-tower text model that `sentence-transformers` can load. The first start converts
it (`embedder_conversion`, in a process of its own); later ones read the converted folder and never import PyTorch.
Where the speed comes from: 16-bit arithmetic where the processor has it, batches of texts of one length so that next to
nothing is padding, one stream of work per core. Knows nothing of products, caches and indexes.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from queue import LifoQueue
from threading import Lock
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from retrieval.adapters.embedder_conversion import GRAPH, MANIFEST, TOKENIZER, ConvertedEncoder
from retrieval.text import well_formed
from tasteline.errors import MissingExtra, SetupError
from tasteline.types import Vectors

FORMAT = "1"
"""Raised when the conversion changes what it writes."""

WINDOW_TEXTS = 4096
"""Texts that are tokenised, sorted and held at once: long enough to make even batches, a few tens of MB at most."""

BATCH_TOKENS = 2048
BATCH_TEXTS = 64
"""Between 512 and 4,096 tokens the throughput moved by less than 5 %, beyond it fell."""

INTERACTIVE_TOKENS = 512
"""Up to so many (some 30 queries, or a handful of products) are answered at once beside whatever else is going on."""

_MODEL_FILES = ("*.safetensors", "*.bin", "*.json", "*.txt", "*.model")
_CONVERTERS = ("openvino", "torch", "transformers", "sentence-transformers")


class OpenVinoEmbedder:
    """`model`: hub id or folder. `cache_dir`: where converted models are kept. `threads`: for one small
    call; long ones use all cores. Raises SetupError when the model cannot be had or converted.
    """

    def __init__(self, model: str, cache_dir: Path, threads: int = 1) -> None:
        source = _model_folder(model)
        checksum = _checksum(source)
        self._folder = _converted(source, cache_dir / f"{_label(model)}-{checksum[:16]}".replace("/", "--"))
        self._encoder = ConvertedEncoder.load(self._folder)
        self._tokenizer = _load_tokenizer(self._folder / TOKENIZER, self._encoder.window)
        self._cores = _usable_cores()
        threads = min(threads, self._cores)
        streams = self._cores // threads
        interactive = _compile(self._folder, streams=streams, threads=streams * threads)
        precision = interactive.get_property("INFERENCE_PRECISION_HINT").to_string()
        self._name = f"openvino/{_label(model)}-{checksum[:12]}/{precision}"
        self._idle: LifoQueue[Any] = LifoQueue()
        for _ in range(streams):
            self._idle.put(interactive.create_infer_request())
        self._documents: Any = None
        self._document_lock = Lock()

    @property
    def name(self) -> str:
        """The precision in it is the one in use: f32 where the processor has no bf16."""
        return self._name

    @property
    def dimension(self) -> int:
        return self._encoder.dimension

    def encode(self, texts: Sequence[str], kind: Literal["query", "document"]) -> Vectors:
        """Shape (len(texts), dimension), float32, unit length; zeros for a blank text. Thread-safe.

        Equal texts are encoded once. Memory beyond the result does not grow with the number of texts.
        """
        rows_of: dict[str, list[int]] = {}
        for row, text in enumerate(texts):
            if text.strip():
                rows_of.setdefault(text, []).append(row)
        vectors = np.zeros((len(texts), self.dimension), dtype=np.float32)
        prompt = self._encoder.query_prompt if kind == "query" else self._encoder.document_prompt
        distinct = list(rows_of)
        for start in range(0, len(distinct), WINDOW_TEXTS):
            window = distinct[start : start + WINDOW_TEXTS]
            encoded = self._encode_window([prompt + well_formed(text) for text in window])
            for text, vector in zip(window, encoded, strict=True):
                vectors[rows_of[text]] = vector
        return vectors

    def _encode_window(self, texts: list[str]) -> Vectors:
        tokens = [encoding.ids for encoding in self._tokenizer.encode_batch_fast(texts)]
        vectors = np.empty((len(texts), self.dimension), dtype=np.float32)
        if sum(len(ids) for ids in tokens) <= INTERACTIVE_TOKENS:
            self._encode_at_once(tokens, vectors)
        else:
            with self._document_lock:
                self._encode_on_all_cores(tokens, vectors)
        return vectors

    def _encode_at_once(self, tokens: list[list[int]], vectors: Vectors) -> None:
        request = self._idle.get()
        try:
            for rows in _batches([len(ids) for ids in tokens]):
                vectors[rows] = request.infer(self._padded(tokens, rows))[0]
        finally:
            self._idle.put(request)

    def _encode_on_all_cores(self, tokens: list[list[int]], vectors: Vectors) -> None:
        if self._documents is None:
            self._documents = _asynchronous(_compile(self._folder, streams=self._cores, threads=self._cores))

        def keep(request: Any, sink: tuple[Vectors, list[int]]) -> None:
            target, rows = sink
            target[rows] = request.get_output_tensor(0).data

        self._documents.set_callback(keep)
        try:
            for rows in _batches([len(ids) for ids in tokens]):
                self._documents.start_async(self._padded(tokens, rows), (vectors, rows))
        finally:
            self._documents.wait_all()

    def _padded(self, tokens: list[list[int]], rows: list[int]) -> dict[str, NDArray[np.int64]]:
        width = max(len(tokens[row]) for row in rows)
        ids = np.full((len(rows), width), self._encoder.padding_token, dtype=np.int64)
        mask = np.zeros((len(rows), width), dtype=np.int64)
        for line, row in enumerate(rows):
            length = len(tokens[row])
            ids[line, :length] = tokens[row]
            mask[line, :length] = 1
        return {"input_ids": ids, "attention_mask": mask}


def _batches(lengths: Sequence[int]) -> Iterator[list[int]]:
    """Positions grouped by similar length, longest first, each group within BATCH_TOKENS (or one text) once padded."""
    order = sorted(range(len(lengths)), key=lengths.__getitem__, reverse=True)
    start = 0
    while start < len(order):
        longest = max(lengths[order[start]], 1)
        size = max(1, min(BATCH_TEXTS, BATCH_TOKENS // longest))
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


def _load_tokenizer(path: Path, window: int) -> Any:
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(path))
    tokenizer.no_padding()
    tokenizer.enable_truncation(window)
    return tokenizer


def _label(model: str) -> str:
    """A short name for people: the hub id, or the last two parts of a folder."""
    folder = Path(model)
    return f"{folder.resolve().parent.name}/{folder.resolve().name}" if folder.is_dir() else model


def _model_folder(model: str) -> Path:
    if Path(model).is_dir():
        return Path(model)
    from huggingface_hub import snapshot_download

    try:
        return Path(snapshot_download(model, allow_patterns=["*.safetensors", "*.json", "*.txt", "*.model"]))
    except (OSError, ValueError) as error:  # every error of the hub's client is one of these
        reason = str(error).splitlines()[0]
        raise SetupError(
            f"The encoder '{model}' is no folder and could not be fetched: {reason}",
            remedy="TASTELINE_EMBEDDER_MODEL=embedded tasteline index",
        ) from error


def _checksum(folder: Path) -> str:
    """SHA-256 over all that decides the vectors: weights, configuration, tokenizer and the versions that convert."""
    digest = hashlib.sha256(FORMAT.encode())
    for package in _CONVERTERS:
        digest.update(f"{package}={_version(package)};".encode())
    paths = {path for pattern in _MODEL_FILES for path in (*folder.glob(pattern), *folder.glob(f"[0-9]_*/{pattern}"))}
    for path in sorted(paths):
        digest.update(path.relative_to(folder).as_posix().encode())
        with path.open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "none"


def _converted(source: Path, target: Path) -> Path:
    """The folder of the converted model, made when it is not there yet. A broken-off conversion leaves nothing."""
    if (target / MANIFEST).exists():
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    draft = Path(tempfile.mkdtemp(prefix=f".{target.name}-", dir=target.parent))
    draft.chmod(0o755)  # made as 0700, but the user who serves may be another than the one who set up
    try:
        _run_conversion(source, draft)
        try:
            draft.rename(target)
        except OSError:
            if not (target / MANIFEST).exists():  # else another process was first, with the same result
                raise
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return target


def _run_conversion(source: Path, folder: Path) -> None:
    command = [
        sys.executable,
        "-m",
        "retrieval.adapters.embedder_conversion",
        str(source.resolve()),
        str(folder.resolve()),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode == 0:
        return
    reason = (done.stderr.strip().splitlines() or ["it broke off"])[-1]
    if "ModuleNotFoundError" in reason:
        raise MissingExtra(f"Converting an encoder needs a missing package: {reason}", remedy="make setup")
    raise SetupError(
        f"The encoder in '{source}' could not be converted for OpenVINO: {reason}",
        remedy="TASTELINE_EMBEDDER=sentence-transformers tasteline index",
    )
