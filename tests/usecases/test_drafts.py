"""Drafts that wait for approval: made anew at each close, frozen with their number, or voided."""

import json
import threading
from datetime import UTC, date, datetime
from fractions import Fraction

import pytest
from sqlalchemy import text
from sqlmodel import select

from billing.approving import approve, void
from billing.core.errors import NotFound, Refused
from billing.payments import all_balances
from billing.verify import differences, verify
from storage.database import Database
from storage.detail import explain
from storage.invoices import InvoiceDocument, invoice_document, list_invoices
from storage.tables import BillingMonth, BoundaryValue, DraftMonth, Invoice, InvoiceLine, InvoiceVat, LineShare
from tests.closing.fleet import FEE, USAGE, Fleet, rows_of
from tests.usecases.test_credit_notes import run

APRIL, MAY, JUNE = date(2022, 4, 30), date(2022, 5, 31), date(2022, 6, 30)
NOW = datetime(2022, 7, 10, tzinfo=UTC)
ASKED = {"approval": "required"}


@pytest.fixture
def fleet(database: Database) -> Fleet:
    it = Fleet(database, charges=(FEE, USAGE), terms=ASKED)
    it.activate("IOT_1")
    it.uses("IOT_1", 12, "2022-04-14T10:00:00Z")
    return it


def name(fleet: Fleet, month: str = "2022/04") -> str:
    return f"DRAFT/{month}/{fleet.ids['contract']}"


def approved(fleet: Fleet, draft: str, total: str | None = None) -> list[InvoiceDocument]:
    with fleet.database.transaction() as session:
        numbers = approve(session, draft, NOW, total=None if total is None else Fraction(total))
        return [invoice_document(session, number) for number in numbers]


def agree(database: Database) -> bool:
    with database.snapshot() as session:
        return differences(verify(session)) == []


def test_a_close_leaves_a_draft_without_a_number_and_the_later_months_wait(fleet: Fleet) -> None:
    report = fleet.close(JUNE)

    assert (report.months, report.invoices, report.failures) == (0, (), ())
    (draft,) = report.drafts
    assert (draft.number, draft.status, draft.gross_minor) == (name(fleet), "draft", 6000)
    with fleet.database.snapshot() as session:
        assert (rows_of(session, BillingMonth), list_invoices(session), all_balances(session, JUNE)) == (0, [], {})
        assert session.connection().execute(text("SELECT COUNT(*) FROM number_series")).scalar() == 0
        assert [line.line.net_minor for line in explain(session, draft.number)] == [1000, 1000, 3000]
    assert {schedule.status for schedule in fleet.schedules("IOT_1")} == {"planned"}
    assert agree(fleet.database)


def test_a_draft_is_valued_anew_at_each_close_until_it_is_approved(fleet: Fleet) -> None:
    fleet.close(APRIL)
    fleet.uses("IOT_1", 3, "2022-04-20T10:00:00Z")
    (second,) = fleet.close(APRIL).drafts
    fleet.uses("IOT_1", 1, "2022-04-21T10:00:00Z")

    (invoice,) = approved(fleet, second.number)

    assert (second.gross_minor, invoice.gross_minor, invoice.number) == (6900, 6900, "INV/2022/04/0001")
    with fleet.database.snapshot() as session:
        assert (rows_of(session, Invoice), rows_of(session, DraftMonth), rows_of(session, BillingMonth)) == (1, 0, 1)
        records = [
            (it.record.quantity, it.late)
            for line in explain(session, invoice.number)
            for share in line.shares
            for it in share.records
        ]
    assert records == [(Fraction(12), False), (Fraction(3), False), (Fraction(1), True)]
    assert agree(fleet.database)
    # What came after the draft was made is late usage of the next month.
    (may,) = fleet.close(MAY).drafts
    late = [(line.adjustment, line.net_minor) for line in may.lines if line.charge == "Usage"]
    assert late == [(True, 250)]
    assert len(approved(fleet, may.number)) == 1
    assert agree(fleet.database)


def test_a_dry_run_gives_the_draft_that_the_close_then_makes(fleet: Fleet) -> None:
    dry = fleet.close(MAY, dry_run=True)
    with fleet.database.snapshot() as session:
        assert rows_of(session, Invoice) == 0
    real = fleet.close(MAY)

    assert [(it.number, it.vat, it.gross_minor) for it in dry.drafts] == [
        (it.number, it.vat, it.gross_minor) for it in real.drafts
    ]


def test_a_month_with_nothing_on_it_needs_no_approval(database: Database) -> None:
    fleet = Fleet(database, terms=ASKED)
    fleet.activate("IOT_1")
    fleet.uses("IOT_1", 1, "2022-05-14T10:00:00Z")

    report = fleet.close(JUNE)

    assert (report.months, [it.number for it in report.drafts]) == (1, [name(fleet, "2022/05")])


def test_a_draft_is_not_approved_when_its_contract_changed_or_its_total_is_another(fleet: Fleet) -> None:
    fleet.close(APRIL)
    with pytest.raises(Refused, match=r"over 60\.00 EUR"):
        approved(fleet, name(fleet), "59.99")
    with fleet.database.transaction() as session:
        session.connection().execute(text("UPDATE contract SET revision = revision + 1"))
    with pytest.raises(Refused, match="close again"):
        approved(fleet, name(fleet))

    fleet.close(APRIL)
    assert len(approved(fleet, name(fleet), "60")) == 1


def test_what_was_issued_is_neither_approved_again_nor_voided(fleet: Fleet) -> None:
    fleet.close(APRIL)
    (invoice,) = approved(fleet, name(fleet))

    with fleet.database.transaction() as session:
        with pytest.raises(Refused, match="credited"):
            void(session, invoice.number, NOW)
        with pytest.raises(NotFound):
            approve(session, name(fleet), NOW)
    assert fleet.close(APRIL).drafts == ()


