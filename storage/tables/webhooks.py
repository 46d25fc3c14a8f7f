"""Who is told over HTTP what happened, and each telling: written in the transaction that decided, sent afterwards."""

from datetime import datetime
from typing import Any, ClassVar

from sqlalchemy import Column, Index, Text
from sqlmodel import Field

from storage.tables.base import DELIVERY_STATUSES, Table, one_of
from storage.types import Instant, Json, Word


class Webhook(Table, table=True):
    """An address that is told events of some kinds; kept when it is removed, with what it was told."""

    id: int | None = Field(default=None, primary_key=True)
    url: str = Field(sa_type=Text)
    events: list[str] = Field(sa_column=Column(Json, nullable=False))
    secret: str
    """`whsec_` and the key in base64: it signs, so it is kept as it is."""
    created_at: datetime = Field(sa_type=Instant)
    removed_at: datetime | None = Field(default=None, sa_type=Instant)
    failing_since: datetime | None = Field(default=None, sa_type=Instant)
    """The first failure since the last success."""
    disabled_at: datetime | None = Field(default=None, sa_type=Instant)
    disabled_why: str = ""


class WebhookDelivery(Table, table=True):
    """One telling to one address; the row is its log."""

    __tablename__ = "webhook_delivery"
    __table_args__: ClassVar[Any] = (
        one_of("status", DELIVERY_STATUSES),
        Index("ix_webhook_delivery_status_next_at", "status", "next_at"),
        Index("ix_webhook_delivery_webhook_id", "webhook_id"),
        Index("ix_webhook_delivery_message_id", "message_id"),
    )
    id: int | None = Field(default=None, primary_key=True)
    webhook_id: int = Field(foreign_key="webhook.id")
    message_id: str
    """The same at each attempt: what makes a repeat recognisable."""
    event: str
    payload: str = Field(sa_type=Text)
    status: str = Field(default="waiting", sa_type=Word)
    attempts: int = 0
    created_at: datetime = Field(sa_type=Instant)
    next_at: datetime = Field(sa_type=Instant)
    """When it is tried next; while it is tried, when another process may."""
    answered_at: datetime | None = Field(default=None, sa_type=Instant)
    answer: str = ""
    """What the last attempt came to: a status, or why there was none."""
