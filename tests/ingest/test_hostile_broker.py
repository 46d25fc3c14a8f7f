"""The native client against a broker that does not keep to the rules: a script at the other end of a socket."""

import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from config.clock import VirtualClock
from config.settings import Settings
from gateway.links.link import Link, LinkError, LinkOptions, Publication
from gateway.links.native import NativeLink
from gateway.links.paho import PahoLink
from gateway.mqtt import Address
from gateway.receiver import Receiver
from storage.database import Database
from tests.ingest.conftest import NOON

ACCEPT = b"\x20\x03\x00\x00\x00"
GRANT = b"\x90\x04\x00\x01\x00\x01"
MESSAGE = b"\x32\x09\x00\x01a\x00\x07\x00abc"
WINDOW = 10
Script = Callable[[socket.socket], None]


@contextmanager
def broker(script: Script, *, keepalive_seconds: int = 1, **limits: Any) -> Iterator[NativeLink]:
    """A link to a server that plays `script` once; the script may keep the connection until the test is over."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        done = threading.Event()

        def serve() -> None:
            connection, _ = server.accept()
            with connection:
                connection.settimeout(10)
                try:
                    script(connection)
                    done.wait(10)
                except OSError:
                    return

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        port = server.getsockname()[1]
        link = NativeLink(
            LinkOptions(
                address=Address(host="127.0.0.1", port=port, tls=False, user=None, password=None),
                client_id="metergate",
                mqtt_version="5",
                keepalive_seconds=keepalive_seconds,
                receive_window=WINDOW,
                subscribe=("a",),
            ),
            **limits,
        )
        try:
            yield link
        finally:
            done.set()
            link.close()
            thread.join(10)


def says(*pieces: bytes, close: bool = False) -> Script:
    """Read one packet of the client before each piece, then say it."""

    def script(connection: socket.socket) -> None:
        for piece in pieces:
            connection.recv(4096)
            connection.sendall(piece)
        if close:
            connection.shutdown(socket.SHUT_RDWR)

    return script


def live(link: Link) -> None:
    """Open the link and take what comes, to its end."""
    link.open()
    drain(link)


def drain(link: Link) -> None:
    while True:
        link.receive(10)


@pytest.mark.parametrize(
    "script, sentence",
    [
        (says(b"\x20\x03\x00\x87\x00"), "refused the connection: not authorized"),
        (says(b"\x20\x03\x00\x63\x00"), "reason code 0x63"),
        (says(b"", close=True), "closed the connection"),
        (says(b"\x20\x03", close=True), "closed the connection"),
        (says(b"HTTP/1.1 400 Bad Request\r\n" * 5), "the broker sent"),
        (says(ACCEPT, b"\x90\x04\x00\x01\x00\x87"), "refused the subscription to a"),
        (says(ACCEPT, b"\x90\x03\x00\x01\x00"), "refused the subscription to some filter"),
        (says(ACCEPT, b"\xe0\x01\x8b"), "server shutting down"),
    ],
)
def test_a_connection_that_is_not_made_says_why(script: Script, sentence: str) -> None:
    with broker(script) as link, pytest.raises(LinkError, match=sentence):
        link.open()


@pytest.mark.parametrize(
    "piece, sentence",
    [
        (b"\x32\x06\x00\x01a\x00\x00\x00", "packet id 0"),
        (ACCEPT, "a second answer to the connection"),
        (b"\x36\x06\x00\x01a\x00\x01\x00", "QoS 3"),
        (b"\x30\xff\xff\xff\x7f", "more than the 2097152 announced"),
        (b"\xe0\x01\x8e", "session taken over"),
    ],
)
def test_a_broken_rule_ends_the_connection_with_one_sentence(piece: bytes, sentence: str) -> None:
    with broker(says(ACCEPT, GRANT + piece)) as link:
        with pytest.raises(LinkError, match=sentence) as caught:
            live(link)
        assert caught.value.taken_over == (sentence == "session taken over")
        with pytest.raises(LinkError):
            link.acknowledge([7])


def test_messages_byte_by_byte_and_before_the_answer_to_the_subscription_are_received() -> None:
    def script(connection: socket.socket) -> None:
        connection.recv(4096)
        connection.sendall(ACCEPT)
        connection.recv(4096)
        for byte in MESSAGE + GRANT + MESSAGE:
            connection.sendall(bytes([byte]))

    with broker(script) as link:
        assert link.open() is False
        received: list[Publication] = []
        while len(received) < 2:
            received += link.receive(10)
        assert [(message.topic, message.payload, message.packet_id) for message in received] == [("a", b"abc", 7)] * 2


def test_a_queue_that_comes_whole_before_the_answer_to_the_subscription_is_worked_off_as_it_comes() -> None:
    with broker(says(ACCEPT, MESSAGE * WINDOW * 1000 + b"\x90\x04\x00\x01\x00\x87")) as link:
        assert link.open() is False, "it did not wait for the answer"
        with pytest.raises(LinkError, match="refused the subscription to a"):
            drain(link)


def test_what_is_written_last_arrives_though_something_was_not_read() -> None:
    heard_last = threading.Event()

    def script(connection: socket.socket) -> None:
        connection.recv(4096)
        connection.sendall(ACCEPT)
        connection.recv(4096)
        connection.sendall(GRANT + MESSAGE)
        acknowledged = heard(connection, 4)
        connection.sendall(MESSAGE * 1000)
        time.sleep(0.1)  # a broker that reads late
        assert acknowledged + heard(connection, 2) == b"\x40\x02\x00\x07\xe0\x00"
        heard_last.set()

    with broker(script) as link:
        link.open()
        link.receive(10)
        link.acknowledge([7])
        link.interrupt()
        link.close()
        assert heard_last.wait(5)


def test_a_batch_is_no_larger_than_asked_for_and_the_rest_comes_next() -> None:
    with broker(says(ACCEPT, GRANT + MESSAGE * 25)) as link:
        link.open()
        sizes: list[int] = []
        while sum(sizes) < 25:
            sizes.append(len(link.receive(10)))
        assert max(sizes) <= 10


def test_what_an_ended_connection_still_holds_is_given_out_only_at_qos_0() -> None:
    fleeting = b"\x30\x05\x00\x01a\x00x"
    with broker(says(ACCEPT, GRANT + MESSAGE + fleeting, close=True)) as link:
        link.open()
        deadline = time.monotonic() + 10
        received: list[int] = []
        with contextlib.suppress(LinkError):
            while time.monotonic() < deadline:
                received += [message.packet_id for message in link.receive(1)]
        assert 0 in received


def test_a_silent_broker_is_given_up_after_one_and_a_half_keepalives() -> None:
    with broker(says(ACCEPT, GRANT)) as link:
        link.open()
        with pytest.raises(LinkError, match=r"silent for 1\.5 s"):
            link.receive(10)


def test_pings_go_on_while_nobody_reads() -> None:
    """The thread that works on a batch for long does not cost the connection."""
    pings: list[bytes] = []

    def script(connection: socket.socket) -> None:
        connection.recv(4096)
        connection.sendall(ACCEPT)
        connection.recv(4096)
        connection.sendall(GRANT + MESSAGE)
        while sum(len(ping) for ping in pings) < 6:
            pings.append(connection.recv(2))

    with broker(script) as link:
        link.open()
        assert link.receive(10)
        deadline = time.monotonic() + 10
        while b"".join(pings) != b"\xc0\x00" * 3 and time.monotonic() < deadline:
            time.sleep(0.02)
        assert b"".join(pings) == b"\xc0\x00" * 3


def test_interrupting_wakes_a_link_that_waits_and_it_gives_out_what_it_holds() -> None:
    with broker(says(ACCEPT, GRANT)) as link:
        link.open()
        threading.Timer(0.1, link.interrupt).start()
        assert link.receive(10) == []


def heard(connection: socket.socket, size: int) -> bytes:
    """So many bytes of what the client says, without its pings."""
    found = b""
    while len(found) < size:
        arrived = connection.recv(size - len(found))
        assert arrived, f"only {found.hex()} was said"
        found = (found + arrived).replace(b"\xc0\x00", b"")
    return found


def test_a_delivery_at_qos_2_is_completed_and_does_not_end_every_connection() -> None:
    """Only a subscription that somebody else left in the session brings one."""
    said: list[bytes] = []

    def script(connection: socket.socket) -> None:
        says(ACCEPT, GRANT + b"\x34\x09\x00\x01a\x00\x09\x00abc")(connection)
        said.append(heard(connection, 4))
        connection.sendall(b"\x62\x02\x00\x09")
        said.append(heard(connection, 4))
        connection.sendall(MESSAGE)

    with broker(script) as link:
        link.open()
        for packet_id in (9, 7):
            (message,) = link.receive(10)
            assert message.packet_id == packet_id
            link.acknowledge([message.packet_id])
    assert said == [b"\x50\x02\x00\x09", b"\x70\x02\x00\x09"]


def large() -> bytes:
    """A message of 100,000 bytes, at QoS 0."""
    body = b"\x00\x01a\x00" + bytes(100_000)
    return b"\x30" + bytes([len(body) & 127 | 128, len(body) >> 7 & 127 | 128, len(body) >> 14]) + body


def test_large_messages_before_the_answer_to_the_subscription_are_not_all_held() -> None:
    with broker(says(ACCEPT, large() * (WINDOW - 1)), batch_bytes=300_000, answer_seconds=2) as link:
        assert link.open() is False, "it did not wait for the answer, nor for a window of messages"
        assert len(link.receive(WINDOW)) <= 4


def test_large_messages_make_small_batches() -> None:
    count = 40

    with broker(says(ACCEPT, GRANT + large() * count), batch_bytes=300_000) as link:
        link.open()
        sizes: list[int] = []
        while sum(sizes) < count:
            sizes.append(len(link.receive(1000)))
        assert max(sizes) <= 4


def test_a_broker_that_wants_a_shorter_keepalive_gets_it() -> None:
    pinged = threading.Event()

    def script(connection: socket.socket) -> None:
        says(b"\x20\x06\x00\x00\x03\x13\x00\x01", GRANT)(connection)
        if connection.recv(2) == b"\xc0\x00":
            pinged.set()

    with broker(script, keepalive_seconds=60) as link:
        link.open()
        assert pinged.wait(5)


def test_a_broker_that_never_answers_is_given_up() -> None:
    for script in (says(b""), says(ACCEPT, b"")):
        with (
            broker(script, answer_seconds=0.2) as link,
            pytest.raises(LinkError, match=r"did not answer within 0\.2 s"),
        ):
            link.open()


@pytest.mark.parametrize(
    "piece",
    [
        b"\x30\x0b\x00\x01a\x07\x26\x00\x01\xff\x00\x01a",
        b"\x30\x06\x00\x01a\x02\xff\x01",
        b"\x30\x05\x00\x01a\x01\x26",
        b"\x30\x04\x00\x01\xff\x00",
    ],
    ids=["user property no text", "unknown property", "property cut short", "topic no text"],
)
def test_what_paho_cannot_read_ends_its_connection_with_a_sentence(piece: bytes) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            connection, _ = server.accept()
            with connection, contextlib.suppress(OSError):
                connection.settimeout(10)
                says(ACCEPT, GRANT + piece)(connection)
                while connection.recv(4096):
                    pass

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        link = PahoLink(
            LinkOptions(
                address=Address(host="127.0.0.1", port=server.getsockname()[1], tls=False, user=None, password=None),
                client_id="metergate",
                mqtt_version="5",
                keepalive_seconds=1,
                receive_window=WINDOW,
                subscribe=("a",),
            )
        )
        with pytest.raises(LinkError, match="the connection ended"):
            live(link)
        link.close()
        thread.join(10)


def test_a_client_that_breaks_is_replaced_by_a_new_one(sqlite_database: Database) -> None:
    opened = threading.Semaphore(0)

    class Breaking(NativeLink):
        def open(self) -> bool:
            opened.release()
            raise RuntimeError("it fell over")

    receiver = Receiver(Settings(), sqlite_database, VirtualClock(NOON), lambda *_: None, make_link=Breaking)
    receiver.start()
    assert all(opened.acquire(timeout=10) for _ in range(3))
    receiver.stop()
