"""A loss over a whole step whose forward pass does not fit at once: computed in parts of like length.

Takes rows, what turns some of them into outputs, and a loss over the outputs of all; adds the gradients. Where the
activations of all parts may not be kept, each is computed twice (Gao et al., "Scaling Deep Contrastive Learning Batch
Size under Memory Limited Setup", RepL4NLP 2021): without a graph for the loss, then with one for its own share of it.
Each part has a seed of its own, so that both times the same units are dropped.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from finetune.lora.job import Backward
from finetune.lora.rows import TokenRows, chunks
from retrieval.models.sequences import Numbers

Forward = Callable[[Numbers], Tensor]
"""Rows to outputs (rows, …), float32."""


def learn_in_parts(
    tokens: TokenRows,
    rows: Numbers,
    forward: Forward,
    loss: Callable[[Tensor], Tensor],
    backward: Backward,
    *,
    seed: int,
    part_tokens: int,
    graph_tokens: int,
) -> tuple[float, int, int]:
    """(loss, tokens, padding). `loss` takes the outputs in the order of `rows`, gives a sum."""
    lengths = tokens.lengths(rows)
    parts = chunks(lengths, part_tokens)
    back = torch.from_numpy(_inverse(parts, len(rows)))
    read = int(lengths.sum())
    padding = sum(int(lengths[part[0]]) * len(part) for part in parts) - read

    def outputs(number: int) -> Tensor:
        torch.manual_seed(seed + number)
        return forward(rows[parts[number]])

    if read + padding <= graph_tokens:
        total = loss(torch.cat([outputs(number) for number in range(len(parts))])[back])
        backward(total)
        return float(total.detach()), read, padding
    with torch.no_grad():
        kept = torch.cat([outputs(number) for number in range(len(parts))])[back]
    kept.requires_grad_()
    total = loss(kept)
    (slopes,) = torch.autograd.grad(total, kept)
    for number, part in enumerate(parts):
        backward((outputs(number) * slopes[torch.from_numpy(part)]).sum())
    return float(total.detach()), read, padding


def _inverse(parts: list[Numbers], rows: int) -> Numbers:
    """Where each row stands in the parts put one after the other."""
    back = torch.empty(rows, dtype=torch.int64).numpy()
    start = 0
    for part in parts:
        back[part] = range(start, start + len(part))
        start += len(part)
    return back
