"""Rows of tokens: padded as the tokeniser would, and grouped so that little is padding."""

from __future__ import annotations

import numpy as np
import torch

from finetune.lora.rows import TokenRows, chunks

PADDED = {
    "input_ids": torch.tensor([[5, 6, 9], [7, 9, 9]]),
    "token_type_ids": torch.tensor([[0, 1, 0], [1, 0, 0]]),
    "attention_mask": torch.tensor([[1, 1, 0], [1, 0, 0]]),
}
CPU = torch.device("cpu")


def test_rows_lose_their_padding_and_get_no_more_than_needed() -> None:
    rows = TokenRows.of(iter([PADDED]), pad=9, left=False)
    assert (len(rows), rows.lengths(np.array([1, 0])).tolist()) == (2, [1, 2])
    made = rows.padded(np.array([1, 0]), CPU)
    assert made["input_ids"].tolist() == [[7, 9], [5, 6]]
    assert made["token_type_ids"].tolist() == [[1, 0], [0, 1]]
    assert made["attention_mask"].tolist() == [[1, 0], [1, 1]]


def test_a_tokeniser_that_pads_in_front_is_followed() -> None:
    left = {"input_ids": torch.tensor([[9, 5, 6], [9, 9, 7]]), "attention_mask": torch.tensor([[0, 1, 1], [0, 0, 1]])}
    made = TokenRows.of(iter([left]), pad=9, left=True).padded(np.array([0, 1]), CPU)
    assert made["input_ids"].tolist() == [[5, 6], [9, 7]]
    assert made["attention_mask"].tolist() == [[1, 1], [0, 1]]


def test_chunks_hold_everything_once_within_the_budget_and_waste_little() -> None:
    lengths = np.random.default_rng(0).integers(1, 200, 500)
    parts = chunks(lengths, 1_000)
    assert sorted(np.concatenate(parts).tolist()) == list(range(500))
    assert all(len(part) * lengths[part].max() <= 1_000 for part in parts)
    padded = sum(len(part) * lengths[part].max() for part in parts)
    assert padded < 1.03 * lengths.sum()
    assert chunks(np.array([50, 3]), 10)[0].tolist() == [0]  # over the budget: alone
    assert chunks(np.array([], dtype=np.int64), 10) == []
