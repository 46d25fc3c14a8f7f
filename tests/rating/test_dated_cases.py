"""Worked examples of days, changes, taxes and aggregations, one test for each; the name after `case` is its id."""

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any, TypeVar
from zoneinfo import ZoneInfo

import pytest

from billing.core.charges import Recurring, charge_from
from billing.core.errors import Invalid
from billing.core.invoicing import difference
from billing.core.measured import Measured
from billing.core.money import format_minor, to_minor
from billing.core.periods import DAY, Every, tile
from billing.core.schedules import plan_schedules
from billing.core.valuing import part_of, value
from tests.rating.command import Command
from tests.rating.translate import CASES, fee, price, usage

RUN: set[str] = set()
"""The cases of this module."""
F = TypeVar("F", bound=Callable[..., None])


def case(*case_ids: str) -> Callable[[F], F]:
    """Marks a test with the worked examples that it runs."""
    RUN.update(case_ids)
    assert set(case_ids) <= set(CASES)

    def keep(test: F) -> F:
        return test

    return keep


@pytest.fixture
def command(tmp_path: Path) -> Any:
    with Command(tmp_path) as command:
        yield command


def use_with_properties(command: Command, events: list[dict[str, Any]]) -> None:
    """Usage of the object O that says more than a value."""
    for event in events:
        said = [f"--property={name}={value}" for name, value in event["properties"].items()]
        command.run("usage", "add", "O", "usage", "--at", event["at"], *said, "--", str(event["value"]))


def rounded(amount: Fraction, currency: str = "EUR") -> str:
    return format_minor(to_minor(amount, currency), 0 if currency == "JPY" else 2)


def recurring(**keys: Any) -> Recurring:
    found = charge_from({"name": "C", "type": "recurring", "vat_rate": "20", **keys})
    assert isinstance(found, Recurring)
    return found


# --- proration -------------------------------------------------------------------------------------------


@case("pro-start")
def test_a_start_in_the_middle_of_a_month(command: Command) -> None:
    command.at("2022-09-02T00:00:00Z")
    command.declare([fee("50")], starts_on="2022-08-01")
    command.objects([("O", "C", "P", "2022-08-10")])
    assert [it["net"] for it in command.close("2022-08-31")] == ["35.48"]
    assert command.price(fee("50"), "--period", "2022-08-10/2022-09-01")["amount_rounded"] == "35.48"


@pytest.mark.parametrize(
    "amount,period,nominal,expected",
    [
        ("24.95", "2021-09-16/2021-09-25", "2021-08-25/2021-09-25", "7.24"),
        ("24.95", "2021-09-17/2021-09-25", "2021-08-25/2021-09-25", "6.44"),
        ("17.95", "2021-09-30/2021-10-20", "2021-09-20/2021-10-20", "11.97"),
    ],
)
@case("pro-kb-7.24", "pro-kb-6.44", "pro-kb-11.97")
def test_a_part_of_the_period_that_ends_on_the_bill_cycle_day(
    command: Command, amount: str, period: str, nominal: str, expected: str
) -> None:
    """The source's end day does not count, which is what `--period` says; a day of service counts with its end."""
    found = command.price(fee(amount), "--period", period, "--nominal", nominal)
    assert found["amount_rounded"] == expected


@case("pro-trial")
def test_after_a_trial_the_rest_of_the_month_is_charged(command: Command) -> None:
    trial = fee("35", timing="advance", trial_days=7)
    assert command.price(trial, "--period", "2024-03-04/2024-04-01")["amount_rounded"] == "23.71"
    command.at("2024-04-02T00:00:00Z")
    command.declare([trial], starts_on="2024-03-01")
    command.objects([("O", "C", "P", "2024-03-04")])
    (march,) = command.close("2024-03-31")
    # In advance: the rest of March, due on 11 March, and the whole of April.
    assert march["net"] == "58.71"
    (first, *_) = plan_schedules([charge_from(trial)], date(2024, 3, 4), date(2025, 3, 4))
    assert (first.due_on, first.period.starts_on) == (date(2024, 3, 11), date(2024, 3, 11))


@case("pro-terminate-tax")
def test_tax_is_on_the_rounded_line(command: Command) -> None:
    command.at("2023-01-02T00:00:00Z")
    command.declare([fee("10")], starts_on="2022-12-01")
    command.objects([("O", "C", "P", "2022-12-15")])
    command.run("objects", "terminate", "O", "--on", "2022-12-20")
    (invoice,) = command.close("2022-12-31")
    assert (invoice["net"], invoice["vat"], invoice["total"]) == ("1.94", "0.39", "2.33")


