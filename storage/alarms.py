"""Events that Metergate itself writes on an object's timeline, once in a while: a wrong clock, a limit exceeded."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlmodel import Session, select

from storage import events
from storage.tables import ObjectEvent


def raise_once(
    session: Session,
    object_id: int,
    *,
    kind: str,
    window: str,
    occurred_at: datetime,
    now: datetime,
    detail: Mapping[str, Any],
) -> bool:
    """Write the event unless the object has one of this kind and window; whether it was written."""
    same = select(ObjectEvent.id).where(
        ObjectEvent.object_id == object_id, ObjectEvent.kind == kind, ObjectEvent.key == window
    )
    if session.exec(same).first() is not None:
        return False
    session.add(
        ObjectEvent(
            object_id=object_id,
            kind=kind,
            occurred_at=occurred_at,
            recorded_at=now,
            key=window,
            origin="engine",
            detail=dict(detail),
        )
    )
    session.flush()
    events.revalue(session, [{"object_id": object_id, "kind": kind, "occurred_at": occurred_at}], now)
    return True
