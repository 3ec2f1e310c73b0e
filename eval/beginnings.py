"""The model that a training begins with, by the name that its card keeps.

Takes what somebody has typed, or what a card says; gives the id of an entry where it is one of this home's registry,
and the folder of its weights. A card that names the id is found when somebody is erased of whom that model learned;
a withdrawn model is no beginning, as what it learned would live on. Knows no trainer.
"""

from __future__ import annotations

from pathlib import Path

from finetune.lora.adapter import MERGED
from retrieval.model_card import ModelCard
from retrieval.registry import Entry, Registry
from tasteline.errors import InvalidInput, NotFound


def beginning(home: Path, given: str) -> Entry | None:
    """The entry that `given` names: its id, what no other id begins with, or a folder of it.

    None for what is not of this registry. Raises InvalidInput for one that was withdrawn.
    """
    entry = _entry(home, given)
    if entry is not None and Registry(home).is_withdrawn(entry.card.kind, entry.id):
        raise InvalidInput(f"model {entry.id} was withdrawn for good; begin from another one", field="base")
    return entry


def base_named(home: Path, given: str | None) -> str | None:
    """What a card calls the base of a LoRA training; None: that of the settings."""
    entry = beginning(home, given) if given else None
    return given if entry is None else entry.id


def base_folder(home: Path, named: str | None) -> str | None:
    """What is loaded: the merged weights of an entry; what is none of the registry's unchanged.

    Raises InvalidInput for an entry of another sort, and for a withdrawn one.
    """
    entry = beginning(home, named) if named else None
    if entry is None:
        return named
    if not (entry.folder / MERGED).is_dir():
        raise InvalidInput(f"{entry.card.kind} {entry.id} is no model that LoRA can begin from", field="base")
    return str((entry.folder / MERGED).resolve())


def standing_base(home: Path, card: ModelCard) -> str | None:
    """The base of a card; in the place of a withdrawn one what that began with, down to the published model."""
    base, registry = card.base, Registry(home)
    while base and (entry := _entry(home, base)) and registry.is_withdrawn(entry.card.kind, entry.id):
        base = entry.card.base
    return base


def _entry(home: Path, given: str) -> Entry | None:
    registry, root = Registry(home), (home / "models" / "registry").resolve()
    folder = Path(given).resolve()
    if folder.is_relative_to(root):
        parts = folder.relative_to(root).parts
        return registry.entry(parts[1]) if len(parts) > 1 else None
    if Path(given).exists():
        return None
    try:
        return registry.find(given)
    except NotFound:
        return None
