"""A coverage-guided target: any bytes on any topic are read or refused with a reason, and nothing else happens.

`make fuzz` runs it for a minute; its arguments are libFuzzer's (`-max_total_time=600`, a folder for the corpus). With
`--planted` first it has a fault planted, so that a test can see it find one.
"""

import sys
from datetime import UTC, datetime

import atheris

with atheris.instrument_imports(include=["gateway", "billing.core"]):
    from config.settings import Settings
    from gateway.links.packets import ProtocolError, Reader
    from gateway.message import Message, Rules
    from gateway.reading import read_own, read_source
    from gateway.sources.shipped import preset_names
    from gateway.telemetry import Unreadable
    from tests.sources.declaring import METRICS, declare

NOON = datetime(2022, 4, 14, 12, tzinfo=UTC)
OWN = ("devices/A/telemetry", "devices/A/lifecycle", "devices/A/commands/ack")
MORE = {"dsmr": ", reference: METER"}
PLANTED = "--planted"
PACKET_BYTES = 4096


def _sources() -> list[tuple[Rules, list[str]]]:
    """Each preset in force, with a topic for each of its filters."""
    found = []
    for name in preset_names():
        declared = declare(f"sources: [{{name: it, preset: {name}{MORE.get(name, '')}}}]", METRICS)
        patterns = [message.pattern for source in declared.sources.sources.values() for message in source.messages]
        topics = ["/".join("A" if level in ("+", "#") else level for level in it.filter.split("/")) for it in patterns]
        found.append((Rules.of(Settings(), declared.sources), topics))
    return found


RULES = Rules.of(Settings())
SOURCES = _sources()
CHOICES = [(rules, topic) for rules, topics in SOURCES for topic in topics]


def one_input(data: bytes) -> None:
    """The first byte says where the others arrive: on one of our topics, on one of a preset, or from the broker."""
    if not data:
        return
    where, retained, payload = data[0] % (len(OWN) + len(CHOICES) + 2), data[0] > 127, data[1:]
    if payload.startswith(b"{}") and sys.argv[1:2] == [PLANTED]:
        raise AssertionError("the planted fault")
    if where < 2:
        try:
            Reader(five=bool(where), maximum_packet_bytes=PACKET_BYTES).feed(payload)
        except ProtocolError:
            return
        return
    rules, topic = CHOICES[where - 2] if where - 2 < len(CHOICES) else (RULES, OWN[where - 2 - len(CHOICES)])
    message = Message(topic=topic, payload=payload, received_at=NOON, retained=retained)
    try:
        if topic in OWN:
            read_own(message, rules)
        else:
            read_source(message, rules, [])
    except Unreadable:
        return


def main() -> None:
    """Fuzz until the time is over, or until something is raised."""
    arguments = [it for it in sys.argv if it != PLANTED]
    atheris.Setup(arguments, one_input)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
