"""The one module that reads the wall clock; everything else is told what time it is."""

from datetime import UTC, datetime, timedelta
from typing import Protocol


class Clock(Protocol):
    """Tells the time as an aware UTC datetime."""

    def now(self) -> datetime: ...


class SystemClock:
    """The machine's clock."""

    def now(self) -> datetime:
        return datetime.now(UTC)


class VirtualClock:
    """A clock that stands still until it is moved: for the demo, the tutorial and tests."""

    def __init__(self, start: datetime) -> None:
        if start.tzinfo is None:
            raise ValueError(f"a virtual clock needs an instant with a zone, got {start.isoformat()}")
        self._now = start.astimezone(UTC)

    def now(self) -> datetime:
        return self._now

    def set(self, instant: datetime) -> None:
        """Move to `instant` (aware)."""
        self._now = instant.astimezone(UTC)

    def advance(self, delta: timedelta) -> None:
        """Move on by `delta`."""
        self._now += delta


def clock_from(setting: str) -> Clock:
    """The clock that METERGATE_CLOCK names: `system`, or `virtual:` and an RFC 3339 instant.

    Raises ValueError with a sentence for anything else.
    """
    if setting == "system":
        return SystemClock()
    kind, _, instant = setting.partition(":")
    if kind == "virtual" and instant:
        try:
            return VirtualClock(datetime.fromisoformat(instant))
        except ValueError as error:
            raise ValueError(
                f"the clock {setting!r} is not usable: {error}; write virtual:2022-04-01T00:00:00Z"
            ) from None
    raise ValueError(f"the clock {setting!r} is unknown; use `system` or `virtual:2022-04-01T00:00:00Z`")
