"""Which documents of a month may lack usage, and why: told by the close, and on the document, or held for a person.

The law: what may be missing is never silently left out; a contract that asks for it is not invoiced before a person
has looked.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from sqlmodel import Session

from billing.closing.reader import MonthReader
from billing.core.periods import DAY
from storage import incomplete
from storage.closing import ContractToClose
from storage.incomplete import Touched
from storage.telling import tell


@dataclass(frozen=True, slots=True, kw_only=True)
class Incomplete:
    """Why a month of a contract may lack usage: the gaps of one reason, and how much they touch.

    `until` is None while one of them lasts. `held` says that the invoice waits for `metergate gaps accept`; `issued`
    that it had been issued when the gaps were found.
    """

    contract: str
    month_starts_on: date
    reason: str
    since: datetime
    until: datetime | None
    gaps: tuple[int, ...]
    schedules: int
    objects: int
    held: bool
    issued: bool = False

    def as_json(self) -> dict[str, Any]:
        return {
            "contract": self.contract,
            "month": self.month_starts_on,
            "reason": self.reason,
            "from": self.since,
            "until": self.until,
            "gaps": len(self.gaps),
            "schedules": self.schedules,
            "objects": self.objects,
            "invoice": "issued" if self.issued else "held" if self.held else "noted",
        }


class HeldForReview(Exception):
    """Not an error: the contracts ask for a person to look first; `found` says at what."""

    def __init__(self, found: Sequence[Incomplete]) -> None:
        super().__init__("a person has to look first")
        self.found = tuple(found)


@dataclass(frozen=True, slots=True)
class Lacking:
    """The schedules of a month that gaps touch."""

    by_schedule: Mapping[int, Sequence[Touched]]
    told: tuple[Incomplete, ...]


NOTHING = Lacking({}, ())


def find(reader: MonthReader, contracts: Sequence[ContractToClose], month: tuple[date, date]) -> Lacking:
    """What may be missing in a month of an account's contracts. Raises HeldForReview where they ask for that."""
    if not reader.has_gaps:
        return NOTHING
    names = {contract.id: contract for contract in contracts}
    rows = incomplete.touched(reader.session, names, month[1] - DAY)
    by_schedule: dict[int, list[Touched]] = {}
    for row in rows:
        by_schedule.setdefault(row.schedule_id, []).append(row)
    told = _grouped(names, rows, month[0])
    if any(each.held for each in told):
        raise HeldForReview(told)
    charged = incomplete.touched(reader.session, names, month[1] - DAY, charged=True)
    return Lacking(by_schedule, (*told, *_grouped(names, charged, None)))


def _grouped(names: Mapping[int, ContractToClose], rows: Iterable[Touched], month: date | None) -> list[Incomplete]:
    """A row for each contract, month and reason; without a month, of what was charged in the month that it was due."""
    grouped: dict[tuple[int, date, str], list[Touched]] = {}
    for row in rows:
        grouped.setdefault((row.contract_id, month or row.due_on.replace(day=1), row.reason), []).append(row)
    return [
        _told(names[contract_id], starts_on, reason, found, issued=month is None)
        for (contract_id, starts_on, reason), found in sorted(grouped.items())
    ]


def _told(contract: ContractToClose, month: date, reason: str, rows: Sequence[Touched], *, issued: bool) -> Incomplete:
    ends = [row.ends_at for row in rows]
    return Incomplete(
        contract=contract.name,
        month_starts_on=month,
        reason=reason,
        since=min(row.starts_at for row in rows),
        until=None if None in ends else max(end for end in ends if end is not None),
        gaps=tuple(sorted({row.gap_id for row in rows})),
        schedules=len({row.schedule_id for row in rows}),
        objects=len({row.object_id for row in rows if row.object_id is not None}),
        held=contract.incomplete == "hold" and not issued,
        issued=issued,
    )


def tell_incomplete(session: Session, found: Iterable[Incomplete], now: datetime) -> None:
    """Tell webhooks which months may lack usage: once for what is known of a month, whether it is invoiced or not."""
    grouped: dict[tuple[str, date], list[Incomplete]] = {}
    for each in found:
        grouped.setdefault((each.contract, each.month_starts_on), []).append(each)
    entries = [
        {
            "contract": contract,
            "month": f"{month:%Y-%m}",
            "invoice": "held" if rows[0].held else "noted",
            "reasons": [
                {
                    "reason": row.reason,
                    "from": row.since.isoformat(timespec="seconds"),
                    "until": "" if row.until is None else row.until.isoformat(timespec="seconds"),
                    "gaps": len(row.gaps),
                    "objects": row.objects,
                }
                for row in rows
            ],
        }
        for (contract, month), rows in sorted(grouped.items())
    ]
    if entries:
        tell(session, "period.incomplete", entries, now, once=True)


def notes(rows: Iterable[Touched]) -> list[dict[str, Any]]:
    """What a document says of it, a row for each reason: first and last instant, and how many gaps."""
    found: dict[str, list[Touched]] = {}
    for row in rows:
        found.setdefault(row.reason, []).append(row)
    return [
        {
            "reason": reason,
            "from": min(row.starts_at for row in each).isoformat(timespec="seconds"),
            "until": ""
            if any(row.ends_at is None for row in each)
            else max(row.ends_at for row in each if row.ends_at is not None).isoformat(timespec="seconds"),
            "gaps": len({row.gap_id for row in each}),
        }
        for reason, each in sorted(found.items())
    ]
