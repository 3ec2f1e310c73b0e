"""Which side of training and choosing a row is on: by product, by person, by time; and a check that nothing leaks.

Takes questions, gives those to learn from and those to choose settings by. The rules are functions of ids alone, so
that every job, and the queries that `eval` makes, agree on them without talking to each other:

- A product is for training, for choosing ("valid") or for the last look ("test"), whatever the query.
- A person is on one side. What people did is learned from before the cut in time and chosen by after it.
- A made-up text that both sides would have goes to one of them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import blake2b
from typing import Literal

from finetune.examples import Question
from tasteline.errors import InvalidInput

Part = Literal["train", "valid", "test"]
PRODUCT_SHARE = 0.05
"""Of the products in each of valid and test: some thousand of 20,000, and what people did with them is lost to training
too."""
PERSON_SHARE = 0.1
TEXT_SHARE = 0.1
"""Of the made-up texts that both sides would have, for choosing: a tenth of the head queries ("toner cartridge") can be
chosen by, and nine tenths are still learned from."""
CUT_QUANTILE = 0.9
"""Of the times of what people did: the last tenth is not learned from."""


def product_part(product_id: str) -> Part:
    """
    >>> product_part("p0"), product_part("p1")
    ('valid', 'train')
    """
    place = _place("product", product_id)
    return "valid" if place < PRODUCT_SHARE else "test" if place < 2 * PRODUCT_SHARE else "train"


def person_part(user_id: str) -> Part:
    return "valid" if _place("person", user_id) < PERSON_SHARE else "train"


def _place(kind: str, key: str) -> float:
    """In [0, 1), the same in every process."""
    digest = blake2b(f"{kind} {key}".encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest) / 2**64


@dataclass(frozen=True, slots=True)
class Divided:
    train: tuple[Question, ...]
    valid: tuple[Question, ...]
    cut: datetime | None
    """What people did from then on is not in train; None where nothing has a time."""
    left_out: Mapping[str, int]
    """How many rows are on neither side, by reason."""


def divide(questions: Sequence[Question]) -> Divided:
    """Both sides in the order given."""
    cut = _cut(questions)
    sides_of: dict[str, list[Question]] = {"train": [], "valid": []}
    for row in questions:
        sides_of.setdefault(_side(row, cut), []).append(row)
    shared = _shared_texts(sides_of["train"], sides_of["valid"])
    train = [row for row in sides_of["train"] if _text(row) not in shared or _text_side(_text(row)) == "train"]
    valid = [
        row
        for row in sides_of["valid"]
        if _from_person(row) or _text(row) not in shared or _text_side(_text(row)) == "valid"
    ]
    left_out = {side: len(rows) for side, rows in sides_of.items() if side not in ("train", "valid")}
    left_out["text of the other side"] = len(sides_of["train"]) + len(sides_of["valid"]) - len(train) - len(valid)
    return Divided(tuple(train), tuple(valid), cut, left_out)


def check_division(train: Sequence[Question], valid: Sequence[Question], cut: datetime | None) -> None:
    """Raises InvalidInput with the first thing that is on both sides, or on the wrong one."""
    found = (*_of_both(train, valid), *_out_of_time(train, valid, cut), *_of_the_wrong_product(train, valid))
    if found:
        raise InvalidInput(f"These rows leak: {found[0]}. Make the set of questions anew.")


def _of_both(train: Sequence[Question], valid: Sequence[Question]) -> Iterator[str]:
    people = {row.user_id for row in train if row.user_id} & {row.user_id for row in valid if row.user_id}
    if people:
        yield f"{len(people)} people are in train and in valid, such as {min(people)!r}"
    if texts := _shared_texts(train, valid):
        yield f"{len(texts)} queries are in train and in valid, such as {min(texts)!r}"


def _shared_texts(train: Sequence[Question], valid: Sequence[Question]) -> set[str]:
    """Of train and of what was made up for valid. What people type after the cut they may have typed before."""
    return {_text(row) for row in train} & {_text(row) for row in valid if not _from_person(row)}


def _out_of_time(train: Sequence[Question], valid: Sequence[Question], cut: datetime | None) -> Iterator[str]:
    for side, rows in (("train", train), ("valid", valid)):
        for row in rows:
            if row.time is not None and (cut is None or (row.time >= cut) != (side == "valid")):
                yield f"{side} has something of {row.time.isoformat()}, and the cut is at {cut}"


def _of_the_wrong_product(train: Sequence[Question], valid: Sequence[Question]) -> Iterator[str]:
    for row in train:
        for product_id in (row.positive, *row.negatives):
            if (part := product_part(product_id)) != "train":
                yield f"train has product {product_id!r}, which is for {part}"
    for row in valid:
        if not _from_person(row) and (part := product_part(row.positive)) != "valid":
            yield f"valid has a query of product {row.positive!r}, which is for {part}"


def _from_person(row: Question) -> bool:
    return row.user_id is not None or row.time is not None


def _cut(questions: Sequence[Question]) -> datetime | None:
    times = sorted(row.time for row in questions if row.time is not None)
    return times[int(CUT_QUANTILE * len(times))] if times else None


def _side(row: Question, cut: datetime | None) -> str:
    """Train, valid, or why it is neither. Where nobody is named, as in a session before signing in, time decides."""
    part = product_part(row.positive)
    if not _from_person(row):
        return "held out for test" if part == "test" else part
    late = None if row.time is None or cut is None else row.time >= cut
    person = None if row.user_id is None else person_part(row.user_id)
    if late is not True and person != "valid":
        return "train" if part == "train" else "product held out"
    if late is not False and person != "train":
        return "valid"
    return "person and time disagree"


def _text(row: Question) -> str:
    return comparable(row.query)


def comparable(text: str) -> str:
    """The same for what differs in spaces and capitals only.

    >>> comparable(" Red  kettle")
    'red kettle'
    """
    return " ".join(text.casefold().split())


def _text_side(text: str) -> str:
    return "valid" if _place("text", text) < TEXT_SHARE else "train"
