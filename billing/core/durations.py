"""Lengths of time as people write them in files and on the command line: `30s`, `15m`, `1h`, `7d`."""

import re
from collections.abc import Mapping
from datetime import timedelta
from types import MappingProxyType

from billing.core.errors import Invalid

WRITTEN = re.compile(r"([1-9][0-9]{0,8})(s|m|h|d)", re.ASCII)
UNITS: Mapping[str, timedelta] = MappingProxyType(
    {"s": timedelta(seconds=1), "m": timedelta(minutes=1), "h": timedelta(hours=1), "d": timedelta(days=1)}
)
LONGEST = timedelta(days=366)


def duration(text: str) -> timedelta:
    """The length of time behind `1h` and the like, up to a year. Raises Invalid."""
    written = WRITTEN.fullmatch(text)
    if written is None:
        raise Invalid(f"{text[:40]!r} is no length of time; write a number with s, m, h or d: 30s, 15m, 1h, 7d")
    try:
        length = int(written[1]) * UNITS[written[2]]
    except OverflowError:
        length = LONGEST * 2
    if length > LONGEST:
        raise Invalid(f"{text} is longer than {LONGEST.days} days; write a shorter one")
    return length
