"""Charges of a subscription or a contract as a whole: one worth of all its objects, given back to them to the cent."""

import csv
import random
from datetime import date, timedelta
from fractions import Fraction
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlmodel import Session, select

from billing.approving import approve
from billing.crediting import Credit, credit
from billing.verify import differences, verify
from gateway.extraction import export_invoice
from storage import pools
from storage.database import Database
from storage.detail import explain
from storage.tables import InvoicingSchedule, Metric
from tests.usecases.changing import World, contract, fee, noon, plans

APRIL, MAY, JUNE = date(2022, 4, 30), date(2022, 5, 31), date(2022, 6, 30)
FIRST = date(2022, 4, 1)


def data(price: str, scope: str = "subscription", *, name: str = "Data", more: str = "", kind: str = "sum") -> str:
    """A pooled usage charge of a catalogue."""
    calculator = f"{{metric: usage, aggregation: {kind}, price: {price}}}"
    return f'{{name: {name}, type: usage, scope: {scope}, vat_rate: "20", calculator: {calculator}{more}}}'


def per_unit(price: str, included: str = "0") -> str:
    return f'{{model: per_unit, unit_price: "{price}", included: "{included}"}}'


def world(database: Database, *charges: str, **more: list[str]) -> World:
    catalogue = plans(A=list(charges), **more) + "contracts:\n" + contract("C", "A", *more)
    return World(database, catalogue)


def detail(database: Database, number: str, folder: Path) -> list[tuple[str, str, str]]:
    """The extraction: object, quantity, net."""
    with database.snapshot() as session:
        export_invoice(session, number, folder / "detail.csv", "csv")
    with (folder / "detail.csv").open(newline="") as stream:
        return [(row["object"], row["quantity"], row["net_amount"]) for row in csv.DictReader(stream)]


def test_objects_share_one_allowance_and_the_invoice_gives_it_back_to_the_cent(
    database: Database, tmp_path: Path
) -> None:
    here = world(database, data(per_unit("0.10", "10"), more=", limits: item"))
    for name in ("IOT_1", "IOT_2", "IOT_3"):
        here.active("A", FIRST, name)
    here.uses(30, "2022-04-10T10:00:00+00:00", "IOT_1")
    here.uses(10, "2022-04-11T10:00:00+00:00", "IOT_2")
    # 40 used by three objects that bring 10 each: 10 are paid for, three quarters of them by the first.
    (invoice,) = here.close(APRIL).invoices
    (line,) = invoice.lines
    assert (line.label, str(line.quantity), line.net_minor, line.object_count) == ("A / Data", "10", 100, 2)
    assert detail(database, invoice.number, tmp_path) == [("IOT_1", "7.5", "0.75"), ("IOT_2", "2.5", "0.25")]
    assert here.bills(APRIL) == []


def test_late_usage_is_priced_in_the_pool_and_charged_to_who_used_it(database: Database, tmp_path: Path) -> None:
    tiers = '{model: graduated, tiers: [{up_to: "50", unit_price: "1"}, {up_to: null, unit_price: "0.50"}]}'
    here = world(database, data(tiers))
    for name in ("IOT_1", "IOT_2"):
        here.active("A", FIRST, name)
    here.uses(30, "2022-04-10T10:00:00+00:00", "IOT_1")
    here.uses(10, "2022-04-11T10:00:00+00:00", "IOT_2")
    assert [line[3] for line in here.bills(APRIL)] == [4000]
    here.uses(40, "2022-04-20T10:00:00+00:00", "IOT_2")
    (invoice,) = here.close(MAY).invoices
    # 80 in April now: 50 at 1.00, 30 at 0.50. The first object's part of the first tier is smaller than before.
    assert [(line.component, str(line.quantity), line.net_minor, line.adjustment) for line in invoice.lines] == [
        ("Tier 1", "10", 1000, True),
        ("Tier 2", "30", 1500, True),
    ]
    assert detail(database, invoice.number, tmp_path) == [
        ("IOT_1", "-11.25", "-11.25"),
        ("IOT_2", "21.25", "21.25"),
        ("IOT_1", "11.25", "5.63"),
        ("IOT_2", "18.75", "9.37"),
    ]
    with database.snapshot() as session:
        shown = [
            (share.detail.reference, len(list(share.records)))
            for line in explain(session, invoice.number)
            for share in line.shares
        ]
    assert shown == [("IOT_1", 1), ("IOT_2", 2)] * 2


