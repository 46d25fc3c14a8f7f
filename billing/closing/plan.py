"""What closing one month of one contract will write, decided on one snapshot: the difference of worth and charged."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from zoneinfo import ZoneInfo

from billing.closing.commitments import reached_by
from billing.closing.measure import measure_schedules
from billing.closing.pools import find_pools, shares_of_objects
from billing.closing.reader import MonthReader
from billing.closing.value import Worth, value_schedules
from billing.closing.waiting import Row, carry, waits
from billing.core.charges import Charge, Event, Recurring, Usage
from billing.core.invoicing import InvoiceDraft, close_book, difference
from billing.core.linebook import Entry, Heading, LineBook
from billing.core.periods import Every
from billing.core.prices import Component, unit_of
from storage import closing, due, issuing
from storage.closing import ContractToClose
from storage.due import ScheduleToValue
from storage.pools import ObjectPart

DAY = timedelta(days=1)
PERIOD_UNITS = {
    Every(weeks=1): ("week", "WEE"),
    Every(months=1): ("month", "MON"),
    Every(months=3): ("quarter", "QAN"),
    Every(months=6): ("half year", "SAN"),
    Every(months=12): ("year", "ANN"),
}
"""Units of a fee, with their codes of UN/ECE Recommendation 20."""
ONE = ("fee", "C62")
COMPONENT_UNITS: Mapping[str, tuple[str, str]] = {
    "fee": ONE,
    "event": ("event", "C62"),
    "package": ("package", "PA"),
    "amount": ("amount", "C62"),
}
"""Units of components that do not count the metric's unit."""


@dataclass(frozen=True, slots=True, kw_only=True)
class InvoicePlan:
    """All that closing one month of one contract will write; decided on one snapshot."""

    contract: ContractToClose
    month_starts_on: date
    month_ends_on: date
    usage_mark: int
    draft: InvoiceDraft | None
    corrects: tuple[str, ...]
    schedules: tuple[Row, ...]
    boundaries: tuple[tuple[int, int, int, int, str], ...]
    carried: tuple[int, ...] = ()
    """Schedules that were charged before and whose difference waits for the next invoice."""
    object_shares: Mapping[int, Sequence[ObjectPart]] = field(default_factory=dict)
    """By the place of a line, what the objects of pools have of it."""


def plan_contract_month(reader: MonthReader, contract: ContractToClose, month: tuple[date, date]) -> InvoicePlan | None:
    """What closing the month `[start, end)` of a contract will write, decided on the reader's snapshot.

    None when the month is closed already.
    """
    session = reader.session
    last = closing.last_closed(session, contract.id)
    if last is not None and last >= month[0]:
        return None
    schedules = due.schedules_to_value(
        session, contract_id=contract.id, due_through=month[1] - DAY, late=reader.late.get(contract.id, [])
    )
    if again := reached_by(reader, contract.id, schedules):
        late = {*reader.late.get(contract.id, []), *again}
        schedules = due.schedules_to_value(
            session, contract_id=contract.id, due_through=month[1] - DAY, late=sorted(late)
        )
    charges = reader.charges_of(schedules)
    pools = find_pools(reader, contract, schedules)
    inputs = measure_schedules(reader, schedules, ZoneInfo(contract.timezone), pools)
    worths = value_schedules(schedules, inputs, charges, reader.metrics)
    charged = issuing.charged(session, [s.id for s in schedules if s.status not in {"planned", "valued"}])
    book, headings = LineBook(), Headings(reader, contract)
    corrected: set[str] = set()
    rows: list[Row] = []
    for worth in worths:
        before = charged.get(worth.schedule.id, [])
        adjustment = worth.schedule.status not in {"planned", "valued"}
        components = difference(worth.components, charged_components(before)) if before else worth.components
        if components and before:
            corrected.update(row.number for row in before if row.kind == "invoice")
        for component in components:
            heading = headings.of(worth.schedule, component, adjustment=adjustment)
            book.add(Entry(worth.schedule.id, worth.schedule.reference, component, heading))
        rows.append(_row(worth, invoiced=bool(components or before)))
    draft = close_book(book, contract.currency)
    carried: list[int] = []
    if draft is not None and waits(session, contract, draft, month[1]):
        draft, rows, carried = None, *carry(rows, book.schedules(), worths)
    return InvoicePlan(
        contract=contract,
        month_starts_on=month[0],
        month_ends_on=month[1],
        usage_mark=reader.mark,
        draft=draft,
        corrects=tuple(sorted(corrected)) if draft is not None and draft.kind == "credit_note" else (),
        schedules=tuple(rows),
        boundaries=inputs.registers.rows(),
        carried=tuple(carried),
        object_shares=shares_of_objects(
            reader, draft, {it.schedule.id: it.pool for it in worths if it.pool is not None}, contract.currency
        ),
    )


