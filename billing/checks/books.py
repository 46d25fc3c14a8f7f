"""What the checks share, read once: invoices with their lines and shares, schedules, what was charged."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from fractions import Fraction
from typing import Literal

from sqlmodel import Session

from billing.closing.reader import MonthReader
from billing.core.crediting import Rate
from storage import coupons, partitions, verifying
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
class Books:
    """All that the checks share, read once."""

    session: Session
    invoices: list[InvoiceRow] = field(init=False)
    lines: dict[int, list[LineRow]] = field(init=False)
    vat: dict[int, dict[Rate, tuple[int, int]]] = field(init=False)
    share_minor: dict[int, int] = field(init=False)
    share_amount: dict[int, Fraction] = field(init=False)
    share_count: dict[int, int] = field(init=False)
    charged: dict[int, Fraction] = field(init=False)
    given: dict[int, Fraction] = field(init=False)
    """By schedule, what gestures gave back: no close takes it back a second time."""
    schedules: list[ScheduleRow] = field(init=False)
    of_items: list[ScheduleRow] = field(init=False)
    """Those that are not of pools."""
    of_coupons: set[int] = field(init=False)
    """The lines that are coupons'."""
    archived: list[date] = field(init=False)
    reader: MonthReader = field(init=False)
    ends: dict[int, date] = field(init=False)

    def __post_init__(self) -> None:
        self.invoices = list(verifying.invoices(self.session))
        self.reader = MonthReader(self.session)
        self.ends = {item.id: item.fees_until or item.ends_on for item in verifying.items(self.session)}
        self.of_coupons = set(coupons.used_lines(self.session))
        self.archived = list(partitions.archived_months(self.session))
        self.schedules = list(verifying.schedules(self.session))
        self.lines, self.vat = defaultdict(list), defaultdict(dict)
        for row in verifying.vat(self.session):
            self.vat[row.invoice_id][row.category, row.rate] = (row.base_minor, row.vat_minor)
        self.of_items = [schedule for schedule in self.schedules if schedule.contract_item_id is not None]
        self.share_minor, self.share_amount = defaultdict(int), defaultdict(Fraction)
        self.share_count = defaultdict(int)
        self.charged = defaultdict(Fraction)
        signs = {invoice.id: sign(invoice) for invoice in self.invoices}
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
            self.share_count[share.line_id] += 1
            self.charged[share.schedule_id] += sign_of_line[share.line_id] * share.amount


def sign(invoice: InvoiceRow) -> int:
    """What a document does to what was charged: a gesture nothing."""
    if invoice.purpose == "gesture":
        return 0
    return -1 if invoice.kind == "credit_note" else 1


def name_of(schedule: ScheduleRow) -> str:
    return f"{schedule.reference or f'schedule {schedule.id}'}, {schedule.charge}, from {schedule.starts_on}"


def pauses(schedule: ScheduleRow) -> bool:
    """Whether suspended days are left out: what it is worth is then checked by valuing it once more."""
    return bool(schedule.definition.get("usage_while_suspended", "bill") != "bill")


def ended_before(schedule: ScheduleRow, ends: Mapping[int, date]) -> bool:
    """Whether the schedule begins after the end of its contract item: nothing of it is owed."""
    end = ends.get(schedule.contract_item_id or 0)
    return end is not None and schedule.starts_on >= end
