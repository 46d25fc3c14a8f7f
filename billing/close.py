"""The close: values what is due month by month, and issues each contract's invoice, the number taken last.

The law: a month of a contract is planned on one snapshot and committed in one transaction that checks that nothing
it planned on has changed; closing again changes nothing. What was charged before is never charged again: an invoice
takes the difference between what a schedule is worth now and all that was charged for it.
"""

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from fractions import Fraction
from typing import Any, Protocol, cast
from zoneinfo import ZoneInfo

from sqlmodel import Session

from billing.core.charges import Charge, Recurring, Usage, charge_from
from billing.core.errors import BillingError, Conflict, Refused
from billing.core.invoicing import Entry, InvoiceDraft, Line, build_invoice, difference
from billing.core.money import minor_digits
from billing.core.numbering import number, series
from billing.core.periods import Period, add_months, billing_months, local_midnight
from billing.core.prices import Component
from billing.core.usage import MetricKind, UsageTotals, measure
from billing.core.valuing import suspended_days, value_recurring, value_usage
from storage import closing, invoices
from storage.closing import ContractToClose, Measured, ScheduleToValue
from storage.errors import StorageError
from storage.tables import BillingMonth, Invoice, InvoiceLine, InvoiceVat, Metric
from storage.types import DAY_MICROS, to_micros

logger = logging.getLogger(__name__)

DAY = timedelta(days=1)
PLAN_ATTEMPTS = 3
"""How often a contract is planned again because it changed meanwhile, before the close gives it up."""
PERIOD_UNITS = {1: ("month", "MON"), 3: ("quarter", "QAN"), 6: ("half year", "SAN"), 12: ("year", "ANN")}
"""Units of a fee, with their codes of UN/ECE Recommendation 20."""
ONE = ("fee", "C62")

BoundaryKey = tuple[int, int, int]
"""Object id, metric id, instant in microseconds."""