HELD = usage({"model": "per_unit", "unit_price": "1"}, calculator={"aggregation": "sum", "recurring": True})
FIVE_HELD = [{"at": "2024-02-01T00:00:00Z", "value": 5}]


@case("pro-upgrade-adv", "pro-upgrade-arr")
def test_the_day_of_change_belongs_to_the_new_plan(command: Command) -> None:
    old, new = ("--period", "2024-02-01/2024-02-12"), ("--period", "2024-02-12/2024-03-01")

    def amount(charge: dict[str, Any], period: tuple[str, str], **keys: Any) -> Decimal:
        return Decimal(command.price(charge, *period, **keys)["amount_rounded"])

    credit, rest = amount(fee("29"), new), amount(fee("290"), new)
    before, after = amount(HELD, old, events=FIVE_HELD), amount(HELD, new, events=FIVE_HELD)
    # In advance: 29.00 was paid for February, so what is left of it goes back when the new plan's rest is charged.
    assert (credit, rest, before) == (Decimal("18.00"), Decimal("180.00"), Decimal("1.90"))
    assert rest + before - credit == Decimal("163.90")
    assert amount(fee("290"), ("--period", "2024-03-01/2024-04-01")) + after == Decimal("293.10")
    # In arrears: the old plan's days, then the new plan's.
    assert amount(fee("29"), old) + before == Decimal("12.90")
    assert rest + after == Decimal("183.10")


@case("pro-sum-484")
def test_what_is_held_for_five_days_of_a_month(command: Command) -> None:
    held = usage({"model": "per_unit", "unit_price": "3"}, calculator={"aggregation": "sum", "recurring": True})
    events = [{"at": "2022-12-16T09:00:00Z", "value": 10}]
    assert command.price(held, "--period", "2022-12-16/2022-12-21", events=events)["amount_rounded"] == "4.84"
    command.at("2023-01-02T00:00:00Z")
    command.declare([held], starts_on="2022-12-01")
    command.objects([("O", "C", "P", "2022-12-16")])
    command.use([("O", "usage", "10", "2022-12-16T09:00:00Z")])
    command.run("objects", "terminate", "O", "--on", "2022-12-20")
    assert [it["net"] for it in command.close("2022-12-31")] == ["4.84"]


@case("pro-polar-up")
def test_a_change_counted_in_seconds(command: Command) -> None:
    def left(amount: str) -> Decimal:
        charged = fee(amount, prorate="second")
        period = ("--period", "2024-04-02T00:00:00Z/2024-05-01T00:00:00Z")
        return Decimal(command.price(charged, *period)["amount_rounded"])

    assert (left("5"), left("20"), left("20") - left("5")) == (Decimal("4.83"), Decimal("19.33"), Decimal("14.50"))


@case("pro-fx")
def test_a_change_counted_in_days(command: Command) -> None:
    def left(amount: str) -> Decimal:
        return Decimal(command.price(fee(amount), "--period", "2024-03-15/2024-04-01")["amount_rounded"])

    assert left("20") - left("10") == Decimal("5.49")
    assert left("30") - left("100") == Decimal("-38.39")
    assert left("100") - left("50") == Decimal("27.42")
    assert (left("25"), left("40")) == (Decimal("13.71"), Decimal("21.94"))


@case("min-plan")
def test_a_commitment_over_a_whole_plan_is_prorated(command: Command) -> None:
    committed = {"name": "Commitment", "type": "commitment", "amount": "10000", "counts": "all", "vat_rate": "20"}
    by_unit = [usage({"model": "per_unit", "unit_price": "1"}) | {"name": f"Usage {n}"} for n in (1, 2, 3)]
    command.at("2024-03-02T00:00:00Z")
    command.declare([fee("100"), *by_unit, committed], starts_on="2024-02-01")
    command.objects([("O", "C", "P", "2024-02-28")])
    command.use([("O", "usage", "10", "2024-02-28T10:00:00Z")])
    (invoice,) = command.close("2024-02-29")
    shown = command.run("invoices", "show", invoice["number"])
    assert "652.76" in shown
    # 10,000.00 for 2 of 29 days, whatever of it is fee, usage and what is missing.
    assert invoice["net"] == "689.66"


# --- what was billed before ------------------------------------------------------------------------------


