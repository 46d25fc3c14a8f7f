"""What passes an amount in mid-period is invoiced at once; the rest of the period charges the rest, to the cent."""

import json
import random
from datetime import UTC, date, datetime, timedelta
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlmodel import col, select

from billing.core.charges import charge_from
from billing.core.errors import Invalid
from billing.core.invoicing import difference
from billing.core.measured import Measured
from billing.core.money import round_half_away
from billing.core.prices import Component
from billing.core.thresholds import worth_so_far
from billing.core.valuing import value
from billing.crediting import Credit, credit
from billing.thresholds import bill_thresholds
from storage import one_object
from storage.database import Database
from storage.detail import explain
from storage.invoices import InvoiceDocument, list_invoices
from storage.tables import InvoicingSchedule
from tests.rating.command import Command
from tests.usecases.changing import World, contract, lines, plans

APRIL, MAY = date(2022, 4, 30), date(2022, 5, 31)
FIRST = date(2022, 4, 1)
UNIT = '{model: per_unit, unit_price: "0.333"}'
GRADUATED = '{model: graduated, tiers: [{up_to: "40", unit_price: "1.005"}, {up_to: null, unit_price: "0.307"}]}'


def charge(price: str = UNIT, more: str = "", threshold: str = "10") -> str:
    calculator = f"{{metric: usage, price: {price}}}"
    return f'{{name: Usage, type: usage, vat_rate: "20", threshold: "{threshold}", calculator: {calculator}{more}}}'


def world(database: Database, *charges: str) -> World:
    return World(database, plans(A=list(charges)) + "contracts:\n" + contract("C", "A"))


def look(here: World, at: str, *, dry_run: bool = False) -> list[InvoiceDocument]:
    report = bill_thresholds(here.database, datetime.fromisoformat(at), dry_run=dry_run)
    assert report.failures == ()
    if not dry_run:
        here.verified()
    return list(report.invoices)


def test_a_period_is_invoiced_when_it_passes_an_amount_and_its_end_charges_the_rest(database: Database) -> None:
    here = world(database, charge())
    here.active("A", FIRST)
    here.uses(30, "2022-04-10T10:00:00+00:00")
    assert look(here, "2022-04-10T12:00:00+00:00") == []  # 9.99
    here.uses(10, "2022-04-12T10:00:00+00:00")
    asked = look(here, "2022-04-12T22:30:00+00:00", dry_run=True)
    (early,) = look(here, "2022-04-12T22:30:00+00:00")
    assert (asked[0].net_minor, early.net_minor) == (1332, 1332)
    # Dated the local day, which is the 13th in Paris, and numbered in its month's series.
    assert (early.number, early.issued_on) == ("INV/2022/04/0001", date(2022, 4, 13))
    assert [line.adjustment for line in early.lines] == [False]
    with database.snapshot() as session:
        april = session.exec(select(InvoicingSchedule).order_by(col(InvoicingSchedule.starts_on))).first()
        assert april is not None
        assert (april.status, one_object.invoiced_on(session, [april])) == ("planned", {april.id: [early.number]})
    assert look(here, "2022-04-13T10:00:00+00:00") == []
    here.uses(7, "2022-04-20T10:00:00+00:00")
    # 47 units are 15.651: 13.32 was invoiced, and 2.33 is left.
    assert here.bills(APRIL) == [("INV/2022/04/0002", "A/Units", "2022-04-01", 233)]
    with database.snapshot() as session:
        records = [
            (str(it.record.quantity), it.late)
            for line in explain(session, "INV/2022/04/0001")
            for share in line.shares
            for it in share.records
        ]
    assert records == [("30", False), ("10", False), ("7", True)]
    here.uses(3, "2022-04-21T10:00:00+00:00")
    assert [line[3] for line in here.bills(MAY)] == [100]  # 50 units are 16.65