def test_an_object_counts_in_the_pool_while_it_is_there(database: Database) -> None:
    here = world(database, data(per_unit("1", "30"), more=", limits: item"))
    here.active("A", FIRST, "IOT_1")
    here.active("A", date(2022, 4, 16), "IOT_2")
    here.uses(5, "2022-04-10T10:00:00+00:00", "IOT_2")  # before it is there
    here.uses(60, "2022-04-20T10:00:00+00:00", "IOT_2")
    # 60 used; one object for 30 days and one for 15 bring 30 and 15.
    assert [line[3] for line in here.bills(APRIL)] == [1500]
    here.do("terminate", date(2022, 5, 10), "IOT_2", on=date(2022, 5, 10))
    here.uses(50, "2022-05-10T10:00:00+00:00", "IOT_2")
    here.uses(50, "2022-05-12T10:00:00+00:00", "IOT_2")  # after it left
    # 31 + 10 days of 31: 30 and 300 / 31 are included.
    assert [line[3] for line in here.bills(MAY)] == [round(100 * (50 - 30 - 300 / 31))]


def test_a_backdated_end_takes_the_usage_out_of_a_pool_that_was_charged(database: Database) -> None:
    here = world(database, data(per_unit("1")))
    for name in ("IOT_1", "IOT_2"):
        here.active("A", FIRST, name)
        here.uses(10, "2022-04-20T10:00:00+00:00", name)
    assert [line[3] for line in here.bills(APRIL)] == [2000]
    here.do("terminate", date(2022, 5, 10), "IOT_2", on=date(2022, 4, 15))
    here.active("A", date(2022, 4, 10), "IOT_3")
    here.uses(25, "2022-04-12T10:00:00+00:00", "IOT_3")
    assert [line[3] for line in here.bills(MAY)] == [1500]
    here.do("terminate", date(2022, 6, 1), "IOT_1", on=FIRST)
    here.do("terminate", date(2022, 6, 1), "IOT_3", on=date(2022, 4, 10))
    assert [line[3] for line in here.bills(JUNE)] == [-3500]


def test_a_platform_fee_is_one_for_the_subscription_and_a_part_at_its_first_and_last_days(
    database: Database, tmp_path: Path
) -> None:
    here = world(database, fee("31", "arrears", more=", scope: subscription"))
    here.active("A", date(2022, 4, 16), "IOT_1")
    here.active("A", date(2022, 4, 20), "IOT_2")
    (invoice,) = here.close(APRIL).invoices
    assert [(line.net_minor, line.object_count) for line in invoice.lines] == [(1550, 1)]
    assert detail(database, invoice.number, tmp_path) == [("", "0.5", "15.50")]
    here.active("A", date(2022, 5, 20), "IOT_3")
    here.do("terminate", date(2022, 5, 25), "IOT_1", on=date(2022, 5, 25))
    here.do("suspend", date(2022, 5, 25), "IOT_2", on=date(2022, 5, 25))
    assert [line[3] for line in here.bills(MAY)] == [3100]
    here.do("terminate", date(2022, 6, 10), "IOT_2", on=date(2022, 6, 10))
    here.do("terminate", date(2022, 6, 15), "IOT_3", on=date(2022, 6, 15))
    assert [line[3] for line in here.bills(JUNE)] == [1550]
    assert here.bills(date(2022, 12, 31)) == []


def test_days_without_any_object_cost_no_fee(database: Database) -> None:
    here = world(database, fee("30", more=", scope: subscription"))
    here.active("A", FIRST, "IOT_1")
    assert [line[2:] for line in here.bills(APRIL)] == [("2022-04-01", 3000), ("2022-05-01", 3000)]
    here.do("terminate", date(2022, 5, 10), "IOT_1", on=date(2022, 4, 10))
    here.active("A", date(2022, 4, 21), "IOT_2")
    # In April 10 days were without an object; May goes on.
    assert [line[2:] for line in here.bills(MAY)] == [("2022-06-01", 3000), ("2022-04-01", -1000)]


