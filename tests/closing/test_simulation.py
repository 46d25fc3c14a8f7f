"""Random histories with crashes, judged by an auditor that shares no code with the engine."""

from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import replace
from datetime import UTC, datetime, time
from decimal import Decimal

import pytest
from click.testing import CliRunner

from gateway.cli.main import cli
from gateway.simulation.history import history
from gateway.simulation.judge import Workshop, compare, judge_on, workshop
from gateway.simulation.player import MortalDatabase, Player
from gateway.simulation.story import History, Message
from storage.database import Database

SEEDS_TOGETHER = 10
HISTORIES = 40
"""Enough that each kind of thing happens in one of them."""
JUDGED_SEED = 25
"""A seed with a fee, calls, other offers and coupons, all of which were charged."""


@pytest.fixture(scope="module")
def place() -> Iterator[Workshop]:
    with workshop() as made:
        yield made


@pytest.mark.parametrize("first", range(0, 200, SEEDS_TOGETHER))
def test_what_is_charged_is_what_the_auditor_says_is_owed(place: Workshop, first: int) -> None:
    verdicts = [place.judge(seed) for seed in range(first, first + SEEDS_TOGETHER)]
    assert [(verdict.seed, verdict.differences) for verdict in verdicts if verdict.differences] == []
    # A simulation in which nothing happens proves nothing.
    assert sum(verdict.invoices for verdict in verdicts) > SEEDS_TOGETHER
    assert sum(verdict.deaths for verdict in verdicts) > SEEDS_TOGETHER


@pytest.mark.parametrize("seed", [1, 4, 9])
def test_on_postgresql_too(postgres_url: str, seed: int) -> None:
    assert judge_on(history(seed), MortalDatabase(postgres_url)).differences == ()


def test_the_same_seed_is_the_same_history() -> None:
    assert history(7) == history(7)
    assert history(7) != history(8)


def test_among_the_seeds_plans_change_in_any_order_with_suspensions() -> None:
    devices = [device for seed in range(HISTORIES) for device in history(seed).devices]
    assert sum(len(device.changes) for device in devices) > HISTORIES
    assert any(device.changes and device.suspended for device in devices)


def with_other_fees(story: History) -> History:
    """The same history, as an auditor would tell it whose price list is a cent dearer."""
    catalogue = deepcopy(dict(story.catalogue))
    for plan in catalogue["plans"]:
        for charge in plan["charges"]:
            if charge["type"] == "recurring":
                charge["amount"] = str(Decimal(charge["amount"]) + Decimal("0.01"))
    return replace(story, catalogue=catalogue)


def with_a_message_more(story: History) -> History:
    """The same history with one message more, in the middle of each object's service."""
    devices = []
    for device in story.devices:
        noon = datetime.combine(device.starts_on + (device.ends_on - device.starts_on) / 2, time(12), UTC)
        more = Message(
            reference=device.reference,
            metric="used",
            value=Decimal("0.001"),
            measured_at=min(noon, datetime(2024, 3, 10, 12, tzinfo=UTC)),
            sender_id="more",
            says_time=True,
            deliveries=(),
        )
        devices.append(replace(device, messages=(*device.messages, more)))
    return replace(story, devices=tuple(devices))


def test_among_the_seeds_is_every_kind_of_charge_and_of_change() -> None:
    stories = [history(seed) for seed in range(HISTORIES)]
    plans = [plan for story in stories for plan in story.catalogue["plans"]]
    assert {charge["name"] for plan in plans for charge in plan["charges"]} >= {
        *("Zones", "Nights", "Payments", "Fleet", "Fleet payments", "Early", "Platform"),
        *("Steps", "Rent", "Events", "Levels", "Set-up"),
    }
    rhythms = {charge.get("every") for plan in plans for charge in plan["charges"]}
    assert rhythms >= {"week", "month", "quarter", "semester", "year"}
    currencies = {customer["currency"] for story in stories for customer in story.catalogue["customers"]}
    assert currencies == {"EUR", "JPY", "KWD"}
    assert any(contract["coupons"] for story in stories for contract in story.catalogue["contracts"])
    commands = {command.command for story in stories for device in story.devices for command in device.commands}
    assert commands >= {"change_plan", "suspend", "terminate", "reverse", "exchange", "transfer", "no_renew"}
    devices = [device for story in stories for device in story.devices]
    assert any(device.terms for device in devices)
    assert any(device.fees_until for device in devices)
    told = [it for story in stories for it in story.repricings]
    assert any(it.on < it.at.date() for it in told)
    assert any(it.on > it.at.date() for it in told)


def with_calls_of_another_price(story: History) -> History:
    """The same history, as if what is on calls cost more: pools, breakdowns, percentages."""
    catalogue = deepcopy(dict(story.catalogue))
    for plan in catalogue["plans"]:
        for charge in plan["charges"]:
            price = charge.get("calculator", {}).get("price", {})
            if charge["name"] in {"Fleet", "Payments"}:
                price.update({key: "7" for key in ("unit_price", "rate") if key in price}, maximum="1000")
    return replace(story, catalogue=catalogue)


def with_other_offers(story: History) -> History:
    """The same history, as if each charge that was offered besides were three times as dear."""
    catalogue = deepcopy(dict(story.catalogue))
    for plan in catalogue["plans"]:
        for charge in plan["charges"]:
            if charge["name"] in {"Steps", "Levels", "Events"}:
                charge["multiplier"] = "3"
    return replace(story, catalogue=catalogue)


def without_what_was_told_later(story: History) -> History:
    """The same history, as if no price had changed, no object been transferred, and no end cost a fee."""
    devices = tuple(replace(device, changes=(), fees_until=None) for device in story.devices)
    return replace(story, devices=devices)


def with_a_larger_coupon(story: History) -> History:
    """The same history, as if a coupon had been of another amount."""
    catalogue = deepcopy(dict(story.catalogue))
    for contract in catalogue["contracts"]:
        for coupon in contract["coupons"]:
            coupon["amount"] = str(Decimal(coupon["amount"]) + 1)
    return replace(story, catalogue=catalogue)


@pytest.mark.parametrize(
    "falsify",
    [
        with_other_fees,
        with_a_message_more,
        with_calls_of_another_price,
        with_other_offers,
        without_what_was_told_later,
        with_a_larger_coupon,
    ],
)
def test_the_judge_tells_a_false_story_from_the_true_one(
    sqlite_database: Database, sqlite_url: str, falsify: Callable[[History], History]
) -> None:
    story = history(JUDGED_SEED)
    played = Player(story, MortalDatabase(sqlite_url), deaths=0).play()
    with sqlite_database.snapshot() as session:
        assert list(compare(story, played, session)) == []
        assert list(compare(falsify(story), played, session)) != []


def test_the_command_prints_the_seed_and_agrees() -> None:
    result = CliRunner().invoke(cli, ["simulate", "--seed", "3", "--runs", "2"])
    assert result.exit_code == 0, result.output
    assert "seed 3 agrees" in result.output
    assert "seed 4 agrees" in result.output
