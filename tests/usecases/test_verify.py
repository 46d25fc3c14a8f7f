"""Verifying the books: a closed fleet agrees with its facts, and whatever is changed by hand is found."""

from datetime import date

import pytest
from sqlalchemy import text

from billing.checks.books import Finding
from billing.verify import verify
from gateway.cli.main import main
from storage import items
from storage.database import Database
from storage.tables import ContractItem
from tests.closing.fleet import FEE, USAGE, Fleet

APRIL, MAY = date(2022, 4, 30), date(2022, 5, 31)


@pytest.fixture
def fleet(database: Database) -> Fleet:
    """Two objects closed over two months, with usage that came late and a credit note."""
    it = Fleet(database, charges=({**FEE, "amount": "10.333"}, USAGE))
    for reference in ("IOT_1", "IOT_2"):
        it.activate(reference, starts_on=date(2022, 4, 11))
        it.uses(reference, 12, "2022-04-14T10:00:00Z")
    it.close(APRIL)
    it.uses("IOT_1", -40, "2022-04-30T21:59:59Z")
    it.uses("IOT_2", 3, "2022-04-30T22:00:00Z")
    it.close(MAY)
    return it


def found(database: Database) -> list[Finding]:
    with database.snapshot() as session:
        return verify(session)


def by_hand(database: Database, statement: str) -> None:
    with database.transaction() as session:
        assert session.connection().execute(text(statement)).rowcount > 0


def test_a_closed_fleet_has_no_difference(fleet: Fleet) -> None:
    assert found(fleet.database) == []


def test_usage_after_the_last_close_is_no_difference(fleet: Fleet) -> None:
    fleet.uses("IOT_1", 5, "2022-04-20T10:00:00Z")

    assert found(fleet.database) == []


@pytest.mark.parametrize("closed_again", [False, True])
def test_an_object_that_ended_early_is_no_difference(fleet: Fleet, closed_again: bool) -> None:  # noqa: FBT001
    with fleet.database.transaction() as session:
        ended = session.get_one(ContractItem, 1)
        end_at = ended.start_at.replace(month=5)
        last_day = date(2022, 5, 10)
        items.cut(
            session, [1], items.Cut(ends_on=date(2022, 5, 11), end_at=end_at, last_day=last_day, status="terminated")
        )
    if closed_again:
        assert fleet.close(date(2022, 6, 30)).failures == ()

    assert found(fleet.database) == []


def test_usage_outside_any_contract_item_is_information(fleet: Fleet) -> None:
    fleet.uses("IOT_1", 1, "2022-04-02T10:00:00Z")

    (finding,) = found(fleet.database)
    assert (finding.check, finding.severity) == ("outside", "information")
    assert finding.message.startswith("1 usage records of 1 objects")


@pytest.mark.parametrize(
    "statement, check",
    [
        ("UPDATE line_share SET share_minor = share_minor + 1 WHERE line_id = 1 AND schedule_id = 1", "invoices"),
        ("UPDATE invoice SET net_minor = net_minor + 1, gross_minor = gross_minor + 1 WHERE id = 1", "invoices"),
        ("UPDATE invoice SET vat_minor = vat_minor + 1, gross_minor = gross_minor + 1 WHERE id = 1", "invoices"),
        ("UPDATE invoice_vat SET vat_minor = vat_minor + 1 WHERE invoice_id = 1", "invoices"),
        ("UPDATE invoice_line SET net_minor = net_minor - 1 WHERE id = 1", "invoices"),
        ("UPDATE line_share SET amount = '1/7' WHERE line_id = 1", "charged"),
        ("UPDATE number_series SET last_number = last_number + 1", "numbers"),
        ("UPDATE invoice SET number = 'INV/2022/04/0002' WHERE number = 'INV/2022/04/0001'", "numbers"),
        ("UPDATE invoicing_schedule SET amount = '7' WHERE status = 'invoiced'", "charged"),
        ("UPDATE invoicing_schedule SET quantity = '7' WHERE metric_id = 1 AND status = 'invoiced'", "quantities"),
        ("UPDATE usage_record SET quantity = quantity + 1", "quantities"),
        ("UPDATE usage_rollup SET quantity_sum = quantity_sum + 1", "rollup"),
        ("UPDATE invoicing_schedule SET ends_on = '2022-08-30' WHERE starts_on = '2022-08-01'", "schedules"),
        ("UPDATE invoicing_schedule SET status = 'cancelled' WHERE starts_on = '2022-08-01'", "schedules"),
        ("UPDATE contract_item SET ends_on = '2023-05-01'", "schedules"),
        ("UPDATE invoice SET due_on = '2022-12-31' WHERE id = 1", "seals"),
        ("UPDATE invoice_line SET label = 'Something else' WHERE id = 1", "seals"),
        ("DELETE FROM invoice_seal WHERE invoice_id = 1", "seals"),
        ("UPDATE charge SET definition = REPLACE(definition, '2.50', '2.51')", "worth"),
        ("UPDATE charge SET definition = REPLACE(definition, '2.50', 'x')", "worth"),
        ("UPDATE line_share SET amount = '31' WHERE amount = '30'", "worth"),
    ],
)
def test_what_is_changed_by_hand_is_found(fleet: Fleet, statement: str, check: str) -> None:
    by_hand(fleet.database, statement)

    assert check in {finding.check for finding in found(fleet.database) if finding.severity == "difference"}


def test_the_command_tells_what_differs_and_ends_with_1(
    fleet: Fleet, database_url: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("METERGATE_DATABASE_URL", database_url)
    with pytest.raises(SystemExit) as right:
        main(["verify"])
    assert (right.value.code, capsys.readouterr().out.splitlines()[-1]) == (0, "No difference.")

    by_hand(fleet.database, "UPDATE line_share SET share_minor = share_minor + 1 WHERE line_id = 1")
    with pytest.raises(SystemExit) as wrong:
        main(["verify"])
    assert wrong.value.code == 1
    assert "the shares of line 1 of INV/2022/04/0001 add up to" in capsys.readouterr().out