def test_a_one_time_fee_of_a_subscription_is_charged_once(database: Database) -> None:
    setup = '{name: Setup, type: one_time, amount: "99", vat_rate: "20", scope: subscription}'
    here = world(database, setup)
    here.active("A", date(2022, 4, 10), "IOT_1")
    here.active("A", date(2022, 4, 5), "IOT_2")
    assert here.bills(APRIL) == [("INV/2022/04/0001", "A/Fee", "2022-04-05", 9900)]
    here.active("A", date(2022, 4, 3), "IOT_3")
    assert here.bills(MAY) == []


def test_a_pool_of_the_contract_takes_the_objects_of_all_its_plans_that_declare_it(
    database: Database, tmp_path: Path
) -> None:
    pool = data(per_unit("1", "100"), "contract")
    here = world(database, pool, fee("1", "arrears"), B=[pool])
    here.active("A", FIRST, "IOT_1")
    here.active("B", FIRST, "IOT_2")
    here.uses(70, "2022-04-10T10:00:00+00:00", "IOT_1")
    here.uses(60, "2022-04-10T10:00:00+00:00", "IOT_2")
    (invoice,) = here.close(APRIL).invoices
    assert [(line.label, line.net_minor) for line in invoice.lines] == [("A / Fee", 100), ("C / Data", 3000)]
    # A change of plan inside the contract changes nothing for its pool.
    here.do("change_plan", date(2022, 5, 20), "IOT_1", subscription="B", on=date(2022, 5, 16))
    here.uses(70, "2022-05-10T10:00:00+00:00", "IOT_1")
    here.uses(60, "2022-05-20T10:00:00+00:00", "IOT_1")
    (invoice,) = here.close(MAY).invoices
    assert [line.net_minor for line in invoice.lines if line.charge == "Data"] == [3000]
    assert detail(database, invoice.number, tmp_path)[1:] == [("IOT_1", "30", "30.00")]


def test_an_object_that_changes_plan_or_contract_takes_its_usage_from_then_on(database: Database) -> None:
    charge = data(per_unit("1"))
    text = plans(A=[charge], B=[charge]) + "contracts:\n" + contract("C", "A", "B") + contract("D", "A")
    here = World(database, text)
    here.active("A", FIRST, "IOT_1")
    here.uses(1, "2022-04-09T10:00:00+00:00")
    here.uses(20, "2022-04-10T10:00:00+00:00")
    here.uses(300, "2022-04-25T10:00:00+00:00")
    here.do("change_plan", date(2022, 4, 28), subscription="B", on=date(2022, 4, 10))
    here.do("transfer", date(2022, 4, 28), contract="D", subscription="A", on=date(2022, 4, 20))
    assert [(line[1], line[3]) for line in here.bills(APRIL)] == [
        ("A/Units", 100),
        ("B/Units", 2000),
        ("A/Units", 30000),
    ]


def test_a_pools_minimum_is_what_is_missing_and_all_share_it(database: Database, tmp_path: Path) -> None:
    here = world(database, data(per_unit("1"), more=', minimum: "10", maximum: "100"'))
    here.active("A", FIRST, "IOT_1")
    here.active("A", FIRST, "IOT_2")
    (invoice,) = here.close(APRIL).invoices
    assert detail(database, invoice.number, tmp_path) == [("IOT_1", "5", "5.00"), ("IOT_2", "5", "5.00")]
    here.uses(120, "2022-05-10T10:00:00+00:00")
    assert [line[3] for line in here.bills(MAY)] == [12000, -2000]


def test_a_renewal_goes_on_in_the_pool(database: Database) -> None:
    here = world(database, fee("10", "arrears", more=", scope: subscription"))
    here.active("A", FIRST, term_months=1, renewal="automatic")
    assert [line[2:] for line in here.bills(JUNE)] == [
        ("2022-04-01", 1000),
        ("2022-05-01", 1000),
        ("2022-06-01", 1000),
    ]


@pytest.mark.parametrize(
    "kind,net",
    [
        # The peaks of the objects (20 and 8), what each used last (5 and 8), how many records, their percentiles.
        ("max", 2800),
        ("latest", 1300),
        ("count", 300),
        ("percentile", 2800),
        ("weighted_sum", None),
    ],
)
def test_a_pool_adds_up_what_each_object_measures(database: Database, kind: str, net: int | None) -> None:
    here = world(database, data(per_unit("1"), kind=kind), S=[data(per_unit("1"), "item", kind=kind)])
    for name in ("IOT_1", "IOT_2"):
        here.active("A", FIRST, name)
        here.active("S", FIRST, f"{name}_S")
    for suffix in ("", "_S"):
        here.uses(20, "2022-04-10T10:00:00+00:00", f"IOT_1{suffix}")
        here.uses(5, "2022-04-12T10:00:00+00:00", f"IOT_1{suffix}")
        here.uses(8, "2022-04-12T10:00:00+00:00", f"IOT_2{suffix}")
    found = {line[1]: line[3] for line in here.bills(APRIL)}
    assert found["A/Units"] == found["S/Units"]
    assert net is None or found["A/Units"] == net


