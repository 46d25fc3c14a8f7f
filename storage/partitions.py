"""Monthly partitions of the usage table on PostgreSQL: made ahead of the messages, detached when a month is history.

The law: a record is in exactly one partition, and no record enters a month that was detached: its repeat could not
be recognised any more. On SQLite the table is one file, and nothing here does anything.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Literal

from sqlalchemy import Connection
from sqlmodel import Session, col, delete, select

from storage.bulk import is_sqlite
from storage.locks import wait_for
from storage.tables import ArchivedMonth
from storage.types import from_micros, to_micros

DEFAULT = "usage_record_default"
MOVED_BY_A_TICK = 100_000
"""Records that housekeeping moves out of the default partition: a second's work. More is left to a person."""

State = Literal["attached", "archived", "default"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Partition:
    """One part of the usage table; `month` is its UTC month, None for the default partition."""

    name: str
    month: str | None
    state: State
    records: int | None
    """As the planner estimates; None before the first ANALYZE."""
    bytes: int


def month_of(instant: int) -> date:
    """The first day of the UTC month of an instant in microseconds."""
    return from_micros(instant).date().replace(day=1)


def name_of(month: date) -> str:
    """The table of a month."""
    return f"usage_record_{month:%Y_%m}"


def bounds(month: date) -> tuple[int, int]:
    """`[start, end)` of a UTC month, in microseconds."""
    index = month.year * 12 + month.month - 1
    return _month_start(index), _month_start(index + 1)


def ensure_partitions(session: Session, *, today: date, months_ahead: int = 3) -> list[str]:
    """Create the partitions of this UTC month and the next ones that are missing; return their names.

    Records of such a month that wait in the default partition move along, unless they are more than a tick should
    move: `split` does it then.
    """
    connection = session.connection()
    if is_sqlite(connection):
        return []
    wait_for(session, "partitions")
    archived = set(archived_months(session))
    made = []
    first = today.year * 12 + today.month - 1
    for index in range(first, first + months_ahead + 1):
        month = date(index // 12, index % 12 + 1, 1)
        if month in archived or _exists(connection, name_of(month)):
            continue
        if _in_default(connection, month, limit=MOVED_BY_A_TICK + 1) <= MOVED_BY_A_TICK:
            _create(connection, month)
            made.append(name_of(month))
    return made


def split(session: Session, month: date) -> int | None:
    """Give a month its own partition and move its records there; how many, or None when it has one already.

    Ingest into the default partition waits meanwhile.
    """
    connection = session.connection()
    wait_for(session, "partitions")
    if _exists(connection, name_of(month)):
        return None
    return _create(connection, month)


def detach(session: Session, month: date, now: datetime) -> bool:
    """Take a month's partition out of the usage table, where it stays as a table of the same name.

    False when the month has no partition of its own. Whether it may be detached is not asked here.
    """
    connection = session.connection()
    wait_for(session, "partitions")
    if not _attached(connection, name_of(month)):
        return False
    start, end = bounds(month)
    connection.exec_driver_sql(f"ALTER TABLE usage_record DETACH PARTITION {name_of(month)}")
    # What was checked at the door before this commit and arrives after it fails here, and is checked again.
    connection.exec_driver_sql(
        f"ALTER TABLE {DEFAULT} ADD CONSTRAINT {_closed(month)} CHECK (occurred_at < {start} OR occurred_at >= {end})"
    )
    session.add(ArchivedMonth(month_starts_on=month, archived_at=now))
    session.flush()
    return True


def attach(session: Session, month: date) -> bool:
    """Undo `detach`; False when the month is not detached, or its table is gone."""
    connection = session.connection()
    wait_for(session, "partitions")
    if month not in archived_months(session) or not _exists(connection, name_of(month)):
        return False
    start, end = bounds(month)
    # A month that was dumped by an earlier release comes back without the columns that were added since.
    connection.exec_driver_sql(f"ALTER TABLE {name_of(month)} ADD COLUMN IF NOT EXISTS property_set_id integer")
    connection.exec_driver_sql(
        f"ALTER TABLE usage_record ATTACH PARTITION {name_of(month)} FOR VALUES FROM ({start}) TO ({end})"
    )
    connection.exec_driver_sql(f"ALTER TABLE {DEFAULT} DROP CONSTRAINT {_closed(month)}")
    connection.execute(delete(ArchivedMonth).where(col(ArchivedMonth.month_starts_on) == month))
    return True


def archived_months(session: Session) -> Sequence[date]:
    """The first days of the UTC months that are detached, in order."""
    if is_sqlite(session.connection()):
        return []
    return session.exec(select(col(ArchivedMonth.month_starts_on)).order_by(col(ArchivedMonth.month_starts_on))).all()


def archived_between(session: Session, start: int, end: int) -> list[date]:
    """The detached months that have a part in `[start, end)`, in microseconds."""
    return [month for month in archived_months(session) if _meets(month, start, end)]


def overlaps(month: date, start_at: datetime, end_at: datetime) -> bool:
    """Whether a UTC month has a part in `[start_at, end_at)`."""
    return _meets(month, to_micros(start_at), to_micros(end_at))


def _meets(month: date, start: int, end: int) -> bool:
    first, last = bounds(month)
    return first < end and last > start


def listed(session: Session) -> list[Partition]:
    """Every part of the usage table, the detached months too; empty on SQLite."""
    connection = session.connection()
    if is_sqlite(connection):
        return []
    archived = {name_of(month) for month in archived_months(session)}
    rows = connection.exec_driver_sql(
        "SELECT c.relname, c.reltuples, pg_total_relation_size(c.oid), i.inhrelid IS NOT NULL "
        "FROM pg_class AS c LEFT JOIN pg_inherits AS i ON i.inhrelid = c.oid "
        "AND i.inhparent = 'usage_record'::regclass WHERE c.relkind = 'r' "
        "AND c.relname LIKE 'usage_record\\_%%' ORDER BY c.relname"
    )
    return [
        Partition(
            name=name,
            month=None if name == DEFAULT else name[-7:].replace("_", "-"),
            state="default" if name == DEFAULT else "attached" if attached else "archived",
            records=None if tuples < 0 else int(tuples),
            bytes=size,
        )
        for name, tuples, size, attached in rows
        if attached or name in archived
    ]


def _create(connection: Connection, month: date) -> int:
    """Make the month's table, move what waits for it, attach it: reads and other months go on meanwhile."""
    name, (start, end) = name_of(month), bounds(month)
    connection.exec_driver_sql(f"CREATE TABLE {name} (LIKE usage_record INCLUDING ALL)")
    connection.exec_driver_sql(f"LOCK TABLE {DEFAULT} IN SHARE ROW EXCLUSIVE MODE")
    moved = connection.exec_driver_sql(
        f"WITH moved AS (DELETE FROM {DEFAULT} WHERE occurred_at >= {start} AND occurred_at < {end} RETURNING *) "
        f"INSERT INTO {name} SELECT * FROM moved"
    ).rowcount
    connection.exec_driver_sql(f"ALTER TABLE usage_record ATTACH PARTITION {name} FOR VALUES FROM ({start}) TO ({end})")
    return int(moved)


def _exists(connection: Connection, name: str) -> bool:
    return connection.exec_driver_sql("SELECT to_regclass(%s)", (name,)).scalar() is not None


def _attached(connection: Connection, name: str) -> bool:
    found = connection.exec_driver_sql(
        "SELECT 1 FROM pg_inherits WHERE inhrelid = to_regclass(%s) AND inhparent = 'usage_record'::regclass", (name,)
    )
    return found.first() is not None


def _in_default(connection: Connection, month: date, *, limit: int) -> int:
    start, end = bounds(month)
    found = connection.exec_driver_sql(
        f"SELECT count(*) FROM (SELECT 1 FROM {DEFAULT} WHERE occurred_at >= %s AND occurred_at < %s LIMIT %s) AS s",
        (start, end, limit),
    )
    return int(found.scalar() or 0)


def _closed(month: date) -> str:
    return f"archived_{month:%Y_%m}"


def _month_start(index: int) -> int:
    return to_micros(datetime(index // 12, index % 12 + 1, 1, tzinfo=UTC))
