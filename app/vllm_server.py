"""A vLLM server on this machine: started in an environment of its own, warmed, checked, and ended with who started it.

Takes a `Plan`; gives a running `VllmServer` bound to loopback, which speaks OpenAI's protocol. vLLM's pins fight with
ours, so it lives in `.venv-vllm` (`make vllm`) and is only ever a process. Knows nothing of products or prompts; asks
the server through the same client as the service does.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from types import TracebackType
from typing import Literal

import httpx

from app.llm.openai_protocol import OpenAiLanguageModel
from retrieval.adapters.reranker_server import ServerReranker
from retrieval.model_card import ModelKind
from retrieval.registry import Entry, Registry
from tasteline.errors import EngineFailed, InvalidInput, MissingExtra
from tasteline.types import ChatMessage

ROOT = Path(__file__).parents[1]
KEEPER = Path(__file__).with_name("keeper.py")
HOST = "127.0.0.1"
ADAPTER, MERGED = "adapter", "merged"
"""In the folder of a trained model: what was learned alone, and laid into its base."""
START_SECONDS = 600.0
"""For loading and compiling; an 8B model from a slow disk takes minutes."""
WARM_SECONDS = 300.0
"""For one of the first requests: each shape compiles something (34 s for the very first on 2 cores)."""
LORA_RANKS = (8, 16, 32, 64, 128, 256, 320, 512)
"""Largest ranks that vLLM takes (`vllm.config.lora.MaxLoRARanks`)."""
LOG_LINES = 12
"""Of the log, shown when the server died."""
CPU_CACHE_GB = "2"
"""Keys and values on a CPU: some 90,000 tokens of the embedded model."""
_SCHEMA = '{"type":"object","properties":{"city":{"type":"string"}},"required":["city"],"additionalProperties":false}'
_STEADY = "You answer in one short sentence. "
"""Repeated to a prompt of the length that the assistant's have."""

Device = Literal["cpu", "cuda"]
Task = Literal["generate", "score"]
"""What a server is for: language models, or a cross-encoder whose `/v1/score` reranks."""
_SETTINGS: Mapping[Task, str] = {
    "generate": "TASTELINE_LANGUAGE_MODEL=openai TASTELINE_LANGUAGE_MODEL_URL={url}",
    "score": "TASTELINE_RERANKER=server TASTELINE_RERANKER_URL={url}",
}
_DOORS = ("VLLM_ALLOW_RUNTIME_LORA_UPDATING", "VLLM_LORA_RESOLVER_CACHE_DIR")
"""By which whoever reaches the server could have it load an adapter: never opened, whatever we inherit."""


@dataclass(frozen=True, slots=True)
class Golden:
    """A question whose greedy answer is known: a server that is wired wrongly (weights, template) misses it.

    Not the usual France: in the embedded model its first token leads by 1.3 to 1, which the rounding of another kernel
    turns over ("L'Étoile…"); Japan's lead by 15 to 1 or more throughout, measured with transformers in bfloat16.
    """

    question: str = "What is the capital of Japan?"
    expected: str = "Tokyo"
    """Must occur in the answer; empty: not asked."""


@dataclass(frozen=True, slots=True)
class Plan:
    model: str
    """A folder or a hub id."""
    python: Path
    """Of the environment that has vLLM."""
    home: Path
    """Log and caches go below it."""
    port: int = 8081
    """0: a free one."""
    adapters: Mapping[str, Path] = field(default_factory=dict)
    """LoRA adapters by the name to serve them under."""
    max_model_len: int = 4096
    """Tokens of prompt and answer together."""
    api_key: str | None = None
    golden: Golden = field(default_factory=Golden)
    served_name: str | None = None
    """Of a model whose folder's name says nothing."""
    task: Task = "generate"

    @property
    def name(self) -> str:
        """As the server lists the base model: the folder's name, or the hub id."""
        if self.served_name is not None:
            return self.served_name
        return Path(self.model).name if Path(self.model).is_dir() else self.model

    @property
    def log(self) -> Path:
        return self.home / "logs" / "vllm.log"


