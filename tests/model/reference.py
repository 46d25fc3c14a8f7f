"""What a fleet owes, day by day, in a few dozen lines: slow, plain, and without a line of the engine.

Each object has days of service, each with the contract and the plan that holds at its end; days of suspension; and
records of usage. A fee is worth its part of the month each day; usage is priced per month, and anew wherever the
schedules are cut: at a change of plan or contract, and at the end of a term.
"""

from calendar import monthrange
from collections import defaultdict
from dataclasses import dataclass, field
from datetime import date, timedelta
from fractions import Fraction

DAY = timedelta(days=1)
FEES = {"Basic": Fraction("9.99"), "Plus": Fraction(31)}
"""A month's fee of each plan; that of Basic is due in advance, that of Plus in arrears."""


def price(plan: str, quantity: Fraction) -> Fraction:
    """Basic: 0.25 each. Plus: the first 10 of a month at 1, the others at 0.10."""
    if plan == "Basic":
        return quantity * Fraction("0.25")
    return min(quantity, Fraction(10)) + max(quantity - 10, Fraction(0)) * Fraction("0.10")


def months_later(day: date, months: int) -> date:
    """The same day some months later, or the last one of a shorter month."""
    year, month = divmod(day.year * 12 + day.month - 1 + months, 12)
    return date(year, month + 1, min(day.day, monthrange(year, month + 1)[1]))


@dataclass(slots=True)
class Life:
    """One object: where it is on each day of service, and how it got there."""

    starts_on: date
    months: int
    renews: bool
    place: tuple[str, str]
    """Contract and plan."""
    terms: int = 1
    changes: int = 0
    running: bool = True
    days: dict[date, tuple[int, str, str]] = field(default_factory=dict)
    """By day of service: how often it had moved, contract and plan; a month is priced once for each."""
    suspended_from: date | None = None
    suspended: set[date] = field(default_factory=set)
    used: dict[str, tuple[date, Fraction]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._serve(self.starts_on)

    @property
    def ends_on(self) -> date:
        return months_later(self.starts_on, self.months * self.terms)

    def _serve(self, since: date) -> None:
        """From a day to the end of the term at the present place."""
        for n in range((self.ends_on - since).days):
            day = since + n * DAY
            self.days[day] = (self.changes, *self.place)
            if self.suspended_from is not None and day >= self.suspended_from:
                self.suspended.add(day)

    def pass_to(self, today: date) -> None:
        """Terms that are over by then: renewed, or the end."""
        while self.running and self.ends_on <= today:
            self.running = self.renews
            if self.renews:
                before, self.terms = self.ends_on, self.terms + 1
                self._serve(before)

    def move(self, on: date, contract: str, plan: str) -> None:
        self.place, self.changes = (contract, plan), self.changes + 1
        self._serve(on)

    def suspend(self, on: date) -> None:
        self.suspended_from = on
        self.suspended = {day for day in self.suspended if day < on} | {day for day in self.days if day >= on}

    def resume(self, on: date) -> None:
        self.suspended_from = None
        self.suspended = {day for day in self.suspended if day < on}

    def terminate(self, last_day: date) -> None:
        self.running = False
        self.days = {day: place for day, place in self.days.items() if day <= last_day}

    def owed(self) -> dict[str, Fraction]:
        """What it owes for all of its life, by contract."""
        amounts: dict[str, Fraction] = defaultdict(Fraction)
        quantities: dict[tuple[int, str, str, int, int], Fraction] = defaultdict(Fraction)
        for day, (_, contract, plan) in self.days.items():
            if day not in self.suspended:
                amounts[contract] += FEES[plan] / monthrange(day.year, day.month)[1]
        for day, quantity in self.used.values():
            if day in self.days:
                quantities[*self.days[day], day.year, day.month] += quantity
        for (_, contract, plan, *_), quantity in quantities.items():
            amounts[contract] += price(plan, quantity)
        return amounts
