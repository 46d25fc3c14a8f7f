"""Several processes close one database: each invoice once, every number used, and no broker needed."""

import json
import subprocess
from datetime import UTC, date, datetime
from pathlib import Path

from sqlmodel import select

from billing import catalogue
from billing.registry import NewObject, create_objects
from gateway.supervisor import metergate
from storage import partitions
from storage.database import Database
from storage.tables import Invoice
from tests.brokers import eventually
from tests.processes.conftest import PATIENCE_SECONDS, running

CONTRACTS = 50
CREATED = datetime(2022, 3, 31, 12, tzinfo=UTC)
CATALOGUE = """
seller: {name: Metergate Demo SAS, country: FR, vat_number: FRXX999999999, currency: EUR, timezone: Europe/Paris}
customers: [{reference: FLEET, name: Fleet Customer, country: FR}]
plans:
  - name: Fee
    charges: [{name: Fee, type: recurring, every: month, timing: arrears, amount: "5", vat_rate: "20"}]
contracts:
"""


def environment(url: str) -> dict[str, str]:
    # Nothing listens there.
    return {"METERGATE_DATABASE_URL": url, "METERGATE_BROKER_URL": "mqtt://127.0.0.1:1"}


def declare(database: Database) -> None:
    contracts = "".join(
        f"  - {{name: Contract {number:02d}, customer: FLEET, starts_on: 2022-01-01, subscriptions: [Fee]}}\n"
        for number in range(CONTRACTS)
    )
    with database.transaction() as session:
        catalogue.apply(session, catalogue.load(CATALOGUE + contracts), CREATED)
        objects = [
            NewObject(
                reference=f"OBJECT_{number:02d}",
                customer="FLEET",
                contract=f"Contract {number:02d}",
                subscription="Fee",
                activate=True,
                starts_on=date(2022, 4, 1),
            )
            for number in range(CONTRACTS)
        ]
        outcomes = create_objects(session, objects, "pending", CREATED, "cli")
    assert not [outcome for outcome in outcomes if isinstance(outcome, Exception)]


def test_two_processes_that_close_at_once_issue_each_invoice_once(
    database: Database, database_url: str, tmp_path: Path
) -> None:
    declare(database)
    closers = [
        subprocess.Popen(
            metergate("close", "--until", "2022-05-31", "--json"),
            cwd=tmp_path,
            env=environment(database_url),
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(2)
    ]
    reports = [json.loads(closer.communicate(timeout=60)[0]) for closer in closers]
    assert [report["failures"] for report in reports] == [[], []]
    with database.snapshot() as session:
        issued = session.exec(select(Invoice)).all()
    assert len({(invoice.contract_id, invoice.month_starts_on) for invoice in issued}) == len(issued) == 2 * CONTRACTS
    expected = [f"INV/2022/{month:02d}/{number:04d}" for month in (4, 5) for number in range(1, CONTRACTS + 1)]
    assert sorted(invoice.number or "" for invoice in issued) == expected


def test_two_closing_parts_whose_ticks_fall_together_issue_each_invoice_once(
    database: Database, database_url: str, tmp_path: Path
) -> None:
    """Each minute is a tick of both: they come to the same contracts within milliseconds."""
    declare(database)
    ticking = {
        **environment(database_url),
        "METERGATE_CLOCK": "virtual:2022-06-03T12:00:00Z",
        "METERGATE_CLOSE_CRON": "* * * * *",
    }
    with (
        running(["--role", "close"], ticking, tmp_path) as one,
        running(["--role", "close"], ticking, tmp_path) as other,
    ):
        closers = (one, other)

        def issued() -> list[str]:
            return sorted(
                line.split("issued ")[1].strip() for it in closers for line in it.lines if "issued INV/" in line
            )

        eventually(lambda: len(issued()) >= 2 * CONTRACTS, "both months are closed", seconds=60 + PATIENCE_SECONDS)
        assert [process.stop() for process in closers] == [0, 0]
        said = issued()
    expected = [f"INV/2022/{month:02d}/{number:04d}" for month in (4, 5) for number in range(1, CONTRACTS + 1)]
    with database.snapshot() as session:
        invoices = session.exec(select(Invoice)).all()
    assert sorted(invoice.number or "" for invoice in invoices) == said == expected
    assert len({(invoice.contract_id, invoice.month_starts_on) for invoice in invoices}) == 2 * CONTRACTS


def test_the_closing_part_keeps_house_without_a_broker(database: Database, database_url: str, tmp_path: Path) -> None:
    with running(["--role", "close"], environment(database_url), tmp_path) as one:
        with running(["--role", "close"], environment(database_url), tmp_path) as other:
            for process in (one, other):
                process.wait_for("does not close by itself")

            def made() -> int:
                with database.snapshot() as session:
                    return sum(it.state == "attached" for it in partitions.listed(session))

            eventually(lambda: made() == 4, "this month's partition and three more", seconds=PATIENCE_SECONDS)
            assert other.stop() == 0
        assert one.stop() == 0
