"""The codec against any bytes in any pieces: whole packets, or one ProtocolError."""

import contextlib
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from gateway.attached import Attached
from gateway.links import packets
from gateway.links.link import Publication
from gateway.links.packets import Connack, Disconnect, Packet, Pingresp, ProtocolError, Pubrel, Reader, Suback, Unsuback
from gateway.links.paho import attached_by

LIMIT = 4096


def reader(*, five: bool = True) -> Reader:
    return Reader(five=five, maximum_packet_bytes=LIMIT)


def text(value: str) -> bytes:
    data = value.encode()
    return struct.pack(">H", len(data)) + data


def packet(head: int, body: bytes) -> bytes:
    length, out = len(body), bytearray([head])
    while True:
        length, seven = divmod(length, 128)[0], length % 128
        out.append(seven | (128 if length else 0))
        if not length:
            return bytes(out) + body


def publish(
    topic: str,
    payload: bytes,
    *,
    packet_id: int = 0,
    retained: bool = False,
    properties: bytes = b"\0",
    five: bool = True,
) -> bytes:
    identity = struct.pack(">H", packet_id) if packet_id else b""
    head = 0x30 | (2 if packet_id else 0) | int(retained)
    return packet(head, text(topic) + identity + (properties if five else b"") + payload)


def in_pieces(stream: bytes, sizes: list[int], *, five: bool = True) -> list[Packet]:
    taking, found, at = reader(five=five), [], 0
    while at < len(stream):
        size = sizes.pop(0) if sizes else len(stream)
        found += taking.feed(stream[at : at + size])
        at += size
    return found


messages = st.builds(
    Publication,
    st.text("abc/é$ ", min_size=1, max_size=200),
    st.binary(max_size=600),
    st.integers(0, 65535),
    st.booleans(),
    st.none(),
    st.none(),
    st.none(),
)


@given(st.lists(messages, max_size=8), st.lists(st.integers(1, 300), max_size=60), st.booleans())
def test_messages_come_out_as_they_went_in_however_the_stream_is_cut(
    sent: list[Publication],
    sizes: list[int],
    five: bool,  # noqa: FBT001 - hypothesis draws it
) -> None:
    stream = b"".join(
        publish(each.topic, each.payload, packet_id=each.packet_id, retained=each.retained, five=five) for each in sent
    )
    assert in_pieces(stream, sizes, five=five) == sent
    assert in_pieces(stream, [1] * len(stream), five=five) == sent


@given(st.lists(st.binary(max_size=200), max_size=20), st.booleans())
def test_any_bytes_give_packets_or_a_protocol_error_and_no_more_memory_than_one_packet(
    pieces: list[bytes],
    five: bool,  # noqa: FBT001 - as above
) -> None:
    taking = reader(five=five)
    with contextlib.suppress(ProtocolError):
        for piece in pieces:
            taking.feed(piece)
            assert len(taking._buffer) <= LIMIT + 200


@given(st.data(), st.booleans())
def test_a_valid_stream_with_one_byte_changed_gives_packets_or_a_protocol_error(
    data: st.DataObject,
    five: bool,  # noqa: FBT001 - as above
) -> None:
    properties = bytes([9, 0x08]) + text("a/b") + bytes([0x0B, 0x81, 0x01])
    stream = bytearray(
        publish("devices/A/telemetry", b"{}", packet_id=7, properties=properties, five=five)
        + packet(0x90, struct.pack(">H", 1) + (b"\0" if five else b"") + b"\1")
        + packet(0x20, b"\0\0" + (b"\0" if five else b""))
    )
    stream[data.draw(st.integers(0, len(stream) - 1))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(ProtocolError):
        reader(five=five).feed(bytes(stream))


def test_the_properties_that_an_answer_or_a_source_needs_are_read_among_all_others() -> None:
    """The properties are packed by paho, so that two readings of the standard have to agree."""
    properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call] # paho leaves it untyped
    properties.PayloadFormatIndicator = 1
    properties.MessageExpiryInterval = 60
    properties.ContentType = "application/json"
    properties.ResponseTopic = "control/replies/é"
    properties.CorrelationData = b"\0\1\2"
    properties.UserProperty = [("name", "value"), ("name", "é")]
    properties.SubscriptionIdentifier = 268_435_455
    packed = properties.pack()  # type: ignore[no-untyped-call] # as above
    (found,) = reader().feed(publish("a", b"body", packet_id=1, properties=packed))
    attached = Attached("application/json", (("name", "value"), ("name", "é")))
    assert found == Publication("a", b"body", 1, False, "control/replies/é", b"\0\1\2", attached)
    assert attached_by(properties) == attached


