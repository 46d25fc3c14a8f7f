"""Who may do what over HTTP: roles, what each is allowed, and the tokens that stand for them.

The law: a secret is shown once, when it is made, and only its hash is kept; what no role is given, nobody may do.
"""

import base64
import hashlib
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from types import MappingProxyType

from sqlmodel import Session

from billing.core.errors import Conflict, Invalid, NotFound, Refused
from storage import access

NAME_LIMIT = 100
"""Characters of the name of a token."""
SECRET_BYTES = 32
"""256 random bits: nobody guesses them, so that their hash needs no salt."""
SECRET_LIMIT = 200
"""Longer than any secret that was ever made: what is longer is not looked for."""
PREFIX = "mg_"
"""Tells a secret of ours from others, where it was left lying about."""


class Role(Enum):
    """What somebody is there for."""

    OPERATOR = "operator"
    """The device operator: runs the fleet."""
    BILLING = "billing"
    READER = "reader"
    ADMINISTRATOR = "administrator"


class Permission(Enum):
    """What can be allowed."""

    READ_FLEET = "read_fleet"
    """Objects with their timelines, usage, quarantine, sources, figures of the process."""
    READ_BILLING = "read_billing"
    """Catalogue, contracts, schedules, invoices, payments."""
    OBJECTS = "objects"
    """Create objects and tell them where they are in their lives."""
    USAGE = "usage"
    """Add usage, and take it back."""
    QUARANTINE = "quarantine"
    """Replay and discard what was refused."""
    CONTRACTS = "contracts"
    """Change of plan, price, contract or term of an object."""
    CATALOGUE = "catalogue"
    """Declare metrics, plans, customers, contracts, sources."""
    CLOSE = "close"
    INVOICES = "invoices"
    """Drafts, credit notes, payments."""
    WEBHOOKS = "webhooks"
    TOKENS = "tokens"


_FLEET = frozenset({Permission.READ_FLEET, Permission.OBJECTS, Permission.USAGE, Permission.QUARANTINE})
_READ = frozenset({Permission.READ_FLEET, Permission.READ_BILLING})
PERMISSIONS: Mapping[Role, frozenset[Permission]] = MappingProxyType(
    {
        Role.OPERATOR: _FLEET,
        Role.BILLING: _FLEET
        | _READ
        | {Permission.CONTRACTS, Permission.CATALOGUE, Permission.CLOSE, Permission.INVOICES},
        Role.READER: _READ,
        Role.ADMINISTRATOR: frozenset(Permission),
    }
)
"""What each role may do."""


_OF_COMMANDS: Mapping[str, Permission] = MappingProxyType(
    dict.fromkeys(("change_plan", "change_price", "transfer", "no_renew"), Permission.CONTRACTS)
    | dict.fromkeys(
        ("reverse", "accept_readings", "reject_readings", "exchange_readings", "replace_boundary"), Permission.USAGE
    )
)


def permission_of(command: str) -> Permission:
    """What somebody needs who tells an object `command`, by whatever way."""
    return _OF_COMMANDS.get(command, Permission.OBJECTS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Principal:
    """Who speaks: the name of the token, and its role."""

    name: str
    role: Role

    def may(self, permission: Permission) -> bool:
        return permission in PERMISSIONS[self.role]

    def require(self, permission: Permission) -> None:
        """Raise Refused when the role does not have the permission; it says which roles do."""
        if not self.may(permission):
            able = [role.value for role in Role if permission in PERMISSIONS[role]]
            raise Refused(
                f"the role {self.role.value} of {self.name!r} does not include {permission.value!r}; "
                f"it needs a token with the role {' or '.join(able)}",
                code="forbidden",
            )


def create_token(session: Session, name: str, role: Role, now: datetime) -> str:
    """The secret of a new token: shown now and never again. Raises Invalid, or Conflict when the name is taken."""
    if not name or len(name) > NAME_LIMIT or not name.isprintable() or name != name.strip():
        raise Invalid(f"the name {name[:NAME_LIMIT]!r} is not usable; take 1 to {NAME_LIMIT} printable characters")
    if (known := access.to_change(session, name)) is not None:
        state = "" if known.revoked_at is None else ", which was revoked"
        raise Conflict(f"there is a token called {name!r} already{state}; take another name")
    secret = PREFIX + base64.urlsafe_b64encode(secrets.token_bytes(SECRET_BYTES)).rstrip(b"=").decode("ascii")
    access.add(session, name=name, role=role.value, secret_hash=_hash(secret), now=now)
    return secret


def authenticate(session: Session, secret: str) -> Principal | None:
    """Who has this secret; None when it opens nothing (any more)."""
    if not secret or len(secret) > SECRET_LIMIT:
        return None
    token = access.by_hash(session, _hash(secret))
    return None if token is None else Principal(name=token.name, role=Role(token.role))


def revoke(session: Session, name: str, now: datetime) -> bool:
    """Whether the token was in force until now; revoking it again changes nothing. Raises NotFound."""
    token = access.to_change(session, name)
    if token is None:
        raise NotFound(f"no token is called {name!r}; `metergate tokens list` shows them")
    if token.revoked_at is not None:
        return False
    access.revoke(session, token, now)
    return True


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()