def test_a_pool_gives_the_line_of_each_value_to_those_who_used_it(database: Database, tmp_path: Path) -> None:
    tiers = '{model: graduated, tiers: [{up_to: "50", unit_price: "1"}, {up_to: null, unit_price: "0.50"}]}'
    by_zone = data(tiers).replace("metric: usage", "metric: usage, by: zone")
    here = world(database, by_zone, data(per_unit("1"), name="Cards", kind="unique_count, property: card"))
    for name in ("IOT_1", "IOT_2", "IOT_3"):
        here.active("A", FIRST, name)
    here.uses(40, "2022-04-10T10:00:00+00:00", "IOT_1", zone="night", card="x")
    here.uses(60, "2022-04-10T10:00:00+00:00", "IOT_2", zone="night", card="x")
    here.uses(30, "2022-04-11T10:00:00+00:00", "IOT_2", zone="day", card="y")
    (invoice,) = here.close(APRIL).invoices
    assert [(line.component, str(line.quantity), line.net_minor) for line in invoice.lines] == [
        ("zone: day / Tier 1", "30", 3000),
        ("zone: night / Tier 1", "50", 5000),
        ("zone: night / Tier 2", "50", 2500),
        ("Units", "3", 300),
    ]
    assert detail(database, invoice.number, tmp_path) == [
        ("IOT_2", "30", "30.00"),
        *(("IOT_1", "20", "20.00"), ("IOT_2", "30", "30.00")),
        *(("IOT_1", "20", "10.00"), ("IOT_2", "30", "15.00")),
        *(("IOT_1", "1", "1.00"), ("IOT_2", "2", "2.00")),
    ]
    here.uses(5, "2022-04-12T10:00:00+00:00", "IOT_3", zone="moon")
    (may,) = here.close(MAY).invoices
    assert detail(database, may.number, tmp_path) == [("IOT_3", "5", "5.00")]


def test_a_register_is_in_a_pool_what_it_rose(database: Database) -> None:
    here = world(database, data(per_unit("1")))
    with database.transaction() as session:
        session.add(Metric(id=2, name="energy", unit="kWh", kind="cumulative", decimals=0))
    energy = data(per_unit("1")).replace("metric: usage", "metric: energy")
    here.apply(plans(E=[energy]) + "contracts:\n" + contract("C", "A", "E"))
    here.active("E", FIRST, "IOT_1")
    here.active("E", FIRST, "IOT_2")
    for at, value in (("2022-04-02", 100), ("2022-04-20", 130), ("2022-05-20", 160)):
        here.uses(value, f"{at}T10:00:00+00:00", "IOT_1", metric_id=2)
        here.uses(2 * value, f"{at}T11:00:00+00:00", "IOT_2", metric_id=2)
    assert [line[3] for line in here.bills(APRIL)] == [9000]
    here.do("terminate", date(2022, 5, 21), "IOT_2", on=date(2022, 5, 21))
    assert [line[3] for line in here.bills(MAY)] == [9000]
    here.uses(330, "2022-05-21T11:00:00+00:00", "IOT_2", metric_id=2)
    assert [line[3] for line in here.bills(JUNE)] == [1000]


@pytest.mark.parametrize("scope", ["item", "subscription", "contract"])
def test_a_reading_that_comes_late_is_billed_when_the_object_went_on_without_the_register(
    database: Database, scope: str
) -> None:
    here = world(database, fee("5", "arrears"))
    with database.transaction() as session:
        session.add(Metric(id=2, name="energy", unit="kWh", kind="cumulative", decimals=0))
    energy, cards = (
        data(per_unit("1"), scope, name=name, kind=kind).replace("metric: usage", "metric: energy")
        for name, kind in (("Energy", "sum"), ("Readings", "count"))
    )
    here.apply(plans(E=[energy, cards]) + "contracts:\n" + contract("C", "A", "E"))
    here.active("E", FIRST)
    for at, value in (("2022-04-02", 100), ("2022-04-20", 130)):
        here.uses(value, f"{at}T10:00:00+00:00", metric_id=2)
    here.do("change_plan", date(2022, 4, 25), subscription="A", on=date(2022, 5, 1))
    assert [line[3] for line in here.bills(APRIL)] == [3000, 200]
    here.uses(160, "2022-04-30T10:00:00+00:00", metric_id=2)
    assert [line[2:] for line in here.bills(MAY)] == [("2022-05-01", 500), ("2022-04-01", 3000), ("2022-04-01", 100)]


