"""Our own client: the receiving half of MQTT, made for one thing: acknowledging in batches, after the commit.

The law: the thread that receives also works, so nothing is acknowledged behind its back; a second thread does
nothing but ping, so that a database that is away for minutes does not cost the connection.
"""

import logging
import threading
import time
from collections import deque
from collections.abc import Sequence

from gateway.links import packets
from gateway.links.link import LinkError, LinkOptions, Publication
from gateway.links.stream import Stream

log = logging.getLogger(__name__)
READ_BYTES = 65_536
"""Read at a time, again and again for a batch; for more than twice that, memory is asked of the kernel each time."""
ANSWER_SECONDS = 10.0
"""How long the broker may take to answer a CONNECT or a SUBSCRIBE."""
BATCH_BYTES = 8 * 1024 * 1024
"""Read for one batch, and one piece more: large messages make smaller batches, so that the memory is bounded."""
MAXIMUM_PACKET_BYTES = 2 * 1024 * 1024
"""Announced to the broker, and held to under MQTT 3.1.1 too: above `message_size_limit` of the shipped broker."""
SUBSCRIBE_ID, UNSUBSCRIBE_ID, LATER_SUBSCRIBE_ID = 1, 2, 3
FAILURE = 0x80
"""The lowest reason code that is a failure."""


