"""What objects used over a span: its whole UTC days from the rollup, the parts of days at its ends from the records.

The law: of a part of a day the shorter side is read. What adds up may be the whole day less the other side of it, so a
month in a zone that is near UTC reads an hour or two of records, not most of a day.
"""

from collections.abc import Collection, Iterator, Mapping
from typing import NamedTuple, cast

from billing.closing.reader import MonthReader
from storage import measuring
from storage.due import ScheduleToValue
from storage.measuring import Measured, Span
from storage.types import DAY_MICROS


class _Part(NamedTuple):
    """Records by object, to be added, or to be taken off again."""

    of: Mapping[int, Measured]
    added: bool


def measure_span(
    reader: MonthReader, span: Span, schedules: Collection[ScheduleToValue], *, adds_up: bool
) -> Iterator[tuple[int, Measured]]:
    """The usage of schedules over a span, by schedule id, of those that have any.

    Where it `adds_up`, only counts and sums are asked for.
    """
    whole, edges = parts_of(span, adds_up=adds_up and not span.ends)
    objects = {cast("int", it.object_id) for it in schedules}
    days = reader.whole_days(whole, objects, adds_up=adds_up and not span.ends)
    parts = [_Part(found, added) for edge, added in edges if (found := reader.window(edge))]
    for schedule in schedules:
        object_id = cast("int", schedule.object_id)
        used = days.get(object_id)
        for part in parts:
            more = part.of.get(object_id)
            if more is not None:
                used = measuring.merged((used, more)) if part.added else _less(used, more)
        if used is not None and used.records:
            yield schedule.id, used


def parts_of(span: Span, *, adds_up: bool) -> tuple[Span, list[tuple[Span, bool]]]:
    """A span of whole days, and the spans of parts of days that are added to it or taken off."""
    first_day, last_day = -(-span.start // DAY_MICROS) * DAY_MICROS, span.end // DAY_MICROS * DAY_MICROS
    if first_day > last_day:
        return span, [(span, True)]
    start, end, edges = first_day, last_day, []
    if adds_up and 2 * (first_day - span.start) > DAY_MICROS:
        start = first_day - DAY_MICROS
        edges.append((span._replace(start=start, end=span.start), False))
    else:
        edges.append((span._replace(end=first_day), True))
    if adds_up and 2 * (span.end - last_day) > DAY_MICROS:
        end = last_day + DAY_MICROS
        edges.append((span._replace(start=span.end, end=end), False))
    else:
        edges.append((span._replace(start=last_day), True))
    return span._replace(start=start, end=end), edges


def _less(whole: Measured | None, part: Measured) -> Measured:
    assert whole is not None  # noqa: S101 - the rollup has what the records have
    return Measured(whole.records - part.records, whole.total - part.total, whole.top)