def test_a_minimum_is_owed_at_the_end_and_a_maximum_stops_what_is_invoiced_before(database: Database) -> None:
    here = world(database, charge('{model: per_unit, unit_price: "1"}', ', minimum: "50", maximum: "60"'))
    here.active("A", FIRST, "IOT_1")
    here.active("A", FIRST, "IOT_2")
    here.uses(20, "2022-04-10T10:00:00+00:00", "IOT_1")
    here.uses(100, "2022-04-10T10:00:00+00:00", "IOT_2")
    (early,) = look(here, "2022-04-11T12:00:00+00:00")
    assert [(line.component, line.net_minor) for line in early.lines] == [("Units", 12000), ("Maximum", -4000)]
    here.uses(100, "2022-04-12T10:00:00+00:00", "IOT_2")
    assert look(here, "2022-04-13T12:00:00+00:00") == []
    assert [(line[1], line[3]) for line in here.bills(APRIL)] == [
        ("A/Units", 10000),
        ("A/Maximum", -10000),
        ("A/Minimum commitment", 3000),
    ]


def test_a_pool_passes_an_amount_together(database: Database) -> None:
    here = world(database, charge('{model: per_unit, unit_price: "0.07"}', ", scope: subscription"))
    for name in ("IOT_1", "IOT_2", "IOT_3"):
        here.active("A", FIRST, name)
        here.uses(50, "2022-04-10T10:00:00+00:00", name)
    (early,) = look(here, "2022-04-11T12:00:00+00:00")
    assert (early.net_minor, early.lines[0].object_count) == (1050, 3)
    here.uses(1, "2022-04-20T10:00:00+00:00", "IOT_1")
    assert [line[3] for line in here.bills(APRIL)] == [7]


def test_what_was_invoiced_early_is_given_back_when_the_object_was_not_there(database: Database) -> None:
    here = world(database, charge())
    here.active("A", FIRST)
    here.uses(300, "2022-04-10T10:00:00+00:00")
    (early,) = look(here, "2022-04-11T12:00:00+00:00")
    assert early.net_minor == 9990
    here.do("terminate", date(2022, 4, 12), on=date(2022, 4, 5))
    assert [line[3] for line in here.bills(APRIL)] == [-9990]


def test_an_early_invoice_that_is_cancelled_is_charged_anew(database: Database) -> None:
    here = world(database, charge())
    here.active("A", FIRST)
    here.uses(300, "2022-04-10T10:00:00+00:00")
    (early,) = look(here, "2022-04-11T12:00:00+00:00")
    with database.transaction() as session:
        asked = Credit(reason="wrong address", rebill=True)
        credit(session, early.number, asked, datetime(2022, 4, 12, tzinfo=UTC))
    here.verified()
    assert [it.net_minor for it in look(here, "2022-04-13T12:00:00+00:00")] == [9990]
    assert here.bills(APRIL) == []


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("price,more", [(UNIT, ""), (GRADUATED, ', maximum: "90.5", minimum: "30.25"')])
def test_the_total_of_a_period_does_not_depend_on_when_somebody_looked(
    database: Database, price: str, more: str, seed: int
) -> None:
    chance = random.Random(seed)  # noqa: S311 - a seed that is printed is the point
    scope = chance.choice(["", ", scope: subscription"])
    committed = '{name: Commitment, type: commitment, amount: "200", vat_rate: "20"}'
    text = plans(A=[charge(price, more + scope), committed], B=[charge(price, more + scope, "1000000"), committed])
    here = World(database, text + "contracts:\n" + contract("C", "A") + contract("D", "B"))
    names = ["X", "Y", "Z"]
    for name in names:
        here.active("A", FIRST, name)
        here.active("B", FIRST, f"{name}_QUIET", contract="D")
    looks = 0
    for day in range(1, 30):
        at = datetime(2022, 4, day, 10, tzinfo=UTC)
        for name in names:
            if chance.random() < 0.4:
                quantity, used_at = chance.randrange(1, 12), at - timedelta(hours=chance.randrange(48), seconds=day)
                for each in (name, f"{name}_QUIET"):
                    here.uses(quantity, used_at.isoformat(), each)
        if chance.random() < 0.5:
            looks += len(bill_thresholds(database, at + timedelta(hours=2)).invoices)
    assert looks
    here.close(APRIL)
    here.verified()
    with database.snapshot() as session:
        totals = {"C": 0, "D": 0}
        for summary in list_invoices(session):
            totals[summary.contract] += summary.net_minor
    assert totals["C"] == totals["D"], f"seed {seed}"


