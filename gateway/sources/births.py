"""What Sparkplug births said: which metric an alias is, of which session a death is, and when a birth is asked for.

The law: a value whose name is not known is never guessed; it waits until the birth that names it is there.
"""

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from gateway.sources.codecs import sparkplug
from gateway.sources.codecs.sparkplug import Measured, Payload
from gateway.telemetry import Unreadable

SEQUENCE = 256
ASK_AGAIN_SECONDS = 60.0
"""A rebirth is asked for once in so long: an edge node that cannot answer is not asked by every message."""
BD_SEQ = "bdSeq"
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


@dataclass(slots=True)
class Births:
    """What is known of births; `changed` is what a transaction is to keep, `asked` the edge nodes to ask."""

    known: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    changed: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    asked: set[str] = field(default_factory=set)
    _last_seq: dict[str, int] = field(default_factory=dict)
    _asked_at: dict[str, float] = field(default_factory=dict)

    def settle(self) -> None:
        """What was to be kept and asked for is committed."""
        self.changed.clear()
        self.asked.clear()

    def documents(self, place: Place, payload: bytes) -> list[Any]:
        """A document for the event, where the message is one, and one for each value. Raises Unreadable."""
        if place.kind not in (*BIRTHS, *DEATHS, *DATA):
            return []  # a command, which is not for us
        said = sparkplug.decode(payload)
        if place.kind == "NDEATH":
            return self._death(place, said)
        self._follow(place, said)
        if place.kind in BIRTHS:
            self._born(place, said)
        event = [] if place.kind in DATA else [{"event": place.kind, "time": said.time}]
        return [*event, *self._values(place, said)]

    def _death(self, place: Place, said: Payload) -> list[Any]:
        session = next((it.raw for it in said.metrics if it.name == BD_SEQ), None)
        birth = self.known.get(place.edge_node)
        if birth is not None and birth.get(BD_SEQ) is not None and session != birth[BD_SEQ]:
            return []  # the will of a session that is over, told late
        return [{"event": place.kind, "time": said.time, "key": f"{BD_SEQ} {session}"}]

    def _follow(self, place: Place, said: Payload) -> None:
        """Ask for a rebirth where a message of the edge node is missing."""
        if said.seq is None:
            return
        last = self._last_seq.get(place.edge_node)
        self._last_seq[place.edge_node] = said.seq
        if place.kind != "NBIRTH" and last is not None and said.seq != (last + 1) % SEQUENCE and said.seq != last:
            self._ask(place)

    def _born(self, place: Place, said: Payload) -> None:
        names = [it for it in said.metrics if it.name is not None]
        birth = {
            "aliases": {str(it.alias): it.name for it in names if it.alias is not None},
            "datatypes": {it.name: it.datatype for it in names if it.datatype is not None},
            BD_SEQ: next((it.raw for it in names if it.name == BD_SEQ), None),
        }
        if self.known.get(place.node) != birth:
            self.known[place.node] = self.changed[place.node] = birth

    def _values(self, place: Place, said: Payload) -> Iterator[Any]:
        birth = self.known.get(place.node, {})
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
        if now - self._asked_at.get(place.topic, -ASK_AGAIN_SECONDS) >= ASK_AGAIN_SECONDS:
            self._asked_at[place.topic] = now
            self.asked.add(place.topic)
