"""The next-item network: items by number, text and attributes; a sequence of steps into one state after each.

Takes packed sequences and item features, gives states and item vectors; a state's product with the vector of an item
is the item's score. One network for all families: only what mixes the steps differs (`Encoder`). Knows no loss, no
file, no catalogue.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from retrieval.models.item_features import ItemFeatures
from retrieval.models.sequences import GAP_COUNT, KIND_COUNT, Numbers, Sequences, ranges
from tasteline.types import Vectors

Encoder = Literal["transformer", "gru", "lstm"]
START_GAP, START_KIND = 0, KIND_COUNT
STARTED = -1
"""Stands for the start where items have no number of this network's."""


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
    lengths: Tensor
    """(n,)"""

    @classmethod
    def of(cls, tokens: Numbers, first: Numbers, last: Numbers) -> Packed:
        """The sequences tokens[first[0]:last[0]], tokens[first[1]:last[1]], …, none of them empty."""
        lengths = last - first
        width = int(lengths.max(initial=1))
        places = ranges(first, last)
        cells = places + np.repeat(np.arange(len(first)) * width - first, lengths)
        from_end = np.repeat(last - 1, lengths) - places
        as_tensor = torch.from_numpy
        shape = (len(first), width)
        return cls(as_tensor(tokens[places]), as_tensor(from_end), as_tensor(cells), shape, as_tensor(lengths))

    def table(self, values: Tensor) -> Tensor:
        """(t, d) values in their cells, zeros elsewhere: (n, longest, d)."""
        rows, longest = self.shape
        empty = values.new_zeros(rows * longest, values.shape[1])
        return empty.index_copy(0, self.cells, values).view(rows, longest, -1)


@dataclass(frozen=True, slots=True)
class Tokens:
    """Sequences with the start before each: what a network reads. Token `items` (one past the last) is the start."""

    items: Numbers
    kinds: Numbers
    gaps: Numbers
    starts: Numbers
    """(n + 1,)"""

    @classmethod
    def of(cls, sequences: Sequences, start: int) -> Tokens:
        before = sequences.starts[:-1]
        return cls(
            np.insert(sequences.items, before, start),
            np.insert(sequences.kinds.astype(np.int64), before, START_KIND),
            np.insert(sequences.gap_codes(), before, START_GAP),
            sequences.starts + np.arange(len(sequences) + 1),
        )

    def packed(self, first: Numbers, last: Numbers) -> tuple[Packed, Tensor, Tensor]:
        """The pieces first[i]:last[i] with their kinds and gaps."""
        places = ranges(first, last)
        return (
            Packed.of(self.items, first, last),
            torch.from_numpy(self.kinds[places]),
            torch.from_numpy(self.gaps[places]),
        )


@dataclass(frozen=True, slots=True)
class Shape:
    """What a network is built of."""

    encoder: Encoder = "transformer"
    width: int = 64
    blocks: int = 1
    heads: int = 1
    length: int = 50
    """Steps that are looked at, the start among them."""
    dropout: float = 0.4
    numbers: bool = True
    """Whether an item has a vector of its own; without, it is text and attributes only, and another shop's too."""
    texts: bool = True
    attributes: bool = True
    number_dropout: float = 0.0
    """Share of items whose own vector is left out in training, so that the rest alone learns to stand for them."""


class ItemTower(nn.Module):
    """vector = number + W text + brand + department + category + price band; what is not known adds nothing."""

    _mean: Tensor
    _texts: Tensor
    _codes: Tensor

    def __init__(self, features: ItemFeatures, sizes: tuple[int, ...], shape: Shape) -> None:
        super().__init__()
        items, dimension = features.texts.shape
        self.items, self._shape = items, shape
        self.numbers = nn.Embedding(items + 1, shape.width)
        texts = torch.from_numpy(np.asarray(features.texts, dtype=np.float32))
        self.register_buffer("_mean", texts.mean(dim=0) if items else torch.zeros(dimension))
        self.register_buffer("_texts", texts)
        self.register_buffer("_codes", torch.from_numpy(features.codes))
        self.project = nn.Linear(dimension, shape.width, bias=False)
        fields = [nn.Embedding(size, shape.width, padding_idx=0) for size in sizes]
        self.attributes = nn.ModuleList(fields)

    def forward(self, items: Tensor) -> Tensor:
        """(t, width) vectors of item numbers; `self.items` is the start."""
        own: Tensor = self.numbers(items)
        if not self._shape.numbers:
            own = own * (items == self.items).unsqueeze(1)
        elif self.training and self._shape.number_dropout:
            kept = (torch.rand(len(items)) >= self._shape.number_dropout) | (items == self.items)
            own = own * kept.unsqueeze(1)
        known = (items < self.items).unsqueeze(1)
        at = items.clamp(max=self.items - 1)
        vectors: Tensor = own + self._described(self._texts[at], self._codes[at]) * known
        return vectors

    def describe(self, features: ItemFeatures) -> Tensor:
        """(n, width) vectors of items that the training did not see."""
        texts = torch.from_numpy(np.asarray(features.texts, dtype=np.float32))
        return self._described(texts, torch.from_numpy(features.codes))

    def _described(self, texts: Tensor, codes: Tensor) -> Tensor:
        vectors = texts.new_zeros(len(texts), self._shape.width)
        if self._shape.texts:
            blank = (texts == 0).all(dim=1, keepdim=True)
            vectors = vectors + self.project((texts - self._mean).masked_fill(blank, 0.0))
        if self._shape.attributes:
            for column, embedding in enumerate(self.attributes):
                vectors = vectors + embedding(codes[:, column])
        return vectors

    def described(self) -> Tensor:
        """(items, width) vectors as they would be of items that the training did not see."""
        return self._described(self._texts, self._codes)


