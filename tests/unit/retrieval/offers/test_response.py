"""The served response model: its formula, its file, and a file that does not fit."""

from pathlib import Path

import numpy as np
import pytest

from retrieval.offers.response import ResponseModel
from tasteline.errors import InvalidInput

MODEL = ResponseModel(("a", "b"), (0.0, 1.0), (1.0, 2.0), (1.0, -2.0), 0.5, "two campaigns")


def test_it_is_the_logistic_of_the_weighted_sum() -> None:
    features = np.array([[0.5, 1.0], [0.0, 5.0]])
    logits = np.array([0.5 + 0.5, 0.5 - 4.0])
    assert MODEL.probabilities(features) == pytest.approx(1 / (1 + np.exp(-logits)))


def test_what_is_far_out_is_no_overflow() -> None:
    assert MODEL.probabilities(np.array([[1e9, 0.0], [-1e9, 0.0]])).tolist() == pytest.approx([1.0, 0.0])


def test_it_is_read_as_it_was_written(tmp_path: Path) -> None:
    MODEL.write(tmp_path / "new" / "response.json")
    assert ResponseModel.read(tmp_path / "new" / "response.json", ("a", "b")) == MODEL


def test_other_features_are_refused(tmp_path: Path) -> None:
    MODEL.write(tmp_path / "response.json")
    with pytest.raises(InvalidInput, match="train it anew"):
        ResponseModel.read(tmp_path / "response.json", ("b", "a"))
    (tmp_path / "response.json").write_text("{}")
    with pytest.raises(InvalidInput, match="no response model"):
        ResponseModel.read(tmp_path / "response.json", ("a", "b"))
    with pytest.raises(OSError, match="missing"):
        ResponseModel.read(tmp_path / "missing.json", ("a", "b"))
