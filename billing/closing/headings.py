"""What schedules put at the head of their lines: names, units, tax, period, and what the contract groups by."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from billing.closing.reader import MonthReader
from billing.core.charges import Charge, Event, Recurring, Usage
from billing.core.linebook import Heading
from billing.core.periods import Every
from billing.core.prices import unit_of
from storage.closing import ContractToClose
from storage.due import ScheduleToValue
from storage.tables import OPEN_STATUSES

PERIOD_UNITS = {
    Every(weeks=1): ("week", "WEE"),
    Every(months=1): ("month", "MON"),
    Every(months=3): ("quarter", "QAN"),
    Every(months=6): ("half year", "SAN"),
    Every(months=12): ("year", "ANN"),
}
"""Units of a fee, with their codes of UN/ECE Recommendation 20."""
ONE = ("fee", "C62")
COMPONENT_UNITS: Mapping[str, tuple[str, str]] = {
    "fee": ONE,
    "event": ("event", "C62"),
    "package": ("package", "PA"),
    "amount": ("amount", "C62"),
}
"""Units of components that do not count the metric's unit."""


@dataclass(slots=True)
class Headings:
    """What the schedules of a contract put at the head of their lines; a fleet's schedules have a few of them."""

    reader: MonthReader
    contract: ContractToClose
    known: dict[tuple[object, ...], Heading] = field(default_factory=dict)

    def group(self, schedule: ScheduleToValue) -> tuple[tuple[str, str], ...]:
        """What the contract's grouping adds to the lines of a schedule."""
        if not self.contract.grouping and self.contract.invoicing != "customer":
            return ()
        return tuple(_group(self.contract, schedule))

    def of(self, schedule: ScheduleToValue, component: str) -> Heading:
        """The heading of a component of a schedule, by its name; what was charged before is adjusted."""
        group = self.group(schedule)
        key = (
            schedule.charge_id,
            schedule.subscription,
            schedule.nominal_starts_on,
            schedule.nominal_ends_on,
            component,
            schedule.status,
            group,
        )
        found = self.known.get(key)
        if found is None:
            adjustment = schedule.status not in OPEN_STATUSES
            found = self.known[key] = self._made(schedule, component, group, adjustment=adjustment)
        return found

    def _made(
        self, schedule: ScheduleToValue, component: str, group: tuple[tuple[str, str], ...], *, adjustment: bool
    ) -> Heading:
        position, charge = self.reader.charges[schedule.charge_id]
        unit, unit_code = _unit(self.reader, schedule, charge, component)
        return Heading(
            subscription=self.contract.name if charge.scope == "contract" else schedule.subscription,
            charge=charge.name,
            charge_position=position,
            unit=unit,
            unit_code=unit_code,
            vat_category=charge.vat_category,
            vat_rate=charge.vat_rate,
            exemption=charge.exemption,
            nominal_starts_on=schedule.nominal_starts_on,
            nominal_ends_on=schedule.nominal_ends_on,
            adjustment=adjustment,
            group=group,
        )


def _unit(reader: MonthReader, schedule: ScheduleToValue, charge: Charge, component: str) -> tuple[str, str]:
    counted = unit_of(component)
    if counted != "metric":
        return COMPONENT_UNITS[counted]
    if isinstance(charge, Recurring):
        return PERIOD_UNITS.get(charge.every, ONE)
    if isinstance(charge, Event):
        return COMPONENT_UNITS["event"]
    if schedule.metric_id is None:
        return ONE
    if isinstance(charge, Usage) and charge.calculator.aggregation in {"count", "unique_count"}:
        return charge.calculator.property or COMPONENT_UNITS["event"][0], ONE[1]
    metric = reader.metrics[schedule.metric_id]
    return metric.unit, metric.unit_code


def _group(contract: ContractToClose, schedule: ScheduleToValue) -> Iterator[tuple[str, str]]:
    if contract.invoicing == "customer":
        yield "contract", contract.name
    for key in contract.grouping:
        if key == "object":
            yield key, schedule.reference
        elif key.startswith("attribute:"):
            name = key.removeprefix("attribute:")
            yield name, str(schedule.attributes.get(name, ""))
