"""Several closers at once: each contract month is closed once, numbers have no gap, one that is killed is replaced."""

from dataclasses import replace
from datetime import date
from typing import Any

import psycopg
import pytest
from sqlalchemy import event

from billing.close import close
from billing.verify import differences, verify
from storage.database import Database
from storage.invoices import invoice_document, list_invoices
from tests.closing.closer_process import Closing, run_closers
from tests.closing.fleet import FEE, MUCH_LATER, USAGE, Fleet
from tests.copies import copy_of

UNTIL = date(2022, 5, 31)
CONTRACTS = 30
NUMBERING = "INSERT INTO number_series"
KILLED = -9


def fill(url: str, contracts: int) -> None:
    """Contracts with a fee and usage of one object each, April and May to close."""
    database = Database(url)
    database.migrate()
    for index in range(contracts):
        fleet = Fleet(database, charges=(FEE, USAGE), contract=f"Contract {index:02d}")
        fleet.activate(f"IOT_{index}")
        fleet.uses(f"IOT_{index}", 1 + index, "2022-04-14T10:00:00Z")
        fleet.uses(f"IOT_{index}", 2 + index, "2022-05-14T10:00:00Z")
    database.dispose()


@pytest.fixture(scope="module")
def many(postgres_server: str) -> str:
    """The URL of contracts that are only ever copied, never closed."""
    with psycopg.connect(f"{postgres_server}/postgres", autocommit=True) as connection:
        connection.execute(b"CREATE DATABASE many_contracts")
    url = f"{postgres_server}/many_contracts"
    fill(url, CONTRACTS)
    return url


def books(url: str) -> tuple[list[str], dict[tuple[str, date], Any]]:
    """The numbers given, and the invoices by contract and month without their numbers; all checks of verify hold."""
    database = Database(url)
    with database.snapshot() as session:
        assert differences(verify(session)) == []
        documents = [invoice_document(session, it.number) for it in list_invoices(session)]
    database.dispose()
    without = {
        (it.contract, it.month_starts_on): replace(it, number="", lines=tuple(replace(line, id=0) for line in it.lines))
        for it in documents
    }
    assert len(without) == len(documents), "no contract month twice"
    return sorted(it.number for it in documents), without


def closed_alone(url: str) -> Any:
    with copy_of(url) as copy:
        database = Database(copy)
        assert close(database, UNTIL, MUCH_LATER).failures == ()
        database.dispose()
        return books(copy)


@pytest.fixture(scope="module")
def alone(many: str) -> Any:
    """The books of one closer."""
    return closed_alone(many)


def test_three_closers_at_once_issue_what_one_issues_alone(many: str, alone: Any) -> None:
    assert len(alone[0]) == 2 * CONTRACTS
    with copy_of(many) as url:
        codes, issued = run_closers(
            Closing(url=url, until=UNTIL, now=MUCH_LATER, meet_at=NUMBERING), [False, False, False]
        )
        assert codes == [0, 0, 0]
        assert min(issued) >= 1, "each of them held a contract when they met"
        assert sum(issued) == 2 * CONTRACTS
        assert books(url) == alone


def test_what_a_killed_closer_held_is_closed_by_those_that_are_left(many: str, alone: Any) -> None:
    with copy_of(many) as url:
        codes, issued = run_closers(
            Closing(url=url, until=UNTIL, now=MUCH_LATER, meet_at=NUMBERING), [False, True, False]
        )
        assert codes == [0, KILLED, 0]
        assert sum(issued) == 2 * CONTRACTS
        assert books(url) == alone


def test_two_closers_on_sqlite_that_planned_the_same_month_issue_it_once(sqlite_url: str) -> None:
    fill(sqlite_url, 3)
    alone = closed_alone(sqlite_url)
    codes, issued = run_closers(
        Closing(url=sqlite_url, until=UNTIL, now=MUCH_LATER, meet_at="BEGIN IMMEDIATE"), [False, False]
    )
    assert codes == [0, 0]
    assert sum(issued) == 6
    assert books(sqlite_url) == alone


def test_a_contract_whose_transaction_crossed_another_is_tried_again(postgres_url: str) -> None:
    fill(postgres_url, 1)
    database = Database(f"{postgres_url}?options=-c%20lock_timeout%3D100")
    tries = 0
    with psycopg.connect(postgres_url) as other:
        other.execute("LOCK TABLE number_series IN EXCLUSIVE MODE")

        def release(_connection: Any, _cursor: Any, sql: str, *_: Any) -> None:
            nonlocal tries
            if "FROM contract WHERE id" in sql and "FOR NO KEY UPDATE" in sql:
                tries += 1
                if tries == 2:
                    other.rollback()

        event.listen(database.engine, "before_cursor_execute", release)
        report = close(database, UNTIL, MUCH_LATER)
    database.dispose()
    assert report.failures == ()
    assert (report.months, len(report.invoices)) == (2, 2)
    assert tries == 3, "April twice, May once"
