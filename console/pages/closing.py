"""The close: a day, the dry run by customer, the run with its progress, the report."""

from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Any

from starlette.responses import Response

from billing import close as closing
from billing.access import Permission
from billing.close import CloseReport
from billing.core.errors import NotFound
from billing.core.periods import DAY
from console.asking import Ask, Page
from console.languages import noted
from console.refusing import Worded
from storage import browsing, close_runs
from storage.invoices import InvoiceDocument

RUNS = 20
DUE_SHOWN = 50


def show(ask: Ask, *, report: CloseReport | None = None) -> Response:
    """What is due, what was closed from here, and a form."""
    today = ask.now.astimezone(ask.zone).date()
    with ask.house.database.snapshot() as session:
        runs = close_runs.newest(session, before=None, limit=RUNS)
        due = browsing.due_contracts(session, limit=DUE_SHOWN)
    return ask.page(
        "close.html",
        until=ask.typed("until") or (today.replace(day=1) - DAY).isoformat(),
        runs=[(run, close_runs.status_of(run, ask.now)) for run in runs],
        due=due,
        today=today,
        report=report,
        customers=[] if report is None else by_customer([*report.invoices, *report.drafts]),
    )


def by_customer(documents: Sequence[InvoiceDocument]) -> list[tuple[str, list[InvoiceDocument]]]:
    """The documents of each customer, in the order of their names."""

    def name(document: InvoiceDocument) -> str:
        return str(document.buyer.get("name") or document.buyer.get("reference") or "")

    return [(customer, list(group)) for customer, group in groupby(sorted(documents, key=name), key=name)]


def _dry_run(ask: Ask) -> Response:
    until = ask.day("until")
    if until is None:
        raise Worded(ask.say(noted("Choose the day until which to close.")))
    return show(ask, report=closing.close(ask.house.database, until, ask.now, dry_run=True))


def _start(ask: Ask) -> Response:
    until = ask.day("until")
    if until is None or ask.person is None:
        raise Worded(ask.say(noted("Choose the day until which to close.")))
    return ask.go(f"/close/{ask.house.services.start_close(until, ask.person.principal.name)}")


def show_run(ask: Ask) -> Response:
    """How far a close is, asked again while it runs; then its report."""
    with ask.house.database.snapshot() as session:
        run = close_runs.find(session, int(ask.part("run")))
        if run is None:
            raise NotFound("no close has this id")
        months = close_runs.months_closed(session, run)
    report: Mapping[str, Any] = run.report or {}
    status = close_runs.status_of(run, ask.now)
    return ask.page("close_run.html", run=run, stands=status, months=months, report=report)


PAGES = (
    Page(
        path="/close",
        show=show,
        needs=Permission.READ_BILLING,
        actions={"dry_run": (Permission.CLOSE, _dry_run), "start": (Permission.CLOSE, _start)},
    ),
    Page(path="/close/{run:int}", show=show_run, needs=Permission.READ_BILLING),
)
