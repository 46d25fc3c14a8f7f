"""The sessions of the console: begun at the sign-in, found by the digest of a cookie, ended for good."""

from datetime import datetime

from sqlalchemy import delete
from sqlmodel import Session, col

from storage.tables import ConsoleSession


def begin(session: Session, row: ConsoleSession) -> None:
    """Keep a new session, and forget those that have expired by its begin."""
    session.exec(delete(ConsoleSession).where(col(ConsoleSession.expires_at) <= row.created_at))
    session.add(row)
    session.flush()


def find(session: Session, digest: str, now: datetime) -> ConsoleSession | None:
    """The session of a cookie's digest, while it lasts."""
    found = session.get(ConsoleSession, digest)
    return found if found is not None and now < found.expires_at else None


def end(session: Session, digest: str) -> None:
    """End a session."""
    session.exec(delete(ConsoleSession).where(col(ConsoleSession.digest) == digest))
