"""What a trained model says of itself: a card, as JSON for the program and as Markdown for people.

The card answers what was trained, on which data, by which code and settings, how long it took, and how good it was
beside its baselines. It knows nothing of folders and of which model is live: that is `retrieval.registry`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from datetime import UTC, datetime
from typing import Literal, get_args

from pydantic import AwareDatetime, TypeAdapter, ValidationError

from tasteline.errors import InvalidInput

ModelKind = Literal["next-item", "encoder", "reranker", "llm", "forecast", "offers"]
"""What a model does for the service; of each kind at most one is live."""
KINDS: tuple[ModelKind, ...] = get_args(ModelKind)
State = Literal["candidate", "live", "retired"]
"""candidate: never promoted; live: what the service uses; retired: was live once."""
Scalar = str | int | float | bool | None


@dataclass(frozen=True, slots=True)
class TrainingData:
    """What a model has learned from."""

    name: str
    checksum: str
    """Of the rows or files, so that equal data can be told from data of the same name."""
    users: int
    items: int
    events: int


@dataclass(frozen=True, slots=True)
class Comparison:
    """The model beside what was live when it was measured, case by case."""

    baseline: str
    """Id of that model; "" where none was."""
    metric: str
    difference: float
    """Of the means; above 0 the model is better."""
    low: float
    high: float
    """Ends of the 95 % interval of the difference."""
    p: float
    """Of a paired randomisation test."""

    @property
    def is_worse(self) -> bool:
        """Better or equal will do, as the means say: an interval that only just holds 0 is no leave to be behind."""
        return self.difference < 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelCard:
    """One trained model. Made by its trainer; `files` is filled in when the model is registered."""

    id: str
    """From `new_id`: sorts by time."""
    kind: ModelKind
    created: AwareDatetime
    """When training ended, in UTC."""
    data: TrainingData
    settings: Mapping[str, Scalar]
    """Everything that was chosen, flat."""
    metrics: Mapping[str, Mapping[str, float | None]]
    """Value by metric by system: the model's own row and its baselines'. None (NaN becomes it): undefined."""
    system: str
    """Which row of `metrics` is the model's own."""
    main_metric: str
    """Which column a reader looks at first, such as "ndcg@10"."""
    split: str
    """Which part of the data was measured: "valid" or "test"."""
    seconds: float
    """Of training."""
    seed: int
    machine: Mapping[str, str | int]
    """What `seconds` depends on: processor, cores, memory."""
    version: str
    """Of this program."""
    commit: str | None = None
    """What was checked out; None outside a checkout."""
    dirty: bool = False
    """Whether the code differed from `commit`."""
    base: str | None = None
    """The model that was fine-tuned; None where training began from nothing."""
    notes: str = ""
    comparison: Comparison | None = None
    """None where it was not compared."""
    files: Mapping[str, str] = field(default_factory=dict)
    """SHA-256 in hexadecimal digits by path within the model's folder."""

    @property
    def main_value(self) -> float | None:
        """The model's own value of `main_metric`; None where it was not measured."""
        return self.metrics.get(self.system, {}).get(self.main_metric)

    @property
    def ahead(self) -> str | None:
        """The system of the card's table that is ahead of the model, the best of them; None where none is."""
        own = self.main_value
        others = {
            name: value
            for name, row in self.metrics.items()
            if name != self.system and (value := row.get(self.main_metric)) is not None
        }
        best = max(others, key=lambda name: others[name], default=None)
        return best if best is not None and own is not None and others[best] > own else None


_CARD = TypeAdapter(ModelCard)


def new_id(created: datetime, token: str) -> str:
    """An id that sorts by time; `token` (a few random letters or digits) keeps two of one second apart.

    >>> new_id(datetime(2026, 11, 28, 9, 5, 1, tzinfo=UTC), "3f9a1c")
    '20261128-090501-3f9a1c'
    """
    return f"{created.astimezone(UTC):%Y%m%d-%H%M%S}-{token}"


