"""The native formats, decoded: bytes in, frozen values or one refusal out; no I/O and no float.

The law: what cannot be read without doubt is refused with a reason, never guessed.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any, Literal, NamedTuple, TypeAlias

from billing.core.device_commands import EVENTS as COMMAND_EVENTS
from billing.core.errors import Invalid
from billing.core.properties import canonical, checked_properties
from storage.presence import ONLINE
from storage.types import from_micros, to_micros

SAMPLES_MAX = 10_000
"""Samples of one backfill message."""
METRICS_MAX = 200
"""Metrics of one sample."""
SENDER_ID_MAX = 200
"""Characters of a sender's id: it is part of a key."""
EVENT_KIND = re.compile(r"[a-z][a-z0-9_]{0,63}")
RFC3339 = re.compile(r"(\d{4}-\d\d-\d\d)[Tt ](\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?(Z|z|[+-]\d\d:\d\d)", re.ASCII)
UNSTORABLE_ESCAPE = re.compile(r"\\u(?:0000|[dD][89a-fA-F])")
OUR_EVENTS = frozenset(
    {
        *("created", "confirmed", "activated", "suspended", "resumed", "terminated", "exchanged", "renewed"),
        *("subscription_added", "subscription_ended", "term_ended", "plan_changed", "price_changed"),
        *("transferred", "notice_given", "usage_reversed"),
        *COMMAND_EVENTS,
        *("readings_decided", "boundary_replaced"),
        *("clock_implausible", "limit_exceeded"),
    }
)
"""Kinds that only commands and the engine write: an object cannot claim them."""


class Unreadable(ValueError):
    """A payload that is refused: `reason` is a word for counters, the text a sentence for people."""

    def __init__(self, reason: str, sentence: str) -> None:
        super().__init__(sentence)
        self.reason = reason


class Sample(NamedTuple):
    """Values that one object measured at one time; `occurred_at` in microseconds since 1970, None when not said."""

    sender_id: str
    position: int
    occurred_at: int | None
    values: tuple[tuple[str, Decimal | int], ...]
    properties: str = ""
    """In their one canonical text; empty where there are none."""
    implausible_at: int | None = None
    """The time that it said, where that is not plausible and its source takes the arrival's instead."""

    @property
    def has_key(self) -> bool:
        """Whether a repeat of it can be recognised."""
        return self.occurred_at is not None or self.sender_id != ""


@dataclass(frozen=True, slots=True, kw_only=True)
class LifecycleReport:
    """What an object says of itself."""

    sender_id: str
    occurred_at: int | None
    event: str
    online: bool | None
    detail: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandAnswer:
    """What an object says of a command; `route` is the declaration that carried it, empty for our own topics.

    Without ids it is of the oldest command on that route that waits.
    """

    ids: tuple[str, ...]
    status: Literal["acknowledged", "failed"]
    reason: str = ""
    route: str = ""


Content: TypeAlias = tuple[Sample, ...] | LifecycleReport | CommandAnswer
"""What a message, or a part of it, says of one object."""


def decode_telemetry(payload: bytes, *, limit_bytes: int) -> tuple[Sample, ...]:
    """The samples of a `telemetry` payload: one object, or an array of them.

    Samples of one array that share an id are told apart by their place among those with that id. Raises
    Unreadable.
    """
    document = _parse(payload, limit_bytes)
    entries = document if isinstance(document, list) else [document]
    if not entries:
        raise Unreadable("bad_shape", "the array is empty; send at least one sample")
    if len(entries) > SAMPLES_MAX:
        raise Unreadable("bad_shape", f"{len(entries)} samples in one message; send at most {SAMPLES_MAX}")
    seen: dict[str, int] = {}
    samples = []
    for position, entry in enumerate(entries):
        fields = _fields(entry, allowed={"id", "ts", "metrics", "properties"})
        sender_id = _sender_id(fields)
        if sender_id:
            nth = seen[sender_id] = seen.get(sender_id, -1) + 1
            sender_id = f"{sender_id}#{nth}" if nth else sender_id
        samples.append(
            Sample(
                sender_id=sender_id,
                position=position,
                occurred_at=_time(fields),
                values=_values(fields),
                properties=canonical_text(fields["properties"]) if "properties" in fields else "",
            )
        )
    return tuple(samples)


def decode_lifecycle(payload: bytes, *, limit_bytes: int) -> LifecycleReport:
    """The report of a `lifecycle` payload. Raises Unreadable, also for the events that only commands make."""
    fields = _fields(_parse(payload, limit_bytes), allowed={"id", "ts", "event", "detail"})
    event = fields.get("event")
    if not isinstance(event, str) or not EVENT_KIND.fullmatch(event):
        raise Unreadable("bad_shape", f'`event` is {event!r}; write a word such as "online"')
    if event in OUR_EVENTS:
        raise Unreadable("reserved_event", f"the event {event!r} comes from commands, not from the object itself")
    detail = fields.get("detail", {})
    if not isinstance(detail, dict):
        raise Unreadable("bad_shape", "`detail` is not a JSON object")
    return LifecycleReport(
        sender_id=_sender_id(fields),
        occurred_at=_time(fields),
        event=event,
        online=ONLINE.get(event),
        detail={key: _plain(value) for key, value in detail.items()},
    )


