"""Objects that are silent for longer than their metric expects: found from the rollup, told exactly from the records.

The law: a silence is looked for by sets, a few statements for the whole fleet, and the records are read over the time
of the silences that ended alone.
"""

from collections.abc import Collection
from typing import NamedTuple

from sqlalchemy import text
from sqlmodel import Session

from storage.bulk import is_sqlite
from storage.sets import list_value, listed
from storage.types import DAY_MICROS

LAST = """
    (SELECT r.last_at FROM usage_rollup r
     WHERE r.object_id = i.object_id AND r.metric_id = c.metric_id AND r.record_count > 0 ORDER BY r.day DESC LIMIT 1)
"""
EXPECTED = f"""
    SELECT i.object_id, c.metric_id, MIN(m.expected_seconds) AS seconds,
           MAX({{greatest}}(i.start_at, COALESCE({LAST}, i.start_at), COALESCE(
               (SELECT MAX(e.occurred_at) FROM object_event e WHERE e.object_id = i.object_id AND e.kind = 'resumed'),
               i.start_at))) AS heard_at
    FROM contract_item i
    JOIN connected_object o ON o.id = i.object_id AND o.status = 'active'
    JOIN charge c ON c.plan_version_id = i.plan_version_id
    JOIN metric m ON m.id = c.metric_id AND m.expected_seconds IS NOT NULL
    WHERE i.status = 'running' AND i.start_at <= :now AND i.end_at > :now
    GROUP BY i.object_id, c.metric_id
"""
"""By active object and metric that its plan measures, when it was last heard, or could first be."""
OPEN = f"""
    INSERT INTO reception_gap (reason, object_id, metric_id, client_id, broker, source, starts_at, missing, recorded_at,
                               cleared_why)
    SELECT 'silent', x.object_id, x.metric_id, '', '', '', x.heard_at, '[]', :now, '' FROM ({EXPECTED}) x
    WHERE x.heard_at < :now - CAST(x.seconds AS BIGINT) * 1000000
          AND NOT EXISTS (SELECT 1 FROM reception_gap g WHERE g.object_id = x.object_id AND g.metric_id = x.metric_id
                                 AND g.reason = 'silent' AND g.starts_at = x.heard_at)
"""
RECORDS_NOW = f"""
    (SELECT COALESCE(SUM(r.record_count), 0) FROM usage_rollup r WHERE r.object_id = g.object_id
     AND r.metric_id = g.metric_id AND r.day BETWEEN g.starts_at / {DAY_MICROS} AND g.ends_at / {DAY_MICROS})
"""
HEARD = f"""
    SELECT g.id, g.object_id, g.metric_id, g.starts_at, g.ends_at, m.kind, COALESCE(m.expected_seconds, 0),
           (SELECT r.first_at FROM usage_rollup r WHERE r.object_id = g.object_id AND r.metric_id = g.metric_id
            AND r.record_count > 0 AND r.day >= g.starts_at / {DAY_MICROS} AND r.last_at > g.starts_at
            ORDER BY r.day LIMIT 1)
    FROM reception_gap g JOIN metric m ON m.id = g.metric_id
    WHERE g.reason = 'silent' AND g.cleared_at IS NULL AND (
        g.ends_at IS NULL AND EXISTS (
            SELECT 1 FROM usage_rollup r WHERE r.object_id = g.object_id AND r.metric_id = g.metric_id
                   AND r.record_count > 0 AND r.day >= g.starts_at / {DAY_MICROS} AND r.last_at > g.starts_at)
        OR :again = 1 AND g.ends_at IS NOT NULL AND COALESCE(g.looked_at, -1) <> {RECORDS_NOW})
    ORDER BY g.id
"""
TIMES = """
    SELECT g.id, u.occurred_at FROM usage_record u CROSS JOIN reception_gap g
    WHERE u.occurred_at >= :since AND u.occurred_at <= :until
          AND g.object_id = u.object_id AND g.metric_id = u.metric_id AND g.reason = 'silent' AND g.id {which}
          AND u.occurred_at > g.starts_at AND u.occurred_at <= COALESCE(g.ends_at, u.occurred_at)
"""
"""Led by the records of the time in question: a seek for each gap would read the same days again for each."""


class Silence(NamedTuple):
    """A silence that is over, or may be; microseconds. `first_at` is a time at or before its first record."""

    id: int
    object_id: int
    metric_id: int
    starts_at: int
    ends_at: int | None
    kind: str
    seconds: int
    first_at: int | None


def any_expected(session: Session) -> bool:
    """Whether any metric says how often it is expected, or a gap of one object is still open."""
    query = text(
        "SELECT 1 WHERE EXISTS (SELECT 1 FROM metric WHERE expected_seconds IS NOT NULL) "
        "OR EXISTS (SELECT 1 FROM reception_gap WHERE reason IN ('silent', 'sequence') AND cleared_at IS NULL)"
    )
    return session.connection().execute(query).first() is not None


def open_silences(session: Session, now: int) -> int:
    """Write a gap for each object and metric that is silent for too long and has none; how many."""
    connection = session.connection()
    greatest = "max" if is_sqlite(connection) else "greatest"
    return connection.execute(text(OPEN.format(greatest=greatest)), {"now": now}).rowcount


def heard_again(session: Session, *, again: bool) -> list[Silence]:
    """Silences after which there are records; with `again`, also those that ended and have more records now."""
    rows = session.connection().execute(text(HEARD), {"again": int(again)})
    return [Silence(*row) for row in rows.all()]


def times_within(session: Session, silences: Collection[Silence], until: int) -> dict[int, list[int]]:
    """By silence, the times of the records that are in it or end it, in their order."""
    connection = session.connection()
    since = min(max(it.starts_at, it.first_at or it.starts_at) for it in silences)
    statement = text(TIMES.format(which=listed(connection, "ids")))
    values = {"since": since, "until": until, "ids": list_value(connection, [it.id for it in silences])}
    found: dict[int, list[int]] = {}
    for identity, at in connection.execute(statement, values):
        found.setdefault(identity, []).append(at)
    return {identity: sorted(times) for identity, times in found.items()}


def end(session: Session, identity: int, *, ends_at: int) -> None:
    """Say when a silence ended, and how many records there are on its days."""
    connection = session.connection()
    values = {"id": identity, "ends_at": ends_at}
    connection.execute(text("UPDATE reception_gap SET ends_at = :ends_at WHERE id = :id"), values)
    connection.execute(
        text(f"UPDATE reception_gap AS g SET looked_at = {RECORDS_NOW} WHERE g.id = :id"), {"id": identity}
    )


def clear(session: Session, identity: int, *, by: str, at: int) -> None:
    """Say that what a silence lacked is there, or is covered."""
    statement = "UPDATE reception_gap SET cleared_at = :at, cleared_by = :by WHERE id = :id"
    session.connection().execute(text(statement), {"id": identity, "by": by, "at": at})


def add(session: Session, silence: Silence, *, starts_at: int, ends_at: int, now: int) -> None:
    """A part of a silence that is left when the rest of it was filled."""
    connection = session.connection()
    connection.execute(
        text(
            "INSERT INTO reception_gap (reason, object_id, metric_id, client_id, broker, source, starts_at, ends_at, "
            "missing, recorded_at, cleared_why) VALUES ('silent', :object_id, :metric_id, '', '', '', :starts_at, "
            ":ends_at, '[]', :now, '')"
        ),
        {
            "object_id": silence.object_id,
            "metric_id": silence.metric_id,
            "starts_at": starts_at,
            "ends_at": ends_at,
            "now": now,
        },
    )
