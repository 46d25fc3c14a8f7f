"""What a source may say in a catalogue file: read strictly, completed from its preset, every mistake with its place.

The law: what is stored is the whole meaning, presets written out, so that another release reads messages as this one.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints, ValidationError, field_validator, model_validator

from billing.catalogue.models import Length, Model, Text, Zone
from billing.catalogue.reading import problems_of
from billing.catalogue.sources import DeclaredSource, MetricUse, SourceRules
from config.settings import Settings
from gateway.roles import control_filter, usage_filters
from gateway.sources.codecs import STATEFUL
from gateway.sources.downwards import Commands, answer_topics, placed, wrong_names
from gateway.sources.shipped import PresetUnknown, preset
from gateway.sources.times import Fold, Format
from gateway.sources.topics import compile_pattern, crowd, filters_of
from gateway.sources.words import Codec, Event, Factor, Path, Paths, Pattern, Reference, Retained, checked_path

MESSAGES_MAX = 50
METRICS_MAX = 200
EVENTS_MAX = 20
TAKEN = frozenset({"metrics", "values", "named"})
"""The keys of a message that carries readings: to those, a source may add its own word beside a preset."""
TEMPLATE = re.compile(r"\{([a-z][a-z0-9_]*)\}")


Implausible = Literal["refuse", "hold", "arrival"]


class TimeModel(Model):
    """Where the time stands and how it is written; without it, the time is that of the arrival."""

    path: Paths
    format: Format | list[Format] = "rfc3339"
    zone: Zone | None = None
    fold: Fold = "arrival"
    missing: Literal["arrival", "refuse"] = "arrival"
    implausible: Implausible = "refuse"


class MetricRule(Model):
    """One value that is billed; `kind` says which kind the catalogue's metric must have."""

    path: Path | None = None
    name: Annotated[str, StringConstraints(min_length=1, max_length=200)] | None = None
    """Instead of a path: the name that a named value carries."""
    metric: Annotated[str, StringConstraints(min_length=1, max_length=100)]
    factor: Factor = "1"
    kind: Literal["delta", "cumulative", "gauge", "state"] | None = None
    time: TimeModel | None = None
    required: bool = False
    add_up: bool = False
    """An array of numbers, one for each phase, is added up."""
    epoch: Path | None = None
    """What says which register the value is of: where it changes, another one begins."""
    if_declared: bool = False
    """Left out when the catalogue does not declare the metric: how presets name all that a device has."""

    @model_validator(mode="after")
    def _found_one_way(self) -> "MetricRule":
        if (self.path is None) == (self.name is None):
            raise ValueError("say `path`, or `name` where values carry their names; one of them")
        return self


class ValuesModel(Model):
    """Every number below `path` whose name is a metric: `a.b` for what is nested."""

    path: Path = "@"
    undeclared: Literal["ignore", "refuse"] = "ignore"


class NamedModel(Model):
    """One value that says what it is: the name from the topic (`{field}`) or at a path, the number at `value`."""

    name: str
    value: Path = "value"
    undeclared: Literal["ignore", "refuse"] = "ignore"

    @field_validator("name")
    @classmethod
    def _name(cls, value: str) -> str:
        return value if "{" in value else checked_path(value)


class EventRule(Model):
    """Events from a value (`path`), from a part of the topic (`topic: "{what}"`), or from the message itself.

    Without `values`, what stands at `path` is the event.
    """

    path: Path | None = None
    topic: str | None = None
    values: dict[str, Event] | None = None
    event: Event | None = None

    @model_validator(mode="after")
    def _one_way(self) -> "EventRule":
        said = [it for it in (self.event, self.path, self.topic) if it is not None]
        if len(said) != 1 or (self.values is not None and self.event is not None):
            raise ValueError("say `event`, or `path` or `topic` with `values`: an event for each value")
        if self.topic is not None and self.values is None:
            raise ValueError("`topic` needs `values`: an event for each value")
        return self


class SkipRule(Model):
    """Messages that say so are never billed: `simulated` uplinks, for one."""

    path: Path
    equals: bool | int | str


class SequenceModel(Model):
    """Where a message has its number: what jumps is missing."""

    path: Path
    wraps_at: Annotated[int, Field(ge=4, le=2**62)] | None = None


