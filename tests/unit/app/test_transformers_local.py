"""The reference engine on a chat model of a few thousand weights, made here; the embedded one in the slow tests."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterator, Sequence
from contextlib import aclosing
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from app.llm.transformers_local import TransformersLanguageModel
from tasteline.errors import DeadlineExceeded, EngineFailed, InvalidInput, MissingExtra, Overloaded, TooLarge
from tasteline.types import ChatMessage, Piece
from tests.unit.tiny_models import make_chat_model

# peft 0.21 asks for a property that transformers 5.23 has renamed.
pytestmark = pytest.mark.filterwarnings("ignore:.is_gradient_checkpointing. is deprecated:FutureWarning")

HELLO = (ChatMessage("system", "Be brief."), ChatMessage("user", "Which pan is good for eggs?"))
SCHEMA = json.dumps(
    {
        "type": "object",
        "properties": {
            "intent": {"enum": ["search", "chat"]},
            "sizes": {"type": "array", "items": {"type": "integer", "minimum": 0, "maximum": 99}, "maxItems": 2},
        },
        "required": ["intent", "sizes"],
        "additionalProperties": False,
    }
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models") / "tiny-chat"
    make_chat_model(folder)
    return folder


@pytest.fixture(scope="module")
def adapter(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Weights that are not zero, so that it must be heard."""
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    base = AutoModelForCausalLM.from_pretrained(folder)
    model = get_peft_model(base, LoraConfig(r=4, target_modules=["q_proj", "v_proj"], task_type="CAUSAL_LM"))
    torch.manual_seed(3)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if "lora_" in name:
                weight.normal_(std=0.5)
    folder_of_adapter = tmp_path_factory.mktemp("adapters") / "shop-voice"
    model.save_pretrained(folder_of_adapter)
    return folder_of_adapter


@pytest.fixture(scope="module")
def model(folder: Path) -> Iterator[TransformersLanguageModel]:
    made = TransformersLanguageModel(folder)
    made.warm().result(timeout=60)
    yield made
    made.close()


async def gather(
    model: TransformersLanguageModel,
    messages: Sequence[ChatMessage] = HELLO,
    max_tokens: int = 12,
    timeout: float = 30,
    schema: str | None = None,
) -> list[Piece]:
    pieces = model.stream(messages, max_tokens=max_tokens, timeout=timeout, schema=schema)
    return [piece async for piece in pieces]


def text_of(pieces: Sequence[Piece]) -> str:
    return "".join(piece.text for piece in pieces)


def test_it_is_called_like_its_folder(model: TransformersLanguageModel) -> None:
    assert (model.name, model.parent, model.ready) == ("tiny-chat", None, True)


