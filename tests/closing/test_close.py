"""Closing months: what is billed, once, and what a change of mind does afterwards."""

import gc
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime
from fractions import Fraction
from zoneinfo import ZoneInfo

import pytest
from sqlmodel import select

from billing.core.errors import Refused
from billing.core.periods import local_midnight
from storage import items
from storage.database import Database
from storage.detail import explain
from storage.invoices import InvoiceDocument, invoice_document, list_invoices
from storage.tables import BillingMonth, BoundaryValue, Charge, ContractItem, LineShare, NumberSeries
from tests.closing.fleet import FEE, USAGE, Fleet, rows_of

APRIL, MAY, JUNE = date(2022, 4, 30), date(2022, 5, 31), date(2022, 6, 30)


def totals(document: InvoiceDocument) -> tuple[int, int, int]:
    return document.net_minor, document.vat_minor, document.gross_minor


@pytest.fixture
def fleet(database: Database) -> Fleet:
    it = Fleet(database)
    it.activate("IOT_NS542")
    return it


def test_april_usage_is_charged_on_the_first_invoice_of_april(fleet: Fleet) -> None:
    fleet.uses("IOT_NS542", 12, "2022-04-14T10:00:00Z")

    report = fleet.close(APRIL)

    assert (report.failures, report.months) == ((), 1)
    (invoice,) = report.invoices
    assert (invoice.number, invoice.kind, invoice.issued_on) == ("INV/2022/04/0001", "invoice", APRIL)
    assert totals(invoice) == (3000, 600, 3600)
    (line,) = invoice.lines
    assert (line.quantity, line.unit_price, line.net_minor, line.object_count) == (
        Fraction(12),
        Fraction(5, 2),
        3000,
        1,
    )
    april, may = fleet.schedules("IOT_NS542")[:2]
    assert (april.status, april.quantity, april.amount) == ("invoiced", Fraction(12), Fraction(30))
    assert may.status == "planned"


def test_closing_again_changes_nothing(fleet: Fleet) -> None:
    fleet.uses("IOT_NS542", 12, "2022-04-14T10:00:00Z")
    fleet.close(APRIL)

    again = fleet.close(APRIL)

    assert (again.months, again.invoices, again.failures) == (0, (), ())
    with fleet.database.snapshot() as session:
        assert len(list_invoices(session)) == rows_of(session, BillingMonth) == rows_of(session, LineShare) == 1


def test_late_usage_is_billed_with_its_own_service_period(fleet: Fleet) -> None:
    fleet.uses("IOT_NS542", 12, "2022-04-14T10:00:00Z")
    fleet.close(APRIL)
    fleet.uses("IOT_NS542", 3, "2022-04-20T10:00:00Z")

    (invoice,) = fleet.close(MAY).invoices

    assert (invoice.number, totals(invoice)) == ("INV/2022/05/0001", (750, 150, 900))
    (line,) = invoice.lines
    assert (line.adjustment, line.quantity, line.period_starts_on) == (True, Fraction(3), date(2022, 4, 1))
    april, may = fleet.schedules("IOT_NS542")[:2]
    assert (april.status, april.quantity, may.status) == ("invoiced", Fraction(15), "settled")
    assert fleet.close(JUNE).invoices == ()


def test_usage_on_a_boundary_belongs_to_one_local_month(fleet: Fleet) -> None:
    fleet.uses("IOT_NS542", 1, "2022-03-31T21:59:59.999999Z")
    fleet.uses("IOT_NS542", 2, "2022-03-31T22:00:00Z")
    fleet.uses("IOT_NS542", 4, "2022-04-30T21:59:59.999999Z")
    fleet.uses("IOT_NS542", 8, "2022-04-30T22:00:00Z")

    fleet.close(MAY)

    assert [schedule.quantity for schedule in fleet.schedules("IOT_NS542")[:2]] == [6, 8]