class MessageModel(Model):
    """One kind of message: its topic, how it is read, and what is taken from it."""

    topic: Pattern
    codec: Codec = "json"
    each: Path | None = None
    object: str = "{object}"
    reference: Reference | None = None
    """The one object that all is of, where neither topic nor payload says it."""
    agree: dict[Path, str] = Field(default_factory=dict, max_length=20)
    time: TimeModel | None = None
    key: Paths | None = None
    metrics: list[MetricRule] = Field(default_factory=list, max_length=METRICS_MAX)
    values: ValuesModel | None = None
    named: NamedModel | None = None
    events: list[EventRule] = Field(default_factory=list, max_length=EVENTS_MAX)
    skip: list[SkipRule] = Field(default_factory=list, max_length=20)
    retained: Retained | None = None
    sequence: SequenceModel | None = None

    @field_validator("object")
    @classmethod
    def _object(cls, value: str) -> str:
        return value if "{" in value else checked_path(value)

    @model_validator(mode="after")
    def _names_are_in_the_topic(self) -> "MessageModel":
        names = set(compile_pattern(self.topic).names)
        texts = [] if self.reference is not None else [self.object]
        texts += [*self.agree.values(), *(rule.topic for rule in self.events if rule.topic is not None)]
        texts += [] if self.named is None else [self.named.name]
        if "}{" in self.object:
            raise ValueError(f"{self.object!r}: put a fixed character between two wildcards, or objects are mixed up")
        for text in texts:
            for name in TEMPLATE.findall(text):
                if name not in names:
                    raise ValueError(
                        f"{{{name}}} is no wildcard of the topic {self.topic!r}; "
                        "name one, or say `reference` where all is of one object"
                    )
        if self.codec != "nothing" and not (self.metrics or self.values or self.named or self.events):
            raise ValueError("nothing is taken from the message; add metrics, values, named or events")
        if self.codec == STATEFUL and not {"group", "type", "edge"} <= names:
            raise ValueError("a Sparkplug topic has {group}, {type} and {edge}, and {device} for what is behind it")
        if self.named is None and any(rule.name is not None for rule in self.metrics):
            raise ValueError("metrics with a `name` need `named`, which says where values have their names")
        fed = [rule.metric for rule in self.metrics if rule.path is not None and rule.time is None]
        for metric in fed:
            if fed.count(metric) > 1:
                raise ValueError(f"metric {metric} is fed twice by one message; the same energy would count twice")
        return self


class SourceModel(Model):
    """What every source says, whatever its messages are."""

    name: Text
    preset: str | None = None
    prefix: Annotated[str, StringConstraints(min_length=1, max_length=200)] | None = None
    zone: Zone | None = None
    implausible_time: Implausible | None = None
    """What all its messages do with a time that is not plausible, whatever they say themselves."""
    enabled: bool = True
    unknown_objects: Literal["quarantine", "draft", "pending"] = "quarantine"
    kind: Annotated[str, StringConstraints(max_length=64)] = ""
    messages: list[MessageModel] = Field(min_length=1, max_length=MESSAGES_MAX)
    commands: Commands = Field(default_factory=list)
    offline_after: Length | None = None
    primary_host: Annotated[str, StringConstraints(pattern=r"^[^/+#$\s]{1,100}$")] | None = None
    """Of Sparkplug: the host that edge nodes wait for; while we are there, they send, and store otherwise."""
    presence_debounce: Length | None = None

    @model_validator(mode="after")
    def _commands_are_sayable(self) -> "SourceModel":
        if self.primary_host is not None and not any(it.codec == STATEFUL for it in self.messages):
            raise ValueError("primary_host is of Sparkplug; leave it out, or read the codec sparkplug")
        for place, sentence in wrong_names(self.commands, [compile_pattern(it.topic) for it in self.messages]):
            raise ValueError(f"{place}: {sentence}")
        return self


def source_rules(settings: Settings) -> SourceRules:
    """How this gateway reads the sources of a catalogue file; its own topics are taken."""
    own = (*usage_filters(settings), control_filter(settings))
    return SourceRules(read=lambda entries: _read(entries, own), clash=clash)


def _read(entries: Sequence[Any], own: Sequence[str]) -> tuple[list[DeclaredSource], list[tuple[str, str]]]:
    found: list[DeclaredSource] = []
    problems: list[tuple[str, str]] = []
    for n, entry in enumerate(entries):
        outer = f"sources[{n}]"
        source, wrong = _declared(entry, outer)
        problems += [(_below(outer, place), sentence) for place, sentence in wrong]
        if source is None:
            continue
        taken = [(ours, theirs) for ours in topics_of(source.definition) for theirs in own if crowd(ours, theirs)]
        problems += [
            (outer, f"{ours} takes messages of {theirs}, which the gateway reads itself") for ours, theirs in taken[:1]
        ]
        found.append(source)
    return found, problems


def _below(outer: str, place: str) -> str:
    return outer if not place else f"{outer}{place}" if place.startswith("[") else f"{outer}.{place}"


def topics_of(definition: Mapping[str, Any]) -> tuple[str, ...]:
    """The MQTT filters that a stored definition subscribes to."""
    patterns = [compile_pattern(message["topic"]) for message in definition["messages"]]
    return filters_of([*patterns, *answer_topics(definition)])


def clash(one: Mapping[str, Any], other: Mapping[str, Any]) -> str | None:
    """Two filters of two sources that take one topic, as a sentence; such a message would come twice."""
    for ours in topics_of(one):
        for theirs in topics_of(other):
            if crowd(ours, theirs):
                return f"{ours} and {theirs} take the same topics"
    return None


