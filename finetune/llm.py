"""`tasteline train llm`: a causal language model learns the answers that are wanted to the prompts of this service.

Takes chats as the service sends them, gives a LoRA adapter and a plain transformers folder. A prompt becomes tokens by
the code that serves it (`retrieval.adapters.chat_template`); only the answer and its end are learned, and logits are
computed at no other place: with a vocabulary of 49,152 they cost a small model a quarter of a pass. What the chats of
a step begin with alike is computed once (`finetune.lora.shared_beginnings`); rows that share little are filled up
behind, where no token of a causal model looks, so that no mask is needed. Knows no store and no registry.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
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
from finetune.lora.rows import IDS, MASK, TokenRows, chunks
from finetune.lora.settings import LlmSettings
from finetune.lora.shared_beginnings import Line, parts_of
from finetune.training import Told
from retrieval.adapters.chat_template import ChatTemplate
from retrieval.models.sequences import Numbers
from retrieval.text import well_formed
from tasteline.errors import InvalidInput, MissingExtra
from tasteline.types import ChatMessage, Scores

Places = Tensor | tuple[Tensor, Tensor]
"""Of a (rows, tokens) table: a mask, or row and place of each."""
WORTH_SHARING = 1.5
"""Tokens of rows for each token of their line, from which the line is taken: it attends as one long row, at the cost of
its square."""

LONGEST_LINE = 4_096
"""However much a pass may hold: who may look at whom is a table of its square, 4 GB for the 65,536 tokens of one on a
GPU."""
ROUNDING = 0.1
"""By which bfloat16 may move the loss of one token where its sums are taken in another order: seen was .08 of 1.25."""


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


def log_likelihoods(model: str, examples: Sequence[ChatExample], settings: LlmSettings) -> Scores:
    """(len(examples),) mean over the tokens of each answer, by a folder or hub id; NaN for what is too long."""
    hardware = Hardware.of(settings)
    network, tokenizer = _loaded(model, hardware.precision, hardware)
    found = np.full(len(examples), np.nan, dtype=np.float32)
    try:
        chats = Chats.of(examples, tokenizer, settings.max_length or 1 << 30)
    except InvalidInput:
        return found
    found[chats.kept] = -_Answers(network.eval(), chats, settings, hardware).mean_losses()
    return found


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
    kept: Numbers
    """Places of the examples that the rows are, ascending; the others are too long."""
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
            np.array(kept, dtype=np.int64),
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
        self._network, self._chats, self._settings, self._hardware = network, chats, settings, hardware
        self._tokens = chats.tokens.features[IDS]
        self._shares = self._same_in_line()

    def __len__(self) -> int:
        return len(self._chats.answers)

    def learn(self, rows: Numbers, seed: int, backward: Backward) -> Learned:
        torch.manual_seed(seed)
        learned = Learned()
        for part, line in self._parts(rows):
            each, padding = self._losses(part, line)
            weights = np.repeat(self._chats.weights[part], self._chats.answers[part])
            loss = (each * torch.from_numpy(weights).to(each.device)).sum()
            backward(loss)
            read = int(self._chats.tokens.lengths(part).sum())
            learned += Learned(float(loss.detach()), float(weights.sum()), read, padding)
        return learned

    @torch.no_grad()
    def mean_losses(self) -> Scores:
        """Of each chat, over the tokens of its answer, without learning."""
        found = np.zeros(len(self), dtype=np.float32)
        for rows, line in self._parts(np.arange(len(self))):
            each, answers = self._losses(rows, line)[0].cpu().numpy(), self._chats.answers[rows]
            found[rows] = np.add.reduceat(each, np.cumsum(answers) - answers) / answers
        return found

    def mean_loss(self) -> float:
        """Over the tokens of all answers, by weight."""
        counts = self._chats.weights * self._chats.answers
        return float((self.mean_losses() * counts).sum() / counts.sum())

    def _parts(self, rows: Numbers) -> Iterator[tuple[Numbers, Line | None]]:
        """Rows for one forward pass each, with their line where it spares enough."""
        budget = self._settings.batch_tokens
        tokens = [self._tokens[row] for row in rows]
        lengths = self._chats.tokens.lengths(rows)
        alone = np.ones(len(rows), dtype=np.bool_)
        for part in parts_of(tokens, min(budget, LONGEST_LINE)) if self._shares else []:
            line = Line.of([tokens[place] for place in part])
            if lengths[part].sum() >= WORTH_SHARING * len(line.ids):
                alone[part] = False
                yield rows[part], line
        rest = np.flatnonzero(alone)
        yield from ((rows[rest[few]], None) for few in chunks(lengths[rest], budget))

    def _losses(self, rows: Numbers, line: Line | None) -> tuple[Tensor, int]:
        """Of each token of the rows' answers, row by row; and how many tokens were padding."""
        given, asked, wanted = self._filled_up(rows) if line is None else self._in_line(rows, line)
        with self._hardware.autocast(), logits_only_at(self._network, asked):
            logits = self._network(**given, use_cache=False).logits
        padding = 0 if line else given[IDS].numel() - int(self._chats.tokens.lengths(rows).sum())
        return functional.cross_entropy(logits.float(), wanted, reduction="none"), padding

    def _filled_up(self, rows: Numbers) -> tuple[dict[str, Tensor], Places, Tensor]:
        """What the network takes, where it is asked, and what it should say there."""
        chats, device = self._chats, self._hardware.device
        ids = chats.tokens.padded(rows, device)[IDS]
        lengths, answers = chats.tokens.lengths(rows), chats.answers[rows]
        place = np.arange(ids.shape[1])
        told = (place >= (lengths - answers)[:, None]) & (place < lengths[:, None])
        asked = torch.from_numpy(np.roll(told, -1, axis=1)).to(device)  # an answer is never the first token
        return {IDS: ids}, asked, ids[torch.from_numpy(told).to(device)]

    def _in_line(self, rows: Numbers, line: Line) -> tuple[dict[str, Tensor], Places, Tensor]:
        answers, device = self._chats.answers[rows], self._hardware.device
        asked = np.concatenate([way[-n - 1 : -1] for way, n in zip(line.ways, answers, strict=True)])
        wanted = np.concatenate([self._tokens[row][-n:] for row, n in zip(rows, answers, strict=True)])
        given = {IDS: line.ids[None], "position_ids": line.depths[None], MASK: line.sees()[None, None]}
        places = torch.zeros(len(asked), dtype=torch.int64), torch.from_numpy(asked)
        return (
            {name: torch.from_numpy(values).to(device) for name, values in given.items()},
            (places[0].to(device), places[1].to(device)),
            torch.from_numpy(wanted).to(device),
        )

    @torch.no_grad()
    def _same_in_line(self) -> bool:
        """Does this network compute in a line what it computes row by row? One with a state, or a window, may not."""
        if len(self) < 2:
            return False
        rows = np.argsort(self._chats.tokens.lengths(np.arange(len(self))), kind="stable")[:2]
        was_training = self._network.training
        self._network.eval()
        try:
            in_line = self._losses(rows, Line.of([self._tokens[row] for row in rows]))[0]
            far = ROUNDING if self._hardware.precision == torch.bfloat16 else ROUNDING / 100
            return torch.allclose(in_line, self._losses(rows, None)[0], rtol=far, atol=far)
        except (TypeError, ValueError, RuntimeError):  # it takes no such mask
            return False
        finally:
            self._network.train(was_training)


@contextmanager
def logits_only_at(network: Any, places: Places) -> Iterator[None]:
    """Within, the network's own forward pass computes logits at `places` (rows, tokens) only: (places, vocabulary).

    The head sees nothing else, while what the network does to logits afterwards stays its own.
    """
    head = network.get_output_embeddings()
    hook = head.register_forward_pre_hook(lambda module, given: (given[0][places], *given[1:]))
    try:
        yield
    finally:
        hook.remove()


def _valid(valid: _Answers, network: Any) -> float:
    """Mean loss over all answers' tokens, negative, so that larger is better."""
    del network
    return -valid.mean_loss()


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
