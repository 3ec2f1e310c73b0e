"""How the store reaches its database: engine, transactions, schema version, errors; all that depends on the dialect.

Takes a SQLAlchemy URL, gives a `Database` whose `reading()` and `writing()` lend connections. It does not know what
is stored. PostgreSQL belongs here when it comes: its engine, its insert, and in `writing()` a row lock on the
revision counter where SQLite has `BEGIN IMMEDIATE`.
"""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event, exc, inspect, text
from sqlalchemy.dialects.sqlite import Insert, insert
from sqlalchemy.engine import URL, make_url
from sqlalchemy.pool import ConnectionPoolEntry, QueuePool, StaticPool

from retrieval.adapters.store_schema import HEAD, counters, metadata
from tasteline.errors import InvalidInput, Overloaded, SetupError, TastelineError, TransientError

__all__ = ["Database", "bulk_insert", "insert", "migrate"]  # `insert` is the dialect's own: it can ignore a conflict

_BUSY_SECONDS = 30.0
_PRAGMAS = (
    "PRAGMA foreign_keys = ON",
    "PRAGMA synchronous = FULL",  # a commit is on the disk when it returns
    "PRAGMA secure_delete = ON",  # what is erased is overwritten
    # Pages of 4 KB: 64 MB. A bulk load touches the same index pages in every batch; they go home once for several.
    "PRAGMA wal_autocheckpoint = 16000",
    "PRAGMA journal_size_limit = 67108864",
)
_READER_CACHE = "PRAGMA cache_size = -16384"  # KiB, for each of the few connections in use
_WRITER_CACHE = "PRAGMA cache_size = -131072"  # the unique index of a million event ids is written at random
_IMMEDIATE = {"begin": "IMMEDIATE"}
_SNAPSHOT = {"begin": "DEFERRED"}
# Alembic keeps its context in module globals: one migration at a time in a process.
_migrating = threading.Lock()


class Database:
    """One database at the schema version that this code needs. Thread-safe."""

    def __init__(self, url: str) -> None:
        parsed = make_url(url)
        if parsed.get_backend_name() != "sqlite":
            raise SetupError(
                f"No store for {parsed.get_backend_name()!r} databases yet, only for SQLite.",
                remedy="export TASTELINE_DATABASE_URL=sqlite:///var/tasteline.db",
            )
        self.path = _path_of(parsed)
        # One connection serves every thread of a database in memory, so readers wait for writers there.
        self._writers = threading.RLock()
        self._readers: AbstractContextManager[object] = nullcontext() if self.path else self._writers
        self._write_engine = _single_connection(parsed)
        self._read_engine = _pool(parsed) if self.path else self._write_engine
        try:
            self._prepare()
        except BaseException:
            self.close()
            raise

    @contextmanager
    def reading(self, *, snapshot: bool = False) -> Iterator[Connection]:
        """A connection for one query, or for several that must agree when `snapshot` is set."""
        options = _SNAPSHOT if snapshot else {}
        with self._readers, self._translated(), self._read_engine.connect() as raw:
            yield raw.execution_options(**options) if options else raw

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """A connection in a transaction that no other writer, of this process or another, runs beside.

        Commits at the end, rolls back on an error. Raises TransientError when others hold it for 30 seconds.
        """
        with self._writers, self._translated(), self._write_engine.connect() as raw:
            connection = raw.execution_options(**_IMMEDIATE)
            with connection.begin():
                yield connection

    def scrub(self) -> None:
        """Leaves no byte of deleted rows behind, in the file or in its write-ahead log.

        `secure_delete` overwrites deleted rows, but not the copies that page splits before left in unused space:
        only rewriting the file (VACUUM) does. Takes some 1.5 s for 100 MB and as much room on the disk; readers go on
        meanwhile, writers wait. Raises TransientError when another process or a reader of 30 seconds is in the way.
        """
        if self.path is None:
            return
        with self._writers, self._translated(), self._write_engine.connect() as connection:
            connection.exec_driver_sql("VACUUM")
            busy = connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)").scalar_one()
        if busy:
            raise TransientError(f"A long reader of {self.path} still holds old pages; try again.", retry_after=5.0)

    def close(self) -> None:
        with self._writers:
            self._read_engine.dispose()
            self._write_engine.dispose()

    def _prepare(self) -> None:
        with self._translated():
            if self.path is None:
                with self.writing() as connection:
                    _create_all(connection)
                return
            _make_folder(self.path.parent)
            _use_write_ahead_log(self._write_engine)
            with self.reading() as connection:
                version = _version(connection)
            self._refuse_newer(version)
            if version != HEAD:
                with _migrating, self.writing() as connection:
                    # Another process may have done it while this one waited for the lock.
                    if _version(connection) != HEAD:
                        migrate(connection)

    def _refuse_newer(self, version: str | None) -> None:
        if version is not None and version > HEAD:
            raise SetupError(
                f"{self.path} has schema version {version}, this program knows {HEAD}: it is older than its data.",
                remedy="git pull && make setup",
            )

    @contextmanager
    def _translated(self) -> Iterator[None]:
        """Errors of the driver as errors of `tasteline.errors`."""
        try:
            yield
        except exc.TimeoutError as error:
            raise Overloaded("Every database connection is in use; try again.") from error
        except exc.DBAPIError as error:
            raise self._translate(error) from error
        except (OverflowError, UnicodeEncodeError) as error:
            raise InvalidInput(f"A value cannot be stored: {error}.") from error

    def _translate(self, error: exc.DBAPIError) -> TastelineError:
        where = str(self.path or "The database in memory")
        code = getattr(error.orig, "sqlite_errorcode", None)
        primary = None if code is None else code & 0xFF
        if primary in {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}:
            return TransientError(f"{where} is locked by another process; try again.", retry_after=1.0)
        if primary == sqlite3.SQLITE_FULL:
            return SetupError(f"No space left to write {where}.", remedy=f"df -h {where}")
        if primary in {sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM}:
            return SetupError(f"{where} cannot be opened for writing: {error.orig}.", remedy=f"ls -l {where}")
        if primary in {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_ERROR}:
            return SetupError(
                f"{where} is damaged or not ours: {error.orig}. Put a backup in its place, or move it away.",
                remedy=f"mv {where} {where}.damaged",
            )
        if isinstance(error, exc.OperationalError):
            return TransientError(f"{where} did not answer: {error.orig}.")
        return InvalidInput(f"A value cannot be stored: {error.orig}.")