def test_a_dry_run_gives_what_the_close_gives_and_writes_nothing(fleet: Fleet) -> None:
    fleet.uses("IOT_NS542", 12, "2022-04-14T10:00:00Z")
    fleet.uses("IOT_NS542", 5, "2022-06-02T10:00:00Z")

    dry = fleet.close(JUNE, dry_run=True)
    with fleet.database.snapshot() as session:
        assert rows_of(session, BillingMonth) == rows_of(session, NumberSeries) == 0
    real = fleet.close(JUNE)

    assert [(it.number, totals(it)) for it in dry.invoices] == [(it.number, totals(it)) for it in real.invoices]
    assert [it.number for it in real.invoices] == ["INV/2022/04/0001", "INV/2022/06/0001"]
    assert (dry.months, dry.failures) == (real.months, real.failures) == (3, ())


def test_a_day_that_has_not_ended_is_refused(fleet: Fleet) -> None:
    with pytest.raises(Refused, match="has not ended"):
        fleet.close(APRIL, now=datetime(2022, 4, 30, 21, 59, tzinfo=UTC))
    assert fleet.close(APRIL, now=datetime(2022, 4, 30, 22, 0, tzinfo=UTC)).months == 1


def test_a_contract_that_fails_leaves_the_others_closed(fleet: Fleet) -> None:
    other = Fleet(fleet.database, contract="Another Contract")
    other.activate("IOT_OTHER")
    fleet.uses("IOT_NS542", 12, "2022-04-14T10:00:00Z")
    with fleet.database.transaction() as session:
        charge = session.get_one(Charge, other.schedules("IOT_OTHER")[0].charge_id)
        charge.definition = {**charge.definition, "type": "magic"}
        session.add(charge)

    for dry_run in (True, False):
        report = fleet.close(MAY, dry_run=dry_run)

        (failure,) = report.failures
        assert (failure.contract, failure.month_starts_on) == ("Another Contract", date(2022, 4, 1))
        assert "magic" in failure.message
        assert ([it.number for it in report.invoices], report.months) == (["INV/2022/04/0001"], 2)


def test_aprils_invoice_carries_aprils_usage_and_the_fees_of_april_and_may(database: Database) -> None:
    fleet = Fleet(database, charges=(FEE, USAGE))
    fleet.activate("IOT_1", starts_on=date(2022, 4, 16))
    fleet.uses("IOT_1", 2, "2022-04-20T10:00:00Z")

    (invoice,) = fleet.close(APRIL).invoices

    fees = [(it.quantity, it.net_minor, it.unit_code) for it in invoice.lines if it.charge == "Subscription"]
    assert fees == [(Fraction(1, 2), 500, "MON"), (1, 1000, "MON")]
    assert totals(invoice) == (2000, 400, 2400)


def test_a_fee_taken_back_becomes_a_credit_note_that_names_its_invoice(database: Database) -> None:
    fleet = Fleet(database, charges=(FEE,))
    fleet.activate("IOT_1", ends_on=date(2022, 6, 1))
    fleet.close(APRIL)
    fleet.change("IOT_1", 1, status="cancelled", revalue=1)

    (note,) = fleet.close(MAY).invoices

    assert (note.kind, note.number, note.corrects) == ("credit_note", "CN/2022/05/0001", ("INV/2022/04/0001",))
    assert totals(note) == (1000, 200, 1200)
    assert fleet.schedules("IOT_1")[1].revalue == 0
    assert fleet.close(JUNE).invoices == ()


def test_a_register_bills_its_differences_and_never_a_drop(database: Database) -> None:
    fleet = Fleet(database, kind="cumulative")
    fleet.activate("METER")
    for reading, at in ((100, "2022-04-03"), (130, "2022-04-28"), (5, "2022-05-02"), (150, "2022-05-20")):
        fleet.uses("METER", reading, f"{at}T10:00:00Z")

    first = fleet.close(APRIL)
    fleet.uses("METER", 140, "2022-04-29T10:00:00Z")
    second = fleet.close(JUNE)

    assert [it.lines[0].quantity for it in (*first.invoices, *second.invoices)] == [30, 20]
    assert [it.quantity for it in fleet.schedules("METER")[:3]] == [30, 20, 0]
    with database.snapshot() as session:
        assert rows_of(session, BoundaryValue) == 4


