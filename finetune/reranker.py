"""`tasteline train reranker`: a cross-encoder learns which of a question's products answers it.

Takes questions and the texts of products, gives a LoRA adapter and a plain folder that sentence-transformers'
CrossEncoder loads, with one label. A base without a head for one label gets a fresh one, which learns altogether.
Pairs are tokenised as the CrossEncoder does it when it serves. Knows no store, no registry and no data set.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from eval.metrics import mrr_at_k
from finetune.examples import Question
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
from finetune.lora.in_parts import learn_in_parts
from finetune.lora.job import Backward, Learned, LoraJob, Outcome, Step
from finetune.lora.rows import TokenRows
from finetune.lora.settings import RerankerSettings
from finetune.questions import Asked
from finetune.training import Told
from retrieval.models.sequences import Numbers
from tasteline.errors import MissingExtra

TOKENISED = 256
"""Pairs at once."""
MEASURED = 200
"""Valid questions, each with its products."""


@dataclass(frozen=True, slots=True)
class TrainedReranker:
    """What `train_reranker` has made."""

    model: Any
    """A CrossEncoder with the adapter in it."""
    adapted: Any
    """The PeftModel within."""
    outcome: Outcome

    def write(self, folder: Path) -> None:
        """`folder/adapter` for PEFT, `folder/merged` for sentence-transformers."""
        write_adapter(self.adapted, folder / ADAPTER)
        merge_reranker(folder / ADAPTER, folder / MERGED)


def train_reranker(
    questions: Sequence[Question],
    texts: Mapping[str, str],
    base: str,
    settings: RerankerSettings,
    *,
    valid: Sequence[Question] = (),
    measure: Callable[[Any], float] | None = None,
    told: Told = lambda epoch: None,
    stepped: Callable[[Step], None] = lambda step: None,
    checkpoint: Path | None = None,
) -> TrainedReranker:
    """`texts`: of products by id. `base`: folder or hub id of a BERT-class model.

    It stops by the mean reciprocal rank of the answer among the products that a valid question names, or by `measure`,
    which takes the CrossEncoder; with neither, the last weights are kept. Raises InvalidInput where no question names
    a product that has a text, MissingExtra where the base is not there.
    """
    hardware = Hardware.of(settings)
    asked = Asked.of(questions, texts, settings.negatives)
    model, fresh = _loaded(base, settings.seed, hardware, settings.max_length)
    adapted = with_adapter(model[0].auto_model, "SEQ_CLS", base, settings, fresh)
    if measure is None and valid:
        measure = partial(_valid_mrr, Asked.of(valid, texts, negatives=1_000))
    outcome = LoraJob(
        model,
        _Lists(model, asked, settings, hardware),
        settings,
        hardware,
        measure=partial(measure, model) if measure else None,
        told=told,
        stepped=stepped,
        checkpoint=checkpoint,
        fingerprint=fingerprint(model, settings, asked.as_bytes()),
    ).run()
    return TrainedReranker(model, adapted, outcome)


def merge_reranker(adapter: Path, folder: Path) -> None:
    """A CrossEncoder folder of the adapter's base with the adapter in its weights."""
    model, _ = _loaded(base_of(adapter), seed=0)
    model[0].model = merged(model[0].auto_model, adapter)
    with quiet():
        model.save_pretrained(str(folder), create_model_card=False)
    make_readable(folder)


class _Lists:
    """Each question with its product and what looks like it."""

    def __init__(self, model: Any, asked: Asked, settings: RerankerSettings, hardware: Hardware) -> None:
        self._model, self._asked, self._settings, self._hardware = model, asked, settings, hardware
        pairs = zip(asked.positive_of, asked.negatives_of, strict=True)
        lists = [np.concatenate([[first], rest]) for first, rest in pairs]
        self._starts = np.cumsum([0, *(len(each) for each in lists)])
        owners = np.repeat(asked.query_of, np.diff(self._starts))
        self._tokens = _tokenised(model, asked, owners, np.concatenate(lists))

    def __len__(self) -> int:
        return len(self._asked)

    def learn(self, rows: Numbers, seed: int, backward: Backward) -> Learned:
        if not len(rows):
            return Learned()
        sizes = np.diff(self._starts)[rows]
        weights = self._asked.weights[rows]
        loss, read, padding = learn_in_parts(
            self._tokens,
            np.concatenate([np.arange(self._starts[row], self._starts[row + 1]) for row in rows]),
            self._score,
            lambda scores: _LOSSES[self._settings.loss](scores, sizes, torch.from_numpy(weights).to(scores.device)),
            backward,
            seed=seed,
            part_tokens=self._settings.batch_tokens,
            graph_tokens=self._settings.graph_tokens,
        )
        return Learned(loss, float(weights.sum()), read, padding)

    def _score(self, pairs: Numbers) -> Tensor:
        features = self._tokens.padded(pairs, self._hardware.device)
        with self._hardware.autocast():
            scores: Tensor = self._model(features)["scores"]
        return scores.float().reshape(len(pairs))