@dataclass(frozen=True, slots=True)
class Warmth:
    """What starting took, in seconds, and what the golden question was answered with (None: not asked)."""

    start_seconds: float
    warm_seconds: float
    golden_answer: str | None


def python_of(path: Path | None) -> Path:
    """The interpreter that has vLLM: `path`, or the one that `make vllm` makes. Raises MissingExtra."""
    python = path or ROOT / ".venv-vllm" / "bin" / "python"
    if not python.exists():
        raise MissingExtra(f"There is no environment with vLLM at {python}.", remedy="make vllm")
    return python.absolute()  # not resolved: the link is what makes it that environment's


def device_here() -> Device:
    return "cuda" if shutil.which("nvidia-smi") else "cpu"


def adapters_of(given: Sequence[str], registry: Registry) -> dict[str, Path]:
    """Ids of trained language models (or how they begin), which are served under them, and NAME=FOLDER pairs.

    Raises InvalidInput, NotFound and ModelDamaged.
    """
    adapters: dict[str, Path] = {}
    for wanted in given:
        name, equals, folder = wanted.partition("=")
        if not equals:
            entry = _trained(registry, wanted, "llm")
            name, folder = entry.id, str(entry.folder / ADAPTER)
        if not (name and folder) or name in adapters:
            raise InvalidInput(f"“{wanted}” is no id and no NAME=FOLDER, or its name is there twice.", field="adapter")
        if not (Path(folder) / "adapter_config.json").is_file():
            raise InvalidInput(f"There is no adapter (adapter_config.json) in {folder}.", field="adapter")
        adapters[name] = Path(folder).resolve()
    return adapters


def trained_plan(plan: Plan, wanted: str, registry: Registry) -> Plan:
    """`plan` with the merged weights of a trained language model or reranker, served under its id.

    Raises InvalidInput, NotFound and ModelDamaged.
    """
    entry = _trained(registry, wanted, "llm", "reranker")
    if plan.adapters:
        raise InvalidInput(
            "Adapters stand on their base, not on merged weights: serve one or the other.", field="adapter"
        )
    reranks = entry.card.kind == "reranker"
    # A golden question is for who writes.
    changes: dict[str, object] = {"task": "score", "golden": Golden("", "")} if reranks else {}
    folder = str((entry.folder / MERGED).resolve())
    return replace(plan, model=folder, served_name=entry.id, **changes)  # type: ignore[arg-type]


def _trained(registry: Registry, wanted: str, *kinds: ModelKind) -> Entry:
    entry = registry.find(wanted)
    if entry.card.kind not in kinds:
        raise InvalidInput(f"{entry.id} is of the kind {entry.card.kind}; vLLM serves {' and '.join(kinds)} here.")
    registry.verify(entry)
    return entry


def free_port(port: int) -> int:
    """The port, or a free one for 0. Raises InvalidInput when somebody listens there."""
    with closing(socket.socket(socket.AF_INET, socket.SOCK_STREAM)) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # one just closed may be taken again
        try:
            probe.bind((HOST, port))
        except OSError as error:
            message = f"Port {port} is taken ({error.strerror}); choose another with --port."
            raise InvalidInput(message, field="port") from error
        return int(probe.getsockname()[1])


def command(plan: Plan, port: int, device: Device) -> list[str]:
    """What is run. The key is not in it: everybody on the machine can read a command line."""
    line = [str(plan.python), "-m", "vllm.entrypoints.openai.api_server"]
    line += ["--model", plan.model, "--served-model-name", plan.name, "--host", HOST, "--port", str(port)]
    line += ["--dtype", "bfloat16" if device == "cpu" else "auto"]
    if plan.task == "score":  # a BERT reads as much as it has positions for
        return [*line, "--runner", "pooling", "--disable-uvicorn-access-log"]
    line += ["--max-model-len", str(plan.max_model_len)]
    line += ["--enable-prefix-caching", "--enable-prompt-tokens-details"]  # and say how much of a prompt was cached
    line += ["--logprobs-mode", "processed_logprobs"]  # so that allowed tokens alone share the probability
    # Without it a small model fills an answer under a schema with blank lines up to its limit.
    line += ["--structured-outputs-config", '{"backend": "guidance", "disable_any_whitespace": true}']
    line += ["--disable-uvicorn-access-log"]
    if plan.adapters:
        rank = str(_largest_rank(plan.adapters.values()))
        line += ["--enable-lora", "--max-lora-rank", rank, "--max-loras", str(len(plan.adapters)), "--lora-modules"]
        line += [f"{name}={folder}" for name, folder in plan.adapters.items()]
    return line


