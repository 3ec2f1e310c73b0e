"""The first tables: products, events, turns, rankings and the counters.

Written out rather than taken from `store_schema`: a script describes the past and never changes.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_SEQUENCE = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    counters = op.create_table(
        "counters",
        sa.Column("name", sa.String, primary_key=True),
        sa.Column("value", sa.BigInteger, nullable=False),
    )
    op.bulk_insert(counters, [{"name": name, "value": 0} for name in ("revision", "erasures", "scrubs")])
    _create_products()
    _create_events()
    _create_turns()
    _create_rankings()


def _create_products() -> None:
    op.create_table(
        "products",
        sa.Column("id", sa.String, primary_key=True),
        sa.Column("revision", sa.BigInteger, nullable=False),
        sa.Column("deleted", sa.Boolean(create_constraint=False), nullable=False),
        sa.Column("body", sa.LargeBinary),
        sa.Column("digest", sa.LargeBinary),
    )
    op.create_index("products_by_revision", "products", ["revision"], unique=True)


def _create_events() -> None:
    op.create_table(
        "events",
        sa.Column("seq", _SEQUENCE, primary_key=True, autoincrement=True),
        sa.Column("id", sa.String, nullable=False),
        sa.Column("type", sa.String, nullable=False),
        sa.Column("user_id", sa.String),
        sa.Column("session_id", sa.String),
        sa.Column("product_id", sa.String),
        sa.Column("query", sa.Text),
        sa.Column("time", sa.BigInteger),
        sa.Column("position", sa.BigInteger),
        sa.Column("quantity", sa.BigInteger, nullable=False),
        sa.Column("ranking_id", sa.String),
        sqlite_autoincrement=True,
    )
    op.create_index("events_by_id", "events", ["id"], unique=True)
    for name, column in (("events_by_user", "user_id"), ("events_by_session", "session_id")):
        known = sa.text(f"{column} IS NOT NULL")
        columns = [column, "time", "position"]
        op.create_index(name, "events", columns, sqlite_where=known, postgresql_where=known)


def _create_turns() -> None:
    op.create_table(
        "turns",
        sa.Column("conversation_id", sa.String, primary_key=True),
        sa.Column("position", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("user_id", sa.String),
        sa.Column("role", sa.String, nullable=False),
        sa.Column("text", sa.Text, nullable=False),
        sa.Column("product_ids", sa.LargeBinary, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
    )
    op.create_index("turns_by_user", "turns", ["user_id"])


def _create_rankings() -> None:
    op.create_table(
        "rankings",
        sa.Column("id", sa.String, primary_key=True),
        sa.Column("user_id", sa.String),
        sa.Column("total", sa.BigInteger, nullable=False),
    )
    op.create_index("rankings_by_user", "rankings", ["user_id"])
    op.create_table(
        "ranking_items",
        sa.Column("ranking_id", sa.String, sa.ForeignKey("rankings.id", ondelete="CASCADE"), primary_key=True),
        sa.Column("position", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("product_id", sa.String, nullable=False),
        sa.Column("score", sa.Float, nullable=False),
    )
