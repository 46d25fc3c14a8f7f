"""Register values at period ends: kept for good, and chained, so that one period starts where the last one ended.

What is read late is charged in the next period. Where none follows, at the end of an item, the value still rises, and
the last period is charged what it rose.
"""

from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import cast

from billing.closing.reader import MonthReader
from billing.closing.walking import Readings, boundary_rule, read_walked, walked_over
from billing.core.boundaries import Quality, Rule, Value, value_at
from billing.core.registers import Probe, Reading
from storage import measuring, walking
from storage.due import ScheduleToValue
from storage.measuring import Measured, Span
from storage.pools import used_later
from storage.registers import followed_by_nothing
from storage.types import DAY_MICROS

HELD: Quality = "held"
"""The quality of a value after which readings came that are held: it is the last one that counts."""
ESTIMATED: Quality = "estimated"
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
    """Those parts of pools after which no contract item of their object charges their metric."""
    together: dict[tuple[int, int], list[ScheduleToValue]] = {}
    for it in ended:
        together.setdefault((cast("int", it.metric_id), it.end_at), []).append(it)
    found: set[int] = set()
    for (metric_id, at), members in together.items():
        object_ids = {cast("int", it.object_id) for it in members}
        later = used_later(reader.session, metric_id=metric_id, at=at, object_ids=object_ids)
        found.update(it.id for it in members if it.object_id not in later)
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
    walked = walked_over(reader, span, raw, opened)
    walked |= {it for it in raw if (it, span.metric_id, span.start) in registers.held}
    rule, until = boundary_rule(reader, span.metric_id), None
    if rule.how == "interpolated":
        walked |= {it for it in raw if (it, span.metric_id) in reader.exchanges}
        ends = {schedule.object_id: totals.get(schedule.id) for schedule in schedules}
        after = first_after(reader, span, raw)
        for object_id, read in raw.items():
            around = _around_end(span, read, opened[object_id], ends[object_id], after.get(object_id))
            if around is None:
                walked.add(object_id)
            else:
                raw[object_id] = read._replace(end=around)
        until = max((after[it].at for it in walked if it in after), default=None)
    raw |= read_walked(reader, span, walked, until=until)
    for schedule in schedules:
        object_id = cast("int", schedule.object_id)
        start, end = (object_id, span.metric_id, span.start), (object_id, span.metric_id, span.end)
        read = raw[object_id]
        if read.before is not None:
            begun = _value(span.start, read.start, rule) or Value(read.before, HELD if read.held_before else ESTIMATED)
            registers.keep(start, *begun)
        elif read.first is not None:
            registers.keep(start, read.first, "baseline")
        opening = registers.kept.get(start)
        if opening is not None:
            keep = registers.raise_to if schedule.id in last else registers.keep
            reached = max(value for value in (opening, read.before, read.top) if value is not None)
            ended = _value(span.end, read.end, rule) or Value(reached, HELD if read.held else ESTIMATED)
            keep(end, max(ended.quantity, reached), ended.quality)


def _value(at: int, around: Probe | None, rule: Rule) -> Value | None:
    return None if around is None else value_at(at, around, rule)


def _around_end(
    span: Span, read: Readings, opening: int | None, totals: Measured | None, after: Reading | None
) -> Probe | None:
    """The readings around the end of a span of a register that only rose; None where it has to be walked over."""
    if opening is None and read.before is not None:
        return None
    before: Reading | None = None
    if totals is not None:
        before = Reading(totals.last_at, totals.top)
    elif opening is not None:  # nothing was read in the period: the line goes on from where it began
        before = Reading(span.start, max(value for value in (opening, read.before) if value is not None))
    if before is not None and after is not None and after.quantity < before.quantity:
        return None
    return Probe(before, after, held=False)


def first_after(reader: MonthReader, span: Span, object_ids: Iterable[int]) -> dict[int, Reading]:
    """By object, its first reading at the end of a span or after it."""
    day = -(-span.end // DAY_MICROS)
    found = {
        it.object_id: Reading(it.at, it.quantity)
        for it in walking.first_since(reader.session, span.metric_id, day=day, object_ids=object_ids)
    }
    edge = reader.window(span._replace(start=span.end, end=day * DAY_MICROS, ends=True))
    return found | {it: Reading(part.first_at, part.first) for it, part in edge.items()}
