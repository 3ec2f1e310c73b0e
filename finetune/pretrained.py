"""A network that was trained on one shop as the beginning of another's.

Takes it with both vocabularies, gives a new network what does not depend on the items of the shop: the encoder, the
projection of texts, and the attributes that have the same name in both. Items' numbers begin anew.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import torch

from retrieval.models.item_features import Vocabulary
from retrieval.models.network import NextItemNetwork
from retrieval.models.sequences import Numbers
from tasteline.errors import InvalidInput

OF_THE_SHOP = ("tower.numbers", "tower.attributes", "tower._")
"""Weights and buffers whose lines are items, or names of one shop."""


@dataclass(frozen=True, slots=True)
class Pretrained:
    """What another shop's network has to give to one of this shop."""

    network: NextItemNetwork
    same: tuple[tuple[Numbers, Numbers], ...]
    """For each field the codes here and the codes there of what is called alike."""

    @classmethod
    def of(cls, network: NextItemNetwork, theirs: Vocabulary, ours: Vocabulary) -> Pretrained:
        return cls(network, ours.same_as(theirs))

    def fingerprint(self) -> str:
        """SHA-256 of all that is given."""
        digest = hashlib.sha256()
        for name, weights in self.network.state_dict().items():
            digest.update(name.encode() + weights.numpy().tobytes())
        for codes in self.same:
            digest.update(b"".join(each.tobytes() for each in codes))
        return digest.hexdigest()

    @torch.no_grad()
    def give(self, to: NextItemNetwork) -> None:
        """Change the weights of a new network. Raises InvalidInput for one of another shape or of other texts."""
        theirs, ours = self.network.state_dict(), to.state_dict()
        given = {name: each for name, each in theirs.items() if not name.startswith(OF_THE_SHOP)}
        if self.network.shape != to.shape or any(ours[name].shape != each.shape for name, each in given.items()):
            raise InvalidInput(
                "the model to begin from has another shape or reads texts of another encoder; choose one that was "
                "trained by the same recipe with the same embedder"
            )
        to.load_state_dict({**ours, **given})
        to.tower.numbers.weight[-1] = self.network.tower.numbers.weight[-1]  # of the start, which is no item
        tables = zip(
            to.tower.attributes.parameters(), self.network.tower.attributes.parameters(), self.same, strict=True
        )
        for mine, other, (here, there) in tables:
            mine[torch.from_numpy(here)] = other[torch.from_numpy(there)]
