"""A gateway that was away for three months issues, at its first tick, what it missed: in order, and once."""

from datetime import UTC, date, datetime

from config.clock import VirtualClock
from config.settings import Settings
from gateway.app import Gateway
from storage import invoices
from storage.database import Database
from tests.closing.fleet import Fleet

MISSED = ["INV/2022/04/0001", "INV/2022/05/0001", "INV/2022/06/0001"]


def test_three_months_are_caught_up_by_one_tick(database: Database) -> None:
    fleet = Fleet(database)
    fleet.activate("IOT_NS542")
    for month, quantity in ((4, 12), (5, 3), (6, 7)):
        fleet.uses("IOT_NS542", quantity, f"2022-{month:02}-14T10:00:00+02:00")
    clock = VirtualClock(datetime(2022, 4, 1, 6, tzinfo=UTC))
    gateway = Gateway(database, clock, Settings())
    gateway._close()
    assert _issued(database) == []

    clock.set(datetime(2022, 7, 5, 6, tzinfo=UTC))
    gateway._close()
    found = _issued(database)
    assert [it.number for it in found] == MISSED
    assert [it.net_minor for it in found] == [3000, 750, 1750]
    with database.snapshot() as session:
        documents = [invoices.invoice_document(session, number) for number in MISSED]
    lines = [line for document in documents for line in document.lines]
    assert [line.id for line in lines] == sorted(line.id for line in lines)
    periods = [(line.period_starts_on, line.period_ends_on) for line in lines]
    assert periods == [(date(2022, month, 1), date(2022, month + 1, 1)) for month in (4, 5, 6)]
    assert [it.status for it in fleet.schedules("IOT_NS542")] == ["invoiced"] * 3 + ["planned"] * 9

    gateway._close()
    assert _issued(database) == found


def _issued(database: Database) -> list[invoices.InvoiceSummary]:
    with database.snapshot() as session:
        return invoices.list_invoices(session)
