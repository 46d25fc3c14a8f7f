"""Register values at period ends: kept for good, and chained, so that one period starts where the last one ended.

What is read late is charged in the next period. Where none follows, at the end of an item, the value still rises, and
the last period is charged what it rose.
"""

from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, field
from typing import cast

from billing.closing.reader import MonthReader
from billing.closing.walking import Readings, read_walked, walked_over
from storage import measuring
from storage.due import ScheduleToValue
from storage.measuring import Measured, Span
from storage.pools import used_later
from storage.registers import followed_by_nothing
from storage.types import DAY_MICROS

HELD = "held"
"""The quality of a value after which readings came that are held: it is the last one that counts."""
BoundaryKey = tuple[int, int, int]
"""Object id, metric id, instant in microseconds."""


@dataclass(slots=True)
class Registers:
    """Register values at period ends: those that are kept, and those that this close adds."""

    kept: dict[BoundaryKey, int] = field(default_factory=dict)
    new: dict[BoundaryKey, tuple[int, str]] = field(default_factory=dict)

    held: set[BoundaryKey] = field(default_factory=set)
    """The values before which readings are held."""

    left_out: dict[int, int] = field(default_factory=dict)
    """By schedule, what its register rose while suspended, where the plan does not charge that."""

    def ends(self, schedule: ScheduleToValue) -> tuple[int | None, int | None]:
        """Opening and closing value of a schedule; None where there is no reading yet."""
        if not self.kept:
            return None, None
        object_id, metric_id = schedule.object_id or 0, schedule.metric_id or 0
        opening = self.kept.get((object_id, metric_id, schedule.start_at))
        closing = self.kept.get((object_id, metric_id, schedule.end_at))
        return opening, None if closing is None else closing - self.left_out.get(schedule.id, 0)

    def keep(self, key: BoundaryKey, quantity: int, quality: str) -> None:
        """Keep a value for good, unless there is one."""
        if key not in self.kept:
            self._put(key, quantity, quality)

    def raise_to(self, key: BoundaryKey, quantity: int, quality: str) -> None:
        """Keep a value that may still rise."""
        if key not in self.kept or quantity > self.kept[key]:
            self._put(key, quantity, quality)

    def _put(self, key: BoundaryKey, quantity: int, quality: str) -> None:
        self.kept[key] = quantity
        self.new[key] = quantity, quality
        (self.held.add if quality == HELD else self.held.discard)(key)

    def rows(self) -> tuple[tuple[int, int, int, int, str], ...]:
        """What to store: object, metric, microseconds, quantity, quality."""
        return tuple((*key, *value) for key, value in self.new.items())


def read_registers(
    reader: MonthReader, spans: Mapping[Span, Sequence[ScheduleToValue]], totals: Mapping[int, Measured]
) -> Registers:
    """The running maximum at each period's ends, each kept for good; in the order of time, so that they chain."""
    registers = Registers()
    ordered = sorted(spans)
    for span in ordered:
        object_ids = {cast("int", schedule.object_id) for schedule in spans[span]}
        for at in (span.start, span.end):
            for object_id, stored in measuring.boundaries(reader.session, span.metric_id, at, object_ids).items():
                registers.kept[object_id, span.metric_id, at] = stored.quantity
                if stored.quality == HELD:
                    registers.held.add((object_id, span.metric_id, at))
    ended = [it for found in spans.values() for it in found if it.item_ends_on and it.item_ends_on <= it.ends_on]
    last = followed_by_nothing(reader.session, [it.id for it in ended if it.id > 0]) if ended else set()
    last |= _last_in_pools(reader, [it for it in ended if it.id < 0])
    for span in ordered:
        _chain(reader, registers, span, spans[span], totals, last)
    return registers


def _last_in_pools(reader: MonthReader, ended: Sequence[ScheduleToValue]) -> set[int]:
    """Those parts of pools after which no contract item of their object begins."""
    found: set[int] = set()
    for at in {it.end_at for it in ended}:
        members = {cast("int", it.object_id): it.id for it in ended if it.end_at == at}
        later = used_later(reader.session, at=at, object_ids=members)
        found.update(identity for object_id, identity in members.items() if object_id not in later)
    return found


def _chain(
    reader: MonthReader,
    registers: Registers,
    span: Span,
    schedules: Sequence[ScheduleToValue],
    totals: Mapping[int, Measured],
    last: Container[int],
) -> None:
    object_ids = {cast("int", schedule.object_id) for schedule in schedules}
    before = measuring.top_before(reader.session, span, object_ids)
    edges = reader.window(span._replace(start=span.start // DAY_MICROS * DAY_MICROS, end=span.start, ends=False))
    raw: dict[int, Readings] = {}
    for schedule in schedules:
        object_id = cast("int", schedule.object_id)
        edge, found = edges.get(object_id), totals.get(schedule.id)
        tops = [top for top in (before.get(object_id), None if edge is None else edge.top) if top is not None]
        inside = (None, None) if found is None else (found.first, found.top)
        raw[object_id] = Readings(max(tops, default=None), *inside)
    opened = {it: registers.kept.get((it, span.metric_id, span.start)) for it in raw}
    held = {it for it in raw if (it, span.metric_id, span.start) in registers.held}
    raw |= read_walked(reader, span, walked_over(reader, span, raw, opened) | held)
    for schedule in schedules:
        object_id = cast("int", schedule.object_id)
        start, end = (object_id, span.metric_id, span.start), (object_id, span.metric_id, span.end)
        read = raw[object_id]
        if read.before is not None:
            registers.keep(start, read.before, HELD if read.held_before else "estimated")
        elif read.first is not None:
            registers.keep(start, read.first, "baseline")
        opening = registers.kept.get(start)
        if opening is not None:
            keep = registers.raise_to if schedule.id in last else registers.keep
            reached = max(value for value in (opening, read.before, read.top) if value is not None)
            keep(end, reached, HELD if read.held else "estimated")
