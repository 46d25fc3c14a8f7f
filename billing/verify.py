"""The verification: every stored total computed again from what it was made of, and every difference told.

The law: it reads one snapshot and writes nothing; what differs is said, never mended.
"""

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from fractions import Fraction
from itertools import pairwise
from types import MappingProxyType
from typing import Literal, cast

from sqlmodel import Session

from billing import checking_coverage
from billing.checking_pools import pool_differences
from billing.closing.reader import MonthReader
from billing.closing.records import measure_by_record
from billing.core.crediting import Rate, vat_of_credit
from billing.core.money import exact_text, format_minor, round_half_away
from billing.core.numbering import InvoiceKind, number
from billing.core.numbering import series as series_of
from billing.core.quantity import unscale
from billing.recomputing import Unreadable, recompute
from billing.unbilled import unbilled
from billing.verify_dates import date_differences
from storage import partitions, sealing, usage, verifying
from storage.types import DAY_MICROS, from_micros, to_micros
from storage.verifying import InvoiceRow, LineRow, ScheduleRow

DAY = timedelta(days=1)

Severity = Literal["difference", "information"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that is not as it must be (or is only worth knowing), about one subject, in one sentence."""

    check: str
    subject: str
    message: str
    severity: Severity = "difference"


@dataclass(slots=True)
class _Books:
    """All that the checks share, read once."""

    session: Session
    invoices: list[InvoiceRow] = field(init=False)
    lines: dict[int, list[LineRow]] = field(init=False)
    vat: dict[int, dict[Rate, tuple[int, int]]] = field(init=False)
    share_minor: dict[int, int] = field(init=False)
    share_amount: dict[int, Fraction] = field(init=False)
    charged: dict[int, Fraction] = field(init=False)
    given: dict[int, Fraction] = field(init=False)
    """By schedule, what gestures gave back: no close takes it back a second time."""
    schedules: list[ScheduleRow] = field(init=False)
    of_items: list[ScheduleRow] = field(init=False)
    """Those that are not of pools."""
    archived: list[date] = field(init=False)
    reader: MonthReader = field(init=False)
    ends: dict[int, date] = field(init=False)

    def __post_init__(self) -> None:
        self.invoices = list(verifying.invoices(self.session))
        self.reader = MonthReader(self.session)
        self.ends = {item.id: item.fees_until or item.ends_on for item in verifying.items(self.session)}
        self.archived = list(partitions.archived_months(self.session))
        self.schedules = list(verifying.schedules(self.session))
        self.lines, self.vat = defaultdict(list), defaultdict(dict)
        for row in verifying.vat(self.session):
            self.vat[row.invoice_id][row.category, row.rate] = (row.base_minor, row.vat_minor)
        self.of_items = [schedule for schedule in self.schedules if schedule.contract_item_id is not None]
        self.share_minor, self.share_amount = defaultdict(int), defaultdict(Fraction)
        self.charged = defaultdict(Fraction)
        signs = {invoice.id: _sign(invoice) for invoice in self.invoices}
        sign_of_line: dict[int, int] = {}
        for line in verifying.lines(self.session):
            self.lines[line.invoice_id].append(line)
            sign_of_line[line.id] = signs.get(line.invoice_id, 0)
        gestures = {line.id for it in self.invoices if it.purpose == "gesture" for line in self.lines[it.id]}
        self.given = defaultdict(Fraction)
        for share in verifying.shares(self.session):
            if share.line_id in gestures:
                self.given[share.schedule_id] += share.amount
            self.share_minor[share.line_id] += share.share_minor
            self.share_amount[share.line_id] += share.amount
            self.charged[share.schedule_id] += sign_of_line[share.line_id] * share.amount


def _sign(invoice: InvoiceRow) -> int:
    """What a document does to what was charged: a gesture nothing."""
    if invoice.purpose == "gesture":
        return 0
    return -1 if invoice.kind == "credit_note" else 1


def verify(session: Session) -> list[Finding]:
    """Everything that differs, check by check in the order of CHECKS; no difference means that the books agree."""
    books = _Books(session)
    return [finding for _, check in CHECKS.values() for finding in check(books)]


def _rollup(books: _Books) -> Iterator[Finding]:
    for object_id, metric_id, day in usage.rollup_differences(books.session):
        on = from_micros(day * DAY_MICROS).date()
        if on.replace(day=1) in books.archived:
            continue
        yield Finding(
            check="rollup",
            subject=f"object {object_id}, metric {metric_id}, {on}",
            message=f"the rollup of object {object_id}, metric {metric_id} on {on} is not what its records add up to",
        )


def _numbers(books: _Books) -> Iterator[Finding]:
    last = verifying.series(books.session)
    given: dict[str, set[str]] = {name: set() for name in last}
    for invoice in books.invoices:
        name = series_of(cast("InvoiceKind", invoice.kind), invoice.issued_on)
        given.setdefault(name, set()).add(invoice.number)
    for name, numbers in sorted(given.items()):
        counted = last.get(name, 0)
        expected = {number(name, n) for n in range(1, counted + 1)}
        for missing in sorted(expected - numbers):
            yield Finding(check="numbers", subject=name, message=f"{missing} was given, but no invoice bears it")
        for foreign in sorted(numbers - expected):
            message = f"{foreign} is not one of the numbers 1 to {counted} that {name} has given"
            yield Finding(check="numbers", subject=name, message=message)


def _invoices(books: _Books) -> Iterator[Finding]:
    left: dict[int, dict[Rate, tuple[int, int]]] = {it.id: dict(books.vat[it.id]) for it in books.invoices}
    # In the order of issue, since the last of several notes takes what is left.
    for invoice in sorted(books.invoices, key=lambda it: it.id):
        for message in _invoice(books, invoice, None if invoice.credits_id is None else left[invoice.credits_id]):
            yield Finding(check="invoices", subject=invoice.number, message=message)


def _credits(books: _Books) -> Iterator[Finding]:
    """A note by hand takes no more of a line than the line states, all notes for it together."""
    issued = {line.id: (invoice, line) for invoice in books.invoices for line in books.lines[invoice.id]}
    credited: dict[int, int] = defaultdict(int)
    for _, line in issued.values():
        if line.credits_line_id is not None:
            credited[line.credits_line_id] += line.net_minor
    for line_id, minor in credited.items():
        invoice, line = issued[line_id]
        if minor * line.net_minor < 0 or abs(minor) > abs(line.net_minor):
            message = (
                f"{format_minor(minor, invoice.minor_digits)} was credited of line {line.position} of "
                f"{invoice.number}, which states {format_minor(line.net_minor, invoice.minor_digits)}"
            )
            yield Finding(check="credits", subject=invoice.number, message=message)


def _invoice(books: _Books, invoice: InvoiceRow, left: dict[Rate, tuple[int, int]] | None) -> Iterator[str]:
    """What is wrong with a document; `left` is what earlier notes left of the VAT of the invoice that it credits."""

    def money(minor: int) -> str:
        return format_minor(minor, invoice.minor_digits)

    name, lines, vat = invoice.number, books.lines[invoice.id], books.vat[invoice.id]
    bases: dict[Rate, int] = defaultdict(int)
    for line in lines:
        bases[line.vat_category, line.vat_rate] += line.net_minor
        place, parts, exact = f"line {line.position} of {name}", books.share_minor[line.id], books.share_amount[line.id]
        if parts != line.net_minor:
            yield f"the shares of {place} add up to {money(parts)}, the line states {money(line.net_minor)}"
        if exact != line.amount:
            yield f"the exact shares of {place} add up to {exact_text(exact)}, not to {exact_text(line.amount)}"
        rounded = round_half_away(line.amount * 10**invoice.minor_digits)
        if rounded != line.net_minor:
            yield f"{place} states {money(line.net_minor)}, but {exact_text(line.amount)} rounds to {money(rounded)}"
    net = sum(line.net_minor for line in lines)
    if net != invoice.net_minor:
        yield f"the lines of {name} add up to {money(net)} net, the invoice states {money(invoice.net_minor)}"
    yield from _invoice_vat(invoice, bases, vat, left)
    stated_vat = sum(minor for _, minor in vat.values())
    if stated_vat != invoice.vat_minor:
        yield f"the VAT of {name} adds up to {money(stated_vat)}, the invoice states {money(invoice.vat_minor)}"


def _invoice_vat(
    invoice: InvoiceRow,
    bases: Mapping[Rate, int],
    vat: Mapping[Rate, tuple[int, int]],
    left: dict[Rate, tuple[int, int]] | None,
) -> Iterator[str]:
    def money(minor: int) -> str:
        return format_minor(minor, invoice.minor_digits)

    for key in sorted(bases.keys() | vat.keys()):
        base, stored = bases.get(key, 0), vat.get(key)
        if left is None:
            computed = (base, round_half_away(base * key[1] / 100))
        else:
            before = left.get(key, (0, 0))
            (total,) = vat_of_credit({key: base}, {key: before})
            computed = (base, total.vat_minor)
            left[key] = (before[0] - base, before[1] - total.vat_minor)
        if stored != computed:
            stated = "no VAT" if stored is None else f"{money(stored[1])} on {money(stored[0])}"
            yield (
                f"VAT {key[0]} {exact_text(key[1])} % of {invoice.number} is {money(computed[1])} on {money(base)}, "
                f"the invoice states {stated}"
            )


def _charged(books: _Books) -> Iterator[Finding]:
    for schedule in books.schedules:
        nothing = schedule.status in {"planned", "valued"} or (schedule.status == "cancelled" and not schedule.revalue)
        if nothing and schedule.definition.get("threshold") and schedule.status == "planned":
            nothing = False  # charged so far, and stored as its amount; the end of the period charges the rest
        if schedule.definition.get("threshold") and schedule.status == "valued":
            continue  # the rest waits for the next invoice
        worth = books.given.get(schedule.id, Fraction(0)) if nothing else schedule.amount
        charged = books.charged.get(schedule.id, Fraction(0))
        if charged != worth:
            subject = _name(schedule)
            message = f"{exact_text(charged)} was charged for {subject} ({schedule.status}), not {exact_text(worth)}"
            yield Finding(check="charged", subject=subject, message=message)


def _quantities(books: _Books) -> Iterator[Finding]:
    sums = verifying.delta_sums(books.session)
    for schedule in books.of_items:
        aggregation = schedule.definition.get("calculator", {}).get("aggregation")
        if (schedule.metric_kind, aggregation) != ("delta", "sum") or schedule.revalue or _pauses(schedule):
            continue
        if schedule.charge_id in books.reader.record_charges:
            continue
        if schedule.status not in {"invoiced", "settled"} or _after(schedule, books.ends):
            continue
        if any(partitions.overlaps(month, schedule.start_at, schedule.end_at) for month in books.archived):
            continue
        used = unscale(sums.get(schedule.id, 0), schedule.metric_decimals or 0)
        if used != schedule.quantity:
            subject = _name(schedule)
            message = (
                f"the records of {subject} add up to {exact_text(used)}, the schedule has "
                f"{exact_text(schedule.quantity)}"
            )
            yield Finding(check="quantities", subject=subject, message=message)


def _registers(books: _Books) -> Iterator[Finding]:
    kept = verifying.boundaries(books.session)
    for schedule in books.of_items:
        aggregation = schedule.definition.get("calculator", {}).get("aggregation", "sum")
        if (schedule.metric_kind, aggregation) != ("cumulative", "sum") or _pauses(schedule):
            continue
        if schedule.status not in {"invoiced", "settled"} or schedule.revalue or _after(schedule, books.ends):
            continue
        ends = [
            kept.get((schedule.object_id or 0, schedule.metric_id or 0, to_micros(at)))
            for at in (schedule.start_at, schedule.end_at)
        ]
        rise = 0 if ends[0] is None or ends[1] is None else max(ends[1] - ends[0], 0)
        used = unscale(rise, schedule.metric_decimals or 0)
        if used != schedule.quantity:
            subject = _name(schedule)
            message = f"the register of {subject} rose by {exact_text(used)}, the schedule has " + exact_text(
                schedule.quantity
            )
            yield Finding(check="registers", subject=subject, message=message)


def _events(books: _Books) -> Iterator[Finding]:
    counts = verifying.event_counts(books.session)
    for schedule in books.of_items:
        if schedule.definition.get("type") != "event" or schedule.revalue or _after(schedule, books.ends):
            continue
        if schedule.status in {"invoiced", "settled"} and counts.get(schedule.id, 0) != schedule.quantity:
            subject = _name(schedule)
            message = f"{subject} had {counts.get(schedule.id, 0)} events, the schedule has " + exact_text(
                schedule.quantity
            )
            yield Finding(check="events", subject=subject, message=message)


def _recorded(books: _Books) -> Iterator[Finding]:
    reader = books.reader
    late = {identity for found in reader.late.values() for identity in found}
    checked = [
        schedule
        for schedule in books.of_items
        if schedule.charge_id in reader.record_charges
        and schedule.status in {"invoiced", "settled"}
        and not (schedule.revalue or schedule.id in late or _after(schedule, books.ends))
        and not any(partitions.overlaps(month, schedule.start_at, schedule.end_at) for month in books.archived)
    ]
    spans = [(schedule.id, to_micros(schedule.start_at), to_micros(schedule.end_at)) for schedule in checked]
    measured = measure_by_record(reader, spans)
    for schedule in checked:
        used = measured[schedule.id].quantity
        if used != schedule.quantity:
            subject = _name(schedule)
            message = (
                f"the records of {subject} come to {exact_text(used)}, the schedule has {exact_text(schedule.quantity)}"
            )
            yield Finding(check="records", subject=subject, message=message)


def _worth(books: _Books) -> Iterator[Finding]:
    stored = {schedule.id: schedule for schedule in books.schedules}
    for found in recompute(books.reader, books.archived):
        if isinstance(found, Unreadable):
            message = f"a charge of {found.contract} is not understood: {found.problem}"
            yield Finding(check="worth", subject=found.contract, message=message)
            continue
        schedule, worth = stored[found.schedule.id], found.worth
        subject = _name(schedule)
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


def _seals(books: _Books) -> Iterator[Finding]:
    connection = books.session.connection()
    sealed, numbers = sealing.seals(connection), {invoice.id: invoice.number for invoice in books.invoices}
    for identity, digest in sealing.issued_digests(connection):
        name = numbers[identity]
        if identity not in sealed:
            yield Finding(check="seals", subject=name, message=f"{name} has no seal; it was not issued by Metergate")
        elif sealed[identity] != digest:
            message = f"{name} does not say what it said when it was issued; compare it with the copy that was sent"
            yield Finding(check="seals", subject=name, message=message)
    for identity in sorted(sealed.keys() - numbers.keys()):
        message = f"an invoice that was issued (id {identity}) is not there any more"
        yield Finding(check="seals", subject=str(identity), message=message)


def _pools(books: _Books) -> Iterator[Finding]:
    for subject, message in pool_differences(books.session, books.reader):
        yield Finding(check="pools", subject=subject, message=message)


def _dates(books: _Books) -> Iterator[Finding]:
    for subject, message in date_differences(books.session):
        yield Finding(check="dates", subject=subject, message=message)


def _pauses(schedule: ScheduleRow) -> bool:
    """Whether suspended days are left out: what it is worth is then checked by valuing it once more."""
    return bool(schedule.definition.get("usage_while_suspended", "bill") != "bill")


def _suspended(books: _Books) -> Iterator[Finding]:
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


def _after(schedule: ScheduleRow, ends: Mapping[int, date]) -> bool:
    """Whether the schedule begins after the end of its contract item: nothing of it is owed."""
    end = ends.get(schedule.contract_item_id or 0)
    return end is not None and schedule.starts_on >= end


def _tiles(books: _Books) -> Iterator[Finding]:
    charges = verifying.tiled_charges(books.session)
    periods: dict[tuple[int, int], list[ScheduleRow]] = defaultdict(list)
    for schedule in books.of_items:
        if schedule.status != "cancelled":
            periods[schedule.contract_item_id or 0, schedule.charge_id].append(schedule)
    for item in verifying.items(books.session):
        if item.status == "cancelled":
            continue
        for charge_id, (charge, kind, trial_days) in charges.get(item.plan_version_id, {}).items():
            subject = f"{item.name}, {charge}"
            ends_on = item.fees_until if item.fees_until and kind == "recurring" else item.ends_on
            charged_from = (item.term_starts_on or item.starts_on) + trial_days * DAY
            reached = min(max(item.starts_on, charged_from), ends_on)
            for schedule in periods[item.id, charge_id]:
                if schedule.starts_on != reached:
                    what = "a gap" if schedule.starts_on > reached else "an overlap"
                    first, end = sorted((reached, schedule.starts_on))
                    message = f"the schedules of {subject} have {what} from {first} to {end - DAY}"
                    yield Finding(check="schedules", subject=subject, message=message)
                reached = max(reached, schedule.ends_on)
            if reached != ends_on:
                message = f"the schedules of {subject} end on {reached - DAY}, the item on {ends_on - DAY}"
                yield Finding(check="schedules", subject=subject, message=message)


def _lines(books: _Books) -> Iterator[Finding]:
    items = {item.id: item for item in verifying.items(books.session) if item.status != "cancelled"}
    followed = {item.follows_id for item in items.values()}
    by_place: dict[tuple[int, int], list[verifying.ItemRow]] = defaultdict(list)
    for item in items.values():
        by_place[item.object_id, item.subscription_id].append(item)
        before = items.get(item.follows_id or 0)
        if item.follows_id is not None and before is None:
            yield _line_finding(item, "follows an item that is not there")
        elif before is not None and (before.ends_on, before.end_at) != (item.starts_on, item.start_at):
            yield _line_finding(item, f"follows an item that ends on {before.ends_on - DAY}")
        if item.status == "replaced" and item.id not in followed:
            yield _line_finding(item, "was replaced, and nothing follows it")
    for rows in by_place.values():
        for one, other in pairwise(sorted(rows, key=lambda item: item.starts_on)):
            if other.starts_on < one.ends_on:
                yield _line_finding(other, f"is on its subscription twice until {one.ends_on - DAY}")


def _line_finding(item: verifying.ItemRow, what: str) -> Finding:
    subject = f"{item.name} from {item.starts_on}"
    return Finding(check="lines", subject=subject, message=f"the contract item {subject} {what}")


def _outside(books: _Books) -> Iterator[Finding]:
    records, objects = verifying.records_outside_items(books.session)
    if records:
        yield Finding(
            check="outside",
            subject="usage records",
            message=f"{records} usage records of {objects} objects are outside any contract item: nobody pays them",
            severity="information",
        )


def _unpriced(books: _Books) -> Iterator[Finding]:
    for subject, message in checking_coverage.unpriced(books.session):
        yield Finding(check="unpriced", subject=subject, message=message, severity="information")


def _unmeasured(books: _Books) -> Iterator[Finding]:
    for subject, message in checking_coverage.unmeasured(books.session):
        yield Finding(check="unmeasured", subject=subject, message=message, severity="information")


def _archived(books: _Books) -> Iterator[Finding]:
    for month in books.archived:
        yield Finding(
            check="archived",
            subject=f"{month:%Y-%m}",
            message=f"the usage records of {month:%Y-%m} are archived: what they add up to was not checked",
            severity="information",
        )


def _name(schedule: ScheduleRow) -> str:
    return f"{schedule.reference or f'schedule {schedule.id}'}, {schedule.charge}, from {schedule.starts_on}"


Check = Callable[[_Books], Iterator[Finding]]
CHECKS: MappingProxyType[str, tuple[str, Check]] = MappingProxyType(
    {
        "rollup": ("the daily rollup is what the usage records add up to", _rollup),
        "numbers": ("the numbers of every series run from 1 to its last without a gap", _numbers),
        "invoices": ("shares add up to lines, lines to invoices, and VAT is right for each rate", _invoices),
        "credits": ("no line was credited by more than it states", _credits),
        "charged": ("what was charged for each schedule is what it is worth", _charged),
        "quantities": ("added-up usage is what the records say that the last close saw", _quantities),
        "registers": ("a register's consumption is the difference of its values at the ends of the period", _registers),
        "events": ("charges on events count the events of the timeline", _events),
        "records": ("usage that is measured record by record is what the records say", _recorded),
        "worth": ("each closed schedule is worth, by the plan and the usage, what was charged", _worth),
        "seals": ("every issued invoice says what it said when it was issued", _seals),
        "pools": ("pools cover the days of their items, and the parts of objects add up to their shares", _pools),
        "dates": ("local days and instants agree, due days can be, closed months follow one another", _dates),
        "schedules": ("the schedules of each charge cover its contract item's life exactly", _tiles),
        "lines": ("contract items that follow one another leave no instant out, and none twice", _lines),
        "archived": ("months whose usage records are archived are named", _archived),
        "suspended": ("usage that came while suspended, and that the plan does not charge, is counted", _suspended),
        "unpriced": ("usage on an invoice that has no price is named", _unpriced),
        "unmeasured": ("usage that no charge of its plan measures is counted", _unmeasured),
        "outside": ("usage records outside any contract item are counted", _outside),
    }
)
"""Every check: its name, what it makes sure of, and how."""


def differences(findings: Sequence[Finding]) -> list[Finding]:
    """The findings that are wrong, without those that are only worth knowing."""
    return [finding for finding in findings if finding.severity == "difference"]
