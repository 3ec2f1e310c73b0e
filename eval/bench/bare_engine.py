"""A language model with nothing around it: what an engine gives to the same prompts without this service.

`python -m eval.bench.bare_engine` reads a task as JSON from standard input: the prompts (chat messages), how many of
them are under way at once, the tokens of an answer, and either the URL of an OpenAI-compatible server or the folder of
an OpenVINO model, which is then run here with OpenVINO GenAI's own batching and none of our code. It writes the
milliseconds from the request to the first and to the last token of each answer.
"""

from __future__ import annotations

import asyncio
import json
import sys
from dataclasses import asdict, dataclass
from time import perf_counter
from typing import Any

Messages = list[dict[str, str]]


@dataclass(frozen=True, slots=True)
class Timed:
    first_ms: float
    complete_ms: float


@dataclass(frozen=True, slots=True)
class Task:
    prompts: list[Messages]
    """The first `warm_up` of them do not count."""
    warm_up: int
    clients: int
    max_tokens: int
    url: str = ""
    model: str = ""
    folder: str = ""
    threads: int = 1


def run_openvino(task: Task) -> list[Timed]:
    """The prompts through a ContinuousBatchingPipeline, `clients` of them at a time."""
    import openvino_genai as engine

    scheduling = engine.SchedulerConfig()
    scheduling.enable_prefix_caching = True
    scheduling.cache_size = 1
    pipeline = engine.ContinuousBatchingPipeline(
        task.folder, scheduling, "CPU", {"INFERENCE_NUM_THREADS": task.threads}
    )
    tokenizer, config = pipeline.get_tokenizer(), pipeline.get_config()
    config.max_new_tokens, config.do_sample, config.apply_chat_template = task.max_tokens, False, False

    def finish(prompts: list[Messages], clients: int) -> list[Timed]:
        waiting = list(enumerate(prompts))[::-1]
        running: dict[int, tuple[Any, float, float | None]] = {}
        done: list[Timed] = []
        while waiting or running:
            while waiting and len(running) < clients:
                number, messages = waiting.pop()
                sent = perf_counter()
                text = tokenizer.apply_chat_template(messages, add_generation_prompt=True)
                running[number] = (pipeline.add_request(number, text, config), sent, None)
            pipeline.step()
            now = perf_counter()
            for number, (handle, sent, first) in list(running.items()):
                if handle.can_read():
                    handle.read()
                    running[number] = (handle, sent, first or now)
                if handle.get_status() != engine.GenerationStatus.RUNNING:
                    del running[number]
                    done.append(Timed(1000 * ((first or now) - sent), 1000 * (now - sent)))
        return done

    finish(task.prompts[: task.warm_up], task.clients)
    return finish(task.prompts[task.warm_up :], task.clients)


async def run_server(task: Task) -> list[Timed]:
    """The prompts to a server that speaks OpenAI's protocol, by its official client."""
    from openai import AsyncOpenAI

    client = AsyncOpenAI(base_url=task.url, api_key="none", max_retries=0)
    waiting = list(task.prompts)
    done: list[Timed] = []

    async def one_client(left: list[Messages], timings: list[Timed]) -> None:
        while left:
            messages = left.pop(0)
            sent, first = perf_counter(), 0.0
            stream: Any = await client.chat.completions.create(
                model=task.model,
                messages=messages,  # type: ignore[arg-type]
                max_tokens=task.max_tokens,
                temperature=0,
                stream=True,
            )
            async for chunk in stream:
                if chunk.choices and chunk.choices[0].delta.content and not first:
                    first = perf_counter()
            timings.append(Timed(1000 * (first - sent), 1000 * (perf_counter() - sent)))

    warming, waiting = waiting[: task.warm_up], waiting[task.warm_up :]
    for part, timings in ((warming, []), (waiting, done)):
        await asyncio.gather(*(one_client(part, timings) for _ in range(task.clients)))
    await client.close()
    return done


def _main() -> None:
    task = Task(**json.load(sys.stdin))
    timings = asyncio.run(run_server(task)) if task.url else run_openvino(task)
    sys.stdout.write(json.dumps([asdict(timed) for timed in timings]))


if __name__ == "__main__":
    _main()
