"""Every seam of the program on one page. An adapter implements one of these and knows nothing of its callers.

Batch first; shapes and units in the docstrings; errors are those of `tasteline.errors`. One contract suite
per port runs over all its adapters (`tests/contracts`).
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from tasteline.trials import TrialStore
from tasteline.types import ChatMessage, Event, Mask, Piece, Product, Ranking, Rows, Scores, Turn, Vectors


@dataclass(frozen=True, slots=True)
class Change:
    """A product as of `revision`; `product` is None once it has been deleted."""

    revision: int
    product_id: str
    product: Product | None


Deed = tuple[int, str, str | None, str, int | None, int | None, str | None]
"""What a person did: sequence number, user id, product id, type, microseconds since 1970 in UTC, position, session."""


@dataclass(frozen=True, slots=True)
class Written:
    accepted: int
    """New or changed."""
    repeated: int
    """Already there, the same."""


class CatalogueStore(Protocol):
    """The truth about products. Every change gets the next revision; indexes follow by asking for changes."""

    def put_products(self, products: Sequence[Product]) -> Written: ...
    def delete_products(self, ids: Sequence[str]) -> int: ...
    def revision(self) -> int: ...
    def changes(self, since: int) -> Iterator[Change]:
        """The last state of each product changed after revision `since`, by rising revision."""
        ...


class EventStore(Protocol):
    """What shoppers did, in the order it was acknowledged. A method returns only after its commit."""

    def append_event_groups(self, groups: Sequence[Sequence[Event]]) -> list[Written]:
        """Several submissions in one commit, all or none, with the counts of each."""
        ...

    def append_events(self, events: Sequence[Event]) -> Written:
        """Idempotent by `Event.id`."""
        ...

    def history(self, user_id: str | None, session_id: str | None = None, limit: int = 1000) -> list[Event]:
        """The last `limit` events of a person, or of a session where `user_id` is None, oldest first.

        Without what is dated in the future (`tasteline.clock`).
        """
        ...

    def events(self, since: int = 0) -> Iterator[tuple[int, Event]]:
        """(sequence number, event) of all events after `since`, streamed."""
        ...

    def deeds(self, since: int = 0) -> Iterator[Sequence[Deed]]:
        """All events after `since` that name a person, in pages, as they arrived: for those who read millions."""
        ...

    def erasures(self) -> int:
        """How often a person has been erased: when it moves, whatever was counted from events is stale."""
        ...


class PersonStore(Protocol):
    """Access and erasure (GDPR articles 15 and 17)."""

    def export_user(self, user_id: str) -> dict[str, list[dict[str, object]]]: ...
    def erase_user(self, user_id: str) -> int:
        """Rows removed; 0 when the person is unknown."""
        ...

    def users(self, limit: int = 20) -> list[tuple[str, int]]:
        """(user id, number of events) of the busiest people."""
        ...


class ConversationStore(Protocol):
    def append_turns(self, conversation_id: str, user_id: str | None, turns: Sequence[Turn]) -> None: ...
    def turns(self, conversation_id: str) -> list[Turn]: ...


@dataclass(frozen=True, slots=True)
class Shown:
    """A ranking as it is kept: to whom it was given, and the products from the top."""

    ranking_id: str
    user_id: str | None
    product_ids: tuple[str, ...]


class RankingStore(Protocol):
    def save_rankings(self, rankings: Sequence[tuple[Ranking, str | None]]) -> None:
        """(ranking, user id) pairs: ids, positions and scores are kept, texts are not; of a trial all of it."""
        ...

    def rankings(self) -> Iterator[Shown]:
        """All that were kept, streamed, by id; those that showed nothing too."""
        ...


class Store(CatalogueStore, EventStore, PersonStore, ConversationStore, RankingStore, TrialStore, Protocol):
    """What one database offers."""

    def close(self) -> None: ...


class Embedder(Protocol):
    """Texts to unit vectors."""

    @property
    def name(self) -> str:
        """Model and precision; part of every cache key and snapshot manifest."""
        ...

    @property
    def dimension(self) -> int: ...

    def encode(self, texts: Sequence[str], kind: Literal["query", "document"]) -> Vectors:
        """Shape (len(texts), dimension), float32, unit length; zeros for a blank text. Thread-safe."""
        ...


class Reranker(Protocol):
    """Judges how well a text answers a query, reading both together."""

    @property
    def name(self) -> str:
        """Model and precision."""
        ...

    def score(self, queries: Sequence[str], documents: Sequence[str], *, timeout: float | None = None) -> Scores:
        """Shape (len(queries),), float32: a logit for each pair, higher fits better; only differences between the
        documents of one query mean something. Thread-safe.

        Raises DeadlineExceeded when it is not done after `timeout` seconds, EngineFailed when the engine breaks.
        """
        ...


class VectorIndex(Protocol):
    """Inner-product search over rows 0..n-1. Rows are only added; what is gone is masked out by the caller."""

    def __len__(self) -> int: ...
    def add(self, vectors: Vectors) -> None: ...
    def vectors(self, rows: Rows, out: Vectors | None = None) -> Vectors:
        """A copy of those of `rows`, in `out` where it is given, as NumPy's `take`; of -1 it may be any."""
        ...

    def search(self, queries: Vectors, k: int, allowed: Mask | None = None) -> tuple[Rows, Scores]:
        """Two arrays (len(queries), k), best first, padded with row -1 and score -inf.

        `allowed` has one flag for each row and holds for every query. Recall under a mask is that of an exact scan.
        """
        ...

    def products(self, queries: Vectors) -> Scores:
        """(len(queries), len(self)) inner products with every row, in memory at once: for who wants many of them."""
        ...

    def save(self, folder: Path) -> None: ...
    def load(self, folder: Path) -> None: ...