def decode_answer(payload: bytes, *, limit_bytes: int) -> CommandAnswer:
    """The answer of a `commands/ack` payload. Raises Unreadable."""
    fields = _fields(_parse(payload, limit_bytes), allowed={"request_id", "status", "reason"})
    request_id, status, reason = fields.get("request_id"), fields.get("status"), fields.get("reason", "")
    if not isinstance(request_id, str) or not 1 <= len(request_id) <= SENDER_ID_MAX:
        raise Unreadable("bad_shape", "`request_id` is the text that stood in the command")
    if status not in ("acknowledged", "failed"):
        raise Unreadable("bad_shape", f"`status` is {_plain(status)!r}; write acknowledged or failed")
    if not isinstance(reason, str):
        raise Unreadable("bad_shape", "`reason` is not a text")
    return CommandAnswer(ids=(request_id,), status=status, reason=reason)


def _parse(payload: bytes, limit_bytes: int) -> Any:
    if len(payload) > limit_bytes:
        raise Unreadable("too_large", f"the payload has {len(payload)} bytes; the limit is {limit_bytes}")
    try:
        text = payload.decode("utf-8")
        document = json.loads(
            text, parse_float=Decimal, parse_constant=_refuse_constant, object_pairs_hook=_without_repeats
        )
        if UNSTORABLE_ESCAPE.search(text):
            _refuse_unstorable(document)
    except Unreadable:
        raise
    except (ValueError, ArithmeticError, RecursionError) as error:
        raise Unreadable("bad_json", f"the payload is not JSON: {error}") from None
    return document


def _refuse_unstorable(value: Any) -> None:
    """Raise for text that no database column can hold: a NUL, or half of a surrogate pair."""
    if isinstance(value, str):
        value.encode("utf-8")
        if "\x00" in value:
            raise Unreadable("bad_json", "a text in the payload has a NUL character")
    elif isinstance(value, dict):
        for key, inner in value.items():
            _refuse_unstorable(key)
            _refuse_unstorable(inner)
    elif isinstance(value, list):
        for inner in value:
            _refuse_unstorable(inner)


def _refuse_constant(word: str) -> Any:
    raise Unreadable("bad_number", f"{word} is not a number that can be billed")


def _without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    fields = dict(pairs)
    if len(fields) != len(pairs):
        raise Unreadable("bad_shape", "a key stands twice in one JSON object; which one counts cannot be known")
    return fields


def _fields(entry: Any, *, allowed: set[str]) -> dict[str, Any]:
    if not isinstance(entry, dict):
        raise Unreadable("bad_shape", f"a JSON object is expected, got {type(entry).__name__}")
    unknown = sorted(set(entry) - allowed)
    if unknown:
        # A misspelt `ts` would otherwise make a record of another time.
        raise Unreadable("bad_shape", f"unknown key {unknown[0]!r}; the keys are {', '.join(sorted(allowed))}")
    return entry


def _sender_id(fields: Mapping[str, Any]) -> str:
    value = fields.get("id", "")
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    if not isinstance(value, str) or ("id" in fields and not value):
        raise Unreadable("bad_shape", "`id` is neither a text nor an integer; leave it out when there is none")
    if len(value) > SENDER_ID_MAX:
        raise Unreadable("bad_shape", f"`id` is longer than {SENDER_ID_MAX} characters")
    return value


def _time(fields: Mapping[str, Any]) -> int | None:
    value = fields.get("ts")
    if value is None and "ts" not in fields:
        return None
    micros = parse_time(value)
    if micros is not None:
        return micros
    raise Unreadable("bad_time", f"`ts` is {_plain(value)!r}; write RFC 3339 with a zone, or epoch milliseconds")


def parse_time(value: Any) -> int | None:
    """Microseconds since 1970 UTC of RFC 3339 with a zone or of integer milliseconds; None for anything else."""
    try:
        if isinstance(value, int) and not isinstance(value, bool):
            return to_micros(from_micros(value * 1000))
        if isinstance(value, str) and (match := RFC3339.fullmatch(value)):
            day, clock, fraction, zone = match.groups()
            zone = "+00:00" if zone in "Zz" else zone
            whole = to_micros(datetime.fromisoformat(f"{day}T{clock}{zone}"))
            micros = whole + int((fraction or "0").ljust(9, "0")[:6])
            from_micros(micros)  # with its zone, the first and the last day are partly outside the calendar
            return micros
    except (ValueError, OverflowError):
        pass
    return None


def _values(fields: Mapping[str, Any]) -> tuple[tuple[str, Decimal | int], ...]:
    metrics = fields.get("metrics")
    if not isinstance(metrics, dict) or not metrics:
        raise Unreadable("bad_shape", "`metrics` is not a JSON object of numbers by metric name")
    if len(metrics) > METRICS_MAX:
        raise Unreadable("too_many_metrics", f"{len(metrics)} metrics in one sample; send at most {METRICS_MAX}")
    for name, value in metrics.items():
        if isinstance(value, bool) or not isinstance(value, int | Decimal):
            raise Unreadable("bad_number", f"the metric {name!r} is {_plain(value)!r}, which is not a JSON number")
    return tuple(metrics.items())


def canonical_text(properties: object) -> str:
    """The one text of a set of properties; empty for none. Raises Unreadable."""
    try:
        return canonical(checked_properties(properties))
    except Invalid as error:
        raise Unreadable("bad_properties", error.message) from None


def _plain(value: Any) -> Any:
    """The value without Decimals, for text and JSON."""
    if isinstance(value, Decimal):
        return str(value)
    if isinstance(value, dict):
        return {key: _plain(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_plain(inner) for inner in value]
    return value