class NativeLink:
    """One connection; see `Link`."""

    def __init__(
        self, options: LinkOptions, *, batch_bytes: int = BATCH_BYTES, answer_seconds: float = ANSWER_SECONDS
    ) -> None:
        self._options = options
        self._batch_bytes = batch_bytes
        self._answer_seconds = answer_seconds
        self._five = options.mqtt_version == "5"
        self._reader = packets.Reader(five=self._five, maximum_packet_bytes=MAXIMUM_PACKET_BYTES)
        self._waiting: deque[Publication] = deque()
        self._connack: packets.Connack | None = None
        self._granted = not options.subscribe
        self._stream: Stream | None = None
        self._joining: deque[tuple[str, ...]] = deque()
        self._ended: LinkError | None = None
        self._interrupted = False
        self._read_bytes = 0
        self._heard_at = time.monotonic()
        self._keepalive_seconds = options.keepalive_seconds
        self._no_more_pings = threading.Event()
        self._pinger = threading.Thread(target=self._ping, name="metergate-ping", daemon=True)

    def open(self) -> bool:
        options, address = self._options, self._options.address
        stream = self._stream = Stream(address)
        stream.write(
            packets.connect(
                five=self._five,
                client_id=options.client_id,
                user=address.user,
                password=address.password,
                keepalive_seconds=options.keepalive_seconds,
                receive_window=options.receive_window,
                maximum_packet_bytes=MAXIMUM_PACKET_BYTES,
            )
        )
        connack = self._answer()
        if connack.code:
            raise LinkError(f"the broker refused the connection: {packets.reason(connack.code)}")
        if connack.keepalive_seconds:
            self._keepalive_seconds = min(connack.keepalive_seconds, options.keepalive_seconds)
        self._pinger.start()
        if options.leave:
            self.leave(options.leave)
        if options.subscribe:
            stream.write(packets.subscribe(SUBSCRIBE_ID, options.subscribe, five=self._five))
            self._await_grant()
        return connack.session_present

    def receive(self, limit: int) -> Sequence[Publication]:
        silence = 1.5 * self._keepalive_seconds
        while not self._waiting and not self._interrupted:
            if not self._read(seconds=silence) and time.monotonic() - self._heard_at >= silence:
                self._end(LinkError(f"the broker was silent for {silence:g} s"))
        # Whatever has arrived is one batch: look once more before working, without waiting.
        while (
            len(self._waiting) < limit
            and self._read_bytes < self._batch_bytes
            and self._ended is None
            and not self._interrupted
            and self._read(seconds=None)
        ):
            pass
        self._read_bytes = 0
        if len(self._waiting) <= limit:
            batch = list(self._waiting)
            self._waiting.clear()
            return batch
        return [self._waiting.popleft() for _ in range(limit)]

    def stands(self) -> bool:
        return self._ended is None and self._stream is not None and not self._stream.is_over()

    def acknowledge(self, packet_ids: Sequence[int]) -> None:
        if packet_ids:
            self._write(packets.acknowledge(packet_ids, exactly_once=self._reader.exactly_once))

    def join(self, filters: Sequence[str]) -> None:
        if filters:
            self._joining.append(tuple(filters))
            self._write(packets.subscribe(LATER_SUBSCRIBE_ID, filters, five=self._five))

    def leave(self, filters: Sequence[str]) -> None:
        if filters:
            self._write(packets.unsubscribe(UNSUBSCRIBE_ID, filters, five=self._five))

    def interrupt(self) -> None:
        self._interrupted = True
        if self._stream is not None:
            self._stream.wake()

    def close(self) -> None:
        self._no_more_pings.set()
        stream = self._stream
        if stream is None:
            return
        try:
            stream.write(packets.disconnect())
        except LinkError:
            pass  # it has ended already
        finally:
            stream.close()
        if self._pinger.is_alive():
            self._pinger.join()

    # --- reading ---

    def _read(self, *, seconds: float | None) -> bool:
        """Take in what has arrived; whether anything had. Ended connections give out what they still hold first."""
        if self._ended is not None:
            raise self._ended
        assert self._stream is not None  # noqa: S101 - `open` came first
        try:
            piece = self._stream.read(READ_BYTES, seconds)
            if not piece:
                return False
            self._heard_at = time.monotonic()
            self._read_bytes += len(piece)
            for packet in self._reader.feed(piece):
                if isinstance(packet, Publication):
                    self._waiting.append(packet)
                else:
                    self._take(packet)
        except packets.ProtocolError as error:
            self._end(LinkError(f"the broker sent {error}"))
        except LinkError as error:
            self._end(error)
        return True

    def _take(self, packet: packets.Answer) -> None:
        match packet:
            case packets.Pingresp():
                pass
            case packets.Unsuback():
                pass  # to `leave`, which does not wait for it
            case packets.Suback(packet_id, codes) if packet_id == LATER_SUBSCRIBE_ID:
                filters = self._joining.popleft() if self._joining else ()
                refused = [f for f, code in zip(filters, codes, strict=False) if code >= FAILURE]
                if refused:
                    log.error("the broker refused %s; check its access control", ", ".join(refused))
            case packets.Disconnect(code):
                raise LinkError(
                    f"the broker ended the connection: {packets.reason(code)}", taken_over=code == packets.TAKEN_OVER
                )
            case packets.Pubrel(packet_id):
                self._write(packets.complete(packet_id))
            case packets.Connack():
                if self._connack is not None:
                    raise packets.ProtocolError("a second answer to the connection")
                self._connack = packet
            case packets.Suback(_, codes):
                self._check(codes)
                self._granted = True

    def _check(self, codes: Sequence[int]) -> None:
        subscribe = self._options.subscribe
        refused = [pattern for pattern, code in zip(subscribe, codes, strict=False) if code >= FAILURE]
        if refused or len(codes) != len(subscribe):
            patterns = ", ".join(refused) or "some filter"
            raise LinkError(f"the broker refused the subscription to {patterns}; check its access control")

    def _end(self, error: LinkError) -> None:
        """Note the end; what is acknowledged by then cannot be said any more, so only QoS 0 is still given out."""
        self._ended = error
        self._waiting = deque(message for message in self._waiting if not message.packet_id)
        if not self._waiting and not self._interrupted:
            raise error

    def _answer(self) -> packets.Connack:
        """The broker's answer to the connection."""
        deadline = time.monotonic() + self._answer_seconds
        while self._connack is None:
            self._wait_for_answer(deadline)
        return self._connack

    def _await_grant(self) -> None:
        """Wait for the answer to the subscription, but not behind a window of messages of the kept session.

        Mosquitto 2.0 sends a kept session's whole queue before that answer, beyond the window that it was told:
        it is worked off as it comes, and the answer is judged when it is reached.
        """
        deadline = time.monotonic() + self._answer_seconds
        window = self._options.receive_window
        while not self._granted and len(self._waiting) < window and self._read_bytes < self._batch_bytes:
            self._wait_for_answer(deadline)

    def _wait_for_answer(self, deadline: float) -> None:
        left = deadline - time.monotonic()
        if left <= 0 or self._interrupted:
            raise LinkError(f"the broker did not answer within {self._answer_seconds:g} s")
        self._read(seconds=left)

    # --- writing ---

    def _write(self, data: bytes) -> None:
        if self._ended is not None:
            raise self._ended
        assert self._stream is not None  # noqa: S101 - `open` came first
        self._stream.write(data)

    def _ping(self) -> None:
        while not self._no_more_pings.wait(self._keepalive_seconds / 2):
            try:
                if self._stream is not None:
                    self._stream.write(packets.PING)
            except LinkError:
                return  # the reading thread finds out for itself
