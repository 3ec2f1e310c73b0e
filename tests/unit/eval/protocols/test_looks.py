from __future__ import annotations

import fcntl
import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
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


def test_an_opening_waits_for_one_that_is_being_written(tmp_path: Path) -> None:
    record(tmp_path, LOOK)
    with ThreadPoolExecutor(1) as other:
        with (tmp_path / LEDGER).open("ab") as ledger:
            fcntl.flock(ledger, fcntl.LOCK_EX)
            waiting = other.submit(record, tmp_path, LOOK)
            with pytest.raises(TimeoutError):
                waiting.result(timeout=0.3)
            ledger.write((json.dumps(asdict(LOOK)) + "\n").encode())
        assert waiting.result(timeout=30) == 2  # it counts the one that it waited for


def test_of_many_at_once_each_has_its_own_number(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as others:
        counts = list(others.map(record, [tmp_path] * 40, [LOOK] * 40))
    assert sorted(counts) == list(range(40))
