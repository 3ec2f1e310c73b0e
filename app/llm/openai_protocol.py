"""A GPT on a server that speaks OpenAI's protocol: vLLM first of all, any other with what the protocol alone has.

Takes the server's base URL, the name of a model and a key; gives the LanguageModel port. Greedy. Leaving an iteration
closes the connection, at which vLLM drops the request. May be used from several event loops. Knows nothing of products,
prompts or whether the words are true.

Each request has a connection of its own (0.3 ms on loopback): one kept open belongs to an event loop that may be gone,
and the first request after a restart of the server would meet a dead one. Nothing is tried twice: who asks has a
deadline and something else to say.
"""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import AsyncGenerator, AsyncIterator, Generator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from typing import Any, Literal
from weakref import WeakKeyDictionary

import numpy as np
import openai
from openai.types.chat import ChatCompletionChunk, ChatCompletionMessageParam

from app.llm.repetition import turns_in_circles
from app.llm.served_models import Served, ServedModels
from app.llm.text import history
from tasteline.errors import DeadlineExceeded, EngineFailed, InvalidInput, Overloaded
from tasteline.types import ChatMessage, Piece, Scores, Usage

PREFILLS_AT_ONCE = 8
"""Of one `choose`: the server batches them, and a long list must not push everybody else aside."""
TOP_LOGPROBS = 20
"""The most that the protocol allows."""
CONNECT_SECONDS = 2.0
"""A machine that is gone does not refuse a connection, it stays silent: that is a failure, not a late answer."""

_NO_KEY = "none"
"""The client wants one and would take OPENAI_API_KEY, which is nobody's business here, from the environment."""