class LexicalIndex(Protocol):
    """BM25 over the words of a product's title, brand, categories, attributes and description."""

    def __len__(self) -> int: ...
    def add(self, products: Sequence[Product | None]) -> None:
        """As rows len(self), len(self)+1, …; searchable when it returns. None makes a row that nothing finds."""
        ...

    def search(self, query: str, k: int, allowed: Mask | None = None) -> tuple[Rows, Scores]:
        """At most k rows, best first, shape (≤ k,); any word may match; empty for a blank query."""
        ...

    def containing(self, term: str) -> Rows:
        """All rows in which every word of `term` occurs, inflected or not."""
        ...


@dataclass(frozen=True, slots=True)
class Need:
    """What a recommendation is wanted for, resolved to rows. Weights are positive, most recent last."""

    recent: Rows
    recent_weights: Scores
    lasting: Rows
    lasting_weights: Scores
    anchor: Rows
    """The product page's product or the cart's content; empty elsewhere."""
    steps: Rows = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    """Everything that the person did with products, oldest first; a product stands as often as it was touched."""
    kinds: NDArray[np.int8] = field(default_factory=lambda: np.zeros(0, dtype=np.int8))
    """How much each step says: 0 looked at, 1 saved, 2 put in the cart, 3 bought."""
    moments: NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))
    """Seconds, NaN where the time of a step is not known."""


class CandidateSource(Protocol):
    """One way to propose products: counted, learned or by content. The seam where learned models plug in."""

    @property
    def name(self) -> str: ...
    def propose(self, need: Need, k: int, allowed: Mask) -> tuple[Rows, Scores, Rows]:
        """(rows, scores, because): at most k allowed rows, best first; `because[i]` is the row that led there or -1."""
        ...


class LanguageModel(Protocol):
    """A chat model that takes several requests at once. Malformed text is a value for the caller, never an error here.

    Raises DeadlineExceeded after `timeout` seconds, Overloaded when too many wait, EngineFailed when it breaks.
    """

    @property
    def name(self) -> str: ...
    @property
    def parent(self) -> str | None:
        """The base model, where this one is an adapter of it."""
        ...

    @property
    def ready(self) -> bool:
        """Would a request start at once? One that is still loading is not waited for."""
        ...

    def stream(
        self, messages: Sequence[ChatMessage], *, max_tokens: int, timeout: float, schema: str | None = None
    ) -> AsyncGenerator[Piece, None]:
        """Greedy; the text as it comes, then one piece with `finish`. Leaving the iteration cancels the request.

        With `schema` (JSON Schema) the text is a document of it, or the beginning of one when it was cut.
        """
        ...

    async def choose(
        self, prompts: Sequence[Sequence[ChatMessage]], labels: Sequence[str], *, timeout: float
    ) -> Scores:
        """How likely each label is as the answer to each prompt: shape (len(prompts), len(labels)), rows sum to 1.

        One prefill a prompt. Raises InvalidInput where two labels begin with the same token.
        """
        ...

    def close(self) -> None: ...