class NextItemNetwork(nn.Module):
    """Kang and McAuley, "Self-Attentive Sequential Recommendation", ICDM 2018, with the norm before each layer.

    There is one vector more than items: that of the start, which stands before everybody's first item. Its state is
    what the network says of somebody of whom nothing is known. Places count from the end of the sequence. The
    recurrent encoders run a GRU or LSTM over the steps and let its states attend to those before them (Li et al.,
    "Neural Attentive Session-based Recommendation", CIKM 2017).
    """

    def __init__(self, features: ItemFeatures, sizes: tuple[int, ...], shape: Shape) -> None:
        super().__init__()
        width = shape.width
        self.shape, self.start = shape, len(features)
        self.tower = ItemTower(features, sizes, shape)
        self._places = nn.Embedding(shape.length, width)
        self._kinds = nn.Embedding(KIND_COUNT + 1, width)
        self._gaps = nn.Embedding(GAP_COUNT, width)
        self._dropout = nn.Dropout(shape.dropout)
        self._recurrent = _recurrent(shape)
        self._blocks = nn.ModuleList(Block(width, shape.heads, shape.dropout) for _ in range(shape.blocks))
        self._norm = nn.LayerNorm(width)
        self._initialise()

    def _initialise(self) -> None:
        for parameter in self.parameters():
            if parameter.dim() > 1:
                nn.init.xavier_normal_(parameter)
        # All parts of an item's vector begin at the scale of its number's, which is that of a table of all items.
        scale = math.sqrt(2 / (self.start + 1 + self.shape.width))
        nn.init.normal_(self.tower.project.weight, std=scale)
        for table in (*self.tower.attributes.parameters(), self._kinds.weight, self._gaps.weight):
            nn.init.normal_(table, std=scale / 2)
        with torch.no_grad():
            for table in self.tower.attributes.parameters():
                table[0] = 0.0

    def forward(
        self, sequences: Packed, kinds: Tensor, gaps: Tensor, items: Tensor | None = None, *, last: bool = False
    ) -> Tensor:
        """(t, width): the state after each item, of which later items know and earlier ones do not.

        `items` (t, width): their vectors, where they are known already. `last`: only the state after each sequence's
        last item, (n, width), for which the last block need not compute the others.
        """
        vectors = self.tower(sequences.items) if items is None else items
        # The factor as in the paper; on Beauty it takes 17 epochs with it and 29 without, to a lower nDCG.
        vectors = vectors * math.sqrt(self.shape.width)
        states = self._dropout(vectors + self._places(sequences.from_end) + self._kinds(kinds) + self._gaps(gaps))
        if self._recurrent is not None:
            states = states + self._dropout(self._recurred(self._recurrent, states, sequences))
        for block in self._blocks[:-1]:
            states = block(states, sequences)
        normal: Tensor = self._norm(self._blocks[-1](states, sequences, last=last))
        return normal

    @torch.no_grad()
    def neutralise(self, tokens: Tokens) -> None:
        """Kinds and gaps that the training did not see become the mean of what it saw; they were still random."""
        _neutralise(self._kinds.weight[:KIND_COUNT], tokens.kinds[tokens.kinds != START_KIND])
        _neutralise(self._gaps.weight, tokens.gaps)

    @staticmethod
    def _recurred(recurrent: nn.GRU | nn.LSTM, states: Tensor, sequences: Packed) -> Tensor:
        """Packed by steps, so that what is past the end of a short sequence is not computed."""
        packed = pack_padded_sequence(
            sequences.table(states), sequences.lengths, batch_first=True, enforce_sorted=False
        )
        table, _ = pad_packed_sequence(recurrent(packed)[0], batch_first=True, total_length=sequences.shape[1])
        return table.reshape(-1, states.shape[1])[sequences.cells]

    def people(self, sequences: Sequences, vectors_of: Callable[[Numbers], Vectors] | None = None) -> Tensor:
        """(n, width): what each sequence says of what comes next.

        `vectors_of`: item numbers (t,) → their vectors (t, width), where they are not the tower's own; then the
        sequences may hold items that the training did not see.
        """
        if not len(sequences):
            return torch.zeros(0, self.shape.width)
        tokens = Tokens.of(sequences, STARTED if vectors_of else self.start)
        last = tokens.starts[1:]
        first = np.maximum(tokens.starts[:-1], last - self.shape.length)
        packed, kinds, gaps = tokens.packed(first, last)
        items = self._looked_up(packed.items, vectors_of) if vectors_of else None
        states: Tensor = self(packed, kinds, gaps, items, last=True)
        return states

    def _looked_up(self, items: Tensor, vectors_of: Callable[[Numbers], Vectors]) -> Tensor:
        start = items == STARTED
        vectors = torch.empty(len(items), self.shape.width)
        vectors[start] = self.tower.numbers.weight[self.start]
        vectors[~start] = torch.from_numpy(vectors_of(items[~start].numpy()))
        return vectors