def kind_of(text: str) -> ModelKind:
    """The kind of that name. Raises InvalidInput, which lists the known ones."""
    for kind in KINDS:
        if text == kind:
            return kind
    raise InvalidInput(f"{text!r} is no kind of model; there are {', '.join(KINDS)}", field="kind")


def checked(card: ModelCard) -> ModelCard:
    """`card` as it can be written and read again. Raises InvalidInput, which names the field that cannot."""
    values = {field.name: getattr(card, field.name) for field in fields(card)}
    parts = {"data": asdict(card.data), "comparison": asdict(card.comparison) if card.comparison else None}
    try:
        return _CARD.validate_json(_CARD.dump_json(_CARD.validate_python(values | parts)))
    except ValidationError as error:
        raise InvalidInput(f"the card of model {card.id}: {_first(error)}", field="card") from error


def card_to_json(card: ModelCard) -> bytes:
    return _CARD.dump_json(card, indent=2) + b"\n"


def card_from_json(text: bytes) -> ModelCard:
    """Raises InvalidInput with the first thing that is wrong. What a later version may have added is passed over."""
    try:
        return _CARD.validate_json(text)
    except ValidationError as error:
        raise InvalidInput(_first(error)) from error


def card_to_markdown(card: ModelCard, state: State | None = None) -> str:
    """The card for people; with `state`, which changes and so is not in the file beside the model."""
    parts = [f"# {card.kind} {card.id}", _table(("", ""), _facts(card, state))]
    if card.notes:
        parts.append(card.notes)
    if card.metrics:
        parts += [f"## Metrics on {card.split}", _table(*_measured(card))]
    if card.comparison:
        parts.append(_compared(card.comparison))
    if card.settings:
        settings = [(name, str(value)) for name, value in card.settings.items()]
        parts += ["## Settings", _table(("setting", "value"), settings)]
    if card.files:
        parts += ["## Files", _table(("file", "SHA-256"), list(card.files.items()))]
    return "\n\n".join(parts) + "\n"


def _facts(card: ModelCard, state: State | None) -> Iterator[tuple[str, str]]:
    if state is not None:
        yield "state", state
    yield "created", f"{card.created.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"
    yield "base model", card.base or "none"
    data = card.data
    yield "data", f"{data.name}: {data.users:,} users, {data.items:,} items, {data.events:,} events"
    yield "data checksum", data.checksum
    commit = f"commit {card.commit}{' with uncommitted changes' if card.dirty else ''}" if card.commit else "no commit"
    yield "code", f"tasteline {card.version}, {commit}"
    yield "training", f"{card.seconds:,.1f} s, seed {card.seed}"
    yield "machine", ", ".join(f"{name} {value}" for name, value in card.machine.items())


def _measured(card: ModelCard) -> tuple[Sequence[str], list[Sequence[str]]]:
    """Head and rows: the main metric first, the model's own row in bold."""
    named = dict.fromkeys(metric for row in card.metrics.values() for metric in row)
    metrics = sorted(named, key=lambda metric: metric != card.main_metric)
    rows: list[Sequence[str]] = []
    for system, row in card.metrics.items():
        name = f"**{system}**" if system == card.system else system
        rows.append((name, *(_figure(row.get(metric)) for metric in metrics)))
    return ("", *metrics), rows


def _compared(row: Comparison) -> str:
    beside = f"{row.baseline}, which was live then" if row.baseline else "the shop without such a model"
    return f"{row.metric} {row.difference:+.4f} ({row.low:+.4f} to {row.high:+.4f}, p {row.p:.3g}) beside {beside}."


def _figure(value: float | None) -> str:
    return "–" if value is None else f"{value:.4g}"


def _table(head: Sequence[str], rows: Iterator[tuple[str, str]] | Sequence[Sequence[str]]) -> str:
    lines = [tuple(head), ("---",) * len(head), *rows]
    return "\n".join(f"| {' | '.join(_cell(cell) for cell in line)} |" for line in lines)


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def _first(error: ValidationError) -> str:
    first = error.errors()[0]
    return f"{'.'.join(str(part) for part in first['loc']) or 'all of it'}: {first['msg']}"