def test_a_contract_grouped_by_site_has_a_line_a_site(database: Database) -> None:
    fleet = Fleet(database, grouping=("subscription", "charge", "attribute:site"))
    for place, site in enumerate(("Lyon", "Lyon", "Nice")):
        fleet.activate(f"IOT_{place}", attributes={"site": site})
        fleet.uses(f"IOT_{place}", 1, "2022-04-14T10:00:00Z")

    (invoice,) = fleet.close(APRIL).invoices

    assert [(it.group, it.object_count) for it in invoice.lines] == [({"site": "Lyon"}, 2), ({"site": "Nice"}, 1)]


def test_explain_walks_a_line_down_to_its_records(fleet: Fleet) -> None:
    fleet.uses("IOT_NS542", 5, "2022-04-14T10:00:00Z", "m-1")
    fleet.uses("IOT_NS542", 7, "2022-03-31T23:30:00Z", "m-0")
    fleet.uses("IOT_NS542", 9, "2022-03-31T21:30:00Z", "before")
    fleet.close(APRIL)

    with fleet.database.snapshot() as session:
        document = invoice_document(session, "INV/2022/04/0001")
        found = [
            (line.line, share.detail, [it.record for it in share.records])
            for line in explain(session, "INV/2022/04/0001")
            for share in line.shares
        ]

    ((line, share, records),) = found
    assert [(it.discriminator, it.quantity) for it in records] == [("m-0", Fraction(7)), ("m-1", Fraction(5))]
    assert share.share_minor == line.net_minor == document.net_minor == 3000


def test_two_closers_at_once_issue_each_invoice_once(fleet: Fleet) -> None:
    for place in range(5):
        other = Fleet(fleet.database, contract=f"Contract {place}")
        other.activate(f"IOT_{place}")
        other.uses(f"IOT_{place}", 1, "2022-04-14T10:00:00Z")

    with ThreadPoolExecutor(2) as closers:
        reports = [it.result() for it in [closers.submit(fleet.close, MAY) for _ in range(2)]]

    assert [failure for report in reports for failure in report.failures] == []
    assert sorted(it.number for report in reports for it in report.invoices) == [
        f"INV/2022/04/000{n}" for n in range(1, 6)
    ]
    assert fleet.close(MAY).months == 0


def test_a_credit_note_counts_in_the_next_difference(database: Database) -> None:
    fleet = Fleet(database, charges=(FEE,))
    fleet.activate("IOT_1", ends_on=date(2022, 6, 1))
    fleet.close(APRIL)
    fleet.change("IOT_1", 1, ends_on=date(2022, 5, 17), revalue=1)
    (note,) = fleet.close(MAY).invoices
    fleet.change("IOT_1", 1, ends_on=date(2022, 6, 1), revalue=1)

    (invoice,) = fleet.close(JUNE).invoices

    assert (note.kind, note.net_minor, note.lines[0].quantity) == ("credit_note", 484, Fraction(15, 31))
    assert (invoice.kind, invoice.net_minor, invoice.lines[0].adjustment) == ("invoice", 484, True)


def test_a_fee_charged_in_advance_is_credited_when_the_item_ends_before_its_period(database: Database) -> None:
    fleet = Fleet(database, charges=(FEE, USAGE))
    fleet.activate("IOT_1")
    fleet.uses("IOT_1", 1, "2022-04-14T10:00:00Z")
    fleet.close(APRIL)
    end_at = local_midnight(date(2022, 5, 1), ZoneInfo(fleet.zone))
    with database.transaction() as session:
        item = session.exec(select(ContractItem)).one()
        where = items.Cut(ends_on=date(2022, 5, 1), end_at=end_at, last_day=APRIL, status="terminated")
        items.cut(session, [item.id or 0], where)

    (note,) = fleet.close(MAY).invoices

    assert (note.kind, note.net_minor, note.corrects) == ("credit_note", 1000, ("INV/2022/04/0001",))
    assert fleet.close(JUNE).invoices == ()


def test_the_search_for_cycles_goes_on_after_a_close(database: Database) -> None:
    fleet = Fleet(database)
    fleet.activate("IOT_NS542")
    assert fleet.close(date(2022, 4, 30)).months == 1
    assert gc.isenabled()
