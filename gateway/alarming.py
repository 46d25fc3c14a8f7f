"""What is told on an object's timeline of the messages that it sends: that its clock is wrong.

The law: an alarm is written once in its window, however many messages raise it.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime

from sqlmodel import Session

from gateway.message import Read
from gateway.telemetry import LifecycleReport
from storage.alarms import raise_once
from storage.types import from_micros

CLOCK = "clock_implausible"


def tell_of_clocks(session: Session, accepted: Sequence[Read], objects: Mapping[str, int], now: datetime) -> int:
    """An event a day for each object whose messages have the time of their arrival; how many messages."""
    count = 0
    told: set[str] = set()
    for read in accepted:
        said = _said(read)
        if said is None:
            continue
        count += 1
        if read.reference in told:
            continue
        told.add(read.reference)
        at = read.message.received_at
        raise_once(
            session,
            objects[read.reference],
            kind=CLOCK,
            window=f"{at:%Y-%m-%d}",
            occurred_at=at,
            now=now,
            detail={"stated": said, "recorded_at": at.isoformat()},
        )
    return count


def _said(read: Read) -> str | None:
    """The time that is not plausible, where the arrival's was taken instead."""
    if isinstance(read.content, LifecycleReport):
        said = read.content.detail.get("implausible_time")
        return str(said) if read.content.occurred_at is None and said is not None else None
    if not isinstance(read.content, tuple):
        return None
    found = (sample.implausible_at for sample in read.content if sample.implausible_at is not None)
    return next((from_micros(at).isoformat() for at in found), None)
