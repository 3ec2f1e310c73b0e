"""A trained ranker as files in a folder, and back.

What is written needs no training data to be read: networks without the texts of the items, the items' vectors and
codes, the counts, the fusion, and a JSON head with the recipe and the vocabulary. Knows no registry.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from pydantic import BaseModel, ConfigDict, ValidationError
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from retrieval.models.following import Following, FollowingSettings
from retrieval.models.item_features import Codes, ItemFeatures, Vocabulary
from retrieval.models.network import NextItemNetwork, Shape
from retrieval.models.ranker import Fusion, feature_names
from tasteline.errors import InvalidInput
from tasteline.types import Vectors

HEAD_FILE, FUSION_FILE, FOLLOWING_FILE, CODES_FILE = "ranker.json", "fusion.safetensors", "following.npz", "codes.npy"
TEXTS_BUFFER, CODES_BUFFER = "tower._texts", "tower._codes"
FORMAT = 1
"""Raise it when what is written can no longer be read by what was there before."""


@dataclass(frozen=True, slots=True)
class StoredRanker:
    """All that was learned; line i of every array is about the product `item_ids[i]`."""

    item_ids: tuple[str, ...]
    vocabulary: Vocabulary
    codes: Codes
    networks: Mapping[str, NextItemNetwork]
    """Their towers know the text projection and the attributes; the items' own vectors lie in `vectors`."""
    vectors: Mapping[str, Vectors]
    """(items, width) for each network."""
    fusion: Fusion
    following: Following
    repeats: bool
    from_each: int
    embedder: str
    """Whose vectors of texts it was trained on."""


class _Head(BaseModel):
    model_config = ConfigDict(extra="forbid")
    format: int
    item_ids: list[str]
    vocabulary: dict[str, dict[str, int] | list[float]]
    shapes: dict[str, dict[str, str | int | float | bool]]
    following: dict[str, int | float]
    repeats: bool
    from_each: int
    embedder: str
    dimension: int


def write_ranker(stored: StoredRanker, folder: Path) -> None:
    """Into an existing, empty folder."""
    head = _Head(
        format=FORMAT,
        item_ids=list(stored.item_ids),
        vocabulary=stored.vocabulary.as_json(),  # type: ignore[arg-type]
        shapes={name: asdict(network.shape) for name, network in stored.networks.items()},
        following=asdict(stored.following.settings),
        repeats=stored.repeats,
        from_each=stored.from_each,
        embedder=stored.embedder,
        dimension=next(iter(stored.networks.values())).tower.project.in_features,
    )
    for name, network in stored.networks.items():
        # Texts are the catalogue's business; the embedding of numbers is in the vectors, but for the start.
        weights = {key: each for key, each in network.state_dict().items() if key not in (TEXTS_BUFFER, CODES_BUFFER)}
        weights["tower.numbers.weight"] = weights["tower.numbers.weight"][-1:]
        save_file({key: each.contiguous() for key, each in weights.items()}, folder / f"{name}.safetensors")
        np.save(folder / f"{name}.npy", stored.vectors[name])
    save_file(stored.fusion.state_dict(), folder / FUSION_FILE)
    stored.following.save(folder / FOLLOWING_FILE)
    np.save(folder / CODES_FILE, stored.codes)
    (folder / HEAD_FILE).write_text(head.model_dump_json(), encoding="utf-8")


def read_ranker(folder: Path) -> StoredRanker:
    """Raises InvalidInput for a folder that holds no ranker of this format."""
    try:
        head = _Head.model_validate(json.loads((folder / HEAD_FILE).read_text(encoding="utf-8")))
    except (OSError, ValueError, ValidationError) as error:
        raise InvalidInput(f"{folder} holds no next-item ranker that can be read ({error}); train one anew") from error
    if head.format != FORMAT:
        raise InvalidInput(f"{folder} was written in format {head.format}, this version reads {FORMAT}; train it anew")
    try:
        return _read(folder, head)
    except (OSError, EOFError, ValueError, KeyError, RuntimeError, SafetensorError) as error:
        raise InvalidInput(f"a file in {folder} cannot be read ({error}); roll back, or train anew") from error


def _read(folder: Path, head: _Head) -> StoredRanker:
    vocabulary = Vocabulary.from_json(head.vocabulary)
    networks, vectors = {}, {}
    for name, shape in head.shapes.items():
        networks[name] = _network(folder / f"{name}.safetensors", vocabulary, Shape(**shape), head.dimension)  # type: ignore[arg-type]
        vectors[name] = np.load(folder / f"{name}.npy")
    fusion = Fusion(len(feature_names(len(networks))))
    fusion.load_state_dict(load_file(folder / FUSION_FILE))
    return StoredRanker(
        item_ids=tuple(head.item_ids),
        vocabulary=vocabulary,
        codes=np.load(folder / CODES_FILE),
        networks=networks,
        vectors=vectors,
        fusion=fusion.eval(),
        following=Following.load(folder / FOLLOWING_FILE, FollowingSettings(**head.following)),  # type: ignore[arg-type]
        repeats=head.repeats,
        from_each=head.from_each,
        embedder=head.embedder,
    )


def _network(path: Path, vocabulary: Vocabulary, shape: Shape, dimension: int) -> NextItemNetwork:
    """A network whose tower knows no item: what it needs of those it saw lies in their vectors."""
    nothing = ItemFeatures(np.zeros((0, dimension), np.float32), vocabulary.codes([]))
    network = NextItemNetwork(nothing, vocabulary.sizes, shape)
    network.load_state_dict({**network.state_dict(), **load_file(path)})
    return network.eval()
