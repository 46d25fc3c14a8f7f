"""What webhooks are told: rows written in the transaction that decided, one for each address that wants the event.

The law: nothing is told that was not committed. Where no webhook is declared, it costs one read of an empty table.
"""

import hashlib
import uuid
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlmodel import Session, col, insert, select

from storage.tables import ConnectedObject, Contract, Invoice, Payment, Webhook, WebhookDelivery
from storage.types import canonical_json

OBJECT_EVENTS = {"activated": "object.activated", "suspended": "object.suspended"}
"""Events of timelines that are told, and as what."""
EVENTS = (*OBJECT_EVENTS.values(), "period.incomplete", "invoice.issued", "payment.recorded")
"""Everything that a webhook can be told."""


def tell(
    session: Session, event: str, entries: Sequence[Mapping[str, Any]], now: datetime, *, once: bool = False
) -> None:
    """Write that something happened, an entry each, for every address that wants it; `once` whatever the repeats."""
    wanted = _wanted(session, event)
    names = [_name(event, entry) if once else "" for entry in entries]
    told = _told(session, names) if once and wanted else set()
    rows = [
        {
            "webhook_id": webhook,
            "message_id": name if once else f"msg_{uuid.uuid4().hex}",
            "event": event,
            "payload": canonical_json({"type": event, "timestamp": now.isoformat(), "data": dict(entry)}),
            "status": "waiting",
            "attempts": 0,
            "created_at": now,
            "next_at": now,
            "answer": "",
        }
        for name, entry in zip(names, entries, strict=True)
        for webhook in wanted
        if (webhook, name) not in told
    ]
    if rows:
        session.exec(insert(WebhookDelivery), params=rows)


def tell_events(session: Session, rows: Sequence[Mapping[str, Any]]) -> None:
    """Tell the events of timelines that are told at all; `rows` are those that were written."""
    for kind, event in OBJECT_EVENTS.items():
        chosen = [row for row in rows if row["kind"] == kind]
        if chosen and _wanted(session, event):
            names = _references(session, [row["object_id"] for row in chosen])
            entries = [
                {
                    "object": names[row["object_id"]],
                    "occurred_at": row["occurred_at"].isoformat(),
                    **row.get("detail", {}),
                }
                for row in chosen
            ]
            tell(session, event, entries, max(row["recorded_at"] for row in chosen))


def tell_issued(session: Session, invoice: Invoice) -> None:
    """Tell that a document got its number."""
    name = session.get_one(Contract, invoice.contract_id).name
    entry = {
        "number": invoice.number,
        "kind": invoice.kind,
        "contract": name,
        "month": f"{invoice.month_starts_on:%Y-%m}",
        "issued_on": invoice.issued_on.isoformat(),
        "due_on": invoice.due_on.isoformat(),
        "currency": invoice.currency,
        "total": _amount(invoice.gross_minor, invoice.minor_digits),
    }
    tell(session, "invoice.issued", [entry], invoice.issued_at)


def tell_paid(session: Session, payment: Payment) -> None:
    """Tell that a payment was recorded."""
    invoice = session.get_one(Invoice, payment.invoice_id)
    entry = {
        "number": invoice.number,
        "amount": _amount(payment.amount_minor, invoice.minor_digits),
        "currency": invoice.currency,
        "paid_on": payment.paid_on.isoformat(),
        "reference": payment.reference,
    }
    tell(session, "payment.recorded", [entry], payment.recorded_at)


def _name(event: str, entry: Mapping[str, Any]) -> str:
    """The id of a telling by what it says: said again, it is the same message."""
    digest = hashlib.sha256(canonical_json({"type": event, "data": dict(entry)}).encode()).hexdigest()
    return f"msg_{digest[:32]}"


def _told(session: Session, names: Sequence[str]) -> set[tuple[int, str]]:
    query = select(WebhookDelivery.webhook_id, WebhookDelivery.message_id)
    return set(session.exec(query.where(col(WebhookDelivery.message_id).in_(names))).all())


def _wanted(session: Session, event: str) -> list[int]:
    query = select(Webhook).where(col(Webhook.removed_at).is_(None), col(Webhook.disabled_at).is_(None))
    return [row.id or 0 for row in session.exec(query.order_by(col(Webhook.id))) if event in row.events]


def _references(session: Session, ids: Sequence[int]) -> dict[int, str]:
    found: dict[int, str] = {}
    for start in range(0, len(ids), 500):
        query = select(ConnectedObject.id, ConnectedObject.reference)
        part = ids[start : start + 500]
        found |= {key or 0: name for key, name in session.exec(query.where(col(ConnectedObject.id).in_(part)))}
    return found


def _amount(minor: int, digits: int) -> str:
    if not digits:
        return str(minor)
    sign, text = "-" if minor < 0 else "", str(abs(minor)).rjust(digits + 1, "0")
    return f"{sign}{text[:-digits]}.{text[-digits:]}"