def listwise(scores: Tensor, sizes: Numbers, weights: Tensor) -> Tensor:
    """Weighted sum over lists of -log of the first one's softmax share. `scores` are of all lists, one after the other.

    >>> float(listwise(torch.zeros(5), np.array([3, 2]), torch.tensor([1.0, 0.0])).exp())
    3.0
    """
    return (functional.cross_entropy(_table(scores, sizes), _firsts(sizes, scores), reduction="none") * weights).sum()


def pointwise(scores: Tensor, sizes: Numbers, weights: Tensor) -> Tensor:
    """Weighted sum over lists of the mean binary cross-entropy: the first one is an answer, the others are none."""
    owners = torch.from_numpy(np.repeat(np.arange(len(sizes)), sizes)).to(scores.device)
    first = torch.zeros_like(scores)
    first[torch.from_numpy(np.cumsum(sizes) - sizes).to(scores.device)] = 1.0
    each = functional.binary_cross_entropy_with_logits(scores, first, reduction="none")
    share = (weights / torch.from_numpy(sizes).to(scores.device))[owners]
    return (each * share).sum()


_LOSSES: Mapping[str, Callable[[Tensor, Numbers, Tensor], Tensor]] = {"listwise": listwise, "pointwise": pointwise}


def _table(scores: Tensor, sizes: Numbers) -> Tensor:
    """(lists, longest), filled up with what has no share."""
    real = torch.from_numpy(np.arange(sizes.max())[None, :] < sizes[:, None]).to(scores.device)
    return torch.full(real.shape, -torch.inf, device=scores.device).masked_scatter(real, scores)


def _firsts(sizes: Numbers, scores: Tensor) -> Tensor:
    return torch.zeros(len(sizes), dtype=torch.int64, device=scores.device)


def _valid_mrr(valid: Asked, model: Any) -> float:
    rows = np.arange(0, len(valid), max(1, len(valid) // MEASURED))[:MEASURED]
    lists = [np.concatenate([[valid.positive_of[row]], valid.negatives_of[row]]) for row in rows]
    pairs = [
        (valid.queries[valid.query_of[row]], valid.documents[document])
        for row, documents in zip(rows, lists, strict=True)
        for document in documents
    ]
    scores = np.split(model.predict(pairs, show_progress_bar=False), np.cumsum([len(each) for each in lists])[:-1])
    # The first is the answer. Not `>`: who has lost itself in NaN, or gives everything the same, puts it last.
    above = np.array([(~(each[1:] < each[0])).sum() for each in scores])
    labels = (np.arange(max(map(len, lists)))[None, :] == above[:, None]).astype(np.float64)
    return float(mrr_at_k(labels, None).mean())


def _loaded(
    base: str, seed: int, hardware: Hardware | None = None, max_length: int | None = None
) -> tuple[Any, list[str]]:
    """The CrossEncoder, and the names of its modules that the base does not have."""
    from sentence_transformers import CrossEncoder
    from transformers import AutoModelForSequenceClassification

    device, dtype = (str(hardware.device), hardware.loaded) if hardware else ("cpu", torch.float32)
    try:
        with quiet(), torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)  # of the fresh head
            network, seen = AutoModelForSequenceClassification.from_pretrained(
                base, num_labels=1, dtype=dtype, output_loading_info=True
            )
            model = CrossEncoder(base, num_labels=1, device=device, model_kwargs={"dtype": dtype})
    except (OSError, ValueError) as error:
        raise MissingExtra(f"The model '{base}' could not be loaded: {error}", remedy=f"hf download {base}") from error
    model[0].model = network.to(device)
    if max_length is not None:
        model.max_seq_length = min(max_length, model.max_seq_length or max_length)
    return model, sorted({name.rpartition(".")[0] for name in seen["missing_keys"]})


def _tokenised(model: Any, asked: Asked, queries: Numbers, documents: Numbers) -> TokenRows:
    def batches() -> Iterator[Mapping[str, Tensor]]:
        for start in range(0, len(queries), TOKENISED):
            part = slice(start, start + TOKENISED)
            rows = zip(queries[part], documents[part], strict=True)
            yield model.preprocess([(asked.queries[query], asked.documents[document]) for query, document in rows])

    return TokenRows.of(batches(), model.tokenizer.pad_token_id, model.tokenizer.padding_side == "left")
