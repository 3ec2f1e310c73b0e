"""`tasteline train llm`: a causal language model learns the answers that are wanted to the prompts of this service.

Takes chats as the service sends them, gives a LoRA adapter and a plain transformers folder. A prompt becomes tokens by
the code that serves it (`retrieval.adapters.chat_template`); only the answer and its end are learned, and logits are
computed at no other place: with a vocabulary of 49,152 they cost a small model a quarter of a pass. Rows are filled up
behind, where no token of a causal model looks, so that no mask is needed. Knows no store and no registry.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from finetune.examples import ChatExample
from finetune.lora.adapter import (
    ADAPTER,
    MERGED,
    base_of,
    fingerprint,
    make_readable,
    merged,
    quiet,
    with_adapter,
    write_adapter,
)
from finetune.lora.hardware import Hardware
from finetune.lora.job import Backward, Learned, LoraJob, Outcome, Step
from finetune.lora.rows import IDS, TokenRows, chunks
from finetune.lora.settings import LlmSettings
from finetune.training import Told
from retrieval.adapters.chat_template import ChatTemplate
from retrieval.models.sequences import Numbers
from retrieval.text import well_formed
from tasteline.errors import InvalidInput, MissingExtra
from tasteline.types import ChatMessage, Scores


@dataclass(frozen=True, slots=True)
class TrainedLlm:
    """What `train_llm` has made."""

    model: Any
    """The network with the adapter in it."""
    adapted: Any
    """The PeftModel around it."""
    outcome: Outcome
    too_long: int
    """Examples that were left out: over `max_length`, or over the model's window."""

    def write(self, folder: Path) -> None:
        """`folder/adapter` for PEFT, `folder/merged` for transformers and vLLM."""
        write_adapter(self.adapted, folder / ADAPTER)
        merge_llm(folder / ADAPTER, folder / MERGED)


def train_llm(
    examples: Sequence[ChatExample],
    base: str,
    settings: LlmSettings,
    *,
    valid: Sequence[ChatExample] = (),
    measure: Callable[[Any], float] | None = None,
    told: Told = lambda epoch: None,
    stepped: Callable[[Step], None] = lambda step: None,
    checkpoint: Path | None = None,
) -> TrainedLlm:
    """`base`: folder or hub id of a causal model with a chat template (`retrieval.adapters.weights` makes one of GGUF).

    It stops by the loss on the valid examples, whose negative is the value of the curve, or by `measure`, which takes
    the network; with neither, the last weights are kept. Raises InvalidInput where no example is short enough,
    MissingExtra where the base is not there.
    """
    hardware = Hardware.of(settings)
    network, tokenizer = _loaded(base, hardware.precision, hardware)
    window = getattr(network.config, "max_position_embeddings", None) or 1 << 30
    longest = min(settings.max_length or window, window)
    chats = Chats.of(examples, tokenizer, longest)
    adapted = with_adapter(network, "CAUSAL_LM", base, settings)
    if measure is None and valid:
        measure = partial(_valid, _Answers(network, Chats.of(valid, tokenizer, longest), settings, hardware))
    outcome = LoraJob(
        network,
        _Answers(network, chats, settings, hardware),
        settings,
        hardware,
        measure=partial(measure, network) if measure else None,
        told=told,
        stepped=stepped,
        checkpoint=checkpoint,
        fingerprint=fingerprint(network, settings, chats.as_bytes()),
    ).run()
    return TrainedLlm(network, adapted, outcome, chats.too_long)


@torch.no_grad()
def log_likelihoods(model: str, examples: Sequence[ChatExample], settings: LlmSettings) -> Scores:
    """(len(examples),) mean over the tokens of each answer, by a folder or hub id; NaN for what is too long."""
    hardware = Hardware.of(settings)
    network, tokenizer = _loaded(model, hardware.precision, hardware)

    def one(example: ChatExample) -> float:
        try:
            alone = Chats.of([replace(example, weight=1.0)], tokenizer, settings.max_length or 1 << 30)
        except InvalidInput:
            return float("nan")
        learned = _Answers(network.eval(), alone, settings, hardware).loss(np.arange(1))[1]
        return -learned.loss / learned.weight

    return np.array([one(example) for example in examples], dtype=np.float32)


def merge_llm(adapter: Path, folder: Path) -> None:
    """A transformers folder of the adapter's base with the adapter in its weights, in the base's own precision."""
    network, tokenizer = _loaded(base_of(adapter), torch.float32)
    whole = merged(network, adapter)
    with quiet():
        whole.to(_stored_precision(base_of(adapter))).save_pretrained(str(folder))
        tokenizer.save_pretrained(str(folder))
    make_readable(folder)


