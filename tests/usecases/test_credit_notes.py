"""Credit notes by hand: whole, by line, by amount; gestures, which no close bills again, and cancellations."""

import json
import threading
from collections.abc import Sequence
from datetime import UTC, date, datetime
from fractions import Fraction
from typing import Any

import pytest
from sqlmodel import select

from billing.core.errors import Conflict, Invalid, NotFound, Refused
from billing.crediting import Credit, credit
from billing.payments import balance_of, record_payment
from billing.verify import differences, verify
from gateway.cli.main import main
from storage.database import Database
from storage.detail import explain
from storage.invoices import InvoiceDocument, invoice_document
from storage.tables import Invoice, InvoiceLine, LineShare, NumberSeries
from tests.closing.fleet import FEE, USAGE, Fleet, rows_of
from tests.usecases.changing import World, contract, fee, per_unit, plans

APRIL, MAY, JUNE = date(2022, 4, 30), date(2022, 5, 31), date(2022, 6, 30)
NOW = datetime(2022, 5, 10, tzinfo=UTC)
INVOICE = "INV/2022/04/0001"
NOTE = "CN/2022/05/0001"


@pytest.fixture
def fleet(database: Database) -> Fleet:
    """Two objects with usage over 30.00 and 7.50, closed: 45.00 with 20 % VAT."""
    it = Fleet(database)
    for reference, quantity in (("IOT_1", 12), ("IOT_2", 3)):
        it.activate(reference)
        it.uses(reference, quantity, "2022-04-14T10:00:00Z")
    it.close(APRIL)
    return it


def credited(fleet: Fleet, number: str = INVOICE, *, now: datetime = NOW, **asked: Any) -> InvoiceDocument:
    with fleet.database.transaction() as session:
        note = credit(session, number, Credit(**{"reason": "bad reception", **asked}), now)
        return invoice_document(session, note)


def agree(database: Database) -> bool:
    with database.snapshot() as session:
        return differences(verify(session)) == []


def totals(document: InvoiceDocument) -> tuple[int, int, int]:
    return document.net_minor, document.vat_minor, document.gross_minor


def test_a_whole_credit_note_and_its_invoice_add_up_to_zero(fleet: Fleet) -> None:
    note = credited(fleet)

    assert (note.number, note.kind, note.purpose, note.reason) == (NOTE, "credit_note", "gesture", "bad reception")
    assert (note.corrects, note.issued_on, note.due_on) == ((INVOICE,), date(2022, 5, 10), date(2022, 5, 10))
    assert totals(note) == (3750, 750, 4500)
    with fleet.database.snapshot() as session:
        shares = [it.detail.share_minor for line in explain(session, NOTE) for it in line.shares]
        assert (note.buyer, shares) == (invoice_document(session, INVOICE).buyer, [3000, 750])
    assert agree(fleet.database)


@pytest.mark.parametrize(
    "asked, expected",
    [
        ({"amount": Fraction(10)}, (1000, 200, 1200)),
        ({"percent": Fraction(10)}, (375, 75, 450)),
        ({"lines": (1,), "amount": Fraction("0.02")}, (2, 0, 2)),
    ],
)
def test_a_part_is_credited_of_an_amount_or_a_percentage(
    fleet: Fleet, asked: dict[str, Any], expected: tuple[int, int, int]
) -> None:
    assert totals(credited(fleet, **asked)) == expected
    assert agree(fleet.database)


def test_the_last_of_several_credit_notes_takes_the_vat_that_is_left(fleet: Fleet) -> None:
    # 20 % of 0.02 is nothing, each time; the last takes what the others left.
    for _ in range(3):
        credited(fleet, amount=Fraction("0.02"))

    rest = credited(fleet)

    assert totals(rest) == (3744, 750, 4494)
    with pytest.raises(Refused, match="nothing is left"):
        credited(fleet)
    assert agree(fleet.database)


def test_a_gesture_is_not_billed_again_when_the_period_changes(fleet: Fleet) -> None:
    credited(fleet, amount=Fraction(10))
    fleet.uses("IOT_1", 2, "2022-04-20T10:00:00Z")

    (invoice,) = fleet.close(MAY).invoices

    assert totals(invoice) == (500, 100, 600)
    assert fleet.close(JUNE).invoices == ()
    assert agree(fleet.database)


