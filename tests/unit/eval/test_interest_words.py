"""The measurement of interests in words: on the same people, with the target unknown, and honest about the model."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from app.llm.scripted import ScriptedLanguageModel
from eval.interest_words import LONGEST_HISTORY, run, shortened
from eval.next_item_sample import Case
from eval.results import REQUIRED
from tasteline.ports import LanguageModel
from tasteline.settings import Settings
from tasteline.types import ChatMessage

PEOPLE = 6
ANSWER = {"sentences": [{"events": [1], "text": "You bought a thing."}, {"events": [1], "text": "You love it."}]}


def write_set(folder: Path) -> Path:
    """Everybody buys three lamps, then tent and rope, which nothing but words holds together."""
    folder.mkdir()
    titles = {f"lamp{n}": f"Desk Lamp model {n}" for n in range(4)} | {"tent": "Dome Tent", "rope": "Dome Tent Rope"}
    with (folder / "items.csv").open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["item_id", "asin", "title", "short_text", "attributes"])
        writer.writerows([n, key, title, "thing", "Brand|Things"] for n, (key, title) in enumerate(titles.items()))
    with (folder / "interactions.csv").open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["user_id", "raw_user_id", "item_id", "asin", "position", "gap_seconds", "split"])
        for user in range(PEOPLE):
            for place, bought in enumerate(["lamp0", "lamp1", "tent", "rope", "lamp3"]):
                split = ["train", "train", "train", "valid", "test"][place]
                writer.writerow([user, f"u{user}", 0, bought, place, 0, split])
    return folder


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_set(tmp_path_factory.mktemp("set") / "things")


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("home")


def report(data: Path, home: Path, model: LanguageModel | None = None, worded: int = 4) -> dict[str, object]:
    settings = Settings(home=home, embedder="hashing", vector_index="numpy", language_model="none", _env_file=None)  # type: ignore[call-arg]
    return run(settings, data, PEOPLE, "valid", worded=worded, language_model=model)


def test_histories_are_cut_to_one_to_four_in_turn_and_end_as_they_did() -> None:
    whole = [Case(f"u{n}", tuple("abcdef"), "t") for n in range(6)]
    cut = shortened(whole)
    assert [len(case.history) for case in cut] == [1, 2, 3, LONGEST_HISTORY, 1, 2]
    assert all(case.history == one.history[-len(case.history) :] for case, one in zip(cut, whole, strict=True))
    assert [case.target_id for case in cut] == [case.target_id for case in whole]


def test_without_a_model_its_rows_are_missing(data: Path, home: Path) -> None:
    result = report(data, home)
    assert set(result["systems"]) == {"without", "template words"}  # type: ignore[call-overload]
    assert result["model"]["kept_share"] is None  # type: ignore[index]
    assert result["task"] == "interest-words"
    assert all(key in result for key in REQUIRED)
    json.dumps(result, allow_nan=False)


def test_a_models_row_stands_beside_the_others_on_its_own_people(data: Path, home: Path) -> None:
    asked: list[Sequence[ChatMessage]] = []

    def reply(messages: Sequence[ChatMessage]) -> str:
        asked.append(messages)
        return json.dumps({**ANSWER, "query": ["lamp"]}) if len(asked) > 1 else "no"

    result = report(data, home, ScriptedLanguageModel(reply))
    systems = result["systems"]
    assert list(systems) == [  # type: ignore[call-overload]
        "without",
        "template words",
        "without, first 4",
        "template words, first 4",
        "model words, first 4",
    ]
    model = result["model"]
    assert len(asked) == 4
    assert model["outcomes"] == {"wrong_format": 1, "ok": 3}  # type: ignore[index]
    assert (model["sentences"], model["kept"]) == (6, 0)  # type: ignore[index]
    assert model["dropped"] == {"empty": 3, "opening": 3}  # type: ignore[index]
    baselines = {(each["system"], each["baseline"]) for each in result["comparisons"]}  # type: ignore[attr-defined]
    assert baselines == {
        ("template words", "without"),
        ("template words, first 4", "without, first 4"),
        ("model words, first 4", "without, first 4"),
    }


def test_the_target_is_in_no_question(data: Path, home: Path) -> None:
    model = ScriptedLanguageModel([json.dumps({**ANSWER, "query": ["lamp"]})])
    report(data, home, model, worded=PEOPLE)
    assert len(model.requests) == PEOPLE
    assert not any("Rope" in message.content for request in model.requests for message in request)


def test_the_same_run_gives_the_same_numbers(data: Path, home: Path) -> None:
    assert report(data, home)["systems"] == report(data, home)["systems"]
