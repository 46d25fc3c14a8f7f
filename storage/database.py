"""One database behind one URL: short transactions that write, snapshots that read.

The law: a transaction is committed whole at its end or not at all, and on SQLite it is the only writer from its
first statement, so that what it read cannot have changed before it writes.
"""

import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event, inspect, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, InvalidatePoolError, NoSuchModuleError, OperationalError
from sqlalchemy.pool import ConnectionPoolEntry
from sqlmodel import Session

from storage.arrays import teach
from storage.bulk import driver_cursor
from storage.errors import DatabaseBusy, DatabaseUnreachable, SchemaOutdated, StorageError
from storage.known import Known
from storage.migrations import SCHEMA
from storage.sealing import seal_all

BUSY_TIMEOUT_MS = 10_000
"""How long a SQLite writer waits for another one: longer than any batch, shorter than a person's patience."""
LOG_PAGES = 4_000
"""SQLite's log, in pages of 4 KiB, from which on a commit itself moves them into the file: 16 MB."""
RESTED_SECONDS = 1.0
"""A connection that was not used for so long may have been closed by a server that is there again."""
USED_AT = "metergate_used_at"
SERIALIZATION_FAILURES = {"40001", "40P01", "55P03"}


class Database:
    """The engine behind `url` (`sqlite:///file.db` or `postgresql://...`)."""

    def __init__(self, url: str, *, busy_timeout_ms: int = BUSY_TIMEOUT_MS) -> None:
        self.known = Known()
        try:
            parsed = make_url(url)
            if parsed.drivername in {"postgresql", "postgres"}:
                parsed = parsed.set(drivername="postgresql+psycopg")
            self.is_sqlite = parsed.get_backend_name() == "sqlite"
            more = {} if self.is_sqlite else {"connect_args": {"client_encoding": "utf8"}}  # as storage/libpq.py sends
            # The one used last is used next: each connection in use is a server process with caches of its own.
            self.engine = create_engine(parsed, pool_use_lifo=True, **more)
        except (ArgumentError, NoSuchModuleError) as error:
            raise StorageError(
                f"the database URL is not usable ({error}); write sqlite:///metergate.db or postgresql://user@host/name"
            ) from None
        if self.is_sqlite:
            _prepare_sqlite(self.engine, busy_timeout_ms=busy_timeout_ms)
        else:
            _prepare_postgresql(self.engine)

    @contextmanager
    def transaction(self) -> Iterator[Session]:
        """A session whose work is committed at the end of the block, and undone if the block raises."""
        with self._session({}) as session:
            yield session
            session.commit()

    @contextmanager
    def snapshot(self) -> Iterator[Session]:
        """A session that reads one state of the database, whatever is committed meanwhile, and writes nothing."""
        options: dict[str, Any] = (
            {"metergate_reading": True}
            if self.is_sqlite
            else {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
        )
        with self._session(options) as session:
            yield session

    def beside(self, session: Session) -> AbstractContextManager[Session] | None:
        """A second session that reads what a snapshot reads, on a connection of its own, for another thread.

        None on SQLite, where two connections cannot read one state.
        """
        return None if self.is_sqlite else self._beside(session)

    @contextmanager
    def _beside(self, session: Session) -> Iterator[Session]:
        state = session.connection().exec_driver_sql("SELECT pg_export_snapshot()").scalar_one()
        with self.snapshot() as other:
            other.connection().exec_driver_sql(f"SET TRANSACTION SNAPSHOT '{state}'")
            yield other

    def migrate(self) -> None:
        """Bring the tables to this release; nothing happens when they are."""
        with self._faults(), self.engine.connect() as connection:
            if _schema(connection) == SCHEMA:
                return
            connection.rollback()  # inside a transaction SQLite would leave its foreign keys on
            # Alembic and its history are a tenth of a gateway's memory and a fifth of its start; only this needs them.
            from storage.migrating import upgrade  # noqa: PLC0415

            with self._tables_may_be_rebuilt(connection):
                upgrade(connection)
                seal_all(connection)
                connection.commit()

    @contextmanager
    def _tables_may_be_rebuilt(self, connection: Connection) -> Iterator[None]:
        """SQLite changes a constraint by making the table anew, which its foreign keys would take for a deletion."""
        if not self.is_sqlite:
            yield
            return
        driver: Any = connection.connection.dbapi_connection
        driver.execute("PRAGMA foreign_keys=OFF")
        try:
            yield
            broken = driver.execute("PRAGMA foreign_key_check").fetchall()
        finally:
            driver.execute("PRAGMA foreign_keys=ON")
        if broken:  # pragma: no cover - a migration that loses rows is a programmer's error
            raise AssertionError(f"the migration left rows without their parents: {broken[:3]}")

    def require_schema(self) -> None:
        """Raise SchemaOutdated when the tables are not those of this release."""
        with self._faults(), self.engine.connect() as connection:
            found = _schema(connection)
        if found != SCHEMA:
            raise SchemaOutdated(
                f"the database is at schema {found or 'none'}, this release needs {SCHEMA}; run `metergate migrate`"
            )

    def checkpoint(self) -> None:
        """On SQLite, move what was committed from the log into the file, as far as it is in nobody's way.

        A process that writes all the time does it in a thread of its own, so that few commits have to.
        """
        if self.is_sqlite:
            with self._faults(), self.engine.connect() as connection, driver_cursor(connection) as cursor:
                cursor.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()

    def dispose(self) -> None:
        """Close every connection."""
        self.engine.dispose()

    @contextmanager
    def _session(self, options: dict[str, Any]) -> Iterator[Session]:
        with (
            self._faults(),
            self.engine.connect().execution_options(**options) as connection,
            Session(bind=connection, expire_on_commit=False) as session,
        ):
            yield session

    @contextmanager
    def _faults(self) -> Iterator[None]:
        try:
            yield
        except DBAPIError as error:
            translated = _translated(error)
            if isinstance(translated, DatabaseUnreachable):
                # A connection opened while a file was read-only, or to a server that is gone, stays useless.
                self.engine.dispose()
            raise translated or error from error


def is_crossed(error: BaseException | None) -> bool:
    """Whether a transaction failed only because it crossed another one: done again, it may well succeed."""
    return isinstance(error, DBAPIError) and getattr(error.orig, "sqlstate", None) in SERIALIZATION_FAILURES


def _translated(error: DBAPIError) -> StorageError | None:
    """The error of ours that says what a driver's error means, or None when it is a fault of the program."""
    reason = str(error.orig).strip().splitlines()[0] if str(error.orig).strip() else type(error.orig).__name__
    if getattr(error.orig, "sqlstate", None) in SERIALIZATION_FAILURES or "database is locked" in reason:
        return DatabaseBusy(f"the database is busy ({reason}); try again")
    if "no such table" in reason or getattr(error.orig, "sqlstate", None) == "42P01":
        return SchemaOutdated(f"the database has no tables of this release ({reason}); run `metergate migrate`")
    if isinstance(error, OperationalError):
        return DatabaseUnreachable(f"the database cannot be used ({reason}); check METERGATE_DATABASE_URL")
    return None


def _prepare_sqlite(engine: Engine, *, busy_timeout_ms: int) -> None:
    """WAL with full synchronisation, foreign keys on, and transactions that we begin ourselves."""

    @event.listens_for(engine, "connect")
    def _connect(connection: Any, _record: Any) -> None:
        connection.isolation_level = None
        for pragma in (
            f"busy_timeout={busy_timeout_ms}",
            "journal_mode=WAL",
            "synchronous=FULL",
            "foreign_keys=ON",
            f"wal_autocheckpoint={LOG_PAGES}",
        ):
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        reading = connection.get_execution_options().get("metergate_reading", False)
        with driver_cursor(connection) as cursor:
            cursor.execute("BEGIN" if reading else "BEGIN IMMEDIATE")


def _prepare_postgresql(engine: Engine) -> None:
    """Arrays as they travel, and connections that are asked whether they live when they have rested for a while.

    Asked each time, as a pool does it, one that has just been used would cost a round trip for nothing. Where the
    server went away in that moment, a transaction fails with DatabaseUnreachable, as one does that is under way.
    """

    @event.listens_for(engine, "connect")
    def _connect(connection: Any, record: ConnectionPoolEntry) -> None:
        teach(connection)
        record.info[USED_AT] = time.monotonic()

    @event.listens_for(engine, "checkout")
    def _checkout(connection: Any, record: ConnectionPoolEntry, _lent: object) -> None:
        if time.monotonic() - record.info[USED_AT] > RESTED_SECONDS and not _lives(engine, connection):
            raise InvalidatePoolError

    @event.listens_for(engine, "checkin")
    def _checkin(_connection: Any, record: ConnectionPoolEntry) -> None:
        record.info[USED_AT] = time.monotonic()


def _lives(engine: Engine, connection: Any) -> bool:
    try:
        return engine.dialect.do_ping(connection)
    except engine.dialect.loaded_dbapi.Error:
        return False


def _schema(connection: Connection) -> str | None:
    """The migration that the database is at, as Alembic notes it; None when there was none yet."""
    if not inspect(connection).has_table("alembic_version"):
        return None
    found: str | None = connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar()
    return found
