"""Invoice numbers: a series a month and a kind, each from 1 without gap or repeat (the counter row is storage's)."""

from datetime import date
from types import MappingProxyType
from typing import Literal

from billing.core.errors import Invalid

InvoiceKind = Literal["invoice", "credit_note"]
PREFIXES = MappingProxyType({"invoice": "INV", "credit_note": "CN"})


def series(kind: InvoiceKind, issued_on: date) -> str:
    """The series of the month in which a document is dated: "INV/2022/04", or "CN/2022/04" for credit notes."""
    return f"{PREFIXES[kind]}/{issued_on:%Y/%m}"


def number(series: str, n: int) -> str:
    """The nth number of a series: "INV/2022/04/0001"; it grows beyond four digits. Raises Invalid below 1."""
    if n < 1:
        raise Invalid(f"numbers of {series} begin at 1, got {n}")
    return f"{series}/{n:04d}"
