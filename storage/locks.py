"""Locks between processes that no row carries; they end with the transaction."""

from typing import Literal

from sqlmodel import Session

from storage.bulk import is_sqlite

Work = Literal[
    "housekeeping", "partitions", "months", "replay", "rehearsal", "silences", "device_commands", "inactivity"
]
LOCKS: dict[Work, int] = {
    "housekeeping": 6_001,
    "partitions": 6_002,
    "months": 6_003,
    "replay": 6_004,
    "rehearsal": 6_005,
    "silences": 6_006,
    "device_commands": 6_032,
    "inactivity": 6_033,
}
"""Advisory lock numbers in PostgreSQL, where any number that nobody else uses will do."""


def claim(session: Session, work: Work) -> bool:
    """Whether this transaction may do `work`, which another one is not doing now.

    On SQLite a transaction that writes is alone anyway.
    """
    connection = session.connection()
    if is_sqlite(connection):
        return True
    return bool(connection.exec_driver_sql("SELECT pg_try_advisory_xact_lock(%s)", (LOCKS[work],)).scalar())


def wait_for(session: Session, work: Work) -> None:
    """As `claim`, but wait until the other one has ended."""
    connection = session.connection()
    if not is_sqlite(connection):
        connection.exec_driver_sql("SELECT pg_advisory_xact_lock(%s)", (LOCKS[work],))


def share(session: Session, work: Work) -> None:
    """Keep others from doing `work` until this transaction ends; any number of transactions may share it."""
    connection = session.connection()
    if not is_sqlite(connection):
        connection.exec_driver_sql("SELECT pg_advisory_xact_lock_shared(%s)", (LOCKS[work],))


def try_share(session: Session, work: Work) -> bool:
    """As `share`, but False instead of waiting where another one does the work."""
    connection = session.connection()
    if is_sqlite(connection):
        return True
    return bool(connection.exec_driver_sql("SELECT pg_try_advisory_xact_lock_shared(%s)", (LOCKS[work],)).scalar())