@given(
    steps=st.lists(st.integers(0, 50), min_size=1, max_size=12),
    looks=st.lists(st.booleans(), min_size=12, max_size=12),
    prices=st.lists(st.fractions(0, 5, max_denominator=1000), min_size=2, max_size=2),
    bounds=st.tuples(st.none() | st.integers(1, 80), st.none() | st.integers(1, 40)),
)
def test_each_line_of_a_period_comes_to_the_same_whatever_was_invoiced_early(
    steps: list[int], looks: list[bool], prices: list[Fraction], bounds: tuple[int | None, int | None]
) -> None:
    maximum, minimum = bounds
    tiers = [{"up_to": "40", "unit_price": f"{float(prices[0]):.6f}"}, {"up_to": None, "unit_price": "0.307"}]
    entry = {
        "name": "U",
        "type": "usage",
        "vat_rate": "20",
        "threshold": "1",
        "calculator": {"metric": "usage", "price": {"model": "graduated", "tiers": tiers}},
        **({} if maximum is None else {"maximum": str(maximum)}),
        **({} if minimum is None else {"minimum": str(min(minimum, maximum or minimum))}),
    }
    usage = charge_from(entry)
    used, charged, total = 0, tuple[Component, ...](), 0
    for step, looked in zip(steps, looks, strict=False):
        used += step
        if looked:
            early = worth_so_far(value(usage, part=Fraction(1), measured=Measured(quantity=Fraction(used))), 100)
            total += sum(round_half_away(it.amount * 100) for it in difference(early, charged))
            charged = early
    whole = value(usage, part=Fraction(1), measured=Measured(quantity=Fraction(used)))
    total += sum(round_half_away(it.amount * 100) for it in difference(whole, charged))
    assert total == sum(round_half_away(it.amount * 100) for it in whole)


@pytest.mark.parametrize(
    "keys", [{"aggregation": "weighted_sum"}, {"aggregation": "sum", "recurring": True}, {"aggregation": "latest"}]
)
def test_what_may_fall_again_has_no_threshold(keys: dict[str, Any]) -> None:
    calculator = {"metric": "usage", "price": {"model": "flat", "amount": "1"}, **keys}
    with pytest.raises(Invalid, match="only grows"):
        charge_from({"name": "U", "type": "usage", "vat_rate": "20", "threshold": "5", "calculator": calculator})


def test_lines_of_early_invoices_are_those_of_the_period(database: Database) -> None:
    here = world(database, charge())
    here.active("A", FIRST)
    here.uses(300, "2022-04-10T10:00:00+00:00")
    (early,) = look(here, "2022-04-11T12:00:00+00:00")
    assert lines(early) == [("INV/2022/04/0001", "A/Units", "2022-04-01", 9990)]


def test_the_command_looks_and_shows_first_what_it_would_issue(tmp_path: Path) -> None:
    calculator = {"metric": "usage", "price": {"model": "per_unit", "unit_price": "1"}}
    usage = {"name": "U", "type": "usage", "vat_rate": "20", "threshold": "50", "calculator": calculator}
    with Command(tmp_path, clock="2022-04-12T08:00:00Z") as command:
        command.declare([usage], starts_on="2022-04-01")
        command.objects([("O", "C", "P", "2022-04-01")])
        command.use([("O", "usage", "60", "2022-04-11T10:00:00Z")])
        asked = json.loads(command.run("close", "--thresholds", "--dry-run", "--json"))
        issued = json.loads(command.run("close", "--thresholds", "--json"))
        again = json.loads(command.run("close", "--thresholds", "--json"))
    assert [[it["net"] for it in found["invoices"]] for found in (asked, issued, again)] == [["60.00"], ["60.00"], []]
