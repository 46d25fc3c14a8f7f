"""Extractions: an invoice's detail as CSV (RFC 4180, UTF-8) or as an Excel workbook, written as it is read.

The law: numbers are typed numbers, text never becomes a formula, and memory does not grow with the fleet.
"""

import json
from collections.abc import Iterator, Sequence
from contextlib import closing
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal

from sqlmodel import Session

from billing.archiving import require_records
from billing.core.money import format_minor
from billing.tracing import Tracer
from gateway.cells import (
    csv_cell,
    csv_column,
    csv_row,
    day_of,
    decimal_of,
    decimal_text,
    last_day,
    neutralised,
    shown_properties,
)
from storage.detail import DetailRow, RecordRow, ShareTuple, detail_rows, mark_of, records_behind, share_batches
from storage.invoices import LineDocument, find_invoice, name_of, stream_lines
from storage.tables import Invoice
from storage.types import to_micros

Format = Literal["csv", "xlsx"]
Level = Literal["schedule", "usage"]
Cell = str | int | Decimal | date

DIGITS_OF_EXCEL = 15
"""Significant digits that a cell's number keeps; a longer one is written as text."""
END_OF_ROW = "\r\n"

SCHEDULE_COLUMNS = (
    *("invoice", "line", "object", "subscription", "charge", "component", "period_starts_on", "period_last_day"),
    *("adjustment", "quantity", "unit", "unit_price", "net_amount", "currency"),
    "quality",
)
USAGE_COLUMNS = (
    *("invoice", "line", "object", "subscription", "charge", "component", "period_starts_on", "period_last_day"),
    *(
        "adjustment",
        "occurred_at",
        "received_at",
        "metric",
        "quantity",
        "unit",
        "discriminator",
        "origin",
        "properties",
    ),
)
LINE_COLUMNS = (
    *("line", "label", "period_starts_on", "period_last_day", "objects", "quantity", "unit", "unit_price"),
    *("net_amount", "currency", "vat_category", "vat_rate"),
)
COLUMNS = {"schedule": SCHEDULE_COLUMNS, "usage": USAGE_COLUMNS}


def export_invoice(session: Session, number: str, target: Path, file_format: Format, level: Level = "schedule") -> int:
    """Write an invoice's detail to `target`; the number of detail rows.

    `schedule` gives a row per object, charge and period; `usage` a row per usage record. Raises UnknownInvoice
    before anything is written.
    """
    invoice, _ = find_invoice(session, number)
    match file_format:
        case "csv":
            texts = _schedule_texts(session, invoice) if level == "schedule" else _usage_texts(session, invoice)
            return _write_csv(target, COLUMNS[level], texts)
        case "xlsx":
            rows = _schedule_cells(session, invoice) if level == "schedule" else _usage_cells(session, invoice)
            return _write_workbook(target, session, invoice, COLUMNS[level], rows)


def detail_texts(session: Session, number: str, level: Level = "schedule") -> Iterator[str]:
    """An invoice's detail as lines of JSON, an object each, read as they are taken; numbers are texts, to stay exact.

    Raises UnknownInvoice before the first line.
    """
    invoice, _ = find_invoice(session, number)
    columns = COLUMNS[level]
    for cells in _schedule_cells(session, invoice) if level == "schedule" else _usage_cells(session, invoice):
        row = {name: _json_cell(cell) for name, cell in zip(columns, cells, strict=True)}
        yield json.dumps(row, ensure_ascii=False) + "\n"


def _json_cell(cell: Cell) -> str | int:
    match cell:
        case Decimal():
            return f"{cell:f}"
        case date():
            return cell.isoformat()
        case _:
            return cell


def _with_lines(session: Session, invoice: Invoice) -> Iterator[tuple[LineDocument, list[ShareTuple]]]:
    """The shares in batches of one line, each with its line."""
    line = None
    with closing(stream_lines(session, invoice)) as lines:
        for batch in share_batches(session, name_of(invoice)):
            begin = 0
            while begin < len(batch):
                position = batch[begin][0]
                end = len(batch) if batch[-1][0] == position else _end_of_line(batch, begin)
                while line is None or line.position != position:
                    line = next(lines)
                yield line, batch[begin:end] if end - begin < len(batch) else batch
                begin = end


def _end_of_line(batch: list[ShareTuple], begin: int) -> int:
    position = batch[begin][0]
    end = begin + 1
    while batch[end][0] == position:
        end += 1
    return end


