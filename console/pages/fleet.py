"""The fleet: searched, filtered, paged."""

from starlette.responses import Response

from billing.access import Permission
from console.asking import Act, Ask, Page
from console.languages import noted
from console.pages.commanding import asked_id, obey, request_id
from console.refusing import Worded
from storage import browsing
from storage.browsing import FleetFilter
from storage.tables import OBJECT_STATUSES

ROWS = 50
BULK = ("suspend", "resume", "terminate")
"""The commands that may be given to many objects at once."""
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
        bulk=BULK,
        request=request_id(),
        contracts=contracts,
        customers=customers,
        next_page=ask.here(after=rows[-1].reference) if more else None,
        first_page=ask.here(after=None) if ask.typed("after") else None,
    )


def _told(command: str) -> Act:
    """Gives a command to every ticked object, in one transaction: to all of them, or to none."""

    def act(ask: Ask) -> Response:
        references = ask.chosen("reference")
        if not references:
            raise Worded(ask.say(noted("Tick the objects that are meant.")))
        raw = {"request_id": asked_id(ask)} | ({"on": ask.typed("on")} if ask.typed("on") else {})
        with ask.house.database.transaction() as session:
            for reference in sorted(references):
                refusal = obey(ask, session, command, reference, raw)
                if refusal is not None:
                    raise refusal
        ask.house.wake()
        return ask.go(ask.here(), ask.say(noted("Done for %(count)s objects."), count=len(references)))

    return act


PAGES = (
    Page(
        path="/fleet",
        show=show,
        needs=Permission.READ_FLEET,
        actions={command: (Permission.OBJECTS, _told(command)) for command in BULK},
    ),
)
