"""The times of foreign formats: RFC 3339, local times without a zone, epochs in several units, DSMR.

The law: a time is read exactly or refused; a local time that stands twice, when clocks go back, is decided by a rule.
"""

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta, tzinfo
from decimal import Decimal
from types import MappingProxyType
from typing import Any, Literal
from zoneinfo import ZoneInfo

from gateway.sources.numbers import number
from gateway.telemetry import parse_time
from storage.types import from_micros, to_micros

Format = Literal["rfc3339", "local", "unix_s", "unix_ms", "unix_us", "dsmr", "senml", "day_start", "day_end"]
Fold = Literal["arrival", "earlier", "later", "refuse"]
LOCAL = re.compile(r"(\d{4}-\d\d-\d\d)[Tt ](\d\d:\d\d(?::\d\d)?)(?:\.(\d{1,9}))?", re.ASCII)
DSMR = re.compile(r"(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)([WS])", re.ASCII)
DSMR_ZONE = "Europe/Amsterdam"
OFFSET_WITHOUT_COLON = re.compile(r"(.*[+-]\d\d)(\d\d)", re.ASCII)
RFC3339_MINUTES = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d(Z|z|[+-]\d\d:\d\d)", re.ASCII)
"""To the minute, as wM-Bus meters and some bridges write it."""
SECOND = len("2022-04-14T10:00:00")
TEXTS_KEPT = 10_000
"""Seconds, and what may stand behind them, remembered by their text."""
RELATIVE_BELOW = 2**28
"""RFC 8428, 4.5.3: smaller seconds are counted from now, as this side knows it."""
DAY = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
UNIT_MICROS: Mapping[str, int] = MappingProxyType({"unix_s": 1_000_000, "unix_ms": 1_000, "unix_us": 1})
Read = Callable[[Any, int], int | None]
"""(value, arrival) to microseconds since 1970 UTC; None when the value is no time of this format."""


class Ambiguous(ValueError):
    """A local time that stands twice, where the rule is to refuse it."""


def reader(form: Format, zone: str | None, fold: Fold) -> Read:
    """What reads times of this format; `zone` is that of local times."""
    match form:
        case "rfc3339":
            return lambda value, _arrival: _rfc3339(value)
        case "local":
            where = ZoneInfo(zone or "UTC")
            return lambda value, arrival: _local(value, where, fold, arrival)
        case "dsmr":
            dutch = ZoneInfo(zone or DSMR_ZONE)
            return lambda value, _arrival: _dsmr(value, dutch)
        case "senml":
            return _senml
        case "day_start" | "day_end":
            days = int(form == "day_end")
            there = ZoneInfo(zone or "UTC")
            return lambda value, _arrival: _day(value, there, days)
        case _:
            unit = UNIT_MICROS[form]
            return lambda value, _arrival: _epoch(value, unit)


_seconds: dict[str, int] = {}
_rests: dict[str, int] = {}


def _rfc3339(value: Any) -> int | None:
    """By its second and by what is behind it, each remembered: a fleet that is on time writes few of them."""
    if value.__class__ is not str:
        return None
    second, rest = _seconds.get(value[:SECOND]), _rests.get(value[SECOND:])
    if second is not None and rest is not None:
        return second + rest
    found = _strictly(value)
    whole = parse_time(value[:SECOND] + "Z")
    if found is not None and whole is not None:
        for kept, text, micros in ((_seconds, value[:SECOND], whole), (_rests, value[SECOND:], found - whole)):
            if len(kept) >= TEXTS_KEPT:
                kept.clear()
            kept[text] = micros
    return found


def _strictly(value: str) -> int | None:
    found = parse_time(value)
    if found is not None:
        return found
    if short := OFFSET_WITHOUT_COLON.fullmatch(value):
        return parse_time(f"{short[1]}:{short[2]}")
    if minutes := RFC3339_MINUTES.fullmatch(value):
        return parse_time(f"{value[: minutes.start(1)]}:00{minutes[1]}")
    return None


def _epoch(value: Any, unit: int) -> int | None:
    found = number(value)
    if found is None:
        return None
    try:
        # Compared before it is made an integer: 1E+999999999 must cost nothing.
        if not -(10**17) < found < 10**17:
            return None
        micros = int((Decimal(found) * unit).to_integral_value()) if found.__class__ is Decimal else int(found) * unit
        return to_micros(from_micros(micros))
    except (ArithmeticError, ValueError):
        return None


def _local(value: Any, zone: tzinfo, fold: Fold, arrival: int) -> int | None:
    found = LOCAL.fullmatch(value) if value.__class__ is str else None
    if found is None:
        return None
    day, clock, fraction = found.groups()
    try:
        naive = datetime.fromisoformat(f"{day}T{clock}")
        earlier, later = (_instant(naive, zone, nth) for nth in (0, 1))
    except (ValueError, OverflowError):
        return None
    micros = int((fraction or "0").ljust(9, "0")[:6])
    # A time that the change of clocks leaves out has `later` before `earlier`: then the offset before it holds.
    if later > earlier:
        match fold:
            case "refuse":
                raise Ambiguous(value)
            case "later":
                return later + micros
            case "arrival" if abs(arrival - later) < abs(arrival - earlier):
                return later + micros
    return earlier + micros


def _senml(value: Any, arrival: int) -> int | None:
    micros = _epoch(value, UNIT_MICROS["unix_s"])
    return micros if micros is None or micros >= RELATIVE_BELOW * UNIT_MICROS["unix_s"] else arrival + micros


def _day(value: Any, zone: tzinfo, days: int) -> int | None:
    if value.__class__ is not str or not DAY.fullmatch(value):
        return None
    try:
        naive = datetime.fromisoformat(value) + timedelta(days=days)
        return _instant(naive, zone, 0)
    except (ValueError, OverflowError):
        return None


def _dsmr(value: Any, zone: tzinfo) -> int | None:
    found = DSMR.fullmatch(value) if value.__class__ is str else None
    if found is None:
        return None
    year, month, day, hour, minute, second = (int(part) for part in found.groups()[:6])
    try:
        naive = datetime(2000 + year, month, day, hour, minute, second)  # noqa: DTZ001 - the zone is the next line's
        return _instant(naive, zone, 1 if found[7] == "W" else 0)
    except (ValueError, OverflowError):
        return None


def _instant(naive: datetime, zone: tzinfo, fold: int) -> int:
    return to_micros(naive.replace(tzinfo=zone, fold=fold).astimezone(UTC))
