"""Extractions: an invoice's detail as CSV (RFC 4180, UTF-8) or as an Excel workbook, written as it is read.

The law: numbers are typed numbers, text never becomes a formula, and memory does not grow with the fleet.
"""

import csv
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal, localcontext
from fractions import Fraction
from pathlib import Path
from typing import Any, Literal

import xlsxwriter
from sqlmodel import Session

from billing.archiving import require_records
from billing.core.money import format_minor
from storage.invoices import DetailRow, InvoiceDocument, detail_rows, invoice_document, records_behind
from storage.types import to_micros

Format = Literal["csv", "xlsx"]
Level = Literal["schedule", "usage"]
Cell = str | int | Decimal | date

DAY = timedelta(days=1)
DECIMALS_SHOWN = 12
"""Decimals of a quantity that has no finite decimal form (1/3 of a month); the amounts beside it are exact."""
DIGITS_OF_EXCEL = 15
"""Significant digits that a cell's number keeps; a longer one is written as text."""
FORMULA_SIGNS = ("=", "+", "-", "@", "\t", "\r")

SCHEDULE_COLUMNS = (
    *("invoice", "line", "object", "subscription", "charge", "component", "period_starts_on", "period_last_day"),
    *("adjustment", "quantity", "unit", "unit_price", "net_amount", "currency"),
)
USAGE_COLUMNS = (
    *("invoice", "line", "object", "subscription", "charge", "component", "period_starts_on", "period_last_day"),
    *("adjustment", "occurred_at", "received_at", "metric", "quantity", "unit", "discriminator", "origin"),
)
LINE_COLUMNS = (
    *("line", "label", "period_starts_on", "period_last_day", "objects", "quantity", "unit", "unit_price"),
    *("net_amount", "currency", "vat_category", "vat_rate"),
)


def export_invoice(session: Session, number: str, target: Path, file_format: Format, level: Level = "schedule") -> int:
    """Write an invoice's detail to `target`; the number of detail rows.

    `schedule` gives a row per object, charge and period; `usage` a row per usage record. Raises UnknownInvoice
    before anything is written.
    """
    document = invoice_document(session, number)
    columns = SCHEDULE_COLUMNS if level == "schedule" else USAGE_COLUMNS
    rows = _schedule_rows(session, document) if level == "schedule" else _usage_rows(session, document)
    match file_format:
        case "csv":
            return _write_csv(target, columns, rows)
        case "xlsx":
            return _write_workbook(target, document, columns, rows)


def neutralised(text: str) -> str:
    """Text that a spreadsheet shows and never runs: an apostrophe before what begins like a formula."""
    return f"'{text}" if text.startswith(FORMULA_SIGNS) else text


def decimal_of(value: Fraction) -> Decimal:
    """The value as a decimal: exact when it has a finite form of at most 12 decimals, else rounded to 12."""
    with localcontext() as context:
        context.prec = 60
        context.rounding = ROUND_HALF_UP
        rounded = (Decimal(value.numerator) / Decimal(value.denominator)).quantize(Decimal(1).scaleb(-DECIMALS_SHOWN))
        short = rounded.normalize()
        return short if short.as_tuple().exponent <= 0 else short.quantize(Decimal(1))  # type: ignore[operator]


def _start(document: InvoiceDocument, row: DetailRow) -> list[Cell]:
    return [
        *(document.number, row.line, row.reference, row.subscription, row.charge, row.component),
        *(row.starts_on, row.ends_on - DAY, int(row.adjustment)),
    ]


def _schedule_rows(session: Session, document: InvoiceDocument) -> Iterator[list[Cell]]:
    for row in detail_rows(session, document.number):
        net = Decimal(format_minor(row.share_minor, document.minor_digits))
        price = decimal_of(row.unit_price)
        yield [*_start(document, row), decimal_of(row.quantity), row.unit, price, net, document.currency]


def _usage_rows(session: Session, document: InvoiceDocument) -> Iterator[list[Cell]]:
    for row in detail_rows(session, document.number):
        if row.metric_id is not None:
            require_records(session, to_micros(row.start_at), to_micros(row.end_at))
        for record in records_behind(session, row):
            yield [
                *_start(document, row),
                *(_utc(record.occurred_at), _utc(record.received_at), record.metric, decimal_of(record.quantity)),
                *(record.unit, record.discriminator, record.origin),
            ]


def _line_rows(document: InvoiceDocument) -> Iterator[list[Cell]]:
    for line in document.lines:
        yield [
            *(line.position, line.label, line.period_starts_on, line.period_ends_on - DAY, line.object_count),
            *(decimal_of(line.quantity), line.unit, decimal_of(line.unit_price)),
            *(Decimal(format_minor(line.net_minor, document.minor_digits)), document.currency),
            *(line.vat_category, decimal_of(line.vat_rate)),
        ]


def _utc(instant: datetime) -> str:
    return instant.astimezone(UTC).isoformat().replace("+00:00", "Z")


def _write_csv(target: Path, columns: Sequence[str], rows: Iterator[list[Cell]]) -> int:
    count = 0
    with target.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream, lineterminator="\r\n")
        writer.writerow(columns)
        for row in rows:
            writer.writerow([_csv_cell(cell) for cell in row])
            count += 1
    return count


def _csv_cell(cell: Cell) -> str:
    match cell:
        case str():
            return neutralised(cell)
        case Decimal():
            return f"{cell:f}"
        case _:
            return str(cell)


def _write_workbook(target: Path, document: InvoiceDocument, columns: Sequence[str], rows: Iterator[list[Cell]]) -> int:
    options = {"constant_memory": True, "strings_to_formulas": False, "strings_to_urls": False}
    with xlsxwriter.Workbook(str(target), options) as workbook:
        bold = workbook.add_format({"bold": True})
        day = workbook.add_format({"num_format": "yyyy-mm-dd"})
        _write_sheet(workbook.add_worksheet("Lines"), LINE_COLUMNS, _line_rows(document), bold, day)
        return _write_sheet(workbook.add_worksheet("Detail"), columns, rows, bold, day)


def _write_sheet(sheet: Any, columns: Sequence[str], rows: Iterator[list[Cell]], bold: Any, day: Any) -> int:
    """A sheet with a frozen header; rows are written in order, which is what constant memory asks for."""
    sheet.freeze_panes(1, 0)
    for place, name in enumerate(columns):
        sheet.write_string(0, place, name, bold)
    count = 0
    for count, row in enumerate(rows, start=1):
        for place, cell in enumerate(row):
            match cell:
                case str():
                    sheet.write_string(count, place, neutralised(cell))
                case Decimal() if len(cell.as_tuple().digits) > DIGITS_OF_EXCEL:
                    sheet.write_string(count, place, f"{cell:f}")
                case date():
                    sheet.write_datetime(count, place, cell, day)
                case _:
                    sheet.write_number(count, place, cell)
    return count