def rest_of(entry: dict[str, Any], before: int, together: int) -> tuple[Any, ...]:
    """price(a + b) - price(a)."""
    whole, first = (
        value(charge_from(entry), part=Fraction(1), measured=Measured(quantity=Fraction(quantity)))
        for quantity in (together, before)
    )
    return difference(whole, first)


@case("pkg-om-max")
def test_a_maximum_over_what_was_billed_before() -> None:
    rest = rest_of(usage(price("pkg-om-max"), maximum="100"), 60, 110)
    assert [(it.name, int(it.amount)) for it in rest] == [("Packages", 75), ("Maximum", -65)]


@case("allow-om")
def test_an_allowance_over_what_was_used_before() -> None:
    (units,) = rest_of(usage({"model": "per_unit", "unit_price": 1, "included": 10}), 5, 20)
    assert units.quantity == 10


@case("late-om")
def test_late_usage_corrects_its_own_period(command: Command) -> None:
    command.declare([usage({"model": "per_unit", "unit_price": "10"})], starts_on="2022-04-01")
    command.objects([("O", "C", "P", "2022-04-01")])
    command.use([("O", "usage", "5", "2022-04-10T00:00:00Z")])
    assert [it["net"] for it in command.close("2022-04-30")] == ["50.00"]
    command.at("2022-06-02T00:00:00Z")
    command.use([("O", "usage", "2", "2022-04-11T00:00:00Z"), ("O", "usage", "3", "2022-05-10T00:00:00Z")])
    (invoice,) = command.close("2022-05-31")
    assert invoice["net"] == "50.00"
    shown = command.run("invoices", "show", invoice["number"])
    assert "20.00" in shown
    assert "30.00" in shown


# --- aggregations ----------------------------------------------------------------------------------------


@case("agg-wsum-eu")
def test_a_level_weighted_by_the_time_it_held(command: Command) -> None:
    level = usage({"model": "per_unit", "unit_price": 1}, calculator={"aggregation": "weighted_sum", "by": "zone"})
    events = [
        {"at": "2023-08-01T00:00:00Z", "value": 2, "properties": {"zone": "eu"}},
        {"at": "2023-08-01T01:00:00Z", "value": 3, "properties": {"zone": "us"}},
        {"at": "2023-08-01T02:00:00Z", "value": -1, "properties": {"zone": "eu"}},
    ]
    found = command.price(level, "--period", "2023-08-01/2023-09-01", events=events)
    quantities = [round(float(Fraction(line["quantity"])), 5) for line in found["lines"]]
    assert quantities == [1.00269, 2.99597]
    command.at("2023-09-02T00:00:00Z")
    command.declare([level], starts_on="2023-08-01")
    command.objects([("O", "C", "P", "2023-08-01")])
    use_with_properties(command, events)
    (invoice,) = command.close("2023-08-31")
    assert invoice["net"] == "4.00"
    shown = json.loads(command.run("invoices", "show", invoice["number"], "--json"))
    assert [(line["label"], line["net"]) for line in shown["lines"]] == [
        ("P / Usage / zone: eu", "1.00"),
        ("P / Usage / zone: us", "3.00"),
    ]


@case("agg-elastic")
def test_the_mean_of_a_level_and_its_free_part(command: Command) -> None:
    events = [{"at": "2024-04-01T00:00:00Z", "value": 100}, {"at": "2024-04-11T00:00:00Z", "value": 130}]
    for included, expected in (("0", "120"), ("100", "20")):
        level = usage(
            {"model": "per_unit", "unit_price": 1, "included": included}, calculator={"aggregation": "weighted_mean"}
        )
        assert command.price(level, "--period", "2024-04-01/2024-05-01", events=events)["amount"] == expected
    command.at("2024-05-02T00:00:00Z")
    command.declare([level], starts_on="2024-04-01")
    command.objects([("O", "C", "P", "2024-04-01")])
    command.use([("O", "usage", "100", "2024-04-01T00:00:00Z"), ("O", "usage", "130", "2024-04-11T00:00:00Z")])
    assert [it["net"] for it in command.close("2024-04-30")] == ["20.00"]


@case("agg-uniq-prorated")
def test_what_was_there_before_counts_with_what_came(command: Command) -> None:
    cards = usage(
        {"model": "per_unit", "unit_price": 1},
        calculator={"aggregation": "unique_count", "property": "card", "recurring": True},
        anchor="anniversary",
    )
    events = [
        {"at": "2022-06-01T00:00:00Z", "value": 1, "properties": {"card": "old"}},
        {"at": "2022-07-19T12:00:00Z", "value": 1, "properties": {"card": "new"}},
    ]

    def quantity(end: str, *known: dict[str, Any]) -> Fraction:
        arguments = ("--period", f"2022-07-09/{end}", "--nominal", "2022-07-09/2022-08-09")
        return Fraction(command.price(cards, *arguments, events=list(known))["amount"])

    assert quantity("2022-08-09", *events) == 1 + Fraction(21, 31)
    assert quantity("2022-07-25", events[0]) == Fraction(16, 31)
    assert quantity("2022-07-24", events[0]) == Fraction(15, 31)


