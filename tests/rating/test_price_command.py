"""`metergate price`: any charge over a quantity or events, without a database."""

import json
from pathlib import Path
from typing import Any

import pytest

from gateway.cli.main import main

PER_UNIT = (
    '{type: usage, name: U, vat_rate: "20", calculator: {metric: m, price: {model: per_unit, unit_price: "2.5"}}}'
)
FEE = '{type: recurring, name: Fee, vat_rate: "20", amount: "31"}'


class Prices:
    """Runs the command in a folder of its own."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.folder, self.capsys = folder, capsys

    def run(self, charge: str, *arguments: str, events: Any = None) -> tuple[int, str, str]:
        (self.folder / "charge.yaml").write_text(charge)
        words = ["price", "--charge", str(self.folder / "charge.yaml"), *arguments]
        if events is not None:
            text = events if isinstance(events, str) else json.dumps(events)
            (self.folder / "events.json").write_text(text)
            words += ["--events", str(self.folder / "events.json")]
        with pytest.raises(SystemExit) as ended:
            main(words)
        out, err = self.capsys.readouterr()
        return int(ended.value.code or 0), out, err

    def json(self, charge: str, *arguments: str, events: Any = None) -> Any:
        status, out, err = self.run(charge, "--json", *arguments, events=events)
        assert status == 0, err
        return json.loads(out)


@pytest.fixture
def prices(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Prices:
    return Prices(tmp_path, capsys)


def test_a_quantity_of_12_and_a_half(prices: Prices) -> None:
    assert prices.json(PER_UNIT, "--quantity", "12.5") == {
        "amount": "31.25",
        "amount_rounded": "31.25",
        "lines": [
            {
                "name": "Units",
                "quantity": "12.5",
                "unit_price": "2.5",
                "amount": "31.25",
                "amount_rounded": "31.25",
            }
        ],
    }


def test_a_person_reads_a_table(prices: Prices) -> None:
    status, out, _ = prices.run(PER_UNIT, "--quantity", "3", "--currency", "JPY")
    assert status == 0
    assert out.splitlines()[-1] == "Amount: 7.5, rounded 8 JPY"


@pytest.mark.parametrize(
    "wrapped",
    [
        PER_UNIT,
        "{charge: " + PER_UNIT + "}",
        "{charges: [" + PER_UNIT + "]}",
        "{plans: [{name: P, charges: [" + PER_UNIT + "]}]}",
        '{type: usage, calculator: {price: {model: per_unit, unit_price: "2.5"}}}',
        '{price: {model: per_unit, unit_price: "2.5"}}',
        '{model: per_unit, unit_price: "2.5"}',
        '{type: usage, vat_rate: 0, calculator: {metric: m, price: {model: per_unit, unit_price: "2.5"}}}',
    ],
)
def test_a_charge_is_found_alone_or_in_its_catalogue(prices: Prices, wrapped: str) -> None:
    assert prices.json(wrapped, "--quantity", "2")["amount"] == "5"


def test_events_count_once_by_their_id_and_only_inside_the_period(prices: Prices) -> None:
    events = (
        '[{"at": "2022-04-01T00:00:00Z", "value": 0.1, "id": "a"}, {"at": "2022-04-14", "value": "0.2"},'
        ' {"at": "2022-04-01T00:00:00Z", "value": 0.1, "id": "a"}, {"at": "2022-05-01T00:00:00Z", "value": 7}]'
    )
    status, out, err = prices.run(PER_UNIT, "--json", "--period", "2022-04-01/2022-05-01", events=events)
    assert (status, json.loads(out)["amount"]) == (0, "0.75")
    assert err == "1 events outside the period were left out.\n"


def test_a_fee_by_its_days_seconds_whole_or_not_at_all(prices: Prices) -> None:
    half = ("--period", "2022-04-16/2022-05-01")
    for prorate, amount in (("day", "15.5"), ("second", "15.5"), ("none", "31"), ("full", "0")):
        assert prices.json(FEE[:-1] + f", prorate: {prorate}}}", *half)["amount"] == amount
    assert prices.json(FEE, "--period", "2022-04-16/2022-07-01")["amount"] == "77.5"
    assert prices.json(FEE)["amount"] == "31"


def test_a_trial_is_free(prices: Prices) -> None:
    charge = '{type: recurring, amount: "35", timing: advance, trial_days: 7}'
    assert prices.json(charge, "--period", "2024-03-04/2024-04-01")["amount_rounded"] == "23.71"
    assert prices.json(charge, "--period", "2024-03-04/2024-03-08")["amount"] == "0"


def test_the_nominal_period_may_be_given(prices: Prices) -> None:
    charge = '{type: recurring, amount: "24.95"}'
    arguments = ("--period", "2021-09-16/2021-09-25", "--nominal", "2021-08-25/2021-09-25")
    assert prices.json(charge, *arguments)["amount_rounded"] == "7.24"


def test_what_bounds_a_period_shows_as_lines_of_its_own(prices: Prices) -> None:
    charge = (
        '{type: usage, minimum: "20", maximum: "30", discount: {percent: 10, periods: 2}, '
        'calculator: {price: {model: per_unit, unit_price: "1"}}}'
    )

    def lines(*arguments: str) -> list[tuple[str, str]]:
        return [(line["name"], line["amount"]) for line in prices.json(charge, *arguments)["lines"]]

    assert lines("--quantity", "10") == [("Units", "10"), ("Discount", "-1"), ("Minimum commitment", "11")]
    assert lines("--quantity", "100") == [("Units", "100"), ("Discount", "-10"), ("Maximum", "-60")]
    assert lines("--quantity", "25", "--number", "3") == [("Units", "25")]
    assert lines("--quantity", "1", "--number", "3", "--period", "2022-04-16/2022-05-01")[-1] == (
        "Minimum commitment",
        "9",
    )


ZONES = (
    "{type: usage, calculator: {by: zone, filter: {direction: [out, 7]}, prices: "
    '{night: {model: per_unit, unit_price: "1"}, default: {model: per_unit, unit_price: "3"}}}}'
)


def test_one_price_and_one_line_for_each_value_of_a_property(prices: Prices) -> None:
    events = [
        {"at": "2022-04-02", "value": 2, "properties": {"zone": "night", "direction": "out"}},
        {"at": "2022-04-02", "value": 5, "properties": {"zone": "night", "direction": "in"}},
        {"at": "2022-04-03", "value": 1, "properties": {"zone": "day", "direction": 7}},
        {"at": "2022-04-03", "value": 1, "properties": {"direction": "out"}},
    ]
    found = prices.json(ZONES, events=events)
    assert [(line["name"], line["amount"]) for line in found["lines"]] == [
        ("zone: none", "3"),
        ("zone: day", "3"),
        ("zone: night", "2"),
    ]


def test_events_that_are_only_counted_need_no_value(prices: Prices) -> None:
    events = [{"at": 1650000000000}, {"at": "2022-04-16T08:00:00+02:00"}, {"at": "2022-05-01"}]
    alarms = '{type: event, event: alarm, vat_rate: "20", price: {model: per_unit, unit_price: "2"}}'
    assert prices.json(alarms, "--period", "2022-04-01/2022-05-01", events=events)["amount"] == "4"
    assert prices.json(alarms, "--quantity", "3")["amount"] == "6"


def test_a_set_up_fee_needs_no_period(prices: Prices) -> None:
    assert prices.json("{type: one_time, amount: 99}")["amount_rounded"] == "99.00"


def test_a_file_that_is_no_text_is_told_by_its_name(prices: Prices) -> None:
    path = prices.folder / "events.bin"
    path.write_bytes(b"\xff\xfe")
    status, _, err = prices.run(PER_UNIT, "--events", str(path))
    assert (status, "events.bin is not UTF-8" in err) == (1, True)


@pytest.mark.parametrize(
    "charge,arguments,events,status,said",
    [
        (PER_UNIT, ("--quantity", "-1"), None, 1, "negative"),
        (PER_UNIT, ("--quantity", "ten"), None, 1, "'ten'"),
        (PER_UNIT, ("--quantity", "NaN"), None, 1, "'NaN'"),
        (PER_UNIT, (), None, 1, "--quantity or --events"),
        (PER_UNIT, ("--quantity", "1", "--currency", "EURO"), None, 1, "EURO"),
        (PER_UNIT, ("--quantity", "1", "--timezone", "Mars/Base"), None, 2, "Mars/Base"),
        (PER_UNIT, ("--quantity", "1", "--period", "2022-04-01"), None, 1, "START/END"),
        (PER_UNIT, ("--quantity", "1", "--period", "2022-04-31/2022-05-01"), None, 1, "2022-04-31"),
        (PER_UNIT, ("--quantity", "1", "--period", "2022-05-01/2022-05-01"), None, 1, "empty"),
        (PER_UNIT, ("--quantity", "1"), [], 2, "exclude each other"),
        (PER_UNIT, (), "[{", 1, "not JSON"),
        (PER_UNIT, (), {"at": "2022-04-01", "value": 1}, 1, "should be a list"),
        (PER_UNIT, (), [{"value": 1}], 1, "event 1 has no at"),
        (PER_UNIT, (), [{"at": "2022-04-01"}], 1, "event 1 has no value"),
        (PER_UNIT, (), [{"at": True, "value": 1}], 1, "True is not a time"),
        (PER_UNIT, (), [{"at": "2022-04-01", "value": "x"}], 1, "value of event 1"),
        (PER_UNIT, (), '[{"at": "2022-04-01", "value": Infinity}]', 1, "Infinity"),
        (PER_UNIT, (), [{"at": "soon", "value": 1}], 1, "'soon'"),
        (PER_UNIT, (), [{"at": "2022-04-01", "amount": 1}], 1, "unknown key 'amount'"),
        (
            PER_UNIT,
            (),
            [{"at": "2022-04-01", "value": 1, "id": "a"}, {"at": "2022-04-01", "value": 2, "id": "a"}],
            1,
            "id 'a' stands twice",
        ),
        (ZONES, ("--quantity", "1"), None, 1, "broken down by zone"),
        ("{type: usage, vat_rate: 20}", ("--quantity", "1"), None, 1, "calculator"),
        ("{type: usage, unit_price: 2.5}", ("--quantity", "1"), None, 1, "YAML float"),
        ("[1]", ("--quantity", "1"), None, 1, "should be one charge"),
        ("a: [", ("--quantity", "1"), None, 1, "not YAML"),
    ],
)
def test_a_wrong_question_gets_one_sentence(
    prices: Prices, charge: str, arguments: tuple[str, ...], events: Any, status: int, said: str
) -> None:
    found, out, err = prices.run(charge, *arguments, events=events)
    assert (found, out) == (status, "")
    assert said in err
    assert "Traceback" not in err
