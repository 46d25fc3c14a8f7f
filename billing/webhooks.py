"""Addresses that are told what happened: declared, listed, removed, switched on again.

The law: a secret is shown once, when the webhook is declared. It signs as Standard Webhooks has it.
"""

import base64
import secrets
from collections.abc import Collection
from datetime import datetime
from urllib.parse import urlsplit

from sqlmodel import Session

from billing.core.errors import Invalid, NotFound
from storage import webhooks as stored
from storage.tables import Webhook
from storage.telling import EVENTS

URL_LIMIT = 2000
ANSWER_SECONDS = 10.0
"""How long a receiver may take to answer."""
SECRET_PREFIX = "whsec_"  # noqa: S105 - what every secret begins with, by the standard
SECRET_BYTES = 32
WEBHOOKS_LIMIT = 50
"""Each is looked at by every transaction that tells something."""


def add(
    session: Session, url: str, events: Collection[str], now: datetime, *, private: bool = False
) -> tuple[int, str]:
    """The id and the secret of a new webhook. `private` addresses, and plain HTTP to them, are a setting's to allow."""
    checked_url(url, private=private)
    wrong = sorted(set(events) - set(EVENTS))
    if wrong or not events:
        named = f"event {wrong[0]!r} is not known" if wrong else "a webhook needs an event"
        raise Invalid(f"{named}; take from {', '.join(EVENTS)}")
    if len(stored.listed(session)) >= WEBHOOKS_LIMIT:
        raise Invalid(f"there are {WEBHOOKS_LIMIT} webhooks, and more are not allowed; remove one")
    secret = SECRET_PREFIX + base64.b64encode(secrets.token_bytes(SECRET_BYTES)).decode("ascii")
    ordered = [event for event in EVENTS if event in set(events)]
    return stored.add(session, Webhook(url=url, events=ordered, secret=secret, created_at=now)), secret


def remove(session: Session, identity: int, now: datetime) -> None:
    """Tell an address nothing any more; what waits for it is given up. Raises NotFound."""
    row = known(session, identity)
    row.removed_at = now
    stored.save(session, row)
    stored.drop_waiting(session, identity, "the webhook was removed")


def enable(session: Session, identity: int) -> None:
    """Switch a webhook on again that failed for too long. Raises NotFound."""
    row = known(session, identity)
    row.disabled_at, row.failing_since, row.disabled_why = None, None, ""
    stored.save(session, row)


def known(session: Session, identity: int) -> Webhook:
    """The webhook of an id. Raises NotFound."""
    row = stored.find(session, identity)
    if row is None:
        raise NotFound(f"no webhook has the id {identity}; `metergate webhooks list` shows them")
    return row


def checked_url(url: str, *, private: bool) -> None:
    """Raise Invalid for an address that is not to be told anything."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        host = port = None
        parts = urlsplit("")
    schemes = ("https", "http") if private else ("https",)
    usable = len(url) <= URL_LIMIT and url.isascii() and url.isprintable() and " " not in url and port != 0
    if not usable or not host or parts.scheme not in schemes or parts.username is not None or parts.fragment:
        raise Invalid(
            f"{url[:100]!r} is not an address to tell; write https://host/path, without user, password or fragment"
        )
