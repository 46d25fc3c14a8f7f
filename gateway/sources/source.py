"""Sources in force, compiled: which source a topic is of, and what its messages say.

The law: compiling a stored definition never fails half way, and a topic is of one source.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from decimal import Decimal
from typing import Any, Literal

from billing.core.durations import duration
from billing.core.errors import Invalid
from billing.core.lifecycle import check_reference
from gateway.sources import numbers
from gateway.sources.answers import Answers, compile_answers
from gateway.sources.births import Births, Place
from gateway.sources.codecs import ATTACHED, CODECS, STATEFUL
from gateway.sources.mapping import translate
from gateway.sources.numbering import Numbered
from gateway.sources.paths import Find, compile_path
from gateway.sources.rules import Arrival, Events, Mapped, MessageMapping, Named, Part, Route, SequenceRule, TimeRule
from gateway.sources.times import reader
from gateway.sources.topics import Pattern, compile_pattern, filters_of
from gateway.telemetry import Unreadable
from storage.sources import MetricFact

ROUTES_KEPT = 32_768
"""Topics whose route is remembered: some 20 MB."""
WILDCARD = re.compile(r"\{([a-z][a-z0-9_]*)\}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One kind of message of a source: its topics, and what is taken from it."""

    pattern: Pattern
    object: str
    agree: tuple[tuple[Find, str], ...]
    stateful: bool
    mapping: MessageMapping


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A source in force."""

    name: str
    kind: str
    unknown_objects: Literal["quarantine", "draft", "pending"]
    messages: tuple[Message, ...]
    keeps_addresses: bool = False
    """Whether it is to be known through which of its topics each object speaks."""
    debounce: timedelta | None = None
    """How long a change of presence has to hold; None as the gateway's setting."""
    offline_after: timedelta | None = None
    state_topic: str | None = None
    """Where it is told whether we, the primary host of edge nodes, are there."""

    @property
    def filters(self) -> tuple[str, ...]:
        """What it subscribes to."""
        return filters_of([message.pattern for message in self.messages])

    @property
    def stateful(self) -> bool:
        """Whether one process must read all its messages, in their order."""
        return any(message.stateful for message in self.messages)


@dataclass(slots=True, eq=False)
class Sources:
    """All sources in force; a topic's route is found once and remembered."""

    sources: Mapping[str, Source] = field(default_factory=dict)
    births: Births = field(default_factory=Births)
    addressed: dict[str, tuple[str, Mapping[str, str]]] = field(default_factory=dict)
    """By reference, the source and the wildcards of a topic on which an object was heard, until they are kept."""
    kept: set[str] = field(default_factory=set)
    """Whose of them the transaction at hand keeps."""
    _routes: dict[str, Route | None] = field(default_factory=dict)

    @property
    def filters(self) -> tuple[str, ...]:
        """What all of them subscribe to."""
        return tuple(pattern for source in self.sources.values() for pattern in source.filters)

    @property
    def registers(self) -> bool:
        """Whether any of them registers objects that nobody has registered."""
        return any(source.unknown_objects != "quarantine" for source in self.sources.values())

    @property
    def state_topic(self) -> str | None:
        """Where a primary host tells whether it is there: a connection has one will, so the first by name."""
        return next((it.state_topic for _, it in sorted(self.sources.items()) if it.state_topic is not None), None)

    @property
    def watch_silence(self) -> bool:
        """Whether objects of any of them count as offline when nothing comes."""
        return any(source.offline_after is not None for source in self.sources.values())

    def of(self, topic: str) -> Source | None:
        """The source of a topic."""
        route = self.route(topic)
        return None if route is None else self.sources[route.source]

    def route(self, topic: str) -> Route | None:
        """The route of a topic, or None when it is no source's."""
        try:
            return self._routes[topic]
        except KeyError:
            pass
        found = self._find(topic)
        if len(self._routes) >= ROUTES_KEPT:
            self._routes.clear()
        self._routes[topic] = found
        return found

    def read(self, route: Route, payload: bytes, arrival: Arrival, numbers: list[Numbered] | None = None) -> list[Part]:
        """What a message on that route says; `numbers` takes the number that it has. Raises Unreadable."""
        parts = translate(route, payload, arrival, checked_reference, self.births, [] if numbers is None else numbers)
        if route.place is not None and route.place.kind == "NDEATH" and parts:
            parts += self._with_it(route.place, payload, arrival)
        if route.reference is None and self.sources[route.source].keeps_addresses:
            self.addressed |= {part.reference: (route.source, route.captures) for part in parts}
        return parts

    def settle(self) -> None:
        """What was to be kept is committed."""
        self.births.settle()
        for reference in self.kept:
            self.addressed.pop(reference, None)
        self.kept.clear()
        if len(self.addressed) > ROUTES_KEPT:
            # Of objects that nobody knows; each topic that speaks again is noted again.
            self.addressed.clear()
            self._routes.clear()

    def unread(self) -> None:
        """What was read is not committed, and is read again."""
        self.births.unread()

    def _with_it(self, place: Place, payload: bytes, arrival: Arrival) -> list[Part]:
        """What the death of an edge node says of the devices behind it: they are as dead as if each had said so."""
        parts: list[Part] = []
        for device in self.births.devices(place):
            route = self.route(f"{place.topic.replace('/NCMD/', '/DDEATH/')}/{device}")
            if route is not None and route.place is not None:
                parts += translate(route, payload, arrival, checked_reference, self.births, [])
        return parts

    def _find(self, topic: str) -> Route | None:
        for source in self.sources.values():
            for message in source.messages:
                captures = message.pattern.match(topic)
                if captures is not None:
                    found = _route(source.name, message, captures)
                    if source.keeps_addresses and found.reference is not None:
                        self.addressed[found.reference] = (source.name, captures)
                    return found
        return None