def test_events_of_all_objects_are_one_pool(database: Database) -> None:
    charge = (
        '{name: Stops, type: event, event: suspended, scope: subscription, vat_rate: "20", '
        'price: {model: per_unit, unit_price: "1", included: "1"}}'
    )
    here = world(database, charge)
    for name in ("IOT_1", "IOT_2"):
        here.active("A", FIRST, name)
        here.do("suspend", date(2022, 4, 12), name, on=date(2022, 4, 12))
    assert [line[3] for line in here.bills(APRIL)] == [100]


def test_pools_of_events_and_of_lowest_values_stand_beside_usage_of_each_object(database: Database) -> None:
    stops = (
        '{name: Stops, type: event, event: suspended, scope: subscription, vat_rate: "20", '
        'price: {model: per_unit, unit_price: "2"}}'
    )
    own = data(per_unit("1"), "item", name="Own")
    here = world(database, own, data(per_unit("1"), name="Lowest", kind="min"), stops)
    for name, used in (("IOT_1", 30), ("IOT_2", 10)):
        here.active("A", FIRST, name)
        here.uses(used, "2022-04-10T10:00:00+00:00", name)
        here.do("suspend", date(2022, 4, 12), name, on=date(2022, 4, 12))
    lines = {line.label: line.net_minor for line in here.close(APRIL).invoices[0].lines}
    assert lines == {"A / Own": 4000, "A / Lowest": 4000, "A / Stops": 400}


def test_what_was_changed_by_hand_in_a_pool_is_found(database: Database) -> None:
    here = world(database, data(per_unit("1")))
    here.active("A", FIRST)
    here.uses(10, "2022-04-20T10:00:00+00:00")
    here.bills(APRIL)
    for change, said in (
        ("UPDATE object_share SET share_minor = share_minor + 1", "adds up"),
        ("UPDATE invoicing_schedule SET quantity = '9' WHERE nominal_starts_on = '2022-04-01'", "is worth 10 for 10"),
        ("UPDATE invoicing_schedule SET ends_on = '2022-05-20' WHERE nominal_starts_on = '2022-05-01'", "is missing"),
    ):
        with database.transaction() as session:
            session.connection().execute(text(change))
            found = differences(verify(session))
            assert any(said in it.message for it in found)
            session.rollback()
    here.verified()


@pytest.mark.parametrize("seed", range(4))
def test_whatever_happens_a_pool_is_the_price_of_what_its_objects_used_while_they_were_there(
    database: Database, seed: int
) -> None:
    chance = random.Random(seed)  # noqa: S311 - a seed that is printed is the point
    limits = chance.choice(["", ", limits: item"])
    tiers = '{model: graduated, tiers: [{up_to: "40", unit_price: "1"}, {up_to: null, unit_price: "0.30"}]}'
    here = world(database, data(tiers, more=limits))
    there: dict[str, tuple[date, date]] = {}
    for n in range(5):
        starts_on = FIRST + timedelta(chance.randrange(60))
        there[f"IOT_{n}"] = (starts_on, date(starts_on.year + 1, starts_on.month, starts_on.day))
        here.active("A", starts_on, f"IOT_{n}")
    used: list[tuple[str, date, int]] = []
    for until in (APRIL, MAY, JUNE, date(2022, 7, 31)):
        for _ in range(12):
            name, day = chance.choice(list(there)), FIRST + timedelta(chance.randrange((until - FIRST).days + 1))
            used.append((name, day, chance.randrange(1, 30)))
            here.uses(used[-1][2], f"{day}T10:00:00.{len(used):06d}+00:00", name)
        leaving = chance.choice(list(there))
        if chance.random() < 0.5 and there[leaving][0] < until < there[leaving][1]:
            last = there[leaving][0] + timedelta(chance.randrange((until - there[leaving][0]).days))
            if there[leaving][1] > date(2022, 12, 1):
                here.do("terminate", until, leaving, on=last)
                there[leaving] = (there[leaving][0], last + timedelta(1))
        here.close(until)
    for month in (4, 5, 6, 7):
        first, end = date(2022, month, 1), date(2022, month + 1, 1)
        quantities = [q for name, day, q in used if there[name][0] <= day < there[name][1] and first <= day < end]
        days = sum(max((min(b, end) - max(a, first)).days, 0) for a, b in there.values())
        items = Fraction(days, (end - first).days) if limits else Fraction(1)
        quantity, bound = Fraction(sum(quantities)), 40 * items
        owed = min(quantity, bound) + max(quantity - bound, Fraction(0)) * Fraction(3, 10)
        with database.snapshot() as session:
            assert sum(charged_for(session, first)) == owed, f"{first}, seed {seed}"


