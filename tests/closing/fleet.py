"""A small world in the words of the business: one contract, its plan, objects on it, and their usage."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Any
from zoneinfo import ZoneInfo

from sqlmodel import Session, col, select

from billing.close import CloseReport, close
from billing.core.charges import charge_from
from billing.core.periods import local_midnight
from billing.core.properties import canonical, checked_properties
from billing.core.schedules import plan_schedules
from storage import usage
from storage.database import Database
from storage.properties import property_set_ids
from storage.tables import (
    Charge,
    ConnectedObject,
    Contract,
    ContractItem,
    Customer,
    InvoicingSchedule,
    Metric,
    Plan,
    PlanVersion,
    Seller,
    Subscription,
)
from storage.types import to_micros

USAGE = {
    "name": "Usage",
    "type": "usage",
    "every": "month",
    "vat_rate": "20",
    "calculator": {"metric": "usage", "aggregation": "sum", "price": {"model": "per_unit", "unit_price": "2.50"}},
}
FEE = {
    "name": "Subscription",
    "type": "recurring",
    "every": "month",
    "timing": "advance",
    "vat_rate": "20",
    "amount": "10",
}
MUCH_LATER = datetime(2024, 1, 1, tzinfo=UTC)


@dataclass(slots=True)
class Fleet:
    database: Database
    charges: Sequence[Mapping[str, Any]] = (USAGE,)
    kind: str = "delta"
    grouping: Sequence[str] = ("subscription", "charge")
    zone: str = "Europe/Paris"
    contract: str = "IOT Fleet Contract"
    currency: str = "EUR"
    terms: Mapping[str, Any] = field(default_factory=dict)
    """More that the contract says."""
    metric_id: int = 0
    ids: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        now = datetime(2022, 1, 1, tzinfo=UTC)
        with self.database.transaction() as session:
            if session.exec(select(Seller)).first() is None:
                session.add(Seller(currency="EUR", timezone=self.zone, party={"name": "Metergate Demo SAS"}))
                session.add(Metric(id=1, name="usage", unit="unit", kind=self.kind))
                session.add(Customer(id=1, reference="FLEET", party={"name": "Fleet Customer"}))
                session.flush()
            self.metric_id = 1
            plan = Plan(name=f"Plan of {self.contract}")
            session.add(plan)
            session.flush()
            version = PlanVersion(plan_id=_id(plan), version=1, definition={}, created_at=now)
            contract = Contract(
                name=self.contract,
                customer_id=1,
                currency=self.currency,
                timezone=self.zone,
                starts_on=date(2022, 4, 1),
                grouping=list(self.grouping),
                **self.terms,
            )
            session.add_all([version, contract])
            session.flush()
            for position, definition in enumerate(self.charges, start=1):
                session.add(
                    Charge(
                        plan_version_id=_id(version),
                        position=position,
                        name=str(definition["name"]),
                        type=str(definition["type"]),
                        metric_id=self.metric_id if definition["type"] == "usage" else None,
                        definition=dict(definition),
                    )
                )
            subscription = Subscription(
                contract_id=_id(contract), plan_version_id=_id(version), name="Premium Fleet Subscription"
            )
            session.add(subscription)
            session.flush()
            self.ids = {"contract": _id(contract), "version": _id(version), "subscription": _id(subscription)}

    def activate(
        self,
        reference: str,
        starts_on: date = date(2022, 4, 1),
        ends_on: date = date(2023, 4, 1),
        attributes: Mapping[str, Any] | None = None,
    ) -> int:
        with self.database.transaction() as session:
            created = ConnectedObject(
                reference=reference, status="active", attributes=dict(attributes or {}), created_at=MUCH_LATER
            )
            session.add(created)
            session.flush()
            self.ids[reference] = _id(created)
        self.continue_with(reference, starts_on, ends_on)
        return self.ids[reference]

    def continue_with(self, reference: str, starts_on: date, ends_on: date) -> None:
        """An item of an object that exists."""
        zone, object_id = ZoneInfo(self.zone), self.ids[reference]
        with self.database.transaction() as session:
            item = ContractItem(
                name=reference,
                contract_id=self.ids["contract"],
                subscription_id=self.ids["subscription"],
                object_id=object_id,
                plan_version_id=self.ids["version"],
                term_months=12,
                starts_on=starts_on,
                ends_on=ends_on,
                start_at=local_midnight(starts_on, zone),
                end_at=local_midnight(ends_on, zone),
            )
            session.add(item)
            session.flush()
            query = select(Charge).where(Charge.plan_version_id == self.ids["version"]).order_by(col(Charge.position))
            rows = session.exec(query).all()
            planned = plan_schedules([charge_from(row.definition) for row in rows], starts_on, ends_on)
            positions = sorted({schedule.charge_position for schedule in planned})
            for schedule in planned:
                charge = rows[positions.index(schedule.charge_position)]
                session.add(
                    InvoicingSchedule(
                        contract_id=self.ids["contract"],
                        subscription_id=self.ids["subscription"],
                        contract_item_id=_id(item),
                        object_id=object_id,
                        charge_id=_id(charge),
                        metric_id=charge.metric_id,
                        starts_on=schedule.period.starts_on,
                        ends_on=schedule.period.ends_on,
                        nominal_starts_on=schedule.period.nominal_starts_on,
                        nominal_ends_on=schedule.period.nominal_ends_on,
                        start_at=local_midnight(schedule.period.starts_on, zone),
                        end_at=local_midnight(schedule.period.ends_on, zone),
                        due_on=schedule.due_on,
                    )
                )

    def uses(self, reference: str, quantity: int, at: str, discriminator: str = "", **properties: object) -> None:
        micros = to_micros(datetime.fromisoformat(at))
        fact = usage.Fact(
            occurred_at=micros,
            object_id=self.ids[reference],
            metric_id=self.metric_id,
            discriminator=discriminator,
            quantity=quantity * 10**6,
            received_at=micros,
            origin="mqtt",
        )
        with self.database.transaction() as session:
            content = canonical(checked_properties(properties))
            described = {0: property_set_ids(session, [content], {})[content]} if content else {}
            usage.record(session, [fact], described)

    def close(self, until: date, now: datetime = MUCH_LATER, *, dry_run: bool = False) -> CloseReport:
        return close(self.database, until, now, dry_run)

    def schedules(self, reference: str) -> list[InvoicingSchedule]:
        with self.database.snapshot() as session:
            query = select(InvoicingSchedule).where(InvoicingSchedule.object_id == self.ids[reference])
            return list(session.exec(query.order_by(col(InvoicingSchedule.start_at))).all())

    def change(self, reference: str, place: int, **values: Any) -> None:
        """Change one schedule, as a use case would."""
        with self.database.transaction() as session:
            schedule = session.get_one(InvoicingSchedule, self.schedules(reference)[place].id)
            for name, value in values.items():
                setattr(schedule, name, value)
            session.add(schedule)


def rows_of(session: Session, table: type[Any]) -> int:
    return len(session.exec(select(table)).all())


def _id(row: Any) -> int:
    assert isinstance(row.id, int)
    return row.id
