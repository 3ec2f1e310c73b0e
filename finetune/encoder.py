"""`tasteline train encoder`: a bi-encoder learns which of this shop's products answers what somebody typed.

Takes questions and the texts of products, gives a LoRA adapter and a plain sentence-transformers folder. In a step
every question looks for its product among those of all the others and their hard negatives (InfoNCE; van den Oord et
al., 2018), where nothing that answers it counts as wrong. Texts go the way that serving takes: tokeniser, prompts,
window, pooling and length are those of the base's folder. Knows no store, no registry and no data set.
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
from finetune.lora.settings import EncoderSettings
from finetune.questions import Asked
from finetune.training import Told
from retrieval.models.sequences import Numbers
from tasteline.errors import MissingExtra

TOKENISED = 256
"""Texts at once."""
MEASURED, MEASURED_TEXTS = 300, 1_000
"""Valid questions, and products among which they look: on one core a measurement takes some 30 s of MiniLM."""
CUT_OFF = 10
_QUERY, _DOCUMENT = ("query",), ("document", "passage", "corpus")
"""Prompts by which sentence-transformers knows what a text is; the first that the model has."""


@dataclass(frozen=True, slots=True)
class TrainedEncoder:
    """What `train_encoder` has made."""

    model: Any
    """A SentenceTransformer with the adapter in it."""
    adapted: Any
    """The PeftModel within."""
    outcome: Outcome

    def write(self, folder: Path) -> None:
        """`folder/adapter` for PEFT, `folder/merged` for sentence-transformers."""
        write_adapter(self.adapted, folder / ADAPTER)
        merge_encoder(folder / ADAPTER, folder / MERGED)


def train_encoder(
    questions: Sequence[Question],
    texts: Mapping[str, str],
    base: str,
    settings: EncoderSettings,
    *,
    valid: Sequence[Question] = (),
    measure: Callable[[Any], float] | None = None,
    told: Told = lambda epoch: None,
    stepped: Callable[[Step], None] = lambda step: None,
    checkpoint: Path | None = None,
) -> TrainedEncoder:
    """`texts`: of products by id. `base`: folder or hub id of a sentence-transformers model.

    It stops by the mean reciprocal rank of valid questions, or by `measure`, which takes the SentenceTransformer; with
    neither, the last weights are kept. Raises InvalidInput where no question names a product that has a text,
    MissingExtra where the base is not there.
    """
    hardware = Hardware.of(settings)
    asked = Asked.of(questions, texts, settings.negatives)
    model = _loaded(base, hardware, settings.max_length)
    adapted = with_adapter(model[0].auto_model, "FEATURE_EXTRACTION", base, settings)
    if measure is None and valid:
        measure = partial(_valid_mrr, _Valid.of(valid, texts))
    outcome = LoraJob(
        model,
        _Contrast(model, asked, settings, hardware),
        settings,
        hardware,
        measure=partial(measure, model) if measure else None,
        told=told,
        stepped=stepped,
        checkpoint=checkpoint,
        fingerprint=fingerprint(model, settings, asked.as_bytes()),
    ).run()
    return TrainedEncoder(model, adapted, outcome)


def merge_encoder(adapter: Path, folder: Path) -> None:
    """A sentence-transformers folder of the adapter's base with the adapter in its weights."""
    model = _loaded(base_of(adapter), None)
    model[0].model = merged(model[0].auto_model, adapter)
    with quiet():
        model.save_pretrained(str(folder), create_model_card=False)
    make_readable(folder)


