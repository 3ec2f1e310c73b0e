"""Talk: `POST /v1/chat/completions` and `GET /v1/models`, as the OpenAI clients expect them, facts in `tasteline`."""

from __future__ import annotations

import secrets
import time
from collections.abc import AsyncIterator
from typing import Any

import orjson
from fastapi import APIRouter, Response
from sse_starlette import EventSourceResponse, ServerSentEvent

from app.agent.pipeline import Answer, ChatTurn
from app.routes.dependencies import PROBLEMS, TheShop, within_limit
from app.schemas import (
    ChatDetails,
    ChatRequest,
    InterestModel,
    RankedProductModel,
    RankingResponse,
    UnderstoodModel,
)
from app.shop import Shop
from tasteline.errors import InvalidInput

router = APIRouter(prefix="/v1", tags=["chat"], responses=PROBLEMS)
REPLAYED = 8
"""Earlier messages of a client that sends the whole history instead of a conversation id."""


@router.get("/models", summary="The models that answer")
async def models(shop: TheShop) -> dict[str, object]:
    listed: list[dict[str, object]] = [{"id": "tasteline", "object": "model", "created": 0, "owned_by": "tasteline"}]
    if shop.language_model is not None:
        listed.append({"id": shop.language_model.name, "object": "model", "created": 0, "owned_by": "tasteline"})
    return {"object": "list", "data": listed}


@router.post("/chat/completions", summary="Talk to the assistant")
async def chat(request: ChatRequest, shop: TheShop) -> Response:
    """OpenAI chat completions. The conversation is kept here: send its id, or the whole history."""
    turn = await _turn(request, shop)
    found = await shop.assistant.answer(turn)
    if found.ranking is not None:
        shop.rankings.append((found.ranking, turn.user_id))
    if request.stream:
        usage = bool(request.stream_options and request.stream_options.include_usage)
        return EventSourceResponse(_streamed(request.model, turn, found, shop, usage))
    text = "".join([piece async for piece in shop.assistant.speak(turn, found)])
    completion = _envelope("chat.completion", request.model) | {
        "choices": [
            {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop", "logprobs": None}
        ],
        "usage": _usage(request, text),
        "tasteline": _details(turn, found).model_dump(mode="json"),
    }
    return Response(orjson.dumps(completion), media_type="application/json")


async def _turn(request: ChatRequest, shop: Shop) -> ChatTurn:
    """The last message, in its conversation; a history without an id is lived through again first."""
    said = [message.text().strip() for message in request.messages if message.role == "user"]
    if not said or request.messages[-1].role != "user" or not said[-1]:
        raise InvalidInput("The last message must be the user's, with some text.", field="messages")
    for text in said:
        within_limit(text, shop)
    options = request.tasteline
    conversation = options.conversation_id or secrets.token_hex(16)
    user = options.user_id or request.user
    if options.conversation_id is None:
        for text in said[:-1][-REPLAYED:]:
            await shop.assistant.relive(ChatTurn(text, conversation, user, options.session_id))
    return ChatTurn(said[-1], conversation, user, options.session_id, tuple(options.ignore))


async def _streamed(
    model: str, turn: ChatTurn, found: Answer, shop: Shop, usage: bool
) -> AsyncIterator[ServerSentEvent]:
    """Products first, then the words, then what is known only afterwards."""
    envelope = _envelope("chat.completion.chunk", model)
    yield _chunk(envelope, {"role": "assistant", "content": ""}, _details(turn, found))
    text = ""
    async for piece in shop.assistant.speak(turn, found):
        text += piece
        yield _chunk(envelope, {"content": piece})
    yield _chunk(envelope, {}, _details(turn, found), finish="stop")
    if usage:
        counted = envelope | {"choices": [], "usage": _counted(turn.text, text)}
        yield ServerSentEvent(data=orjson.dumps(counted).decode())
    yield ServerSentEvent(data="[DONE]")


def _envelope(kind: str, model: str) -> dict[str, Any]:
    return {"id": f"chatcmpl-{secrets.token_hex(12)}", "object": kind, "created": int(time.time()), "model": model}


def _chunk(
    envelope: dict[str, Any], delta: dict[str, str], details: ChatDetails | None = None, finish: str | None = None
) -> ServerSentEvent:
    body = envelope | {"choices": [{"index": 0, "delta": delta, "finish_reason": finish, "logprobs": None}]}
    if details is not None:
        body["tasteline"] = details.model_dump(mode="json")
    return ServerSentEvent(data=orjson.dumps(body).decode())


def _details(turn: ChatTurn, found: Answer) -> ChatDetails:
    ranking = RankingResponse.of(found.ranking) if found.ranking else None
    return ChatDetails.model_construct(
        conversation_id=turn.conversation_id,
        ranking_id=ranking.ranking_id if ranking else None,
        products=[RankedProductModel.of(item) for item in found.facts.products],
        understood=UnderstoodModel.of(found.ranking.understood) if found.ranking and found.ranking.understood else None,
        relaxations=ranking.relaxations if ranking else [],
        interests=[InterestModel.of(interest) for interest in found.interests],
        follow_ups=list(found.follow_ups),
        engine=found.engine,
        degraded=list(found.degraded),
        trace=found.trace,
    )


def _usage(request: ChatRequest, text: str) -> dict[str, int]:
    return _counted(" ".join(message.text() for message in request.messages), text)


def _counted(prompt: str, text: str) -> dict[str, int]:
    """Words, not tokens: the templates have no tokeniser. Clients want the field to be there."""
    asked, said = len(prompt.split()), len(text.split())
    return {"prompt_tokens": asked, "completion_tokens": said, "total_tokens": asked + said}
