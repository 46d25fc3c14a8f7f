"""One invoice for each contract, for all contracts of a customer, or for each value of an attribute of the objects."""

import json
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime
from fractions import Fraction
from itertools import count

import pytest
from sqlalchemy import text
from sqlmodel import select

from billing.approving import approve, void
from billing.close import close
from billing.core.errors import Refused
from billing.crediting import Credit, credit
from billing.verify import differences, verify
from storage.database import Database
from storage.invoices import InvoiceDocument, list_invoices
from storage.tables import BillingMonth, Charge, DraftMonth, Invoice
from tests.closing.fleet import Fleet, rows_of
from tests.usecases.test_credit_notes import run

APRIL, MAY, JUNE = date(2022, 4, 30), date(2022, 5, 31), date(2022, 6, 30)
NOW = datetime(2022, 7, 10, tzinfo=UTC)
BY_SITE = {"invoicing": "attribute:site"}
TOGETHER = {"invoicing": "customer"}
NUMBERS = count()


def agree(database: Database) -> bool:
    with database.snapshot() as session:
        return differences(verify(session)) == []


def use(fleet: Fleet, reference: str, quantity: int, month: int = 4) -> None:
    fleet.uses(reference, quantity, f"2022-{month:02d}-14T10:00:00Z", str(next(NUMBERS)))


def seen(documents: Iterable[InvoiceDocument]) -> list[tuple[str, str, int]]:
    return [(it.number, it.part[1], it.net_minor) for it in documents]


def sites(database: Database, **terms: object) -> Fleet:
    """Two objects in Lyon, one in Nice, one that is nowhere; 10, 20, 40 and 80 units."""
    fleet = Fleet(database, terms={**BY_SITE, **terms})
    for place, site in enumerate(("Lyon", "Lyon", "Nice", None)):
        fleet.activate(f"IOT_{place}", attributes={} if site is None else {"site": site})
        use(fleet, f"IOT_{place}", 10 * 2**place)
    return fleet


def contracts(database: Database, **terms: object) -> tuple[Fleet, Fleet, Fleet]:
    """Contracts A and B of one customer on one invoice, and C that has other terms of payment."""
    found = []
    for name in ("A", "B", "C"):
        more = {"payment_terms_days": 10} if name == "C" else {}
        fleet = Fleet(database, contract=name, terms={**TOGETHER, **terms, **more})
        fleet.activate(f"IOT_{name}")
        use(fleet, f"IOT_{name}", 10)
        found.append(fleet)
    return found[0], found[1], found[2]


def test_each_site_has_its_own_invoice_and_what_has_none_another(database: Database) -> None:
    fleet = sites(database)

    dry, real = fleet.close(APRIL, dry_run=True), fleet.close(APRIL)

    assert seen(real.invoices) == [
        ("INV/2022/04/0001", "", 20000),
        ("INV/2022/04/0002", "Lyon", 7500),
        ("INV/2022/04/0003", "Nice", 10000),
    ]
    assert (seen(dry.invoices), real.months) == (seen(real.invoices), 1)
    assert fleet.close(APRIL).invoices == ()
    assert agree(database)


def test_what_is_late_is_on_the_invoice_of_its_site_and_credited_against_it(database: Database) -> None:
    fleet = sites(database)
    fleet.close(APRIL)
    use(fleet, "IOT_0", 1)
    use(fleet, "IOT_2", -4)

    lyon, nice = fleet.close(MAY).invoices

    assert (lyon.kind, lyon.part, lyon.net_minor) == ("invoice", ("site", "Lyon"), 250)
    assert (nice.kind, nice.part, nice.net_minor) == ("credit_note", ("site", "Nice"), 1000)
    assert nice.corrects == ("INV/2022/04/0003",)
    assert agree(database)


def test_a_site_whose_invoice_is_too_small_waits_alone(database: Database) -> None:
    fleet = sites(database, minimum_invoice=Fraction(100))

    assert [it.part[1] for it in fleet.close(APRIL).invoices] == ["", "Nice"]
    assert agree(database)
    use(fleet, "IOT_0", 10, month=5)
    assert seen(fleet.close(MAY).invoices) == [("INV/2022/05/0001", "Lyon", 10000)]
    assert agree(database)


def test_the_drafts_of_a_month_are_approved_together(database: Database) -> None:
    fleet = sites(database, approval="required")
    drafts = fleet.close(APRIL).drafts
    name = f"DRAFT/2022/04/{fleet.ids['contract']}"
    assert [it.number for it in drafts] == [name, f"{name}/2", f"{name}/3"]

    with database.transaction() as session:
        numbers = approve(session, drafts[1].number, NOW, total=Fraction(90))

    assert numbers == ("INV/2022/04/0001", "INV/2022/04/0002", "INV/2022/04/0003")
    assert agree(database)


