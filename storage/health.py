"""Whether the database answers."""

from sqlalchemy import text
from sqlmodel import Session


def touch(session: Session) -> None:
    """Ask the smallest question. Raises StorageError, at the end of the session's block, when nobody answers."""
    session.connection().execute(text("SELECT 1"))