def test_what_was_on_a_voided_draft_goes_on_the_next_one(fleet: Fleet) -> None:
    fleet.close(APRIL)
    with fleet.database.transaction() as session:
        void(session, name(fleet), NOW)

    with fleet.database.snapshot() as session:
        left = [rows_of(session, table) for table in (Invoice, InvoiceLine, InvoiceVat, LineShare, DraftMonth)]
        assert (left, rows_of(session, BillingMonth)) == ([0] * 5, 1)
    assert agree(fleet.database)
    (may,) = fleet.close(MAY).drafts
    # Fees of April, May and June, and the usage of April.
    assert (may.number, may.net_minor) == (name(fleet, "2022/05"), 6000)
    assert not any(line.adjustment for line in may.lines)


def test_an_adjustment_on_a_voided_draft_is_not_lost(fleet: Fleet) -> None:
    fleet.close(APRIL)
    approved(fleet, name(fleet))
    fleet.uses("IOT_1", 2, "2022-04-20T10:00:00Z")
    fleet.close(MAY)
    with fleet.database.transaction() as session:
        void(session, name(fleet, "2022/05"), NOW)
    assert agree(fleet.database)

    (june,) = fleet.close(JUNE).drafts

    assert [line.net_minor for line in june.lines if line.adjustment] == [500]
    approved(fleet, june.number)
    assert agree(fleet.database)


def test_registers_keep_what_they_stood_at_when_the_draft_was_made(database: Database) -> None:
    fleet = Fleet(database, kind="cumulative", terms=ASKED)
    fleet.activate("METER")
    for reading, at in ((100, "2022-04-03"), (130, "2022-04-28")):
        fleet.uses("METER", reading, f"{at}T10:00:00Z")
    fleet.close(APRIL)
    with database.snapshot() as session:
        assert rows_of(session, BoundaryValue) == 0
    fleet.uses("METER", 140, "2022-04-29T10:00:00Z")

    (april,) = approved(fleet, name(fleet))
    (may,) = fleet.close(MAY).drafts

    assert (april.lines[0].quantity, may.lines[0].quantity) == (Fraction(30), Fraction(10))
    approved(fleet, may.number)
    assert agree(database)


def test_a_contract_that_no_longer_asks_for_approval_is_issued_by_the_next_close(fleet: Fleet) -> None:
    fleet.close(APRIL)
    with fleet.database.transaction() as session:
        session.connection().execute(text("UPDATE contract SET approval = 'none'"))

    report = fleet.close(MAY)

    assert [it.number for it in report.invoices] == ["INV/2022/04/0001", "INV/2022/05/0001"]
    with fleet.database.snapshot() as session:
        assert (rows_of(session, Invoice), rows_of(session, DraftMonth)) == (2, 0)


def test_an_approval_that_is_cut_off_leaves_the_draft_whole(fleet: Fleet) -> None:
    fleet.close(APRIL)
    with fleet.database.transaction() as session:
        approve(session, name(fleet), NOW)
        session.rollback()

    assert agree(fleet.database)
    (invoice,) = approved(fleet, name(fleet))
    assert invoice.number == "INV/2022/04/0001"


def test_approving_while_a_close_runs_issues_the_month_once(fleet: Fleet) -> None:
    fleet.close(APRIL)
    together = threading.Barrier(3)
    refused: list[str] = []

    def ask() -> None:
        together.wait()
        try:
            approved(fleet, name(fleet))
        except (Refused, NotFound) as error:
            refused.append(error.message)

    def close() -> None:
        together.wait()
        assert fleet.close(APRIL).failures == ()

    work = [threading.Thread(target=task) for task in (ask, ask, close)]
    for each in work:
        each.start()
    for each in work:
        each.join()

    with fleet.database.snapshot() as session:
        waiting = session.exec(select(DraftMonth)).all()
        numbers = [it.number for it in list_invoices(session)]
    if waiting:  # the close made the draft anew before any of the two
        assert (numbers, len(refused)) == ([], 2)
    else:
        assert (numbers, len(refused)) == (["INV/2022/04/0001"], 1)
    assert agree(fleet.database)


def test_the_commands_list_show_approve_and_void(
    fleet: Fleet, database_url: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("METERGATE_DATABASE_URL", database_url)
    monkeypatch.setenv("METERGATE_CLOCK", "virtual:2022-07-10T00:00:00Z")
    draft = name(fleet)

    closed = json.loads(run(["close", "--until", "2022-05-31", "--json"], capsys)[1])
    assert (closed["invoices"], [it["number"] for it in closed["drafts"]]) == ([], [draft])
    assert "wait for approval" in run(["close", "--until", "2022-05-31"], capsys)[1]
    assert json.loads(run(["invoices", "drafts", "--json"], capsys)[1]) == closed["drafts"]
    assert "a draft that waits for approval" in run(["invoices", "show", draft], capsys)[1]
    dry = json.loads(run(["invoices", "approve", draft, "--dry-run", "--json"], capsys)[1])
    real = json.loads(run(["invoices", "approve", draft, "--total", "60.00", "--json"], capsys)[1])
    assert (dry["invoices"], real["invoices"][0]["number"]) == (real["invoices"], "INV/2022/04/0001")
    run(["close", "--until", "2022-05-31"], capsys)
    assert run(["invoices", "void", name(fleet, "2022/05"), "--dry-run"], capsys)[0] == 0
    assert run(["invoices", "void", name(fleet, "2022/05")], capsys)[0] == 0
    assert run(["invoices", "void", name(fleet, "2022/05")], capsys)[0] == 1
    assert "No draft waits" in run(["invoices", "drafts"], capsys)[1]
