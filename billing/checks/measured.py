"""Checks of what was measured, and of what it is worth by its plan."""

from collections.abc import Iterator

from billing.checks.books import Books, Finding, ended_before, name_of, pauses
from billing.closing.records import measure_by_record
from billing.core.money import exact_text
from billing.core.quantity import unscale
from billing.recomputing import Unreadable, recompute
from billing.unbilled import unbilled
from storage import partitions, usage, verifying
from storage.types import DAY_MICROS, from_micros, to_micros


def rollup(books: Books) -> Iterator[Finding]:
    for object_id, metric_id, day in usage.rollup_differences(books.session):
        on = from_micros(day * DAY_MICROS).date()
        if on.replace(day=1) in books.archived:
            continue
        yield Finding(
            check="rollup",
            subject=f"object {object_id}, metric {metric_id}, {on}",
            message=f"the rollup of object {object_id}, metric {metric_id} on {on} is not what its records add up to",
        )


def quantities(books: Books) -> Iterator[Finding]:
    sums = verifying.delta_sums(books.session)
    for schedule in books.of_items:
        aggregation = schedule.definition.get("calculator", {}).get("aggregation")
        if (schedule.metric_kind, aggregation) != ("delta", "sum") or schedule.revalue or pauses(schedule):
            continue
        if schedule.charge_id in books.reader.record_charges:
            continue
        if schedule.status not in {"invoiced", "settled"} or ended_before(schedule, books.ends):
            continue
        if any(partitions.overlaps(month, schedule.start_at, schedule.end_at) for month in books.archived):
            continue
        used = unscale(sums.get(schedule.id, 0), schedule.metric_decimals or 0)
        if used != schedule.quantity:
            subject = name_of(schedule)
            message = (
                f"the records of {subject} add up to {exact_text(used)}, the schedule has "
                f"{exact_text(schedule.quantity)}"
            )
            yield Finding(check="quantities", subject=subject, message=message)


def events(books: Books) -> Iterator[Finding]:
    counts = verifying.event_counts(books.session)
    for schedule in books.of_items:
        if schedule.definition.get("type") != "event" or schedule.revalue or ended_before(schedule, books.ends):
            continue
        if schedule.status in {"invoiced", "settled"} and counts.get(schedule.id, 0) != schedule.quantity:
            subject = name_of(schedule)
            message = f"{subject} had {counts.get(schedule.id, 0)} events, the schedule has " + exact_text(
                schedule.quantity
            )
            yield Finding(check="events", subject=subject, message=message)


def recorded(books: Books) -> Iterator[Finding]:
    reader = books.reader
    late = {identity for found in reader.late.values() for identity in found}
    checked = [
        schedule
        for schedule in books.of_items
        if schedule.charge_id in reader.record_charges
        and schedule.status in {"invoiced", "settled"}
        and not (schedule.revalue or schedule.id in late or ended_before(schedule, books.ends))
        and not any(partitions.overlaps(month, schedule.start_at, schedule.end_at) for month in books.archived)
    ]
    spans = [(schedule.id, to_micros(schedule.start_at), to_micros(schedule.end_at)) for schedule in checked]
    measured = measure_by_record(reader, spans)
    for schedule in checked:
        used = measured[schedule.id].quantity
        if used != schedule.quantity:
            subject = name_of(schedule)
            message = (
                f"the records of {subject} come to {exact_text(used)}, the schedule has {exact_text(schedule.quantity)}"
            )
            yield Finding(check="records", subject=subject, message=message)


def worth(books: Books) -> Iterator[Finding]:
    stored = {schedule.id: schedule for schedule in books.schedules}
    for found in recompute(books.reader, books.archived):
        if isinstance(found, Unreadable):
            message = f"a charge of {found.contract} is not understood: {found.problem}"
            yield Finding(check="worth", subject=found.contract, message=message)
            continue
        schedule, worth = stored[found.schedule.id], found.worth
        subject = name_of(schedule)
        if worth is None:
            yield Finding(check="worth", subject=subject, message=f"{subject} cannot be valued: {found.problem}")
            continue
        for component in found.open:
            message = (
                f"{component.name} at {exact_text(component.unit_price)} of {subject} was charged with "
                f"{exact_text(-component.amount)} more than it is worth (quantity {exact_text(-component.quantity)})"
            )
            yield Finding(check="worth", subject=subject, message=message)
        if (worth.quantity, worth.amount) != (schedule.quantity, schedule.amount):
            message = (
                f"{subject} is worth {exact_text(worth.amount)} for {exact_text(worth.quantity)}, the schedule has "
                f"{exact_text(schedule.amount)} for {exact_text(schedule.quantity)}"
            )
            yield Finding(check="worth", subject=subject, message=message)


def suspended(books: Books) -> Iterator[Finding]:
    left_out = unbilled(books.session)
    if left_out:
        records, objects = sum(it.records for it in left_out), len({it.reference for it in left_out})
        yield Finding(
            check="suspended",
            subject="usage records",
            message=f"{records} usage records of {objects} objects came while they were suspended, on plans that do "
            "not charge that (`metergate usage unbilled`)",
            severity="information",
        )


def archived(books: Books) -> Iterator[Finding]:
    for month in books.archived:
        yield Finding(
            check="archived",
            subject=f"{month:%Y-%m}",
            message=f"the usage records of {month:%Y-%m} are archived: what they add up to was not checked",
            severity="information",
        )