class OpenAiLanguageModel:
    """Implements `tasteline.ports.LanguageModel`. The constructor returns at once and looks for the server beside.

    `model` is a name that the server lists; "embedded" is the first. At most `max_waiting` requests at a time: the next
    one gets Overloaded at once. A full server (429) is Overloaded too, one that is away, breaks off or refuses the
    request is EngineFailed. After a failure `ready` is false until the server lists its models again, asked every 2 s.
    """

    def __init__(
        self, base_url: str, model: str = "embedded", api_key: str | None = None, *, max_waiting: int = 32
    ) -> None:
        self._base_url = base_url.rstrip("/")
        self._wanted = model
        self._key = api_key
        self._places = threading.BoundedSemaphore(max_waiting) if max_waiting else None
        self._clients: WeakKeyDictionary[asyncio.AbstractEventLoop, openai.AsyncOpenAI] = WeakKeyDictionary()
        self._first_tokens: dict[tuple[str, str], int] = {}
        self._closed = False
        self._models = ServedModels(self._base_url, model, api_key)
        self._models.doubt()

    @property
    def name(self) -> str:
        """As the server lists it; until it answered, as it was asked for."""
        served = self._models.served
        return served.name if served is not None else self._wanted

    @property
    def parent(self) -> str | None:
        served = self._models.served
        return served.parent if served is not None else None

    @property
    def ready(self) -> bool:
        """The server listed its models, and nothing failed since."""
        return not self._closed and self._models.served is not None

    def warm(self) -> Future[None]:
        """Looks for the server in another thread; `.result()` waits for it and raises EngineFailed."""
        found: Future[None] = Future()

        def look() -> None:
            try:
                self._models.find()
                found.set_result(None)
            except EngineFailed as error:
                found.set_exception(error)

        threading.Thread(target=look, name="language-model-warm", daemon=True).start()
        return found

    async def stream(
        self, messages: Sequence[ChatMessage], *, max_tokens: int, timeout: float, schema: str | None = None
    ) -> AsyncGenerator[Piece, None]:
        """Pieces of the reply; finding the server counts towards `timeout`."""
        deadline = asyncio.get_running_loop().time() + timeout
        with self._place(), self._failures(timeout):
            async with asyncio.timeout_at(deadline):
                served = await self._found()
                opened = await self._client().chat.completions.create(
                    model=served.name,
                    messages=_as_sent(messages),
                    max_tokens=max_tokens,
                    temperature=0,
                    stream=True,
                    stream_options={"include_usage": True},
                    response_format=_following(schema) if schema is not None else openai.omit,
                    extra_body=_added(served),
                )
            async with opened:
                async for piece in self._pieces(opened, deadline):
                    yield piece

    async def choose(
        self, prompts: Sequence[Sequence[ChatMessage]], labels: Sequence[str], *, timeout: float
    ) -> Scores:
        """Over the labels' first tokens. vLLM gives each one's probability; of any other server the 20 likeliest tokens
        are read, and a label that is not among them gets 0. Raises EngineFailed where none is.
        """
        if not labels or len(set(labels)) < len(labels) or not all(labels):
            raise InvalidInput("Labels must be given, different and not empty.", field="labels")
        with self._place(), self._failures(timeout):
            async with asyncio.timeout(timeout):
                served = await self._found()
                tokens = await self._tokens(served, labels)
                rows = await self._rows(served, prompts, labels, tokens)
        return np.array(rows, dtype=np.float32).reshape(len(prompts), len(labels))

    def close(self) -> None:
        """Final: what runs gets EngineFailed with its next piece. May be called again."""
        self._closed = True
        self._models.close()

    @contextmanager
    def _place(self) -> Generator[None, None, None]:
        if self._closed:
            raise EngineFailed(f"The language model {self.name} is closed.")
        if self._places is None or not self._places.acquire(blocking=False):
            raise Overloaded("As many requests as allowed wait for the language model server.")
        try:
            yield
        finally:
            self._places.release()

    @contextmanager
    def _failures(self, timeout: float) -> Generator[None, None, None]:
        """What client and server raise becomes one of three errors; a failure puts the server in doubt."""
        late = f"The language model server did not finish within {timeout:g} s."
        try:
            yield
        except EngineFailed:
            self._models.doubt()
            raise
        except openai.RateLimitError as error:
            raise Overloaded(f"The language model server is full: {self._said(error)}") from error
        except openai.APITimeoutError as error:
            if type(error.__cause__).__name__ != "ConnectTimeout":
                raise DeadlineExceeded(late) from error
            self._models.doubt()
            raise EngineFailed(f"The language model server at {self._base_url} cannot be reached.") from error
        except TimeoutError:
            raise DeadlineExceeded(late) from None
        except (openai.OpenAIError, ValueError) as error:
            self._models.doubt()
            raise EngineFailed(f"The language model server at {self._base_url} failed: {self._said(error)}") from error

    def _said(self, error: Exception) -> str:
        """One line of the server's message; some servers repeat the key that they refuse."""
        line = " ".join(str(error).split())[:300] or type(error).__name__
        return line.replace(self._key, "***") if self._key else line

    def _client(self) -> openai.AsyncOpenAI:
        """The running loop's own."""
        loop = asyncio.get_running_loop()
        client = self._clients.get(loop)
        if client is None:
            client = self._clients[loop] = openai.AsyncOpenAI(
                base_url=self._base_url,
                api_key=self._key or _NO_KEY,
                max_retries=0,
                timeout=openai.Timeout(None, connect=CONNECT_SECONDS),  # the deadline is kept by the caller's clock
                default_headers={"Connection": "close"},
            )
        return client

    async def _found(self) -> Served:
        if self._models.served is not None:
            return self._models.served
        return await asyncio.to_thread(self._models.find)

    async def _pieces(
        self, opened: openai.AsyncStream[ChatCompletionChunk], deadline: float
    ) -> AsyncGenerator[Piece, None]:
        chunks = aiter(opened)
        text, usage = "", None
        finish: Literal["stop", "length", "repetition"] | None = None
        while (chunk := await _next(chunks, deadline)) is not None:
            if self._closed:
                raise EngineFailed(f"The language model {self.name} was closed.")
            piece, ended, counted = _read(chunk)
            finish, usage = ended or finish, counted or usage
            if not piece:
                continue
            yield Piece(piece)
            if turns_in_circles(text := text + piece):
                finish = "repetition"
                break
        if finish is None:
            raise EngineFailed("The language model server ended in mid-answer.")
        yield Piece(finish=finish, usage=usage)

    async def _tokens(self, served: Served, labels: Sequence[str]) -> dict[int, int] | None:
        """Token → column of its label; None where the server does not say how it cuts text into tokens."""
        if not served.by_vllm:
            return None
        columns: dict[int, int] = {}
        for column, label in enumerate(labels):
            token = self._first_tokens.get((served.name, label))
            if token is None:
                token = self._first_tokens[served.name, label] = await self._first_token(served, label)
            if token in columns:
                raise InvalidInput(
                    f"“{labels[columns[token]]}” and “{label}” begin with the same token.", field="labels"
                )
            columns[token] = column
        return columns

    async def _first_token(self, served: Served, label: str) -> int:
        url = self._base_url.removesuffix("/v1") + "/tokenize"
        body = {"model": served.name, "prompt": label, "add_special_tokens": False}
        answer = await self._client().post(url, body=body, cast_to=object)
        tokens = answer.get("tokens") if isinstance(answer, dict) else None
        if not tokens or not isinstance(tokens[0], int):
            raise EngineFailed(f"The language model server cannot cut “{label}” into tokens.")
        return tokens[0]

    async def _rows(
        self,
        served: Served,
        prompts: Sequence[Sequence[ChatMessage]],
        labels: Sequence[str],
        tokens: Mapping[int, int] | None,
    ) -> list[list[float]]:
        places = asyncio.Semaphore(PREFILLS_AT_ONCE)

        async def row(messages: Sequence[ChatMessage]) -> list[float]:
            async with places:
                found = await self._log_probabilities(served, messages, labels, tokens)
            return _normalised(found, len(labels))

        try:
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(row(messages)) for messages in prompts]
        except BaseExceptionGroup as failures:
            raise failures.exceptions[0] from None
        return [task.result() for task in tasks]

    async def _log_probabilities(
        self,
        served: Served,
        messages: Sequence[ChatMessage],
        labels: Sequence[str],
        tokens: Mapping[int, int] | None,
    ) -> dict[int, float]:
        """Column → log probability of its label as the next token, where the server tells it."""
        completion = await self._client().chat.completions.create(
            model=served.name,
            messages=_as_sent(messages),
            max_tokens=1,
            temperature=0,
            logprobs=True,
            top_logprobs=TOP_LOGPROBS if tokens is None else min(TOP_LOGPROBS, len(tokens)),
            extra_body=_added(served) | (_only(tokens) if tokens is not None else {}),
        )
        try:
            content = completion.choices[0].logprobs
            likely = content.content[0].top_logprobs if content and content.content else []
            told = [(entry.token, float(entry.logprob)) for entry in likely]
        except (AttributeError, IndexError, TypeError) as error:
            raise EngineFailed("The language model server gives no log probabilities.") from error
        found: dict[int, float] = {}
        for token, log_probability in told:
            column = _column_of_text(token, labels) if tokens is None else tokens.get(_token_id(token))
            if column is not None:
                found.setdefault(column, log_probability)
        return found


