"""The tables of the store, as SQLAlchemy Core metadata, and the schema version that this code needs.

Takes nothing, gives `metadata` and its tables. It does not know how they are filled. A change here needs a new
script under `migrations/versions` and a new `HEAD`; a contract test compares what the scripts make with `metadata`.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    text,
)

HEAD = "0002"
"""The newest script under `migrations/versions`. Versions are zero-padded, so that they compare as strings."""

metadata = MetaData()

# SQLite numbers rows by itself only where the type is spelt INTEGER, which holds 64 bits there.
_Sequence = BigInteger().with_variant(Integer(), "sqlite")

counters = Table(
    "counters",
    metadata,
    Column("name", String, primary_key=True),
    Column("value", BigInteger, nullable=False),
)
"""Three rows: "revision" of the catalogue, "erasures" of people, "scrubs": the erasures whose bytes are gone too."""

products = Table(
    "products",
    metadata,
    Column("id", String, primary_key=True),
    Column("revision", BigInteger, nullable=False),
    Column("deleted", Boolean(create_constraint=False), nullable=False),
    Column("body", LargeBinary),
    Column("digest", LargeBinary),
    Index("products_by_revision", "revision", unique=True),
)
"""A deleted product stays as a row without a body, so that indexes hear of it."""

events = Table(
    "events",
    metadata,
    Column("seq", _Sequence, primary_key=True, autoincrement=True),
    Column("id", String, nullable=False),
    Column("type", String, nullable=False),
    Column("user_id", String),
    Column("session_id", String),
    Column("product_id", String),
    Column("query", Text),
    Column("time", BigInteger),
    Column("position", BigInteger),
    Column("quantity", BigInteger, nullable=False),
    Column("ranking_id", String),
    Index("events_by_id", "id", unique=True),
    # Partial: an event without a person (or a session) then costs nothing in that index.
    Index(
        "events_by_user",
        "user_id",
        "time",
        "position",
        sqlite_where=text("user_id IS NOT NULL"),
        postgresql_where=text("user_id IS NOT NULL"),
    ),
    Index(
        "events_by_session",
        "session_id",
        "time",
        "position",
        sqlite_where=text("session_id IS NOT NULL"),
        postgresql_where=text("session_id IS NOT NULL"),
    ),
    Index(
        "events_by_ranking",
        "ranking_id",
        sqlite_where=text("ranking_id IS NOT NULL"),
        postgresql_where=text("ranking_id IS NOT NULL"),
    ),
    # Sequence numbers of erased events are never given again: readers ask for what came after one.
    sqlite_autoincrement=True,
)
"""`time` counts microseconds since 1970 in UTC."""

turns = Table(
    "turns",
    metadata,
    Column("conversation_id", String, primary_key=True),
    Column("position", Integer, primary_key=True, autoincrement=False),
    Column("user_id", String),
    Column("role", String, nullable=False),
    Column("text", Text, nullable=False),
    Column("product_ids", LargeBinary, nullable=False),
    Column("state", Text, nullable=False),
    Index("turns_by_user", "user_id"),
)
"""A conversation is its turns. The person is kept with each turn: somebody may sign in half-way."""

rankings = Table(
    "rankings",
    metadata,
    Column("id", String, primary_key=True),
    Column("user_id", String),
    Column("total", BigInteger, nullable=False),
    Index("rankings_by_user", "user_id"),
)

ranking_items = Table(
    "ranking_items",
    metadata,
    Column("ranking_id", String, ForeignKey("rankings.id", ondelete="CASCADE"), primary_key=True),
    Column("position", Integer, primary_key=True, autoincrement=False),
    Column("product_id", String, nullable=False),
    Column("score", Float, nullable=False),
)

trials = Table(
    "trials",
    metadata,
    Column("ranking_id", String, ForeignKey("rankings.id", ondelete="CASCADE"), primary_key=True),
    Column("experiment", String, nullable=False),
    Column("arm", String, nullable=False),
    Column("unit", String, nullable=False),
    Index("trials_by_experiment", "experiment"),
)
"""Of rankings that were made in an experiment. A table of its own: most rankings are made in none."""
