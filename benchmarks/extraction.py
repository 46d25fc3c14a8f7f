"""The extraction of one large invoice from SQLite, against `csv.writer` over the same tuples held in memory.

python -m benchmarks extraction [--scale small] [--rounds 5], or for any size
python -m benchmarks.extraction [--rows 1000000] [--rounds 5] [--ordered] [--json FILE]
"""

import argparse
import csv
import json
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict
from datetime import date
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import xlsxwriter

from benchmarks import stage
from benchmarks.figures import Figure, measure, ratio
from benchmarks.memory import peak_mebibytes
from gateway.extraction import Format, export_invoice
from storage.database import Database
from tests.brokers import ROOT

CASE = "extraction"
SMALLER = 10
"""The second invoice, for Excel and to see that memory does not grow, has a tenth of the rows."""
CATALOGUE = """
INSERT INTO customer (id, reference, party) VALUES (1, 'FLEET', '{}');
INSERT INTO plan (id, name) VALUES (1, 'Plan');
INSERT INTO metric (id, name, unit, unit_code, kind, decimals, excess_digits)
  VALUES (1, 'usage', 'unit', 'C62', 'delta', 6, 'round');
INSERT INTO plan_version (id, plan_id, version, definition, created_at) VALUES (1, 1, 1, '{}', 0);
INSERT INTO charge (id, plan_version_id, position, name, type, metric_id, definition)
  VALUES (1, 1, 1, 'Fee', 'recurring', NULL, '{}'), (2, 1, 2, 'Usage', 'usage', 1, '{}');
INSERT INTO contract (id, name, customer_id, currency, timezone, starts_on, grouping, payment_terms_days, revision)
  VALUES (1, 'Fleet', 1, 'EUR', 'Europe/Paris', '2022-01-01', '[]', 30, 0);
INSERT INTO subscription (id, contract_id, plan_version_id, name) VALUES (1, 1, 1, 'Premium Fleet Subscription');
"""
INVOICE = """
INSERT INTO invoice (id, number, kind, status, contract_id, customer_id, month_starts_on, month_ends_on, issued_on,
  due_on, currency, minor_digits, net_minor, vat_minor, gross_minor, seller, buyer, corrects, issued_at)
  VALUES (:id, :number, 'invoice', 'issued', 1, 1, :start, :end, :end, :end, 'EUR', 2, 0, 0, 0, '{}', '{}', '[]', 0)
"""
LINE = """
INSERT INTO invoice_line (id, invoice_id, position, label, subscription_name, charge_name, component, group_values,
  period_starts_on, period_ends_on, adjustment, quantity, unit, unit_code, unit_price, vat_category, vat_rate, amount,
  net_minor, object_count)
  VALUES (:line, :id, :position, :name, 'Premium Fleet Subscription', :name, 'unit', '{}', :start, :end, 0, '1', 'unit',
  'C62', '5/2', 'S', '20', '1', 0, 1)
"""
SCHEDULE = """
INSERT INTO invoicing_schedule (id, contract_id, subscription_id, contract_item_id, object_id, charge_id, metric_id,
  starts_on, ends_on, nominal_starts_on, nominal_ends_on, start_at, end_at, due_on, status, revalue, quantity, amount)
  SELECT ?, 1, 1, i.id, i.object_id, h.id, h.metric_id, ?, ?, ?, ?, ?, ?, ?, 'invoiced', 0, '0', '0'
  FROM contract_item i JOIN charge h ON h.id = ? WHERE i.id = ?
"""
ITEM = """
INSERT INTO contract_item (id, name, contract_id, subscription_id, object_id, plan_version_id, status, term_months,
  starts_on, ends_on, start_at, end_at, renewal, notice_days)
  VALUES (?, ?, 1, 1, ?, 1, 'running', 12, '2022-01-01', '2023-01-01', 0, 1, 'none', 0)
"""
SHARE = "INSERT INTO line_share (line_id, schedule_id, quantity, amount, share_minor) VALUES (?, ?, ?, ?, ?)"
OBJECT = """
INSERT INTO connected_object (id, reference, kind, status, attributes, created_at) VALUES (?, ?, '', 'active', '{}', 0)
"""