def _largest_rank(adapters: Iterable[Path]) -> int:
    """The least that vLLM may be told for all of them: it has kernels for these, and holds memory for the largest."""
    configs = [json.loads((each / "adapter_config.json").read_text(encoding="utf-8")) for each in adapters]
    ranks = [int(config.get("r", 8)) for config in configs]  # PEFT's own default
    fitting = [rank for rank in LORA_RANKS if rank >= max(ranks)]
    if not fitting:
        raise InvalidInput(f"vLLM serves adapters up to a rank of {LORA_RANKS[-1]}, not {max(ranks)}", field="adapter")
    return fitting[0]


def environment(plan: Plan, device: Device, inherited: Mapping[str, str]) -> dict[str, str]:
    """Of the server's process: caches below the home, nothing told to anybody, the key."""
    caches = plan.home.resolve() / "vllm"
    made = {**inherited, "VLLM_NO_USAGE_STATS": "1", "DO_NOT_TRACK": "1"}
    made |= {"VLLM_CACHE_ROOT": str(caches), "TORCHINDUCTOR_CACHE_DIR": str(caches / "inductor")}
    for name in ("VIRTUAL_ENV", *_DOORS):
        made.pop(name, None)
    made["PATH"] = f"{plan.python.parent}{os.pathsep}{inherited.get('PATH', '')}"  # compilers look for ninja there
    if device == "cpu":
        made.setdefault("VLLM_CPU_KVCACHE_SPACE", CPU_CACHE_GB)
        # What 0.32 saves ahead of time it cannot load on a CPU, and compiles anew at each start: minutes for 20 s.
        made.setdefault("VLLM_USE_AOT_COMPILE", "0")
    if plan.api_key:
        made["VLLM_API_KEY"] = plan.api_key
    return made


