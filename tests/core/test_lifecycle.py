"""Every pair of the state machines, and what is measured of each kind of metric."""

from fractions import Fraction
from itertools import product

import pytest

from billing.core.errors import Invalid, Refused
from billing.core.lifecycle import (
    SCHEDULE_TRANSITIONS,
    TERM_END_TRANSITIONS,
    TRANSITIONS,
    ObjectStatus,
    ScheduleStatus,
    allowed_commands,
    check_reference,
    next_schedule_status,
    next_status,
)
from billing.core.usage import AGGREGATIONS_BY_KIND, Aggregation, MetricKind, UsageTotals, measure

COMMANDS = (
    "confirm",
    "activate",
    "suspend",
    "resume",
    "change_plan",
    "change_price",
    "transfer",
    "no_renew",
    "terminate",
)
STEPS = ("value", "invoice", "settle", "cancel", "plan", "revalue")
EXPECTED = {
    "draft": {"confirm": "pending", "activate": "active", "terminate": "terminated"},
    "pending": {"activate": "active", "terminate": "terminated"},
    "active": {
        "suspend": "suspended",
        "change_plan": "active",
        "change_price": "active",
        "transfer": "active",
        "no_renew": "active",
        "terminate": "terminated",
    },
    "suspended": {
        "resume": "active",
        "change_plan": "suspended",
        "change_price": "suspended",
        "transfer": "suspended",
        "no_renew": "suspended",
        "terminate": "terminated",
    },
    "terminated": {},
}


@pytest.mark.parametrize("status,command", list(product(ObjectStatus, (*COMMANDS, "fly"))))
def test_every_command_in_every_status(status: ObjectStatus, command: str) -> None:
    expected = EXPECTED[status]
    if command in expected:
        assert next_status(status, command) == expected[command]
        return
    with pytest.raises(Refused) as refusal:
        next_status(status, command)
    assert refusal.value.allowed == tuple(expected) == allowed_commands(status)
    assert command in refusal.value.message
    assert status in refusal.value.message


def test_the_tables_know_no_other_command() -> None:
    assert {command for _, command in TRANSITIONS} == set(COMMANDS)
    assert {step for _, step in SCHEDULE_TRANSITIONS} == set(STEPS)
    assert set(TERM_END_TRANSITIONS.values()) == {ObjectStatus.PENDING}


@pytest.mark.parametrize("status,step", list(product(ScheduleStatus, STEPS)))
def test_every_step_of_a_schedule(status: ScheduleStatus, step: str) -> None:
    expected = {
        "planned": {"value": "valued", "invoice": "invoiced", "settle": "settled", "cancel": "cancelled"},
        "valued": {"value": "valued", "invoice": "invoiced", "settle": "settled", "cancel": "cancelled"},
        "invoiced": {"invoice": "invoiced", "settle": "settled", "cancel": "cancelled"},
        "settled": {"invoice": "invoiced", "settle": "settled", "cancel": "cancelled"},
        "cancelled": {"invoice": "cancelled", "settle": "cancelled", "plan": "planned", "revalue": "settled"},
    }[status]
    if step in expected:
        assert next_schedule_status(status, step) == expected[step]
        return
    with pytest.raises(Refused) as refusal:
        next_schedule_status(status, step)
    assert refusal.value.allowed == tuple(expected)


@pytest.mark.parametrize("reference", ["IOT_NS542", "a", "x" * 128, "salon:lampe 1", "Zähler-7"])
def test_a_reference_that_is_a_topic_level_is_taken(reference: str) -> None:
    assert check_reference(reference) == reference


@pytest.mark.parametrize("reference", ["", "x" * 129, "a/b", "a+", "#", "$SYS", " a", "a ", "a\nb", "a\x00"])
def test_a_reference_that_is_no_topic_level_is_refused(reference: str) -> None:
    with pytest.raises(Invalid):
        check_reference(reference)


TOTALS = UsageTotals(count=3, sum=60, max=30, latest=10)


def measured(aggregation: Aggregation, kind: MetricKind, totals: UsageTotals, *ends: int | None) -> Fraction:
    opening, closing = ends or (None, None)
    return measure(
        aggregation=aggregation, metric_kind=kind, decimals=1, totals=totals, opening=opening, closing=closing
    ).quantity


@pytest.mark.parametrize(
    "aggregation,kind,quantity",
    [
        ("sum", "delta", 6),
        ("count", "delta", 3),
        ("max", "gauge", 3),
        ("latest", "gauge", 1),
        ("mean", "gauge", 2),
        ("count", "state", 3),
    ],
)
def test_what_is_measured(aggregation: Aggregation, kind: MetricKind, quantity: int) -> None:
    assert measured(aggregation, kind, TOTALS) == quantity
    assert measured(aggregation, kind, UsageTotals()) == 0


@pytest.mark.parametrize(
    "opening,closing,quantity", [(1000, 1250, "25"), (1000, 1000, "0"), (1000, 900, "0"), (None, 900, "0")]
)
def test_a_register_bills_its_rise_and_never_its_baseline_or_a_drop(
    opening: int | None, closing: int, quantity: str
) -> None:
    assert measured("sum", "cumulative", TOTALS, opening, closing) == Fraction(quantity)


@pytest.mark.parametrize("kind", list(AGGREGATIONS_BY_KIND))
def test_what_a_kind_does_not_have_is_refused_with_what_it_has(kind: MetricKind) -> None:
    aggregations: tuple[Aggregation, ...] = ("sum", "count", "max", "latest")
    for aggregation in aggregations:
        if aggregation not in AGGREGATIONS_BY_KIND[kind]:
            with pytest.raises(Invalid) as refusal:
                measured(aggregation, kind, TOTALS)
            assert refusal.value.allowed == AGGREGATIONS_BY_KIND[kind]