@case("agg-uniq-prorated")
@pytest.mark.parametrize("last_day,known,net", [("2022-08-08", 2, "1.68"), ("2022-07-24", 1, "0.52")])
def test_what_was_there_before_is_on_the_invoice(command: Command, last_day: str, known: int, net: str) -> None:
    cards = usage(
        {"model": "per_unit", "unit_price": 1},
        calculator={"aggregation": "unique_count", "property": "card", "recurring": True},
        anchor="anniversary",
    )
    command.at("2022-09-02T00:00:00Z")
    command.declare([cards], starts_on="2022-07-01")
    command.objects([("O", "C", "P", "2022-07-09")])
    events = [
        {"at": "2022-06-01T00:00:00Z", "value": 1, "properties": {"card": "old"}},
        {"at": "2022-07-19T12:00:00Z", "value": 1, "properties": {"card": "new"}},
    ]
    use_with_properties(command, events[:known])
    command.run("objects", "terminate", "O", "--on", last_day)
    assert [it["net"] for it in command.close("2022-08-31")] == [net]


# --- tax, coupons, rounding ------------------------------------------------------------------------------


@case("tax-multi")
def test_a_coupon_is_spread_over_what_it_takes_off_before_tax(command: Command) -> None:
    charges = [
        usage({"model": "per_unit", "unit_price": "1"}, name="A", vat_rate="10"),
        fee("50", name="B", vat_category="Z", vat_rate="0"),
        usage({"model": "per_unit", "unit_price": "0.3"}, name="C", minimum="50"),
    ]
    contract = {"name": "C", "customer": "SOMEBODY", "starts_on": "2022-04-01", "subscriptions": ["P"]}
    command.apply(
        {
            "metrics": [{"name": "usage", "unit": "unit", "kind": "delta"}],
            "plans": [{"name": "P", "charges": charges}],
            "contracts": [{**contract, "coupons": [{"name": "Ten", "amount": 10}]}],
        }
    )
    command.objects([("O", "C", "P", "2022-04-01")])
    command.use([("O", "usage", "100", "2022-04-10T00:00:00Z")])
    (closed,) = command.close("2022-04-30")
    invoice = json.loads(command.run("invoices", "show", closed["number"], "--json"))
    # The source's 1.50 and 1.00 are of one rate, which has one line here.
    assert [(line["label"], line["net"]) for line in invoice["lines"]] == [
        ("P / A", "100.00"),
        ("P / B", "50.00"),
        ("P / C", "30.00"),
        ("P / C / Minimum commitment", "20.00"),
        ("Coupon Ten", "-5.00"),
        ("Coupon Ten", "-2.50"),
        ("Coupon Ten", "-2.50"),
    ]
    assert (invoice["vat"], invoice["total"]) == ("19.00", "209.00"), invoice


@case("round-cn")
def test_a_credit_note_mirrors_its_invoice(command: Command) -> None:
    weekly = fee("29.99", every="week", timing="advance", anchor="anniversary", vat_rate="23.33")
    command.at("2022-06-01T00:00:00Z")
    command.declare([weekly], starts_on="2022-05-01")
    # The invoice of May has the week that begins on its last Monday.
    command.objects([("O", "C", "P", "2022-05-30")])
    (invoice,) = command.close("2022-05-31")
    assert (invoice["net"], invoice["total"]) == ("29.99", "36.99")
    command.at("2022-07-02T00:00:00Z")
    command.run("objects", "terminate", "O", "--on", "2022-05-30")
    (note,) = command.close("2022-06-30")
    assert (note["kind"], note["net"], note["vat"], note["total"]) == ("credit_note", "25.71", "6.00", "31.71")


@case("round-lines")
def test_halves_are_rounded_away_from_zero_once_a_line() -> None:
    assert 3 * Decimal(rounded(Fraction("10.333333"))) == Decimal("30.99")
    assert rounded(Fraction("10.275")) == "10.28"
    assert rounded(Fraction("1023.5"), "JPY") == "1024"


