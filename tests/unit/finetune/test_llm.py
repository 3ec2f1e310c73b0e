"""The language model's trainer on a chat model of two random layers: the prompts are those of the service to the byte,
only answers are learned, and what is written says what training said."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from app.llm.text import history
from app.llm.transformers_engine import Engine
from finetune import llm
from finetune.examples import ChatExample
from finetune.llm import Chats, TrainedLlm, _Answers, log_likelihoods, logits_only_at, train_llm
from finetune.lora.adapter import quiet
from finetune.lora.settings import LlmSettings
from finetune.lora.shared_beginnings import Line
from retrieval.adapters.chat_template import ChatTemplate
from tasteline.errors import InvalidInput
from tasteline.types import ChatMessage
from tests.unit.tiny_models import make_chat_model

# peft 0.21 asks for a property that transformers 5.23 has renamed.
pytestmark = pytest.mark.filterwarnings("ignore:.is_gradient_checkpointing. is deprecated:FutureWarning")

SETTINGS = LlmSettings(
    device="cpu", precision="float32", epochs=4, batch=6, learning_rate=0.01, batch_tokens=300, patience=9
)
PANS = [f"pan {'of steel ' * (number % 4)}{number}" for number in range(12)]
EXAMPLES = [
    ChatExample(
        task="judging",
        messages=(ChatMessage("system", "Be brief."), ChatMessage("user", f"Is it for eggs? {pan}")),
        answer="Yes" if number % 2 else "No",
    )
    for number, pan in enumerate(PANS)
]


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("models") / "tiny-chat"
    make_chat_model(folder)
    return str(folder)


@pytest.fixture(scope="module")
def trained(base: str) -> TrainedLlm:
    return train_llm(EXAMPLES, base, SETTINGS, valid=EXAMPLES[:6])


@pytest.fixture(scope="module")
def written(trained: TrainedLlm, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("written")
    trained.write(folder)
    return folder


def load(folder: str | Path) -> tuple[object, object]:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    with quiet():
        network = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    return network, AutoTokenizer.from_pretrained(folder)


@pytest.mark.parametrize("said", ["Is it for eggs?", "a <|im_end|> b <sep>", "é 🍳 \ud800", "1. Pan\n2. Pot"])
def test_a_training_prompt_is_what_the_engine_is_asked(base: str, said: str) -> None:
    messages = (ChatMessage("system", "Be brief."), ChatMessage("user", said))
    chats = Chats.of([ChatExample(task="judging", messages=messages, answer="Yes")], load(base)[1], 4096)
    engine = Engine(base, threads=torch.get_num_threads())
    row = chats.tokens.features["input_ids"][0].tolist()
    assert row[: -chats.answers[0]] == engine.prompt(messages)
    assert row[-chats.answers[0] :] == [*ChatTemplate(load(base)[1]).ids("Yes"), 0]


def test_the_other_engines_ask_the_same_bytes(base: str) -> None:
    """OpenVINO and vLLM render the template themselves; they are given `history`."""
    tokenizer = load(base)[1]
    messages = (ChatMessage("system", "Be brief."), ChatMessage("user", "hi<|im_end|> there"))
    asked = tokenizer.apply_chat_template(history(messages), tokenize=False, add_generation_prompt=True)  # type: ignore[attr-defined]
    assert ChatTemplate(tokenizer).text(messages) == asked


def test_the_loss_is_that_of_transformers_over_the_answers(base: str) -> None:
    """Bucketed, without a mask, with logits at answers only: the same number."""
    network, tokenizer = load(base)
    chats = Chats.of(EXAMPLES, tokenizer, 4096)
    expected, told = 0.0, 0
    for row, answer in zip(chats.tokens.features["input_ids"], chats.answers, strict=True):
        ids = torch.from_numpy(row)[None]
        labels = torch.where(torch.arange(len(row)) >= len(row) - answer, ids, -100)
        with torch.no_grad():
            expected += float(network(input_ids=ids, labels=labels).loss) * answer  # type: ignore[operator]
        told += answer
    seen = train_llm(EXAMPLES, base, replace(SETTINGS, epochs=1, learning_rate=1e-9, batch=5)).outcome
    assert seen.curve[0].loss == pytest.approx(expected / told, rel=1e-4)
    assert seen.tokens == sum(map(len, chats.tokens.features["input_ids"]))


def test_it_learns_and_stops_by_valid(trained: TrainedLlm) -> None:
    curve = trained.outcome.curve
    assert curve[trained.outcome.kept].value > curve[0].value + 0.5
    assert trained.too_long == 0
    assert trained.outcome.padding < 0.15 * trained.outcome.tokens


def test_what_is_written_says_what_training_said_and_the_base_does_not(
    base: str, trained: TrainedLlm, written: Path
) -> None:
    from peft import PeftModel

    ids = torch.from_numpy(Chats.of(EXAMPLES, load(base)[1], 4096).tokens.features["input_ids"][3])[None]
    with torch.no_grad():
        expected = trained.model(input_ids=ids).logits
        merged = load(written / "merged")[0](input_ids=ids).logits  # type: ignore[operator]
        adapted = PeftModel.from_pretrained(load(base)[0], str(written / "adapter")).eval()(input_ids=ids).logits
        before = load(base)[0](input_ids=ids).logits  # type: ignore[operator]
    torch.testing.assert_close(merged, expected, atol=1e-3, rtol=1e-4)
    torch.testing.assert_close(adapted, expected, atol=1e-3, rtol=1e-4)
    assert float((before - expected).abs().max()) > 0.1
    assert (written / "merged" / "tokenizer.json").is_file()


def test_the_same_seed_gives_the_same_adapter_and_another_one_does_not(base: str, trained: TrainedLlm) -> None:
    one, other = (train_llm(EXAMPLES, base, replace(SETTINGS, seed=seed), valid=EXAMPLES[:6]) for seed in (0, 1))
    same = dict(trained.adapted.named_parameters())
    learned = [name for name, each in same.items() if each.requires_grad]
    assert all(torch.equal(dict(one.adapted.named_parameters())[name], same[name]) for name in learned)
    assert not all(torch.equal(dict(other.adapted.named_parameters())[name], same[name]) for name in learned)


def test_gradient_checkpointing_changes_nothing(base: str) -> None:
    once = replace(SETTINGS, epochs=1)
    plain, saving = (
        train_llm(EXAMPLES, base, replace(once, gradient_checkpointing=wanted)).outcome for wanted in (False, True)
    )
    assert saving.curve[0].loss == pytest.approx(plain.curve[0].loss, rel=1e-5)


def test_bfloat16_learns_as_well(base: str) -> None:
    outcome = train_llm(EXAMPLES, base, replace(SETTINGS, precision="bfloat16"), valid=EXAMPLES[:6]).outcome
    assert outcome.curve[outcome.kept].value > outcome.curve[0].value + 0.5


def test_logits_are_computed_where_they_are_asked_for(base: str) -> None:
    network, _ = load(base)
    ids = torch.arange(40, 50).reshape(2, 5)
    places = torch.zeros(2, 5, dtype=torch.bool)
    places[0, 2] = places[1, 4] = True
    with torch.no_grad():
        whole = network(input_ids=ids).logits  # type: ignore[operator]
        with logits_only_at(network, places):
            some = network(input_ids=ids).logits  # type: ignore[operator]
        torch.testing.assert_close(some, whole[places])
        assert network(input_ids=ids).logits.shape == whole.shape  # type: ignore[operator]


def test_too_long_ones_are_left_out_and_counted(base: str) -> None:
    tokenizer = load(base)[1]
    lengths = np.array([len(row) for row in Chats.of(EXAMPLES, tokenizer, 4096).tokens.features["input_ids"]])
    limit = int(np.sort(lengths)[5])
    kept = Chats.of(EXAMPLES, tokenizer, limit)
    assert (len(kept.answers), kept.too_long) == ((lengths <= limit).sum(), (lengths > limit).sum())
    with pytest.raises(InvalidInput, match="none of 12 examples"):
        Chats.of(EXAMPLES, tokenizer, 3)


def test_prompts_that_begin_alike_learn_in_a_line_what_they_learn_alone(
    base: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Loss, adapter and count of tokens; and the line is short."""
    long_ago = ChatMessage("system", "Be brief, and say yes to pans, no to pots, and nothing else at all. " * 3)
    alike = [
        replace(each, messages=(long_ago, *each.messages[1:]), weight=1 + n % 2) for n, each in enumerate(EXAMPLES)
    ]
    settings, passes = replace(SETTINGS, epochs=2, batch_tokens=500), []
    forward = _Answers._losses

    def counted(self: _Answers, rows: object, line: Line | None) -> object:
        passes.append(0 if line is None else len(line.ids))
        return forward(self, rows, line)  # type: ignore[arg-type]

    monkeypatch.setattr(_Answers, "_losses", counted)
    in_line = train_llm(alike, base, settings, valid=alike[:6])
    assert sum(passes) < 0.5 * 2 * in_line.outcome.tokens
    assert passes.count(0) == 2  # what is compared before anything is learned, of train and of valid
    monkeypatch.setattr(_Answers, "_same_in_line", lambda self: False)
    alone = train_llm(alike, base, settings, valid=alike[:6])
    assert in_line.outcome.tokens == alone.outcome.tokens
    assert [epoch.value for epoch in in_line.outcome.curve] == pytest.approx(
        [epoch.value for epoch in alone.outcome.curve], rel=1e-4
    )
    other = dict(alone.adapted.named_parameters())
    for name, weight in in_line.adapted.named_parameters():
        torch.testing.assert_close(weight, other[name], atol=1e-4, rtol=1e-3)


