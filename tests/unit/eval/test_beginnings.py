"""What a training begins with: models of the registry by their id, so that an erasure finds what came of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from eval.beginnings import base_folder, base_named, standing_base
from eval.next_item_training import TrainingAsked, train_next_item
from retrieval.registry import Entry, Registry
from tasteline.errors import InvalidInput, NotFound
from tasteline.settings import Settings
from tests.unit.retrieval.trained import card, registered


def merged(home: Path, number: int, **changes: object) -> Entry:
    def write(folder: Path) -> None:
        (folder / "merged").mkdir()
        (folder / "merged" / "weights").write_text("tuned")

    return Registry(home).register(card(number, kind="encoder", **changes), write, [])


def test_a_model_of_the_registry_goes_by_its_id_however_it_was_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    entry = merged(tmp_path, 0)
    folder = str((entry.folder / "merged").resolve())
    monkeypatch.chdir(tmp_path)
    for given in (entry.id, entry.id[:17], folder, f"models/registry/encoder/{entry.id}"):
        assert base_named(tmp_path, given) == entry.id
        assert base_folder(tmp_path, given) == folder


@pytest.mark.parametrize("given", [None, "some/hub-id", "embedded", "elsewhere"])
def test_what_is_none_of_the_registrys_stays_as_it_is(tmp_path: Path, given: str | None) -> None:
    merged(tmp_path, 0)
    assert base_named(tmp_path, given) == base_folder(tmp_path, given) == given


def test_a_model_without_merged_weights_is_no_base(tmp_path: Path) -> None:
    plain = registered(Registry(tmp_path), 0)
    with pytest.raises(InvalidInput, match=f"next-item {plain.id} is no model"):
        base_folder(tmp_path, plain.id)


def test_a_withdrawn_model_is_no_beginning(tmp_path: Path) -> None:
    encoder, ranker = merged(tmp_path, 0), registered(Registry(tmp_path), 1)
    for entry in (encoder, ranker):
        Registry(tmp_path).withdraw(entry.card.kind, [entry.id])
    for given in (encoder.id, str(encoder.folder / "merged")):
        with pytest.raises(InvalidInput, match="withdrawn for good"):
            base_named(tmp_path, given)
    settings = Settings(home=tmp_path, embedder="hashing", language_model="none", _env_file=None)  # type: ignore[call-arg]
    for given in (ranker.id, str(ranker.folder)):
        with pytest.raises(InvalidInput, match="withdrawn for good"):
            train_next_item(TrainingAsked(begin=given), settings, print)
    with pytest.raises(NotFound, match="neither a model"):
        train_next_item(TrainingAsked(begin="1999"), settings, print)


def test_in_the_place_of_a_withdrawn_base_comes_what_that_began_with(tmp_path: Path) -> None:
    first = merged(tmp_path, 0, base="some/hub-id")
    second = merged(tmp_path, 1, base=str(first.folder / "merged"))  # as cards said before
    third = card(2, kind="encoder", base=second.id)
    registry = Registry(tmp_path)
    assert standing_base(tmp_path, third) == second.id
    registry.withdraw("encoder", [second.id])
    assert standing_base(tmp_path, third) == str(first.folder / "merged")
    registry.withdraw("encoder", [first.id])
    assert standing_base(tmp_path, third) == "some/hub-id"
