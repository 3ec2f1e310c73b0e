"""Which experiment and arm a ranking was made in, and events by the ranking that they quote."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "trials",
        sa.Column("ranking_id", sa.String, sa.ForeignKey("rankings.id", ondelete="CASCADE"), primary_key=True),
        sa.Column("experiment", sa.String, nullable=False),
        sa.Column("arm", sa.String, nullable=False),
        sa.Column("unit", sa.String, nullable=False),
    )
    op.create_index("trials_by_experiment", "trials", ["experiment"])
    known = sa.text("ranking_id IS NOT NULL")
    op.create_index("events_by_ranking", "events", ["ranking_id"], sqlite_where=known, postgresql_where=known)