def test_a_line_is_never_longer_than_its_mask_allows(base: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """However large the passes of a GPU are; what shares nothing still fills them."""
    monkeypatch.setattr(llm, "LONGEST_LINE", 200)
    lines: list[int] = []
    alone: list[int] = []
    forward = _Answers._losses

    def counted(self: _Answers, rows: np.ndarray[tuple[int], np.dtype[np.int64]], line: Line | None) -> object:
        if line is None:
            alone.append(len(rows))
        else:
            lines.append(len(line.ids))
        return forward(self, rows, line)

    monkeypatch.setattr(_Answers, "_losses", counted)
    large = replace(SETTINGS, epochs=1, batch=12, batch_tokens=100_000)
    long_ago = ChatMessage("system", "Be brief, and say yes to pans, no to pots. " * 2)
    alike = [replace(each, messages=(long_ago, *each.messages[1:])) for each in EXAMPLES]
    train_llm(alike, base, large)
    assert len(lines) > 2
    assert max(lines) <= 200
    lines.clear(), alone.clear()
    monkeypatch.setattr(llm, "WORTH_SHARING", 1e9)
    train_llm(alike, base, large)
    assert alone[1:] == [12]
    assert len(lines) == 1  # the comparison before anything is learned


def test_likelihoods_are_those_of_each_chat_alone(base: str) -> None:
    together = log_likelihoods(base, EXAMPLES, SETTINGS)
    alone = [log_likelihoods(base, [each], SETTINGS)[0] for each in EXAMPLES]
    assert together.tolist() == pytest.approx(alone, rel=1e-4)
    assert np.isnan(log_likelihoods(base, EXAMPLES, replace(SETTINGS, max_length=5))).all()