def _neutralise(table: Tensor, seen: Numbers) -> None:
    unseen = np.setdiff1d(np.arange(len(table)), seen)
    if len(seen):
        table[unseen] = table[np.unique(seen)].mean(dim=0)


def _recurrent(shape: Shape) -> nn.GRU | nn.LSTM | None:
    if shape.encoder == "gru":
        return nn.GRU(shape.width, shape.width, batch_first=True)
    return nn.LSTM(shape.width, shape.width, batch_first=True) if shape.encoder == "lstm" else None


class Block(nn.Module):
    """x + attention(norm(x)), then x + feed-forward(norm(x)); the feed-forward layer is as wide as the rest."""

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self._heads = heads
        self._attention_norm, self._forward_norm = nn.LayerNorm(width), nn.LayerNorm(width)
        self._project, self._mix = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self._widen, self._narrow = nn.Linear(width, width), nn.Linear(width, width)
        self._dropout = nn.Dropout(dropout)

    def forward(self, states: Tensor, sequences: Packed, *, last: bool = False) -> Tensor:
        """(t, width) → the same, or (n, width) of each sequence's `last`."""
        normal = self._attention_norm(states)
        if last:
            ends = sequences.lengths.cumsum(0) - 1
            states, mixed = states[ends], self._attend_from(normal[ends], normal, sequences)
        else:
            mixed = self._attend(normal, sequences)
        states = states + self._dropout(self._mix(mixed))
        hidden = self._dropout(functional.relu(self._widen(self._forward_norm(states))))
        result: Tensor = states + self._dropout(self._narrow(hidden))
        return result

    def _attend(self, states: Tensor, sequences: Packed) -> Tensor:
        """Sequences are left-aligned here, so empty places lie in everybody's future: the causal mask hides them."""
        (rows, longest), width = sequences.shape, states.shape[1]
        table = sequences.table(self._project(states))
        query, key, value = table.view(rows, longest, 3, self._heads, -1).permute(2, 0, 3, 1, 4)
        mixed = functional.scaled_dot_product_attention(query, key, value, is_causal=True)
        return mixed.transpose(1, 2).reshape(rows * longest, width)[sequences.cells]

    def _attend_from(self, queries: Tensor, states: Tensor, sequences: Packed) -> Tensor:
        """(n, width): what each sequence's last item finds in all of it; `queries` are the normed states of those."""
        (rows, longest), width = sequences.shape, states.shape[1]
        weight, bias = self._project.weight, self._project.bias
        query = functional.linear(queries, weight[:width], bias[:width]).view(rows, self._heads, 1, -1)
        table = sequences.table(functional.linear(states, weight[width:], bias[width:]))
        key, value = table.view(rows, longest, 2, self._heads, -1).permute(2, 0, 3, 1, 4)
        there = torch.arange(longest) < sequences.lengths[:, None]
        mixed = functional.scaled_dot_product_attention(query, key, value, attn_mask=there[:, None, None])
        return mixed.reshape(rows, width)
