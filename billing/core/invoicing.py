"""From what schedules are worth to an invoice: grouped lines rounded once, shares that add up, VAT once per rate."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

from billing.core.exemptions import Exemption, stated
from billing.core.linebook import Entry, Line, LineBook
from billing.core.money import minor_digits, round_half_away
from billing.core.numbering import InvoiceKind
from billing.core.prices import Component


@dataclass(frozen=True, slots=True, kw_only=True)
class VatTotal:
    """VAT of one category and rate (in percent) on the sum of its lines (EN 16931, BG-23)."""

    category: str
    rate: Fraction
    base_minor: int
    vat_minor: int
    exemption: Exemption | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class InvoiceDraft:
    """An invoice before its number; all of a credit note's quantities and amounts are stated the other way round."""

    kind: InvoiceKind
    lines: tuple[Line, ...]
    vat: tuple[VatTotal, ...]
    net_minor: int
    vat_minor: int
    gross_minor: int


def difference(now: Sequence[Component], charged: Sequence[Component]) -> tuple[Component, ...]:
    """What is still to be charged: new minus all that was charged before, matched by name and unit price, exact.

    The one mechanism for every change of mind. Nothing is left out: a component that is worth nothing any more is
    taken back whole. What was charged on a credit note enters with its sign turned back.
    """
    quantities: dict[tuple[str, Fraction], Fraction] = defaultdict(Fraction)
    amounts: dict[tuple[str, Fraction], Fraction] = defaultdict(Fraction)
    positions: dict[tuple[str, Fraction], int] = {}
    for sign, components in ((1, now), (-1, charged)):
        for component in components:
            key = (component.name, component.unit_price)
            quantities[key] += sign * component.quantity
            amounts[key] += sign * component.amount
            positions.setdefault(key, component.position)
    return tuple(
        Component(
            name=key[0],
            position=position,
            quantity=quantities[key],
            unit_price=key[1],
            amount=amounts[key],
        )
        for key, position in positions.items()
        if quantities[key] or amounts[key]
    )


def build_invoice(entries: Iterable[Entry], currency: str) -> InvoiceDraft | None:
    """The invoice of all entries in any order, or None when there is nothing to put on it.

    Lines are rounded half away from zero, once; shares are allocated from the line by largest remainder, ties by
    reference, then schedule; VAT is computed once per category and rate. A negative total makes a credit note, with
    every sign turned. Raises Invalid for an unknown currency.
    """
    book = LineBook()
    for entry in entries:
        book.add(entry)
    return close_book(book, currency)


def close_book(book: LineBook, currency: str) -> InvoiceDraft | None:
    """`build_invoice` of all the entries of a book."""
    lines = sorted(book.lines(10 ** minor_digits(currency)), key=_line_order)
    if not lines:
        return None
    gross_minor = sum(line.net_minor for line in lines) + sum(total.vat_minor for total in _vat(lines))
    kind: InvoiceKind = "credit_note" if gross_minor < 0 else "invoice"
    if kind == "credit_note":
        lines = [_turned(line) for line in lines]
    vat = _vat(lines)
    net_minor = sum(line.net_minor for line in lines)
    vat_minor = sum(total.vat_minor for total in vat)
    return InvoiceDraft(
        kind=kind,
        lines=tuple(lines),
        vat=vat,
        net_minor=net_minor,
        vat_minor=vat_minor,
        gross_minor=net_minor + vat_minor,
    )


def with_lines(draft: InvoiceDraft, lines: Sequence[Line]) -> InvoiceDraft:
    """The document with these lines after its own: net and VAT are computed again on all of them."""
    every = (*draft.lines, *lines)
    vat = _vat(every)
    net_minor, vat_minor = sum(line.net_minor for line in every), sum(total.vat_minor for total in vat)
    return replace(
        draft, lines=every, vat=vat, net_minor=net_minor, vat_minor=vat_minor, gross_minor=net_minor + vat_minor
    )


def _line_order(line: Line) -> tuple[object, ...]:
    """Charges as the plan lists them, adjustments after, oldest first; total, so the order of entries is nothing."""
    return (
        line.subscription,
        line.charge_position,
        line.charge,
        line.group,
        line.adjustment,
        line.nominal_starts_on,
        line.nominal_ends_on,
        line.component_position,
        line.component,
        line.unit_price,
        line.vat_category,
        line.vat_rate,
        line.unit,
        line.unit_code,
        ("", "") if line.exemption is None else (line.exemption.reason, line.exemption.code or ""),
    )


def _vat(lines: Iterable[Line]) -> tuple[VatTotal, ...]:
    bases: dict[tuple[str, Fraction], int] = defaultdict(int)
    exemptions: dict[tuple[str, Fraction], list[Exemption]] = defaultdict(list)
    for line in lines:
        bases[line.vat_category, line.vat_rate] += line.net_minor
        if line.exemption is not None:
            exemptions[line.vat_category, line.vat_rate].append(line.exemption)
    return tuple(
        VatTotal(
            category=category,
            rate=rate,
            base_minor=base_minor,
            vat_minor=round_half_away(base_minor * rate / 100),
            exemption=stated(exemptions[category, rate]),
        )
        for (category, rate), base_minor in sorted(bases.items())
    )


def _turned(line: Line) -> Line:
    return replace(
        line,
        quantity=-line.quantity,
        amount=-line.amount,
        net_minor=-line.net_minor,
        shares=line.shares.turned(),
    )