def _declared(entry: Any, outer: str) -> tuple[DeclaredSource | None, list[tuple[str, str]]]:
    if not isinstance(entry, dict):
        return None, [("", "should be a source: a mapping with name, and preset or topic")]
    try:
        whole, places = _completed(entry)
    except (PresetUnknown, ValueError) as error:
        return None, [("preset" if "preset" in entry else "", str(error))]
    try:
        model = SourceModel.model_validate(whole)
    except ValidationError as error:
        wrong = [(_declared_place(place, places), sentence) for place, sentence in problems_of(error, whole)]
        return None, list(dict.fromkeys(wrong))
    definition = model.model_dump(
        mode="json", exclude={"preset", "prefix", "zone", "name", "implausible_time"}, exclude_defaults=True
    )
    uses = tuple(replace(use, place=_below(outer, use.place)) for use in _uses(model, places))
    return DeclaredSource(name=model.name, place=outer, definition=definition, metrics=uses), []


def _uses(model: SourceModel, places: Mapping[str, str]) -> Iterator[MetricUse]:
    for m, message in enumerate(model.messages):
        for n, rule in enumerate(message.metrics):
            place = _declared_place(f"messages[{m}].metrics[{n}].metric", places)
            yield MetricUse(place=place, metric=rule.metric, kind=rule.kind, optional=rule.if_declared)


def _completed(entry: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, str]]:
    """A declaration with its messages written out, and where in the file each of its parts was said."""
    own = {key: value for key, value in entry.items() if key in MessageModel.model_fields}
    rest = {key: value for key, value in entry.items() if key not in MessageModel.model_fields}
    places: dict[str, str] = {}
    name = rest.get("preset")
    if name is None:
        if "messages" not in rest:
            rest["messages"] = [own]
            places["messages[0]"] = ""
        elif own:
            raise ValueError(f"{next(iter(own))!r} belongs to one of the messages; move it there")
        prefix, zone = rest.get("prefix"), rest.get("zone")
    else:
        if "messages" in rest:
            raise ValueError("a preset has its own messages; leave `messages` or `preset` out")
        shipped = preset(str(name))
        _merge(rest, own, shipped.messages, places)
        prefix, zone = rest.get("prefix", shipped.prefix), rest.get("zone", shipped.zone)
        if shipped.commands:
            rest.setdefault("commands", list(shipped.commands))
    if isinstance(rest["messages"], list):
        implausible = rest.get("implausible_time")
        rest["messages"] = [_placed(message, prefix, zone, implausible) for message in rest["messages"]]
    if "commands" in rest:
        said = rest["commands"]
        rest["commands"] = placed(said if isinstance(said, list) else [said], prefix)
    return rest, places


def _merge(
    rest: dict[str, Any], own: Mapping[str, Any], shipped: Sequence[Mapping[str, Any]], places: dict[str, str]
) -> None:
    """The preset's messages, with what the source says itself in those that carry readings."""
    if "topic" in own and len(shipped) > 1:
        raise ValueError("this preset has several topics, which `prefix` moves together; leave `topic` out")
    if "events" in own:
        raise ValueError("a preset has its own events; write the messages out to have others")
    messages: list[dict[str, Any]] = []
    for n, message in enumerate(shipped):
        carries = not TAKEN.isdisjoint(message)
        added = own if carries or len(shipped) == 1 else {}
        if "metrics" in added and "values" not in added:
            message = {key: value for key, value in message.items() if key != "values"}  # noqa: PLW2901 - what is said replaces what was
        messages.append({**message, **added})
        places[f"messages[{n}]"] = "preset"
        places |= {f"messages[{n}].{key}": key for key in added}
    rest["messages"] = messages


def _placed(message: Any, prefix: Any, zone: Any, implausible: Any) -> Any:
    """A message with `~` in its topic replaced by the prefix, and its times as the source says they are."""
    if not isinstance(message, dict):
        return message
    made = dict(message)
    topic = made.get("topic")
    if isinstance(topic, str) and topic.startswith("~/") and isinstance(prefix, str):
        made["topic"] = prefix + topic[1:]
    said = {} if zone is None else {"zone": zone}
    ruled = {} if implausible is None else {"implausible": implausible}
    if isinstance(made.get("time"), dict):
        made["time"] = {**said, **made["time"], **ruled}
    if isinstance(made.get("metrics"), list):
        made["metrics"] = [
            {**rule, "time": {**said, **rule["time"], **ruled}}
            if isinstance(rule, dict) and isinstance(rule.get("time"), dict)
            else rule
            for rule in made["metrics"]
        ]
    return made


def _declared_place(place: str, places: Mapping[str, str]) -> str:
    """Where the reader of the file finds what stands at `place` of the completed declaration."""
    best = max((key for key in places if place == key or place.startswith((f"{key}.", f"{key}["))), key=len, default="")
    if not best:
        return place
    said = places[best]
    if said == "preset":
        return "preset"
    return (said + place[len(best) :]).removeprefix(".")