def test_a_customer_has_one_invoice_for_all_contracts_with_the_same_terms(database: Database) -> None:
    fleet, second, third = contracts(database)

    dry, real = fleet.close(APRIL, dry_run=True), fleet.close(APRIL)

    assert (real.months, real.failures) == (3, ())
    assert seen(real.invoices) == [("INV/2022/04/0001", "", 5000), ("INV/2022/04/0002", "", 2500)]
    assert seen(dry.invoices) == seen(real.invoices)
    joint = real.invoices[0]
    assert (joint.contract, [line.group for line in joint.lines]) == ("A", [{"contract": "A"}, {"contract": "B"}])
    with database.snapshot() as session:
        closed = session.exec(select(BillingMonth.contract_id)).all()
    assert sorted(closed) == sorted(it.ids["contract"] for it in (fleet, second, third))
    assert fleet.close(APRIL).invoices == ()
    assert agree(database)


def test_late_usage_and_cancellations_of_any_contract_are_on_the_joint_invoice(database: Database) -> None:
    fleet, second, _ = contracts(database)
    fleet.close(APRIL)
    use(second, "IOT_B", 2)
    with database.transaction() as session:
        credit(session, "INV/2022/04/0001", Credit(reason="wrong", rebill=True), NOW)

    (invoice,) = fleet.close(MAY).invoices

    assert [(line.group["contract"], line.net_minor) for line in invoice.lines] == [("A", 2500), ("B", 3000)]
    assert fleet.close(JUNE).invoices == ()
    assert agree(database)


def test_contracts_on_one_invoice_are_closed_together_or_not_at_all(database: Database) -> None:
    fleet, second, _ = contracts(database)
    with database.transaction() as session:
        charge = session.get_one(Charge, second.schedules("IOT_B")[0].charge_id)
        right = dict(charge.definition)
        charge.definition = {**right, "type": "magic"}
        session.add(charge)

    report = fleet.close(MAY)

    assert [(it.contract, it.month_starts_on) for it in report.failures] == [
        ("A", date(2022, 4, 1)),
        ("B", date(2022, 4, 1)),
    ]
    assert all(it.message.startswith("B: ") and "magic" in it.message for it in report.failures)
    assert seen(report.invoices) == [("INV/2022/04/0001", "", 2500)]
    with database.transaction() as session:
        charge = session.get_one(Charge, second.schedules("IOT_B")[0].charge_id)
        charge.definition = right
        session.add(charge)
    assert seen(fleet.close(MAY).invoices) == [("INV/2022/04/0002", "", 5000)]


def test_a_contract_that_joins_later_catches_up_alone_and_is_then_on_the_joint_invoice(database: Database) -> None:
    fleet, _, _ = contracts(database)
    fleet.close(APRIL)
    late = Fleet(database, contract="AA", terms=TOGETHER)
    late.activate("IOT_AA")
    use(late, "IOT_AA", 1)
    use(late, "IOT_AA", 2, month=5)
    use(fleet, "IOT_A", 4, month=5)

    report = fleet.close(MAY)

    assert [(it.number, it.contract, it.net_minor) for it in report.invoices] == [
        ("INV/2022/04/0003", "AA", 250),
        ("INV/2022/05/0001", "A", 1500),
    ]
    assert agree(database)


def test_a_joint_draft_is_approved_for_all_its_contracts(database: Database) -> None:
    fleet, second, _ = contracts(database, approval="required")
    joint, alone = fleet.close(MAY).drafts
    assert (joint.net_minor, alone.net_minor) == (5000, 2500)
    with database.transaction() as session:
        session.connection().execute(
            text("UPDATE contract SET revision = revision + 1 WHERE id = :id"), {"id": second.ids["contract"]}
        )
        with pytest.raises(Refused, match="B changed"):
            approve(session, joint.number, NOW)

    fleet.close(APRIL)
    with database.transaction() as session:
        assert approve(session, joint.number, NOW) == ("INV/2022/04/0001",)
        void(session, alone.number, NOW)

    with database.snapshot() as session:
        assert (rows_of(session, BillingMonth), rows_of(session, DraftMonth), rows_of(session, Invoice)) == (3, 0, 1)
    assert agree(database)


def test_two_closers_at_once_issue_each_joint_invoice_once(database: Database) -> None:
    fleet, _, _ = contracts(database)
    sites(database)

    with ThreadPoolExecutor(2) as closers:
        reports = [it.result() for it in [closers.submit(fleet.close, MAY) for _ in range(2)]]

    assert [failure for report in reports for failure in report.failures] == []
    with database.snapshot() as session:
        assert sorted(it.number for it in list_invoices(session)) == [f"INV/2022/04/000{n}" for n in range(1, 6)]
    assert agree(database)


def test_closing_one_contract_closes_those_on_the_same_invoice(database: Database) -> None:
    contracts(database)

    report = close(database, APRIL, NOW, only={"B"})

    assert (report.months, seen(report.invoices)) == (2, [("INV/2022/04/0001", "", 5000)])


def test_the_commands_say_whose_invoice_it_is(
    database: Database, database_url: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    sites(database).close(APRIL)
    monkeypatch.setenv("METERGATE_DATABASE_URL", database_url)

    listed = json.loads(run(["invoices", "list", "--json"], capsys)[1])

    assert [row["part"] for row in listed] == ["", "site: Lyon", "site: Nice"]
    assert "(invoice), IOT Fleet Contract, site: Lyon" in run(["invoices", "show", "INV/2022/04/0002"], capsys)[1]
