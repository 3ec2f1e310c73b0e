"""Rows of all tasks, written from a running shop."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest

from app.engines import open_store, open_store_at
from eval import chat_rows, demo_shop
from eval.chat_rows import ChatsAsked, chats_at, write_chats
from finetune.examples import ChatExample, read_examples
from retrieval.erasure import erase_person
from tasteline.errors import TransientError
from tasteline.settings import Settings

ERASED = "joan"


def test_who_is_erased_while_they_are_made_is_in_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = Settings(home=tmp_path, embedder="hashing", vector_index="numpy", language_model="none")
    with closing(open_store(settings)) as store:
        store.put_products(demo_shop.products()[::4])
        shoppers = demo_shop.shoppers()[:25]
        store.append_events(list(demo_shop.events(demo_shop.products(), shoppers, datetime(2026, 3, 1, tzinfo=UTC))))

    def rows(*_: object) -> Iterator[ChatExample]:
        with closing(open_store(settings)) as store:
            erase_person(tmp_path, store, open_store_at(settings), ERASED)
        yield ChatExample(task="judging", messages=(), answer="A", user_id=ERASED)

    monkeypatch.setattr(chat_rows, "chat_rows", rows)
    with pytest.raises(TransientError, match="somebody was erased"):
        write_chats(settings, ChatsAsked())
    assert not chats_at(tmp_path, "train").exists()
    assert not chats_at(tmp_path, "valid").exists()


def test_rows_of_every_task_and_none_of_who_was_erased(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path, embedder="hashing", vector_index="numpy", language_model="none")
    shoppers = demo_shop.shoppers()[:25]
    assert ERASED in {shopper.id for shopper in shoppers}
    with closing(open_store(settings)) as store:
        store.put_products(demo_shop.products()[::4])
        store.append_events(list(demo_shop.events(demo_shop.products(), shoppers, datetime(2026, 3, 1, tzinfo=UTC))))
        store.erase_user(ERASED)
    made = write_chats(settings, ChatsAsked(understanding=20, wording=10, each=1, seed=5))
    rows = list(read_examples(chats_at(tmp_path, "train"), ChatExample))
    assert {row.task for row in rows} == {"understanding", "wording", "judging", "interests"}
    assert made["train"].total() == len(rows)
    assert made["valid"].total() == len(list(read_examples(chats_at(tmp_path, "valid"), ChatExample)))
    people = {row.user_id for row in rows} - {None}
    assert people
    assert ERASED not in people
