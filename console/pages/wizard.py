"""The activation wizard: object, customer, contract and subscription, start and term, a preview, and it is active.

The law: the steps are one form whose fields travel in the address; nothing is written before the last of them. What is
not registered yet is registered in the same transaction, and what waited for it is taken in after it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from sqlmodel import Session
from starlette.responses import Response

from billing import commands
from billing.access import Permission
from billing.activation import TERM_MONTHS
from billing.core.lifecycle import check_reference
from billing.preview import Preview, preview
from console.asking import Ask, Page
from console.languages import noted
from console.pages.commanding import asked_id, do, request_id
from console.refusing import Worded
from storage import browsing, items, listing, one_object
from storage import registry as stored
from storage.items import ItemRow
from storage.quarantine import Which
from storage.tables import InvoicingSchedule

FIELDS = ("reference", "kind", "contract", "subscription", "starts_on", "term_months", "renewal")
LIST_LIMIT = 200
MATCHES = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Planned:
    """What the activation would write: the contract item and its schedules."""

    item: ItemRow
    schedules: Sequence[InvoicingSchedule]
    charges: dict[int, str]


def show(ask: Ask, *, found: Preview[Planned] | None = None) -> Response:
    """The step that the fields lead to: the first that is not answered, or the one that is asked for."""
    reference, contract, subscription = (ask.typed(name) for name in ("reference", "contract", "subscription"))
    with ask.house.database.snapshot() as session:
        row = next(iter(stored.list_objects(session, references=[reference])), None) if reference else None
        contract = contract or (row.contract if row and row.contract else "")
        agreed = listing.contract(session, contract) if contract else None
        taken = listing.subscriptions(session, agreed.contract.id or 0) if agreed else []
        chosen = subscription or (row.subscription if row and row.subscription else "")
        chosen = chosen or (taken[0][0] if len(taken) == 1 else "")
        values: dict[str, Any] = {
            "row": row,
            "agreed": agreed,
            "taken": taken,
            "waiting": one_object.refused(session, reference, 1) if reference and row is None else [],
            "matches": browsing.ready(session, ask.typed("search"), limit=MATCHES) if not reference else [],
            "contracts": browsing.contracts_of(session, ask.typed("customer"), limit=LIST_LIMIT) if not agreed else [],
            "customers": browsing.customer_references(session, limit=LIST_LIMIT),
        }
    step = 1 if not reference else 2 if agreed is None or not chosen else 3
    step = 4 if found is not None else min(step, ask.whole("step", step) or 1)
    return ask.page(
        "wizard.html",
        **values,
        step=step,
        reference=reference,
        contract=contract,
        subscription=chosen,
        starts_on=ask.typed("starts_on") or ask.now.astimezone(ask.zone).date().isoformat(),
        term_months=ask.typed("term_months") or str(TERM_MONTHS),
        found=found,
        fields=FIELDS,
        request=request_id(),
    )


def _command(ask: Ask, session: Session) -> tuple[str, dict[str, Any]]:
    """The command that the fields ask for, and its body: an object that is not there is created active."""
    start = ask.day("starts_on")
    raw: dict[str, Any] = {"request_id": asked_id(ask), "term_months": ask.whole("term_months", TERM_MONTHS)}
    raw |= {name: ask.typed(name) for name in ("contract", "subscription", "renewal") if ask.typed(name)}
    raw |= {} if start is None else {"starts_on": start.isoformat()}
    if not ask.typed("new") and stored.find(session, [ask.typed("reference")]):
        return "activate", raw
    return "create", raw | {"kind": ask.typed("kind"), "activate": True}


def _preview(ask: Ask) -> Response:
    """The schedules and the first invoice that the activation would make; nothing is written."""
    contract = ask.typed("contract")
    if not contract:
        raise Worded(ask.say(noted("Choose a contract first.")))

    def planned(session: Session) -> Planned:
        command, raw = _command(ask, session)
        reference = check_reference(ask.typed("reference"))
        commands.run(session, command, reference, commands.validated(command, raw), ask.said(raw["request_id"]))
        row = stored.find(session, [ask.typed("reference")])[ask.typed("reference")]
        item = items.of_objects(session, [row.id])[-1]
        schedules = list(items.schedules(session, item.id))
        names = one_object.charge_names(session, schedules)
        for schedule in schedules:
            session.expunge(schedule)
        return Planned(item=item, schedules=schedules, charges=names)

    with ask.house.database.transaction() as session:
        found = preview(session, planned, contracts={contract}, now=ask.now, effective_on=ask.day("starts_on"))
        session.rollback()
    return show(ask, found=found)


def _activate(ask: Ask) -> Response:
    reference = ask.typed("reference")
    with ask.house.database.snapshot() as session:
        command, raw = _command(ask, session)
    do(ask, command, reference, raw)
    came = ask.house.services.replay(Which(object_reference=reference, reason="unknown_object"))
    notice = ask.say(noted("%(object)s is active."), object=reference)
    if came.done:
        notice += " " + ask.say(noted("Messages that waited for it and are in now: %(count)s."), count=came.done)
    return ask.go(f"/objects/{quote(reference, safe='')}", notice)


PAGES = (
    Page(
        path="/activate",
        show=show,
        needs=Permission.OBJECTS,
        actions={"preview": (Permission.OBJECTS, _preview), "activate": (Permission.OBJECTS, _activate)},
    ),
)
