"""From what schedules are worth to an invoice: grouped lines rounded once, shares that add up, VAT once per rate."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from fractions import Fraction

from billing.core.exemptions import Exemption, stated
from billing.core.money import exact_sum, minor_digits, round_half_away, spread
from billing.core.numbering import InvoiceKind
from billing.core.prices import Component


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One component that one schedule puts on the invoice; `vat_rate` in percent, `group` from the contract."""

    schedule_id: int
    reference: str
    subscription: str
    charge: str
    charge_position: int
    component: Component
    unit: str
    unit_code: str
    vat_category: str
    vat_rate: Fraction
    nominal_starts_on: date
    nominal_ends_on: date
    adjustment: bool = False
    group: tuple[tuple[str, str], ...] = ()
    exemption: Exemption | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """One schedule's part of a line: exact, and its part of the rounded amount in minor units."""

    schedule_id: int
    reference: str
    quantity: Fraction
    amount: Fraction
    share_minor: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """Everything that has one price for one reason over one nominal period; `amount` exact, `net_minor` rounded."""

    subscription: str
    charge: str
    charge_position: int
    component: str
    component_position: int
    unit_price: Fraction
    unit: str
    unit_code: str
    vat_category: str
    vat_rate: Fraction
    nominal_starts_on: date
    nominal_ends_on: date
    adjustment: bool
    group: tuple[tuple[str, str], ...]
    exemption: Exemption | None
    quantity: Fraction
    amount: Fraction
    net_minor: int
    shares: tuple[Share, ...]


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
    scale = 10 ** minor_digits(currency)
    groups = _grouped(entries)
    if not groups:
        return None
    lines = sorted((_line(group, scale) for group in groups.values()), key=_line_order)
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


def _grouped(entries: Iterable[Entry]) -> Mapping[tuple[object, ...], list[Entry]]:
    """The entries by line. Most come with the very same price and rate, so they meet by identity before by value."""
    alike: dict[tuple[object, ...], list[Entry]] = defaultdict(list)
    for entry in entries:
        component = entry.component
        if component.quantity or component.amount:
            alike[
                entry.subscription,
                entry.charge,
                entry.charge_position,
                component.name,
                id(component.unit_price),
                entry.unit,
                entry.unit_code,
                id(entry.vat_rate),
                entry.vat_category,
                entry.nominal_starts_on,
                entry.nominal_ends_on,
                entry.adjustment,
                entry.group,
                entry.exemption,
            ].append(entry)
    groups: dict[tuple[object, ...], list[Entry]] = {}
    for found in alike.values():
        groups.setdefault(_group_key(found[0]), []).extend(found)
    return groups


def _group_key(entry: Entry) -> tuple[object, ...]:
    return (
        entry.subscription,
        entry.charge,
        entry.charge_position,
        entry.component.name,
        entry.component.unit_price,
        entry.unit,
        entry.unit_code,
        entry.vat_category,
        entry.vat_rate,
        entry.nominal_starts_on,
        entry.nominal_ends_on,
        entry.adjustment,
        entry.group,
        entry.exemption,
    )


def _line(group: Sequence[Entry], scale: int) -> Line:
    quantities: dict[tuple[str, int], Fraction] = {}
    amounts: dict[tuple[str, int], Fraction] = {}
    for entry in group:
        key, component = (entry.reference, entry.schedule_id), entry.component
        if key in amounts:
            quantities[key] += component.quantity
            amounts[key] += component.amount
        else:
            quantities[key], amounts[key] = component.quantity, component.amount
    amount = exact_sum(amounts.values())
    net_minor = round_half_away(amount * scale)
    # Sorted as (reference, schedule), which is how ties are broken.
    order = sorted(amounts)
    parts = spread(net_minor, [amounts[key] for key in order], scale)
    first = group[0]
    return Line(
        subscription=first.subscription,
        charge=first.charge,
        charge_position=first.charge_position,
        component=first.component.name,
        component_position=min(entry.component.position for entry in group),
        unit_price=first.component.unit_price,
        unit=first.unit,
        unit_code=first.unit_code,
        vat_category=first.vat_category,
        vat_rate=first.vat_rate,
        nominal_starts_on=first.nominal_starts_on,
        nominal_ends_on=first.nominal_ends_on,
        adjustment=first.adjustment,
        group=first.group,
        exemption=first.exemption,
        quantity=exact_sum(quantities.values()),
        amount=amount,
        net_minor=net_minor,
        shares=tuple(
            Share(
                schedule_id=key[1],
                reference=key[0],
                quantity=quantities[key],
                amount=amounts[key],
                share_minor=part,
            )
            for key, part in zip(order, parts, strict=True)
        ),
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
        shares=tuple(
            replace(share, quantity=-share.quantity, amount=-share.amount, share_minor=-share.share_minor)
            for share in line.shares
        ),
    )
