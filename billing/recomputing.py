"""What was closed, valued once more: from usage, timeline and plan version, by the functions of the close.

The law: it writes nothing. Where nothing has come since the last close, the worth is what was charged, component by
component.
"""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from zoneinfo import ZoneInfo

from billing.closing.measure import Inputs, measure_schedules
from billing.closing.plan import charged_components
from billing.closing.pools import find_pools
from billing.closing.reader import MonthReader
from billing.closing.value import Worth, value_schedules
from billing.core.errors import BillingError
from billing.core.invoicing import difference
from billing.core.prices import Component
from storage import closing, due, issuing, partitions
from storage.due import ScheduleToValue
from storage.types import from_micros


@dataclass(frozen=True, slots=True, kw_only=True)
class Recomputed:
    """A schedule that was closed: its worth now, and what is still to be charged (nothing, when the books are right).

    `worth` is None where it cannot be valued; `problem` says why.
    """

    schedule: ScheduleToValue
    charge: str
    worth: Worth | None
    open: tuple[Component, ...] = ()
    problem: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Unreadable:
    """A contract of which a charge is not understood any more."""

    contract: str
    problem: str


def recompute(reader: MonthReader, archived: Collection[date]) -> Iterator[Recomputed | Unreadable]:
    """Every closed schedule of every contract, without those that the next close looks at anyway."""
    late = {identity for found in reader.late.values() for identity in found}
    for contract in closing.contracts(reader.session):
        schedules = [
            schedule
            for schedule in due.charged_schedules(reader.session, contract.id)
            if schedule.id not in late and not _in_archive(schedule, archived)
        ]
        try:
            charges = reader.charges_of(schedules)
        except BillingError as error:
            yield Unreadable(contract=contract.name, problem=error.message)
            continue
        pools = find_pools(reader, contract, schedules)
        inputs = measure_schedules(reader, schedules, ZoneInfo(contract.timezone), pools)
        charged = issuing.charged(reader.session, [schedule.id for schedule in schedules])
        # A commitment over what the next close looks at is looked at with it.
        open_still = {key for key, counted in inputs.counted.items() if any(it.again for it in counted)}
        for schedule, worth, problem in _worths(reader, schedules, inputs):
            if schedule.id in open_still:
                continue
            components = () if worth is None else worth.components
            yield Recomputed(
                schedule=schedule,
                charge=charges[schedule.charge_id][1].name,
                worth=worth,
                open=difference(components, charged_components(charged.get(schedule.id, []))),
                problem=problem,
            )


def _worths(
    reader: MonthReader, schedules: Sequence[ScheduleToValue], inputs: Inputs
) -> Iterator[tuple[ScheduleToValue, Worth | None, str]]:
    """All at once; one by one only when one of them cannot be valued."""
    try:
        worths = value_schedules(schedules, inputs, reader.charges_of(schedules), reader.metrics)
        yield from ((worth.schedule, worth, "") for worth in worths)
    except BillingError:
        for schedule in schedules:
            try:
                (worth,) = value_schedules([schedule], inputs, reader.charges_of([schedule]), reader.metrics)
                yield schedule, worth, ""
            except BillingError as error:
                yield schedule, None, error.message


def _in_archive(schedule: ScheduleToValue, archived: Collection[date]) -> bool:
    start, end = from_micros(schedule.start_at), from_micros(schedule.end_at)
    return any(partitions.overlaps(month, start, end) for month in archived)
