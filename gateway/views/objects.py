"""An object as a list shows it, and whole."""

from datetime import timedelta
from typing import Any

from sqlmodel import Session

from billing import downlink
from billing.core.errors import NotFound
from storage import downlink as commanded
from storage import items, registers, registry

DAY = timedelta(days=1)


def listed_object(it: registry.ListedObject) -> dict[str, Any]:
    """A row of a list."""
    return {
        "reference": it.reference,
        "kind": it.kind,
        "status": it.status,
        "customer": it.customer,
        "contract": it.contract,
        "subscription": it.subscription,
    }


def whole_object(session: Session, reference: str) -> dict[str, Any]:
    """One object with its timeline, its contract items and their schedules; last days inclusive. Raises NotFound."""
    found = registry.list_objects(session, references=[reference])
    if not found:
        raise NotFound(f"no object is called {reference!r}; `metergate objects list` shows those that are")
    it = found[0]
    presence = registry.presence(session, it.id)
    qualities = registers.qualities_of(session, it.id)
    return listed_object(it) | {
        "attributes": it.attributes,
        "created_at": it.created_at,
        "last_seen_at": presence.last_seen_at if presence else None,
        "online": presence.online if presence else None,
        "timeline": [event_row(event) for event in registry.timeline(session, it.id)],
        "commands": [downlink.info(it.reference, each).as_json() for each in commanded.of_object(session, it.id)],
        "contract_items": [
            {
                "name": item.name,
                "contract": item.contract,
                "subscription": item.subscription,
                "status": item.status,
                "starts_on": item.starts_on,
                "ends_on": item.ends_on - DAY,
                "schedules": [
                    {
                        "starts_on": schedule.starts_on,
                        "ends_on": schedule.ends_on - DAY,
                        "due_on": schedule.due_on,
                        "status": schedule.status,
                        "quantity": schedule.quantity,
                        "amount": schedule.amount,
                        "quality": qualities.get((schedule.metric_id, schedule.end_at)),
                    }
                    for schedule in items.schedules(session, item.id)
                ],
            }
            for item in items.of_objects(session, [it.id])
        ],
    }


def event_row(event: Any) -> dict[str, Any]:
    """One event of a timeline."""
    return {"occurred_at": event.occurred_at, "event": event.kind, "origin": event.origin, "detail": event.detail}
