"""How likely each label is as the first word of an answer, read from the logits of the saved graph.

Takes prompts as token ids and labels as texts; gives probabilities. A second copy of the graph, compiled with plain
OpenVINO, because OpenVINO GenAI tells the log probability of the chosen token only. What the prompts of a batch have in
common at their beginning is computed once. Importing it loads the engine's libraries. One thread at a time.

Measured with SmolLM2-135M-Instruct Q4_1, 1 thread of a 2-core AVX-512 machine, processor time: prefill of 650 to 750
tokens/s, which is 7 prompts/s of 100 tokens and 1.1 of 600, alone or 8 at once; with all but 30 tokens in common, 8 at
once, 11 prompts/s of 100 and 3.4 of 600. The engine computes in bfloat16 where the processor can: the same prompt alone
and in a batch differed by up to 0.03; in float32 by 0.00003, at half the speed and less.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import openvino as ov
import openvino_genai as engine
from numpy.typing import NDArray
from openvino import opset13 as ops

from app.llm.text import history
from tasteline.errors import InvalidInput
from tasteline.types import ChatMessage, Scores

BATCH_PROMPTS = 8
"""At once. More gain nothing on a CPU, and between two batches the deadline is looked at."""

Tokens = NDArray[np.int64]


class LabelReader:
    """`batches` gives the work of one question in parts, so that the caller may stop between two."""

    def __init__(self, folder: Path, options: dict[str, object]) -> None:
        core = ov.Core()
        model = core.read_model(folder / "openvino_model.xml")
        _keep_last_position(model)
        # In bfloat16 log odds come in steps of a quarter, and most of what is compared ties.
        exact = {**options, "INFERENCE_PRECISION_HINT": "f32"}
        self._request = core.compile_model(model, "CPU", exact).create_infer_request()
        self._tokenizer = engine.Tokenizer(str(folder))

    def batches(
        self, prompts: Sequence[Sequence[ChatMessage]], labels: Sequence[str]
    ) -> Iterator[Callable[[], Scores]]:
        """Each call of what it yields gives the next rows, shape (≤ BATCH_PROMPTS, len(labels)).

        Raises InvalidInput where two labels begin with the same token.
        """
        if not prompts:
            return
        firsts = self.first_tokens(prompts[0], labels)
        for start in range(0, len(prompts), BATCH_PROMPTS):
            batch = [self.tokens(messages) for messages in prompts[start : start + BATCH_PROMPTS]]
            yield partial(self.probabilities, batch, firsts)

    def tokens(self, messages: Sequence[ChatMessage]) -> Tokens:
        """Up to where the answer begins; shape (n,)."""
        return self._encode(self._text(messages))

    def first_tokens(self, messages: Sequence[ChatMessage], labels: Sequence[str]) -> Tokens:
        """The token that each label begins with behind this prompt. Raises InvalidInput where two are the same."""
        text = self._text(messages)
        start = len(self._encode(text))
        firsts: list[int] = []
        for label in labels:
            ids = self._encode(text + label)
            if len(ids) <= start:
                raise InvalidInput(f"The label {label!r} has no token.", field="labels")
            firsts.append(int(ids[start]))
        for column, first in enumerate(firsts):
            if first in firsts[:column]:
                other = labels[firsts.index(first)]
                raise InvalidInput(f"{labels[column]!r} and {other!r} begin with the same token.", field="labels")
        return np.array(firsts, dtype=np.int64)

    def probabilities(self, prompts: Sequence[Tokens], first_tokens: Tokens) -> Scores:
        """Shape (len(prompts), len(first_tokens)), rows sum to 1."""
        self._request.reset_state()
        common = shared_prefix(prompts)
        if common:
            self._infer(prompts[0][None, :common], np.ones((1, common), dtype=np.int64), common)
        ends, mask = _left_padded([prompt[common:] for prompt in prompts])
        behind = np.hstack([np.ones((len(prompts), common), dtype=np.int64), mask])
        logits = self._infer(ends, behind, common)[:, -1, :][:, first_tokens].astype(np.float64)
        odds = np.exp(logits - logits.max(axis=1, keepdims=True))
        return np.asarray(odds / odds.sum(axis=1, keepdims=True), dtype=np.float32)

    def _infer(self, ids: Tokens, mask: Tokens, before: int) -> Any:
        """Logits (rows, 1, vocabulary). The cached state, if any, has one row: `beam_idx` gives it to every row."""
        positions = np.maximum(mask.cumsum(axis=1) - 1, 0)[:, -ids.shape[1] :]
        inputs = {
            "input_ids": ids,
            "attention_mask": mask,
            "position_ids": positions,
            "beam_idx": np.zeros(len(ids), dtype=np.int32),
        }
        return self._request.infer(inputs)["logits"]

    def _text(self, messages: Sequence[ChatMessage]) -> str:
        return str(self._tokenizer.apply_chat_template(history(messages), add_generation_prompt=True))

    def _encode(self, text: str) -> Tokens:
        ids: Tokens = self._tokenizer.encode(text, add_special_tokens=False).input_ids.data[0]
        return ids.copy()  # the tensor is the tokenizer's own


def shared_prefix(prompts: Sequence[Tokens]) -> int:
    """Tokens that all begin with, leaving at least one of each; 0 for a single prompt.

    >>> shared_prefix([np.array([1, 2, 3, 4]), np.array([1, 2, 5])])
    2
    """
    if len(prompts) == 1:
        return 0
    longest = min(len(prompt) for prompt in prompts) - 1
    first = prompts[0]
    same = np.ones(longest, dtype=np.bool_)
    for prompt in prompts[1:]:
        same &= prompt[:longest] == first[:longest]
    return longest if same.all() else int(np.argmin(same))


def _left_padded(prompts: Sequence[Tokens]) -> tuple[Tokens, Tokens]:
    """(ids, mask), both (rows, longest): on the left, so that every row's last position is its prompt's end."""
    longest = max(len(prompt) for prompt in prompts)
    ids = np.zeros((len(prompts), longest), dtype=np.int64)
    mask = np.zeros_like(ids)
    for row, prompt in enumerate(prompts):
        ids[row, longest - len(prompt) :] = prompt
        mask[row, longest - len(prompt) :] = 1
    return ids, mask


def _keep_last_position(model: Any) -> None:
    """Logits of the last position only: of 600 tokens they would take 118 MB and most of the time."""
    node = model.output("logits").get_node().input_value(0).get_node()
    while node.get_type_name() != "MatMul":
        node = node.input_value(0).get_node()
    hidden = node.input_value(0)
    last = ops.slice(hidden, np.array([-1]), np.array([np.iinfo(np.int64).max]), np.array([1]), np.array([1]))
    node.input(0).replace_source_output(last.output(0))
    model.validate_nodes_and_infer_types()
