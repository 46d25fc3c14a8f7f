"""The common message of a known object, from bytes to a row of usage in one pass; all others go the long way.

The law: what this takes, `decode_telemetry` and the door take with the same rows; what it is not sure of, it leaves.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from billing.core.errors import Invalid
from billing.core.quantity import scale_text
from gateway.quick_telemetry import BYTES_MAX, EPOCH_DIGITS_MAX, FRACTION_MAX, NOTHING, described_by
from gateway.telemetry import METRICS_MAX, SENDER_ID_MAX, parse_time
from storage.types import to_micros
from storage.usage import MetricRow, Row

if TYPE_CHECKING:
    from gateway.message import Message

TEXTS_KEPT = 10_000
"""Seconds, and fractions of a second, remembered by their text: a fleet that is on time needs few."""
SECOND = len("2022-04-14T10:00:00")
EPOCH_MAX = 10**EPOCH_DIGITS_MAX
QUOTE, ESCAPE = b'"', ord("\\")
NOTHING_SAID = ("", 0)
NEVER = -(1 << 63)


class _Entry(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    metrics: dict[str, msgspec.Raw]
    ts: str | int
    id: str = ""
    properties: msgspec.Raw = NOTHING


_decode = msgspec.json.Decoder(_Entry).decode
_seconds: dict[str, int] = {}
_fractions: dict[str, int] = {"Z": 0}


class Taken(NamedTuple):
    """Rows in the order of arrival, the place of each one's message, and the places of what must go the long way."""

    rows: list[Row]
    owners: list[int]
    left: list[int]
    heard: dict[int, int]
    """By object, when it was last heard."""
    described: dict[int, str]
    """By the place of a row, its properties, where it has any."""


class Limits(NamedTuple):
    """What is plausible, in bytes and microseconds; nothing before `since` is taken, whatever the reception says."""

    payload_bytes: int
    past: int
    future: int
    since: int = NEVER
    metrics: int = METRICS_MAX


Foreign = Callable[["Message", int, int, int], list[Row] | None]
"""(message, received, earliest, latest) to its rows: for topics that are not ours."""


def take_quickly(
    messages: "Sequence[Message]",
    topics: Mapping[str, int],
    metrics: Mapping[str, MetricRow],
    limits: Limits,
    foreign: Foreign | None = None,
) -> Taken:
    """Take what has an object that is known by its topic, its own time, and metrics that exist.

    Such a message is taken whole or left whole. One that was retained is left too: it is rare, and has rules.
    """
    rows: list[Row] = []
    owners: list[int] = []
    left: list[int] = []
    heard: dict[int, int] = {}
    described: dict[int, str] = {}
    bytes_max = min(BYTES_MAX, limits.payload_bytes)
    instant: datetime | None = None
    received = earliest = latest = 0
    for place, message in enumerate(messages):
        object_id, payload = topics.get(message.topic), message.payload
        if message.received_at is not instant:
            instant = message.received_at
            received = to_micros(instant)
            earliest, latest = max(received - limits.past, limits.since), received + limits.future
        if object_id is None and foreign is not None:
            made = foreign(message, received, earliest, latest)
            _keep(made, place, received, Taken(rows, owners, left, heard, described))
            continue
        # Without a backslash every text has two quotes: a key that stands twice, or a text where a number is wanted,
        # shows in their number.
        if object_id is None or message.retained or len(payload) > bytes_max or ESCAPE in payload:
            left.append(place)
            continue
        begun = len(rows)
        try:
            entry = _decode(payload)
            values, stated, sender_id = entry.metrics, entry.ts, entry.id
            at, properties = _micros(stated), entry.properties
            said, quotes = NOTHING_SAID if properties is NOTHING else described_by(bytes(properties))
            if (
                not earliest <= at <= latest
                or payload.count(QUOTE)
                != 4 + quotes + 2 * len(values) + (4 if sender_id else 0) + (2 if stated.__class__ is str else 0)
                or not 1 <= len(values) <= limits.metrics
                or len(sender_id) > SENDER_ID_MAX
            ):
                left.append(place)
                continue
            for name, value in values.items():
                metric_id, _, decimals, excess = metrics[name]
                quantity = scale_text(bytes(value), decimals, excess)
                rows.append((at, object_id, metric_id, sender_id, quantity, received, message.origin, False))
                owners.append(place)
            if said:
                described.update(dict.fromkeys(range(begun, len(rows)), said))
        except (msgspec.MsgspecError, ValueError, ArithmeticError, RecursionError, LookupError, Invalid):
            # The long way has the sentence that says why, or takes it.
            del rows[begun:], owners[begun:]
            left.append(place)
            continue
        if heard.get(object_id, NEVER) < received:
            heard[object_id] = received
    return Taken(rows, owners, left, heard, described)


def _keep(made: list[Row] | None, place: int, received: int, taken: Taken) -> None:
    """Keep the rows of a message on a topic that is not ours, or leave it."""
    if made is None:
        taken.left.append(place)
        return
    taken.rows.extend(made)
    taken.owners.extend([place] * len(made))
    for row in made[:1]:
        taken.heard[row[1]] = max(received, taken.heard.get(row[1], NEVER))


def _micros(stated: Any) -> int:
    """The instant of a `ts`. Raises ValueError for what is none, and for what is better read the long way."""
    if stated.__class__ is int:
        if 0 <= stated < EPOCH_MAX:
            return int(stated * 1000)
        raise ValueError(stated)
    second, fraction = _seconds.get(stated[:SECOND]), _fractions.get(stated[SECOND:])
    if second is None:
        second = parse_time(stated[:SECOND] + "Z")
        if second is None:
            raise ValueError(stated)
        if len(_seconds) >= TEXTS_KEPT:
            _seconds.clear()
        _seconds[stated[:SECOND]] = second
    if fraction is None:
        digits = stated[SECOND + 1 : -1]
        if stated[SECOND] != "." or stated[-1] != "Z" or not (digits.isdigit() and digits.isascii()):
            raise ValueError(stated)
        if len(digits) > FRACTION_MAX:
            raise ValueError(stated)
        fraction = int((digits + "000000")[:6])
        if len(_fractions) < TEXTS_KEPT:
            _fractions[stated[SECOND:]] = fraction
    return second + fraction
