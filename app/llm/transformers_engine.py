"""A chat model behind transformers' own continuous batching: requests in from any thread, tokens out to their callers.

Takes a hub id or folder; gives prompts as tokens, and to each request's receiver what was generated so far. Importing
it loads torch and transformers. Knows no asyncio and no time limits.
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import llguidance.hf
import torch
from transformers import ContinuousBatchingConfig, GenerationConfig

from app.llm.text import TextStream
from app.llm.transformers_steering import LabelLogits, SchemaMask, SteeredRequests, Steering
from app.llm.transformers_weights import load
from retrieval.adapters.chat_template import ChatTemplate
from retrieval.text import well_formed
from tasteline.errors import EngineFailed, InvalidInput, TooLarge
from tasteline.types import ChatMessage

_PAGE_TOKENS = 16
"""Unit of the key-value cache: what two prompts share at their beginning is found in whole pages."""
_STEP_TOKENS = 128
"""At most in one forward pass: while a long prompt is read, the others wait for no more than this."""
_CPU_CACHE_BYTES = 1 << 30
"""Key-value cache on a CPU, taken from the system only as it fills; on a GPU transformers measures what is free."""
_CPU_CACHE_TOKENS = range(4096, 32_768)
"""At least one long conversation; at most what `max_waiting` of them may need, since masks grow with it."""
_POLL_SECONDS = 0.1


@dataclass(frozen=True, slots=True)
class Written:
    """What a request has so far."""

    tokens: list[int]
    end: Literal["stop", "length"] | None
    """Finished by itself, or cut at its limit; None while more comes."""


Receive = Callable[[Written | EngineFailed], None]


class Engine:
    """Loads in the constructor; `start`, then `deliver` in a thread of its own until `stop`."""

    def __init__(self, model: str, threads: int) -> None:
        torch.set_num_threads(threads)  # of the whole process: PyTorch knows no other way
        self._model, self._tokenizer = load(model)
        self._encoding = threading.Lock()  # a tokenizer keeps its options as state
        self._chat = ChatTemplate(self._tokenizer)
        self._ends = _end_tokens(self._model, self._tokenizer)
        vocabulary = self._model.get_output_embeddings().weight.shape[0]
        self._grammar_tokens = llguidance.hf.from_tokenizer(self._tokenizer, vocabulary, sorted(self._ends))
        self._steered = SteeredRequests()
        self._manager = self._new_manager()
        self._receivers: dict[str, Receive] = {}
        self._ids = itertools.count()
        self._stopped = threading.Event()

    def start(self) -> None:
        """Starts generating and warms it. The thread inherits being a daemon, so that it keeps no process alive."""
        self._manager.start()
        self._manager.add_request(self.prompt([ChatMessage("user", "Hello")]), max_new_tokens=2)
        while (answer := self._manager.get_result(timeout=_POLL_SECONDS)) is None or not answer.is_finished():
            if answer is None and not self._manager.is_running():
                raise EngineFailed("The generation loop ended before its first answer.")

    def stop(self) -> None:
        """What runs is failed."""
        self._stopped.set()
        self._manager.stop(block=True, hard_stop=True)

    def deliver(self) -> str:
        """Takes answers to their receivers until the generation ends; whoever still waits gets EngineFailed.

        Gives the reason why it ended.
        """
        # One thread for all: transformers' own handlers call back into one event loop even if the callers have several.
        while (answer := self._manager.get_result(timeout=_POLL_SECONDS)) is not None or self._manager.is_running():
            if answer is not None:
                self._hand_over(answer)
        self._stopped.set()
        reason = str(self._manager.background_thread_status.fatal_error or "it was closed")
        for request_id in list(self._receivers):
            if receive := self._receivers.pop(request_id, None):
                receive(EngineFailed(f"The language model broke off: {reason}"))
        return reason

    def prompt(self, messages: Sequence[ChatMessage]) -> list[int]:
        """Tokens up to where the answer begins."""
        with self._encoding:
            return self._chat.ids(self._chat.text(messages))

    def first_tokens(self, messages: Sequence[ChatMessage], labels: Sequence[str]) -> list[int]:
        """The token that each label begins with behind these messages. Raises InvalidInput where two are the same."""
        with self._encoding:
            text = self._chat.text(messages)
            start = len(self._chat.ids(text))
            ids = [self._chat.ids(text + well_formed(label))[start : start + 1] for label in labels]
        firsts: dict[int, str] = {}
        for label, tokens in zip(labels, ids, strict=True):
            if not tokens:
                raise InvalidInput(f"The label {label!r} has no token.", field="labels")
            if tokens[0] in firsts:
                message = f"The labels {firsts[tokens[0]]!r} and {label!r} begin with the same token."
                raise InvalidInput(message, field="labels")
            firsts[tokens[0]] = label
        return list(firsts)

    def label_logits(self, first_tokens: list[int]) -> LabelLogits:
        """For a request of one token; filled when that is written."""
        return LabelLogits(first_tokens)

    def schema_mask(self, schema: str) -> SchemaMask:
        """Raises InvalidInput."""
        return SchemaMask(self._grammar_tokens, schema)

    def text_stream(self) -> TextStream:
        """For the tokens of one answer."""
        return TextStream(lambda ids: str(self._tokenizer.decode(ids, skip_special_tokens=True)))

    def submit(self, prompt: list[int], max_tokens: int, receive: Receive, steering: Steering | None = None) -> str:
        """`receive` is called with everything so far after each token, in the delivering thread. Gives the id."""
        limit = min(max_tokens, self._longest() - len(prompt))
        if limit < 1:
            raise TooLarge(f"A prompt of {len(prompt)} tokens; the language model takes {self._longest() - 1}.")
        request_id = f"request-{next(self._ids)}"
        if steering is not None:
            self._steered.by_request[request_id] = steering
        self._receivers[request_id] = receive
        self._manager.add_request(
            prompt, request_id, max_new_tokens=limit, streaming=True, eos_token_id=sorted(self._ends)
        )
        if self._stopped.is_set():  # perhaps after `deliver` had told everybody
            self._receivers.pop(request_id, None)
            raise EngineFailed("The language model broke off.")
        return request_id

    def cancel(self, request_id: str) -> None:
        """Frees what it holds after the step that runs; nothing for one that is finished."""
        self._steered.by_request.pop(request_id, None)
        if self._receivers.pop(request_id, None) is not None:
            self._manager.cancel_request(request_id)

    def _hand_over(self, answer: Any) -> None:
        finished = answer.is_finished()
        find = self._receivers.pop if finished else self._receivers.get
        receive = find(answer.request_id, None)
        if receive is None:
            return  # cancelled
        if answer.error:
            receive(EngineFailed(f"The language model broke off: {answer.error}"))
            return
        tokens = answer.generated_tokens
        end: Literal["stop", "length"] = "stop" if tokens and tokens[-1] in self._ends else "length"
        receive(Written(tokens, end if finished else None))

    def _longest(self) -> int:
        """Tokens of prompt and answer together: the model's window, or the cache where that is smaller."""
        window = getattr(self._model.config.get_text_config(), "max_position_embeddings", None) or 1 << 30
        pages = self._manager.continuous_batching_config.num_blocks or 1 << 20
        return int(min(window, pages * _PAGE_TOKENS))

    def _new_manager(self) -> Any:
        on_cpu = self._model.device.type == "cpu"
        batching = ContinuousBatchingConfig(
            page_size=_PAGE_TOKENS,
            num_blocks=_cpu_pages(self._model) if on_cpu else None,
            max_batch_tokens=_STEP_TOKENS if on_cpu else None,
            use_async_batching=False,  # a mask needs the token before it
            use_cuda_graph=False,  # steering is Python
            auto_switch_to_flash=False,  # would look for kernels on the network
        )
        greedy = GenerationConfig(do_sample=False, eos_token_id=sorted(self._ends), pad_token_id=min(self._ends))
        manager = self._model.init_continuous_batching(greedy, batching)
        manager.logit_processor = self._steered.as_list()
        return manager


def _end_tokens(model: Any, tokenizer: Any) -> set[int]:
    ends = model.generation_config.eos_token_id
    known = {ends} if isinstance(ends, int) else set(ends or ())
    return known | ({tokenizer.eos_token_id} - {None})


def _cpu_pages(model: Any) -> int:
    config = model.config.get_text_config()
    head = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    heads = getattr(config, "num_key_value_heads", None) or config.num_attention_heads
    token_bytes = 2 * config.num_hidden_layers * heads * head * model.dtype.itemsize
    tokens = min(max(_CPU_CACHE_BYTES // token_bytes, _CPU_CACHE_TOKENS.start), _CPU_CACHE_TOKENS.stop)
    return int(tokens // _PAGE_TOKENS)
