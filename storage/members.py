"""The processes that take usage in, each a row: when it was last heard, how much it stored, whether it was stopped.

A member that is silent still has its session at the broker, and the broker goes on to put messages there.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from sqlmodel import Session, col, delete, select

from storage.bulk import write_many
from storage.tables import IngestMember
from storage.types import to_micros

SILENT_SECONDS = 60
"""A member that was not heard for so long is dead: several of its heartbeats are missing."""

State = Literal["at work", "stopped", "dead"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """One member as it was at the instant asked for."""

    client_id: str
    state: State
    host: str
    pid: int
    started_at: datetime
    heartbeat_at: datetime
    messages: int
    last_batch_at: datetime | None


def beat(
    session: Session, client_id: str, *, host: str, pid: int, now: datetime, started_at: datetime, stored: int
) -> None:
    """Note that the member is alive and has stored so many messages more since the last time."""
    _write(session, client_id, host, pid, now=now, started_at=started_at, stored=stored, stopped_at=None)


def stop(
    session: Session, client_id: str, *, host: str, pid: int, now: datetime, started_at: datetime, stored: int
) -> None:
    """Note that the member ended as it was told to; its messages wait for it."""
    _write(session, client_id, host, pid, now=now, started_at=started_at, stored=stored, stopped_at=now)


def forget(session: Session, client_id: str) -> None:
    """Drop the member: its session is drained and gets no more."""
    session.connection().execute(delete(IngestMember).where(col(IngestMember.client_id) == client_id))


def members(session: Session, now: datetime) -> Sequence[Member]:
    """Every member, in order of client id."""
    silent = timedelta(seconds=SILENT_SECONDS)
    return [
        Member(
            client_id=row.client_id,
            state="stopped" if row.stopped_at is not None else "dead" if now - row.heartbeat_at > silent else "at work",
            host=row.host,
            pid=row.pid,
            started_at=row.started_at,
            heartbeat_at=row.heartbeat_at,
            messages=row.messages,
            last_batch_at=row.last_batch_at,
        )
        for row in session.exec(select(IngestMember).order_by(col(IngestMember.client_id)))
    ]


def _write(
    session: Session,
    client_id: str,
    host: str,
    pid: int,
    *,
    now: datetime,
    started_at: datetime,
    stored: int,
    stopped_at: datetime | None,
) -> None:
    instant = to_micros(now)
    write_many(
        session.connection(),
        "INSERT INTO ingest_member (client_id, host, pid, started_at, heartbeat_at, messages, last_batch_at, "
        "stopped_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (client_id) DO UPDATE SET host = excluded.host, "
        "pid = excluded.pid, started_at = excluded.started_at, heartbeat_at = excluded.heartbeat_at, "
        "messages = ingest_member.messages + excluded.messages, "
        "last_batch_at = coalesce(excluded.last_batch_at, ingest_member.last_batch_at), "
        "stopped_at = excluded.stopped_at",
        [
            (
                *(client_id, host, pid, to_micros(started_at), instant, stored, instant if stored else None),
                None if stopped_at is None else to_micros(stopped_at),
            )
        ],
    )
