"""Register values at period ends: kept for good, and chained, so that one period starts where the last one ended."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

from billing.closing.reader import MonthReader
from storage import closing
from storage.closing import Measured, ScheduleToValue
from storage.types import DAY_MICROS, to_micros

BoundaryKey = tuple[int, int, int]
"""Object id, metric id, instant in microseconds."""


@dataclass(slots=True)
class Registers:
    """Register values at period ends: those that are kept, and those that this close adds."""

    kept: dict[BoundaryKey, int]
    new: list[Mapping[str, Any]] = field(default_factory=list)

    def ends(self, schedule: ScheduleToValue) -> tuple[int | None, int | None]:
        """Opening and closing value of a schedule; None where there is no reading yet."""
        key = (schedule.object_id or 0, schedule.metric_id or 0)
        return self.kept.get((*key, to_micros(schedule.start_at))), self.kept.get((*key, to_micros(schedule.end_at)))

    def keep(self, key: closing.Key, at: int, quantity: int, quality: str) -> None:
        """Keep a value for good, unless there is one."""
        if (*key, at) not in self.kept:
            self.kept[*key, at] = quantity
            row = {"object_id": key[0], "metric_id": key[1], "at": at, "quantity": quantity, "quality": quality}
            self.new.append(row)


def read_registers(
    reader: MonthReader, schedules: Sequence[ScheduleToValue], totals: Mapping[int, Measured]
) -> Registers:
    """The running maximum at each period's ends, each kept for good and chained: one period starts where one ended."""
    wanted = [
        (cast("int", s.object_id), cast("int", s.metric_id), at) for s in schedules for at in (s.start_at, s.end_at)
    ]
    registers = Registers(kept=closing.boundaries(reader.session, wanted))
    before = closing.top_before(reader.session, (s.id for s in schedules))
    for schedule in schedules:
        key = (cast("int", schedule.object_id), cast("int", schedule.metric_id))
        start, end = to_micros(schedule.start_at), to_micros(schedule.end_at)
        edge = reader.window(start // DAY_MICROS * DAY_MICROS, start, key)
        tops = [top for top in (before.get(schedule.id), None if edge is None else edge.top) if top is not None]
        found = totals.get(schedule.id)
        if tops:
            registers.keep(key, start, max(tops), "estimated")
        elif found is not None:
            registers.keep(key, start, found.first, "baseline")
        opening = registers.kept.get((*key, start))
        if opening is not None:
            highest = max([opening, *tops, *([found.top] if found else [])])
            registers.keep(key, end, highest, "estimated")
    return registers
