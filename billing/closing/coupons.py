"""What coupons take off the documents of a month: lines of their own, one for each VAT category and rate.

The law: an invoice of a month is reduced, never a credit note nor what is invoiced in mid-period; what a coupon has
left is what no issued document took of it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from fractions import Fraction

from sqlmodel import Session

from billing.core.columns import ExactColumn
from billing.core.coupons import Coupon, Rate, Reducible, reduction
from billing.core.invoicing import InvoiceDraft, with_lines
from billing.core.linebook import Line, Shares
from billing.core.money import minor_digits
from storage import coupons as stored
from storage.closing import ContractToClose
from storage.tables import Coupon as CouponRow


@dataclass(slots=True)
class Held:
    """A coupon with what was taken of it, by billing month."""

    coupon: Coupon
    taken: dict[date, int]


@dataclass(slots=True)
class Reduced:
    """A document with its reductions; nothing is used of a coupon before `use`."""

    draft: InvoiceDraft
    uses: Mapping[int, tuple[int, int]]
    """By the place of a line, the coupon's id and what is taken of it."""
    held: Sequence[Held]
    month_starts_on: date

    def use(self) -> None:
        """The document is issued: what it takes is not there for the next one."""
        by_id = {each.coupon.id: each for each in self.held}
        for coupon_id, minor in self.uses.values():
            taken = by_id[coupon_id].taken
            taken[self.month_starts_on] = taken.get(self.month_starts_on, 0) + minor


def held_coupons(session: Session, contracts: Sequence[ContractToClose], month_ends_on: date) -> list[Held]:
    """The coupons of contracts that have begun by the end of a month, in the order in which they were declared."""
    by_id = {contract.id: contract for contract in contracts}
    taken = stored.taken(session, by_id) if (rows := stored.of_contracts(session, by_id)) else {}
    return [
        Held(coupon_of(row, by_id[row.contract_id].name, by_id[row.contract_id].currency), taken.get(row.id or 0, {}))
        for row in rows
        if row.starts_on < month_ends_on
    ]


def coupon_of(row: CouponRow, contract: str, currency: str) -> Coupon:
    """A stored coupon; its amount has no more decimals than its currency."""
    return Coupon(
        id=row.id or 0,
        name=row.name,
        contract=contract,
        subscription=row.subscription,
        amount_minor=int(row.amount * 10 ** minor_digits(currency)),
        periods=row.periods,
        rest="carry" if row.rest == "carry" else "drop",
        starts_on=row.starts_on,
    )


def reduce_draft(
    draft: InvoiceDraft, held: Sequence[Held], contract: ContractToClose, month: tuple[date, date]
) -> Reduced:
    """The document with what coupons take off it; `contract` is the first of those that are on it."""
    currency, of_many = contract.currency, contract.invoicing == "customer"
    lines: list[Line] = []
    uses: dict[int, tuple[int, int]] = {}
    if draft.kind == "invoice" and held:
        known = [
            Reducible((it.vat_category, it.vat_rate), it.group[0][1] if of_many else "", it.subscription, it.net_minor)
            for it in draft.lines
        ]
        for each in held:
            coupon = each.coupon
            for rate, minor in reduction(coupon, coupon.left(each.taken, month[0]), known).items():
                uses[len(draft.lines) + len(lines)] = coupon.id, minor
                lines.append(_line(coupon, rate, minor, currency, month, of_many=of_many))
                known.append(Reducible(rate, coupon.contract if of_many else "", coupon.subscription or "", -minor))
    return Reduced(with_lines(draft, lines) if lines else draft, uses, held, month[0])


def _line(coupon: Coupon, rate: Rate, minor: int, currency: str, month: tuple[date, date], *, of_many: bool) -> Line:
    off = Fraction(-minor, 10 ** minor_digits(currency))
    return Line(
        subscription=coupon.subscription or coupon.contract,
        charge=coupon.name,
        charge_position=0,
        component="Coupon",
        component_position=1,
        unit_price=off,
        unit="coupon",
        unit_code="C62",
        vat_category=rate[0],
        vat_rate=rate[1],
        nominal_starts_on=month[0],
        nominal_ends_on=month[1],
        adjustment=False,
        group=(("contract", coupon.contract),) if of_many else (),
        exemption=None,
        quantity=Fraction(1),
        amount=off,
        net_minor=-minor,
        shares=Shares([], [], ExactColumn(), ExactColumn(), []),
    )
