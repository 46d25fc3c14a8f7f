"""What the objects of a simulated history send: amounts of use, calls with properties, readings of a register.

The law: the same chance gives the same messages; offline spells, repeats and wrong clocks are part of the story.
"""

import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from gateway.simulation import services
from gateway.simulation.story import FIRST_DAY, USAGE_DAYS, Message

LATEST_HOURS = 24 * 40
"""How late a burst of messages may come after it was measured."""


def _instant(chance: random.Random) -> datetime:
    start = datetime(FIRST_DAY.year, FIRST_DAY.month, FIRST_DAY.day, tzinfo=UTC)
    if chance.random() < 0.2:  # noqa: PLR2004 - the hours where months change somewhere
        month = chance.choice((datetime(2023, 12, 1, tzinfo=UTC), datetime(2024, 1, 1, tzinfo=UTC)))
        return month + timedelta(seconds=chance.choice((-1, 0, 1)) + 3600 * chance.randrange(-14, 15))
    return start + timedelta(seconds=chance.randrange(USAGE_DAYS * 86_400))


def _deliveries(chance: random.Random, measured_at: datetime, *, prompt: bool = False) -> tuple[datetime, ...]:
    late = timedelta(seconds=chance.randrange(1, 60))
    if not prompt and chance.random() < 0.25:  # noqa: PLR2004 - an offline spell
        late = timedelta(hours=chance.randrange(1, LATEST_HOURS))
    first = measured_at + late
    return (first, *(first + timedelta(hours=chance.randrange(1, 200)) for _ in range(chance.choice((0, 0, 0, 1, 2)))))


def deltas(chance: random.Random, reference: str) -> Iterator[Message]:
    instants = sorted({_instant(chance) for _ in range(chance.randrange(0, 25))})
    for number, measured_at in enumerate(instants):
        says_time = chance.random() < 0.8  # noqa: PLR2004 - most of them
        message = Message(
            reference=reference,
            metric="used",
            value=Decimal(chance.randrange(0, 60_000)) / 1000,
            # A clock that is wrong is still the object's clock: it is what the bill goes by.
            measured_at=measured_at + timedelta(microseconds=number, seconds=chance.choice((0, 0, -300, 7200))),
            sender_id=f"d{number}" if not says_time or chance.random() < 0.5 else "",  # noqa: PLR2004 - a coin
            says_time=says_time,
            deliveries=_deliveries(chance, measured_at + timedelta(hours=3)),
        )
        yield message
        if says_time and chance.random() < 0.1:  # noqa: PLR2004 - a few
            yield Message(
                reference=reference,
                metric="used",
                value=message.value + 1,
                measured_at=message.measured_at,
                sender_id=message.sender_id,
                says_time=True,
                deliveries=(max(message.deliveries) + timedelta(hours=30),),
                conflicting=True,
            )


def calls(chance: random.Random, reference: str) -> Iterator[Message]:
    for number, measured_at in enumerate(sorted({_instant(chance) for _ in range(chance.randrange(0, 20))})):
        says_time = chance.random() < 0.8  # noqa: PLR2004 - most of them
        yield Message(
            reference=reference,
            metric="calls",
            value=services.value(chance),
            measured_at=measured_at + timedelta(microseconds=number, seconds=chance.choice((0, 0, -300, 7200))),
            sender_id=f"c{number}" if not says_time or chance.random() < 0.5 else "",  # noqa: PLR2004 - a coin
            says_time=says_time,
            deliveries=_deliveries(chance, measured_at + timedelta(hours=3)),
            properties=services.properties(chance),
        )


def readings(chance: random.Random, reference: str, start: datetime) -> Iterator[Message]:
    """A register that only rises; the readings around the start of service come promptly.

    The value that a register starts from is kept for good: where there is no period before, what a reading is worth
    would depend on when it came.
    """
    instants = sorted({_instant(chance) for _ in range(chance.randrange(0, 12))})
    value = Decimal(chance.randrange(0, 10**6)) / 1000
    for number, measured_at in enumerate(instants):
        yield Message(
            reference=reference,
            metric="register",
            value=value,
            measured_at=measured_at,
            sender_id="",
            says_time=True,
            deliveries=_deliveries(chance, measured_at, prompt=number == 0 or measured_at < start + timedelta(days=1)),
        )
        value += Decimal(chance.randrange(0, 90_000)) / 1000
