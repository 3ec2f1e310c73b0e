"""Rows in a line: every row can be read along its way, sees itself and nothing else, and parts keep the budget."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from finetune.lora.shared_beginnings import Line, parts_of

Rows = st.lists(st.lists(st.integers(0, 2), min_size=1, max_size=7), min_size=1, max_size=8)


@given(Rows)
def test_every_row_stands_in_its_line(lists: list[list[int]]) -> None:
    rows = [np.array(each, dtype=np.int64) for each in lists]
    line = Line.of(rows)
    assert len(line.ids) == len({tuple(each[: end + 1]) for each in lists for end in range(len(each))})
    seen = line.sees()
    for row, way in zip(rows, line.ways, strict=True):
        assert line.ids[way].tolist() == row.tolist()
        assert line.depths[way].tolist() == list(range(len(row)))
        for depth, place in enumerate(way):
            assert np.flatnonzero(seen[place]).tolist() == sorted(way[: depth + 1].tolist())


@given(Rows, st.integers(1, 20))
def test_parts_have_every_row_once_and_keep_the_budget(lists: list[list[int]], budget: int) -> None:
    rows = [np.array(each, dtype=np.int64) for each in lists]
    parts = parts_of(rows, budget)
    assert sorted(np.concatenate(parts).tolist()) == list(range(len(rows)))
    for part in parts:
        size = len(Line.of([rows[place] for place in part]).ids)
        assert size <= budget or len(part) == 1
