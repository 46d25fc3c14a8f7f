"""The fleet: searched, filtered, paged."""

from starlette.responses import Response

from billing.access import Permission
from console.asking import Ask, Page
from storage import browsing
from storage.browsing import FleetFilter
from storage.tables import OBJECT_STATUSES

ROWS = 50
NAMES_LIMIT = 200
"""Contracts and customers that a filter offers; others are typed."""


def _filter(ask: Ask) -> FleetFilter:
    return FleetFilter(
        search=ask.typed("search"),
        status=ask.typed("status"),
        contract=ask.typed("contract"),
        customer=ask.typed("customer"),
        kind=ask.typed("kind"),
    )


def show(ask: Ask) -> Response:
    """A page of the fleet."""
    wanted = _filter(ask)
    with ask.house.database.snapshot() as session:
        rows = browsing.fleet(session, wanted, after=ask.typed("after"), limit=ROWS + 1)
        contracts = browsing.contract_names(session, limit=NAMES_LIMIT)
        customers = browsing.customer_references(session, limit=NAMES_LIMIT)
    more = len(rows) > ROWS
    rows = rows[:ROWS]
    return ask.page(
        "fleet.html",
        rows=rows,
        wanted=wanted,
        statuses=OBJECT_STATUSES,
        contracts=contracts,
        customers=customers,
        next_page=ask.here(after=rows[-1].reference) if more else None,
        first_page=ask.here(after=None) if ask.typed("after") else None,
    )


PAGES = (Page(path="/fleet", show=show, needs=Permission.READ_FLEET),)
