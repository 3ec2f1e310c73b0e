"""A loss over a whole step gives the same gradients in one part, in several, and when each is computed twice."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from finetune.lora.in_parts import learn_in_parts
from finetune.lora.rows import TokenRows

LENGTHS = [3, 9, 1, 5, 7, 2]
TOKENS = TokenRows({"input_ids": [np.full(length, length, dtype=np.int64) for length in LENGTHS]}, pad=0)
ROWS = np.array([4, 0, 2, 5, 1])


def gradient(part_tokens: int, graph_tokens: int, dropout: float = 0.0) -> tuple[Tensor, float, int, int]:
    torch.manual_seed(2)
    model = nn.Sequential(nn.Linear(1, 8), nn.Dropout(dropout), nn.Linear(8, 2))

    def forward(rows: np.ndarray) -> Tensor:
        lengths = torch.tensor([[float(LENGTHS[row])] for row in rows])
        out: Tensor = model(lengths)
        return out

    def loss(outputs: Tensor) -> Tensor:
        """Every row against every other, and not the same for another order of them."""
        return (outputs @ outputs.T).logsumexp(dim=1) @ torch.arange(1.0, len(ROWS) + 1)

    total, read, padding = learn_in_parts(
        TOKENS,
        ROWS,
        forward,
        loss,
        lambda value: value.backward(),  # type: ignore[no-untyped-call]
        seed=3,
        part_tokens=part_tokens,
        graph_tokens=graph_tokens,
    )
    slopes = torch.cat([each.grad.flatten() for each in model.parameters() if each.grad is not None])
    return slopes, total, read, padding


def test_the_parts_change_nothing() -> None:
    whole, total, read, padding = gradient(1_000, 1_000)
    assert (read, padding) == (22, 5 * 9 - 22)
    for part_tokens, graph_tokens in ((9, 1_000), (9, 1), (14, 1)):
        slopes, same, again, less = gradient(part_tokens, graph_tokens)
        torch.testing.assert_close(slopes, whole)
        assert same == pytest.approx(total)
        assert (again, less < padding) == (22, True)


def test_what_is_computed_twice_drops_the_same_units() -> None:
    kept, total, *_ = gradient(9, 1_000, dropout=0.5)
    twice, same, *_ = gradient(9, 1, dropout=0.5)
    torch.testing.assert_close(twice, kept)
    assert same == pytest.approx(total)
