"""Access tokens: found by the hash of their secret, listed by name."""

from collections.abc import Sequence
from datetime import datetime

from sqlmodel import Session, col, select

from storage.catalogue import take_turns
from storage.tables import AccessToken


def by_hash(session: Session, secret_hash: str) -> AccessToken | None:
    """The token that is in force and whose secret has this hash."""
    return session.exec(
        select(AccessToken).where(AccessToken.secret_hash == secret_hash, col(AccessToken.revoked_at).is_(None))
    ).first()


def named(session: Session, name: str) -> AccessToken | None:
    """The token of this name that is in force."""
    query = select(AccessToken).where(AccessToken.name == name, col(AccessToken.revoked_at).is_(None))
    return session.exec(query).first()


def to_change(session: Session, name: str) -> AccessToken | None:
    """The token of this name, revoked or not; two who make or revoke it take turns."""
    take_turns(session, f"access/{name}")
    return session.exec(select(AccessToken).where(AccessToken.name == name)).first()


def listed(session: Session) -> Sequence[AccessToken]:
    """Every token, in order of name."""
    return session.exec(select(AccessToken).order_by(col(AccessToken.name))).all()


def add(session: Session, *, name: str, role: str, secret_hash: str, now: datetime) -> None:
    """Keep a new token; its name was looked for in this transaction."""
    session.add(AccessToken(name=name, role=role, secret_hash=secret_hash, created_at=now))
    session.flush()


def revoke(session: Session, token: AccessToken, now: datetime) -> None:
    """From now on its secret opens nothing."""
    token.revoked_at = now
    session.add(token)
    session.flush()
