"""How a LoRA job learns: typed settings, with a base and overrides from a TOML file and from `name=value`.

    rank = 8                     # for every kind
    [encoder]
    temperature = 0.02           # for one of them

Later ones win: the defaults, then what `preset` stands for, then the file, then the assignments. A name or value that
is wrong is refused with the known ones. Defaults finish in minutes on two cores with the embedded weights.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Literal, TypeVar, cast, get_args

from pydantic import Field, TypeAdapter, ValidationError

from tasteline.errors import InvalidInput, NotFound

Kind = Literal["encoder", "reranker", "llm"]
Preset = Literal["cpu", "gpu"]
Positive = Annotated[float, Field(gt=0)]
Count = Annotated[int, Field(ge=1)]


@dataclass(frozen=True, slots=True, kw_only=True)
class LoraSettings:
    """What is set for every kind of model."""

    preset: Preset = "cpu"
    """What the other defaults are made for: "cpu" a few cores, "gpu" one GPU or several."""
    processes: Count = 1
    """On this machine, started by accelerate; with GPUs one for each."""
    workers: Annotated[int, Field(ge=0)] = 0
    """Of Ray Train, on the nodes of a cluster; 0: this machine."""
    device: Literal["auto", "cpu", "gpu"] = "auto"
    """auto: the GPU where there is one."""
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    """Of the forward pass; weights that learn are always float32. auto: bfloat16 where the device computes in it."""

    rank: Count = 16
    alpha: Positive = 32.0
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Of what goes into the adapter. None: few weights learn for a short time, and the mask costs a tenth of a step."""
    targets: tuple[str, ...] = ()
    """Names of linear modules that get an adapter; empty: what is known for the architecture."""

    learning_rate: Positive = 5e-4
    warmup: Annotated[float, Field(ge=0, lt=1)] = 0.1
    """Share of the steps over which the rate rises."""
    schedule: Literal["linear", "cosine", "constant_with_warmup"] = "linear"
    weight_decay: Annotated[float, Field(ge=0)] = 0.0
    clip: Positive = 1.0
    """Largest norm of a step's gradient."""
    epochs: Count = 1
    """At most."""
    minutes: Positive | None = None
    """Of learning, at most, over all sittings. The rate falls as if there were no limit. Where it cuts in, the result
    depends on the speed of the machine."""
    patience: Count = 2
    """Measurements (one after each epoch) without a better one until it stops."""
    batch: Count = 32
    """Examples in a step, over all processes."""

    batch_tokens: Count = 2_048
    """In one forward pass, padding included. A step with more is computed in several, by which nothing changes but the
    memory it takes."""
    max_length: Count | None = None
    """Tokens of an example, at most; None: the model's window."""
    gradient_checkpointing: bool = False
    """Less memory for a third more time."""
    seed: Annotated[int, Field(ge=0)] = 0
    checkpoint_seconds: Annotated[float, Field(ge=0)] = 120.0


@dataclass(frozen=True, slots=True, kw_only=True)
class EncoderSettings(LoraSettings):
    """A bi-encoder."""

    temperature: Positive = 0.05
    """Cosines are divided by it. 0.05 is what the published MiniLM was trained with."""
    symmetric: bool = False
    """Whether products also look for their question."""
    negatives: Annotated[int, Field(ge=0)] = 2
    """Of those that a question names, the first so many."""
    graph_tokens: Count = 16_384
    """As in `RerankerSettings`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RerankerSettings(LoraSettings):
    """A cross-encoder."""

    loss: Literal["listwise", "pointwise"] = "listwise"
    """listwise: softmax over a question's products; pointwise: each product alone, yes or no."""
    negatives: Count = 5
    batch: Count = 16
    graph_tokens: Count = 16_384
    """Of a step, of which all activations are kept (some 170 kB each in MiniLM); a step with more computes its forward
    pass twice."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LlmSettings(LoraSettings):
    """A causal language model."""

    patience: Count = 1
    batch: Count = 16
    batch_tokens: Count = 2_048
    """A token's activations take a megabyte in SmolLM2-135M. What rows begin with alike counts once."""
    max_length: Count | None = 1_024


