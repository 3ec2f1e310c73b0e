"""A response model: the probability that somebody answers an offer, as a weighted sum of figures known of them.

Takes a matrix of features in the order of `names`, gives probabilities; reads and writes itself as JSON. It is a
forecast from what people like these did when they got an offer. It does not say what the offer brings: nobody drew lots
for who got one.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydantic import TypeAdapter, ValidationError

from tasteline.errors import InvalidInput

FILE = "response.json"
"""In the folder of a registered model of the kind "offers"."""
Features = NDArray[np.float64]
"""(cases, features)"""


@dataclass(frozen=True, slots=True)
class ResponseModel:
    """p = 1 / (1 + exp(-(intercept + sum of weights · (x - means) / scales)))

    >>> model = ResponseModel(("visits",), (1.0,), (2.0,), (1.0,), 0.0)
    >>> model.probabilities(np.array([[1.0], [3.0]])).round(3).tolist()
    [0.5, 0.731]
    """

    names: tuple[str, ...]
    means: tuple[float, ...]
    scales: tuple[float, ...]
    weights: tuple[float, ...]
    """Of features in units of their standard deviation, so that they can be compared."""
    intercept: float
    learned_from: str = ""
    """In words: which campaigns of whom."""

    def probabilities(self, features: Features) -> NDArray[np.float64]:
        """(cases,) in [0, 1]; features as `names`."""
        scaled = (features - np.array(self.means)) / np.array(self.scales)
        logits = self.intercept + scaled @ np.array(self.weights)
        return np.asarray(1 / (1 + np.exp(-np.clip(logits, -500, 500))), dtype=np.float64)

    def write(self, path: Path) -> None:
        """Whole or not at all."""
        path.parent.mkdir(parents=True, exist_ok=True)
        unfinished = path.with_suffix(".part")
        unfinished.write_bytes(_STORED.dump_json(self, indent=1) + b"\n")
        unfinished.replace(path)

    @classmethod
    def read(cls, path: Path, names: tuple[str, ...]) -> ResponseModel:
        """Raises OSError where there is none, InvalidInput for one that knows other features than `names`."""
        text = path.read_bytes()
        try:
            model = _STORED.validate_json(text)
        except ValidationError as error:
            raise InvalidInput(f"{path} holds no response model: {error.errors()[0]['msg']}") from error
        parts = (model.means, model.scales, model.weights)
        if model.names != names or any(len(part) != len(names) for part in parts):
            raise InvalidInput(f"{path} was trained on other features; train it anew")
        return model


_STORED = TypeAdapter(ResponseModel)