def charged_components(charged: Sequence[issuing.Charged]) -> tuple[Component, ...]:
    """What was charged as components, to be taken from what is owed."""
    return tuple(
        Component(
            name=row.component,
            position=place,
            quantity=row.quantity,
            unit_price=row.unit_price,
            amount=row.amount,
        )
        for place, row in enumerate(charged, start=1)
    )


def _row(worth: Worth, *, invoiced: bool) -> Row:
    status = worth.schedule.status
    if status != "cancelled":
        status = "invoiced" if invoiced else "settled"
    return status, str(worth.quantity), str(worth.amount), worth.schedule.id


@dataclass(slots=True)
class Headings:
    """What the schedules of a contract put at the head of their lines; a fleet's schedules have a few of them."""

    reader: MonthReader
    contract: ContractToClose
    known: dict[tuple[object, ...], Heading] = field(default_factory=dict)

    def of(self, schedule: ScheduleToValue, component: Component, *, adjustment: bool) -> Heading:
        """The heading of a component of a schedule."""
        group = tuple(_group(self.contract.grouping, schedule))
        key = (
            schedule.charge_id,
            schedule.subscription,
            schedule.nominal_starts_on,
            schedule.nominal_ends_on,
            component.name,
            adjustment,
            group,
        )
        found = self.known.get(key)
        if found is None:
            found = self.known[key] = self._made(schedule, component, group, adjustment=adjustment)
        return found

    def _made(
        self, schedule: ScheduleToValue, component: Component, group: tuple[tuple[str, str], ...], *, adjustment: bool
    ) -> Heading:
        position, charge = self.reader.charges[schedule.charge_id]
        unit, unit_code = _unit(self.reader, schedule, charge, component)
        return Heading(
            subscription=self.contract.name if charge.scope == "contract" else schedule.subscription,
            charge=charge.name,
            charge_position=position,
            unit=unit,
            unit_code=unit_code,
            vat_category=charge.vat_category,
            vat_rate=charge.vat_rate,
            exemption=charge.exemption,
            nominal_starts_on=schedule.nominal_starts_on,
            nominal_ends_on=schedule.nominal_ends_on,
            adjustment=adjustment,
            group=group,
        )


def _unit(reader: MonthReader, schedule: ScheduleToValue, charge: Charge, component: Component) -> tuple[str, str]:
    counted = unit_of(component.name)
    if counted != "metric":
        return COMPONENT_UNITS[counted]
    if isinstance(charge, Recurring):
        return PERIOD_UNITS.get(charge.every, ONE)
    if isinstance(charge, Event):
        return COMPONENT_UNITS["event"]
    if schedule.metric_id is None:
        return ONE
    if isinstance(charge, Usage) and charge.calculator.aggregation in {"count", "unique_count"}:
        return charge.calculator.property or COMPONENT_UNITS["event"][0], ONE[1]
    metric = reader.metrics[schedule.metric_id]
    return metric.unit, metric.unit_code


def _group(grouping: Iterable[str], schedule: ScheduleToValue) -> Iterator[tuple[str, str]]:
    for key in grouping:
        if key == "object":
            yield key, schedule.reference
        elif key.startswith("attribute:"):
            name = key.removeprefix("attribute:")
            yield name, str(schedule.attributes.get(name, ""))
