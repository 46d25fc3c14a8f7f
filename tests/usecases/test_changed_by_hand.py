"""Every figure and date of the billing tables, changed by hand in a closed fleet, is found by the verification."""

import shutil
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import BigInteger, Column, Date, Integer, select, update
from sqlalchemy.exc import IntegrityError
from sqlmodel import SQLModel

from billing.advancing import record_advance
from billing.checks.books import Finding
from billing.payments import balance_of, record_payment
from billing.thresholds import bill_thresholds
from billing.verify import verify
from storage.database import Database
from storage.types import Exact, Instant
from tests.usecases.changing import SELLER, World

TEXT = """
plans:
  - name: Fleet
    charges:
      - {name: Fee, type: recurring, timing: advance, amount: "10.333", vat_rate: "20", while_suspended: stop}
      - {name: Set-up, type: one_time, amount: "15", vat_rate: "20"}
      - name: Usage
        type: usage
        vat_rate: "20"
        minimum: "5"
        threshold: "40"
        calculator: {metric: usage, price: {model: per_unit, unit_price: "2.50"}}
      - name: Energy
        type: usage
        vat_rate: "5.5"
        calculator: {metric: energy, price: {model: per_unit, unit_price: "0.20"}}
      - {name: Calls, type: event, event: suspended, vat_rate: "20", price: {model: per_unit, unit_price: "3"}}
      - name: Peak
        type: usage
        vat_rate: "20"
        calculator: {metric: usage, aggregation: percentile, price: {model: rule, expression: "quantity * 0.10 + part"}}
      - name: Pool
        type: usage
        scope: subscription
        vat_rate: "20"
        calculator: {metric: usage, price: {model: per_unit, unit_price: "0.01", included: "3"}}
  - {name: Other, charges: [{name: Fee, type: recurring, timing: arrears, amount: "7", vat_rate: "20"}]}
contracts:
  - {name: C, customer: FLEET, starts_on: 2022-01-01, subscriptions: [Fleet, Other],
     coupons: [{name: Welcome, amount: 5, periods: 2}]}
"""
METRICS = SELLER.replace(
    "customers:", "  - {name: energy, unit: kWh, unit_code: KWH, kind: cumulative, decimals: 3}\ncustomers:"
)
MARCH = date(2022, 3, 31)
TOLD: dict[str, Any] = {"now": datetime(2022, 4, 2, tzinfo=UTC), "origin": "cli"}
TABLES = (
    "invoice",
    "invoice_line",
    "invoice_vat",
    "line_share",
    "object_share",
    "invoicing_schedule",
    "contract_item",
    "suspension",
    "billing_month",
    "number_series",
    "boundary_value",
    "usage_record",
    "usage_rollup",
    "charge",
    "object_event",
    "coupon",
    "coupon_use",
    "advance",
    "payment",
    "usage_reversal",
)
PLACE = {"billing_month": -1, "boundary_value": 2}
"""Which row is changed, where the first one is read no more, or charged nothing."""
FREE = {
    ("billing_month", "closed_at"): "when it was closed is told by nothing else; nothing is billed by it",
    ("object_event", "recorded_at"): "when an event was told; what is billed is when it happened",
    ("usage_record", "received_at"): "when a record came; what is billed is when it was measured",
    ("usage_record", "unkeyed"): "a remark on how a record came",
    ("invoicing_schedule", "revalue"): "asks the next close to look once more, which changes nothing",
    ("contract_item", "term_months"): "the length of the next term, which has no schedules yet",
    ("contract_item", "term_starts_on"): "where the next term is counted from",
    ("contract_item", "notice_on"): "decides whether a term to come is renewed",
    ("contract_item", "notice_days"): "what the next end of a term asks for",
    ("advance", "recorded_at"): "when an advance was told; it is taken by its own day",
    ("advance", "amount_minor"): "what was paid is told by nothing else; less than invoices took of it is found",
    ("payment", "paid_on"): "the bank's word; a day before the document was issued is found",
    ("payment", "recorded_at"): "when a payment was told",
    ("coupon", "starts_on"): "coupons are of whole months; which day of the first one does not matter",
    ("usage_reversal", "batch"): "which close it is late for; what is owed does not depend on it",
    ("usage_reversal", "recorded_at"): "when a record was taken back; what is billed is when it was measured",
}
"""Columns that no check can find, each with its reason."""


