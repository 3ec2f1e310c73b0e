"""The benchmark of fine-tuning: both sides get one job, tokens are counted alike, and a tiny run of both."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import pytest

from eval import demo_shop
from eval.bench import lora
from eval.bench.sides import Sides
from finetune.examples import ChatExample, read_examples
from tasteline.errors import InvalidInput
from tests.unit.tiny_models import make_chat_model


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("models") / "tiny-chat"
    make_chat_model(folder)
    return str(folder)


def test_chats_are_those_of_the_service_and_the_same_for_a_seed() -> None:
    products = demo_shop.products()
    chats = list(lora.chats_of(products, 40, seed=1))
    assert chats == list(lora.chats_of(products, 40, seed=1)) != list(lora.chats_of(products, 40, seed=2))
    assert len(chats) == 40
    assert {chat.task for chat in chats} == {"judging", "wording"}
    assert {chat.answer for chat in chats if chat.task == "judging"} == {"Yes", "No"}
    assert all(chat.messages[0].role == "system" and chat.messages[-1].role == "user" for chat in chats)
    with pytest.raises(InvalidInput, match="too few"):
        list(lora.chats_of([], 40, seed=1))


def test_the_ratio_is_of_seconds_by_turns(base: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    seen: list[tuple[str, Mapping[str, object], int]] = []
    took = iter((10.0, 20.0, 10.0, 40.0))

    def turn(sides: Sides, contender: tuple[str, str], *options: str) -> Mapping[str, object]:
        job = json.loads((sides.folder / lora.PLAIN).read_text())
        seen.append((contender[0], job, len(list(read_examples(sides.folder / lora.CHATS, ChatExample)))))
        seconds = next(took)
        memory = {"imports_mib": 1.0, "inputs_mib": 1.0, "peak_mib": 2.0}
        return {"seconds": seconds, "cpu_seconds": seconds, **memory, "values": {"tokens": 1000.0}}

    monkeypatch.setattr(Sides, "turn", turn)
    report = lora.run(demo_shop.products(), tmp_path, examples=12, base=base, float32=False)
    assert [side for side, _, _ in seen] == ["ours_lora", "with_transformers_trainer"] * 2
    assert report["ratios"] == {"train_throughput": 3.0}  # 2 and 4
    assert report["raw"]["tasteline"]["tokens_per_second"] == 100.0
    job = seen[0][1]
    assert (job["base"], job["rank"], job["targets"][0], seen[0][2]) == (base, 16, "q_proj", 12)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_both_sides_read_the_same_tokens_and_reach_the_same_loss(base: str, tmp_path: Path) -> None:
    raw = lora.run(demo_shop.products(), tmp_path, examples=24, turns=1, base=base, float32=False)["raw"]
    ours, theirs = raw["tasteline"]["values"], raw["trainer"]["values"]
    assert ours["tokens"] == theirs["tokens"] > 0
    assert ours["steps"] == theirs["steps"]
    assert ours["loss"] == pytest.approx(theirs["loss"], rel=0.2)
