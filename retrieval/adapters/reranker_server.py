"""A Reranker on a server: vLLM's `/score` of a cross-encoder with one label (merged: vLLM takes no adapter of one).

Takes a base URL, the name that the server serves it under and a key. One HTTP request for a call, bounded by its
timeout; never tried twice, because who asks has a list to show already. Knows nothing of products.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

import httpx
import numpy as np
from pydantic import TypeAdapter, ValidationError

from retrieval.text import well_formed
from tasteline.errors import DeadlineExceeded, EngineFailed, Overloaded
from tasteline.types import Scores

PATIENCE_SECONDS = 60.0
"""Where the caller sets no time."""


@dataclass(frozen=True, slots=True)
class _Scored:
    index: int
    score: float


@dataclass(frozen=True, slots=True)
class _Answer:
    data: tuple[_Scored, ...]


_ANSWER = TypeAdapter(_Answer)


class ServerReranker:
    """`base_url` ends in /v1, as that of the language model does. The constructor asks nothing."""

    def __init__(self, base_url: str, served_name: str, api_key: str | None = None) -> None:
        self._served_name = served_name
        headers = {"Authorization": f"Bearer {api_key}"} if api_key else {}
        self._client = httpx.Client(base_url=base_url.rstrip("/"), headers=headers)

    @property
    def name(self) -> str:
        return f"server/{self._served_name}"

    def score(self, queries: Sequence[str], documents: Sequence[str], *, timeout: float | None = None) -> Scores:
        """As the port's. Raises Overloaded for 429, EngineFailed for whatever else is no list of scores."""
        pairs = [(well_formed(query), well_formed(text)) for query, text in zip(queries, documents, strict=True)]
        if not pairs:
            return np.zeros(0, dtype=np.float32)
        body = {
            "model": self._served_name,
            "text_1": [query for query, _ in pairs],
            "text_2": [text for _, text in pairs],
            "truncate_prompt_tokens": -1,  # as long as the model reads; an error otherwise
            "use_activation": False,  # the logit: probabilities near 1 are all the same in single precision
        }
        seconds = PATIENCE_SECONDS if timeout is None else timeout
        try:
            return _scores(*self._answer(body, seconds), pairs=len(queries))
        except httpx.TimeoutException as error:
            raise DeadlineExceeded(f"The reranker's server did not answer within {seconds:g} s.") from error
        except httpx.HTTPError as error:
            raise EngineFailed(f"The reranker's server does not answer ({error}).") from error

    def _answer(self, body: dict[str, object], seconds: float) -> tuple[int, bytes]:
        """Status and body. httpx bounds each read; who sends a byte now and then must not outlast the deadline."""
        end = time.monotonic() + seconds
        with self._client.stream("POST", "/score", json=body, timeout=seconds) as answer:
            read = bytearray()
            for piece in answer.iter_bytes():
                read += piece
                if time.monotonic() > end:
                    raise httpx.ReadTimeout("the answer trickles")
            return answer.status_code, bytes(read)

    def close(self) -> None:
        self._client.close()


def _scores(status: int, body: bytes, pairs: int) -> Scores:
    if status == httpx.codes.TOO_MANY_REQUESTS:
        raise Overloaded("The reranker's server is busy.")
    if status != httpx.codes.OK:
        raise EngineFailed(f"The reranker's server answered {status}.")
    try:
        scored = _ANSWER.validate_json(body).data
    except ValidationError as error:
        raise EngineFailed("The reranker's server gave no list of scores.") from error
    if sorted(entry.index for entry in scored) != list(range(pairs)):
        raise EngineFailed(f"The reranker's server scored {len(scored)} of {pairs} pairs.")
    scores = np.empty(pairs, dtype=np.float32)
    for entry in scored:
        scores[entry.index] = entry.score
    if not np.isfinite(scores).all():
        raise EngineFailed("The reranker's server gave a score that is no number.")
    return scores
