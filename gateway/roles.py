"""Which parts a process runs, under which client id, and what it subscribes to.

The law: a client id is fixed, because the broker keeps a session under it; two processes never share one.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from config.settings import Settings

Role = Literal["all", "ingest", "control", "close", "web"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What one process does: take usage and reports in, obey and publish, close and keep house, serve HTTP."""

    ingest: bool = False
    control: bool = False
    close: bool = False
    web: bool = False


PARTS: dict[Role, Parts] = {
    "all": Parts(ingest=True, control=True, close=True, web=True),
    "ingest": Parts(ingest=True),
    "control": Parts(control=True),
    "close": Parts(close=True),
    "web": Parts(web=True),
}
"""Every role of `metergate run`."""
BESIDE_WORKERS = Parts(control=True, close=True, web=True)
"""What the parent of `metergate run --workers N` does itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Filters:
    """The topic filters of one session: to subscribe at each connection, and to leave first."""

    subscribe: tuple[str, ...]
    leave: tuple[str, ...] = ()

    @classmethod
    def everything(cls, settings: Settings) -> "Filters":
        """One process that receives all."""
        return cls(subscribe=(*usage_filters(settings), control_filter(settings)))


def usage_filters(settings: Settings) -> tuple[str, ...]:
    """What objects publish: usage, reports, and answers to commands."""
    devices = settings.topic_devices
    return f"{devices}/+/telemetry", f"{devices}/+/lifecycle", f"{devices}/+/commands/ack"


def shared_filters(settings: Settings) -> tuple[str, ...]:
    """The same, each message to one member of the group; the group is named after the client id."""
    return tuple(f"$share/{settings.client_id}/{pattern}" for pattern in usage_filters(settings))


def control_filter(settings: Settings) -> str:
    """What the back office publishes."""
    return f"{settings.topic_control}/objects/+/+"


def member_id(settings: Settings, member: int) -> str:
    """The fixed client id of the ingest member with this number, from 1."""
    return f"{settings.client_id}-ingest-{member}"


def client_id(settings: Settings, parts: Parts, member: int) -> str:
    """The client id whose session a process with these parts uses."""
    return member_id(settings, member) if parts == PARTS["ingest"] else settings.client_id


def filters(settings: Settings, parts: Parts) -> Filters | None:
    """What a process with these parts subscribes to; None when it receives nothing."""
    if parts.ingest and parts.control:
        return Filters.everything(settings)
    if parts.ingest:
        return Filters(subscribe=shared_filters(settings))
    if parts.control:
        return Filters(subscribe=(control_filter(settings),))
    return None


def leaving(settings: Settings) -> Filters:
    """Of a session that is drained: it subscribes to nothing and leaves all that it may hold."""
    held: Sequence[str] = (*shared_filters(settings), *usage_filters(settings))
    return Filters(subscribe=(), leave=tuple(held))
