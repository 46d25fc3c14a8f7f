"""The day that an invoice bears, locked months, and invoices that wait until they are worth sending."""

import json
from datetime import UTC, date, datetime
from fractions import Fraction
from itertools import count

import pytest

from billing.approving import approve
from billing.core.errors import Refused
from billing.crediting import Credit, credit
from billing.dating import lock_month, unlock_month
from billing.payments import balance_of
from billing.verify import differences, verify
from storage.database import Database
from storage.invoices import invoice_document
from tests.closing.fleet import Fleet
from tests.usecases.test_credit_notes import run

APRIL, MAY, JUNE, JULY = date(2022, 4, 30), date(2022, 5, 31), date(2022, 6, 30), date(2022, 7, 31)
NUMBERS = count()
LATER = datetime(2022, 7, 10, tzinfo=UTC)


def agree(database: Database) -> bool:
    with database.snapshot() as session:
        return differences(verify(session)) == []


def lock(database: Database, *months: int) -> None:
    with database.transaction() as session:
        for month in months:
            assert lock_month(session, date(2022, month, 1), LATER)


def used(fleet: Fleet, reference: str = "IOT_1", *, months: tuple[int, ...] = (4,), quantity: int = 2) -> Fleet:
    if reference not in fleet.ids:
        fleet.activate(reference)
    for month in months:
        fleet.uses(reference, quantity, f"2022-{month:02d}-14T10:00:00Z", f"{next(NUMBERS)}")
    return fleet


def test_an_invoice_may_bear_the_day_on_which_it_is_issued(database: Database) -> None:
    fleet = used(Fleet(database, terms={"dating": "issue_day"}), months=(4, 5))

    report = fleet.close(MAY, now=datetime(2022, 6, 30, 22, 30, tzinfo=UTC))

    assert [(it.number, it.issued_on, it.due_on) for it in report.invoices] == [
        ("INV/2022/07/0001", date(2022, 7, 1), date(2022, 7, 31)),
        ("INV/2022/07/0002", date(2022, 7, 1), date(2022, 7, 31)),
    ]
    assert agree(database)


def test_what_is_due_in_a_locked_month_takes_the_first_open_day(database: Database) -> None:
    fleet = used(Fleet(database), months=(4, 6))
    lock(database, 4, 5)

    dry, real = fleet.close(JUNE, dry_run=True), fleet.close(JUNE)

    assert [(it.number, it.issued_on) for it in real.invoices] == [
        ("INV/2022/06/0001", date(2022, 6, 1)),
        ("INV/2022/06/0002", date(2022, 6, 30)),
    ]
    assert [it.number for it in dry.invoices] == [it.number for it in real.invoices]
    assert agree(database)


def test_a_credit_note_and_an_approval_respect_locked_months(database: Database) -> None:
    fleet = used(Fleet(database, terms={"approval": "required"}))
    (draft,) = fleet.close(APRIL).drafts
    lock(database, 4)
    with database.transaction() as session:
        (number,) = approve(session, draft.number, LATER)
        invoice = invoice_document(session, number)
    lock(database, 5)
    with database.transaction() as session:
        note = credit(session, number, Credit(reason="outage"), datetime(2022, 5, 10, tzinfo=UTC))

    assert (number, invoice.due_on, note) == ("INV/2022/05/0001", date(2022, 5, 31), "CN/2022/06/0001")
    assert agree(database)


def test_only_a_month_that_has_ended_is_locked_and_it_can_be_opened_again(database: Database) -> None:
    with database.transaction() as session:
        with pytest.raises(Refused, match="has not ended"):
            lock_month(session, date(2022, 7, 1), LATER)
        assert lock_month(session, date(2022, 6, 1), LATER)
        assert not lock_month(session, date(2022, 6, 1), LATER)
        assert unlock_month(session, date(2022, 6, 1))
        assert not unlock_month(session, date(2022, 6, 1))


