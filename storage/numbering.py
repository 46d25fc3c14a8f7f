"""The last number of each object's messages, and the gaps of those that are missing."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from sqlmodel import Session, col, select

from storage.bulk import write_many
from storage.presence import LOOKUP_CHUNK
from storage.tables import MessageSequence, ReceptionGap
from storage.types import from_micros, to_micros

Key = tuple[int, str]
"""Object id, source."""


class Jump(NamedTuple):
    """Numbers that are missing between two messages of an object; times in microseconds."""

    object_id: int
    source: str
    first: int
    last: int
    starts_at: int
    ends_at: int


def known(session: Session, keys: Collection[Key]) -> dict[Key, tuple[int, int]]:
    """The last number and its time (microseconds), held until the commit where several processes write."""
    found: dict[Key, tuple[int, int]] = {}
    ordered = sorted({object_id for object_id, _ in keys})
    for start in range(0, len(ordered), LOOKUP_CHUNK):
        query = (
            select(MessageSequence)
            .where(col(MessageSequence.object_id).in_(ordered[start : start + LOOKUP_CHUNK]))
            .order_by(col(MessageSequence.object_id), col(MessageSequence.source))
            .with_for_update()
        )
        for row in session.exec(query.execution_options(populate_existing=True)):
            found[row.object_id, row.source] = (row.number, to_micros(row.at))
    return found


def keep(session: Session, last: Mapping[Key, tuple[int, int]]) -> None:
    """Remember the last numbers."""
    write_many(
        session.connection(),
        "INSERT INTO message_sequence (object_id, source, number, at) VALUES (?, ?, ?, ?) ON CONFLICT (object_id, "
        "source) DO UPDATE SET number = excluded.number, at = excluded.at",
        [(*key, *last[key]) for key in sorted(last)],
    )


def open_gaps(session: Session, jumps: Sequence[Jump], now: datetime) -> None:
    """Write the gaps that jumps show."""
    for jump in jumps:
        session.add(
            ReceptionGap(
                reason="sequence",
                object_id=jump.object_id,
                source=jump.source,
                starts_at=from_micros(min(jump.starts_at, jump.ends_at)),
                ends_at=from_micros(jump.ends_at),
                lost=jump.last - jump.first + 1,
                missing=[[jump.first, jump.last]],
                recorded_at=now,
            )
        )
    session.flush()


def gaps_of(session: Session, key: Key) -> list[ReceptionGap]:
    """The open gaps of an object's numbers."""
    query = select(ReceptionGap).where(
        ReceptionGap.object_id == key[0],
        ReceptionGap.source == key[1],
        ReceptionGap.reason == "sequence",
        col(ReceptionGap.cleared_at).is_(None),
    )
    return list(session.exec(query))


def found_again(session: Session, gap: ReceptionGap, left: list[Any], now: datetime) -> None:
    """Note which numbers are still missing; none clears the gap."""
    gap.missing = left
    gap.lost = sum(last - first + 1 for first, last in left)
    if not left:
        gap.cleared_at, gap.cleared_by = now, "arrived"
    session.add(gap)
    session.flush()
