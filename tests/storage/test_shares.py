"""A share refers to a line and a schedule that are there, and keeps both: what was charged is not deleted."""

import re
from collections.abc import Iterator
from datetime import date

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError
from sqlmodel import Session

from storage.database import Database
from tests.closing.fleet import FEE, Fleet

SHARE = "INSERT INTO line_share (line_id, schedule_id, quantity, amount, share_minor) "
PLANNED = "(SELECT min(id) FROM invoicing_schedule WHERE status = 'planned')"
LINE = "(SELECT min(id) FROM invoice_line)"


@pytest.fixture
def session(database: Database) -> Iterator[Session]:
    """A database in which April's fee of one object was charged."""
    fleet = Fleet(database, charges=(FEE,))
    fleet.activate("IOT_NS542", date(2022, 4, 1))
    assert fleet.close(date(2022, 4, 30)).invoices
    with database.transaction() as it:
        yield it


def refused(session: Session, statement: str) -> None:
    with pytest.raises(IntegrityError, match=re.compile("foreign key|does not exist|has shares", re.IGNORECASE)):
        session.connection().execute(text(statement))
    session.rollback()


def test_a_share_of_a_schedule_that_is_not_there_is_refused(session: Session) -> None:
    refused(session, f"{SHARE} SELECT {LINE}, 999, '1', '1', 100")


def test_a_share_of_a_line_that_is_not_there_is_refused(session: Session) -> None:
    refused(session, f"{SHARE} SELECT 999, {PLANNED}, '1', '1', 100")


def test_a_share_does_not_move_to_what_is_not_there(session: Session) -> None:
    refused(session, "UPDATE line_share SET schedule_id = 999")


def test_a_schedule_that_was_charged_is_not_deleted(session: Session) -> None:
    refused(session, "DELETE FROM invoicing_schedule WHERE status = 'invoiced'")


def test_a_line_with_shares_is_not_deleted(session: Session) -> None:
    refused(session, "DELETE FROM invoice_line")


def test_what_has_no_share_is_deleted_and_what_is_there_takes_one(session: Session) -> None:
    connection = session.connection()
    connection.execute(text(f"{SHARE} SELECT {LINE}, {PLANNED}, '1', '1', 100"))
    connection.execute(text("DELETE FROM line_share"))
    assert connection.execute(text("DELETE FROM invoice_line")).rowcount == 2
    assert connection.execute(text("DELETE FROM invoicing_schedule")).rowcount == 12
