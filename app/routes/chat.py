"""Talk: `POST /v1/chat/completions` and `GET /v1/models`, as the OpenAI clients expect them, facts in `tasteline`."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import Any

import orjson
from fastapi import APIRouter, Depends, Request, Response
from sse_starlette import EventSourceResponse, ServerSentEvent

from app.agent.pipeline import Answer
from app.agent.situation import ChatTurn
from app.agent.voice import TEMPLATES
from app.routes.dependencies import PROBLEMS, TheShop, a_chat_place, unless_gone, within_limit
from app.schemas import (
    ChatDetails,
    ChatRequest,
    Completion,
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
REPLAY_SHARE = 0.25
"""Of the deadline."""
STREAMED = {
    "type": "object",
    "required": ["data"],
    "properties": {"data": {"type": "string", "description": "A chat.completion.chunk as JSON; at the end [DONE]."}},
}
"""Of each server-sent event."""
CLIENT_GONE = 499
"""Nobody reads it; it is for the log and the metrics, where proxies use the same number."""


@router.get("/models", summary="The models that answer")
async def models(shop: TheShop) -> dict[str, object]:
    listed: list[dict[str, object]] = [{"id": "tasteline", "object": "model", "created": 0, "owned_by": "tasteline"}]
    for engine in shop.language_models:
        entry = {"id": engine.name, "object": "model", "created": 0, "owned_by": "tasteline", "parent": engine.parent}
        listed.append(entry)
    return {"object": "list", "data": listed}


@router.post(
    "/chat/completions",
    response_model=Completion,
    responses={200: {"content": {"text/event-stream": {"schema": STREAMED}}}},
    dependencies=[Depends(a_chat_place)],
    summary="Talk to the assistant",
)
async def chat(request: ChatRequest, shop: TheShop, http: Request) -> Response:
    """OpenAI chat completions. The conversation is kept here: send its id, or the whole history.

    Beyond `TASTELINE_CHATS_AT_ONCE` conversations answered at the same time the next gets 429 with Retry-After.
    """
    turn, earlier = _turns(request, shop)
    if request.stream:
        found = await unless_gone(http, _answered(turn, earlier, shop))
        if found is None:
            return Response(status_code=CLIENT_GONE)
        usage = bool(request.stream_options and request.stream_options.include_usage)
        stream = _streamed(request.model, turn, found, shop, usage)
        return EventSourceResponse(stream, send_timeout=shop.settings.deadline_seconds)
    completion = await unless_gone(http, _completed(request, turn, earlier, shop))
    if completion is None:
        return Response(status_code=CLIENT_GONE)
    return Response(orjson.dumps(completion), media_type="application/json")


def _turns(request: ChatRequest, shop: Shop) -> tuple[ChatTurn, list[ChatTurn]]:
    """The last message, and those before it that its conversation does not know: a history without an id."""
    said = [message.text().strip() for message in request.messages if message.role == "user"]
    if not said or request.messages[-1].role != "user" or not said[-1]:
        raise InvalidInput("The last message must be the user's, with some text.", field="messages")
    for text in said:
        within_limit(text, shop)
    options = request.tasteline
    conversation = options.conversation_id or secrets.token_hex(16)
    user = options.user_id or request.user
    replayed = said[:-1][-REPLAYED:] if options.conversation_id is None else []
    earlier = [ChatTurn(text, conversation, user, options.session_id) for text in replayed]
    return ChatTurn(said[-1], conversation, user, options.session_id, tuple(options.ignore)), earlier


async def _answered(turn: ChatTurn, earlier: Sequence[ChatTurn], shop: Shop) -> Answer:
    """What the answer is about. A history that takes too long to live through again is left out, and that is said."""
    try:
        async with asyncio.timeout(REPLAY_SHARE * shop.settings.deadline_seconds):
            for before in earlier:
                await shop.assistant.relive(before)
        forgotten = False
    except TimeoutError:
        forgotten = True
    found = await shop.assistant.answer(turn)
    found.stages.degraded += ["history"] if forgotten else []
    if found.ranking is not None:
        shop.rankings.append((found.ranking, turn.user_id))
    return found


async def _completed(
    request: ChatRequest, turn: ChatTurn, earlier: Sequence[ChatTurn], shop: Shop
) -> dict[str, object]:
    found = await _answered(turn, earlier, shop)
    async with aclosing(shop.assistant.speak(turn, found)) as pieces:
        text = "".join([piece async for piece in pieces])
    return _envelope("chat.completion", request.model) | {
        "choices": [
            {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop", "logprobs": None}
        ],
        "usage": _usage(request, text),
        "tasteline": _details(turn, found, shop).model_dump(mode="json"),
    }


async def _streamed(
    model: str, turn: ChatTurn, found: Answer, shop: Shop, usage: bool
) -> AsyncGenerator[ServerSentEvent, None]:
    """Products first, then the words, then what is known only afterwards."""
    envelope = _envelope("chat.completion.chunk", model)
    yield _chunk(envelope, {"role": "assistant", "content": ""}, _details(turn, found, shop))
    text = ""
    async with aclosing(shop.assistant.speak(turn, found)) as pieces:
        async for piece in pieces:
            text += piece
            yield _chunk(envelope, {"content": piece})
    yield _chunk(envelope, {}, _details(turn, found, shop), finish="stop")
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


def _details(turn: ChatTurn, found: Answer, shop: Shop) -> ChatDetails:
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
        runtime="" if found.engine == TEMPLATES else shop.settings.language_model,
        degraded=list(found.stages.degraded),
        trace=found.stages.trace,
        heard=list(found.heard),
    )


def _usage(request: ChatRequest, text: str) -> dict[str, int]:
    return _counted(" ".join(message.text() for message in request.messages), text)


def _counted(prompt: str, text: str) -> dict[str, int]:
    """Words, not tokens: the templates have no tokeniser. Clients want the field to be there."""
    asked, said = len(prompt.split()), len(text.split())
    return {"prompt_tokens": asked, "completion_tokens": said, "total_tokens": asked + said}