class DatabaseLike(Protocol):
    """What the close needs of the database."""

    def snapshot(self) -> AbstractContextManager[Session]: ...
    def transaction(self) -> AbstractContextManager[Session]: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """A contract that could not be closed for a month; its later months were not tried."""

    contract: str
    month_starts_on: date | None
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CloseReport:
    """What a close issued, or would issue; `months` counts the contract months that it closed."""

    until: date
    dry_run: bool
    months: int
    invoices: tuple[invoices.InvoiceDocument, ...]
    failures: tuple[Failure, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Worth:
    """What a schedule is worth now, in the order that a line needs it."""

    schedule: ScheduleToValue
    quantity: Fraction
    components: tuple[Component, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class InvoicePlan:
    """All that closing one month of one contract will write; decided on one snapshot."""

    contract: ContractToClose
    month_starts_on: date
    month_ends_on: date
    usage_mark: int
    draft: InvoiceDraft | None
    corrects: tuple[str, ...]
    schedules: tuple[Mapping[str, Any], ...]
    boundaries: tuple[Mapping[str, Any], ...]


@dataclass(slots=True)
class MonthReader:
    """One snapshot, and what all contracts of a month read from it only once."""

    session: Session
    mark: int = field(init=False)
    late: dict[int, list[int]] = field(init=False)
    metrics: dict[int, Metric] = field(init=False)
    charges: dict[int, tuple[int, Charge]] = field(default_factory=dict)
    windows: dict[tuple[int, int], dict[closing.Key, Measured]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.mark = closing.usage_mark(self.session)
        self.late = closing.late_schedules(self.session)
        self.metrics = closing.metrics(self.session)

    def charges_of(self, schedules: Iterable[ScheduleToValue]) -> dict[int, tuple[int, Charge]]:
        """Position and charge by charge id."""
        unknown = {schedule.charge_id for schedule in schedules} - self.charges.keys()
        for charge_id, row in closing.charges(self.session, unknown).items():
            self.charges[charge_id] = (row.position, charge_from(row.definition))
        return self.charges

    def window(self, start: int, end: int, key: closing.Key) -> Measured | None:
        """Usage of one object and metric in a part of a day."""
        if start >= end:
            return None
        if (start, end) not in self.windows:
            self.windows[start, end] = closing.window(self.session, start=start, end=end)
        return self.windows[start, end].get(key)


class _DryRunDone(Exception):
    """Raised at the end of a dry run."""


def close(database: DatabaseLike, until: date, now: datetime, dry_run: bool = False) -> CloseReport:  # noqa: FBT001, FBT002
    """Close every calendar month that has ended by `until` (included), all contracts month after month.

    Raises Refused when `until` has not ended in the zone of any contract; a contract in whose zone it has not, or
    that cannot be closed for another reason, is a failure in the report, and the others go on. A dry run does the
    same in one transaction and takes it back.
    """
    if not dry_run:
        return _close_all(database, until=until, now=now, dry_run=False)
    report: CloseReport | None = None
    try:
        with database.transaction() as session:
            report = _close_all(_OneTransaction(session), until=until, now=now, dry_run=True)
            raise _DryRunDone  # noqa: TRY301 - the transaction has to see it
    except _DryRunDone:
        assert report is not None  # noqa: S101 - made before it was raised
        return report


@dataclass(frozen=True, slots=True)
class _OneTransaction:
    """A database that is one open transaction: what a dry run reads and writes."""

    session: Session

    def snapshot(self) -> AbstractContextManager[Session]:
        return _Savepoint(self.session)

    def transaction(self) -> AbstractContextManager[Session]:
        return _Savepoint(self.session)


@dataclass(slots=True)
class _Savepoint:
    session: Session
    inner: Any = None

    def __enter__(self) -> Session:
        self.inner = self.session.begin_nested()
        self.inner.__enter__()
        return self.session

    def __exit__(self, *error: object) -> None:
        self.inner.__exit__(*error)


def _close_all(database: DatabaseLike, *, until: date, now: datetime, dry_run: bool) -> CloseReport:
    failures: dict[int, Failure] = {}
    due: dict[tuple[date, date], list[ContractToClose]] = {}
    with database.snapshot() as session:
        contracts = closing.contracts(session)
        for contract in contracts:
            if local_midnight(until + DAY, ZoneInfo(contract.timezone)) > now:
                message = f"{until} has not ended in {contract.timezone}; choose an earlier day or wait"
                failures[contract.id] = Failure(contract=contract.name, month_starts_on=None, message=message)
                continue
            last = closing.last_closed(session, contract.id)
            first = contract.starts_on if last is None else add_months(last, 1)
            for month in billing_months(first, until):
                due.setdefault(month, []).append(contract)
    if contracts and len(failures) == len(contracts):
        raise Refused(f"{until} has not ended in the zone of any contract; choose an earlier day")
    issued: list[invoices.InvoiceDocument] = []
    months = 0
    for month, members in sorted(due.items()):
        with database.snapshot() as session:
            reader = MonthReader(session)
            for contract in members:
                if contract.id in failures:
                    continue
                try:
                    found = _close_contract(database, reader, contract=contract, month=month, now=now)
                except Exception as error:
                    if not isinstance(error, BillingError | StorageError):
                        logger.exception("closing %s failed", contract.name)
                    message = str(error) or type(error).__name__
                    failures[contract.id] = Failure(contract=contract.name, month_starts_on=month[0], message=message)
                    continue
                months += 1
                issued.extend(found)
    return CloseReport(
        until=until, dry_run=dry_run, months=months, invoices=tuple(issued), failures=tuple(failures.values())
    )


def _close_contract(
    database: DatabaseLike, reader: MonthReader, *, contract: ContractToClose, month: tuple[date, date], now: datetime
) -> list[invoices.InvoiceDocument]:
    plan = plan_contract_month(reader, closing.contract(reader.session, contract.id), month)
    for _ in range(PLAN_ATTEMPTS):
        if plan is None:
            return []
        with database.transaction() as session:
            outcome = commit_plan(session, plan, now)
            if outcome is not None:
                return [invoices.invoice_document(session, found) for found in outcome]
        with database.snapshot() as session:
            plan = plan_contract_month(MonthReader(session), closing.contract(session, contract.id), month)
    raise Conflict(f"{contract.name} kept changing while it was closed; close again")


def plan_contract_month(reader: MonthReader, contract: ContractToClose, month: tuple[date, date]) -> InvoicePlan | None:
    """What closing the month `[start, end)` of a contract will write, decided on the reader's snapshot.

    None when the month is closed already.
    """
    session = reader.session
    last = closing.last_closed(session, contract.id)
    if last is not None and last >= month[0]:
        return None
    schedules = closing.schedules_to_value(
        session, contract_id=contract.id, due_through=month[1] - DAY, late=reader.late.get(contract.id, [])
    )
    worths, boundaries = _value(reader, schedules)
    charged = closing.charged(session, [s.id for s in schedules if s.status not in {"planned", "valued"}])
    entries: list[Entry] = []
    corrected: set[str] = set()
    rows: list[Mapping[str, Any]] = []
    for worth in worths:
        before = charged.get(worth.schedule.id, [])
        adjustment = worth.schedule.status not in {"planned", "valued"}
        components = difference(worth.components, _components(before)) if before else worth.components
        if components and before:
            corrected.update(row.number for row in before if row.kind == "invoice")
        entries.extend(_entries(reader, contract, worth.schedule, components, adjustment=adjustment))
        rows.append(_row(worth, invoiced=bool(components or before)))
    draft = build_invoice(entries, contract.currency)
    return InvoicePlan(
        contract=contract,
        month_starts_on=month[0],
        month_ends_on=month[1],
        usage_mark=reader.mark,
        draft=draft,
        corrects=tuple(sorted(corrected)) if draft is not None and draft.kind == "credit_note" else (),
        schedules=tuple(rows),
        boundaries=tuple(boundaries),
    )


def _components(charged: Sequence[closing.Charged]) -> tuple[Component, ...]:
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


def _row(worth: Worth, *, invoiced: bool) -> Mapping[str, Any]:
    status = worth.schedule.status
    if status != "cancelled":
        status = "invoiced" if invoiced else "settled"
    return {
        "schedule": worth.schedule.id,
        "new_status": status,
        "worth": worth.quantity,
        "money": sum((component.amount for component in worth.components), Fraction(0)),
    }


def _entries(
    reader: MonthReader,
    contract: ContractToClose,
    schedule: ScheduleToValue,
    components: Iterable[Component],
    *,
    adjustment: bool,
) -> Iterator[Entry]:
    position, charge = reader.charges[schedule.charge_id]
    for component in components:
        unit, unit_code = _unit(reader, schedule, charge, component)
        yield Entry(
            schedule_id=schedule.id,
            reference=schedule.reference,
            subscription=schedule.subscription,
            charge=charge.name,
            charge_position=position,
            component=component,
            unit=unit,
            unit_code=unit_code,
            vat_category=charge.vat_category,
            vat_rate=charge.vat_rate,
            nominal_starts_on=schedule.nominal_starts_on,
            nominal_ends_on=schedule.nominal_ends_on,
            adjustment=adjustment,
            group=tuple(_group(contract.grouping, schedule)),
        )


def _unit(reader: MonthReader, schedule: ScheduleToValue, charge: Charge, component: Component) -> tuple[str, str]:
    if isinstance(charge, Recurring):
        return PERIOD_UNITS.get(charge.months, ONE)
    if component.name.lower().startswith("flat") or component.name.endswith("flat fee"):
        return ONE
    metric = reader.metrics[cast("int", schedule.metric_id)]
    return metric.unit, metric.unit_code


def _group(grouping: Iterable[str], schedule: ScheduleToValue) -> Iterator[tuple[str, str]]:
    for key in grouping:
        if key == "object":
            yield key, schedule.reference
        elif key.startswith("attribute:"):
            name = key.removeprefix("attribute:")
            yield name, str(schedule.attributes.get(name, ""))


# --- valuing -----------------------------------------------------------------------------------------------


def _value(reader: MonthReader, schedules: Sequence[ScheduleToValue]) -> tuple[list[Worth], list[Mapping[str, Any]]]:
    charges = reader.charges_of(schedules)
    measured = [s for s in schedules if s.metric_id is not None and not s.void]
    totals, registers = _measure_all(reader, measured)
    items = {s.contract_item_id for s in schedules if s.contract_item_id is not None and s.metric_id is None}
    suspensions = closing.suspensions(reader.session, items)
    worths: list[Worth] = []
    for schedule in schedules:
        charge = charges[schedule.charge_id][1]
        quantity, components = Fraction(0), cast("tuple[Component, ...]", ())
        if schedule.void:
            pass
        elif isinstance(charge, Usage):
            metric = reader.metrics[cast("int", schedule.metric_id)]
            found = totals.get(schedule.id)
            opening, closing_value = registers.ends(schedule)
            quantity = measure(
                aggregation=charge.aggregation,
                metric_kind=cast("MetricKind", metric.kind),
                decimals=metric.decimals,
                totals=UsageTotals()
                if found is None
                else UsageTotals(count=found.count, sum=found.total, max=found.top, latest=found.last),
                opening=opening,
                closing=closing_value,
            )
            components = value_usage(charge, quantity)
        else:
            period = Period(
                starts_on=schedule.starts_on,
                ends_on=schedule.ends_on,
                nominal_starts_on=schedule.nominal_starts_on,
                nominal_ends_on=schedule.nominal_ends_on,
            )
            item = cast("int", schedule.contract_item_id)
            components = value_recurring(charge, period, suspended_days(period, suspensions.get(item, [])))
            quantity = sum((component.quantity for component in components), Fraction(0))
        worths.append(Worth(schedule=schedule, quantity=quantity, components=components))
    return worths, registers.new


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


def _measure_all(reader: MonthReader, schedules: Sequence[ScheduleToValue]) -> tuple[dict[int, Measured], Registers]:
    """Usage of each schedule over `[start_at, end_at)`: whole UTC days from the rollup, the rest from the records."""
    inside = closing.whole_days(reader.session, (s.id for s in schedules))
    totals: dict[int, Measured] = {}
    cumulative: list[ScheduleToValue] = []
    for schedule in schedules:
        key = (cast("int", schedule.object_id), cast("int", schedule.metric_id))
        edges = [reader.window(start, end, key) for start, end in _edges(schedule)]
        if (found := closing.merged([inside.get(schedule.id), *edges])) is not None:
            totals[schedule.id] = found
        if reader.metrics[key[1]].kind == "cumulative":
            cumulative.append(schedule)
    return totals, _read_registers(reader, cumulative, totals)


def _edges(schedule: ScheduleToValue) -> list[tuple[int, int]]:
    """The windows of a period that are not whole UTC days, in microseconds."""
    start, end = to_micros(schedule.start_at), to_micros(schedule.end_at)
    first_day, last_day = -(-start // DAY_MICROS) * DAY_MICROS, end // DAY_MICROS * DAY_MICROS
    if first_day > last_day:
        return [(start, end)]
    return [(start, first_day), (last_day, end)]


def _read_registers(
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


# --- committing --------------------------------------------------------------------------------------------


def commit_plan(session: Session, plan: InvoicePlan, now: datetime) -> tuple[str, ...] | None:
    """Write a planned month in the session's transaction; the numbers issued (none when nothing was due).

    None, and nothing written, when the contract changed after it was planned.
    """
    contract = plan.contract
    if not closing.claim(session, contract_id=contract.id, revision=contract.revision):
        return None
    closing.close_month(
        session,
        BillingMonth(
            contract_id=contract.id,
            month_starts_on=plan.month_starts_on,
            usage_mark=plan.usage_mark,
            closed_at=now,
        ),
    )
    closing.store_boundaries(session, plan.boundaries)
    closing.update_schedules(session, plan.schedules)
    if plan.draft is None:
        return ()
    return (_issue(session, plan, plan.draft, now),)


def _issue(session: Session, plan: InvoicePlan, draft: InvoiceDraft, now: datetime) -> str:
    contract, customer, seller = closing.parties(session, plan.contract.id)
    issued_on = plan.month_ends_on - DAY
    invoice = Invoice(
        kind=draft.kind,
        status="draft",
        contract_id=plan.contract.id,
        customer_id=contract.customer_id,
        month_starts_on=plan.month_starts_on,
        month_ends_on=plan.month_ends_on,
        issued_on=issued_on,
        due_on=issued_on + timedelta(days=contract.payment_terms_days),
        currency=contract.currency,
        minor_digits=minor_digits(contract.currency),
        net_minor=draft.net_minor,
        vat_minor=draft.vat_minor,
        gross_minor=draft.gross_minor,
        seller={} if seller is None else seller.party,
        buyer={"reference": customer.reference, **customer.party},
        corrects=list(plan.corrects),
        issued_at=now,
    )
    lines = [(_invoice_line(line, place), _shares(line)) for place, line in enumerate(draft.lines, start=1)]
    vat = [
        InvoiceVat(
            invoice_id=0,
            category=total.category,
            rate=total.rate,
            base_minor=total.base_minor,
            vat_minor=total.vat_minor,
        )
        for total in draft.vat
    ]
    name = series(draft.kind, plan.month_starts_on)
    return closing.issue(session, invoice, lines, vat, lambda: number(name, closing.next_number(session, name)))


def _invoice_line(line: Line, position: int) -> InvoiceLine:
    return InvoiceLine(
        invoice_id=0,
        position=position,
        label=_label(line),
        subscription_name=line.subscription,
        charge_name=line.charge,
        component=line.component,
        group_values=dict(line.group),
        period_starts_on=line.nominal_starts_on,
        period_ends_on=line.nominal_ends_on,
        adjustment=int(line.adjustment),
        quantity=line.quantity,
        unit=line.unit,
        unit_code=line.unit_code,
        unit_price=line.unit_price,
        vat_category=line.vat_category,
        vat_rate=line.vat_rate,
        amount=line.amount,
        net_minor=line.net_minor,
        object_count=len({share.reference for share in line.shares}),
    )


def _label(line: Line) -> str:
    parts = [line.subscription, line.charge]
    if line.component not in {line.charge, "Fee", "Flat", "Units", "Usage"}:
        parts.append(line.component)
    parts.extend(value for _, value in line.group if value)
    return " / ".join(parts) + (" (adjustment)" if line.adjustment else "")


def _shares(line: Line) -> list[Mapping[str, Any]]:
    return [
        {
            "schedule_id": share.schedule_id,
            "quantity": share.quantity,
            "amount": share.amount,
            "share_minor": share.share_minor,
        }
        for share in line.shares
    ]
