"""Who may speak over HTTP: access tokens, of which only the hash is kept."""

from datetime import datetime

from sqlmodel import Field

from storage.tables.base import ROLES, Table, one_of
from storage.types import Instant, Word


class AccessToken(Table, table=True):
    """A secret that was shown once, and the role of whoever has it; never removed, so that old events keep a name."""

    __tablename__ = "access_token"
    __table_args__ = (one_of("role", ROLES),)
    id: int | None = Field(default=None, primary_key=True)
    name: str = Field(unique=True)
    role: str = Field(sa_type=Word)
    secret_hash: str = Field(unique=True)
    """SHA-256 of the secret, in hexadecimal: 256 random bits need no salt and no slow hash."""
    created_at: datetime = Field(sa_type=Instant)
    revoked_at: datetime | None = Field(default=None, sa_type=Instant)
