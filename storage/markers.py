"""Which register the readings of an object are of, as its messages say: where another word comes first.

The law: it hangs on the readings, not on their order of arrival: of each word the earliest reading counts.
"""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from sqlmodel import Session, col, select

from storage.bulk import write_many
from storage.sets import CHUNK, batched
from storage.tables import RegisterMarker
from storage.types import to_micros


class Marked(NamedTuple):
    """A reading that says which register it is of; the instant in microseconds."""

    object_id: int
    metric_id: int
    marker: str
    at: int


class Beginning(NamedTuple):
    """From an instant (microseconds) on, another register; what the old one ended at and the new one began at.

    None is the last reading before, and the first one since.
    """

    starts_at: int
    final: int | None
    initial: int | None


def note(session: Session, readings: Iterable[Marked]) -> list[Marked]:
    """Keep the first reading of each word; those that changed where a register begins (not an object's first word)."""
    firsts: dict[tuple[int, int, str], int] = {}
    for object_id, metric_id, marker, at in readings:
        key = (object_id, metric_id, marker)
        firsts[key] = min(at, firsts.get(key, at))
    if not firsts:
        return []
    known = _of(session, {key[0] for key in firsts})
    changed = [Marked(*key, at) for key, at in sorted(firsts.items()) if at < known.get(key, at + 1)]
    if changed:
        write_many(
            session.connection(),
            "INSERT INTO register_marker (object_id, metric_id, marker, first_at) VALUES (?, ?, ?, ?) "
            "ON CONFLICT (object_id, metric_id, marker) DO UPDATE SET first_at = excluded.first_at "
            "WHERE excluded.first_at < register_marker.first_at",
            [(it.object_id, it.metric_id, it.marker, it.at) for it in changed],
        )
    before = {key[:2] for key in known}
    first: dict[tuple[int, int], int] = {}
    for (*register, _), at in firsts.items():
        first[register[0], register[1]] = min(at, first.get((register[0], register[1]), at))
    # The first word of a register that was never read before begins nothing.
    return [
        it
        for it in changed
        if (it.object_id, it.metric_id) in before or it.at > first[it.object_id, it.metric_id]
        if not _alone(it, known)
    ]


def _alone(it: Marked, known: Mapping[tuple[int, int, str], int]) -> bool:
    """Whether a register has only this word, whose first reading came late."""
    words = {key[2] for key in known if key[:2] == (it.object_id, it.metric_id)}
    return words == {it.marker}


def beginnings(session: Session) -> dict[tuple[int, int], list[Beginning]]:
    """By object and metric, where another register begins as messages say, in order of time."""
    query = select(RegisterMarker).order_by(
        col(RegisterMarker.object_id), col(RegisterMarker.metric_id), col(RegisterMarker.first_at)
    )
    found: dict[tuple[int, int], list[Beginning]] = {}
    for row in session.exec(query):
        key = (row.object_id, row.metric_id)
        found.setdefault(key, []).append(Beginning(to_micros(row.first_at), None, None))
    return {key: rest for key, (_, *rest) in found.items() if rest}


def _of(session: Session, object_ids: Iterable[int]) -> dict[tuple[int, int, str], int]:
    found: dict[tuple[int, int, str], int] = {}
    for chunk in batched(sorted(object_ids), CHUNK):
        for row in session.exec(select(RegisterMarker).where(col(RegisterMarker.object_id).in_(chunk))):
            found[row.object_id, row.metric_id, row.marker] = to_micros(row.first_at)
    return found
