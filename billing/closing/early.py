"""What passes a threshold before the end of its period, decided on one snapshot as a month is.

The law: nothing is closed by it. The end of the period charges what it is worth less all that was charged, so that
its total does not depend on when somebody looked.
"""

from collections import defaultdict
from collections.abc import Sequence
from datetime import date
from fractions import Fraction
from typing import cast
from zoneinfo import ZoneInfo

from billing.closing.headings import Headings
from billing.closing.measure import measure_schedules
from billing.closing.plan import Books, MonthPlan, PlannedContract, PlannedInvoice, charged_components
from billing.closing.pools import PoolWorth, find_pools, shares_of_objects
from billing.closing.reader import MonthReader
from billing.closing.rows import Row
from billing.closing.value import value_schedules
from billing.core.charges import Charge, Usage
from billing.core.invoicing import close_book, difference
from billing.core.linebook import Entry, LineBook
from billing.core.money import minor_digits
from billing.core.periods import add_months
from billing.core.prices import worth
from billing.core.thresholds import passes, worth_so_far
from storage import due, issuing
from storage.closing import ContractToClose


def threshold_of(charge: Charge) -> Fraction | None:
    """The amount that is invoiced before the end of a period, if the charge has one."""
    return charge.threshold if isinstance(charge, Usage) else None


def plan_early(
    reader: MonthReader, contract: ContractToClose, schedule_ids: Sequence[int], on: date
) -> MonthPlan | None:
    """What is invoiced on the local day `on` of schedules whose periods go on; None when nothing passed its amount."""
    session, wanted = reader.session, set(schedule_ids)
    found = due.schedules_to_value(session, contract_id=contract.id, due_through=date.min, late=sorted(wanted))
    schedules = [it for it in found if it.id in wanted and not it.void]
    charges = reader.charges_of(schedules)
    inputs = measure_schedules(reader, schedules, ZoneInfo(contract.timezone), find_pools(reader, contract, schedules))
    charged = issuing.charged(session, wanted)
    scale = 10 ** minor_digits(contract.currency)
    books: Books = defaultdict(LineBook)
    headings = Headings(reader, contract)
    rows: list[Row] = []
    pools: dict[int, PoolWorth] = {}
    for it in value_schedules(schedules, inputs, charges, reader.metrics):
        now, before = worth_so_far(it.components, scale), charged_components(charged.get(it.schedule.id, []))
        if not passes(now, before, cast("Fraction", threshold_of(charges[it.schedule.charge_id][1]))):
            continue
        for component in difference(now, before):
            heading = headings.of(it.schedule, component.name)
            books[contract.part_of(it.schedule.attributes)].add(
                Entry(it.schedule.id, it.schedule.reference, component, heading)
            )
        rows.append((it.schedule.status, str(it.quantity), str(worth(now)), it.schedule.id))
        if it.pool is not None:
            pools[it.schedule.id] = it.pool._replace(components=now)
    invoices = [
        PlannedInvoice(
            draft=draft,
            part=part,
            corrects=(),
            object_shares=shares_of_objects(reader, draft, pools, contract.currency),
        )
        for part, book in sorted(books.items())
        if (draft := close_book(book, contract.currency)) is not None
    ]
    if not invoices:
        return None
    month = on.replace(day=1)
    return MonthPlan(
        contracts=(PlannedContract(contract=contract, schedules=tuple(rows), boundaries=()),),
        month_starts_on=month,
        month_ends_on=add_months(month, 1),
        usage_mark=reader.mark,
        invoices=tuple(invoices),
    )
