"""Usage while suspended: what a plan that ignores or reports it leaves out of a period.

The law: what is left out is what was measured in the suspended local days, no more; a register's rise in them is left
out too, and the rest of the period is charged what it would be without them.
"""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from datetime import date
from functools import cache
from typing import NamedTuple, cast
from zoneinfo import ZoneInfo

from billing.closing.reader import MonthReader
from billing.closing.registers import Registers
from billing.closing.walking import Readings, read_walked, walked_over
from billing.core.charges import Charge, Usage
from billing.core.periods import local_midnight
from billing.core.suspensions import merged
from storage import due, measuring
from storage.due import ScheduleToValue
from storage.measuring import Measured, Span
from storage.types import DAY_MICROS, to_micros

Pause = tuple[int, int]
"""Suspended instants `[start, end)` in microseconds."""
midnight = cache(local_midnight)


class Place(NamedTuple):
    """What a schedule measures: an object's metric over `[start_at, end_at)`."""

    object_id: int
    metric_id: int
    start_at: int
    end_at: int


def leaves_out(charge: Charge) -> bool:
    """Whether usage of suspended days is not charged."""
    return isinstance(charge, Usage) and charge.usage_while_suspended != "bill"


def pauses_within(
    spans: Sequence[tuple[date, date | None]], zone: ZoneInfo, *, start_at: int, end_at: int
) -> list[Pause]:
    """The suspended instants of `[start_at, end_at)`, in order of time."""
    found = []
    for starts_on, ends_on in merged(spans):
        begin = max(start_at, to_micros(midnight(starts_on, zone)))
        end = end_at if ends_on is None else min(end_at, to_micros(midnight(ends_on, zone)))
        if begin < end:
            found.append((begin, end))
    return found


def served_within(pauses: Sequence[Pause], *, start_at: int, end_at: int) -> list[Pause]:
    """The instants of `[start_at, end_at)` outside all pauses."""
    edges = [start_at, *(at for pause in pauses for at in pause), end_at]
    return [(begin, end) for begin, end in zip(edges[::2], edges[1::2], strict=True) if begin < end]


def pauses_of(
    reader: MonthReader, schedules: Sequence[ScheduleToValue], charges: Mapping[int, tuple[int, Charge]], zone: ZoneInfo
) -> dict[int, list[Pause]]:
    """By schedule, the suspended instants of its period, of those whose charge leaves their usage out."""
    concerned = [
        schedule
        for schedule in schedules
        if schedule.contract_item_id is not None and not schedule.void and leaves_out(charges[schedule.charge_id][1])
    ]
    if not concerned:
        return {}
    stored = due.suspensions(reader.session, {cast("int", schedule.contract_item_id) for schedule in concerned})
    found = {}
    for schedule in concerned:
        spans = stored.get(cast("int", schedule.contract_item_id), [])
        pauses = pauses_within(spans, zone, start_at=schedule.start_at, end_at=schedule.end_at)
        if pauses:
            found[schedule.id] = pauses
    return found


def leave_out(
    reader: MonthReader,
    schedules: Sequence[ScheduleToValue],
    pauses: Mapping[int, Sequence[Pause]],
    totals: dict[int, Measured],
    registers: Registers,
) -> None:
    """Take what was measured in pauses out of totals, and out of what registers rose."""
    places = {
        schedule.id: Place(schedule.object_id or 0, schedule.metric_id or 0, schedule.start_at, schedule.end_at)
        for schedule in schedules
        if schedule.id in pauses and schedule.metric_id is not None
    }
    served = {
        key: served_within(pauses[key], start_at=place.start_at, end_at=place.end_at) for key, place in places.items()
    }
    measured = measure_spans(reader, {key: (places[key], spans) for key, spans in served.items()})
    for key in places:
        found = measured.get(key)
        if found is None:
            totals.pop(key, None)
        else:
            totals[key] = found
    counters = {key: it for key, it in places.items() if reader.metrics[it.metric_id].kind == "cumulative"}
    for key, rise in rises(reader, registers, {key: (it, pauses[key]) for key, it in counters.items()}).items():
        registers.left_out[key] = rise


