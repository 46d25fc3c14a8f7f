"""From documents to samples and reports, as one message of a source says: pure, compiled once, no float.

The law: a part of a message that does not fit is refused whole, with its reason; what a rule does not name is left.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from billing.core.errors import Invalid
from billing.core.properties import REGISTER, canonical, checked_properties
from gateway.sources.births import Births
from gateway.sources.numbering import Numbered
from gateway.sources.paths import Find
from gateway.sources.rules import (
    DEPTH_MAX,
    NOT_STATED,
    NUMBER_MAX,
    Arrival,
    Events,
    Mapped,
    MessageMapping,
    Named,
    Part,
    Route,
    SequenceRule,
    Stated,
    Values,
)
from gateway.telemetry import (
    EVENT_KIND,
    METRICS_MAX,
    OUR_EVENTS,
    SAMPLES_MAX,
    SENDER_ID_MAX,
    LifecycleReport,
    Sample,
    Unreadable,
)
from storage.presence import ONLINE
from storage.types import from_micros


def translate(
    route: Route,
    payload: bytes,
    arrival: Arrival,
    check: Callable[[str], str],
    births: Births,
    numbers: list[Numbered],
) -> list[Part]:
    """What a message says, object by object; nothing when it says nothing that is asked for.

    `check` gives back a reference that can be an object's; `numbers` takes the numbers of the messages, where the
    source says that they have any. Raises Unreadable.
    """
    if route.refusal is not None:
        raise route.refusal
    mapping = route.mapping
    if arrival.retained and mapping.retained == "ignore":
        return []
    if arrival.retained and mapping.retained == "quarantine":
        raise Unreadable("retained", "a retained copy, which the source says is not taken; publish without retain")
    samples: dict[str, list[Sample]] = {}
    reports: list[Part] = []
    position = 0
    for document in _documents(route, payload, births, arrival):
        reference = route.reference or _reference(mapping.object_path, document, check)
        _check_agreement(route, document)
        time = NOT_STATED if mapping.time is None else mapping.time.stated(document, arrival)
        at, key = time.at, _key(mapping.key, document) or time.key
        if mapping.sequence is not None:
            sent_at = arrival.at if at is None else at
            numbers += _numbered(mapping.sequence, reference, route.source, document, sent_at)
        for event in mapping.events:
            kind = _event(event, document, route.captures)
            if kind is not None:
                report = _report(kind, key, time)
                reports.append(Part(reference, report))
        answers = [rule.read(document, route.captures) for rule in mapping.answers]
        reports += [Part(reference, answer) for answer in answers if answer is not None]
        for stated, values, register in _values(route, document, time._replace(key=key), arrival):
            mine = samples.setdefault(reference, [])
            sample = _sample(mapping, stated, position, values, retained=arrival.retained)
            mine.append(sample._replace(properties=register) if register else sample)
            position += 1
    if position > SAMPLES_MAX:
        raise Unreadable("bad_shape", f"more than {SAMPLES_MAX} samples in one message")
    return [*(Part(reference, _told_apart(mine)) for reference, mine in samples.items()), *reports]


def _documents(route: Route, payload: bytes, births: Births, arrival: Arrival) -> list[Any]:
    mapping = route.mapping
    if route.place is None:
        if mapping.decode_attached is None or arrival.attached is None:
            documents = mapping.decode(payload)
        else:
            documents = mapping.decode_attached(payload, arrival.attached)
    else:
        documents = births.documents(route.place, payload, reference=route.reference, at=arrival.at)
    if mapping.each is not None:
        inner = [mapping.each(document) for document in documents]
        documents = [one for it in inner for one in (it if it.__class__ is list else [it]) if one is not None]
    if mapping.skip:
        documents = [one for one in documents if not any(_same(find(one), wanted) for find, wanted in mapping.skip)]
    return documents


def _reference(find: Find | None, document: Any, check: Callable[[str], str]) -> str:
    value = None if find is None else find(document)
    if value.__class__ is int:
        value = str(value)
    if value.__class__ is not str:
        raise Unreadable("no_object", "the message does not say which object it is of, where the source says it stands")
    return check(value)


def _numbered(rule: SequenceRule, reference: str, source: str, document: Any, at: int) -> Iterator[Numbered]:
    number = rule.find(document)
    if number.__class__ is int and 0 <= number < NUMBER_MAX:
        yield Numbered(reference, source, number, rule.wraps_at, at)


def _report(kind: str, key: str, time: Stated) -> LifecycleReport:
    said = time.implausible_at
    detail = {} if said is None else {"implausible_time": from_micros(said).isoformat()}
    return LifecycleReport(sender_id=key, occurred_at=time.at, event=kind, online=ONLINE.get(kind), detail=detail)


def _check_agreement(route: Route, document: Any) -> None:
    for find, expected in route.agree:
        claimed = find(document)
        if claimed is not None and str(claimed) != expected:
            claims = str(claimed)[:80]
            raise Unreadable("contradiction", f"the payload says {claims!r} where the topic says {expected!r}")


def _values(route: Route, document: Any, time: Stated, arrival: Arrival) -> Iterator[tuple[Stated, Values, str]]:
    """(time and key, values, which register they are of) of each sample in a document.

    One, and one more for each value with a time of its own, or a register.
    """
    mapping = route.mapping
    values: Values = []
    by_register: dict[str, Values] = {}
    for rule in mapping.mapped:
        value = None if rule.find is None else rule.find(document)
        if value is None:
            if rule.required:
                raise Unreadable("missing_value", f"the value that {rule.metric} is made of is not there")
        elif rule.time is None:
            register = _register(rule, document)
            (by_register.setdefault(register, []) if register else values).append((rule.metric, rule.converted(value)))
        else:
            own = rule.time.stated(document, arrival)
            yield (
                own._replace(key=own.key or time.key),
                [(rule.metric, rule.converted(value))],
                _register(rule, document),
            )
    if mapping.values is not None:
        _add_all(mapping, mapping.values(document), values)
    if mapping.named is not None:
        _add_named(route, mapping.named, document, values)
    if len(values) > METRICS_MAX:
        raise Unreadable("too_many_metrics", f"{len(values)} metrics in one sample; send at most {METRICS_MAX}")
    if values:
        yield time, values, ""
    for register, inside in by_register.items():
        yield time, inside, register


def _register(rule: Mapped, document: Any) -> str:
    value = None if rule.epoch is None else rule.epoch(document)
    if value is None or value.__class__ in {dict, list}:
        return ""
    try:
        return canonical(checked_properties({REGISTER: value}))
    except Invalid as error:
        raise Unreadable("bad_properties", error.message) from None


def _add_all(mapping: MessageMapping, inner: Any, values: Values) -> None:
    if inner.__class__ is dict:
        for name, value in _flat(inner, "", DEPTH_MAX):
            _add(mapping.by_name, values, name, value, refuse=mapping.values_refuse)


def _flat(value: Mapping[str, Any], outer: str, depth: int) -> Iterator[tuple[str, Any]]:
    for name, inner in value.items():
        if inner.__class__ is dict and depth:
            yield from _flat(inner, f"{outer}{name}.", depth - 1)
        elif inner is not None:
            yield outer + name, inner


def _add_named(route: Route, named: Named, document: Any, values: Values) -> None:
    mapping, captures = route.mapping, route.captures
    name = named.name.format_map(captures) if named.name is not None else named.find(document) if named.find else None
    value = named.value(document)
    if name.__class__ is str and value is not None:
        rule = mapping.by_name.get(name.replace("/", "."))
        if rule is not None and rule.fact.kind == "delta" and route.place is not None and document.get("born"):
            return  # a birth repeats what was said: a reading again, but a delta twice
        _add(mapping.by_name, values, name.replace("/", "."), value, refuse=named.refuse)


def _add(known: Mapping[str, Mapped], values: Values, name: str, value: Any, *, refuse: bool) -> None:
    rule = known.get(name)
    if rule is not None:
        values.append((rule.metric, rule.converted(value)))
    elif refuse:
        raise Unreadable("unknown_metric", f"no metric is called {name[:100]!r}; declare it in the catalogue")


def _sample(mapping: MessageMapping, time: Stated, position: int, values: Values, *, retained: bool) -> Sample:
    at, key = time.at, time.key
    if retained and at is None and not key:
        if mapping.retained == "once":
            key = "=" + ",".join(f"{name}={value}" for name, value in sorted(values))
        elif mapping.retained is None:
            raise Unreadable(
                "retained_unkeyed",
                "a retained copy without an id or a time cannot be told from its repeat; publish usage without retain",
            )
    if len(key) > SENDER_ID_MAX or not key.isprintable():
        raise Unreadable("bad_key", f"the key {key[:60]!r} is longer than {SENDER_ID_MAX} printable characters")
    return Sample(key, position, at, tuple(values), implausible_at=time.implausible_at)


def _told_apart(samples: list[Sample]) -> tuple[Sample, ...]:
    """Samples of one message that share a key are told apart by their place among those with it."""
    if len(samples) == 1:
        return tuple(samples)
    seen: dict[str, int] = {}
    made = []
    for sample in samples:
        key = sample.sender_id
        if key:
            nth = seen[key] = seen.get(key, -1) + 1
            made.append(sample._replace(sender_id=f"{key}#{nth}") if nth else sample)
        else:
            made.append(sample)
    return tuple(made)


def _key(finds: tuple[Find, ...], document: Any) -> str:
    """The sender's key; parts that are not there are empty, for some formats leave zeros out."""
    if not finds:
        return ""
    parts = [find(document) for find in finds]
    if all(part is None for part in parts):
        return ""
    texts = ["" if part is None else str(part) for part in parts]
    if any(part.__class__ in {dict, list} for part in parts) or not all(text.isprintable() for text in texts):
        raise Unreadable("bad_key", "what the source takes for the message's key is no text and no number")
    return ":".join(texts)


def _event(rule: Events, document: Any, captures: Mapping[str, str]) -> str | None:
    if rule.event is not None:
        return rule.event
    value = rule.topic.format_map(captures) if rule.topic is not None else rule.find(document) if rule.find else None
    if value.__class__ is bool:
        value = "true" if value else "false"
    if rule.values is not None:
        return None if value is None else rule.values.get(str(value))
    if value is None:
        return None
    if value.__class__ is not str or not EVENT_KIND.fullmatch(value):
        raise Unreadable("bad_shape", f"{str(value)[:80]!r} is no event; write a word such as online")
    if value in OUR_EVENTS:
        raise Unreadable("reserved_event", f"the event {value!r} comes from commands, not from the object itself")
    return value


def _same(value: Any, wanted: Any) -> bool:
    """Equal, and no number is a boolean."""
    return bool(value == wanted) and (value.__class__ is bool) == (wanted.__class__ is bool)