class _Contrast:
    """Every question against all products of its step."""

    def __init__(self, model: Any, asked: Asked, settings: EncoderSettings, hardware: Hardware) -> None:
        self._model, self._asked, self._settings, self._hardware = model, asked, settings, hardware
        self._tokens = _tokenised(model, asked)

    def __len__(self) -> int:
        return len(self._asked)

    def learn(self, rows: Numbers, seed: int, backward: Backward) -> Learned:
        if not len(rows):
            return Learned()
        asked, settings = self._asked, self._settings
        queries = np.unique(asked.query_of[rows])
        wrong = [asked.negatives_of[row] for row in rows]
        documents = np.unique(np.concatenate([asked.positive_of[rows], *wrong]))
        loss, read, padding = learn_in_parts(
            self._tokens,
            np.concatenate([queries, len(asked.queries) + documents]),
            self._embed,
            lambda vectors: self._loss(vectors, rows, queries, documents),
            backward,
            seed=seed,
            part_tokens=settings.batch_tokens,
            graph_tokens=settings.graph_tokens,
        )
        return Learned(loss, float(asked.weights[rows].sum()), read, padding)

    def _embed(self, rows: Numbers) -> Tensor:
        features = self._tokens.padded(rows, self._hardware.device)
        with self._hardware.autocast():
            vectors = self._model(features)["sentence_embedding"]
        return functional.normalize(vectors.float(), dim=1)  # as serving does, whatever the folder says

    def _loss(self, vectors: Tensor, rows: Numbers, queries: Numbers, documents: Numbers) -> Tensor:
        asked, device = self._asked, vectors.device
        scores = vectors[: len(queries)] @ vectors[len(queries) :].T / self._settings.temperature
        answers = np.array([[document in asked.answers[query] for document in documents] for query in queries])
        places = np.searchsorted(queries, asked.query_of[rows]), np.searchsorted(documents, asked.positive_of[rows])
        weights = torch.from_numpy(asked.weights[rows]).to(device)
        total = contrastive(scores, torch.from_numpy(answers).to(device), places, weights)
        if self._settings.symmetric:
            back = contrastive(scores.T, torch.from_numpy(answers.T).to(device), places[::-1], weights)
            total = (total + back) / 2
        return total


def contrastive(scores: Tensor, answers: Tensor, places: tuple[Numbers, Numbers], weights: Tensor) -> Tensor:
    """Weighted sum over pairs (i, j) of -log of the softmax share of j in row i, other answers of the row left out.

    `scores` and `answers` (rows, columns), `places` the pairs' rows and columns.

    >>> scores, answers = torch.zeros(1, 3), torch.tensor([[True, True, False]])
    >>> float(contrastive(scores, answers, (np.array([0]), np.array([1])), torch.ones(1)).exp())  # one of two
    2.0
    """
    line, column = (torch.from_numpy(np.ascontiguousarray(each)).to(scores.device) for each in places)
    own = functional.one_hot(column, scores.shape[1]).bool()
    alone = scores[line].masked_fill(answers[line] & ~own, -torch.inf)
    return (functional.cross_entropy(alone, column, reduction="none") * weights).sum()


@dataclass(frozen=True, slots=True)
class _Valid:
    asked: Asked
    documents: tuple[str, ...]

    @classmethod
    def of(cls, questions: Sequence[Question], texts: Mapping[str, str]) -> _Valid:
        """Questions and products evenly taken, those that answer included."""
        taken = questions[:: max(1, len(questions) // MEASURED)][:MEASURED]
        others = [text for _, text in sorted(texts.items()) if text.strip()]
        others = others[:: max(1, len(others) // MEASURED_TEXTS)][:MEASURED_TEXTS]
        asked = Asked.of(taken, texts, negatives=1_000, beside=others)
        return cls(asked, asked.documents)


def _valid_mrr(valid: _Valid, model: Any) -> float:
    """Of each query, the first of its answers counts."""
    queries = model.encode_query(list(valid.asked.queries), normalize_embeddings=True, show_progress_bar=False)
    documents = model.encode_document(list(valid.documents), normalize_embeddings=True, show_progress_bar=False)
    best = np.argsort(-(queries @ documents.T), axis=1, kind="stable")[:, :CUT_OFF]
    pairs = zip(best, valid.asked.answers, strict=True)
    labels = np.array([[float(row in answers) for row in found] for found, answers in pairs])
    return float(mrr_at_k(labels, CUT_OFF).mean())


def _loaded(base: str, hardware: Hardware | None, max_length: int | None = None) -> Any:
    from sentence_transformers import SentenceTransformer

    device, dtype = (str(hardware.device), hardware.loaded) if hardware else ("cpu", torch.float32)
    try:
        with quiet():
            model = SentenceTransformer(base, device=device, model_kwargs={"dtype": dtype})
    except (OSError, ValueError) as error:
        raise MissingExtra(
            f"The encoder '{base}' could not be loaded: {error}", remedy=f"hf download {base}"
        ) from error
    if max_length is not None:
        model.max_seq_length = min(max_length, model.max_seq_length or max_length)
    return model


def _tokenised(model: Any, asked: Asked) -> TokenRows:
    """Queries, then documents, each under its prompt."""

    def batches() -> Iterator[Mapping[str, Tensor]]:
        for texts, names in ((asked.queries, _QUERY), (asked.documents, _DOCUMENT)):
            prompt = next((model.prompts[name] for name in names if name in model.prompts), None)
            for start in range(0, len(texts), TOKENISED):
                yield model.preprocess(list(texts[start : start + TOKENISED]), prompt=prompt)

    return TokenRows.of(batches(), model.tokenizer.pad_token_id, model.tokenizer.padding_side == "left")