@pytest.fixture(scope="module")
def closed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three months of two objects: suspended, late, in a pool, on a register."""
    path = tmp_path_factory.mktemp("books") / "books.db"
    database = Database(f"sqlite:///{path}")
    database.migrate()
    world = World(database, TEXT, seller=METRICS)
    for reference, day in (("IOT_1", 1), ("IOT_2", 11)):
        world.active("Fleet", date(2022, 1, day), reference)
        world.uses(12, "2022-01-14T10:00:00+00:00", reference)
        world.uses(100_000, "2022-01-12T10:00:00+00:00", reference, metric_id=2)
        world.uses(130_000, "2022-02-12T10:00:00+00:00", reference, metric_id=2)
    world.do("suspend", date(2022, 1, 20))
    world.do("resume", date(2022, 1, 25))
    world.active("Fleet", date(2022, 1, 5), "IOT_3", term_months=4, renewal="automatic", notice_days=30)
    world.do("no_renew", date(2022, 1, 28), "IOT_3")
    with database.transaction() as session:
        record_advance(session, "C", amount=Fraction(100), paid_on=date(2022, 1, 31), reference="bank-1", **TOLD)
    world.close(date(2022, 1, 31))
    world.active("Fleet", date(2022, 2, 1), "IOT_4", term_months=2)
    world.do("change_plan", date(2022, 2, 5), "IOT_4", subscription="Other")
    world.do("terminate", date(2022, 2, 10), "IOT_4", fee="rest_of_term")
    world.uses(3, "2022-01-31T10:00:00+00:00", "IOT_2")
    world.uses(7, "2022-02-28T22:59:59+00:00", "IOT_2")
    world.uses(20, "2022-03-10T10:00:00+00:00", "IOT_2")
    assert len(bill_thresholds(database, datetime(2022, 3, 11, tzinfo=UTC)).invoices) == 1
    wrong = {"metric": "usage", "at": "2022-03-10T10:00:00+00:00", "reason": "a test", "value": Decimal(19)}
    world.do("reverse", date(2022, 3, 20), "IOT_2", **wrong)
    world.close(MARCH)
    with database.transaction() as session:
        number = "INV/2022/02/0001"
        due = Fraction(balance_of(session, number, MARCH).due_minor, 100)
        record_payment(session, number, amount=due, paid_on=date(2022, 2, 28), reference="bank-2", **TOLD)
    database.dispose()
    return path


def columns() -> Iterator[Any]:
    """Quantities, amounts, days and instants, not what names another row."""
    for name in TABLES:
        for column in SQLModel.metadata.tables[name].columns:
            figure = isinstance(column.type, Date | Instant | Exact | BigInteger | Integer)
            if figure and column.name != "id" and not column.name.endswith("_id"):
                yield pytest.param(column, id=f"{name}.{column.name}")


def other(value: Any) -> Any:
    match value:
        case datetime():
            return value + timedelta(days=40)
        case date():
            return value + timedelta(days=1)
        case Fraction():
            return value + Fraction(1, 100)
        case _:
            return value + 1


def findings(database: Database) -> list[Finding]:
    with database.snapshot() as session:
        return [finding for finding in verify(session) if finding.severity == "difference"]


def test_the_books_agree_before(closed: Path) -> None:
    database = Database(f"sqlite:///{closed}")
    assert findings(database) == []
    database.dispose()


@pytest.mark.parametrize("column", list(columns()))
def test_a_figure_that_is_changed_is_found(closed: Path, tmp_path: Path, column: "Column[Any]") -> None:
    path = tmp_path / "changed.db"
    shutil.copy(closed, path)
    database = Database(f"sqlite:///{path}")
    table = column.table
    keys = list(table.primary_key.columns)
    try:
        with database.transaction() as session:
            query = select(*keys, column.label("found")).where(column.is_not(None)).order_by(*keys)
            if table.name == "object_event":
                query = query.where(table.c.kind == "suspended")
            rows = session.connection().execute(query).all()
            assert rows, "the closed fleet has none; give it one"
            row = rows[PLACE.get(table.name, 0)]
            where = [key == row[place] for place, key in enumerate(keys)]
            session.connection().execute(update(table).where(*where).values({column.name: other(row.found)}))
    except IntegrityError:
        return  # the database itself refuses it
    else:
        seen = findings(database)
        assert bool(seen) is ((table.name, column.name) not in FREE), [finding.message for finding in seen]
    finally:
        database.dispose()
