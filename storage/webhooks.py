"""Webhooks and their deliveries: declared, claimed, answered."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlmodel import Session, col, select, update

from storage.tables import Webhook, WebhookDelivery


@dataclass(frozen=True, slots=True, kw_only=True)
class Due:
    """One telling that this process has claimed; `attempt` counts from 1."""

    id: int
    webhook_id: int
    message_id: str
    payload: str
    url: str
    secret: str
    attempt: int
    created_at: datetime


def listed(session: Session) -> Sequence[Webhook]:
    """The webhooks that were not removed, in the order of declaration."""
    return session.exec(select(Webhook).where(col(Webhook.removed_at).is_(None)).order_by(col(Webhook.id))).all()


def find(session: Session, identity: int) -> Webhook | None:
    """The webhook of an id, when it was not removed."""
    row = session.get(Webhook, identity)
    return None if row is None or row.removed_at is not None else row


def add(session: Session, webhook: Webhook) -> int:
    session.add(webhook)
    session.flush()
    return webhook.id or 0


def save(session: Session, webhook: Webhook) -> None:
    session.add(webhook)
    session.flush()


def deliveries(
    session: Session, webhook_id: int, *, before: int | None = None, limit: int = 100
) -> Sequence[WebhookDelivery]:
    """What a webhook was told, the newest first; with `before`, those with a smaller id."""
    query = select(WebhookDelivery).where(WebhookDelivery.webhook_id == webhook_id)
    if before is not None:
        query = query.where(col(WebhookDelivery.id) < before)
    return session.exec(query.order_by(col(WebhookDelivery.id).desc()).limit(limit)).all()


def _due(now: datetime) -> tuple[Any, ...]:
    return (
        WebhookDelivery.status == "waiting",
        WebhookDelivery.next_at <= now,
        col(Webhook.removed_at).is_(None),
        col(Webhook.disabled_at).is_(None),
    )


def any_due(session: Session, now: datetime) -> bool:
    """Whether anything is to be told now; reads an index, and writes nothing."""
    query = (
        select(WebhookDelivery.id).join(Webhook, col(Webhook.id) == col(WebhookDelivery.webhook_id)).where(*_due(now))
    )
    return session.exec(query.limit(1)).first() is not None


def claim(session: Session, now: datetime, *, lease: timedelta, limit: int) -> list[Due]:
    """Take tellings that are due: until `now` and the lease have passed, no other process tries them."""
    query = (
        select(WebhookDelivery, Webhook)
        .join(Webhook, col(Webhook.id) == col(WebhookDelivery.webhook_id))
        .where(*_due(now))
        .order_by(col(WebhookDelivery.next_at), col(WebhookDelivery.id))
        .limit(limit)
    )
    taken: list[Due] = []
    for row, webhook in session.exec(query).all():
        mine = session.exec(
            update(WebhookDelivery)
            .where(
                col(WebhookDelivery.id) == row.id,
                col(WebhookDelivery.status) == "waiting",
                col(WebhookDelivery.attempts) == row.attempts,
            )
            .values(attempts=row.attempts + 1, next_at=now + lease)
            .execution_options(synchronize_session=False)
        )
        if mine.rowcount:
            taken.append(
                Due(
                    id=row.id or 0,
                    webhook_id=row.webhook_id,
                    message_id=row.message_id,
                    payload=row.payload,
                    url=webhook.url,
                    secret=webhook.secret,
                    attempt=row.attempts + 1,
                    created_at=row.created_at,
                )
            )
    return taken


def answered(session: Session, due: Due, *, status: str, answer: str, now: datetime, next_at: datetime) -> None:
    """Note what an attempt came to; what was given up meanwhile stays so."""
    session.exec(
        update(WebhookDelivery)
        .where(col(WebhookDelivery.id) == due.id, col(WebhookDelivery.status) == "waiting")
        .values(status=status, answer=answer, answered_at=now, next_at=next_at)
    )


def drop_waiting(session: Session, webhook_id: int, why: str) -> None:
    """What waits for a webhook that is told nothing any more has failed."""
    session.exec(
        update(WebhookDelivery)
        .where(col(WebhookDelivery.webhook_id) == webhook_id, col(WebhookDelivery.status) == "waiting")
        .values(status="failed", answer=why)
    )
