"""What was measured for schedules, set by set: the inputs that valuing needs, one dictionary for each kind.

The law: a set of schedules costs the same few statements, however many objects are behind it.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from fractions import Fraction
from itertools import groupby
from operator import itemgetter
from typing import cast
from zoneinfo import ZoneInfo

from billing.closing.commitments import counted_by
from billing.closing.pauses import leave_out, pauses_of
from billing.closing.pools import NO_POOLS, Pool
from billing.closing.reader import MonthReader
from billing.closing.records import measure_by_record, measure_members
from billing.closing.registers import Registers, read_registers
from billing.closing.spans import measure_span
from billing.core import measured as core
from billing.core.charges import Charge, Commitment, Event, Usage
from storage import crediting, due, events
from storage.commitments import Counted
from storage.due import ScheduleToValue
from storage.measuring import Measured, Span
from storage.pools import event_moments
from storage.tables import OPEN_STATUSES
from storage.types import from_micros


@dataclass(frozen=True, slots=True, kw_only=True)
class Inputs:
    """What a snapshot says about schedules: totals by schedule, register values, suspended days by contract item.

    `records` is what was measured, record by record, for schedules whose charge asks for more than totals;
    `events` is how many there were.
    """

    totals: Mapping[int, Measured]
    records: Mapping[int, core.Measured]
    events: Mapping[int, int]
    registers: Registers
    suspensions: Mapping[int, Sequence[tuple[date, date | None]]]
    zone: ZoneInfo
    pools: Mapping[int, Pool] = field(default_factory=dict)
    counted: Mapping[int, Sequence[Counted]] = field(default_factory=dict)
    """By schedule of a commitment, the schedules that it counts, with their stored worth."""
    given: Mapping[int, Fraction] = field(default_factory=dict)
    """By schedule, what gestures gave back of it."""


def measure_schedules(
    reader: MonthReader, schedules: Sequence[ScheduleToValue], zone: ZoneInfo, pools: Mapping[int, Pool] = NO_POOLS
) -> Inputs:
    """Usage of each schedule over `[start_at, end_at)`, and what fees need; nothing is read for a void one.

    Of pools each member is measured like a schedule.
    """
    charges = reader.charges_of(schedules)
    given = _given(reader, schedules)
    of_pools = [member for pool in pools.values() for member in pool.members]
    commitments = [it for it in schedules if isinstance(charges[it.charge_id][1], Commitment)]
    if pools:
        schedules = [*(it for it in schedules if it.id not in pools), *of_pools]
    spans: dict[Span, list[ScheduleToValue]] = defaultdict(list)
    by_record: list[tuple[int, int, int]] = []
    for (charge_id, metric_id, start, end), alike in _alike(schedules).items():
        charge = charges[charge_id][1]
        if isinstance(charge, Usage) and charge.calculator.reads_records():
            by_record += [(it.id, start, end) for it in alike if it.id > 0]
        elif metric_id is not None:
            spans[Span(metric_id, start, end, needs_ends(charge, reader.metrics[metric_id].kind))] += alike
    totals: dict[int, Measured] = {}
    for span, found in spans.items():
        sums = all(adds_up(charges[charge_id][1]) for charge_id in {it.charge_id for it in found})
        totals.update(measure_span(reader, span, found, adds_up=sums))
    cumulative = {span: inside for span, inside in spans.items() if reader.metrics[span.metric_id].kind == "cumulative"}
    registers = read_registers(reader, cumulative, totals)
    if pauses := pauses_of(reader, schedules, charges, zone):
        leave_out(reader, [it for inside in spans.values() for it in inside], pauses, totals, registers)
    items = {s.contract_item_id for s in schedules if s.contract_item_id and s.metric_id is None and s.id > 0}
    recorded = [it for it in of_pools if it.charge_id in reader.record_charges and not it.void]
    return Inputs(
        totals=totals,
        records=measure_by_record(reader, by_record)
        | measure_members(reader, recorded, str(zone))
        | _events_of_members(reader, charges, of_pools),
        events=_events(reader, charges, schedules),
        registers=registers,
        suspensions=due.suspensions(reader.session, items),
        zone=zone,
        pools=pools,
        counted=counted_by(reader, commitments) if commitments else {},
        given=given,
    )


def _alike(schedules: Sequence[ScheduleToValue]) -> Mapping[tuple[int, int | None, int, int], list[ScheduleToValue]]:
    """Schedules that are measured alike, by charge, metric, start and end: a fleet has few of these; no void one."""
    found: dict[tuple[int, int | None, int, int], list[ScheduleToValue]] = defaultdict(list)
    for it in schedules:
        if not it.void:
            found[it.charge_id, it.metric_id, it.start_at, it.end_at].append(it)
    return found


def _given(reader: MonthReader, schedules: Sequence[ScheduleToValue]) -> Mapping[int, Fraction]:
    """Of what was charged before; nothing is asked where no gesture was ever made."""
    charged = [it.id for it in schedules if it.status not in OPEN_STATUSES] if reader.has_gestures else []
    return crediting.given(reader.session, charged) if charged else {}


def _events(
    reader: MonthReader, charges: Mapping[int, tuple[int, Charge]], schedules: Sequence[ScheduleToValue]
) -> dict[int, int]:
    by_kind: dict[str, list[int]] = defaultdict(list)
    for schedule in schedules:
        charge = charges[schedule.charge_id][1]
        if isinstance(charge, Event) and schedule.id > 0:
            by_kind[charge.event].append(schedule.id)
    found: dict[int, int] = {}
    for kind, schedule_ids in by_kind.items():
        found.update(events.counts(reader.session, kind=kind, schedule_ids=schedule_ids))
    return found


def _events_of_members(
    reader: MonthReader, charges: Mapping[int, tuple[int, Charge]], members: Sequence[ScheduleToValue]
) -> dict[int, core.Measured]:
    """What each part of a pool has of events, with their moments."""
    windows: dict[tuple[str, int, int], dict[int, ScheduleToValue]] = defaultdict(dict)
    for member in members:
        charge = charges[member.charge_id][1]
        if isinstance(charge, Event):
            windows[charge.event, member.start_at, member.end_at][cast("int", member.object_id)] = member
    found: dict[int, core.Measured] = {}
    for (kind, start, end), inside in windows.items():
        rows = event_moments(reader.session, kind=kind, start=start, end=end, object_ids=inside)
        for object_id, its in groupby(rows, key=itemgetter(0)):
            member = inside[object_id]
            moments = tuple(core.Moment(from_micros(at), member.reference, key) for _, at, key in its)
            found[member.id] = core.counted_events(len(moments), moments)
    return found


def needs_ends(charge: Charge, metric_kind: str) -> bool:
    """Whether the first and last record of a period matter; reading them costs as much as all the rest."""
    return metric_kind == "cumulative" or (isinstance(charge, Usage) and charge.calculator.aggregation == "latest")


def adds_up(charge: Charge) -> bool:
    """Whether a count and a sum say all that a charge asks for."""
    return isinstance(charge, Usage) and charge.calculator.aggregation in {"sum", "count", "mean"}
