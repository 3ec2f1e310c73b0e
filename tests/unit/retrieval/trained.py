"""Trained models that were never trained: cards with sensible values, and files that stand for weights."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from retrieval.model_card import ModelCard, TrainingData, new_id
from retrieval.registry import Entry, Registry

START = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
WEIGHTS = "weights.bin"


def card(number: int = 0, **changes: object) -> ModelCard:
    """The card of the `number`-th model, trained so many minutes after START."""
    created = START + timedelta(minutes=number)
    plain = ModelCard(
        id=new_id(created, f"{number:04x}"),
        kind="next-item",
        created=created,
        data=TrainingData("tents-and-kettles", "c0ffee", users=1_200, items=340, events=56_000),
        settings={"layers": 2, "dropout": 0.2, "loss": "softmax", "tied": True, "limit": None},
        metrics={"popular": {"recall@10": 0.02, "ndcg@10": 0.01}, "sasrec": {"recall@10": 0.09, "ndcg@10": 0.05}},
        system="sasrec",
        main_metric="ndcg@10",
        split="valid",
        seconds=81.5,
        seed=7,
        machine={"cpu": "some processor", "cores": 2},
        version="0.1.0",
        commit="0123abcd",
    )
    return replace(plain, **changes)  # type: ignore[arg-type]


def writing(content: str = "trained") -> Callable[[Path], None]:
    def write(folder: Path) -> None:
        (folder / WEIGHTS).write_text(content)
        (folder / "vocabulary").mkdir()
        (folder / "vocabulary" / "items.txt").write_text("tent\nkettle\n")

    return write


def registered(registry: Registry, number: int, **changes: object) -> Entry:
    made = card(number, **changes)
    return registry.register(made, writing(f"weights of {made.id}"))


def damage(entry: Entry) -> None:
    (entry.folder / WEIGHTS).write_text("rust")
