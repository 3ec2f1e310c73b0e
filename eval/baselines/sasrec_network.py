"""The network of SASRec: item numbers in order, causal self-attention, one state after each item.

Takes sequences laid end to end, gives a state for each place in them. Knows no loss, no data set and no file.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from eval.data.interactions import Order, ranges


@dataclass(frozen=True, slots=True)
class Packed:
    """n sequences of t items in all, one after the other: nothing but attention ever sees an empty place."""

    items: Tensor
    """(t,) int64"""
    from_end: Tensor
    """(t,) how many items of the sequence come after this one."""
    cells: Tensor
    """(t,) where each item stands in a table of `shape`, left-aligned, read row by row."""
    shape: tuple[int, int]
    """n and the length of the longest."""

    @classmethod
    def of(cls, tokens: Order, first: Order, last: Order) -> Packed:
        """The sequences tokens[first[0]:last[0]], tokens[first[1]:last[1]], …, none of them empty."""
        lengths = last - first
        width = int(lengths.max(initial=1))
        places = ranges(first, last)
        cells = places + np.repeat(np.arange(len(first)) * width - first, lengths)
        from_end = np.repeat(last - 1, lengths) - places
        as_tensor = torch.from_numpy
        return cls(as_tensor(tokens[places]), as_tensor(from_end), as_tensor(cells), (len(first), width))


class Network(nn.Module):
    """Kang and McAuley, "Self-Attentive Sequential Recommendation", ICDM 2018, with the norm before each layer.

    state = Norm(Block(… Block(item + place))); a state's product with the vector of an item is the item's score. There
    is one vector more than items: that of the start, which stands before everybody's first item. Its state is what the
    network says of somebody of whom nothing is known. Places count from the end of the sequence.
    """

    def __init__(self, items: int, *, width: int, blocks: int, heads: int, length: int, dropout: float) -> None:
        super().__init__()
        self.start = items
        self.length = length
        self.items = nn.Embedding(items + 1, width)
        self._places = nn.Embedding(length, width)
        self._dropout = nn.Dropout(dropout)
        self._blocks = nn.ModuleList(_Block(width, heads, dropout) for _ in range(blocks))
        self._norm = nn.LayerNorm(width)
        for parameter in self.parameters():
            if parameter.dim() > 1:
                nn.init.xavier_normal_(parameter)

    def forward(self, sequences: Packed) -> Tensor:
        """(t, width): the state after each item, of which later items know and earlier ones do not."""
        # As in the paper; on Beauty it takes 17 epochs with the factor and 29 without, to a lower nDCG.
        items = self.items(sequences.items) * math.sqrt(self.items.embedding_dim)
        states: Tensor = self._dropout(items + self._places(sequences.from_end))
        for block in self._blocks:
            states = block(states, sequences)
        normal: Tensor = self._norm(states)
        return normal

    @property
    def vectors(self) -> Tensor:
        """(items, width), without the start."""
        return self.items.weight[: self.start]


class _Block(nn.Module):
    """x + attention(norm(x)), then x + feed-forward(norm(x)); the feed-forward layer is as wide as the rest."""

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self._heads = heads
        self._attention_norm, self._forward_norm = nn.LayerNorm(width), nn.LayerNorm(width)
        self._project, self._mix = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self._widen, self._narrow = nn.Linear(width, width), nn.Linear(width, width)
        self._dropout = nn.Dropout(dropout)

    def forward(self, states: Tensor, sequences: Packed) -> Tensor:
        states = states + self._dropout(self._mix(self._attend(self._attention_norm(states), sequences)))
        hidden = self._dropout(functional.relu(self._widen(self._forward_norm(states))))
        result: Tensor = states + self._dropout(self._narrow(hidden))
        return result

    def _attend(self, states: Tensor, sequences: Packed) -> Tensor:
        """Sequences are left-aligned here, so empty places lie in everybody's future: the causal mask hides them."""
        (rows, longest), width = sequences.shape, states.shape[1]
        table = states.new_zeros(rows * longest, 3 * width).index_copy(0, sequences.cells, self._project(states))
        query, key, value = table.view(rows, longest, 3, self._heads, -1).permute(2, 0, 3, 1, 4)
        mixed = functional.scaled_dot_product_attention(query, key, value, is_causal=True)
        return mixed.transpose(1, 2).reshape(rows * longest, width)[sequences.cells]
