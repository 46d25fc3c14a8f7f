"""What is measured record by record: one scan of the records for each window, whatever the number of schedules.

The law: a window is read once for all contracts of the month, in order of object and time; no object is asked alone.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from functools import cache
from itertools import groupby
from operator import itemgetter
from zoneinfo import ZoneInfo

from billing.archiving import require_records
from billing.closing.pauses import Pause, leaves_out, pauses_within
from billing.closing.reader import MonthReader
from billing.core.charges import Usage
from billing.core.measured import Measured
from billing.core.periods import local_midnight
from billing.core.quantity import unscale
from billing.core.records import Record, Window, measure_records
from storage import due, records
from storage.due import ScheduleToValue
from storage.measuring import Span
from storage.records import Level, ScheduleOfWindow, UsageRow
from storage.types import DAY_MICROS, from_micros

JUST_BEFORE = timedelta(microseconds=1)
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
            )
        )
    found: dict[int, Measured] = {}
    for window, rows in windows.items():
        require_records(reader.session, *window)
        found.update(_measure_window(reader, *window, rows))
    return found


def _measure_window(
    reader: MonthReader, start: int, end: int, schedules: Iterable[ScheduleOfWindow]
) -> Iterator[tuple[int, Measured]]:
    members: dict[Key, list[ScheduleOfWindow]] = defaultdict(list)
    for row in schedules:
        members[row.object_id, row.metric_id].append(row)
    levels = _levels(reader, start, members)
    paused = _paused(reader, [it for found in members.values() for it in found], (start, end))
    rows = records.of_window(reader.session, start=start, end=end, metric_ids={metric_id for _, metric_id in members})
    for key, group in groupby(rows, key=itemgetter(0, 1)):
        if key in members:
            inside = [_record(reader, row) for row in group]
            for schedule in members.pop(key):
                counted = _outside(inside, paused.get(schedule.id, ()))
                yield schedule.id, _measured(reader, schedule, counted, levels.get(key), (start, end))
    for key, silent in members.items():
        for schedule in silent:
            yield schedule.id, _measured(reader, schedule, [], levels.get(key), (start, end))


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


def _levels(reader: MonthReader, start: int, members: Mapping[Key, Sequence[ScheduleOfWindow]]) -> dict[Key, Level]:
    """By object and metric, the level that is carried into a window: whole days from the rollup, then the records."""
    carrying: dict[int, set[int]] = defaultdict(set)
    for (object_id, metric_id), schedules in members.items():
        if any(reader.record_charges[it.charge_id].calculator.carries() for it in schedules):
            carrying[metric_id].add(object_id)
    levels: dict[Key, Level] = {}
    day = start // DAY_MICROS
    for metric_id, object_ids in carrying.items():
        found = records.levels_before(reader.session, metric_id=metric_id, day=day, object_ids=object_ids)
        edge = reader.window(Span(metric_id, day * DAY_MICROS, start, ends=True))
        for object_id in object_ids:
            level, part = found.get(object_id), edge.get(object_id)
            if part is not None:
                level = Level(part.total + (0 if level is None else level.total), part.last)
            if level is not None:
                levels[object_id, metric_id] = level
    return levels


def _record(reader: MonthReader, row: UsageRow) -> Record:
    decimals = reader.metrics[row.metric_id].decimals
    return Record(at=from_micros(row.occurred_at), value=unscale(row.quantity, decimals), id=row.discriminator)


def _measured(
    reader: MonthReader,
    schedule: ScheduleOfWindow,
    inside: Sequence[Record],
    level: Level | None,
    span: tuple[int, int],
) -> Measured:
    charge: Usage = reader.record_charges[schedule.charge_id]
    zone, start = zone_of(schedule.timezone), from_micros(span[0])
    window = Window(
        start=start,
        end=from_micros(span[1]),
        nominal_start=midnight(schedule.nominal_starts_on, zone),
        nominal_end=midnight(schedule.nominal_ends_on, zone),
        zone=zone,
    )
    known = list(inside)
    if level is not None and charge.calculator.carries():
        carried = level.last if charge.calculator.aggregation == "weighted_mean" else level.total
        value = unscale(carried, reader.metrics[schedule.metric_id].decimals)
        known.insert(0, Record(at=start - JUST_BEFORE, value=value))
    measured = measure_records(charge.calculator, known, window, prorate=charge.prorate)
    return measured if charge.calculator.reads_events() else replace(measured, values=None)
