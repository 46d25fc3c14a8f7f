"""The words of a simulated history: what objects send, what the back office commands, and each object's whole story.

The law: nothing here knows the engine; days are local days of the object's contract, their ends exclusive.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any, Literal

FIRST_DAY = date(2023, 11, 20)
"""Before a leap day, a year's end and both changes of clocks of the southern summer."""
USAGE_DAYS = 130
LAST_CLOSED_DAY = date(2024, 5, 31)
LAST_COMMAND_DAY = date(2024, 5, 20)
"""No command comes after the last close, which would have to know of it."""
DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """What an object sends once, and the instants at which the broker delivers it (a repeat is a delivery more)."""

    reference: str
    metric: str
    value: Decimal
    measured_at: datetime
    sender_id: str
    says_time: bool
    deliveries: tuple[datetime, ...]
    conflicting: bool = False
    """Whether it bears the key of an earlier message with another value: it must change nothing."""
    taken_back: bool = False
    """Whether a command takes it back later: it is owed as if it had never come."""
    properties: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """A command from the back office; `on` is the local day that it takes effect, the present one when None."""

    at: datetime
    reference: str
    command: Literal[
        "activate",
        "suspend",
        "resume",
        "change_plan",
        "transfer",
        "no_renew",
        "terminate",
        "reverse",
        "exchange",
    ]
    request_id: str
    body: Mapping[str, Any]
    deliveries: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """From a day on an object is on a plan (or on a later version of one, by its key) in a contract."""

    day: date
    told_at: datetime
    plan: str
    contract: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Repricing:
    """A change of price, told `at` an instant: from a day on all who are on a plan have other charges.

    `key` is the name under which the auditor knows the plan with them.
    """

    at: datetime
    plan: str
    key: str
    on: date
    charges: tuple[Mapping[str, Any], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Device:
    """One object's whole story; days are local days of its contract's zone, ends exclusive.

    It begins on `plan` in `contract`, and goes on as its `changes` say.
    """

    reference: str
    site: str
    contract: str
    plan: str
    zone: str
    starts_on: date
    ends_on: date
    changes: tuple[Change, ...]
    suspended: tuple[tuple[date, date], ...]
    commands: tuple[Command, ...]
    messages: tuple[Message, ...]
    exchanges: tuple[tuple[datetime, Decimal, Decimal], ...] = ()
    """When another register went on behind the object, with the old one's last reading and the new one's first."""
    terms: tuple[date, ...] = ()
    """Where a term ended and renewed."""
    fees_until: date | None = None
    """To where its fees stay owed after an early end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """A whole world: the catalogue as a mapping, the devices, and the instants at which months are closed."""

    seed: int
    catalogue: Mapping[str, Any]
    devices: tuple[Device, ...]
    closes: tuple[tuple[datetime, date], ...] = field(repr=False)
    looks: tuple[datetime, ...] = field(default=(), repr=False)
    """When somebody looks for what has passed a threshold."""
    repricings: tuple[Repricing, ...] = ()


def months_later(day: date, months: int) -> date:
    """The same day of a later month, or its last one."""
    index = day.year * 12 + day.month - 1 + months
    year, month = divmod(index, 12)
    for last in range(day.day, 27, -1):
        try:
            return date(year, month + 1, last)
        except ValueError:
            continue
    return date(year, month + 1, day.day)
