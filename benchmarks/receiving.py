"""What receiving alone costs: a backlog drained by each client, acknowledged and thrown away, beside `mosquitto_sub`.

Run `python -m benchmarks.receiving [MESSAGES [ROUNDS]]`. Each contender has a session of its own, so one load of the
shipped Mosquitto serves them all; they take turns, and the order turns with them. The figures are medians.
"""

import socket
import statistics
import struct
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from config.settings import Settings
from gateway.links import packets
from gateway.links.link import Link, LinkOptions
from gateway.mqtt import address_from
from gateway.receiver import link_maker
from tests import brokers
from tests.brokers import Broker

OBJECTS = 1000
UNDER_WAY_MAX = 2000
"""Publications that the loader leaves unanswered."""
PATTERN = "devices/+/telemetry"
Contender = Callable[[Broker, int], float]
"""Drains so many messages and returns the seconds; with none it only makes the session."""


def load(broker: Broker, count: int) -> None:
    """Publish at QoS 1, as fast as the broker takes it."""
    with socket.create_connection(("127.0.0.1", broker.port)) as connection:
        connection.sendall(
            packets.connect(
                five=False,
                client_id="loader",
                user="bridge",
                password="bridge",  # noqa: S106 - of a throw-away broker
                keepalive_seconds=0,
                receive_window=1,
                maximum_packet_bytes=1,
            )
        )
        connection.recv(4)
        answered = 0

        def answers() -> None:
            nonlocal answered
            while answered < 4 * count and (arrived := connection.recv(65536)):
                answered += len(arrived)

        reader = threading.Thread(target=answers)
        reader.start()
        at = int(time.time() * 1000) - count
        for start in range(0, count, 200):
            while 4 * start - answered > 4 * UNDER_WAY_MAX:
                time.sleep(0.001)
            connection.sendall(
                b"".join(_publish(number, at + number) for number in range(start, min(start + 200, count)))
            )
        reader.join()


def _publish(number: int, at: int) -> bytes:
    topic = b"devices/IOT_%05d/telemetry" % (number % OBJECTS)
    body = b'{"id":"%032x-%08d","ts":%d,"metrics":{"usage":%d.25,"level":%d}}' % (
        number * 0x9E3779B97F4A7C15,
        number,
        at,
        number % 100,
        number,
    )
    head = struct.pack(">H", len(topic)) + topic + struct.pack(">H", number % 65535 + 1)
    return b"\x32" + _length(len(head) + len(body)) + head + body


def _length(value: int) -> bytes:
    return bytes([value]) if value <= packets.ONE_BYTE_MAX else bytes([value & 127 | 128, value >> 7])


def link_of(settings: Settings) -> Link:
    """The connection that a gateway with these settings receives telemetry by."""
    return link_maker(settings)(
        LinkOptions(
            address=address_from(settings.broker_url),
            client_id=settings.client_id,
            mqtt_version=settings.mqtt_version,
            keepalive_seconds=settings.keepalive_seconds,
            receive_window=settings.receive_window,
            subscribe=(PATTERN,),
        )
    )


def drain_by_link(broker: Broker, count: int, *, name: str, receiver: str, version: str) -> float:
    """Seconds from the connection until so many messages were received and acknowledged."""
    settings = Settings.model_validate(
        {"broker_url": broker.url(), "client_id": name, "receiver": receiver, "mqtt_version": version}
    )
    link = link_of(settings)
    began = time.perf_counter()
    link.open()
    received = 0
    while received < count:
        batch = link.receive(settings.batch_max)
        link.acknowledge([message.packet_id for message in batch])
        received += len(batch)
    seconds = time.perf_counter() - began
    link.close()
    return seconds


def drain_by_subscriber(broker: Broker, count: int) -> float:
    words = ["mosquitto_sub", "-p", str(broker.port), "-u", "gateway", "-P", "gateway", "-q", "1", "-c", "-i", "sub"]
    began = time.perf_counter()
    ending = ["-C", str(count)] if count else ["-E"]
    subprocess.run([*words, "-t", PATTERN, *ending], check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - began


CONTENDERS: dict[str, Contender] = {
    "mosquitto_sub -q 1": drain_by_subscriber,
    **{
        f"{receiver}, MQTT {version}": partial(
            drain_by_link, name=f"{receiver}-{version}", receiver=receiver, version=version
        )
        for receiver in ("native", "paho")
        for version in ("5", "3.1.1")
    },
}


def main(count: int, rounds: int) -> None:
    rates: dict[str, list[float]] = {name: [] for name in CONTENDERS}
    with tempfile.TemporaryDirectory() as folder, brokers.mosquitto(Path(folder), bridge="bridge") as broker:
        for drain in CONTENDERS.values():
            drain(broker, 0)
        for turn in range(rounds):
            load(broker, count)
            names = list(CONTENDERS)
            for name in names[turn % len(names) :] + names[: turn % len(names)]:
                rates[name].append(count / CONTENDERS[name](broker, count))
    limit = statistics.median(rates["mosquitto_sub -q 1"])
    for name, found in rates.items():
        median = statistics.median(found)
        spread = f"{min(found):,.0f} to {max(found):,.0f}"
        print(f"{name:20} {median:10,.0f} a second ({spread}), {median / limit:.2f} of mosquitto_sub")


if __name__ == "__main__":
    main(*(int(word) for word in (sys.argv[1:] + ["200000", "5"][len(sys.argv) - 1 :])[:2]))