S = TypeVar("S", bound=LoraSettings)

KINDS: Mapping[Kind, type[LoraSettings]] = MappingProxyType(
    {"encoder": EncoderSettings, "reranker": RerankerSettings, "llm": LlmSettings}
)
PRESETS: Mapping[Preset, Mapping[str, object]] = MappingProxyType(
    {
        "cpu": {},
        # A GPU is idle on the batches of a CPU: more in a forward pass, more in a step, and a faster rate for that.
        "gpu": {
            "device": "gpu",
            "batch_tokens": 65_536,
            "graph_tokens": 262_144,
            "batch": 128,
            "learning_rate": 1e-3,
            "epochs": 3,
        },
    }
)
_LISTED = ("targets",)
"""Settings that are a list; `name=value` writes it with commas."""


def read_settings(base: S, file: Path | None = None, assignments: Sequence[str] = ()) -> S:
    """`base` with what the file and the assignments ("rank=8") override.

    Raises NotFound for a file that is missing, InvalidInput for one that is no TOML, a name that does not exist, and a
    value of the wrong type or out of range.

    >>> read_settings(LlmSettings(), assignments=["rank=8", "targets=q_proj,v_proj"]).targets
    ('q_proj', 'v_proj')
    """
    given = {**(_of_file(type(base), file) if file else {}), **_assigned(type(base), assignments)}
    preset = given.get("preset", base.preset)
    if preset not in PRESETS:
        raise InvalidInput(f"there is no preset {preset!r}; there are {', '.join(PRESETS)}", field="preset")
    known = _names(type(base))
    meant = {name: value for name, value in PRESETS[cast(Preset, preset)].items() if name in known}
    chosen = {**({} if preset == base.preset else meant), **given}
    try:
        checked = TypeAdapter(type(base)).validate_python({**asdict(base), **chosen})
    except ValidationError as error:
        first = error.errors()[0]
        name = str(first["loc"][0])
        raise InvalidInput(f"{name} = {first['input']!r}: {first['msg']}", field=name) from error
    return replace(base, **{name: getattr(checked, name) for name in chosen})


def _of_file(kind: type[LoraSettings], file: Path) -> dict[str, object]:
    """What a file says for one kind. What it says for the others is checked as well: a slip there is none of theirs."""
    try:
        content = tomllib.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise NotFound(f"there is no file of settings at {file}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InvalidInput(f"{file} is not TOML: {error}") from error
    tables = {name: table for name, table in content.items() if isinstance(table, dict)}
    for name, table in tables.items():
        if name not in KINDS:
            raise InvalidInput(f"{file}: there is no kind [{name}]; there are {', '.join(get_args(Kind))}", field=name)
        _require(KINDS[cast(Kind, name)], table, f"{file}, [{name}]")
    shared = {name: value for name, value in content.items() if name not in tables}
    _require(LoraSettings, shared, str(file))
    own = next((tables.get(name, {}) for name, settings in KINDS.items() if settings is kind), {})
    return {**shared, **own}


def _assigned(kind: type[LoraSettings], assignments: Sequence[str]) -> dict[str, object]:
    given: dict[str, object] = {}
    for each in assignments:
        name, equals, value = each.partition("=")
        if not equals:
            raise InvalidInput(f"{each!r} is no setting; write name=value", field=name)
        name, value = name.strip(), value.strip()
        _require(kind, {name: value}, each)
        given[name] = tuple(part.strip() for part in value.split(",") if part.strip()) if name in _LISTED else value
        if value.casefold() == "none":
            given[name] = None
    return given


def _require(kind: type[LoraSettings], given: Mapping[str, object], where: str) -> None:
    for name in given:
        if name not in _names(kind):
            known = ", ".join(_names(kind))
            raise InvalidInput(f"{where}: there is no setting {name!r}; there are {known}", field=name)


def _names(kind: type[LoraSettings]) -> list[str]:
    return [field.name for field in fields(kind)]
