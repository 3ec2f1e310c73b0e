"""Tokenised texts, each in its own length, and how they are put together for a forward pass with little padding.

Takes what a tokenizer gives; gives padded tensors of rows that are alike in length. Knows no model.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from retrieval.models.sequences import Numbers

IDS, MASK = "input_ids", "attention_mask"


@dataclass(frozen=True, slots=True)
class TokenRows:
    """`features[name][i]` are the values of row i, as many as it has tokens."""

    features: Mapping[str, Sequence[Numbers]]
    pad: int
    """Token id that fills a row up; of every other feature it is 0."""
    left: bool = False
    """Whether rows are filled up in front, as a tokenizer of a causal encoder asks for."""

    @classmethod
    def of(cls, batches: Iterator[Mapping[str, Tensor]], pad: int | None, left: bool) -> TokenRows:
        """What a tokenizer has padded, without the padding."""
        features: dict[str, list[Numbers]] = {}
        for batch in batches:
            mask = batch[MASK].bool()
            for name, values in batch.items():
                if name != MASK and isinstance(values, Tensor) and values.shape == mask.shape:
                    kept = (row[real].numpy() for row, real in zip(values, mask, strict=True))
                    features.setdefault(name, []).extend(kept)
        return cls(features, pad or 0, left)

    def __len__(self) -> int:
        return len(self.features[IDS])

    def lengths(self, rows: Numbers) -> Numbers:
        return np.array([len(self.features[IDS][row]) for row in rows], dtype=np.int64)

    def padded(self, rows: Numbers, device: torch.device) -> dict[str, Tensor]:
        """(rows, longest) of each feature, and the attention mask."""
        lengths = self.lengths(rows)
        width = int(lengths.max(initial=0))
        place = np.arange(width)
        first = (width - lengths if self.left else np.zeros_like(lengths))[:, None]
        real = (place >= first) & (place < first + lengths[:, None])
        made = {MASK: torch.from_numpy(real.astype(np.int64)).to(device)}
        for name, values in self.features.items():
            table = np.full((len(rows), width), self.pad if name == IDS else 0, dtype=np.int64)
            table[real] = np.concatenate([values[row] for row in rows])
            made[name] = torch.from_numpy(table).to(device)
        return made


def chunks(lengths: Numbers, budget: int) -> list[Numbers]:
    """Places of `lengths` in parts of like length, the longest first: longest × number is at most `budget` in each.

    A row over the budget is a part of its own.

    >>> [part.tolist() for part in chunks(np.array([5, 1, 4, 5, 2]), 10)]
    [[0, 3], [2, 4], [1]]
    """
    order = np.argsort(-lengths, kind="stable")
    parts, start = [], 0
    while start < len(order):
        size = max(1, budget // max(1, int(lengths[order[start]])))
        parts.append(order[start : start + size])
        start += size
    return parts
