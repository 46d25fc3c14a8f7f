"""A world for changes of mind: a catalogue, objects on it, commands on given days, and what the closes bill."""

from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any

from billing import catalogue, commands
from billing.close import CloseReport, close
from billing.core.properties import canonical, checked_properties
from billing.preview import Preview, contracts_of, preview
from billing.recording import Said
from billing.verify import differences, verify
from storage import registry, usage
from storage.database import Database
from storage.invoices import InvoiceDocument
from storage.properties import property_set_ids
from storage.types import to_micros

SELLER = """
seller: {name: Metergate Demo SAS, country: FR, currency: EUR, timezone: Europe/Paris}
metrics:
  - {name: usage, unit: unit, kind: delta, decimals: 0}
customers:
  - {reference: FLEET, name: Fleet Customer, country: FR}
  - {reference: OTHER, name: Other Customer, country: FR}
"""
FIRST = datetime(2022, 1, 1, 8, tzinfo=UTC)


def fee(amount: str, timing: str = "advance", *, name: str = "Fee", more: str = "") -> str:
    """A monthly fee, as a catalogue's charge."""
    return f'{{name: {name}, type: recurring, timing: {timing}, amount: "{amount}", vat_rate: "20"{more}}}'


def per_unit(price: str) -> str:
    """A usage charge by the unit."""
    calculator = f'{{metric: usage, price: {{model: per_unit, unit_price: "{price}"}}}}'
    return f'{{name: Usage, type: usage, vat_rate: "20", calculator: {calculator}}}'


def plans(**charges: list[str]) -> str:
    """The plans of a catalogue, each with its charges."""
    return "plans:\n" + "".join(f"  - name: {name}\n    charges: [{', '.join(of)}]\n" for name, of in charges.items())


def contract(
    name: str, *subscriptions: str, starts_on: str = "2022-01-01", customer: str = "FLEET", more: str = ""
) -> str:
    """One contract of a catalogue."""
    return (
        f"  - {{name: {name}, customer: {customer}, starts_on: {starts_on}, "
        f"subscriptions: [{', '.join(subscriptions)}]{more}}}\n"
    )


def noon(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, 12, tzinfo=UTC)


@dataclass(slots=True)
class World:
    database: Database
    text: str
    seller: str = SELLER
    ids: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.apply(self.text)

    def apply(self, text: str) -> None:
        with self.database.transaction() as session:
            catalogue.apply(session, catalogue.load(self.seller + text), FIRST)

    def do(self, command: str, today: date, reference: str = "IOT_1", **values: Any) -> commands.Done:
        """Give a command, as the back office does on that day."""
        body = commands.validated(command, {"request_id": "-", **values})
        with self.database.transaction() as session:
            return commands.run(session, command, reference, body, Said(now=noon(today), origin="control"))

    def ask(self, command: str, today: date, reference: str = "IOT_1", **values: Any) -> Preview[commands.Done]:
        """Ask what a command would bill."""
        body = commands.validated(command, {"request_id": "-", **values})
        said = Said(now=noon(today), origin="control")
        with self.database.transaction() as session:
            return preview(
                session,
                lambda inside: commands.run(inside, command, reference, body, said),
                contracts=contracts_of(session, reference, *body.contracts()),
                now=said.now,
                effective_on=body.effective_on(),
            )

    def active(self, subscription: str, starts_on: date, reference: str = "IOT_1", **values: Any) -> None:
        """An object in service from a day on."""
        place = {"contract": "C", **values}
        self.do("create", starts_on, reference, activate=True, subscription=subscription, starts_on=starts_on, **place)

    def uses(
        self, quantity: int, at: str, reference: str = "IOT_1", *, metric_id: int = 1, **properties: object
    ) -> None:
        micros = to_micros(datetime.fromisoformat(at))
        with self.database.transaction() as session:
            fact = usage.Fact(
                occurred_at=micros,
                object_id=registry.find(session, [reference])[reference].id,
                metric_id=metric_id,
                discriminator="",
                quantity=quantity,
                received_at=micros,
                origin="mqtt",
            )
            content = canonical(checked_properties(properties))
            described = {0: property_set_ids(session, [content], {})[content]} if content else {}
            usage.record(session, [fact], described)

    def close(self, until: date) -> CloseReport:
        """Close up to a day, on the day after; the books agree afterwards."""
        report = close(self.database, until, noon(until + timedelta(days=1)))
        assert report.failures == ()
        self.verified()
        return report

    def bills(self, until: date) -> list[tuple[str, str, str, int]]:
        """Close up to a day; the lines as (contract and kind, what, period's first day, net in minor units)."""
        return [line for invoice in self.close(until).invoices for line in lines(invoice)]

    def verified(self) -> None:
        with self.database.snapshot() as session:
            assert differences(verify(session)) == [], differences(verify(session))

    def events(self, reference: str = "IOT_1") -> list[tuple[str, dict[str, Any]]]:
        with self.database.snapshot() as session:
            row = registry.find(session, [reference])[reference]
            return [(event.kind, event.detail) for event in registry.timeline(session, row.id)]

    def status(self, reference: str = "IOT_1") -> str:
        with self.database.snapshot() as session:
            return registry.find(session, [reference])[reference].status


def lines(invoice: InvoiceDocument) -> list[tuple[str, str, str, int]]:
    """The lines of an invoice; those of a credit note with their sign turned back."""
    sign = -1 if invoice.kind == "credit_note" else 1
    return [
        (
            invoice.number,
            f"{line.subscription}/{line.component}",
            line.period_starts_on.isoformat(),
            sign * line.net_minor,
        )
        for line in invoice.lines
    ]