@dataclass(frozen=True, slots=True)
class Chats:
    """Tokens of prompts with their answers."""

    tokens: TokenRows
    answers: Numbers
    """How many of each row's last tokens are answer, its end included."""
    weights: np.ndarray[tuple[int], np.dtype[np.float32]]
    too_long: int

    @classmethod
    def of(cls, examples: Sequence[ChatExample], tokenizer: Any, longest: int) -> Chats:
        """Those of at most `longest` tokens. Raises InvalidInput where none is left."""
        template = ChatTemplate(tokenizer)
        read = [_encoded(example.messages, example.answer, template, tokenizer) for example in examples]
        kept = [place for place, (prompt, answer) in enumerate(read) if len(prompt) + len(answer) <= longest]
        if not kept:
            raise InvalidInput(f"none of {len(examples)} examples fits into {longest} tokens; raise max_length")
        rows = [np.array(read[place][0] + read[place][1], dtype=np.int64) for place in kept]
        return cls(
            TokenRows({IDS: rows}, tokenizer.pad_token_id or 0),
            np.array([len(read[place][1]) for place in kept], dtype=np.int64),
            np.array([examples[place].weight for place in kept], dtype=np.float32),
            len(examples) - len(kept),
        )

    def as_bytes(self) -> Iterator[bytes]:
        """All of it, for a fingerprint."""
        yield self.answers.tobytes()
        yield self.weights.tobytes()
        for row in self.tokens.features[IDS]:
            yield row.tobytes()


def _encoded(
    messages: Sequence[ChatMessage], answer: str, template: ChatTemplate, tokenizer: Any
) -> tuple[list[int], list[int]]:
    """Prompt and answer with its end. The prompt alone gives its tokens, as when it is served."""
    prompt = template.ids(template.text(messages))
    return prompt, [*template.ids(well_formed(answer)), tokenizer.eos_token_id]


class _Answers:
    """Each chat alone; the mean is over the tokens of all answers, by weight."""

    def __init__(self, network: Any, chats: Chats, settings: LlmSettings, hardware: Hardware) -> None:
        self._network, self._chats, self.settings, self.hardware = network, chats, settings, hardware

    def __len__(self) -> int:
        return len(self._chats.answers)

    def learn(self, rows: Numbers, seed: int, backward: Backward) -> Learned:
        torch.manual_seed(seed)
        learned = Learned()
        for part in chunks(self._chats.tokens.lengths(rows), self.settings.batch_tokens):
            loss, seen = self.loss(rows[part])
            backward(loss)
            learned += seen
        return learned

    def loss(self, rows: Numbers) -> tuple[Tensor, Learned]:
        """Summed over the tokens of the rows' answers."""
        chats, device = self._chats, self.hardware.device
        ids = chats.tokens.padded(rows, device)[IDS]
        lengths, answers = chats.tokens.lengths(rows), chats.answers[rows]
        place = np.arange(ids.shape[1])
        told = (place >= (lengths - answers)[:, None]) & (place < lengths[:, None])
        asked = torch.from_numpy(np.roll(told, -1, axis=1)).to(device)  # an answer is never the first token
        with self.hardware.autocast(), logits_only_at(self._network, asked):
            logits = self._network(input_ids=ids, use_cache=False).logits
        wanted = ids[torch.from_numpy(told).to(device)]
        each = functional.cross_entropy(logits.float(), wanted, reduction="none")
        weights = np.repeat(chats.weights[rows], answers)
        total = (each * torch.from_numpy(weights).to(device)).sum()
        read = int(lengths.sum())
        return total, Learned(float(total.detach()), float(weights.sum()), read, ids.numel() - read)


@contextmanager
def logits_only_at(network: Any, places: Tensor) -> Iterator[None]:
    """Within, the network's own forward pass computes logits at `places` (rows, tokens) only: (places, vocabulary).

    The head sees nothing else, while what the network does to logits afterwards stays its own.
    """
    head = network.get_output_embeddings()
    hook = head.register_forward_pre_hook(lambda module, given: (given[0][places], *given[1:]))
    try:
        yield
    finally:
        hook.remove()


@torch.no_grad()
def _valid(valid: _Answers, network: Any) -> float:
    """Mean loss, negative, so that larger is better."""
    learned = Learned()
    rows = np.arange(len(valid))
    for part in chunks(valid._chats.tokens.lengths(rows), valid.settings.batch_tokens):
        learned += valid.loss(rows[part])[1]
    return -learned.loss / learned.weight


def _loaded(base: str, precision: torch.dtype, hardware: Hardware | None = None) -> tuple[Any, Any]:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    try:
        with quiet():
            network = AutoModelForCausalLM.from_pretrained(base, dtype=precision, attn_implementation="sdpa")
            tokenizer = AutoTokenizer.from_pretrained(base)
    except (OSError, ValueError) as error:
        raise MissingExtra(f"No language model '{base}' here or in the model cache.", remedy="make setup") from error
    return network.to(hardware.device) if hardware else network, tokenizer


def _stored_precision(base: str) -> torch.dtype:
    from transformers import AutoConfig

    stored = AutoConfig.from_pretrained(base).dtype
    return stored if isinstance(stored, torch.dtype) else torch.float32
