"""Texts that begin with others, found by an index where the database's order of texts lets it."""

from typing import Any

from sqlalchemy import and_, func
from sqlmodel import Session

LAST = "\U0010ffff"


def begins_with(session: Session, column: Any, beginning: str) -> Any:
    """The condition that a column's text begins with another one.

    SQLite orders texts by their bytes, so that they are a range of its index; elsewhere the order is a language's, in
    which texts that begin alike need not stand together.
    """
    begins = func.substr(column, 1, len(beginning)) == beginning
    if session.get_bind().dialect.name != "sqlite":
        return begins
    return and_(begins, column >= beginning, column < beginning + LAST)
