"""Alembic's entry: runs the scripts of `versions` on the connection, and in the transaction, that the store hands over.

It opens no database by itself and reads no `alembic.ini`; it is reached through `store_engine.migrate` alone.
"""

from __future__ import annotations

from alembic import context

context.configure(connection=context.config.attributes["connection"])
context.run_migrations()