def bulk_insert(connection: Connection, statement: Insert, rows: Sequence[tuple[object, ...]]) -> int:
    """Runs `statement` for rows in the order of its table's columns as named in it; gives how many went in.

    Straight to the driver: SQLAlchemy's own way costs as much again per row as SQLite does.
    """
    compiled = str(statement.compile(dialect=connection.dialect))
    return connection.exec_driver_sql(compiled, list(rows)).rowcount


def _path_of(url: URL) -> Path | None:
    """The file of a SQLite URL; None: it lives in memory."""
    return None if url.database in {None, "", ":memory:"} else Path(str(url.database))


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SetupError(f"{folder} cannot be made: {error.strerror}.", remedy=f"mkdir -p {folder}") from error


def _pool(url: URL) -> Engine:
    """Connections for readers: the last one given back is lent first, so that few are open and their caches warm."""
    arguments = {"timeout": _BUSY_SECONDS, "check_same_thread": False}
    engine = create_engine(
        url, poolclass=QueuePool, pool_size=8, max_overflow=56, pool_use_lifo=True, connect_args=arguments
    )
    return _with_own_transactions(engine, _READER_CACHE)


def _single_connection(url: URL) -> Engine:
    """One connection, whose users take turns: the writer's, and everybody's to a database in memory."""
    arguments = {"timeout": _BUSY_SECONDS, "check_same_thread": False}
    return _with_own_transactions(create_engine(url, poolclass=StaticPool, connect_args=arguments), _WRITER_CACHE)


def _with_own_transactions(engine: Engine, cache: str) -> Engine:
    """Takes BEGIN from the sqlite3 module, which would start a transaction as a reader and fail to upgrade it."""

    def on_connect(raw: Any, _entry: ConnectionPoolEntry) -> None:
        raw.isolation_level = None
        for pragma in (*_PRAGMAS, cache):
            raw.execute(pragma)

    def on_begin(connection: Connection) -> None:
        begin = connection.get_execution_options().get("begin")
        if begin is not None:
            connection.exec_driver_sql(f"BEGIN {begin}")

    event.listen(engine, "connect", on_connect)
    event.listen(engine, "begin", on_begin)
    return engine


def _use_write_ahead_log(engine: Engine) -> None:
    """Readers and the writer then do not wait for each other. Kept in the file, so mostly already so."""
    deadline = time.monotonic() + _BUSY_SECONDS
    while True:
        try:
            with engine.connect() as connection:
                if connection.exec_driver_sql("PRAGMA journal_mode").scalar_one() != "wal":
                    connection.exec_driver_sql("PRAGMA journal_mode = WAL")
        except exc.OperationalError as error:
            # SQLite does not wait by itself here when two processes switch a new file at once.
            if "locked" not in str(error.orig) or time.monotonic() > deadline:
                raise
            time.sleep(0.01)
        else:
            return


def _version(connection: Connection) -> str | None:
    if not inspect(connection).has_table("alembic_version"):
        return None
    return connection.execute(text("SELECT version_num FROM alembic_version")).scalar()


def _create_all(connection: Connection) -> None:
    """What the migrations make, without the time that importing them takes; a contract test compares the two."""
    metadata.create_all(connection)
    connection.execute(counters.insert(), [{"name": name, "value": 0} for name in ("revision", "erasures", "scrubs")])


def migrate(connection: Connection, target: str = "head") -> None:
    """Runs the missing scripts inside the caller's transaction."""
    from alembic import command  # a fifth of a second that a database at its head does not pay
    from alembic.config import Config

    config = Config()
    folder = Path(__file__).parent / "migrations"
    config.set_main_option("script_location", str(folder).replace("%", "%%"))
    config.attributes["connection"] = connection
    command.upgrade(config, target)