NO_SOURCES = Sources()


def compile_source(name: str, definition: Mapping[str, Any], metrics: Mapping[str, MetricFact]) -> Source:
    """A stored definition, ready to read messages."""
    return Source(
        name=name,
        kind=definition.get("kind", ""),
        unknown_objects=definition.get("unknown_objects", "quarantine"),
        messages=_with_answers(
            [_message(message, metrics) for message in definition["messages"]],
            compile_answers(name, definition.get("commands", ())),
        ),
        keeps_addresses=bool(definition.get("commands") or definition.get("offline_after")),
        debounce=_length(definition.get("presence_debounce")),
        offline_after=_length(definition.get("offline_after")),
        state_topic=_state_topic(definition),
    )


def _state_topic(definition: Mapping[str, Any]) -> str | None:
    """`spBv1.0/STATE/HOST`, under what stands in front of the group in the topics of the source."""
    host = definition.get("primary_host")
    topics = [message["topic"] for message in definition["messages"] if message.get("codec") == STATEFUL]
    return None if host is None or not topics else f"{topics[0].split('/{group}')[0]}/STATE/{host}"


def _length(text: str | None) -> timedelta | None:
    return None if text is None else duration(text)


def _with_answers(
    messages: Sequence[Message], answers: Sequence[tuple[Mapping[str, Any], Answers]]
) -> tuple[Message, ...]:
    """The messages of a source, those first that do nothing but answer: a wide topic does not take them away."""
    whole = {message.pattern.text: message for message in messages}
    for said, compiled in answers:
        topic = said["topic"]
        if topic not in whole:
            found = _message({key: said[key] for key in ("topic", "codec", "object") if key in said}, {})
            whole = {topic: found, **whole}
        message = whole[topic]
        mapping = replace(message.mapping, answers=(*message.mapping.answers, compiled))
        whole[topic] = replace(message, mapping=mapping)
    return tuple(whole.values())


def checked_reference(reference: str) -> str:
    """The reference, when it can be an object's. Raises Unreadable."""
    try:
        return check_reference(reference)
    except Invalid as error:
        raise Unreadable("bad_reference", error.message) from None


def _route(source: str, message: Message, captures: Mapping[str, str]) -> Route:
    agree = tuple((find, template.format_map(captures)) for find, template in message.agree)
    reference, refusal = None, None
    if message.mapping.object_path is None:
        try:
            reference = _named_object(message.object, message.pattern, captures)
        except Unreadable as error:
            refusal = error
    place = _place(source, message, captures) if message.stateful else None
    return Route(source, message.mapping, reference, agree, captures, place, refusal)


def _place(source: str, message: Message, captures: Mapping[str, str]) -> Place:
    """Where a Sparkplug message is from, and where its edge node listens."""
    levels = [level for level in message.pattern.text.split("/") if level != "{device}"]
    topic = "/".join(levels).replace("{type}", "NCMD").format_map(captures)
    return Place(source, captures["type"], captures["group"], captures["edge"], captures.get("device", ""), topic)


