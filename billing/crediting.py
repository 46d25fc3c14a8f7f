"""Credit notes by hand: a gesture leaves what was charged as it is; with a rebill the next close charges anew.

The law: what is credited is never more than is left; a gesture is no part of what was charged, so no later close
bills it again. The note carries the parties of its invoice, has its own number, and changes nothing that was issued.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from fractions import Fraction
from zoneinfo import ZoneInfo

from sqlmodel import Session

from billing.core.crediting import (
    CreditableLine,
    CreditableShare,
    CreditDraft,
    CreditedLine,
    Wanted,
    credit_invoice,
)
from billing.core.errors import Conflict, Invalid, NotFound, Refused
from billing.core.invoicing import VatTotal
from billing.core.numbering import number as number_text
from billing.core.numbering import series
from billing.core.periods import add_months
from billing.core.pools import Part, credited_parts
from billing.dating import first_open_day
from storage import crediting as stored
from storage import issuing, pools
from storage.crediting import IssuedInvoice, Taken
from storage.tables import Invoice, InvoiceLine, InvoiceVat

TEXT_LIMIT = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Credit:
    """What is asked for: lines by their position (all when none is named), and how much of them (all unless said).

    `amount` is net, in major units; `percent` is of each line as it was issued. `reference` makes a repeat change
    nothing. With `rebill` the credited periods are charged anew by the next close.
    """

    lines: tuple[int, ...] = ()
    amount: Fraction | None = None
    percent: Fraction | None = None
    reason: str
    rebill: bool = False
    reference: str | None = None


def credit(session: Session, number: str, asked: Credit, now: datetime) -> str:
    """Issue a credit note for an invoice, dated today in the contract's zone (the first open day); its number.

    The same reference again gives the note that it made. Raises NotFound for an unknown number, Invalid for a line or
    an amount that cannot be, Conflict for a reference that was used for something else, and Refused for a credit note
    and for more than is left of the invoice.
    """
    for name, value in (("reason", asked.reason), ("reference", asked.reference)):
        if value is not None and not (1 <= len(value) <= TEXT_LIMIT and value.isprintable()):
            raise Invalid(f"a credit note's {name} has 1 to {TEXT_LIMIT} printable characters, got {value!r}")
    invoice = stored.find(session, number)
    if invoice is None:
        raise NotFound(f"no invoice has the number {number}; `metergate invoices list` shows those issued")
    if invoice.kind != "invoice":
        raise Refused(f"{number} is a credit note; only invoices are credited")
    contract = stored.hold(session, invoice.contract_id)
    purpose = "cancellation" if asked.rebill else "gesture"
    repeated = None if asked.reference is None else stored.note_of(session, invoice.id or 0, asked.reference)
    if repeated is not None:
        if (repeated.purpose, repeated.reason) != (purpose, asked.reason):
            raise Conflict(f"{asked.reference!r} was used for {repeated.number} of {number}; use a new reference")
        return repeated.number or ""
    issued = stored.read(session, invoice)
    draft = credit_invoice(
        [_creditable(issued, line) for line in issued.lines],
        _totals(issued.vat),
        _totals(issued.credited_vat),
        wanted=_wanted(asked, invoice),
        minor_digits=invoice.minor_digits,
    )
    today = now.astimezone(ZoneInfo(contract.timezone)).date()
    issued_on = first_open_day(session, max(today, invoice.issued_on))
    month_starts_on = issued_on.replace(day=1)
    note = Invoice(
        kind="credit_note",
        purpose=purpose,
        status="draft",
        contract_id=invoice.contract_id,
        part_attribute=invoice.part_attribute,
        part=invoice.part,
        customer_id=invoice.customer_id,
        month_starts_on=month_starts_on,
        month_ends_on=add_months(month_starts_on, 1),
        issued_on=issued_on,
        due_on=issued_on,
        currency=invoice.currency,
        minor_digits=invoice.minor_digits,
        net_minor=draft.net_minor,
        vat_minor=draft.vat_minor,
        gross_minor=draft.gross_minor,
        seller=invoice.seller,
        buyer=invoice.buyer,
        corrects=[number],
        credits_id=invoice.id,
        reference=asked.reference,
        reason=asked.reason,
        issued_at=now,
    )
    found = _issue(session, note, issued, draft)
    if asked.rebill:
        shares = ((share.schedule_id, share.amount) for line in draft.lines for share in line.shares)
        stored.mark_for_billing_anew(session, shares)
    return found


def _wanted(asked: Credit, invoice: Invoice) -> Wanted:
    amount_minor = None
    if asked.amount is not None:
        scaled = asked.amount * 10**invoice.minor_digits
        if scaled.denominator != 1:
            raise Invalid(f"an amount in {invoice.currency} has at most {invoice.minor_digits} decimals")
        amount_minor = int(scaled)
    return Wanted(positions=asked.lines, amount_minor=amount_minor, percent=asked.percent)


def _creditable(issued: IssuedInvoice, line: InvoiceLine) -> CreditableLine:
    line_id, nothing = line.id or 0, Taken()
    shares = []
    for share in issued.shares.get(line_id, ()):
        taken = issued.taken.get((line_id, share.schedule_id), nothing)
        shares.append(
            CreditableShare(
                schedule_id=share.schedule_id,
                reference=share.reference,
                quantity=share.quantity,
                amount=share.amount,
                share_minor=share.share_minor,
                charged_minor=issued.charged[share.schedule_id, line.component, line.unit_price],
                credited_quantity=taken.quantity,
                credited_amount=taken.amount,
                credited_minor=taken.minor,
                rest=issued.rests.get((share.schedule_id, line.component, line.unit_price)),
            )
        )
    return CreditableLine(
        position=line.position,
        vat_category=line.vat_category,
        vat_rate=line.vat_rate,
        net_minor=line.net_minor,
        shares=tuple(shares),
        credited_minor=issued.credited.get(line_id, 0),
    )


def _totals(rows: Iterable[InvoiceVat]) -> list[VatTotal]:
    return [
        VatTotal(category=row.category, rate=row.rate, base_minor=row.base_minor, vat_minor=row.vat_minor)
        for row in rows
    ]


def _issue(session: Session, note: Invoice, issued: IssuedInvoice, draft: CreditDraft) -> str:
    by_position = {line.position: line for line in issued.lines}
    lines = [
        (
            _note_line(by_position[line.position], line, place),
            [(share.schedule_id, str(share.quantity), str(share.amount), share.share_minor) for share in line.shares],
        )
        for place, line in enumerate(draft.lines, start=1)
    ]
    reasons = {(row.category, row.rate): (row.exemption_reason, row.exemption_code) for row in issued.vat}
    vat = [
        InvoiceVat(
            invoice_id=0,
            category=total.category,
            rate=total.rate,
            base_minor=total.base_minor,
            vat_minor=total.vat_minor,
            exemption_reason=reasons[total.category, total.rate][0],
            exemption_code=reasons[total.category, total.rate][1],
        )
        for total in draft.vat
    ]
    # What is billed anew can take the coupon anew; a gesture takes back no more than was paid, and uses none of it.
    uses = {
        place: (issued.coupons[line_id], line.net_minor if note.purpose == "cancellation" else 0)
        for place, line in enumerate(draft.lines)
        if (line_id := by_position[line.position].id or 0) in issued.coupons
    }
    name = series("credit_note", note.issued_on)
    return issuing.issue(
        session,
        note,
        lines,
        vat,
        lambda: number_text(name, issuing.next_number(session, name)),
        object_shares=_parts(session, issued, draft),
        coupon_uses=uses,
    )


def _parts(session: Session, issued: IssuedInvoice, draft: CreditDraft) -> dict[int, list[pools.ObjectPart]]:
    """What objects get back of what is credited of pools, by the place of the line on the note."""
    left = pools.left_of_parts(session, issued.invoice.id or 0)
    ids = {line.position: line.id or 0 for line in issued.lines}
    found: dict[int, list[pools.ObjectPart]] = {}
    for place, line in enumerate(draft.lines):
        for share in line.shares:
            of_objects = left.get((ids[line.position], share.schedule_id), {})
            parts = (
                credited_parts(
                    share.quantity,
                    share.amount,
                    share.share_minor,
                    {
                        reference: (Part(quantity, amount), minor)
                        for reference, (_, quantity, amount, minor) in of_objects.items()
                    },
                )
                if of_objects
                else {}
            )
            found.setdefault(place, []).extend(
                (share.schedule_id, of_objects[reference][0], str(part.quantity), str(part.amount), minor)
                for reference, (part, minor) in parts.items()
            )
    return found


def _note_line(issued: InvoiceLine, credited: CreditedLine, position: int) -> InvoiceLine:
    return InvoiceLine(
        invoice_id=0,
        position=position,
        label=issued.label,
        subscription_name=issued.subscription_name,
        charge_name=issued.charge_name,
        component=issued.component,
        group_values=issued.group_values,
        period_starts_on=issued.period_starts_on,
        period_ends_on=issued.period_ends_on,
        adjustment=issued.adjustment,
        quantity=credited.quantity,
        unit=issued.unit,
        unit_code=issued.unit_code,
        unit_price=issued.unit_price,
        vat_category=issued.vat_category,
        vat_rate=issued.vat_rate,
        amount=credited.amount,
        net_minor=credited.net_minor,
        object_count=len({share.reference for share in credited.shares}),
        credits_line_id=issued.id,
    )
