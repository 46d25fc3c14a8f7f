"""What the receiver needs of a connection to the broker, whichever client makes it.

The law: a link is one connection and never connects again. What it delivered and was not acknowledged ends with it:
the broker sends that again on the next one, where a packet id may belong to another message.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from gateway.attached import Attached
from gateway.mqtt import Address


class LinkError(Exception):
    """The connection cannot be made, or has ended: the sentence says why."""

    def __init__(self, sentence: str, *, taken_over: bool = False) -> None:
        super().__init__(sentence)
        self.taken_over = taken_over
        """Whether another client with the same id has the session now: who hurries back only takes it back."""


class Publication(NamedTuple):
    """A message as it came; `packet_id` is 0 at QoS 0, and what stands behind `retained` comes only under MQTT 5."""

    topic: str
    payload: bytes
    packet_id: int
    retained: bool
    response_topic: str | None = None
    correlation_data: bytes | None = None
    attached: Attached | None = None
    """The content type and the user properties, where there are any."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkOptions:
    """How to connect: every option that matters, none left to a library's default."""

    address: Address
    client_id: str
    mqtt_version: str
    keepalive_seconds: int
    receive_window: int
    """Messages in flight without acknowledgement."""
    subscribe: Sequence[str]
    """Topic filters, at QoS 1; `$share/GROUP/FILTER` for a shared one."""
    leave: Sequence[str] = ()
    """Filters that the kept session may hold and is to hold no more."""


class Link(Protocol):
    """One connection; its methods are called by one thread, but `interrupt` and `leave`, which any may call."""

    def open(self) -> bool:
        """Connect, keep or make the session, subscribe; whether the broker had kept the session. Raises LinkError."""
        ...

    def receive(self, limit: int) -> Sequence[Publication]:
        """What has arrived, at most `limit`, as soon as there is anything; empty after `interrupt`.

        Raises LinkError when the connection has ended and all that it still had at QoS 0 was given out.
        """
        ...

    def stands(self) -> bool:
        """Whether the connection is still there, as far as can be told without waiting.

        What it delivered at QoS 1 and nobody has written yet is not to be written once it does not: it comes again.
        """
        ...

    def acknowledge(self, packet_ids: Sequence[int]) -> None:
        """Tell the broker that these are done with, in one write. Raises LinkError."""
        ...

    def join(self, filters: Sequence[str]) -> None:
        """Collect under these filters too, from now on; a refusal by the broker is logged."""
        ...

    def leave(self, filters: Sequence[str]) -> None:
        """Collect no more under these filters; what waits in the session already still comes."""
        ...

    def interrupt(self) -> None:
        """Wake `receive`: nothing more is wanted."""
        ...

    def close(self) -> None:
        """Disconnect, as a client that will be back; never raises."""
        ...