def charged_for(session: Session, first: date) -> list[Fraction]:
    """What invoices charged objects for a pool's month, exactly."""
    query = select(InvoicingSchedule.id).where(InvoicingSchedule.nominal_starts_on == first)
    return [row.amount for row in pools.object_charged(session, [it or 0 for it in session.exec(query)])]


def test_a_credit_note_gives_each_object_its_part_back(database: Database, tmp_path: Path) -> None:
    here = world(database, data(per_unit("0.01")))
    for name in ("IOT_1", "IOT_2", "IOT_3"):
        here.active("A", FIRST, name)
        here.uses(100, "2022-04-20T10:00:00+00:00", name)
    (invoice,) = here.close(APRIL).invoices
    with database.transaction() as session:
        first = credit(session, invoice.number, Credit(amount=Fraction(1), reason="a gesture"), noon(MAY))
        rest = credit(session, invoice.number, Credit(reason="all of it"), noon(MAY))
    assert [it[2] for it in detail(database, first, tmp_path)] == ["0.34", "0.33", "0.33"]
    assert [it[2] for it in detail(database, rest, tmp_path)] == ["0.66", "0.67", "0.67"]
    here.verified()


def test_a_credited_pool_is_charged_anew(database: Database) -> None:
    here = world(database, data(per_unit("1")))
    for name in ("IOT_1", "IOT_2"):
        here.active("A", FIRST, name)
        here.uses(10, "2022-04-20T10:00:00+00:00", name)
    (invoice,) = here.close(APRIL).invoices
    here.uses(5, "2022-04-21T10:00:00+00:00", "IOT_2")
    with database.transaction() as session:
        credit(session, invoice.number, Credit(reason="once more", rebill=True), noon(MAY))
    assert [line[3] for line in here.bills(MAY)] == [2500]


def test_a_draft_of_a_pool_is_made_anew_until_it_is_approved(database: Database, tmp_path: Path) -> None:
    approval = contract("C", "A", more=", approval: required")
    here = World(database, plans(A=[data(per_unit("1"))]) + "contracts:\n" + approval)
    here.active("A", FIRST)
    here.uses(10, "2022-04-20T10:00:00+00:00")
    assert [it.net_minor for it in here.close(APRIL).drafts] == [1000]
    here.uses(5, "2022-04-21T10:00:00+00:00")
    (draft,) = here.close(APRIL).drafts
    assert draft.net_minor == 1500
    with database.transaction() as session:
        (number,) = approve(session, draft.number, noon(MAY))
    assert detail(database, number, tmp_path) == [("IOT_1", "15", "15.00")]
    here.verified()


def test_events_and_percentiles_of_a_pool_are_its_own_beside_charges_on_totals(database: Database) -> None:
    stops = (
        '{name: Stops, type: event, event: suspended, scope: subscription, vat_rate: "20", '
        'price: {model: per_unit, unit_price: "1"}}'
    )
    here = world(
        database,
        stops,
        data(per_unit("1"), kind="percentile"),
        data(per_unit("1"), "item", name="Z"),
    )
    here.active("A", FIRST, "IOT_1")
    here.active("A", date(2022, 4, 20), "IOT_2")
    here.uses(7, "2022-04-25T10:00:00+00:00", "IOT_1")
    here.do("suspend", date(2022, 4, 30), "IOT_1", on=date(2022, 4, 30))
    assert sorted(line[3] for line in here.bills(APRIL)) == [100, 700, 700]
