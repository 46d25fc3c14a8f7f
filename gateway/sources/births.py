"""What Sparkplug births said: which metric an alias is, of which session a death is, and when a birth is asked for.

The law: a value whose name is not known is never guessed; it waits until the birth that names it is there. A message
that is replayed is named by the birth of its own time, and teaches nothing.
"""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from gateway.sources.codecs import sparkplug
from gateway.sources.codecs.sparkplug import Measured, Payload
from gateway.telemetry import Unreadable

SEQUENCE = 256
ASK_AGAIN_SECONDS = 60.0
"""A rebirth is asked for once in so long: an edge node that cannot answer is not asked by every message."""
BD_SEQ = "bdSeq"
OBJECTS_KEPT = 10_000
"""Objects behind one edge node that a gap of its numbers is told of."""
BIRTHS, DEATHS, DATA = ("NBIRTH", "DBIRTH"), ("NDEATH", "DDEATH"), ("NDATA", "DDATA")


class Place(NamedTuple):
    """Where a message is from; `topic` is that of the commands to its edge node."""

    source: str
    kind: str
    group: str
    edge: str
    device: str
    topic: str

    @property
    def node(self) -> str:
        """The key of what was born: an edge node, or a device behind it."""
        return f"{self.source}/{self.group}/{self.edge}/{self.device}"

    @property
    def edge_node(self) -> str:
        return f"{self.source}/{self.group}/{self.edge}/"


class Skipped(NamedTuple):
    """Messages of an edge node that did not come, between the arrival of two; times in microseconds."""

    source: str
    first: int
    last: int
    starts_at: int
    ends_at: int
    references: frozenset[str]
    """The objects that were heard behind it."""


class Born(NamedTuple):
    """What a birth said, and when it arrived (microseconds)."""

    content: Mapping[str, Any]
    at: int


@dataclass(slots=True)
class Births:
    """What is known of births; `changed` is what a transaction is to keep, `asked` the edge nodes to ask.

    `skipped` are the messages that are missing.
    """

    known: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    changed: dict[str, Born] = field(default_factory=dict)
    asked: set[str] = field(default_factory=set)
    skipped: list[Skipped] = field(default_factory=list)
    _behind: dict[str, set[str]] = field(default_factory=dict)
    """By edge node, the objects that were heard behind it."""
    _last: dict[str, tuple[int, int]] = field(default_factory=dict)
    """By edge node, the number of its last message and when it arrived."""
    _read: dict[str, tuple[int, int]] = field(default_factory=dict)
    """The same, of messages that are read and not committed."""
    _asked_at: dict[str, float] = field(default_factory=dict)
    _then: Mapping[str, Mapping[str, Any]] | None = None
    """The births of the time of a message that is replayed."""

    @contextmanager
    def as_of(self, then: Mapping[str, Mapping[str, Any]]) -> Iterator[None]:
        """Read a message that is replayed with the births of its time: nothing is learnt, followed or asked for."""
        self._then = then
        try:
            yield
        finally:
            self._then = None

    def settle(self) -> None:
        """What was to be kept and asked for is committed."""
        self.changed.clear()
        self.asked.clear()
        self.skipped.clear()
        self._last |= self._read
        self._read.clear()

    def unread(self) -> None:
        """What was read is not committed, and is read again: its numbers are followed again from where they stood."""
        self.skipped.clear()
        self._read.clear()

    def devices(self, place: Place) -> list[str]:
        """The devices behind an edge node whose births are known."""
        stem = place.edge_node
        return sorted(node.removeprefix(stem) for node in self.known if node.startswith(stem) and node != stem)

    def documents(self, place: Place, payload: bytes, *, reference: str | None = None, at: int = 0) -> list[Any]:
        """A document for the event, where the message is one, and one for each value. Raises Unreadable."""
        if place.kind not in (*BIRTHS, *DEATHS, *DATA):
            return []  # a command, which is not for us
        said = sparkplug.decode(payload)
        if place.kind == "NDEATH":
            return self._death(place, said)
        if self._then is None:
            self._follow(place, said, reference, at)
            if place.kind in BIRTHS:
                self._born(place, said, at)
        event = [] if place.kind in DATA else [{"event": place.kind, "time": said.time}]
        return [*event, *self._values(place, said)]

    def _death(self, place: Place, said: Payload) -> list[Any]:
        session = next((it.raw for it in said.metrics if it.name == BD_SEQ), None)
        birth = self._birth(place.edge_node)
        if birth is not None and birth.get(BD_SEQ) is not None and session != birth[BD_SEQ]:
            return []  # the will of a session that is over, told late
        return [{"event": place.kind, "time": said.time, "key": f"{BD_SEQ} {session}"}]

    def _follow(self, place: Place, said: Payload, reference: str | None, at: int) -> None:
        """Ask for a rebirth where a message of the edge node is missing, and remember that it is."""
        behind = self._behind.setdefault(place.edge_node, set())
        if reference is not None and len(behind) < OBJECTS_KEPT:
            behind.add(reference)
        if said.seq is None:
            return
        node = place.edge_node
        before = self._read.get(node) or self._last.get(node)
        self._read[node] = said.seq, at
        if place.kind == "NBIRTH" or before is None:
            return
        last, last_at = before
        ahead = (said.seq - last) % SEQUENCE
        if ahead > 1:
            self._ask(place)
        if 1 < ahead <= SEQUENCE // 2:  # further on, it is one that comes again
            self.skipped.append(Skipped(place.source, last + 1, last + ahead - 1, last_at, at, frozenset(behind)))

    def _birth(self, node: str) -> Mapping[str, Any] | None:
        return (self.known if self._then is None else self._then).get(node)

    def _born(self, place: Place, said: Payload, at: int) -> None:
        names = [it for it in said.metrics if it.name is not None]
        birth = {
            "aliases": {str(it.alias): it.name for it in names if it.alias is not None},
            "datatypes": {it.name: it.datatype for it in names if it.datatype is not None},
            BD_SEQ: next((it.raw for it in names if it.name == BD_SEQ), None),
        }
        if self.known.get(place.node) != birth:
            self.known[place.node] = birth
            self.changed[place.node] = Born(birth, at)

    def _values(self, place: Place, said: Payload) -> Iterator[Any]:
        birth = self._birth(place.node) or {}
        for metric in said.metrics:
            name = self._name(place, metric, birth)
            if name == BD_SEQ or metric.null:
                continue
            datatype = metric.datatype or birth.get("datatypes", {}).get(name)
            value = sparkplug.signed(metric.raw, datatype)
            at = said.time if metric.time is None else metric.time
            yield {"name": name, "value": value, "time": at, "born": place.kind in BIRTHS}

    def _name(self, place: Place, metric: Measured, birth: Mapping[str, Any]) -> str:
        if metric.name is not None:
            return metric.name
        name = birth.get("aliases", {}).get(str(metric.alias))
        if name is None:
            self._ask(place)
            raise Unreadable(
                "no_birth", f"no birth of {place.node} says what the alias {metric.alias} is; it is asked for"
            )
        return str(name)

    def _ask(self, place: Place) -> None:
        now = time.monotonic()
        if self._then is None and now - self._asked_at.get(place.topic, -ASK_AGAIN_SECONDS) >= ASK_AGAIN_SECONDS:
            self._asked_at[place.topic] = now
            self.asked.add(place.topic)