def test_an_ordinary_message_has_nothing_attached() -> None:
    properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call] # as above
    properties.MessageExpiryInterval = 60
    packed = properties.pack()  # type: ignore[no-untyped-call] # as above
    found = reader().feed(publish("a", b"body") + publish("a", b"body", properties=packed))
    assert found == [Publication("a", b"body", 0, False)] * 2
    assert attached_by(properties) is None
    assert attached_by(None) is None


@pytest.mark.parametrize(
    "pairs, fault",
    [
        ([(b"a", b"1")] * 101, "too_large"),
        ([(b"a", b"1" * 16_384)], "too_large"),
        ([(b"id", b"\xff")], "bad_text"),
        ([(b"\xc3", b"1")], "bad_text"),
    ],
)
def test_user_properties_beyond_all_bounds_neither_end_the_connection_nor_fill_the_memory(
    pairs: list[tuple[bytes, bytes]], fault: str
) -> None:
    inside = b"".join(
        b"\x26" + struct.pack(">H", len(it)) + it if n == 0 else struct.pack(">H", len(it)) + it
        for pair in pairs
        for n, it in enumerate(pair)
    )
    length, head = len(inside), bytearray()
    while True:
        length, seven = divmod(length, 128)
        head.append(seven | (128 if length else 0))
        if not length:
            break
    taking = Reader(five=True, maximum_packet_bytes=1 << 20)
    found = taking.feed(publish("a", b"body", packet_id=1, properties=bytes(head) + inside))
    assert found == [Publication("a", b"body", 1, False, attached=Attached(fault=fault))]  # type: ignore[arg-type] # one of the faults


@pytest.mark.parametrize(
    "stream, found",
    [
        (b"\x20\x03\x01\x00\x00", Connack(True, 0)),
        (b"\x20\x03\x00\x87\x00", Connack(False, 0x87)),
        (b"\x20\x02\x00\x87", Connack(False, 0x87)),
        (b"\x20\x0b\x00\x00\x08\x1f\x00\x02ok\x13\x00\x0a", Connack(False, 0, 10)),
        (b"\x62\x02\x00\x09", Pubrel(9)),
        (b"\x90\x05\x00\x01\x00\x01\x87", Suback(1, (1, 0x87))),
        (b"\xb0\x04\x00\x02\x00\x00", Unsuback(2)),
        (b"\xd0\x00", Pingresp()),
        (b"\xe0\x00", Disconnect(0)),
        (b"\xe0\x01\x8e", Disconnect(0x8E)),
    ],
)
def test_what_a_broker_answers(stream: bytes, found: Packet) -> None:
    assert reader().feed(stream) == [found]