def measure_spans(reader: MonthReader, wanted: Mapping[int, tuple[Place, Sequence[Pause]]]) -> dict[int, Measured]:
    """What each place measured in its spans, all added up; those without a record are left out."""
    by_span: dict[Span, dict[int, int]] = defaultdict(dict)
    for key, (place, spans) in wanted.items():
        for start, end in spans:
            by_span[Span(place.metric_id, start, end, ends=True)][key] = place.object_id
    parts: dict[int, list[Measured | None]] = defaultdict(list)
    for span, members in by_span.items():
        first_day, last_day = -(-span.start // DAY_MICROS) * DAY_MICROS, span.end // DAY_MICROS * DAY_MICROS
        if first_day > last_day:
            found = [reader.window(span)]
        else:
            found = [
                measuring.whole_days(reader.session, span, set(members.values())),
                reader.window(span._replace(end=first_day)),
                reader.window(span._replace(start=last_day)),
            ]
        for key, object_id in members.items():
            parts[key] += [part.get(object_id) for part in found]
    return {key: whole for key, of in parts.items() if (whole := measuring.merged(of)) is not None}


def rises(
    reader: MonthReader, registers: Registers, wanted: Mapping[int, tuple[Place, Sequence[Pause]]]
) -> dict[int, int]:
    """What each register rose in its pauses, within what it rose between the kept values of its period's ends."""
    edges: dict[tuple[int, int], set[int]] = defaultdict(set)
    for place, pauses in wanted.values():
        for at in {at for pause in pauses for at in pause} - {place.start_at, place.end_at}:
            edges[place.metric_id, at].add(place.object_id)
    stood: dict[tuple[int, int, int], int] = {}
    held_somewhere = {key[:2] for key in registers.held}
    for (metric_id, at), object_ids in edges.items():
        held = {it for it in object_ids if (it, metric_id) in held_somewhere}
        for object_id, value in _stood_at(reader, metric_id, at, object_ids, held).items():
            stood[object_id, metric_id, at] = value
    found = {}
    for key, (place, pauses) in wanted.items():
        opening = registers.kept.get((place.object_id, place.metric_id, place.start_at))
        closing = registers.kept.get((place.object_id, place.metric_id, place.end_at))
        if opening is None or closing is None or closing < opening:
            continue
        ends = {place.start_at: opening, place.end_at: closing}
        found[key] = 0
        for pause in pauses:
            begun, ended = (
                ends[at] if at in ends else stood.get((place.object_id, place.metric_id, at), opening) for at in pause
            )
            found[key] += max(min(ended, closing) - min(max(begun, opening), closing), 0)
    return found


def _stood_at(
    reader: MonthReader, metric_id: int, at: int, object_ids: Collection[int], held: Collection[int]
) -> dict[int, int]:
    """By object, the highest value of its register before an instant."""
    span = Span(metric_id, at, at, ends=False)
    before = measuring.top_before(reader.session, span, object_ids)
    edges = reader.window(span._replace(start=at // DAY_MICROS * DAY_MICROS, end=at))
    found: dict[int, int] = {}
    for object_id in object_ids:
        edge = edges.get(object_id)
        tops = [top for top in (before.get(object_id), None if edge is None else edge.top) if top is not None]
        if tops:
            found[object_id] = max(tops)
    # Whatever was irregular before the pause: what it began with hangs on it.
    raw = {it: Readings(found.get(it), None, None) for it in object_ids}
    irregular = walked_over(reader, span, raw, {}, first_day=0).union(held)
    walked = read_walked(reader, span, irregular)
    return found | {it: read.before for it, read in walked.items() if read.before is not None}
