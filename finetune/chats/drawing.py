"""One of several, by a seeded generator."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import numpy as np

T = TypeVar("T")


def drawn(options: Sequence[T], rng: np.random.Generator) -> T:
    """Each as likely as the other. Raises ValueError for none."""
    return options[int(rng.integers(len(options)))]
