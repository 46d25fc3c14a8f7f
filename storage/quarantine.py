"""Refused messages: kept whole with their reason, until they are replayed or discarded."""

from datetime import datetime
from typing import Literal

from sqlalchemy import func
from sqlmodel import Session, col, select

from storage.tables import Quarantine


def put(
    session: Session,
    *,
    topic: str,
    payload: bytes,
    retained: bool,
    received_at: datetime,
    reason: str,
    detail: str,
    object_reference: str | None,
    source: str | None = None,
    part: str | None = None,
) -> None:
    """Keep a refused message.

    A retained copy comes again at every subscription, so one that waits already is not kept twice; two live
    messages are two messages, even when they are equal.
    """
    if retained:
        same = select(Quarantine.id).where(
            Quarantine.status == "waiting",
            Quarantine.reason == reason,
            Quarantine.topic == topic,
            Quarantine.payload == payload,
            col(Quarantine.part).is_(None) if part is None else Quarantine.part == part,
        )
        if session.exec(same).first() is not None:
            return
    session.add(
        Quarantine(
            topic=topic,
            payload=payload,
            retained=int(retained),
            received_at=received_at,
            reason=reason,
            detail=detail,
            object_reference=object_reference,
            source=source,
            part=part,
        )
    )
    session.flush()


def listed(
    session: Session, *, status: str | None = "waiting", reason: str | None = None, limit: int = 100
) -> list[Quarantine]:
    """Refused messages, oldest first; all statuses when `status` is None."""
    query = select(Quarantine).order_by(col(Quarantine.id)).limit(limit)
    if status is not None:
        query = query.where(Quarantine.status == status)
    if reason is not None:
        query = query.where(Quarantine.reason == reason)
    return list(session.exec(query))


def find(session: Session, identity: int) -> Quarantine | None:
    """The refused message with that id."""
    return session.get(Quarantine, identity)


def counts(session: Session) -> dict[str, int]:
    """How many messages wait, by reason."""
    query = (
        select(Quarantine.reason, func.count())
        .where(Quarantine.status == "waiting")
        .group_by(col(Quarantine.reason))
        .order_by(col(Quarantine.reason))
    )
    return dict(session.exec(query).all())


def resolve(session: Session, message: Quarantine, *, status: Literal["replayed", "discarded"], now: datetime) -> None:
    """Say what became of a waiting message."""
    message.status = status
    message.resolved_at = now
    session.add(message)
    session.flush()
