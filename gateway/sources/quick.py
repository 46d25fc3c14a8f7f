"""The common message of a source, from bytes to rows of usage in one pass; all others go the long way.

The law: what this takes, `translate` and the door take with the same rows; what it is not sure of, it leaves.
"""

from collections.abc import Mapping
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from billing.core.errors import Invalid
from billing.core.quantity import scale
from gateway.sources.rules import MessageMapping, Route
from gateway.telemetry import METRICS_MAX, SENDER_ID_MAX, Unreadable
from storage.usage import MetricRow, Row

if TYPE_CHECKING:
    from gateway.message import Message
    from gateway.sources.source import Sources


class QuickSources:
    """Rows of messages whose source, object and metrics are known, and which carry their own time."""

    def __init__(
        self,
        sources: "Sources",
        objects: Mapping[str, int],
        metrics: Mapping[str, MetricRow],
        *,
        own_prefix: str,
        payload_bytes: int,
        metrics_max: int = METRICS_MAX,
    ) -> None:
        self._metrics_max = metrics_max
        self._route = sources.route
        self._objects = objects
        self._metrics = metrics
        self._own_prefix = own_prefix
        self._payload_bytes = payload_bytes

    def rows(self, message: "Message", received: int, earliest: int, latest: int) -> list[Row] | None:
        """The rows of the whole message, or None when it must go the long way."""
        topic = message.topic
        if message.retained or len(message.payload) > self._payload_bytes or topic.startswith(self._own_prefix):
            return None
        route = self._route(topic)
        if route is None or not route.mapping.quick or route.reference is None:
            return None
        object_id = self._objects.get(route.reference)
        if object_id is None:
            return None
        try:
            return self._read(route, message, object_id, received, earliest, latest)
        except (Unreadable, Invalid, LookupError, ValueError, ArithmeticError):
            return None  # the long way has the sentence that says why

    def _read(
        self, route: Route, message: "Message", object_id: int, received: int, earliest: int, latest: int
    ) -> list[Row] | None:
        mapping = route.mapping
        documents = mapping.decode(message.payload)
        if len(documents) != 1:
            return None
        document = documents[0]
        for find, expected in route.agree:
            claimed = find(document)
            if claimed is not None and claimed != expected:
                return None
        at = _time(mapping, document, received)
        key = _key(mapping, document)
        if at is None or key is None or not earliest <= at <= latest:
            return None
        rows: list[Row] = []
        for name, value in _values(mapping, document):
            metric_id, _, decimals, excess = self._metrics[name]
            quantity = scale(value, decimals, excess)
            rows.append((at, object_id, metric_id, key, quantity, received, message.origin, False))
        return rows if 0 < len(rows) <= self._metrics_max else None


def _time(mapping: MessageMapping, document: Any, received: int) -> int | None:
    rule = mapping.time
    if rule is None:
        return None
    for find in rule.finds:
        value = find(document)
        if value is not None:
            return rule.reads[0](value, received)
    return None


def _key(mapping: MessageMapping, document: Any) -> str | None:
    """The sender's key, empty when the source has none; None when it is better read the long way."""
    if not mapping.key:
        return ""
    if len(mapping.key) > 1:
        return None
    key = mapping.key[0](document)
    return key if key.__class__ is str and len(key) <= SENDER_ID_MAX and key.isprintable() else None


def _values(mapping: MessageMapping, document: Any) -> list[tuple[str, Decimal | int]]:
    values: list[tuple[str, Decimal | int]] = []
    for rule in mapping.mapped:
        value = rule.find(document) if rule.find is not None else None
        if value is not None:
            values.append((rule.metric, rule.converted(value)))
        elif rule.required:
            raise Unreadable("missing_value", rule.metric)
    if mapping.values is not None:
        inner = mapping.values(document)
        if inner.__class__ is dict:
            known = mapping.by_name
            for name, value in inner.items():
                if value.__class__ is dict:
                    raise Unreadable("bad_shape", name)  # nested names are read the long way
                rule_of = known.get(name)
                if rule_of is not None and value is not None:
                    values.append((rule_of.metric, rule_of.converted(value)))
    return values
