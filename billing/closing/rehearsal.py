"""A database that is one open transaction: what a dry run reads and writes before it is taken back."""

from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Protocol

from sqlmodel import Session

from storage.database import is_crossed


class Crossed(Exception):
    """The one transaction crossed another one, and has to be done again as a whole."""


class DatabaseLike(Protocol):
    """What the close needs of the database."""

    def snapshot(self) -> AbstractContextManager[Session]: ...
    def transaction(self) -> AbstractContextManager[Session]: ...
    def beside(self, session: Session) -> AbstractContextManager[Session] | None: ...


@dataclass(frozen=True, slots=True)
class OneTransaction:
    """A database that is one open transaction: what a dry run reads and writes."""

    session: Session

    def snapshot(self) -> AbstractContextManager[Session]:
        return _Savepoint(self.session)

    def transaction(self) -> AbstractContextManager[Session]:
        return _Savepoint(self.session)

    def beside(self, session: Session) -> None:
        """Nobody else sees what a transaction has not committed."""


@dataclass(slots=True)
class _Savepoint:
    session: Session
    inner: Any = None

    def __enter__(self) -> Session:
        self.inner = self.session.begin_nested()
        self.inner.__enter__()
        return self.session

    def __exit__(self, *error: object) -> None:
        self.inner.__exit__(*error)
        found = error[1]
        if isinstance(found, Exception) and is_crossed(found):
            raise Crossed from found
