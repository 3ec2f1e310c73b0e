from __future__ import annotations

import json
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import pytest

from eval.protocols.leave_one_out import leave_one_out
from eval.protocols.looks import LEDGER, Look, SealedSplit, earlier_looks, record, split_for_choosing
from tests.unit.eval.protocols.toy_shop import dataset_of

LOOK = Look("toy", "c0ffee", "leave-one-out", ["popular"], {"popular": {}}, "1234567", "2024-01-01T00:00:00Z")
OTHER = Look("toy", "c0ffee", "temporal", ["popular"], {}, None, "2024-01-01T00:00:00Z")


def test_nothing_of_test_is_left_while_settings_are_chosen() -> None:
    split = leave_one_out(dataset_of([[0, 1, 2, 3], [4, 5, 6]]))
    choosing = split_for_choosing(split)
    assert len(choosing.test) == len(choosing.test.targets.items) == len(choosing.test.histories.items) == 0
    assert len(choosing.valid) == 2
    assert len(split.test) == 2


def test_looks_are_counted_by_data_and_protocol(tmp_path: Path) -> None:
    home = tmp_path / "not yet there"
    assert earlier_looks(home, "c0ffee", "leave-one-out") == []
    assert [record(home, look) for look in (LOOK, OTHER, LOOK, LOOK)] == [0, 0, 1, 2]
    kept = earlier_looks(home, "c0ffee", "leave-one-out")
    assert len(kept) == 3
    assert kept[0]["systems"] == ["popular"]
    assert earlier_looks(home, "other data", "leave-one-out") == []


def test_the_opening_is_written_before_test_is_seen(tmp_path: Path) -> None:
    sealed = SealedSplit(leave_one_out(dataset_of([[0, 1, 2]])))
    (tmp_path / LEDGER).mkdir()  # cannot be written
    with pytest.raises(OSError, match="directory"):
        sealed.open(tmp_path, LOOK)


@pytest.mark.parametrize("broken", [b'{"checksum": "c0ffee", "protocol": "leave-o', b"\xe2\x82", b"[1]", b"null\n"])
def test_a_line_that_broke_off_spoils_nothing(tmp_path: Path, broken: bytes) -> None:
    record(tmp_path, LOOK)
    with (tmp_path / LEDGER).open("ab") as ledger:
        ledger.write(broken)
    assert record(tmp_path, LOOK) == 1
    assert record(tmp_path, LOOK) == 2
    assert json.loads((tmp_path / LEDGER).read_bytes().splitlines()[-1])["commit"] == "1234567"


def test_two_that_open_at_once_are_two(tmp_path: Path) -> None:
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as processes:
        counts = list(processes.map(record, [tmp_path] * 20, [LOOK] * 20))
    assert sorted(counts) == list(range(20))
