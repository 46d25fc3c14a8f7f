"""The schedules of pools: made, moved and taken back as the items of a contract come and go.

The law: what a contract's pools owe follows from its items alone; telling it twice changes nothing. What was charged
already is looked at again by the next close.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any
from zoneinfo import ZoneInfo

from sqlmodel import Session

from billing.core.charges import Charge, Periodic, charge_from
from billing.core.lifecycle import next_schedule_status
from billing.core.periods import DAY, Period, local_midnight
from billing.core.pools import PooledPeriod, Span, plan_pool
from storage import catalogue as declared
from storage import pools
from storage.pools import ItemInPools, ItemSpan
from storage.tables import Charge as ChargeRow
from storage.tables import Contract, InvoicingSchedule

CHARGED = {"invoiced", "settled"}


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolCharge:
    """A pooled charge and the plan versions whose items are in its pool.

    A pool of a contract has one charge for all plans that declare the very same one; the oldest stands for them.
    """

    row: ChargeRow
    charge: Charge
    versions: frozenset[int]

    def takes(self, subscription_id: int, item_subscription_id: int, plan_version_id: int) -> bool:
        """Whether an item is in the pool of a subscription (for a contract's pool: of any)."""
        same = self.row.scope == "contract" or subscription_id == item_subscription_id
        return same and plan_version_id in self.versions

    def days(self, item: ItemSpan | ItemInPools) -> Span | None:
        """The days that an item is in it: from the end of its service's trial on. None when there are none."""
        trial = self.charge.trial_days if isinstance(self.charge, Periodic) else 0
        begins_on, ends_on = max(item.starts_on, item.line_starts_on + trial * DAY), item.ends_on
        return (begins_on, ends_on) if begins_on < ends_on else None


def pool_charges(session: Session) -> dict[int, PoolCharge]:
    """The pooled charges that stand for their pools, by id."""
    alike: dict[tuple[str, str, str], list[ChargeRow]] = {}
    for row in pools.charges(session):
        own = str(row.id) if row.scope == "subscription" else ""
        alike.setdefault((row.name, repr(sorted(row.definition.items(), key=str)), own), []).append(row)
    return {
        declared.key(rows[0].id): PoolCharge(
            row=rows[0],
            charge=charge_from(rows[0].definition),
            versions=frozenset(row.plan_version_id for row in rows),
        )
        for rows in alike.values()
    }


def plan_pools(session: Session, since: Mapping[int, date]) -> None:
    """Make the pools of contracts what their items are now; `since` is the first day, by contract, that changed."""
    charges = pool_charges(session) if since else {}
    if charges:
        for contract in pools.contracts(session, since):
            _plan_contract(session, contract, since[declared.key(contract.id)], charges.values())


def _plan_contract(session: Session, contract: Contract, since: date, charges: Collection[PoolCharge]) -> None:
    for pool in pools_of(session, contract, charges):
        pools.save(session, _Changes(session, contract, pool).rows(since))


@dataclass(frozen=True, slots=True, kw_only=True)
class ContractPool:
    """A pool that a contract has or had: what it should have, and the schedules that there are, by nominal start."""

    subscription_id: int
    """The subscription that it is billed under."""
    charge: PoolCharge
    wanted: tuple[PooledPeriod, ...]
    known: Mapping[date, InvoicingSchedule]


def pools_of(session: Session, contract: Contract, charges: Collection[PoolCharge]) -> Iterator[ContractPool]:
    """The pools of a contract."""
    spans = pools.spans(session, declared.key(contract.id))
    present: dict[tuple[int, int], dict[date, InvoicingSchedule]] = {}
    for schedule in pools.schedules(session, declared.key(contract.id)):
        place = present.setdefault((schedule.subscription_id, schedule.charge_id), {})
        place[schedule.nominal_starts_on] = schedule
    for subscription_id, charge in _places(spans, charges, present):
        days = [
            found
            for it in spans
            if charge.takes(subscription_id, it.subscription_id, it.plan_version_id) and (found := charge.days(it))
        ]
        yield ContractPool(
            subscription_id=subscription_id,
            charge=charge,
            wanted=plan_pool(charge.charge, days, contract.starts_on),
            known=present.get((subscription_id, declared.key(charge.row.id)), {}),
        )


def _places(
    spans: Sequence[ItemSpan],
    charges: Collection[PoolCharge],
    present: Mapping[tuple[int, int], Mapping[date, InvoicingSchedule]],
) -> Iterator[tuple[int, PoolCharge]]:
    """The subscription that each pool is billed under, and its charge."""
    for charge in charges:
        charge_id = declared.key(charge.row.id)
        before = {subscription_id for subscription_id, of_charge in present if of_charge == charge_id}
        now = {it.subscription_id for it in spans if it.plan_version_id in charge.versions}
        if charge.row.scope == "contract":
            under = sorted(before) or sorted(now)
            yield from ((subscription_id, charge) for subscription_id in under[:1])
        else:
            yield from ((subscription_id, charge) for subscription_id in sorted(before | now))


@dataclass(frozen=True, slots=True)
class _Changes:
    session: Session
    contract: Contract
    pool: ContractPool

    def rows(self, since: date) -> list[InvoicingSchedule]:
        """What is to be written: new periods, and known ones that changed, came back, or are no more."""
        left = dict(self.pool.known)
        once = self.pool.charge.row.type == "one_time" and self.pool.wanted
        if once and any(it.status in CHARGED for it in left.values()):
            return []  # charged for good, whichever object now came first
        rows = []
        for it in self.pool.wanted:
            schedule = left.pop(it.period.nominal_starts_on, None)
            rows.append(self._new(it) if schedule is None else self._moved(schedule, it, since))
        rows += [self._cancelled(it) for it in left.values() if it.status != "cancelled"]
        return rows

    def _new(self, it: PooledPeriod) -> InvoicingSchedule:
        return InvoicingSchedule(
            contract_id=declared.key(self.contract.id),
            subscription_id=self.pool.subscription_id,
            charge_id=declared.key(self.pool.charge.row.id),
            metric_id=self.pool.charge.row.metric_id,
            **self._days(it.period),
            due_on=it.due_on,
        )

    def _moved(self, schedule: InvoicingSchedule, it: PooledPeriod, since: date) -> InvoicingSchedule:
        for name, value in self._days(it.period).items():
            setattr(schedule, name, value)
        if schedule.status == "cancelled":
            charged = pools.charged(self.session, [declared.key(schedule.id)])
            schedule.status = next_schedule_status(schedule.status, "revalue" if charged else "plan").value
            schedule.revalue = int(bool(charged))
        if schedule.status in CHARGED:
            schedule.revalue = 1 if schedule.nominal_ends_on > since else schedule.revalue
        else:
            schedule.due_on = it.due_on
        return schedule

    def _days(self, period: Period) -> dict[str, Any]:
        zone = ZoneInfo(self.contract.timezone)
        return {
            "starts_on": period.starts_on,
            "ends_on": period.ends_on,
            "nominal_starts_on": period.nominal_starts_on,
            "nominal_ends_on": period.nominal_ends_on,
            "start_at": local_midnight(period.starts_on, zone),
            "end_at": local_midnight(period.ends_on, zone),
        }

    def _cancelled(self, schedule: InvoicingSchedule) -> InvoicingSchedule:
        known = schedule.status in CHARGED or schedule.revalue
        schedule.revalue = 1 if known or pools.charged(self.session, [declared.key(schedule.id)]) else 0
        schedule.status = next_schedule_status(schedule.status, "cancel").value
        return schedule