def _as_sent(messages: Sequence[ChatMessage]) -> list[ChatCompletionMessageParam]:
    sent: list[Any] = [*history(messages)]
    return sent


def _following(schema: str) -> Any:
    """The value of `response_format` for a JSON Schema."""
    described = {"name": "answer", "strict": True, "schema": json.loads(schema)}
    return {"type": "json_schema", "json_schema": described}


def _added(served: Served) -> dict[str, object]:
    """What vLLM takes beyond the protocol: no thinking aloud where a model's template knows of it."""
    return {"chat_template_kwargs": {"enable_thinking": False}} if served.by_vllm else {}


def _only(tokens: Mapping[int, int]) -> dict[str, object]:
    """vLLM: log probabilities of these tokens alone, named by number, before any penalty. Both fields ask for the same:
    older servers know only the first, and there it takes `--logprobs-mode processed_logprobs`."""
    ids = list(tokens)
    return {
        "allowed_token_ids": ids,
        "logprob_token_ids": ids,
        "return_tokens_as_token_ids": True,
        "repetition_penalty": 1.0,
    }


async def _next(chunks: AsyncIterator[ChatCompletionChunk], deadline: float) -> ChatCompletionChunk | None:
    async with asyncio.timeout_at(deadline):
        return await anext(chunks, None)


def _read(chunk: ChatCompletionChunk) -> tuple[str, Literal["stop", "length"] | None, Usage | None]:
    """Text, how it ended, what it cost. The client checks nothing: raises EngineFailed for JSON that is no chunk."""
    try:
        counted = chunk.usage
        details = counted.prompt_tokens_details if counted else None
        cached = (details.cached_tokens or 0) if details else 0
        usage = Usage(int(counted.prompt_tokens), int(counted.completion_tokens), cached) if counted else None
        if not isinstance(chunk.choices, list):
            raise TypeError("no choices")
        if not chunk.choices:  # the last one has the costs alone
            return "", None, usage
        choice = chunk.choices[0]
        text, ended = choice.delta.content or "", choice.finish_reason
        if not isinstance(text, str):
            raise TypeError("content is no text")
    except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
        raise EngineFailed(f"The language model server sent something that is no answer ({error}).") from error
    if str(ended) in {"abort", "error"}:
        raise EngineFailed("The language model server gave up in mid-answer.")
    return text, (None if ended is None else "length" if ended == "length" else "stop"), usage


def _token_id(token: str) -> int:
    """
    >>> _token_id("token_id:49"), _token_id("A")
    (49, -1)
    """
    number = token.removeprefix("token_id:")
    return int(number) if number.isdecimal() and number != token else -1


def _column_of_text(token: str, labels: Sequence[str]) -> int | None:
    """The label that is this token, or the only one that begins with it.

    >>> [_column_of_text(token, ["yes", "no", "not sure"]) for token in ("no", "y", "n", "maybe")]
    [1, 0, None, None]
    """
    if token in labels:
        return list(labels).index(token)
    beginning = [column for column, label in enumerate(labels) if token and label.startswith(token)]
    return beginning[0] if len(beginning) == 1 else None


def _normalised(found: Mapping[int, float], columns: int) -> list[float]:
    """
    >>> _normalised({0: -1.0, 2: -1.0}, 3)
    [0.5, 0.0, 0.5]
    """
    if not found:
        raise EngineFailed("None of the labels is among the tokens that the language model server tells of.")
    best = max(found.values())
    weights = [float(np.exp(found[column] - best)) if column in found else 0.0 for column in range(columns)]
    return [weight / sum(weights) for weight in weights]
