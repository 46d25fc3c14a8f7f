"""Contracts, and plans with their versions and a price simulator."""

import json
from typing import Any
from zoneinfo import ZoneInfo

from starlette.responses import Response

from billing import pricing
from billing.access import Permission
from billing.core.errors import NotFound
from console.asking import Ask, Page
from storage import browsing, catalogue, listing, subscribed
from storage.browsing import DocumentFilter

ROWS = 50
DOCUMENTS = 12
OPEN = 20


def show_list(ask: Ask) -> Response:
    """A page of contracts."""
    with ask.house.database.snapshot() as session:
        rows = browsing.contracts_of(
            session, ask.typed("customer"), search=ask.typed("search"), after=ask.typed("after"), limit=ROWS + 1
        )
    more, rows = len(rows) > ROWS, rows[:ROWS]
    next_page = ask.here(after=rows[-1].name) if more else None
    first_page = ask.here(after=None) if ask.typed("after") else None
    today = ask.now.date()
    return ask.page("contracts.html", rows=rows, next_page=next_page, first_page=first_page, today=today)


def show(ask: Ask) -> Response:
    """One contract: its subscriptions, objects, documents, and what is open."""
    name = ask.part("name")
    with ask.house.database.snapshot() as session:
        row = listing.contract(session, name)
        if row is None:
            raise NotFound(f"no contract is called {name!r}")
        taken = listing.subscriptions(session, row.contract.id or 0)
        documents = browsing.documents(session, DocumentFilter(contract=name), limit=DOCUMENTS)
        due = listing.open_schedules(session, row.contract.id or 0, limit=OPEN)
    return ask.page("contract.html", row=row, taken=taken, documents=documents, due=due)


def show_plans(ask: Ask) -> Response:
    """Every version of every plan, and who is on it."""
    with ask.house.database.snapshot() as session:
        rows = list(subscribed.counts(session))
    return ask.page("plans.html", rows=rows)


def show_plan(ask: Ask) -> Response:
    """The charges of a version, and what they come to for a usage that is typed."""
    name = ask.part("name")
    with ask.house.database.snapshot() as session:
        plan = catalogue.plans(session).get(name)
        latest = None if plan is None else catalogue.latest_version(session, plan.id or 0)
        if plan is None or latest is None:
            raise NotFound(f"no plan is called {name!r}")
        number = ask.whole("version", latest.version)
        version = browsing.plan_version(session, plan.id or 0, number)
        if version is None:
            raise NotFound(f"{name!r} has no version {number}")
        charges = catalogue.charges(session, [version.id or 0]).get(version.id or 0, [])
        seller = catalogue.seller(session)
    currency = ask.typed("currency") or (seller.currency if seller else "EUR")
    valued = {}
    if ask.typed("quantity"):
        quantity = pricing.parse_number(ask.typed("quantity"), "the usage")
        question = pricing.Question(quantity=quantity, zone=ZoneInfo("UTC"), currency=currency)
        for charge in charges:
            if charge.type in {"usage", "event"}:
                loaded = pricing.load_charge(json.dumps(charge.definition), charge.name)
                valued[charge.name] = pricing.price(loaded, question).as_json()
    return ask.page(
        "plan.html", name=name, version=version, latest=latest, charges=charges, valued=valued, currency=currency,
        written=written,
    )  # fmt: skip


def written(said: Any, indent: str = "") -> str:
    """What a charge says, in lines as in a catalogue file; what it leaves open is left out."""
    if isinstance(said, list):
        return "\n".join(f"{indent}- {written(each, indent + '  ').lstrip()}" for each in said)
    if not isinstance(said, dict):
        return f"{indent}{json.dumps(said) if isinstance(said, bool) else said}"
    lines = []
    for name, value in said.items():
        if isinstance(value, dict | list):
            lines += [f"{indent}{name}:", written(value, indent + "  ")] if value else []
        elif value is not None:
            lines.append(f"{indent}{name}: {written(value)}")
    return "\n".join(lines)


PAGES = (
    Page(path="/contracts", show=show_list, needs=Permission.READ_BILLING),
    Page(path="/contracts/{name:path}", show=show, needs=Permission.READ_BILLING),
    Page(path="/plans", show=show_plans, needs=Permission.READ_BILLING),
    Page(path="/plans/{name:path}", show=show_plan, needs=Permission.READ_BILLING),
)