@pytest.mark.parametrize(
    "percent, reversed_units, kind, taken_back, named",
    [
        # 30.00 charged, 9.00 given: 21.00 can still be taken back, whatever the usage falls to.
        (30, -12, "credit_note", 2100, ["Credited before"]),
        (30, -8, "credit_note", 2000, []),
        (100, -12, "invoice", 0, ["Credited before"]),
    ],
)
def test_a_correction_takes_back_no_more_than_a_gesture_has_left(
    database: Database, percent: int, reversed_units: int, kind: str, taken_back: int, named: list[str]
) -> None:
    fleet = Fleet(database)
    fleet.activate("IOT_1")
    fleet.uses("IOT_1", 12, "2022-04-14T10:00:00Z")
    fleet.close(APRIL)
    credited(fleet, percent=Fraction(percent))
    fleet.uses("IOT_1", reversed_units, "2022-04-20T10:00:00Z")

    dry, real = fleet.close(MAY, dry_run=True), fleet.close(MAY)

    assert [it.net_minor for it in real.invoices] == [it.net_minor for it in dry.invoices]
    assert [(it.kind, it.net_minor) for it in real.invoices] == [(kind, taken_back)]
    assert [it.component for note in real.invoices for it in note.lines if it.component != "Units"] == named
    assert agree(database)
    # What is used again is charged from what it was worth, less what was given.
    fleet.uses("IOT_1", -reversed_units, "2022-04-21T10:00:00Z")
    assert sum(it.net_minor for it in fleet.close(JUNE).invoices) == taken_back
    assert agree(database)


def test_a_gesture_gives_back_what_a_correction_left_exactly_not_its_cents(database: Database) -> None:
    here = World(database, plans(P=[per_unit("0.1237")]) + "contracts:\n" + contract("C", "P"))
    here.active("P", date(2022, 4, 1))
    here.uses(10, "2022-04-14T10:00:00+00:00")
    assert [line[3] for line in here.bills(APRIL)] == [124]
    here.uses(-3, "2022-04-20T10:00:00+00:00")
    assert [line[3] for line in here.bills(MAY)] == [-37]
    # 0.8659 is left, 0.87 in cents: it is all given back, and nothing beyond it.
    with database.transaction() as session:
        note = credit(session, INVOICE, Credit(reason="all of it"), datetime(2022, 6, 10, tzinfo=UTC))
        assert invoice_document(session, note).net_minor == 87
    here.verified()
    assert here.bills(JUNE) == []


def test_a_gesture_of_whole_cents_for_a_fraction_of_one_leaves_nothing_to_charge(database: Database) -> None:
    here = World(database, plans(P=[per_unit("0.0096")]) + "contracts:\n" + contract("C", "P"))
    for reference in ("IOT_1", "IOT_2"):
        here.active("P", date(2022, 4, 1), reference)
        here.uses(1, "2022-04-14T10:00:00+00:00", reference)
    assert [line[3] for line in here.bills(APRIL)] == [2]
    # 0.0192 are two cents, one for each object: half of them is a cent for the first, which was charged 0.0096.
    with database.transaction() as session:
        note = credit(session, INVOICE, Credit(reason="half", percent=Fraction(50)), datetime(2022, 5, 10, tzinfo=UTC))
        assert invoice_document(session, note).net_minor == 1
    here.verified()
    here.uses(1, "2022-04-20T10:00:00+00:00")
    assert [line[3] for line in here.bills(MAY)] == [1]
    here.verified()


def test_a_gesture_on_what_a_close_took_back_is_no_charge(database: Database) -> None:
    here = World(database, plans(P=[fee("30")]) + "contracts:\n" + contract("C", "P"))
    here.active("P", date(2022, 4, 1))
    here.close(APRIL)
    here.do("terminate", date(2022, 5, 10), on=date(2022, 4, 30))
    here.active("P", date(2022, 5, 1), "IOT_2")
    here.close(MAY)
    # May of the first object is taken back by a line of -30.00, on an invoice with two months of the second.
    with database.transaction() as session:
        credit(
            session, "INV/2022/05/0001", Credit(reason="half", percent=Fraction(50)), datetime(2022, 6, 10, tzinfo=UTC)
        )
    here.verified()