def _named_object(template: str, pattern: Pattern, captures: Mapping[str, str]) -> str:
    """The reference that a topic gives; two topics never give the same one.

    A `/` in a name of several levels becomes `:`, since a reference is one level; what separates names in the
    reference may then not be in one of them.
    """
    names = WILDCARD.findall(template)
    fixed = set(WILDCARD.sub("", template)) if len(names) > 1 else set()
    for name in names:
        separators = fixed | {":"} if name == pattern.several_name else fixed
        found = set(captures[name]) & separators
        if found:
            raise Unreadable(
                "ambiguous_object",
                f"the name {captures[name][:80]!r} has {min(found)!r}, which separates names in references; rename it",
            )
    return checked_reference(template.format_map({name: captures[name].replace("/", ":") for name in captures}))


def _message(message: Mapping[str, Any], metrics: Mapping[str, MetricFact]) -> Message:
    rules = [rule for rule in message.get("metrics", ()) if rule["metric"] in metrics]
    values, named = message.get("values"), message.get("named")
    own = {
        name: Mapped(metric=name, fact=fact, factor=numbers.ONE, decimal_factor=Decimal(1))
        for name, fact in metrics.items()
    }
    by_name = {rule["name"].replace("/", "."): _mapped(rule, metrics) for rule in rules if rule.get("name")}
    reference = message.get("reference")
    template = reference or message.get("object", "{object}")
    by_path = reference is None and "{" not in template
    return Message(
        pattern=compile_pattern(message["topic"]),
        object=template,
        stateful=message.get("codec") == STATEFUL,
        agree=tuple((compile_path(path), expected) for path, expected in message.get("agree", {}).items()),
        mapping=MessageMapping(
            decode=CODECS[message.get("codec", "json")],
            decode_attached=ATTACHED.get(message.get("codec", "json")),
            each=_path_or_none(message.get("each")),
            object_path=compile_path(template) if by_path else None,
            time=_time(message.get("time")),
            key=_paths(message.get("key")),
            mapped=tuple(_mapped(rule, metrics) for rule in rules if rule.get("path")),
            by_name={**own, **by_name},
            values=None if values is None else compile_path(values.get("path", "@")),
            values_refuse=values is not None and values.get("undeclared") == "refuse",
            named=None if named is None else _named(named),
            events=tuple(_events(rule) for rule in message.get("events", ())),
            skip=tuple((compile_path(rule["path"]), rule["equals"]) for rule in message.get("skip", ())),
            retained=message.get("retained"),
            sequence=_sequence(message.get("sequence")),
        ),
    )


def _mapped(rule: Mapping[str, Any], metrics: Mapping[str, MetricFact]) -> Mapped:
    factor = numbers.factor(rule.get("factor", "1"))
    return Mapped(
        metric=rule["metric"],
        fact=metrics[rule["metric"]],
        factor=factor,
        decimal_factor=numbers.decimal(factor),
        find=_path_or_none(rule.get("path")),
        time=_time(rule.get("time")),
        required=rule.get("required", False),
        add_up=rule.get("add_up", False),
        epoch=_path_or_none(rule.get("epoch")),
    )


def _time(rule: Mapping[str, Any] | None) -> TimeRule | None:
    if rule is None:
        return None
    said = rule.get("format", "rfc3339")
    formats: list[Any] = [said] if isinstance(said, str) else said
    zone, fold = rule.get("zone"), rule.get("fold", "arrival")
    return TimeRule(
        finds=_paths(rule["path"]),
        reads=tuple(reader(it, zone, fold) for it in formats),
        required=rule.get("missing") == "refuse",
        implausible=rule.get("implausible", "refuse"),
    )


def _sequence(rule: Mapping[str, Any] | None) -> SequenceRule | None:
    return None if rule is None else SequenceRule(compile_path(rule["path"]), rule.get("wraps_at"))


def _named(rule: Mapping[str, Any]) -> Named:
    template = "{" in rule["name"]
    return Named(
        name=rule["name"] if template else None,
        find=None if template else compile_path(rule["name"]),
        value=compile_path(rule.get("value", "value")),
        refuse=rule.get("undeclared") == "refuse",
    )


def _events(rule: Mapping[str, Any]) -> Events:
    return Events(
        find=_path_or_none(rule.get("path")),
        topic=rule.get("topic"),
        values=rule.get("values"),
        event=rule.get("event"),
    )


def _path_or_none(text: str | None) -> Find | None:
    return None if text is None else compile_path(text)


def _paths(texts: Sequence[str] | str | None) -> tuple[Find, ...]:
    if texts is None:
        return ()
    return tuple(compile_path(text) for text in ([texts] if isinstance(texts, str) else texts))
