"""What closing a month of the contracts of one account will write, decided on one snapshot: worth less charged."""

from collections import ChainMap, defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from itertools import chain
from typing import Any
from zoneinfo import ZoneInfo

from billing.closing.commitments import reached_by
from billing.closing.coupons import held_coupons, reduce_draft
from billing.closing.fleet import VALUED_AT_ONCE, alike, short_ways, value_fleet
from billing.closing.headings import Headings
from billing.closing.incomplete import Incomplete, Lacking, find, notes
from billing.closing.meanwhile import added_up_meanwhile
from billing.closing.measure import measure_schedules
from billing.closing.pools import PoolWorth, find_pools, shares_of_objects
from billing.closing.reader import MonthReader
from billing.closing.rows import Row, closed_status
from billing.closing.value import value_schedules
from billing.closing.waiting import carry, waits
from billing.core.charges import Usage
from billing.core.errors import BillingError, Refused
from billing.core.invoicing import InvoiceDraft, close_book, difference
from billing.core.linebook import Entry, LineBook
from billing.core.prices import Component
from storage import closing, due, issuing
from storage.closing import ContractToClose
from storage.pools import ObjectPart
from storage.sets import batched
from storage.tables import OPEN_STATUSES

DAY = timedelta(days=1)
Books = dict[str, LineBook]
"""The lines of a month's documents, by part."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedInvoice:
    """One document of a month; `part` is the value of the attribute that the contract is invoiced by, or empty."""

    draft: InvoiceDraft
    part: str
    corrects: tuple[str, ...]
    object_shares: Mapping[int, Sequence[ObjectPart]]
    """By the place of a line, what the objects of pools have of it."""
    coupon_uses: Mapping[int, tuple[int, int]] = field(default_factory=dict)
    """By the place of a line that is a coupon's, its id and what is taken of it."""
    incomplete: tuple[Mapping[str, Any], ...] = ()
    """Why its usage may be incomplete."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedContract:
    """What closing writes for one contract, besides the documents."""

    contract: ContractToClose
    schedules: tuple[Row, ...]
    boundaries: tuple[tuple[int, int, int, int, str], ...]
    carried: tuple[int, ...] = ()
    """Schedules that were charged before and whose difference waits for the next invoice."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MonthPlan:
    """All that closing one month of the contracts of one account will write; decided on one snapshot."""

    contracts: tuple[PlannedContract, ...]
    month_starts_on: date
    month_ends_on: date
    usage_mark: int
    invoices: tuple[PlannedInvoice, ...]
    incomplete: tuple[Incomplete, ...] = ()

    @property
    def lead(self) -> ContractToClose:
        """The contract whose terms the documents have: all contracts of an account have the same."""
        return self.contracts[0].contract


@dataclass(frozen=True, slots=True)
class _Valued:
    """A contract with what its schedules are worth, before it is known which documents are issued."""

    contract: ContractToClose
    pooled: dict[int, PoolWorth]
    """Of pools, by schedule, what each of their objects used."""
    charged: set[int]
    """The schedules that were charged before."""
    rows: list[Row]
    corrected: dict[int, set[str]]
    """By schedule, the invoices that charged what is taken back now."""
    boundaries: tuple[tuple[int, int, int, int, str], ...]
    parts: dict[int, str]
    """By schedule that may lack usage, the part that its document is for."""


def plan_month(reader: MonthReader, contracts: Sequence[ContractToClose], month: tuple[date, date]) -> MonthPlan | None:
    """What closing the month `[start, end)` of an account's contracts will write, decided on the reader's snapshot.

    None when the month of all of them is closed already; those of which it is closed are left out. Raises
    HeldForReview where usage may be missing and the contracts ask for a person to look first.
    """
    last = {contract.id: closing.last_closed(reader.session, contract.id) for contract in contracts}
    still_open = [it for it in contracts if (closed := last[it.id]) is None or closed < month[0]]
    if not still_open:
        return None
    lacking = find(reader, still_open, month)
    books: Books = defaultdict(LineBook)
    valued = [
        _value_one_of(reader, contract, month, books, lacking, alone=len(contracts) == 1) for contract in still_open
    ]
    invoices, waiting = _documents(reader, valued, books, month, lacking)
    return MonthPlan(
        contracts=tuple(_planned(each, waiting) for each in valued),
        month_starts_on=month[0],
        month_ends_on=month[1],
        usage_mark=reader.mark,
        invoices=tuple(invoices),
        incomplete=lacking.told,
    )


def _value_one_of(
    reader: MonthReader,
    contract: ContractToClose,
    month: tuple[date, date],
    books: Books,
    lacking: Lacking,
    *,
    alone: bool,
) -> _Valued:
    """The contract valued; what is wrong with it is said with its name where others are on the same invoice."""
    try:
        return _value(reader, contract, month, books, lacking)
    except BillingError as error:
        if alone:
            raise
        raise Refused(f"{contract.name}: {error.message}") from error


