"""Which register the readings of an object are of, as its messages say: where another word comes.

The law: it hangs on the readings, not on their order of arrival: where a reading says another word than the one before
it, another register begins, also where the word was said before.
"""

from collections.abc import Iterable, Sequence
from itertools import groupby
from operator import itemgetter
from typing import NamedTuple

from sqlalchemy import text
from sqlmodel import Session, col, select

from storage.bulk import write_many
from storage.properties import parsed
from storage.sets import CHUNK, batched
from storage.tables import RegisterMarker
from storage.types import to_micros

EVER = 2**62
"""An instant after all others."""
Said = tuple[int, str]
"""An instant in microseconds, and what the reading there says which register it is of."""


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


def note(session: Session, readings: Iterable[Marked], marker: str) -> list[Marked]:
    """Keep where each word begins; the beginnings that are new (with its first word a register begins nothing).

    The readings are stored already, with their word as the property `marker`: one that says another word than those
    around it may part them, and they are read again.
    """
    told: dict[tuple[int, int], set[Said]] = {}
    for it in readings:
        told.setdefault((it.object_id, it.metric_id), set()).add((it.at, it.marker))
    known = _of(session, {object_id for object_id, _ in told})
    new: list[Marked] = []
    gone: list[tuple[int, int, int]] = []
    found: list[Marked] = []
    for register, words in sorted(told.items()):
        before = known.get(register, [])
        others = [it for it in words if _word_at(before, it[0]) != it[1]]
        if not others:
            continue
        if before:
            end = next((at for at, _ in before if at > max(others)[0]), EVER)
            words.update(_stored(session, register, marker, start=min(others)[0], end=end))
        after = _beginnings([*before, *words])
        gone += [(*register, at) for at, _ in set(before) - set(after)]
        new += [Marked(*register, word, at) for at, word in sorted(set(after) - set(before))]
        found += [Marked(*register, word, at) for at, word in sorted(set(after[1:]) - set(before[1:]))]
    connection = session.connection()
    if gone:
        sql = "DELETE FROM register_marker WHERE object_id = ? AND metric_id = ? AND first_at = ?"
        write_many(connection, sql, gone)
    if new:
        sql = "INSERT INTO register_marker (object_id, metric_id, marker, first_at) VALUES (?, ?, ?, ?)"
        write_many(connection, sql, [(it.object_id, it.metric_id, it.marker, it.at) for it in new])
    return found


def _word_at(beginnings: Sequence[Said], at: int) -> str | None:
    return next((word for since, word in reversed(beginnings) if since <= at), None)


def _beginnings(readings: Iterable[Said]) -> list[Said]:
    """The readings that say another word than the one before; of two at one instant the last word counts."""
    ordered = sorted(dict(sorted(readings)).items())
    return [next(each) for _, each in groupby(ordered, key=itemgetter(1))]


def _stored(session: Session, register: tuple[int, int], marker: str, *, start: int, end: int) -> set[Said]:
    """What the readings of a register in `[start, end)` say."""
    rows = session.connection().execute(
        text(
            "SELECT u.occurred_at, p.content FROM usage_record u JOIN property_set p ON p.id = u.property_set_id "
            "WHERE u.occurred_at >= :start AND u.occurred_at < :end "
            "AND u.object_id = :object_id AND u.metric_id = :metric_id"
        ),
        {"start": start, "end": end, "object_id": register[0], "metric_id": register[1]},
    )
    return {(at, word) for at, content in rows if (word := parsed(content).get(marker))}


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


def _of(session: Session, object_ids: Iterable[int]) -> dict[tuple[int, int], list[Said]]:
    found: dict[tuple[int, int], list[Said]] = {}
    for chunk in batched(sorted(object_ids), CHUNK):
        query = select(RegisterMarker).where(col(RegisterMarker.object_id).in_(chunk))
        for row in session.exec(query.order_by(col(RegisterMarker.first_at))):
            found.setdefault((row.object_id, row.metric_id), []).append((to_micros(row.first_at), row.marker))
    return found
