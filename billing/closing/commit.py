"""Writing a planned month in one transaction, which checks first that nothing it was planned on has changed."""

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from operator import attrgetter

from sqlmodel import Session

from billing.advancing import take_advances
from billing.closing.incomplete import tell_incomplete
from billing.closing.plan import MonthPlan, PlannedContract, PlannedInvoice
from billing.core.linebook import Line
from billing.core.money import minor_digits
from billing.core.numbering import number, series
from billing.dating import first_open_day, issue_day
from storage import closing, drafts, due, issuing, measuring
from storage.pools import ObjectPart
from storage.tables import BillingMonth, DraftMonth, Invoice, InvoiceLine, InvoiceVat


def commit_plan(session: Session, plan: MonthPlan, now: datetime) -> tuple[str, ...] | None:
    """Write a planned month in the session's transaction; the numbers issued (none when nothing was due).

    Where the contracts ask for approval, the month stays open and the names of its drafts are returned. None, and
    nothing written, when a contract changed after it was planned.
    """
    contracts = [planned.contract for planned in plan.contracts]
    if not closing.unchanged(session, contracts):
        return None
    for contract in sorted(contracts, key=attrgetter("id")):
        # On SQLite this transaction is the only writer, elsewhere it holds the contracts: no other was in between.
        claimed = closing.claim(session, contract_id=contract.id, revision=contract.revision)
        assert claimed, f"{contract.name} changed while it was held"  # noqa: S101 - a broken invariant
    drafts.drop(session, [contract.id for contract in contracts], plan.month_starts_on)
    asked = bool(plan.invoices) and plan.lead.approval == "required"
    for planned in plan.contracts:
        if asked:
            drafts.keep(session, _waiting(plan, planned, now))
        else:
            _close(session, plan, planned, now)
    tell_incomplete(session, plan.incomplete, now)
    return tuple(_issue(session, plan, planned, place, now) for place, planned in enumerate(plan.invoices, start=1))


def _waiting(plan: MonthPlan, planned: PlannedContract, now: datetime) -> DraftMonth:
    return DraftMonth(
        contract_id=planned.contract.id,
        lead_id=plan.lead.id,
        month_starts_on=plan.month_starts_on,
        revision=planned.contract.revision + 1,
        usage_mark=plan.usage_mark,
        drafted_at=now,
        schedules=list(planned.schedules),
        boundaries=list(planned.boundaries),
        carried=list(planned.carried),
    )


def _close(session: Session, plan: MonthPlan, planned: PlannedContract, now: datetime) -> None:
    month = BillingMonth(
        contract_id=planned.contract.id,
        month_starts_on=plan.month_starts_on,
        usage_mark=plan.usage_mark,
        closed_at=now,
    )
    closing.close_month(session, month)
    measuring.store_boundaries(session, planned.boundaries)
    due.update_schedules(session, planned.schedules)
    due.look_again(session, planned.carried)


def commit_early(session: Session, plan: MonthPlan, now: datetime, on: date) -> tuple[str, ...] | None:
    """Issue what passed a threshold, dated the local day `on`; its month stays open. None when the contract changed."""
    (planned,) = plan.contracts
    if not closing.claim(session, contract_id=planned.contract.id, revision=planned.contract.revision):
        return None
    due.update_schedules(session, planned.schedules)
    day = first_open_day(session, on)
    return tuple(_issue(session, plan, each, place, now, early_on=day) for place, each in enumerate(plan.invoices, 1))


def _issue(
    session: Session,
    plan: MonthPlan,
    planned: PlannedInvoice,
    place: int,
    now: datetime,
    *,
    early_on: date | None = None,
) -> str:
    contract, customer, seller = issuing.parties(session, plan.lead.id)
    issued_on, draft = early_on or issue_day(session, contract, plan.month_ends_on, now), planned.draft
    invoice = Invoice(
        kind=draft.kind,
        purpose="period" if early_on is None else "threshold",
        status="draft",
        contract_id=plan.lead.id,
        part=planned.part,
        part_attribute=plan.lead.invoicing.removeprefix("attribute:") if planned.part else "",
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
        corrects=list(planned.corrects),
        incomplete=list(planned.incomplete),
        issued_at=now,
        usage_mark=None if early_on is None else plan.usage_mark,
    )
    lines = [
        (_invoice_line(line, place + 1, planned.object_shares.get(place, ())), line.shares.rows())
        for place, line in enumerate(draft.lines)
    ]
    vat = [
        InvoiceVat(
            invoice_id=0,
            category=total.category,
            rate=total.rate,
            base_minor=total.base_minor,
            vat_minor=total.vat_minor,
            exemption_reason=None if total.exemption is None else total.exemption.reason,
            exemption_code=None if total.exemption is None else total.exemption.code,
        )
        for total in draft.vat
    ]
    waits = plan.lead.approval == "required"
    if waits:
        which = f"/{place}" if place > 1 else ""
        invoice.draft_name = f"DRAFT/{plan.month_starts_on:%Y/%m}/{plan.lead.id}{which}"
    name = series(draft.kind, issued_on)
    issued = issuing.issue(
        session,
        invoice,
        lines,
        vat,
        None if waits else lambda: number(name, issuing.next_number(session, name)),
        object_shares=planned.object_shares,
        coupon_uses=planned.coupon_uses,
    )
    if not waits:
        take_advances(session, invoice, [each.contract.id for each in plan.contracts], now)
    return issued


def _invoice_line(line: Line, position: int, of_objects: Sequence[ObjectPart]) -> InvoiceLine:
    # A pool's own share has no object; its objects are counted instead, and it counts for one where it has none.
    objects = line.shares.references() - ({""} if of_objects else set())
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
        object_count=len(objects) + len({row[1] for row in of_objects}),
    )


def _label(line: Line) -> str:
    if not line.shares:
        return f"Coupon {line.charge}"
    parts = [line.subscription, line.charge]
    if line.component not in {line.charge, "Fee", "Flat", "Rule", "Units", "Usage"}:
        parts.append(line.component)
    parts.extend(value for _, value in line.group if value)
    return " / ".join(parts) + (" (adjustment)" if line.adjustment else "")
