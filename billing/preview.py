"""What a change of mind would bill, shown before it is made.

The law: the invoices are closed twice in one transaction, without and with the command, and the transaction is taken
back; so the preview is what the close would give, and nothing is written.
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, Generic, TypeVar

from sqlmodel import Session

from billing.close import close
from billing.closing.rehearsal import OneTransaction
from billing.core.errors import Invalid
from billing.core.money import exact_text, format_minor
from billing.core.periods import DAY, add_months
from storage import items, registry
from storage.invoices import InvoiceDocument, LineDocument

T = TypeVar("T")
ZONES_APART = timedelta(hours=26)
"""From the first end of a day on earth to the last, and more: by then the day has ended in every zone."""
MONTHS_AHEAD_LIMIT = 120


@dataclass(frozen=True, slots=True, kw_only=True)
class InvoiceChange:
    """One invoice or credit note that the command changes: as it would be without it, and with it."""

    contract: str
    kind: str
    month_starts_on: date
    before: InvoiceDocument | None
    after: InvoiceDocument | None

    def document(self) -> InvoiceDocument:
        """Either of the two, for what both have."""
        found = self.after or self.before
        assert found is not None  # noqa: S101 - a change has at least one of them
        return found

    def lines(self) -> tuple[tuple[LineDocument, ...], tuple[LineDocument, ...]]:
        """Lines that would be gone, and lines that would be new."""
        was = {_line_key(line): line for line in (self.before.lines if self.before else ())}
        now = {_line_key(line): line for line in (self.after.lines if self.after else ())}
        return (
            tuple(line for key, line in was.items() if key not in now),
            tuple(line for key, line in now.items() if key not in was),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Preview(Generic[T]):
    """What a command would do to the invoices of months that end by `until`."""

    until: date
    result: T
    changes: tuple[InvoiceChange, ...]
    failures: tuple[str, ...]

    def net_minor(self) -> dict[tuple[str, str, int], int]:
        """The difference that it makes, net, by (contract, currency, minor digits)."""
        found: dict[tuple[str, str, int], int] = {}
        for change in self.changes:
            document = change.document()
            key = (change.contract, document.currency, document.minor_digits)
            sign = -1 if change.kind == "credit_note" else 1
            after = change.after.net_minor if change.after else 0
            before = change.before.net_minor if change.before else 0
            found[key] = found.get(key, 0) + sign * (after - before)
        return found

    def as_json(self) -> dict[str, Any]:
        """The form of replies and of `--json`; the last day of a period is inclusive, amounts are texts."""
        return {
            "until": self.until.isoformat(),
            "net_difference": [
                {"contract": contract, "currency": currency, "net": format_minor(minor, digits)}
                for (contract, currency, digits), minor in self.net_minor().items()
            ],
            "invoices": [_change_json(change) for change in self.changes],
            "failures": list(self.failures),
        }


def contracts_of(session: Session, reference: str, *named: str) -> set[str]:
    """The contracts whose invoices a command on an object can change: its own, past and present, and those named."""
    found = set(named)
    for row in registry.list_objects(session, references=[reference]):
        found |= {item.contract for item in items.of_objects(session, [row.id])}
        if row.contract is not None:
            found.add(row.contract)
    return found


def preview(
    session: Session,
    command: Callable[[Session], T],
    *,
    contracts: Collection[str],
    now: datetime,
    until: date | None = None,
    effective_on: date | None = None,
) -> Preview[T]:
    """Do a command, close the months up to `until` without it and with it, and take everything back.

    `until` is the end of the month of today or of `effective_on`, whichever is later, unless given. What the command
    raises is raised. Raises Invalid for a day too far ahead.
    """
    day = until or add_months(max(now.date(), effective_on or date.min).replace(day=1), 1) - DAY
    if day > add_months(now.date(), MONTHS_AHEAD_LIMIT):
        raise Invalid(f"{day} is more than {MONTHS_AHEAD_LIMIT} months ahead; choose an earlier day")
    inside = OneTransaction(session)
    then = max(now, datetime(day.year, day.month, day.day, tzinfo=now.tzinfo) + DAY + ZONES_APART)
    without = close(inside, day, then, dry_run=True, only=contracts)
    with _taken_back(session):
        result = command(session)
        changed = close(inside, day, then, dry_run=True, only=contracts)
    return Preview(
        until=day,
        result=result,
        changes=tuple(_changes(without.invoices + without.drafts, changed.invoices + changed.drafts)),
        failures=tuple(f"{failure.contract}: {failure.message}" for failure in changed.failures),
    )


@contextmanager
def _taken_back(session: Session) -> Iterator[None]:
    nested = session.begin_nested()
    try:
        yield
    finally:
        nested.rollback()
        session.expire_all()


def _changes(before: Sequence[InvoiceDocument], after: Sequence[InvoiceDocument]) -> Iterator[InvoiceChange]:
    was, now = _by_place(before), _by_place(after)
    for place in sorted(was.keys() | now.keys()):
        contract, month, kind, _ = place
        change = InvoiceChange(
            contract=contract, kind=kind, month_starts_on=month, before=was.get(place), after=now.get(place)
        )
        if any(change.lines()):
            yield change


def _by_place(documents: Sequence[InvoiceDocument]) -> dict[tuple[str, date, str, str], InvoiceDocument]:
    return {(each.contract, each.month_starts_on, each.kind, each.part[1]): each for each in documents}


def _line_key(line: LineDocument) -> tuple[object, ...]:
    return (
        line.subscription,
        line.charge,
        line.component,
        tuple(sorted(line.group.items())),
        line.period_starts_on,
        line.period_ends_on,
        line.adjustment,
        line.unit_price,
        line.vat_category,
        line.vat_rate,
        line.quantity,
        line.net_minor,
        line.object_count,
    )


def _change_json(change: InvoiceChange) -> dict[str, Any]:
    document = change.document()
    gone, new = change.lines()
    return {
        "contract": change.contract,
        "kind": change.kind,
        "month": change.month_starts_on.isoformat()[:7],
        "currency": document.currency,
        "before": _totals(change.before),
        "after": _totals(change.after),
        "lines": [
            *(_line_json(line, document.minor_digits, "gone") for line in gone),
            *(_line_json(line, document.minor_digits, "new") for line in new),
        ],
    }


def _totals(document: InvoiceDocument | None) -> Mapping[str, str] | None:
    if document is None:
        return None
    return {
        name: format_minor(minor, document.minor_digits)
        for name, minor in (
            ("net", document.net_minor),
            ("vat", document.vat_minor),
            ("gross", document.gross_minor),
        )
    }


def _line_json(line: LineDocument, digits: int, what: str) -> dict[str, Any]:
    return {
        "change": what,
        "label": line.label,
        "starts_on": line.period_starts_on.isoformat(),
        "last_day": (line.period_ends_on - DAY).isoformat(),
        "quantity": exact_text(line.quantity),
        "unit_price": exact_text(line.unit_price),
        "net": format_minor(line.net_minor, digits),
        "objects": line.object_count,
    }
