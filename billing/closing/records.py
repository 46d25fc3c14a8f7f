"""What totals of days do not tell: one scan of the records for each window, whatever the number of schedules.

The law: a window is read once for all contracts of the month, in order of object and time; no object is asked alone.
What needs no order is added up by the database for each set of properties.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import cache
from itertools import groupby
from operator import itemgetter
from zoneinfo import ZoneInfo

from billing.archiving import require_records
from billing.closing.pauses import Pause, leaves_out, pauses_within
from billing.closing.reader import MonthReader
from billing.core.charges import Usage
from billing.core.groups import Group, measure_groups
from billing.core.measured import Measured
from billing.core.periods import local_midnight
from billing.core.quantity import unscale
from billing.core.records import Record, Window, measure_records
from storage import due, records
from storage.due import ScheduleToValue
from storage.measuring import Span
from storage.properties import parsed
from storage.records import GroupRow, Level, ScheduleOfWindow, SetLevel, UsageRow
from storage.types import DAY_MICROS, from_micros, to_micros

JUST_BEFORE = timedelta(microseconds=1)
BEGINNING = to_micros(datetime(1, 1, 1, tzinfo=UTC))
CARRY_THE_LAST = frozenset({"weighted_mean", "unique_count"})
"""What carries in the last record rather than the sum of all."""
Key = tuple[int, int]
"""Object id, metric id."""
midnight, zone_of = cache(local_midnight), cache(ZoneInfo)


def measure_by_record(reader: MonthReader, schedules: Iterable[tuple[int, int, int]]) -> dict[int, Measured]:
    """The usage of each schedule (id, beginning, end in microseconds); all are of charges that read records."""
    found: dict[int, Measured] = {}
    for identity, *span in schedules:
        window = (span[0], span[1])
        if window not in reader.by_record:
            require_records(reader.session, *window)
            rows = records.schedules_of_window(
                reader.session, start=window[0], end=window[1], charge_ids=reader.record_charges
            )
            reader.by_record[window] = dict(_measure_window(reader, *window, rows))
        found[identity] = reader.by_record[window][identity]
    return found


def measure_members(reader: MonthReader, members: Iterable[ScheduleToValue], timezone: str) -> dict[int, Measured]:
    """The usage of parts of pools, by their id; those over one window with one scan."""
    windows: dict[tuple[int, int], list[ScheduleOfWindow]] = defaultdict(list)
    for it in members:
        windows[it.start_at, it.end_at].append(
            ScheduleOfWindow(
                it.id,
                it.object_id or 0,
                it.metric_id or 0,
                it.charge_id,
                it.contract_item_id,
                it.nominal_starts_on,
                it.nominal_ends_on,
                timezone,
                it.reference,
            )
        )
    found: dict[int, Measured] = {}
    for window, rows in windows.items():
        require_records(reader.session, *window)
        found.update(_measure_window(reader, *window, rows))
    return found


Members = dict[Key, list[ScheduleOfWindow]]


def _measure_window(
    reader: MonthReader, start: int, end: int, schedules: Iterable[ScheduleOfWindow]
) -> Iterator[tuple[int, Measured]]:
    grouped: Members = defaultdict(list)
    listed: Members = defaultdict(list)
    rows = list(schedules)
    paused = _paused(reader, rows, (start, end))
    for row in rows:
        added_up = reader.record_charges[row.charge_id].calculator.from_groups() and not paused.get(row.id)
        (grouped if added_up else listed)[row.object_id, row.metric_id].append(row)
    yield from _from_groups(reader, start, end, grouped)
    yield from _from_records(reader, start, end, listed, paused)


def _from_groups(reader: MonthReader, start: int, end: int, members: Members) -> Iterator[tuple[int, Measured]]:
    """What the totals of each set of properties tell."""
    if not members:
        return
    metric_ids = {metric_id for _, metric_id in members}
    rows = records.groups_of_window(reader.session, start=start, end=end, metric_ids=metric_ids)
    for key, found in groupby(rows, key=itemgetter(0, 1)):
        if key in members:
            groups = [_group(reader, row) for row in found]
            for schedule in members.pop(key):
                yield schedule.id, measure_groups(reader.record_charges[schedule.charge_id].calculator, groups)
    for silent in members.values():
        for schedule in silent:
            yield schedule.id, measure_groups(reader.record_charges[schedule.charge_id].calculator, ())


def _from_records(
    reader: MonthReader, start: int, end: int, members: Members, paused: Mapping[int, Sequence[Pause]]
) -> Iterator[tuple[int, Measured]]:
    if not members:
        return
    calculators = [reader.record_charges[it.charge_id].calculator for found in members.values() for it in found]
    carried = _carried(reader, start, members)
    rows = records.of_window(
        reader.session,
        start=start,
        end=end,
        metric_ids={metric_id for _, metric_id in members},
        described=any(calculator.reads_properties() for calculator in calculators),
    )
    for key, group in groupby(rows, key=itemgetter(0, 1)):
        if key in members:
            inside = [_record(reader, row) for row in group]
            for schedule in members.pop(key):
                counted = _outside(inside, paused.get(schedule.id, ()))
                yield schedule.id, _measured(reader, schedule, [*carried(schedule), *counted], (start, end))
    for silent in members.values():
        for schedule in silent:
            yield schedule.id, _measured(reader, schedule, list(carried(schedule)), (start, end))


def _paused(
    reader: MonthReader, schedules: Sequence[ScheduleOfWindow], window: tuple[int, int]
) -> dict[int, list[Pause]]:
    """By schedule, the suspended instants whose usage its charge leaves out."""
    concerned = [it for it in schedules if leaves_out(reader.record_charges[it.charge_id]) and it.contract_item_id]
    if not concerned:
        return {}
    stored = due.suspensions(reader.session, {it.contract_item_id or 0 for it in concerned})
    return {
        it.id: pauses_within(
            stored.get(it.contract_item_id or 0, []), zone_of(it.timezone), start_at=window[0], end_at=window[1]
        )
        for it in concerned
    }


def _outside(inside: Sequence[Record], pauses: Sequence[Pause]) -> Sequence[Record]:
    """The records outside all pauses."""
    if not pauses:
        return inside
    spans = [(from_micros(start), from_micros(end)) for start, end in pauses]
    return [record for record in inside if not any(start <= record.at < end for start, end in spans)]


def _carried(reader: MonthReader, start: int, members: Members) -> Callable[[ScheduleOfWindow], Iterable[Record]]:
    """What gives a schedule the records that stand for all before its window."""
    carrying: dict[int, set[int]] = defaultdict(set)
    by_set: dict[int, set[int]] = defaultdict(set)
    for (object_id, metric_id), schedules in members.items():
        for schedule in schedules:
            calculator = reader.record_charges[schedule.charge_id].calculator
            if calculator.carries():
                (by_set if calculator.reads_properties() else carrying)[metric_id].add(object_id)
    levels = dict(_levels(reader, start, carrying))
    levels_by_set = dict(_levels_by_set(reader, start, by_set))

    def carried(schedule: ScheduleOfWindow) -> Iterator[Record]:
        calculator = reader.record_charges[schedule.charge_id].calculator
        key = (schedule.object_id, schedule.metric_id)
        if not calculator.carries():
            return
        decimals = reader.metrics[schedule.metric_id].decimals
        last = calculator.aggregation in CARRY_THE_LAST
        if calculator.reads_properties():
            for level in levels_by_set.get(key, ()):
                at = from_micros(level.last_at) if last else from_micros(start) - JUST_BEFORE
                value = unscale(level.last if last else level.total, decimals)
                yield Record(at=at, value=value, properties=parsed(level.content), id=level.last_discriminator)
        elif key in levels:
            value = unscale(levels[key].last if last else levels[key].total, decimals)
            yield Record(at=from_micros(start) - JUST_BEFORE, value=value)

    return carried


def _levels(reader: MonthReader, start: int, carrying: Mapping[int, set[int]]) -> Iterator[tuple[Key, Level]]:
    """By object and metric, the level that is carried into a window: whole days from the rollup, then the records."""
    day = start // DAY_MICROS
    for metric_id, object_ids in carrying.items():
        found = records.levels_before(reader.session, metric_id=metric_id, day=day, object_ids=object_ids)
        edge = reader.window(Span(metric_id, day * DAY_MICROS, start, ends=True))
        for object_id in object_ids:
            level, part = found.get(object_id), edge.get(object_id)
            if part is not None:
                level = Level(part.total + (0 if level is None else level.total), part.last)
            if level is not None:
                yield (object_id, metric_id), level


def _levels_by_set(
    reader: MonthReader, start: int, carrying: Mapping[int, set[int]]
) -> Iterator[tuple[Key, list[SetLevel]]]:
    """The same for each set of properties: all records before the window, none of which may be archived."""
    if carrying:
        require_records(reader.session, BEGINNING, start)
    for metric_id, object_ids in carrying.items():
        found = records.levels_by_set(reader.session, metric_id=metric_id, start=start, object_ids=object_ids)
        for object_id, levels in found.items():
            yield (object_id, metric_id), levels


def _record(reader: MonthReader, row: UsageRow) -> Record:
    decimals = reader.metrics[row.metric_id].decimals
    return Record(
        at=from_micros(row.occurred_at),
        value=unscale(row.quantity, decimals),
        properties=parsed(row.content),
        id=row.discriminator,
    )


def _group(reader: MonthReader, row: GroupRow) -> Group:
    decimals = reader.metrics[row.metric_id].decimals
    return Group(
        properties=parsed(row.content),
        count=row.records,
        total=unscale(row.total, decimals),
        top=unscale(row.top, decimals),
        low=unscale(row.low, decimals),
    )


def _measured(
    reader: MonthReader, schedule: ScheduleOfWindow, known: Sequence[Record], span: tuple[int, int]
) -> Measured:
    charge: Usage = reader.record_charges[schedule.charge_id]
    zone = zone_of(schedule.timezone)
    window = Window(
        start=from_micros(span[0]),
        end=from_micros(span[1]),
        nominal_start=midnight(schedule.nominal_starts_on, zone),
        nominal_end=midnight(schedule.nominal_ends_on, zone),
        zone=zone,
    )
    if not charge.calculator.reads_events():
        return _without_values(measure_records(charge.calculator, known, window, prorate=charge.prorate))
    return measure_records(charge.calculator, known, window, prorate=charge.prorate, owner=schedule.owner)


def _without_values(measured: Measured) -> Measured:
    parts = tuple((value, replace(part, values=None)) for value, part in measured.parts)
    return replace(measured, values=None, parts=parts)