# --- zones, anchors, dates -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "created,zone,expected",
    [
        ("2023-06-16T05:00:00+00:00", "America/Denver", "4.00"),
        ("2023-06-16T20:00:00+00:00", "Europe/Paris", "3.00"),
    ],
)
@case("tz-Denver", "tz-Paris")
def test_the_first_week_begins_on_the_local_day(command: Command, created: str, zone: str, expected: str) -> None:
    weekly = fee("7", every="week", timing="advance", vat_category="Z", vat_rate="0")
    starts_on = datetime.fromisoformat(created).astimezone(ZoneInfo(zone)).date()
    following = starts_on + (7 - starts_on.weekday()) * DAY
    found = command.price(weekly, "--period", f"{starts_on}/{following}", "--timezone", zone)
    assert found["amount_rounded"] == expected


@case("tz-dst-autumn")
def test_a_month_with_an_hour_more_has_its_days(command: Command) -> None:
    daily = fee("31")
    start, last = datetime(2023, 9, 30, 23, 10, tzinfo=UTC), datetime(2023, 10, 31, 22, 59, 59, tzinfo=UTC)
    end = last + timedelta(seconds=1)
    found = command.price(daily, "--period", f"{start.isoformat()}/{end.isoformat()}", "--timezone", "Europe/Paris")
    assert found["amount"] == "31"


@case("anchor-31")
def test_an_anniversary_on_the_31st_clamps_and_does_not_drift() -> None:
    def days(starts_on: date, every: Every, count: int) -> list[str]:
        periods = tile(starts_on, date(2026, 1, 1), every, "anniversary")[:count]
        return [f"{it.starts_on}..{it.ends_on - DAY}" for it in periods]

    assert days(date(2024, 1, 31), Every(months=1), 3) == [
        "2024-01-31..2024-02-28",
        "2024-02-29..2024-03-30",
        "2024-03-31..2024-04-29",
    ]
    assert days(date(2024, 1, 30), Every(months=1), 4) == [
        "2024-01-30..2024-02-28",
        "2024-02-29..2024-03-29",
        "2024-03-30..2024-04-29",
        "2024-04-30..2024-05-29",
    ]
    assert days(date(2024, 1, 31), Every(months=12), 1) == ["2024-01-31..2025-01-30"]


@pytest.mark.parametrize(
    "starts_on,timing,offset,anchor,months,ends_on,expected",
    [
        ("2018-01-01", "arrears", 1, "anniversary", 1, None, "2018-02-01"),
        ("2018-01-01", "arrears", 1, "anniversary", 1, "2018-01-15", "2018-01-16"),
        ("2018-01-05", "arrears", 0, "calendar", 1, None, "2018-01-31"),
        ("2018-01-05", "arrears", 0, "calendar", 2, None, "2018-02-28"),
        ("2018-01-06", "advance", 0, "calendar", 1, None, "2018-01-06"),
        ("2018-01-05", "arrears", 1, "anniversary", 12, None, "2019-01-05"),
        ("2018-01-16", "advance", 0, "anniversary", 1, "2018-01-15", None),
    ],
)
@case("oca-next")
def test_the_first_invoice_date(
    starts_on: str, timing: Any, offset: int, anchor: Any, months: int, ends_on: str | None, expected: str | None
) -> None:
    """The source's offset counts from the last day of the period; its `monthlylastday` is our calendar anchor."""
    first = date.fromisoformat(starts_on)
    end = date(2020, 1, 1) if ends_on is None else date.fromisoformat(ends_on) + DAY
    # The source has a period of 2 months, which no word of the catalogue says.
    fee = replace(recurring(amount=1, timing=timing), every=Every(months=months))
    if expected is None:
        with pytest.raises(Invalid, match="ends after it starts"):
            plan_schedules([fee], first, end, anchor)
        return
    planned = plan_schedules([fee], first, end, anchor)
    assert planned[0].due_on + offset * DAY == date.fromisoformat(expected)


@case("oca-prorata")
def test_a_prorated_fee_is_a_fraction_of_the_whole_one() -> None:
    def quantity(starts_on: date, ends_on: date) -> float:
        (period,) = tile(starts_on, ends_on + DAY, Every(months=1), "calendar")
        return round(float(part_of("day", period.days, period.nominal_days)), 2)

    assert quantity(date(2018, 2, 1), date(2018, 2, 25)) == 0.89
    assert quantity(date(2018, 1, 5), date(2018, 1, 31)) == 0.87
    assert quantity(date(2018, 2, 1), date(2018, 2, 14)) == 0.5
