"""A dry run beside real closers on PostgreSQL: it waits for those at work, others wait for it, and nobody deadlocks."""

import threading
from collections.abc import Callable, Iterator
from datetime import date

import pytest
from sqlalchemy import text

from billing.close import CloseReport, close
from storage import claims
from storage.database import Database
from storage.issuing import next_number
from tests.brokers import eventually
from tests.closing.fleet import FEE, MUCH_LATER, USAGE, Fleet

UNTIL = date(2022, 4, 30)
SERIES = "INV/2022/04"
WAITING = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"


@pytest.fixture
def two(postgres_url: str) -> Iterator[Database]:
    """Two contracts with something to close in April."""
    database = Database(postgres_url)
    for name in ("A", "B"):
        Fleet(database, charges=(FEE, USAGE), contract=name).activate(f"IOT_{name}")
    yield database
    database.dispose()


class Beside(threading.Thread):
    """Work in a thread of its own; what it gave is there at its end."""

    def __init__(self, work: Callable[[], CloseReport]) -> None:
        super().__init__(daemon=True)
        self._work = work
        self._found: list[CloseReport] = []

    def run(self) -> None:
        self._found.append(self._work())

    def report(self) -> CloseReport:
        self.join(60)
        return self._found[0]


def waits(database: Database) -> bool:
    with database.snapshot() as session:
        return bool(session.connection().execute(text(WAITING)).scalar_one())


def contract_ids(database: Database) -> list[int]:
    with database.snapshot() as session:
        return list(session.connection().execute(text("SELECT id FROM contract ORDER BY name")).scalars())


def test_a_dry_run_waits_for_a_closer_that_still_has_to_take_its_number(two: Database) -> None:
    rehearsal = Beside(lambda: close(two, UNTIL, MUCH_LATER, dry_run=True))
    with two.transaction() as session:
        assert claims.claim(session, contract_ids(two)[1], wait=False)
        rehearsal.start()
        eventually(lambda: waits(two), "the dry run waits")
        assert next_number(session, SERIES) == 1
    report = rehearsal.report()
    assert report.failures == ()
    assert [it.number for it in report.invoices] == [f"{SERIES}/0002", f"{SERIES}/0003"]


def test_a_closer_puts_off_what_is_rehearsed_and_closes_it_afterwards(two: Database) -> None:
    closer = Beside(lambda: close(two, UNTIL, MUCH_LATER))
    with two.transaction() as session:
        claims.rehearse(session)
        closer.start()
        eventually(lambda: waits(two), "the closer waits")
    report = closer.report()
    assert report.failures == ()
    assert len(report.invoices) == 2


def test_a_dry_run_that_crossed_a_change_of_contracts_is_done_again(two: Database) -> None:
    """The change holds the second contract and wants the first, the dry run the other way round: one of them fails."""
    first, second = contract_ids(two)
    raised = text("UPDATE contract SET revision = revision + 1 WHERE id = :id")
    rehearsal = Beside(lambda: close(two, UNTIL, MUCH_LATER, dry_run=True))
    with two.transaction() as session:
        connection = session.connection()
        connection.execute(text("SET LOCAL deadlock_timeout = '20s'"))  # The dry run finds it first, and gives way.
        connection.execute(raised, {"id": second})
        rehearsal.start()
        eventually(lambda: waits(two), "the dry run waits for the second contract")
        connection.execute(raised, {"id": first})
    report = rehearsal.report()
    assert report.failures == ()
    assert len(report.invoices) == 2
    with two.snapshot() as session:
        revisions = session.connection().execute(text("SELECT revision FROM contract ORDER BY name")).scalars().all()
    assert revisions == [1, 1]