def _schedule_texts(session: Session, invoice: Invoice) -> Iterator[tuple[int, str]]:
    """Rows as text, with how many: what does not change within a line and a period is written once."""
    digits = invoice.minor_digits
    currency = csv_cell(invoice.currency)
    for line, batch in _with_lines(session, invoice):
        before = csv_row((name_of(invoice), str(line.position))) + ","
        named = csv_row((line.subscription, line.charge, line.component))
        after = f",{csv_cell(line.unit)},{decimal_text(str(line.unit_price))},"
        first = until = measured = charged = known = None
        between = amount = net = ending = ""
        texts: list[str] = []
        add = texts.append
        names = csv_column([row[1] for row in batch])
        for (_, _, starts_on, ends_on, quantity, share_minor, quality), name in zip(batch, names, strict=True):
            if starts_on != first or ends_on != until:
                first, until = starts_on, ends_on
                between = f",{named},{starts_on},{last_day(ends_on)},{int(line.adjustment)},"
            if quantity != measured:
                measured, amount = quantity, decimal_text(quantity)
            if share_minor != charged:
                charged, net = share_minor, format_minor(share_minor, digits)
            if quality != known:
                known, ending = quality, f",{currency},{quality}{END_OF_ROW}"
            add(f"{before}{name}{between}{amount}{after}{net}{ending}")
        yield len(batch), "".join(texts)


def _schedule_cells(session: Session, invoice: Invoice) -> Iterator[list[Cell]]:
    for line, batch in _with_lines(session, invoice):
        price = decimal_of(line.unit_price)
        for _, reference, starts_on, ends_on, quantity, share_minor, quality in batch:
            yield [
                *(name_of(invoice), line.position, reference, line.subscription, line.charge, line.component),
                *(day_of(starts_on), last_day(ends_on), int(line.adjustment), Decimal(decimal_text(quantity))),
                *(
                    line.unit,
                    price,
                    Decimal(format_minor(share_minor, invoice.minor_digits)),
                    invoice.currency,
                    quality,
                ),
            ]


def _records(session: Session, invoice: Invoice) -> Iterator[tuple[DetailRow, RecordRow]]:
    mark, tracer = mark_of(session, invoice), Tracer(session)
    for row in detail_rows(session, name_of(invoice)):
        if row.metric_id is not None:
            require_records(session, to_micros(row.start_at), to_micros(row.end_at))
        for record in records_behind(session, row):
            standing = record.reversed_by is None or record.reversed_by > mark
            if standing and tracer.shows(row, record.properties):
                yield row, record


def _usage_texts(session: Session, invoice: Invoice) -> Iterator[tuple[int, str]]:
    for cells in _usage_cells(session, invoice):
        yield 1, ",".join([_csv_text(cell) for cell in cells]) + END_OF_ROW


def _csv_text(cell: Cell) -> str:
    match cell:
        case str():
            return csv_cell(cell)
        case Decimal():
            return f"{cell:f}"
        case _:
            return str(cell)


def _usage_cells(session: Session, invoice: Invoice) -> Iterator[list[Cell]]:
    for row, record in _records(session, invoice):
        yield [
            *(name_of(invoice), row.line, row.reference, row.subscription, row.charge, row.component),
            *(row.starts_on, last_day(row.ends_on), int(row.adjustment)),
            *(_utc(record.occurred_at), _utc(record.received_at), record.metric, decimal_of(record.quantity)),
            *(record.unit, record.discriminator, record.origin, shown_properties(record.properties)),
        ]


def _line_cells(session: Session, invoice: Invoice) -> Iterator[list[Cell]]:
    for line in stream_lines(session, invoice):
        yield [
            *(line.position, line.label, line.period_starts_on, last_day(line.period_ends_on), line.object_count),
            *(decimal_of(line.quantity), line.unit, decimal_of(line.unit_price)),
            *(Decimal(format_minor(line.net_minor, invoice.minor_digits)), invoice.currency),
            *(line.vat_category, decimal_of(line.vat_rate)),
        ]


def _utc(instant: datetime) -> str:
    return instant.astimezone(UTC).isoformat().replace("+00:00", "Z")


def _write_csv(target: Path, columns: Sequence[str], texts: Iterator[tuple[int, str]]) -> int:
    count = 0
    with target.open("w", encoding="utf-8", newline="") as stream:
        stream.write(",".join(columns) + END_OF_ROW)
        for rows, text in texts:
            stream.write(text)
            count += rows
    return count


def _write_workbook(
    target: Path, session: Session, invoice: Invoice, columns: Sequence[str], rows: Iterator[list[Cell]]
) -> int:
    import xlsxwriter  # noqa: PLC0415 - a gateway that writes no workbook has no need of it

    options = {"constant_memory": True, "strings_to_formulas": False, "strings_to_urls": False}
    with xlsxwriter.Workbook(str(target), options) as workbook:
        bold = workbook.add_format({"bold": True})
        day = workbook.add_format({"num_format": "yyyy-mm-dd"})
        _write_sheet(workbook.add_worksheet("Lines"), LINE_COLUMNS, _line_cells(session, invoice), bold, day)
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