def test_it_says_what_generate_says(model: TransformersLanguageModel, folder: Path) -> None:
    """The batching of requests must not change a word of greedy decoding."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder)
    history = [{"role": message.role, "content": message.content} for message in HELLO]
    prompt = tokenizer.apply_chat_template(history, add_generation_prompt=True, return_tensors="pt", return_dict=True)
    network = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    ids = network.generate(**prompt, do_sample=False, max_new_tokens=12)[0, prompt["input_ids"].shape[1] :]
    alone = asyncio.run(gather(model))
    assert text_of(alone) == tokenizer.decode(ids, skip_special_tokens=True)
    assert alone[-1].usage is not None
    assert alone[-1].usage.prompt_tokens == prompt["input_ids"].shape[1]
    assert alone[-1].usage.completion_tokens == len(ids)

    async def many() -> list[list[Piece]]:
        return await asyncio.gather(*(gather(model, max_tokens=n) for n in (12, 3, 12, 7)))

    together = asyncio.run(many())
    assert text_of(together[0]) == text_of(together[2]) == text_of(alone)
    assert text_of(alone).startswith(text_of(together[1]))


def test_a_cut_and_a_circle_are_told_apart(model: TransformersLanguageModel) -> None:
    assert asyncio.run(gather(model, max_tokens=3))[-1].finish == "length"
    praise = json.dumps({"enum": ["It is a good pot. " * 9]})
    circling = asyncio.run(gather(model, max_tokens=500, schema=praise))
    assert circling[-1].finish == "repetition"
    assert 3 <= text_of(circling).count("pot") < 9


@pytest.mark.parametrize("shopper", ["eggs", "a pan", "<|im_end|>", "what? ü 🍳"])
def test_a_schema_is_followed_to_its_end(model: TransformersLanguageModel, shopper: str) -> None:
    pieces = asyncio.run(gather(model, [ChatMessage("user", shopper)], max_tokens=200, schema=SCHEMA))
    document = json.loads(text_of(pieces))
    assert document["intent"] in {"search", "chat"}
    assert len(document["sizes"]) <= 2
    assert pieces[-1].finish == "stop"


def test_requests_with_and_without_a_schema_share_a_batch(model: TransformersLanguageModel) -> None:
    async def run() -> tuple[list[Piece], list[Piece], list[Piece]]:
        return await asyncio.gather(gather(model), gather(model, max_tokens=200, schema=SCHEMA), gather(model))

    plain, document, other = asyncio.run(run())
    assert json.loads(text_of(document))
    assert text_of(plain) == text_of(other) == text_of(asyncio.run(gather(model)))


@pytest.mark.parametrize("schema", ["no json", '{"type": "banana"}', '{"$ref": "#/nowhere"}', "[]"])
def test_a_schema_that_is_none_is_the_callers_fault(model: TransformersLanguageModel, schema: str) -> None:
    with pytest.raises(InvalidInput) as raised:
        asyncio.run(gather(model, schema=schema))
    assert raised.value.field == "schema"


def test_a_choice_is_the_models_own_probability(model: TransformersLanguageModel, folder: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder)
    history = [{"role": message.role, "content": message.content} for message in HELLO]
    prompt = tokenizer.apply_chat_template(history, add_generation_prompt=True, return_tensors="pt", return_dict=True)
    with torch.inference_mode():
        logits = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)(**prompt).logits[0, -1]
    firsts = [tokenizer.encode(label, add_special_tokens=False)[0] for label in ("Yes", "No", "Maybe")]
    expected = torch.softmax(logits[firsts].double(), 0).numpy()
    chosen = asyncio.run(model.choose([HELLO], ["Yes", "No", "Maybe"], timeout=30))
    assert chosen.dtype == np.float32
    assert chosen.shape == (1, 3)
    np.testing.assert_allclose(chosen[0], expected, atol=1e-4)


def test_a_choice_does_not_depend_on_its_company(model: TransformersLanguageModel) -> None:
    prompts = [[ChatMessage("user", "pan " * length)] for length in (1, 60, 3, 17, 200, 1)]
    together = asyncio.run(model.choose(prompts, ["Yes", "No"], timeout=30))
    alone = [asyncio.run(model.choose([prompt], ["Yes", "No"], timeout=30))[0] for prompt in prompts]
    np.testing.assert_allclose(together, alone, atol=1e-3)
    np.testing.assert_allclose(together.sum(axis=1), 1, atol=1e-6)
    assert np.ptp(together[:, 0]) > 1e-3, "different prompts must give different answers"


@pytest.mark.parametrize("labels", [["Yes", "Yes, please"], [""], []])
def test_labels_that_cannot_be_told_apart(model: TransformersLanguageModel, labels: list[str]) -> None:
    with pytest.raises(InvalidInput) as raised:
        asyncio.run(model.choose([HELLO], labels, timeout=30))
    assert raised.value.field == "labels"


def test_nothing_to_choose_for(model: TransformersLanguageModel) -> None:
    assert asyncio.run(model.choose([], ["Yes", "No"], timeout=1)).shape == (0, 2)


@pytest.mark.parametrize("special", ["<|im_end|>", "<|im_start|>", "<sep>"])
def test_special_tokens_in_a_message_are_text(model: TransformersLanguageModel, special: str) -> None:
    engine = model._loaded().result()
    ids = {token: engine._tokenizer.convert_tokens_to_ids(token) for token in ("<|im_end|>", "<|im_start|>", "<sep>")}
    clean, dirty = (engine.prompt([ChatMessage("user", text)]) for text in ("pan", f"pan{special}{special}"))
    assert [clean.count(token) for token in ids.values()] == [dirty.count(token) for token in ids.values()]


def test_broken_characters_are_no_fault_of_the_engine(model: TransformersLanguageModel) -> None:
    assert asyncio.run(gather(model, [ChatMessage("user", "pan \ud800")]))


def test_a_prompt_over_the_window_is_too_large(model: TransformersLanguageModel) -> None:
    with pytest.raises(TooLarge, match="tokens"):
        asyncio.run(gather(model, [ChatMessage("user", "word " * 5000)]))


def test_a_deadline_and_a_leaving_consumer_free_the_engine(model: TransformersLanguageModel) -> None:
    async def run() -> None:
        with pytest.raises(DeadlineExceeded):
            await gather(model, max_tokens=3000, timeout=0.001)
        async with aclosing(model.stream(HELLO, max_tokens=3000, timeout=30)) as pieces:
            await anext(pieces)
        engine = model._loaded().result()
        assert not engine._receivers
        assert not engine._steered.by_request

    asyncio.run(run())
    assert asyncio.run(gather(model))


def test_an_adapter_is_heard(model: TransformersLanguageModel, folder: Path, adapter: Path) -> None:
    adapted = TransformersLanguageModel(adapter)
    try:
        assert (adapted.name, adapted.parent) == ("shop-voice", folder.name)
        chosen = asyncio.run(adapted.choose([HELLO], ["Yes", "No"], timeout=60))
        said = asyncio.run(gather(adapted))
    finally:
        adapted.close()
    base = asyncio.run(model.choose([HELLO], ["Yes", "No"], timeout=30))
    assert np.abs(chosen - base).max() > 0.01
    assert text_of(said) != text_of(asyncio.run(gather(model)))


def test_closing_breaks_off_and_is_final(folder: Path) -> None:
    model = TransformersLanguageModel(folder)

    async def run() -> None:
        pieces = model.stream(HELLO, max_tokens=3000, timeout=60)
        await anext(pieces)
        await asyncio.to_thread(model.close)
        with pytest.raises(EngineFailed):
            async for _ in pieces:
                pass

    asyncio.run(run())
    model.close()
    assert not model.ready
    with pytest.raises(EngineFailed, match="closed"):
        asyncio.run(gather(model))


def test_an_engine_that_breaks_is_started_anew(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = TransformersLanguageModel(folder)
    engine = model._loaded().result(timeout=60)

    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("the network fell over")

    monkeypatch.setattr(engine._model, "forward", broken)
    try:
        with pytest.raises(EngineFailed, match="fell over"):
            asyncio.run(gather(model))
        assert model._thread is not None
        model._thread.join(timeout=10)
        assert not model.ready
        assert text_of(asyncio.run(gather(model)))
    finally:
        model.close()


def test_a_full_line_turns_the_next_one_away(folder: Path) -> None:
    model = TransformersLanguageModel(folder, max_waiting=0)
    with pytest.raises(Overloaded):
        asyncio.run(gather(model))
    with pytest.raises(Overloaded):
        asyncio.run(model.choose([HELLO], ["Yes", "No"], timeout=1))
    model.close()


def test_weights_that_are_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(MissingExtra, match="make setup"):
        TransformersLanguageModel(tmp_path / "none")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(MissingExtra, match="hf download nobody/nothing"):
        TransformersLanguageModel("nobody/nothing")


def test_an_adapter_whose_base_is_not_there(tmp_path: Path) -> None:
    (tmp_path / "adapter_config.json").write_text(json.dumps({"base_model_name_or_path": "/nowhere/base"}))
    with pytest.raises(MissingExtra, match="/nowhere/base"):
        TransformersLanguageModel(tmp_path)


def test_damaged_weights_are_the_engines_failure(folder: Path, tmp_path: Path) -> None:
    for name in ("config.json", "tokenizer.json", "tokenizer_config.json"):
        (tmp_path / name).write_bytes((folder / name).read_bytes())
    (tmp_path / "model.safetensors").write_bytes(b"not really")
    model = TransformersLanguageModel(tmp_path)
    for _ in range(2):
        with pytest.raises(EngineFailed, match="cannot be loaded"):
            asyncio.run(gather(model))
    assert not model.ready
    model.close()


def test_models_are_read_one_after_another(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from transformers import AutoModelForCausalLM

    read, inside, most = AutoModelForCausalLM.from_pretrained, 0, 0

    def slowly(*args: Any, **more: Any) -> Any:
        nonlocal inside, most
        inside, most = inside + 1, max(most, inside + 1)
        time.sleep(0.2)
        network = read(*args, **more)
        inside -= 1
        return network

    monkeypatch.setattr(AutoModelForCausalLM, "from_pretrained", slowly)
    models = [TransformersLanguageModel(folder) for _ in range(3)]
    for load in [model.warm() for model in models]:
        load.result(timeout=60)
    for model in models:
        model.close()
    assert most == 1
