"""Files from which a training that was broken off goes on: they appear whole or not at all, and know their training.

Takes tensors and plain values; gives them back to a job of the same fingerprint. Knows no job.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from tasteline.errors import InvalidInput


def write_checkpoint(path: Path, fingerprint: str, content: Mapping[str, object]) -> None:
    """Replaces what was there in one step. `fingerprint`: of the data and settings of the training."""
    path.parent.mkdir(parents=True, exist_ok=True)
    writing = path.with_suffix(".tmp")
    torch.save({"fingerprint": fingerprint, **content}, writing)
    os.replace(writing, path)


def read_checkpoint(path: Path | None, fingerprint: str) -> Mapping[str, Any] | None:
    """What was written last; None where nothing is. Raises InvalidInput for one of other data or settings."""
    if path is None or not path.is_file():
        return None
    stored: Mapping[str, Any] = torch.load(path, weights_only=True, map_location="cpu")
    if stored["fingerprint"] != fingerprint:
        raise InvalidInput(
            f"{path} was left by a training on other data or with other settings; go on with those, or delete the file "
            "and begin anew"
        )
    return stored
