"""What a plan costs at least in a period, over several of its charges; what is missing is a line of its own."""

from datetime import date

from storage.database import Database
from tests.usecases.changing import World, contract, fee, per_unit, plans

APRIL, MAY, JUNE = date(2022, 4, 30), date(2022, 5, 31), date(2022, 6, 30)
FIRST = date(2022, 4, 1)


def commitment(amount: str, more: str = "") -> str:
    return f'{{name: Commitment, type: commitment, amount: "{amount}", vat_rate: "20"{more}}}'


def world(database: Database, *charges: str, **more: list[str]) -> World:
    return World(database, plans(A=list(charges), **more) + "contracts:\n" + contract("C", "A", *more))


def of_each(lines: list[tuple[str, str, str, int]]) -> list[tuple[str, int]]:
    return [(line[1], line[3]) for line in lines]


def test_what_the_objects_of_a_subscription_do_not_use_is_charged_once(database: Database) -> None:
    here = world(database, per_unit("1"), fee("5"), commitment("100"))
    here.active("A", FIRST, "IOT_1")
    here.active("A", FIRST, "IOT_2")
    here.uses(30, "2022-04-10T10:00:00+00:00", "IOT_1")
    here.uses(45, "2022-04-10T10:00:00+00:00", "IOT_2")
    april = of_each(here.bills(APRIL))
    assert april == [("A/Units", 7500), ("A/Fee", 1000), ("A/Fee", 1000), ("A/Minimum commitment", 2500)]
    here.uses(200, "2022-05-10T10:00:00+00:00")
    assert of_each(here.bills(MAY)) == [("A/Units", 20000), ("A/Fee", 1000)]


def test_late_usage_takes_back_what_was_missing(database: Database) -> None:
    here = world(database, per_unit("1"), commitment("100"))
    here.active("A", FIRST)
    here.uses(30, "2022-04-10T10:00:00+00:00")
    assert of_each(here.bills(APRIL)) == [("A/Units", 3000), ("A/Minimum commitment", 7000)]
    here.uses(50, "2022-04-20T10:00:00+00:00")
    assert of_each(here.bills(MAY)) == [
        ("A/Units", 5000),
        ("A/Minimum commitment", 10000),
        ("A/Minimum commitment", -5000),
    ]
    here.uses(50, "2022-04-21T10:00:00+00:00")
    here.uses(300, "2022-06-21T10:00:00+00:00")
    assert of_each(here.bills(JUNE)) == [("A/Units", 30000), ("A/Units", 5000), ("A/Minimum commitment", -2000)]


def test_a_year_counts_its_months_and_a_part_of_a_year_is_a_part_of_the_amount(database: Database) -> None:
    here = world(database, per_unit("1"), commitment("365", ", every: year, anchor: anniversary"))
    here.active("A", date(2022, 1, 1))
    for month in range(1, 5):
        here.uses(20, f"2022-{month:02d}-10T10:00:00+00:00")
    assert len(here.bills(date(2022, 3, 31))) == 3
    here.do("terminate", date(2022, 4, 20), on=date(2022, 4, 10))
    # 100 days of 365 were served, and 80 were used.
    assert of_each(here.bills(APRIL)) == [("A/Units", 2000), ("A/Minimum commitment", 2000)]


def test_each_item_or_the_whole_contract_may_commit_itself(database: Database) -> None:
    here = world(
        database,
        per_unit("1"),
        commitment("10", ", scope: item"),
        B=[per_unit("1"), commitment("100", ", scope: contract, counts: all"), fee("7", "arrears")],
    )
    here.active("A", FIRST, "IOT_1")
    here.active("A", FIRST, "IOT_2")
    here.active("B", FIRST, "IOT_3")
    here.uses(30, "2022-04-10T10:00:00+00:00", "IOT_1")
    here.uses(4, "2022-04-10T10:00:00+00:00", "IOT_2")
    here.uses(20, "2022-04-10T10:00:00+00:00", "IOT_3")
    assert of_each(here.bills(APRIL)) == [
        ("A/Units", 3400),
        ("A/Minimum commitment", 600),
        ("B/Units", 2000),
        ("B/Fee", 700),
        # 100 less 30, 4, 20 and 7; another commitment is not counted.
        ("C/Minimum commitment", 3900),
    ]


def test_a_pools_worth_counts(database: Database) -> None:
    pool = (
        '{name: Data, type: usage, scope: subscription, limits: item, vat_rate: "20", calculator: '
        '{metric: usage, price: {model: per_unit, unit_price: "1", included: "10"}}}'
    )
    here = world(database, pool, commitment("50"))
    here.active("A", FIRST, "IOT_1")
    here.active("A", FIRST, "IOT_2")
    here.uses(45, "2022-04-10T10:00:00+00:00", "IOT_2")
    assert of_each(here.bills(APRIL)) == [("A/Units", 2500), ("A/Minimum commitment", 2500)]