def test_what_a_cancellation_credits_is_charged_anew_by_the_next_close(fleet: Fleet) -> None:
    fleet.uses("IOT_1", 2, "2022-04-20T10:00:00Z")

    note = credited(fleet, rebill=True)
    assert (note.purpose, totals(note)) == ("cancellation", (3750, 750, 4500))
    assert agree(fleet.database)
    (invoice,) = fleet.close(MAY).invoices

    assert (totals(invoice), invoice.lines[0].quantity) == ((4250, 850, 5100), Fraction(17))
    assert fleet.close(JUNE).invoices == ()
    assert agree(fleet.database)
    with pytest.raises(Refused, match="nothing is left"):
        credited(fleet, now=datetime(2022, 7, 1, tzinfo=UTC))


def test_a_part_that_is_cancelled_is_charged_anew_to_the_cent(database: Database) -> None:
    fleet = Fleet(database, charges=({**FEE, "amount": "10.333"},))
    for number in range(3):
        fleet.activate(f"IOT_{number}", starts_on=date(2022, 4, 11))
    fleet.close(APRIL)

    note = credited(fleet, rebill=True, percent=Fraction("33.3"))
    (invoice,) = fleet.close(MAY).invoices

    anew = sum(line.net_minor for line in invoice.lines if line.adjustment)
    assert (note.net_minor, anew) == (1720, 1720)
    assert agree(database)


def test_what_the_close_took_back_already_is_not_credited_by_hand_too(fleet: Fleet) -> None:
    fleet.uses("IOT_1", -8, "2022-04-20T10:00:00Z")
    (automatic,) = fleet.close(MAY).invoices

    note = credited(fleet)

    assert (automatic.kind, automatic.net_minor, note.net_minor) == ("credit_note", 2000, 1750)
    assert agree(fleet.database)


def test_an_automatic_note_and_one_by_hand_in_one_month_have_one_series(fleet: Fleet) -> None:
    by_hand = credited(fleet, amount=Fraction(1))
    fleet.uses("IOT_1", -8, "2022-04-20T10:00:00Z")
    (automatic,) = fleet.close(MAY).invoices

    assert (by_hand.number, automatic.number) == ("CN/2022/05/0001", "CN/2022/05/0002")
    assert agree(fleet.database)


def test_the_same_reference_is_the_same_credit_note(fleet: Fleet) -> None:
    first = credited(fleet, amount=Fraction(1), reference="ticket-7")

    assert credited(fleet, amount=Fraction(1), reference="ticket-7") == first
    with pytest.raises(Conflict, match="ticket-7"):
        credited(fleet, amount=Fraction(1), reference="ticket-7", rebill=True)
    assert credited(fleet, amount=Fraction(1), reference="ticket-8").number == "CN/2022/05/0002"


@pytest.mark.parametrize(
    "number, asked, error",
    [
        ("INV/2022/04/0002", {}, NotFound),
        (NOTE, {}, Refused),
        (INVOICE, {"lines": (2,)}, Invalid),
        (INVOICE, {"amount": Fraction("37.51")}, Refused),
        (INVOICE, {"amount": Fraction("0.001")}, Invalid),
        (INVOICE, {"amount": Fraction(1), "percent": Fraction(1)}, Invalid),
        (INVOICE, {"reason": ""}, Invalid),
        (INVOICE, {"reference": "two\nlines"}, Invalid),
    ],
)
def test_what_cannot_be_credited_is_refused_and_leaves_nothing(
    fleet: Fleet, number: str, asked: dict[str, Any], error: type[Exception]
) -> None:
    credited(fleet, amount=Fraction("0.01"))
    with pytest.raises(error):
        credited(fleet, number, **asked)
    with fleet.database.snapshot() as session:
        assert rows_of(session, Invoice) == 2


