"""The suspended days of a line of contract items: disjoint spans of local days, whatever was corrected and how often.

The law: a command says what holds from its day on, and replaces what was said about later days before it.
"""

from collections.abc import Iterable
from datetime import date
from typing import TypeAlias

Span: TypeAlias = tuple[date, date | None]
"""Local days `[start, end)`; an end of None is still open."""


def merged(spans: Iterable[Span]) -> tuple[Span, ...]:
    """The same days as disjoint spans in the order of time; neighbours become one, empty spans vanish."""
    found: list[tuple[date, date]] = []
    for start, end in sorted((start, end or date.max) for start, end in spans):
        if start >= end:
            continue
        if found and start <= found[-1][1]:
            found[-1] = (found[-1][0], max(found[-1][1], end))
        else:
            found.append((start, end))
    return tuple((start, None if end == date.max else end) for start, end in found)


def clipped(spans: Iterable[Span], starts_on: date, ends_on: date | None) -> tuple[Span, ...]:
    """The part of the spans inside `[starts_on, ends_on)`; with an end of None what is open stays open."""
    limit = ends_on or date.max
    inside = ((max(start, starts_on), min(end or date.max, limit)) for start, end in spans)
    return merged((start, None if end == date.max else end) for start, end in inside)


def suspend_from(spans: Iterable[Span], day: date) -> tuple[Span, ...]:
    """The spans once the line is suspended from `day` on."""
    return merged([*clipped(spans, date.min, day), (day, None)])


def resume_from(spans: Iterable[Span], day: date) -> tuple[Span, ...]:
    """The spans once the line is in service again from `day` on."""
    return clipped(spans, date.min, day)


def first_difference(before: Iterable[Span], after: Iterable[Span]) -> date | None:
    """The first day that is suspended in one of the two and not in the other; None when they are the same days."""
    old, new = merged(before), merged(after)
    if old == new:
        return None
    edges = {day for span in set(old) ^ set(new) for day in span if day is not None}
    return min(day for day in edges if _covers(old, day) != _covers(new, day))


def _covers(spans: Iterable[Span], day: date) -> bool:
    return any(start <= day and (end is None or day < end) for start, end in spans)
