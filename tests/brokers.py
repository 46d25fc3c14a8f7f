"""A real Mosquitto, started from the shipped `mosquitto.conf` and `mosquitto.acl`, on a free port."""

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from paho.mqtt.client import Client, MQTTv5
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

ROOT = Path(__file__).parent.parent
FIX = "install it with `apt-get install mosquitto`"
START_SECONDS = 10.0
ANSWER_SECONDS = 10.0


def binaries() -> tuple[str, str] | None:
    """Where `mosquitto` and `mosquitto_passwd` are, or None."""
    path = f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin"
    broker, passwords = shutil.which("mosquitto", path=path), shutil.which("mosquitto_passwd", path=path)
    return (broker, passwords) if broker and passwords else None


@dataclass
class Broker:
    """A broker whose users have their own name as password."""

    folder: Path
    port: int
    process: "subprocess.Popen[bytes] | None" = field(default=None)

    def url(self, user: str = "gateway") -> str:
        return f"mqtt://{user}:{user}@127.0.0.1:{self.port}"

    def start(self) -> None:
        found = binaries()
        assert found is not None, FIX
        log = (self.folder / "mosquitto.log").open("ab")
        with log:
            self.process = subprocess.Popen([found[0], "-c", "mosquitto.conf"], cwd=self.folder, stdout=log, stderr=log)
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            assert self.process.poll() is None, (self.folder / "mosquitto.log").read_text()
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            time.sleep(0.01)
        raise AssertionError(f"Mosquitto did not listen on port {self.port} within {START_SECONDS} s")

    def stop(self) -> None:
        if self.process is not None:
            self.process.terminate()
            self.process.wait(START_SECONDS)
            self.process = None


@contextmanager
def mosquitto(folder: Path, *, users: tuple[str, ...] = (), bridge: str | None = None) -> Iterator[Broker]:
    """A running broker with the users `gateway`, `backoffice` and `users`; `bridge` may speak for every object."""
    found = binaries()
    assert found is not None, FIX
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    shipped = (ROOT / "mosquitto.conf").read_text()
    assert "listener 1883 127.0.0.1\n" in shipped
    # As root, Mosquitto would become another user, who may not enter the test's folder.
    as_root = "user root\n" if os.geteuid() == 0 else ""
    (folder / "mosquitto.conf").write_text(shipped.replace("listener 1883 ", f"{as_root}listener {port} "))
    acl = (ROOT / "mosquitto.acl").read_text()
    if bridge is not None:
        users = (*users, bridge)
        acl += f"\nuser {bridge}\ntopic write devices/+/telemetry\n"
    (folder / "mosquitto.acl").write_text(acl)
    passwords = folder / "mosquitto.passwd"
    passwords.write_text("".join(f"{user}:{user}\n" for user in ("gateway", "backoffice", *users)))
    passwords.chmod(0o600)
    subprocess.run([found[1], "-U", str(passwords)], check=True, timeout=START_SECONDS)
    broker = Broker(folder=folder, port=port)
    broker.start()
    try:
        yield broker
    finally:
        broker.stop()


class Refused(Exception):
    """The broker refused the connection."""


class Peer:
    """A client under one user's name that publishes and listens; `with Peer(broker, "IOT_NS542") as peer`."""

    def __init__(self, broker: Broker, user: str | None) -> None:
        self._broker = broker
        self.received: list[tuple[str, bytes]] = []
        self._reasons: dict[int, Any] = {}
        self._granted: dict[int, Any] = {}
        self._answer: Any = None
        self._client = Client(CallbackAPIVersion.VERSION2, protocol=MQTTv5)
        if user is not None:
            self._client.username_pw_set(user, user)
        self._client.on_connect = self._on_connect
        self._client.on_publish = lambda _c, _u, mid, reason, _p: self._reasons.__setitem__(mid, reason)
        self._client.on_subscribe = lambda _c, _u, mid, reasons, _p: self._granted.__setitem__(mid, reasons[0])
        self._client.on_message = lambda _c, _u, message: self.received.append((message.topic, bytes(message.payload)))

    def __enter__(self) -> Self:
        self._client.connect("127.0.0.1", self._broker.port)
        self._client.loop_start()
        eventually(lambda: self._answer is not None, "the broker answers the connection")
        if self._answer.is_failure:
            self.__exit__()
            raise Refused(str(self._answer))
        return self

    def __exit__(self, *_: object) -> None:
        self._client.disconnect()
        self._client.loop_stop()

    def publish(
        self, topic: str, payload: str | bytes, *, qos: int = 1, retain: bool = False, response_topic: str = ""
    ) -> bool:
        """Publish and wait for the acknowledgement; whether the broker allowed it (always True at QoS 0)."""
        properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
        if response_topic:
            properties.ResponseTopic = response_topic
            properties.CorrelationData = b"correlation"
        info = self._client.publish(topic, payload, qos=qos, retain=retain, properties=properties)
        eventually(lambda: info.mid in self._reasons, f"{topic} is acknowledged")
        return not (qos and self._reasons[info.mid].is_failure)

    def post(self, topic: str, payload: str | bytes) -> None:
        """Publish at QoS 1 without waiting."""
        self._client.publish(topic, payload, qos=1)

    def flushed(self, count: int) -> bool:
        """Whether `count` publications were acknowledged."""
        return len(self._reasons) >= count

    def subscribe(self, pattern: str) -> bool:
        """Subscribe and wait for the answer; Mosquitto grants, and checks each delivery."""
        _, mid = self._client.subscribe(pattern, 1)
        assert mid is not None
        eventually(lambda: mid in self._granted, f"the subscription to {pattern} is answered")
        return not self._granted[mid].is_failure

    def _on_connect(self, _client: Any, _userdata: Any, _flags: Any, reason: Any, _properties: Any) -> None:
        if self._answer is None:
            self._answer = reason


def eventually(condition: Any, what: str, *, seconds: float = ANSWER_SECONDS) -> None:
    """Wait until `condition()` holds; fail with `what` when it does not in time."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not within {seconds} s: {what}"
        time.sleep(0.01)