def build(url: str, rows: int, *, ordered: bool) -> None:
    """A database with an invoice of `rows` shares, and one of a tenth: a fee and a usage line, half of them each.

    Objects were registered in an order that is not that of their references, unless `ordered`.
    """
    database = Database(url)
    database.migrate()
    chance = random.Random(rows)  # noqa: S311 - a repeatable fleet, not a secret
    names = list(range(rows // 2))
    if not ordered:
        chance.shuffle(names)
    with database.transaction() as session:
        driver: Any = session.connection().connection.driver_connection
        for statement in CATALOGUE.split(";\n"):
            driver.execute(statement)
        driver.executemany(OBJECT, ((place + 1, f"IOT_{name:07d}") for place, name in enumerate(names)))
        driver.executemany(ITEM, ((place + 1, f"IOT_{name:07d}", place + 1) for place, name in enumerate(names)))
        schedule = 0
        for number, count in ((1, rows), (2, rows // SMALLER)):
            start, end = f"2022-{number:02}-01", f"2022-{number + 1:02}-01"
            values = {"id": number, "number": invoice_number(number), "start": start, "end": end}
            driver.execute(INVOICE, values)
            for charge, name in ((1, "Fee"), (2, "Usage")):
                line = number * 10 + charge
                driver.execute(LINE, values | {"line": line, "position": charge, "name": name})
            objects, first = count // 2, schedule + 1
            days = (start, end, start, end, number, number + 1, end)
            driver.executemany(SCHEDULE, ((first + n, *days, n % 2 + 1, n // 2 + 1) for n in range(2 * objects)))
            driver.executemany(SHARE, ((number * 10 + 1, first + 2 * n, "1", "10", 1000) for n in range(objects)))
            driver.executemany(SHARE, ((number * 10 + 2, first + 2 * n + 1, *_used(chance)) for n in range(objects)))
            schedule += 2 * objects
    database.dispose()


def _used(chance: random.Random) -> tuple[str, str, int]:
    """A quantity with up to three decimals, as meters have, its amount and its cents."""
    quantity = Fraction(chance.randrange(10**6), 1000)
    return str(quantity), str(quantity * Fraction(5, 2)), int(quantity * 250)


def invoice_number(number: int) -> str:
    return f"INV/2022/{number:02}/0001"


def child(url: str, number: int, target: Path, form: Format) -> dict[str, Any]:
    """One extraction in this process."""
    database = Database(url)
    began = time.monotonic()
    with database.snapshot() as session:
        rows = export_invoice(session, invoice_number(number), target, form)
    seconds = time.monotonic() - began
    return {"rows": rows, "rate": rows / seconds, "peak": peak_mebibytes()}


def extracted(url: str, number: int, target: Path, form: Format) -> dict[str, Any]:
    """One extraction in a process of its own, so that its memory is its own."""
    words = (url, str(number), str(target), form)
    said = subprocess.run(
        [sys.executable, "-m", "benchmarks.extraction", "--child", *words],
        cwd=ROOT, check=True, capture_output=True, text=True,
    ).stdout  # fmt: skip
    found: dict[str, Any] = json.loads(said)
    return found


def held(path: Path) -> tuple[list[tuple[str, ...]], list[tuple[Any, ...]]]:
    """The rows of an extraction in memory: as text, and as the days, numbers and text that they stand for."""
    with path.open(encoding="utf-8", newline="") as stream:
        rows = csv.reader(stream)
        next(rows)
        texts = [tuple(map(sys.intern, row)) for row in rows]
    values = [
        (
            *(row[0], int(row[1]), *row[2:6], date.fromisoformat(row[6]), date.fromisoformat(row[7]), int(row[8])),
            *(Decimal(row[9]), row[10], Decimal(row[11]), Decimal(row[12]), row[13]),
        )
        for row in texts
    ]
    return texts, values


def plainly(rows: list[Any], target: Path) -> float:
    """Rows a second of `csv.writer`, which does nothing else."""
    began = time.monotonic()
    with target.open("w", encoding="utf-8", newline="") as stream:
        csv.writer(stream).writerows(rows)
    return len(rows) / (time.monotonic() - began)


def plain_sheet(rows: list[Any], target: Path) -> float:
    """Rows a second of `xlsxwriter`, which does nothing else, a row at a time in memory as ours."""
    began = time.monotonic()
    plain = {"constant_memory": True, "strings_to_formulas": False, "strings_to_urls": False}
    with xlsxwriter.Workbook(str(target), {**plain, "default_date_format": "yyyy-mm-dd"}) as workbook:
        sheet = workbook.add_worksheet()
        for place, row in enumerate(rows):
            sheet.write_row(place, 0, row)
    return len(rows) / (time.monotonic() - began)


def figures(rows: int, rounds: int, *, ordered: bool) -> Iterator[Figure]:
    """The figures of an invoice with so many rows."""
    with stage.store("sqlite") as store, tempfile.TemporaryDirectory(prefix="metergate-bench-") as folder:
        url = store.create("invoice")
        build(url, rows, ordered=ordered)
        ours, plain = Path(folder) / "ours.csv", Path(folder) / "plain.csv"
        extracted(url, 1, ours, "csv")
        texts, values = held(ours)
        whole, of_text, of_values, small, books, sheets = [], [], [], [], [], []
        for _ in range(rounds):
            of_text.append(plainly(texts, plain))
            whole.append(extracted(url, 1, ours, "csv"))
            of_values.append(plainly(values, plain))
            small.append(extracted(url, 2, ours, "csv"))
        del texts
        values = held(ours)[1]
        for _ in range(rounds):
            sheets.append(plain_sheet(values, Path(folder) / "plain.xlsx"))
            books.append(extracted(url, 2, Path(folder) / "ours.xlsx", "xlsx"))
    rates, peaks = [each["rate"] for each in whole], [each["peak"] for each in whole]
    what = f"{rows:,} rows to CSV"
    yield ratio(
        CASE, what, rates, of_text, against="csv.writer over the same text", unit="rows/s", must=0.5, reach=0.8
    )  # fmt: skip
    yield ratio(CASE, what, rates, of_values, against="csv.writer over the same dates, decimals, text", unit="rows/s")
    yield measure(CASE, f"peak memory, {what}", peaks, unit="MiB")
    yield ratio(
        CASE, f"peak memory, {what}", peaks, [each["peak"] for each in small],
        against=f"that of {rows // SMALLER:,} rows", unit="MiB", must=1.1, at_most=True,
    )  # fmt: skip
    what = f"{rows // SMALLER:,} rows to Excel"
    yield ratio(
        CASE, what, [each["rate"] for each in books], sheets, against="xlsxwriter over the same dates, decimals, text",
        unit="rows/s",
    )  # fmt: skip
    yield measure(CASE, f"peak memory, {what}", [each["peak"] for each in books], unit="MiB")


def run(*, scale: str, rounds: int) -> Iterator[Figure]:
    """Every figure of the case."""
    yield from figures(1_000_000 if scale == "full" else 20_000, rounds, ordered=False)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.extraction", description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--ordered", action="store_true", help="objects were registered in order of their references")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--child", nargs=4, metavar=("URL", "INVOICE", "TARGET", "FORMAT"))
    arguments = parser.parse_args()
    if arguments.child:
        url, number, target, form = arguments.child
        print(json.dumps(child(url, int(number), Path(target), form)))
        return
    found = list(figures(arguments.rows, arguments.rounds, ordered=arguments.ordered))
    for figure in found:
        spread = f"{figure.value:.3g} ({figure.low:.3g} to {figure.high:.3g})"
        print(f"{figure.name}, {figure.against}: {spread} {figure.detail}")
    if arguments.json:
        arguments.json.write_text(json.dumps([asdict(figure) for figure in found], indent=1) + "\n")


if __name__ == "__main__":
    main()