def test_a_small_invoice_waits_and_is_on_the_one_that_is_large_enough(database: Database) -> None:
    fleet = used(Fleet(database, terms={"minimum_invoice": Fraction(15)}), months=(4, 5, 6))

    dry, real = fleet.close(JUNE, dry_run=True), fleet.close(JUNE)

    # 6.00 a month with VAT: April and May wait, with June there are 18.00.
    (invoice,) = real.invoices
    assert (real.months, invoice.number, invoice.gross_minor) == (3, "INV/2022/06/0001", 1800)
    assert [(it.period_starts_on.month, it.adjustment, it.net_minor) for it in invoice.lines] == [
        (4, False, 500),
        (5, False, 500),
        (6, False, 500),
    ]
    assert [(it.number, it.gross_minor) for it in dry.invoices] == [("INV/2022/06/0001", 1800)]
    assert agree(database)


def test_what_waits_is_valued_anew_with_what_came_meanwhile(database: Database) -> None:
    fleet = used(Fleet(database, terms={"minimum_invoice": Fraction(15)}))
    fleet.close(APRIL)
    april = fleet.schedules("IOT_1")[0]
    assert (april.status, april.amount) == ("valued", Fraction(5))
    assert agree(database)
    used(fleet, quantity=5)

    (invoice,) = fleet.close(MAY).invoices

    assert [(it.adjustment, it.net_minor) for it in invoice.lines] == [(False, 1750)]
    assert fleet.close(JUNE).invoices == ()
    assert agree(database)


def test_an_adjustment_that_is_too_small_waits_too_and_is_not_lost(database: Database) -> None:
    fleet = used(Fleet(database, terms={"minimum_invoice": Fraction(15)}), quantity=10)
    assert len(fleet.close(APRIL).invoices) == 1
    used(fleet, quantity=1)
    assert fleet.close(MAY).invoices == ()
    assert agree(database)
    used(fleet, months=(6,), quantity=10)

    (invoice,) = fleet.close(JUNE).invoices

    assert sorted((it.adjustment, it.net_minor) for it in invoice.lines) == [(False, 2500), (True, 250)]
    assert agree(database)


def test_the_last_invoice_waits_for_nothing(database: Database) -> None:
    fleet = Fleet(database, terms={"minimum_invoice": Fraction(15)})
    fleet.activate("IOT_1", ends_on=date(2022, 6, 1))
    used(fleet, months=(4, 5))

    report = fleet.close(MAY)

    assert [(it.number, it.gross_minor) for it in report.invoices] == [("INV/2022/05/0001", 1200)]
    assert agree(database)


def test_a_credit_note_does_not_wait(database: Database) -> None:
    fleet = used(Fleet(database, terms={"minimum_invoice": Fraction(15)}), quantity=10)
    fleet.close(APRIL)
    used(fleet, quantity=-1)

    (note,) = fleet.close(MAY).invoices

    assert (note.kind, note.gross_minor) == ("credit_note", 300)


def test_lines_that_add_up_to_nothing_are_an_invoice_over_nothing(database: Database) -> None:
    fleet = used(Fleet(database))
    fleet.close(APRIL)
    used(fleet, quantity=-2)
    used(fleet, months=(5,))

    (invoice,) = fleet.close(MAY).invoices

    nets = sorted(line.net_minor for line in invoice.lines)
    assert (invoice.kind, invoice.gross_minor, nets) == ("invoice", 0, [-500, 500])
    with database.snapshot() as session:
        assert balance_of(session, invoice.number, JULY).state == "paid"
    assert agree(database)


def test_the_command_locks_lists_and_unlocks(
    database: Database, database_url: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert database.engine is not None
    monkeypatch.setenv("METERGATE_DATABASE_URL", database_url)
    monkeypatch.setenv("METERGATE_CLOCK", "virtual:2022-07-10T00:00:00Z")

    assert run(["months", "lock", "2022-06"], capsys) == (0, "2022-06 is locked\n")
    assert json.loads(run(["months", "lock", "2022-06", "--json"], capsys)[1])["changed"] is False
    assert [it["month"] for it in json.loads(run(["months", "list", "--json"], capsys)[1])] == ["2022-06"]
    assert run(["months", "lock", "2022-07"], capsys)[0] == 1
    assert run(["months", "lock", "June"], capsys)[0] == 2
    assert run(["months", "unlock", "2022-06"], capsys) == (0, "2022-06 is open\n")
    assert run(["months", "list"], capsys) == (0, "No month is locked.\n")
