"""A small set of invented histories in the layout of the next-item papers: after item n people mostly take n + 1."""

from __future__ import annotations

import csv
import random
from pathlib import Path

PEOPLE, ITEMS = 120, 40
KINDS = ("Lamps", "Kettles", "Tents", "Mugs")


def write_histories(folder: Path, seed: int = 0) -> Path:
    """`items.csv` and `interactions.csv`, leave-one-out."""
    rng = random.Random(seed)
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "items.csv").open("w", newline="") as stream:
        rows = csv.writer(stream)
        rows.writerow(["item_id", "asin", "title", "short_text", "attributes"])
        for item in range(ITEMS):
            kind = KINDS[item % len(KINDS)]
            rows.writerow([item + 1, f"A{item}", f"{kind[:-1]} number {item}", f"{kind} {item}", f"Glim|{kind}"])
    with (folder / "interactions.csv").open("w", newline="") as stream:
        rows = csv.writer(stream)
        rows.writerow(["user_id", "raw_user_id", "item_id", "asin", "position", "gap_seconds", "split"])
        for person in range(PEOPLE):
            start, length = rng.randrange(ITEMS), rng.randrange(5, 9)
            taken: list[int] = []
            while len(taken) < length:
                item = (start + len(taken)) % ITEMS if rng.random() < 0.8 else rng.randrange(ITEMS)
                if item not in taken:
                    taken.append(item)
            for place, item in enumerate(taken):
                part = {length - 1: "test", length - 2: "valid"}.get(place, "train")
                rows.writerow([person + 1, f"U{person}", item + 1, f"A{item}", place, 0, part])
    return folder
