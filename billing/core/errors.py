"""What the rules refuse, as one tree; a message says what was wrong, with which value, and what to do.

BillingError
├── Refused    the state does not allow this command; `allowed` says what it does allow
├── Invalid    a value that no state would accept
├── Conflict   the same key with another content, or two things that exclude each other
└── NotFound   a name that names nothing
"""

from collections.abc import Iterable
from typing import ClassVar


class BillingError(Exception):
    """The root: `code` for programs, `message` for people, `allowed` for what could be asked instead."""

    default_code: ClassVar[str] = "error"

    def __init__(self, message: str, *, code: str | None = None, allowed: Iterable[str] = ()) -> None:
        super().__init__(message)
        self.message = message
        self.code = code or self.default_code
        self.allowed = tuple(allowed)


class Refused(BillingError):
    """The transition does not exist from the present state."""

    default_code = "refused"


class Invalid(BillingError):
    """The value itself is wrong."""

    default_code = "invalid"


class Conflict(BillingError):
    """The key is taken by another content."""

    default_code = "conflict"


class NotFound(BillingError):
    """Nothing has this name."""

    default_code = "not_found"