def test_a_credit_note_is_set_against_its_invoice_and_what_is_paid_already_is_owed_back(fleet: Fleet) -> None:
    credited(fleet, percent=Fraction(20))
    with fleet.database.transaction() as session:
        assert balance_of(session, INVOICE, MAY).due_minor == 3600
        paid = record_payment(
            session, INVOICE, amount=Fraction(36), paid_on=MAY, reference="bank-1", now=NOW, origin="cli"
        )
    assert paid.state == "paid"
    note = credited(fleet, percent=Fraction(10))
    with fleet.database.snapshot() as session:
        assert balance_of(session, note.number, MAY).due_minor == 450


def test_two_at_once_never_credit_more_than_the_invoice(fleet: Fleet) -> None:
    outcomes: list[str] = []
    together = threading.Barrier(2)

    def ask() -> None:
        together.wait()
        try:
            outcomes.append(credited(fleet, amount=Fraction(20)).number)
        except Refused:
            outcomes.append("refused")

    askers = [threading.Thread(target=ask) for _ in range(2)]
    for asker in askers:
        asker.start()
    for asker in askers:
        asker.join()

    assert sorted(outcomes) == [NOTE, "refused"]
    assert agree(fleet.database)


def test_a_failure_before_the_commit_leaves_no_number_and_no_mark(fleet: Fleet) -> None:
    with fleet.database.transaction() as session:
        credit(session, INVOICE, Credit(reason="bad reception", rebill=True), NOW)
        session.rollback()

    with fleet.database.snapshot() as session:
        assert [row.name for row in session.exec(select(NumberSeries))] == ["INV/2022/04"]
    assert [schedule.revalue for schedule in fleet.schedules("IOT_1")[:1]] == [0]
    assert credited(fleet).number == NOTE


@pytest.mark.parametrize("table", [LineShare, InvoiceLine])
def test_more_credited_by_hand_in_the_database_is_found(fleet: Fleet, table: type[LineShare | InvoiceLine]) -> None:
    credited(fleet, amount=Fraction(10))
    with fleet.database.transaction() as session:
        for row in session.exec(select(table)):
            if isinstance(row, InvoiceLine) and row.credits_line_id is not None:
                row.net_minor += 2751
            elif isinstance(row, LineShare) and row.share_minor in {200, 800}:
                row.share_minor += 1
            session.add(row)
    assert not agree(fleet.database)


def run(arguments: Sequence[str], capsys: pytest.CaptureFixture[str]) -> tuple[int, str]:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    captured = capsys.readouterr()
    assert isinstance(ended.value.code, int)
    return ended.value.code, captured.out + captured.err


def test_the_dry_run_of_the_command_shows_what_the_command_then_issues(
    database: Database, database_url: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("METERGATE_DATABASE_URL", database_url)
    monkeypatch.setenv("METERGATE_CLOCK", "virtual:2022-05-10T00:00:00Z")
    fleet = Fleet(database, charges=(FEE, USAGE))
    fleet.activate("IOT_1")
    fleet.uses("IOT_1", 12, "2022-04-14T10:00:00Z")
    fleet.close(APRIL)
    command = ["invoices", "credit", INVOICE, "--lines", "3", "--percent", "50%", "--reason", "outage", "--json"]

    dry = run([*command, "--dry-run"], capsys)
    with database.snapshot() as session:
        assert rows_of(session, Invoice) == 1
    real = run(command, capsys)

    assert json.loads(dry[1]) == json.loads(real[1]) | {"dry_run": True}
    shown = json.loads(real[1])
    assert (shown["number"], shown["net"], shown["total"], shown["reason"]) == (NOTE, "15.00", "18.00", "outage")
    assert shown["lines"][0]["quantity"] == "6"
    assert run(["invoices", "credit", INVOICE, "--amount", "99", "--reason", "outage"], capsys)[0] == 1
    assert run(["invoices", "credit", INVOICE, "--lines", "a", "--reason", "outage"], capsys)[0] == 2
    text = run(["invoices", "show", NOTE], capsys)[1]
    assert f"corrects {INVOICE} (gesture): outage" in text
