"""The price simulator: what any charge is worth for a quantity or a list of events, without a database.

The law: it values with the same functions as the close does.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any
from zoneinfo import ZoneInfo

from billing.catalogue import load_charge
from billing.catalogue.installed import wrong_calculators
from billing.core.charges import Charge, Commitment, Event, OneTime, Periodic, Recurring, Usage, rules_of
from billing.core.errors import Invalid
from billing.core.invoicing import difference
from billing.core.measured import Measured, counted_events
from billing.core.money import allocate, exact_text, format_minor, minor_digits, to_minor
from billing.core.periods import DAY, Every, first_day, local_midnight, nth_start
from billing.core.pools import value_pool
from billing.core.prices import NO_CONTEXT, Component, Context, worth
from billing.core.properties import checked_properties
from billing.core.records import Record, Window, measure_records, once
from billing.core.valuing import part_of, value
from billing.extension import installed

EVENTS_LIMIT_BYTES = 50_000_000
"""A list of events to try a price on; more belongs in the usage of an object."""
PERIODS_LIMIT = 1200
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MILLISECONDS_LIMIT = 10**14
"""Milliseconds since 1970 of a time before the year 5138."""
INSTANT = re.compile(r"\d{4}-\d{2}-\d{2}([T ].*)?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Valued:
    """What a charge came to: its components, exact and rounded once; `left_out` events lie outside the period."""

    components: tuple[Component, ...]
    currency: str
    left_out: int = 0

    @property
    def amount(self) -> Fraction:
        return worth(self.components)

    def as_json(self) -> dict[str, Any]:
        """Texts of exact numbers; the lines' rounded amounts add up to the rounded amount."""
        digits = minor_digits(self.currency)
        minor = to_minor(self.amount, self.currency)
        keys = [f"{place:06d}" for place in range(len(self.components))]
        weights = [(key, component.amount * 10**digits) for key, component in zip(keys, self.components, strict=True)]
        parts = allocate(minor, weights) if weights else {}
        return {
            "amount": exact_text(self.amount),
            "amount_rounded": format_minor(minor, digits),
            "lines": [
                {
                    "name": component.name,
                    "quantity": exact_text(component.quantity),
                    "unit_price": exact_text(component.unit_price),
                    "amount": exact_text(component.amount),
                    "amount_rounded": format_minor(parts[key], digits),
                }
                for key, component in zip(keys, self.components, strict=True)
            ],
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What is to be valued: a quantity or events (usage and event charges), over a service period."""

    quantity: Fraction | None = None
    events: Sequence[Record] | None = None
    period: tuple[datetime, datetime] | None = None
    nominal: tuple[datetime, datetime] | None = None
    number: int = 1
    items: Fraction = Fraction(1)
    """Contract items in a pool whose limits are those of one item."""
    zone: ZoneInfo
    currency: str = "EUR"
    attributes: Mapping[str, str] = field(default_factory=dict)


def price(charge: Charge, question: Question) -> Valued:
    """The worth of a charge. Raises Invalid where the charge needs what the question does not give."""
    minor_digits(question.currency)
    for message in wrong_calculators(charge):
        raise Invalid(message)
    match charge:
        case OneTime():
            components = value(charge, part=Fraction(1), number=question.number)
            return Valued(components=components, currency=question.currency)
        case Recurring():
            return Valued(components=_fees(charge, question), currency=question.currency)
        case Usage() | Event():
            return _usage(charge, question)
        case Commitment():
            return _commitment(charge, question)


def _fees(charge: Recurring, question: Question) -> tuple[Component, ...]:
    components: tuple[Component, ...] = ()
    for number, window in enumerate(_windows(charge, question), start=question.number):
        components += value(charge, part=_part(charge, window), number=number)
    return difference(components, ())


def _commitment(charge: Commitment, question: Question) -> Valued:
    """What is missing; the quantity is what the charges that it counts are worth."""
    if question.quantity is None:
        raise Invalid("a commitment is valued on what its charges are worth; give that with --quantity")
    window = next(iter(_windows(charge, question, whole=True)))
    part = Fraction(1) if question.period is None else _part(charge, window)
    components = value(charge, part=part, measured=Measured(quantity=question.quantity))
    return Valued(components=components, currency=question.currency)


def _usage(charge: Usage | Event, question: Question) -> Valued:
    window = next(iter(_windows(charge, question, whole=True)))
    part = Fraction(1) if question.period is None else _part(charge, window)
    left_out = 0
    if question.events is None:
        if question.quantity is None:
            raise Invalid(f"a charge of type {charge.type} is valued on usage; give --quantity or --events")
        if question.quantity < 0:
            raise Invalid(f"quantity {exact_text(question.quantity)} is negative; usage is 0 or more")
        if isinstance(charge, Usage) and charge.calculator.by is not None:
            raise Invalid(f"the usage is broken down by {charge.calculator.by}; give --events with that property")
        count = int(question.quantity) if isinstance(charge, Event) else 1
        used = question.quantity
        if isinstance(charge, Usage) and charge.calculator.convert and charge.calculator.converts_records():
            used = charge.calculator.convert.apply_to_record(used)  # the quantity of one record
        measured = Measured(quantity=used, count=count, values=(used,))
    else:
        records = once(question.events)
        if question.period is None:
            if isinstance(charge, Usage) and _needs_period(charge):
                raise Invalid(f"{charge.calculator.aggregation} depends on time; give --period START/END")
            window = _all_of(records, question.zone)
        left_out = _left_out(charge, records, window)
        if isinstance(charge, Usage):
            measured = measure_records(charge.calculator, records, window, prorate=charge.prorate)
        else:
            happened = sum(window.start <= record.at < window.end for record in records)
            measured = counted_events(happened)
    context = _context(question, window, part) if rules_of(charge) else NO_CONTEXT
    components = value_pool(
        charge, part=part, measured=measured, items=question.items * part, number=question.number, context=context
    )
    return Valued(components=components, currency=question.currency, left_out=left_out)


def _context(question: Question, window: Window, part: Fraction) -> Context:
    return Context(
        part=part,
        days=window.day(window.end) - window.day(window.start),
        number=question.number,
        attributes=question.attributes,
        calculators=installed(),
    )


def _needs_period(charge: Usage) -> bool:
    return charge.calculator.recurring or charge.calculator.aggregation in {"weighted_sum", "weighted_mean"}


def _left_out(charge: Usage | Event, records: Sequence[Record], window: Window) -> int:
    carries = isinstance(charge, Usage) and _needs_period(charge)
    return sum(record.at >= window.end or (record.at < window.start and not carries) for record in records)


def _all_of(records: Sequence[Record], zone: ZoneInfo) -> Window:
    """A window that holds every record."""
    times = [record.at for record in records] or [datetime(2000, 1, 1, tzinfo=zone)]
    start, end = min(times), max(times) + DAY
    return Window(start=start, end=end, nominal_start=start, nominal_end=end, zone=zone)


def _part(charge: Periodic, window: Window) -> Fraction:
    if charge.prorate == "second":
        return window.seconds(window.start, window.end)
    return part_of(charge.prorate, window.day(window.end) - window.day(window.start), window.whole_days)


def _windows(charge: Periodic, question: Question, *, whole: bool = False) -> list[Window]:
    """The service, cut at the charge's whole periods; with `whole` a longer service is one whole period itself."""
    zone = question.zone
    if question.period is None:
        start, end = datetime(2000, 1, 1, tzinfo=zone), datetime(2000, 2, 1, tzinfo=zone)
        return [Window(start=start, end=end, nominal_start=start, nominal_end=end, zone=zone)]
    start, end = question.period
    if question.nominal is not None:
        nominal_start, nominal_end = question.nominal
        if not nominal_start <= start < end <= nominal_end:
            raise Invalid("the period is not inside the nominal period; the whole period holds the service")
        spans = [(nominal_start, nominal_end)]
    else:
        spans = list(_nominal(charge.every, charge.anchor or "calendar", start, end, zone))
        if whole and len(spans) > 1:
            first = start.astimezone(zone).date()
            following = local_midnight(nth_start(first, charge.every, 1), zone)
            spans = [(start, following if charge.anchor is None and end <= following else end)]
    if question.number == 1:
        start = _after(start, charge.trial_days, zone)
    windows = [
        Window(start=max(start, opens), end=min(end, closes), nominal_start=opens, nominal_end=closes, zone=zone)
        for opens, closes in spans
        if max(start, opens) < min(end, closes)
    ]
    if whole and not windows:
        raise Invalid("the whole period lies in the trial; nothing is charged in it")
    return windows


def _nominal(every: Every, anchor: Any, start: datetime, end: datetime, zone: ZoneInfo) -> Any:
    first = first_day(start.astimezone(zone).date(), every, anchor)
    for n in range(PERIODS_LIMIT):
        opens = local_midnight(nth_start(first, every, n), zone)
        if opens >= end:
            return
        yield opens, local_midnight(nth_start(first, every, n + 1), zone)
    raise Invalid(f"the period has more than {PERIODS_LIMIT} periods of the charge; choose a shorter one")


def _after(start: datetime, days: int, zone: ZoneInfo) -> datetime:
    return start if not days else local_midnight(start.astimezone(zone).date() + days * DAY, zone)


# --- what is written --------------------------------------------------------------------------------------


def parse_period(text: str, zone: ZoneInfo) -> tuple[datetime, datetime]:
    """`START/END`, the end exclusive: days of the zone, or instants (RFC 3339; without an offset in the zone)."""
    parts = text.split("/")
    if len(parts) != 2:  # noqa: PLR2004 - a start and an end
        raise Invalid(f"period {text!r} should be START/END, such as 2022-04-01/2022-05-01, the end exclusive")
    start, end = (_instant(part.strip(), zone) for part in parts)
    if start >= end:
        raise Invalid(f"period {text!r} ends before it starts or is empty; the end is exclusive")
    return start, end


def _instant(text: object, zone: ZoneInfo) -> datetime:
    if isinstance(text, str) and INSTANT.fullmatch(text):
        try:
            if len(text) == len("2022-04-01"):
                return local_midnight(date.fromisoformat(text), zone)
            instant = datetime.fromisoformat(text)
            return (instant if instant.tzinfo is not None else instant.replace(tzinfo=zone)).astimezone(UTC)
        except (ValueError, OverflowError):
            pass
    if isinstance(text, int) and not isinstance(text, bool) and abs(text) < MILLISECONDS_LIMIT:
        return EPOCH + timedelta(milliseconds=text)
    raise Invalid(f"{text!r} is not a time; write 2022-04-14, or 2022-04-14T10:00:00Z")


def parse_number(value: object, what: str) -> Fraction:
    """An exact number, with a sign where it has one. Raises Invalid for anything else."""
    if isinstance(value, Decimal | int) and not isinstance(value, bool):
        value = str(value)
    if isinstance(value, str) and re.fullmatch(r"[+-]?[0-9]{1,18}(\.[0-9]{1,18})?([eE][+-]?[0-9]{1,2})?", value):
        return Fraction(value)
    raise Invalid(f"{what} is {str(value)[:60]!r}; it should be a number of up to 18 digits and 18 decimals")


def parse_events(text: str, zone: ZoneInfo, charge: Charge) -> list[Record]:
    """The records of a JSON list of `{"at", "value", "properties"?, "id"?}`; raises Invalid with the place.

    `at` is a time, or milliseconds since 1970. The value may be missing where the charge only counts.
    """
    counts = isinstance(charge, Event) or (
        isinstance(charge, Usage) and charge.calculator.aggregation in {"count", "unique_count"}
    )
    if len(text.encode("utf-8", "replace")) > EVENTS_LIMIT_BYTES:
        raise Invalid(f"the events are larger than {EVENTS_LIMIT_BYTES} bytes; try the price on fewer")
    try:
        entries = json.loads(text, parse_float=Decimal, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise Invalid(f"the events are not JSON: {error}") from None
    if not isinstance(entries, list):
        raise Invalid('the events should be a list: [{"at": "2022-04-14T10:00:00Z", "value": 12}]')
    return [_record(entry, f"event {place}", zone, counts=counts) for place, entry in enumerate(entries, start=1)]


def _no_constant(text: str) -> None:
    raise ValueError(f"{text} is not a number of JSON")


def _record(entry: object, place: str, zone: ZoneInfo, *, counts: bool) -> Record:
    if not isinstance(entry, Mapping):
        raise Invalid(f'{place} is {str(entry)[:60]!r}; it should be {{"at", "value", "properties"?, "id"?}}')
    unknown = sorted(set(entry) - {"at", "value", "properties", "id"})
    if unknown:
        raise Invalid(f"{place} has the unknown key {unknown[0]!r}; known are at, value, properties, id")
    if "at" not in entry:
        raise Invalid(f"{place} has no at; give its time")
    if "value" not in entry and not counts:
        raise Invalid(f"{place} has no value; give what was used")
    try:
        properties = checked_properties(entry.get("properties") or {})
        at = _instant(entry["at"], zone)
    except Invalid as error:
        raise Invalid(f"{place}: {error.message}") from None
    return Record(
        at=at,
        value=parse_number(entry.get("value", 1), f"the value of {place}"),
        properties=properties,
        id="" if entry.get("id") is None else str(entry["id"]),
    )


__all__ = ["Question", "Valued", "load_charge", "parse_events", "parse_number", "parse_period", "price"]
