"""Who is signed in to the console."""

from datetime import datetime

from sqlmodel import Field

from storage.tables.base import Table
from storage.types import Instant


class ConsoleSession(Table, table=True):
    """A browser that signed in with an access token; it ends when it expires, signs out, or the token is taken away."""

    __tablename__ = "console_session"
    digest: str = Field(primary_key=True)
    """SHA-256 of the cookie, in hexadecimal: whoever reads the table cannot sign in with it."""
    token: str = Field(index=True)
    """The name of the access token."""
    secret: str
    """The secret of the forms of this session: a page of another origin cannot know it."""
    created_at: datetime = Field(sa_type=Instant)
    expires_at: datetime = Field(sa_type=Instant, index=True)
