"""What was measured for schedules, set by set: the inputs that valuing needs, one dictionary for each kind.

The law: a set of schedules costs the same few statements, however many objects are behind it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import cast

from billing.closing.reader import MonthReader
from billing.closing.registers import Registers, read_registers
from storage import closing
from storage.closing import Measured, ScheduleToValue
from storage.types import DAY_MICROS, to_micros


@dataclass(frozen=True, slots=True, kw_only=True)
class Inputs:
    """What a snapshot says about schedules: totals by schedule, register values, suspended days by contract item."""

    totals: Mapping[int, Measured]
    registers: Registers
    suspensions: Mapping[int, Sequence[tuple[date, date | None]]]


def measure_schedules(reader: MonthReader, schedules: Sequence[ScheduleToValue]) -> Inputs:
    """Usage of each schedule over `[start_at, end_at)`, and what fees need; nothing is read for a void one."""
    measured = [s for s in schedules if s.metric_id is not None and not s.void]
    totals = _totals(reader, measured)
    cumulative = [s for s in measured if reader.metrics[cast("int", s.metric_id)].kind == "cumulative"]
    items = {s.contract_item_id for s in schedules if s.contract_item_id is not None and s.metric_id is None}
    return Inputs(
        totals=totals,
        registers=read_registers(reader, cumulative, totals),
        suspensions=closing.suspensions(reader.session, items),
    )


def _totals(reader: MonthReader, schedules: Sequence[ScheduleToValue]) -> dict[int, Measured]:
    """Whole UTC days from the rollup, the rest from the records."""
    inside = closing.whole_days(reader.session, (s.id for s in schedules))
    totals: dict[int, Measured] = {}
    for schedule in schedules:
        key = (cast("int", schedule.object_id), cast("int", schedule.metric_id))
        edges = [reader.window(start, end, key) for start, end in _edges(schedule)]
        if (found := closing.merged([inside.get(schedule.id), *edges])) is not None:
            totals[schedule.id] = found
    return totals


def _edges(schedule: ScheduleToValue) -> list[tuple[int, int]]:
    """The windows of a period that are not whole UTC days, in microseconds."""
    start, end = to_micros(schedule.start_at), to_micros(schedule.end_at)
    first_day, last_day = -(-start // DAY_MICROS) * DAY_MICROS, end // DAY_MICROS * DAY_MICROS
    if first_day > last_day:
        return [(start, end)]
    return [(start, first_day), (last_day, end)]
