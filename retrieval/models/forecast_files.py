"""A forecaster as files: one table of arrays and a head of names, read without any training library."""

from __future__ import annotations

import json
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, ValidationError

from retrieval.models.calibration import Calibration
from retrieval.models.crowd import Crowd
from retrieval.models.forecast_features import CATEGORY_NAMES, PERSON_NAMES, PRODUCT_NAMES
from retrieval.models.forecaster import Forecaster, Judge
from retrieval.models.forest import Forest
from tasteline.errors import InvalidInput

HEAD_FILE, ARRAYS_FILE = "forecast.json", "forecast.npz"
FORMAT = 1
"""Raise it when what is written can no longer be read by what was there before."""
Arrays = dict[str, NDArray[np.generic]]
_CROWDS, _JUDGES = ("categories", "products"), ("by_person", "by_category", "by_product")
_FEATURES = {"by_person": PERSON_NAMES, "by_category": CATEGORY_NAMES, "by_product": PRODUCT_NAMES}


class _Head(BaseModel):
    model_config = ConfigDict(extra="forbid")
    format: int
    category_names: list[str]
    product_ids: list[str]
    trained_until: int
    bases: dict[str, float]
    features: dict[str, list[str]]
    """What each forest reads, in order: a version that reads other figures must not use it."""


def write_forecaster(model: Forecaster, folder: Path) -> None:
    """Into an existing folder."""
    head = _Head(
        format=FORMAT,
        category_names=list(model.category_names),
        product_ids=list(model.product_ids),
        trained_until=model.trained_until,
        bases={name: getattr(model, name).forest.base for name in _JUDGES},
        features={name: list(names) for name, names in _FEATURES.items()},
    )
    arrays: Arrays = {"category_of": model.category_of, "popular": model.popular, **_of(model.others, "others")}
    for name in _CROWDS:
        arrays |= _of(getattr(model, name), name)
    for name in _JUDGES:
        judge: Judge = getattr(model, name)
        arrays |= _of(judge.forest, f"{name}.forest") | _of(judge.calibration, f"{name}.calibration")
    np.savez_compressed(folder / ARRAYS_FILE, allow_pickle=False, **arrays)
    (folder / HEAD_FILE).write_text(head.model_dump_json(), encoding="utf-8")


def read_forecaster(folder: Path) -> Forecaster:
    """Raises InvalidInput for a folder that holds no forecaster of this format and these features."""
    try:
        head = _Head.model_validate(json.loads((folder / HEAD_FILE).read_text(encoding="utf-8")))
    except (OSError, ValueError, ValidationError) as error:
        raise InvalidInput(f"{folder} holds no forecast that can be read ({error}); train one anew") from error
    if head.format != FORMAT or head.features != {name: list(names) for name, names in _FEATURES.items()}:
        raise InvalidInput(f"{folder} was written by another version; train it anew with `tasteline train forecast`")
    try:
        with np.load(folder / ARRAYS_FILE) as file:
            return _read(head, dict(file))
    except (OSError, EOFError, ValueError, KeyError, TypeError) as error:
        raise InvalidInput(f"a file in {folder} cannot be read ({error}); roll back, or train anew") from error


def _read(head: _Head, arrays: Arrays) -> Forecaster:
    def judge(name: str) -> Judge:
        forest = Forest(**_named(arrays, f"{name}.forest"), base=head.bases[name])
        return Judge(forest, Calibration(**_named(arrays, f"{name}.calibration")))

    return Forecaster(
        category_names=tuple(head.category_names),
        product_ids=tuple(head.product_ids),
        category_of=arrays["category_of"].astype(np.int64),
        categories=Crowd(**_named(arrays, "categories")),
        products=Crowd(**_named(arrays, "products")),
        popular=arrays["popular"].astype(np.int64),
        by_person=judge("by_person"),
        by_category=judge("by_category"),
        by_product=judge("by_product"),
        others=Calibration(**_named(arrays, "others")),
        trained_until=head.trained_until,
    )


def _of(part: Crowd | Forest | Calibration, name: str) -> Arrays:
    """Its arrays by name, "name.field"."""
    found = {field.name: getattr(part, field.name) for field in fields(part)}
    return {f"{name}.{field}": value for field, value in found.items() if isinstance(value, np.ndarray)}


def _named(arrays: Arrays, name: str) -> dict[str, Any]:  # the inverse of `_of`; each array has its own dtype
    return {key.removeprefix(f"{name}."): value for key, value in arrays.items() if key.rpartition(".")[0] == name}
