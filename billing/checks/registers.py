"""Checks of registers: the values at the ends of periods, what they rose, the readings that wait for a decision."""

from collections import defaultdict
from collections.abc import Iterator
from itertools import pairwise

from billing.checks.books import Books, Finding, ended_before, name_of, pauses
from billing.core.money import exact_text
from billing.core.quantity import unscale
from billing.readings import held
from storage import incomplete, verifying
from storage.types import from_micros, to_micros
from storage.verifying import ScheduleRow


def _charged(books: Books) -> Iterator[ScheduleRow]:
    """Charged schedules whose quantity is what a register rose."""
    for schedule in books.of_items:
        aggregation = schedule.definition.get("calculator", {}).get("aggregation", "sum")
        if (schedule.metric_kind, aggregation) != ("cumulative", "sum"):
            continue
        charged = schedule.status in {"invoiced", "settled"} and not schedule.revalue
        if charged and not ended_before(schedule, books.ends):
            yield schedule


def rises(books: Books) -> Iterator[Finding]:
    kept = verifying.boundaries(books.session)
    for schedule in _charged(books):
        if pauses(schedule):
            continue
        ends = [
            kept.get((schedule.object_id or 0, schedule.metric_id or 0, to_micros(at)))
            for at in (schedule.start_at, schedule.end_at)
        ]
        rise = 0 if ends[0] is None or ends[1] is None else max(ends[1] - ends[0], 0)
        used = unscale(rise, schedule.metric_decimals or 0)
        if used != schedule.quantity:
            subject = name_of(schedule)
            message = f"the register of {subject} rose by {exact_text(used)}, the schedule has " + exact_text(
                schedule.quantity
            )
            yield Finding(check="registers", subject=subject, message=message)


def chain(books: Books) -> Iterator[Finding]:
    values: dict[tuple[int, int], list[tuple[int, int]]] = defaultdict(list)
    for (object_id, metric_id, at), quantity in sorted(verifying.boundaries(books.session).items()):
        values[object_id, metric_id].append((at, quantity))
    for schedule in _charged(books):
        kept = values.get((schedule.object_id or 0, schedule.metric_id or 0), [])
        instants = {at for at, _ in kept}
        start, end = to_micros(schedule.start_at), to_micros(schedule.end_at)
        begun = bool(kept) and start >= kept[0][0]
        if begun and schedule.charge_id not in books.reader.record_charges and not {start, end} <= instants:
            subject = name_of(schedule)
            message = f"no value of the register of {subject} is kept at an end of its period"
            yield Finding(check="chain", subject=subject, message=message)
    for (object_id, metric_id), kept in values.items():
        for (_, before), (at, quantity) in pairwise(kept):
            if quantity < before:
                subject = f"object {object_id}, metric {metric_id}, {from_micros(at).date()}"
                message = f"the register of {subject} is kept at less than before: {quantity} after {before} (scaled)"
                yield Finding(check="chain", subject=subject, message=message)


def waiting(books: Books) -> Iterator[Finding]:
    last = verifying.last_record(books.session)
    if last is None or all(metric.kind != "cumulative" for metric in books.reader.metrics.values()):
        return
    for it in held(books.session, from_micros(last)):
        yield Finding(
            check="held",
            subject=f"{it.reference}, {it.metric}",
            message=f"readings of {it.metric} of {it.reference} since {it.first_at.isoformat()} are held and not billed"
            f": {it.readings} (`metergate readings held`)",
            severity="information",
        )


def gaps(books: Books) -> Iterator[Finding]:
    if not books.reader.has_gaps:
        return
    count, schedules = incomplete.charged_in_gaps(books.session)
    if count:
        yield Finding(
            check="gaps",
            subject="reception gaps",
            message=f"{schedules} schedules were charged although messages may be missing: {count} gaps are open "
            "(`metergate gaps list --open`)",
            severity="information",
        )
