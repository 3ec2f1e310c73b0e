"""What is done to the logits of single requests in a batch: a JSON schema masks them, a choice reads them.

Takes llguidance's matcher or the tokens to look at; gives a processor for transformers' continuous batching, in which
every request may have its own steering. Knows no prompts.
"""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
import torch
from llguidance import LLMatcher, LLTokenizer
from numpy.typing import NDArray
from transformers.generation.continuous_batching.cb_logits_processors import (
    ContinuousBatchingLogitsProcessor,
    ContinuousBatchingLogitsProcessorList,
)
from transformers.generation.logits_process import LogitsProcessorList

from tasteline.errors import InvalidInput

# One way to write a document: a weak model that may choose its white space writes little else.
_JSON_STYLE = {"whitespace_flexible": False, "item_separator": ", ", "key_separator": ": "}


class Steering(Protocol):
    def steer(self, written: list[int], logits: torch.Tensor) -> None:
        """Before each new token of one request: `written` so far, float32 `logits` (vocabulary,), changed in place."""
        ...


class SchemaMask:
    """Leaves the tokens that may come next in a document of the schema. Raises InvalidInput for a bad schema."""

    def __init__(self, tokenizer: LLTokenizer, schema: str) -> None:
        try:
            grammar = LLMatcher.grammar_from_json_schema(schema, defaults=_JSON_STYLE)
            fault = LLMatcher.validate_grammar(grammar, tokenizer)
        except ValueError as error:
            fault = str(error)
        if fault:
            raise InvalidInput(f"No JSON schema that can be followed: {fault.splitlines()[0]}", field="schema")
        self._matcher = LLMatcher(tokenizer, grammar, log_level=0)
        self._consumed = 0

    def steer(self, written: list[int], logits: torch.Tensor) -> None:
        for token in written[self._consumed :]:
            self._matcher.consume_token(token)
        self._consumed = len(written)
        # A finished document, and a matcher that gave up, allow the end of the text only.
        bits = np.frombuffer(self._matcher.compute_bitmask(), dtype=np.uint8)
        forbidden = np.unpackbits(bits, bitorder="little", count=len(logits)) == 0
        logits[torch.from_numpy(forbidden).to(logits.device)] = -torch.inf


class LabelLogits:
    """Keeps the logits of some tokens where an answer begins; float64, shape (len(tokens),)."""

    def __init__(self, tokens: list[int]) -> None:
        self._tokens = tokens
        self.logits: NDArray[np.float64] = np.zeros(0)

    def steer(self, written: list[int], logits: torch.Tensor) -> None:
        if not written:
            self.logits = logits[self._tokens].double().cpu().numpy()


class SteeredRequests(ContinuousBatchingLogitsProcessor):  # type: ignore[misc]
    """The processor of a whole batch: finds the steering of each request by its id.

    Needs synchronous batching: a mask can be made only when the token before is known. Runs in the generation thread.
    """

    supported_kwargs: dict[str, type] = {}  # noqa: RUF012 - the base class declares it so
    ignored_kwargs: tuple[str, ...] = ()

    def __init__(self) -> None:
        self.by_request: dict[str, Steering] = {}
        self._rows: list[tuple[int, Steering, list[int]]] = []

    def as_list(self) -> Any:
        """What a ContinuousBatchingManager keeps its processors in."""
        processors = ContinuousBatchingLogitsProcessorList(LogitsProcessorList([self]))
        processors.tensors_required = 1
        return processors

    def fill_defaults(self, int32_tensor: torch.Tensor) -> None:
        int32_tensor.zero_()

    def prepare_tensor_args(self, requests_with_new_token: list[Any]) -> torch.Tensor:
        """Notes which rows of the coming logits are steered; the tensor that the interface wants stays empty."""
        self._rows = [
            (row, steering, request.state.to_generation_output().generated_tokens)
            for row, request in enumerate(requests_with_new_token)
            if (steering := self.by_request.get(request.state.request_id)) is not None
        ]
        return torch.zeros(len(requests_with_new_token), dtype=torch.int32)

    def __call__(self, scores: torch.Tensor, tensor_arg: torch.Tensor) -> torch.Tensor:
        for row, steering, written in self._rows:
            steering.steer(written, scores[row])
        return scores
