"""Commands that were answered, so that a repeat gets the same answer again."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlmodel import Session

from storage.catalogue import take_turns
from storage.tables import ControlRequest


def find(session: Session, object_reference: str, command: str, request_id: str) -> ControlRequest | None:
    """The request that was answered under this id, if any; the scope of the id is (object, command).

    Two deliveries of one request take turns, so the second finds the answer of the first.
    """
    take_turns(session, f"control/{object_reference}/{command}/{request_id}")
    return session.get(ControlRequest, (object_reference, command, request_id))


def remember(
    session: Session,
    *,
    object_reference: str,
    command: str,
    request_id: str,
    body_hash: str,
    reply: Mapping[str, Any],
    now: datetime,
) -> None:
    """Keep the answer that was given."""
    session.add(
        ControlRequest(
            object_reference=object_reference,
            command=command,
            request_id=request_id,
            body_hash=body_hash,
            reply=dict(reply),
            recorded_at=now,
        )
    )
    session.flush()
