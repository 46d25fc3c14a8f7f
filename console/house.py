"""What the pages stand on: the database, the clock, the settings, and what only the gateway can do.

The law: a page holds no rule. What it does is a use case of `billing`, or one of these services.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from config.clock import Clock
from config.settings import Settings
from storage.dashboard import DayCounts
from storage.database import Database
from storage.quarantine import Which


@dataclass(frozen=True, slots=True, kw_only=True)
class Replay:
    """What a replay came to; `stayed` has a sentence for each message, by its id, that waits on."""

    done: int
    stayed: Mapping[int, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """What the pages ask of the gateway, which is above them."""

    replay: Callable[[Which], Replay]
    """Take in what waits in quarantine."""
    discard: Callable[[Which], int]
    """Give up what waits in quarantine; how many messages they were."""
    start_close: Callable[[date, str], int]
    """Begin a close of the months that have ended by a day, for somebody; the id of its run. Raises Refused."""
    try_mapping: Callable[[bytes, Mapping[str, Any] | None, str, str], Sequence[Mapping[str, Any]]]
    """What a source, written as YAML, makes of a payload and its properties on a topic: a row each, kept nowhere."""


@dataclass(frozen=True, slots=True, kw_only=True)
class House:
    """The wired parts of the console."""

    database: Database
    clock: Clock
    settings: Settings
    services: Services
    wake: Callable[[], None]
    """Called after a commit that wrote to the outbox: what waits there leaves now."""
    day_counts: DayCounts = field(default_factory=DayCounts)
    """The usage records of each day, remembered between pages."""
