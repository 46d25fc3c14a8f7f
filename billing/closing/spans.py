"""What objects used over a span: its whole UTC days from the rollup, the parts of days at its ends from the records.

The law: of a part of a day the shorter side is read. What adds up may be the whole day less the other side of it, so a
month in a zone that is near UTC reads an hour or two of records, not most of a day.
"""

from collections.abc import Collection, Iterator
from typing import cast

from billing.closing.reader import MonthReader
from storage import measuring
from storage.due import ScheduleToValue
from storage.measuring import Measured, Span
from storage.types import DAY_MICROS


def measure_span(
    reader: MonthReader, span: Span, schedules: Collection[ScheduleToValue], *, adds_up: bool
) -> Iterator[tuple[int, Measured]]:
    """The usage of schedules over a span, by schedule id, of those that have any.

    Where it `adds_up`, only counts and sums are asked for.
    """
    whole, edges = parts_of(span, adds_up=adds_up and not span.ends)
    objects = {cast("int", it.object_id) for it in schedules}
    used = dict(reader.whole_days(whole, objects, adds_up=adds_up and not span.ends))
    for edge, added in edges:
        part = reader.window(edge)
        for object_id in objects & part.keys():
            before, more = used.get(object_id), part[object_id]
            joined = measuring.merged((before, more)) if added else _less(before, more)
            assert joined is not None  # noqa: S101 - the part has records
            used[object_id] = joined
    for schedule in schedules:
        found = used.get(cast("int", schedule.object_id))
        if found is not None and found.records:
            yield schedule.id, found


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
