"""Usage that a breakdown has no price for: on its invoice at 0, and named wherever a person looks."""

from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction

from billing.core.money import exact_text
from billing.core.prices import is_unpriced
from storage.invoices import InvoiceDocument


@dataclass(frozen=True, slots=True, kw_only=True)
class Unpriced:
    """One line of usage without a price; `invoice` is None on a draft."""

    contract: str
    invoice: str | None
    charge: str
    component: str
    quantity: Fraction
    unit: str

    def as_json(self) -> dict[str, object]:
        """For `--json`; exact numbers are made texts there."""
        return {
            "contract": self.contract,
            "invoice": self.invoice,
            "charge": self.charge,
            "component": self.component,
            "quantity": self.quantity,
            "unit": self.unit,
        }

    def sentence(self) -> str:
        """What it is, and what to do about it."""
        where = self.invoice or f"the draft of {self.contract}"
        what, quantity = self.component.rpartition(" / ")[0], f"{exact_text(self.quantity)} {self.unit}"
        return f"{quantity} of {self.charge}, {what}, have no price and are on {where} at 0; give one or a default"


def unpriced(documents: Iterable[InvoiceDocument]) -> tuple[Unpriced, ...]:
    """The lines of these documents that have no price."""
    return tuple(
        Unpriced(
            contract=document.contract,
            invoice=document.number,
            charge=line.charge,
            component=line.component,
            quantity=line.quantity,
            unit=line.unit,
        )
        for document in documents
        for line in document.lines
        if is_unpriced(line.component) and line.quantity > 0
    )