@pytest.mark.parametrize(
    "stream, sentence",
    [
        (b"\x30\x80\x80\x80\x80\x01", "more than four bytes"),
        (b"\x32\x06\x00\x01a\x00\x00\x00", "packet id 0"),
        (b"\x34\x06\x00\x01a\x00\x00\x00", "packet id 0"),
        (b"\x38\x05\x00\x01a\x00x", "QoS 0"),
        (b"\x30\x00", "before its"),
        (b"\x30\x01\x00", "before its"),
        (b"\x32\x04\x00\x01a\x00", "before its"),
        (b"\x32\x05\x00\x01a\x00\x01", "before its"),
        (b"\x30\x06\x00\x03\xed\xa0\x80\x00", "not UTF-8"),
        (b"\x62\x01\x00", "cut short"),
        (b"\x60\x02\x00\x01", "flags 0x0"),
        (b"\x20\x04\x00\x00\x01\x13", "does not finish"),
        (b"\x20\x04\x00\x00\x01\x00", "does not have"),
        (b"\x20\x04\x00\x00\x00\x00", "more behind"),
        (b"\x20\x03\x00\x00\x05", "longer than their packet"),
        (b"\x36\x06\x00\x01a\x00\x01\x00", "QoS 3"),
        (b"\x30\x04\x00\x01\xff\x00", "not UTF-8"),
        (b"\x30\x04\x00\x01+\x00", "which no message can have"),
        (b"\x30\x04\x00\x01\x00\x00", "which no message can have"),
        (b"\x30\x03\x00\x00\x00", "which no message can have"),
        (b"\x30\x03\x00\x09a", "before its"),
        (b"\x30\x06\x00\x01a\x02\x23\x00", "longer than their packet|topic alias"),
        (b"\x30\x07\x00\x01a\x03\x23\x00\x01", "topic alias"),
        (b"\x30\x06\x00\x01a\x02\x7f\x00", "0x7f"),
        (b"\x30\x08\x00\x01a\x04\x08\x00\x09a", "longer than its packet"),
        (b"\x10\x00", "type 1"),
        (b"\x00\x00", "type 0"),
        (b"\xf0\x00", "type 15"),
        (b"\x40\x02\x00\x01", "type 4"),
        (b"\x21\x02\x00\x00", "flags 0x1"),
        (b"\x20\x00", "cut short"),
        (b"\x20\x02\x02\x00", "CONNACK"),
        (b"\x90\x01\x00", "cut short"),
    ],
)
def test_what_no_broker_may_send_is_one_error(stream: bytes, sentence: str) -> None:
    with pytest.raises(ProtocolError, match=sentence):
        reader().feed(stream)


def test_a_packet_larger_than_announced_is_refused_before_it_is_held() -> None:
    taking = reader()
    with pytest.raises(ProtocolError, match="more than the 4096 announced"):
        taking.feed(packet(0x30, b"\0" * (LIMIT + 1))[:5])


def test_acknowledgements_are_one_write() -> None:
    assert packets.acknowledge([1, 65535], exactly_once=set()) == b"\x40\x02\x00\x01\x40\x02\xff\xff"


def test_what_came_at_qos_2_is_acknowledged_in_its_own_way_once() -> None:
    taking = reader(five=False)
    found = taking.feed(b"\x34\x05\x00\x01a\x00\x02" + b"\x32\x05\x00\x01a\x00\x03")
    assert [each.packet_id for each in found if isinstance(each, Publication)] == [2, 3]
    assert packets.acknowledge([2, 3], exactly_once=taking.exactly_once) == b"\x50\x02\x00\x02\x40\x02\x00\x03"
    assert packets.acknowledge([2], exactly_once=taking.exactly_once) == b"\x40\x02\x00\x02"
    assert packets.complete(2) == b"\x70\x02\x00\x02"


def test_a_large_packet_byte_by_byte_is_looked_at_a_few_times_only() -> None:
    taking = packets.Reader(five=True, maximum_packet_bytes=200_000)
    looks, found = 0, []
    for byte in publish("a", b"x" * 100_000, packet_id=1, five=True):
        held = len(taking._buffer)
        found += taking.feed(bytes([byte]))
        looks += len(taking._buffer) != held + 1 or taking._wanted <= held + 1
    assert [len(each.payload) for each in found if isinstance(each, Publication)] == [100_000]
    assert looks < 10