def _value(
    reader: MonthReader, contract: ContractToClose, month: tuple[date, date], books: Books, lacking: Lacking
) -> _Valued:
    """The contract's schedules valued, and what they put on the lines of the documents."""
    session = reader.session
    with added_up_meanwhile(reader, contract.id, month[1] - DAY):
        schedules = due.schedules_to_value(
            session, contract_id=contract.id, due_through=month[1] - DAY, late=reader.late.get(contract.id, [])
        )
        if again := reached_by(reader, contract.id, schedules):
            late = {*reader.late.get(contract.id, []), *again}
            schedules = due.schedules_to_value(
                session, contract_id=contract.id, due_through=month[1] - DAY, late=sorted(late)
            )
        charges = reader.charges_of(schedules)
        pools = find_pools(reader, contract, schedules)
        inputs = measure_schedules(reader, schedules, ZoneInfo(contract.timezone), pools)
    pooled: dict[int, PoolWorth] = {}
    charged_before = {it.id for it in schedules if it.status not in OPEN_STATUSES}
    early = {key for key, (_, charge) in charges.items() if isinstance(charge, Usage) and charge.threshold is not None}
    charged = issuing.charged(session, charged_before | {it.id for it in schedules if it.charge_id in early})
    headings = Headings(reader, contract)
    corrected: dict[int, set[str]] = {}
    ways = short_ways(schedules, charges, reader.metrics)
    apart = schedules if inputs.counted else ()
    fleet, others = alike(headings, schedules, ways, {it.id for it in apart} | set(charged) | set(inputs.given))
    rows: list[Row] = list(value_fleet(headings, fleet, ways, inputs.totals, books))
    # What commitments count has to be valued with them; else a part is valued, put on its lines and let go.
    portions = [others] if inputs.counted else batched(others, VALUED_AT_ONCE)
    for worth in chain.from_iterable(value_schedules(part, inputs, charges, reader.metrics) for part in portions):
        if worth.pool is not None:
            pooled[worth.schedule.id] = worth.pool
        schedule = worth.schedule
        before = charged.get(schedule.id, ())
        components = difference(worth.components, charged_components(before)) if before else worth.components
        if components and before:
            corrected[schedule.id] = {row.number for row in before if row.kind == "invoice"}
        if components:
            book = books[contract.part_of(schedule.attributes)]
            for component in components:
                heading = headings.of(schedule, component.name)
                book.add(Entry(schedule.id, schedule.reference, component, heading))
        status = closed_status(schedule.status, invoiced=bool(components or before))
        rows.append((status, str(worth.quantity), str(worth.amount), schedule.id))
    touched = (it for it in schedules if it.id in lacking.by_schedule) if lacking.by_schedule else ()
    parts = {it.id: contract.part_of(it.attributes) for it in touched}
    return _Valued(contract, pooled, charged_before, rows, corrected, inputs.registers.rows(), parts)


def _documents(
    reader: MonthReader,
    valued: Sequence[_Valued],
    books: Mapping[str, LineBook],
    month: tuple[date, date],
    lacking: Lacking,
) -> tuple[list[PlannedInvoice], set[int]]:
    """The documents of the month by part, and the schedules whose invoice is too small to be issued."""
    contracts = [each.contract for each in valued]
    coupons = held_coupons(reader.session, contracts, month[1]) if books else []
    pooled = ChainMap(*(each.pooled for each in valued))
    corrected = ChainMap(*(each.corrected for each in valued))
    parts = ChainMap(*(each.parts for each in valued))
    found: list[PlannedInvoice] = []
    waiting: set[int] = set()
    for part, book in sorted(books.items()):
        draft = close_book(book, contracts[0].currency)
        if draft is None:
            continue
        reduced = reduce_draft(draft, coupons, contracts[0], month)
        if waits(reader.session, contracts, reduced.draft, month[1]):
            waiting |= book.schedules()
            continue
        reduced.use()
        taken_back = book.schedules() if draft.kind == "credit_note" else ()
        found.append(
            PlannedInvoice(
                draft=reduced.draft,
                part=part,
                corrects=tuple(sorted({number for it in taken_back for number in corrected.get(it, ())})),
                object_shares=shares_of_objects(reader, draft, pooled, contracts[0].currency),
                coupon_uses=reduced.uses,
                incomplete=tuple(notes(row for it in parts if parts[it] == part for row in lacking.by_schedule[it])),
            )
        )
    return found, waiting


def _planned(valued: _Valued, waiting: Collection[int]) -> PlannedContract:
    rows, carried = carry(valued.rows, waiting, valued.charged) if waiting else (valued.rows, [])
    return PlannedContract(
        contract=valued.contract, schedules=tuple(rows), boundaries=valued.boundaries, carried=tuple(carried)
    )


def charged_components(charged: Sequence[issuing.Charged]) -> tuple[Component, ...]:
    """What was charged as components, to be taken from what is owed."""
    return tuple(
        Component(
            name=row.component,
            position=place,
            quantity=row.quantity,
            unit_price=row.unit_price,
            amount=row.amount,
        )
        for place, row in enumerate(charged, start=1)
    )
