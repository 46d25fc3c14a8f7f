"""The bookkeeper of a simulation: approves drafts, cancels invoices, makes gestures, and asks for invoices in its way.

The law: nothing that it does changes what is owed in the end, so the auditor need not know of it; what a gesture gave
back stands beside what is owed.
"""

import random
from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime
from fractions import Fraction
from typing import Any

from billing import close as closing
from billing.approving import approve
from billing.closing.rehearsal import DatabaseLike
from billing.core.errors import Refused
from billing.crediting import Credit, credit
from storage import invoices

TERMS: Sequence[Mapping[str, Any]] = (
    {},
    {"approval": "required"},
    {"invoicing": "attribute:site"},
    {"invoicing": "customer"},
    {"invoicing": "customer", "approval": "required"},
    {"invoicing": "attribute:site", "approval": "required", "dating": "issue_day"},
)
"""What a history's contracts may say about their documents."""
CANCELLED = 0.25
"""The chance that an invoice is cancelled, in part or whole, after a close."""
GESTURES = 0.15
"""The chance that part of what is credited is a gesture, which leaves what was charged as it is."""


class Bookkeeper:
    """One history's bookkeeper: `seed` decides what it does, and doing it again after a death does the same."""

    def __init__(self, seed: int) -> None:
        self._seed = seed

    def contracts(self, declared: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """The contracts of a catalogue file, with what they say about their documents."""
        terms = self._chance("terms").choice(TERMS)
        return [{**contract, **terms} for contract in declared]

    def close(self, database: DatabaseLike, until: date, at: datetime, *, last: bool) -> Iterator[str]:
        """Close, approve what waits and close again until nothing does; then, but for the last time, cancel something.

        What should not have failed, in sentences.
        """
        report = closing.close(database, until, at)
        while report.drafts and not report.failures:
            for name in sorted({_of_month(draft.number) for draft in report.drafts}):
                with database.transaction() as session:
                    approve(session, name, at)
            report = closing.close(database, until, at)
        yield from (f"{failure.contract}: {failure.message}" for failure in report.failures)
        if not last:
            self._cancel(database, until, at)

    def _cancel(self, database: DatabaseLike, until: date, at: datetime) -> None:
        chance, gestures = self._chance(f"cancelled {until}"), self._chance(f"given {until}")
        with database.snapshot() as session:
            issued = [it.number for it in invoices.list_invoices(session) if it.kind == "invoice"]
        for number in issued:
            if chance.random() >= CANCELLED:
                continue
            percent = chance.choice((None, Fraction(50), Fraction(100, 3)))
            gesture = gestures.random() < GESTURES
            asked = Credit(percent=percent, reason="simulated", rebill=not gesture, reference=f"{until}")
            try:
                with database.transaction() as session:
                    credit(session, number, asked, at)
            except Refused:
                continue  # nothing is left of it

    def _chance(self, what: str) -> random.Random:
        return random.Random(f"{self._seed} {what}")  # noqa: S311 - repeatable is the point


def _of_month(name: str) -> str:
    """The first draft of a month: the others are approved with it."""
    return "/".join(name.split("/")[:4])
