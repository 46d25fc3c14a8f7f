"""What must leave: rows written in the transaction that decided them, published afterwards in order of id.

The law: a message leaves at least once after its transaction committed, and never before.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlmodel import Session, col, insert, select, update

from storage.tables import Outbox
from storage.types import canonical_json

HEX = "hex:"
"""Before a payload that is bytes; JSON never begins so."""


def put(
    session: Session,
    topic: str,
    payload: Mapping[str, Any],
    *,
    now: datetime,
    retain: bool = False,
    expires_at: datetime | None = None,
    correlation_data: bytes | None = None,
) -> None:
    """Write one JSON message for `topic`; it is not worth publishing after `expires_at`, when that is given."""
    put_many(
        session,
        [(topic, payload)],
        now=now,
        retain=retain,
        expires_at=expires_at,
        correlation_data=correlation_data,
    )


def put_bytes(session: Session, topic: str, payload: bytes, *, now: datetime, expires_at: datetime) -> None:
    """Write one message of a format that is no text."""
    row = Outbox(topic=topic, payload=HEX + payload.hex(), created_at=now, expires_at=expires_at)
    session.add(row)
    session.flush()


def content(row: Outbox) -> str | bytes:
    """What is to be published."""
    return bytes.fromhex(row.payload.removeprefix(HEX)) if row.payload.startswith(HEX) else row.payload


def put_many(
    session: Session,
    messages: Sequence[tuple[str, Mapping[str, Any]]],
    *,
    now: datetime,
    retain: bool = False,
    expires_at: datetime | None = None,
    correlation_data: bytes | None = None,
) -> None:
    """Write many JSON messages, `(topic, payload)` each, that share everything else."""
    if not messages:
        return
    session.exec(
        insert(Outbox),
        params=[
            {
                "topic": topic,
                "payload": canonical_json(dict(payload)),
                "retain": int(retain),
                "correlation_data": correlation_data,
                "created_at": now,
                "expires_at": expires_at,
                "status": "waiting",
            }
            for topic, payload in messages
        ],
    )


def waiting(session: Session, limit: int = 500) -> Sequence[Outbox]:
    """The oldest messages that have not left, at most `limit`, in the order in which they were written."""
    return session.exec(select(Outbox).where(Outbox.status == "waiting").order_by(col(Outbox.id)).limit(limit)).all()


def mark_sent(session: Session, ids: Sequence[int], *, now: datetime) -> None:
    """Note that the broker has the messages `ids`."""
    _mark(session, ids, "sent", now)


def mark_expired(session: Session, ids: Sequence[int]) -> None:
    """Note that the messages `ids` were not worth publishing any more."""
    _mark(session, ids, "expired", None)


def _mark(session: Session, ids: Sequence[int], status: str, sent_at: datetime | None) -> None:
    session.exec(
        update(Outbox)
        .where(col(Outbox.id).in_(ids), col(Outbox.status) == "waiting")
        .values(status=status, sent_at=sent_at)
    )