class VllmServer:
    """A context manager: entering starts the process, leaving ends it and everything that it started."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.port = 0
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self.port}/v1"

    @property
    def process(self) -> subprocess.Popen[bytes]:
        """The keeper's. Raises EngineFailed before the start."""
        if self._process is None:
            raise EngineFailed("vLLM was not started.")
        return self._process

    def __enter__(self) -> VllmServer:
        self.port = free_port(self.plan.port)
        device = device_here()
        self.plan.log.parent.mkdir(parents=True, exist_ok=True)
        with self.plan.log.open("wb") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-I", str(KEEPER), *command(self.plan, self.port, device)],
                stdin=subprocess.PIPE,  # held open: its end tells the keeper that we are gone
                stdout=log,
                stderr=subprocess.STDOUT,
                env=environment(self.plan, device, os.environ),
                start_new_session=True,  # Ctrl-C is ours to pass on
            )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """Ends the server; may be called again."""
        if self._process is None:
            return
        if self._process.stdin is not None:
            with suppress(OSError):
                self._process.stdin.close()
        self._process.wait()  # the keeper kills what does not go by itself

    def alive(self) -> None:
        """Raises EngineFailed with the end of the log when the server has died."""
        code = self.process.poll()
        if code is not None:
            raise EngineFailed(f"vLLM ended with exit code {code}. The end of {self.plan.log}:\n{self._log_tail()}")

    def warm_up(self) -> Warmth:
        """Returns when the server answers every kind of request at full speed and gave the golden answer.

        Raises EngineFailed when it dies, takes too long or answers wrongly.
        """
        begun = time.monotonic()
        self._wait_for_health(begun + START_SECONDS)
        started = time.monotonic()
        if self.plan.task == "score":
            return Warmth(round(started - begun, 1), self._scored(started), None)
        for name in (self.plan.name, *self.plan.adapters):
            with closing(OpenAiLanguageModel(self.url, name, self.plan.api_key)) as model:
                asyncio.run(_try_every_shape(model))
        answer = self._golden_answer()
        return Warmth(round(started - begun, 1), round(time.monotonic() - started, 1), answer)

    def _scored(self, started: float) -> float:
        """Seconds until short and long pairs were scored, all at once."""
        with closing(ServerReranker(self.url, self.plan.name, self.plan.api_key)) as reranker:
            texts = ["a kettle", _STEADY * 20] * 8
            reranker.score(["kettle"] * len(texts), texts, timeout=WARM_SECONDS)
        return round(time.monotonic() - started, 1)

    def run(self) -> None:
        """Returns never by itself: raises EngineFailed when the server dies, KeyboardInterrupt when told to end."""
        while True:
            self.alive()
            time.sleep(0.5)

    def _wait_for_health(self, deadline: float) -> None:
        while time.monotonic() < deadline:
            self.alive()
            with suppress(httpx.HTTPError):
                if httpx.get(self.url.removesuffix("v1") + "health", timeout=5).status_code == httpx.codes.OK:
                    return
            time.sleep(0.5)
        raise EngineFailed(f"vLLM did not start within {START_SECONDS:g} s; see {self.plan.log}.")

    def _golden_answer(self) -> str | None:
        golden = self.plan.golden
        if not golden.expected:
            return None
        with closing(OpenAiLanguageModel(self.url, self.plan.name, self.plan.api_key)) as model:
            answer = asyncio.run(_answer(model, golden.question))
        if golden.expected.casefold() not in answer.casefold():
            raise EngineFailed(
                f"vLLM answered “{golden.question}” with “{answer}”, in which “{golden.expected}” does not occur: wrong"
                " weights or chat template, or a model that does not know (--expect '' skips this)."
            )
        return answer

    def _log_tail(self) -> str:
        with self.plan.log.open(encoding="utf-8", errors="replace") as log:
            return "".join(deque(log, maxlen=LOG_LINES)).rstrip()


def check(plan: Plan) -> dict[str, object]:
    """Starts, warms, asks and stops: what came of it, for a report. Raises EngineFailed."""
    with _ended_by_sigterm(), VllmServer(plan) as server:
        warmth = server.warm_up()
        return {"model": plan.name, "adapters": list(plan.adapters), "url": server.url, **asdict(warmth)}


def serve(plan: Plan, say: Callable[[str], object]) -> None:
    """Runs the server until SIGTERM or SIGINT; `say` gets a line once it is warm. Raises EngineFailed when it dies."""
    with suppress(KeyboardInterrupt), _ended_by_sigterm(), VllmServer(plan) as server:
        warmth = server.warm_up()
        say(
            f"tasteline: vLLM is warm after {warmth.start_seconds + warmth.warm_seconds:.0f} s; for the service set"
            f" {_SETTINGS[plan.task].format(url=server.url)}\n"
        )
        server.run()


@contextmanager
def _ended_by_sigterm() -> Generator[None, None, None]:
    """SIGTERM raises KeyboardInterrupt, as SIGINT does, so that the server is ended on the way out."""

    def end(*_: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


async def _try_every_shape(model: OpenAiLanguageModel) -> None:
    """Short, long, several at once, under a schema, one prefill: whatever would compile or load does it now."""
    question = (ChatMessage("user", "Name a city."),)
    long = (ChatMessage("system", _STEADY * 60), *question)
    await _drain(model, question)
    await _drain(model, long)
    await asyncio.gather(*(_drain(model, (ChatMessage("user", f"Name {number} cities."),)) for number in range(2, 6)))
    await _drain(model, question, _SCHEMA)
    await model.choose([question, long], ["yes", "no"], timeout=WARM_SECONDS)


async def _drain(model: OpenAiLanguageModel, messages: Sequence[ChatMessage], schema: str | None = None) -> str:
    pieces = model.stream(messages, max_tokens=16, timeout=WARM_SECONDS, schema=schema)
    return "".join([piece.text async for piece in pieces])


async def _answer(model: OpenAiLanguageModel, question: str) -> str:
    return (await _drain(model, (ChatMessage("user", question),))).strip()
