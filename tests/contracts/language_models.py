"""How each language model is made for the contract suite, and the script of the one that has no mind of its own."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from app.llm.live import LiveLanguageModel
from app.llm.openvino_genai import OpenVinoLanguageModel
from app.llm.scripted import ScriptedLanguageModel
from retrieval.adapters.weights import language_model_path
from tasteline.errors import MissingExtra
from tasteline.ports import LanguageModel
from tasteline.types import ChatMessage

LOADING_SECONDS = 250
STORY = (
    ChatMessage("system", "You tell long stories."),
    ChatMessage("user", "Tell me a long story about a dog and a cat."),
)
THINGS = ("elephant", "bicycle", "volcano", "teapot", "violin", "snowman", "submarine", "tomato")
CAT = (ChatMessage("user", "Which is an animal, a cat or a stone? Answer with one word."),)
ANIMAL, NOT = ["Cat", "Stone"], ["Stone", "Cat"]
"""Labels of it. "Is a cat an animal?" is a tie to a model of 135M parameters."""
SPELLING = "Repeat this: "


def describing(thing: str) -> tuple[ChatMessage, ...]:
    return (ChatMessage("user", f"Write one sentence about the word {thing}."),)


SCHEMAS: dict[str, tuple[tuple[ChatMessage, ...], str]] = {
    "flat": (
        (
            ChatMessage(
                "user", 'Three blue cups, as JSON like {"colour": "red", "count": 7}. Only the JSON, on one line.'
            ),
        ),
        """{"type": "object", "properties": {"colour": {"enum": ["red", "blue"]},
        "count": {"type": "integer", "minimum": 0, "maximum": 99}},
        "required": ["colour", "count"], "additionalProperties": false}""",
    ),
    "nested": (
        (
            ChatMessage(
                "user",
                'Two words and their length, as JSON like {"words": [{"text": "tea", "length": 3}, {"text": "cup", '
                '"length": 3}]}. Only the JSON, on one line.',
            ),
        ),
        """{"type": "object", "properties": {"words": {"type": "array", "minItems": 1, "maxItems": 2, "items":
        {"type": "object", "properties": {"text": {"type": "string", "maxLength": 12},
        "length": {"type": "integer", "minimum": 0, "maximum": 99}},
        "required": ["text", "length"], "additionalProperties": false}}},
        "required": ["words"], "additionalProperties": false}""",
    ),
}


def scripted_reply(messages: Sequence[ChatMessage]) -> str:
    asked = messages[-1].content
    if asked == CAT[0].content:
        return "Cat"
    if "cups" in asked:
        return '{"colour": "blue", "count": 3}'
    if "length" in asked:
        return '{"words": [{"text": "tea", "length": 3}]}'
    thing = next((thing for thing in THINGS if thing in asked), None)
    return f"The {thing} is a fine thing to have, as every {thing} is." if thing else "A dog met a cat. " * 400


def make_scripted(request: pytest.FixtureRequest, cache: Path, max_waiting: int) -> LanguageModel:
    return ScriptedLanguageModel(scripted_reply, delay=0.002, max_waiting=max_waiting)


def make_live(request: pytest.FixtureRequest, cache: Path, max_waiting: int) -> LanguageModel:
    model = LiveLanguageModel()
    model.exchange(make_scripted(request, cache, max_waiting))
    return model


def make_openvino(request: pytest.FixtureRequest, cache: Path, max_waiting: int) -> LanguageModel:
    return OpenVinoLanguageModel(embedded_weights(), cache, max_waiting=max_waiting)


def make_transformers(request: pytest.FixtureRequest, cache: Path, max_waiting: int) -> LanguageModel:
    embedded_weights()
    weights = importlib.import_module("retrieval.adapters.weights")
    engine = of_module("app.llm.transformers_local", "TransformersLanguageModel")
    return engine(weights.language_model_folder("embedded", cache), max_waiting=max_waiting)


def make_openai(request: pytest.FixtureRequest, cache: Path, max_waiting: int) -> LanguageModel:
    engine = of_module("app.llm.openai_protocol", "OpenAiLanguageModel")
    try:
        server = request.getfixturevalue("vllm_server")
    except pytest.FixtureLookupError:
        pytest.skip("there is no fixture that starts a vLLM server")
    return engine(server.url, server.model, max_waiting=max_waiting)


ENGINES: dict[str, Callable[[pytest.FixtureRequest, Path, int], LanguageModel]] = {
    "scripted": make_scripted,
    "live": make_live,
    "openvino": make_openvino,
    "transformers": make_transformers,
    "openai": make_openai,
}


def embedded_weights() -> Path:
    try:
        return Path(language_model_path("embedded"))
    except MissingExtra as error:
        pytest.skip(str(error))


def warmed(model: LanguageModel) -> LanguageModel:
    """Loaded, where it has anything to load."""
    warm = getattr(model, "warm", None)
    if warm is not None:
        warm().result(timeout=LOADING_SECONDS)
    return model


def of_module(module: str, name: str) -> Callable[..., LanguageModel]:
    if importlib.util.find_spec(module) is None:
        pytest.skip(f"there is no module {module}")
    made: Callable[..., LanguageModel] = getattr(importlib.import_module(module), name)
    return made
