"""kill -9 of a close before any of its statements and commits: the next close issues what an undisturbed one does."""

import itertools
from dataclasses import replace
from datetime import date
from typing import Any

import pytest
from sqlmodel import col, select

from billing.verify import differences, verify
from storage.database import Database
from storage.invoices import invoice_document, list_invoices
from storage.tables import BillingMonth, InvoicingSchedule, NumberSeries
from tests.closing.fleet import FEE, MUCH_LATER, USAGE, Fleet
from tests.copies import copy_of
from tests.faults.close_process import close_watched, killed

UNTIL = date(2022, 5, 31)
KILLED = -9
THINNED = 5
"""Of the steps of joint invoices, of which there are many of a kind, one in so many."""


@pytest.fixture
def prepared(database_url: str) -> str:
    """Two contracts with a fee and usage, April closed for one, late usage in it, and May to close for both."""
    database = Database(database_url)
    database.migrate()
    one = Fleet(database, charges=(FEE, USAGE))
    one.activate("IOT_1")
    one.activate("IOT_2")
    one.uses("IOT_1", 12, "2022-04-14T10:00:00Z")
    one.close(date(2022, 4, 30))
    two = Fleet(database, charges=(FEE, USAGE), contract="Another Contract")
    two.activate("IOT_3")
    one.uses("IOT_2", 5, "2022-04-20T10:00:00Z")
    for reference, fleet in (("IOT_1", one), ("IOT_2", one), ("IOT_3", two)):
        fleet.uses(reference, 7, "2022-05-14T10:00:00Z")
    database.dispose()
    return database_url


def books(url: str) -> dict[str, Any]:
    """All that a close leaves behind, without the keys that a rollback may skip; every check of `verify` holds."""
    database = Database(url)
    with database.snapshot() as session:
        assert differences(verify(session)) == []
        documents = [invoice_document(session, it.number) for it in list_invoices(session)]
        months = session.exec(select(BillingMonth))
        series = session.exec(select(NumberSeries))
        schedules = session.exec(select(InvoicingSchedule).order_by(col(InvoicingSchedule.id)))
        found = {
            "documents": [replace(it, lines=tuple(replace(line, id=0) for line in it.lines)) for it in documents],
            "months": sorted((it.contract_id, it.month_starts_on, it.usage_mark) for it in months),
            "series": sorted((it.name, it.last_number) for it in series),
            "schedules": [(it.id, it.status, it.quantity, it.amount, it.revalue) for it in schedules],
        }
    database.dispose()
    return found


def steps_of(url: str) -> list[str]:
    steps: list[str] = []
    close_watched(url, UNTIL, MUCH_LATER, steps.append)
    return [" ".join(step.split()) for step in steps]


WRITES = "INSERT", "UPDATE", "DELETE", "WITH", "COPY"


def chosen(steps: list[str], *, every: bool) -> list[int]:
    """Every step that writes, or of each kind of them the first and the last; and every commit.

    What only reads leaves nothing behind: a death before it is one before the write that follows. A PostgreSQL database
    is slow to copy.
    """
    writing = [place for place, step in enumerate(steps) if step.startswith(WRITES)]
    commits = [place for place, step in enumerate(steps) if step == "COMMIT"]
    if every:
        return sorted({0, *writing, *commits})
    places: dict[str, list[int]] = {}
    for place in writing:
        places.setdefault(steps[place], []).append(place)
    return sorted({*commits, *itertools.chain.from_iterable((them[0], them[-1]) for them in places.values())})


def test_a_close_killed_before_any_write_is_completed_by_the_next(prepared: str) -> None:
    with copy_of(prepared) as url:
        steps = steps_of(url)
        undisturbed = books(url)
    assert len(undisturbed["documents"]) == 4
    assert any("number_series" in step for step in steps), "the numbering is among the steps"
    assert prepared.startswith("sqlite") or any(step.startswith("COPY") for step in steps), "what goes past SQLAlchemy"
    assert steps.count("COMMIT") >= 3, "a transaction for each invoice"

    for step in chosen(steps, every=prepared.startswith("sqlite")):
        with copy_of(prepared) as url:
            assert killed(url, UNTIL, MUCH_LATER, step) == KILLED
            close_watched(url, UNTIL, MUCH_LATER, lambda _statement: None)
            assert books(url) == undisturbed, f"killed before step {step}: {steps[step][:80]}"


def test_a_close_killed_between_joint_invoices_and_drafts_is_completed_by_the_next(sqlite_url: str) -> None:
    database = Database(sqlite_url)
    database.migrate()
    for name, terms in (
        ("A", {"invoicing": "customer"}),
        ("B", {"invoicing": "customer"}),
        ("C", {"invoicing": "attribute:site", "approval": "required"}),
    ):
        fleet = Fleet(database, contract=name, terms=terms)
        for site in ("Lyon", "Nice"):
            fleet.activate(f"{name}_{site}", attributes={"site": site})
            fleet.uses(f"{name}_{site}", 12, "2022-04-14T10:00:00Z")
    database.dispose()
    with copy_of(sqlite_url) as url:
        steps = steps_of(url)
        undisturbed = books(url), drafts_of(url)
    assert [len(undisturbed[0]["documents"]), len(undisturbed[1])] == [1, 2]

    for step in chosen(steps, every=True)[::THINNED]:
        with copy_of(sqlite_url) as url:
            assert killed(url, UNTIL, MUCH_LATER, step) == KILLED
            close_watched(url, UNTIL, MUCH_LATER, lambda _statement: None)
            assert (books(url), drafts_of(url)) == undisturbed, f"killed before step {step}: {steps[step][:80]}"


def drafts_of(url: str) -> list[tuple[str, tuple[str, str], int]]:
    database = Database(url)
    with database.snapshot() as session:
        found = [(it.number, it.part, it.gross_minor) for it in list_invoices(session, status="draft")]
    database.dispose()
    return found
