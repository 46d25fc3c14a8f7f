"""The catalogue file: every error at once with its place, and an application that changes nothing twice."""

from datetime import UTC, date, datetime

import pytest
from sqlmodel import Session, select

from billing import catalogue
from billing.lifecycle import Activation, activate
from billing.registry import NewObject, create_objects
from storage.tables import Contract, PlanVersion, Subscription
from tests.usecases.conftest import CATALOGUE, NOW


def problems(text: str) -> dict[str, tuple[int, str]]:
    with pytest.raises(catalogue.CatalogueInvalid) as caught:
        catalogue.load(text, "file.yaml")
    return {problem.place: (problem.line, problem.message) for problem in caught.value.errors}


def test_applying_twice_changes_nothing(session: Session) -> None:
    changes = catalogue.apply(session, catalogue.load(CATALOGUE, "file.yaml"), NOW)
    assert {change.kind for change in changes} == {"unchanged"}
    assert {change.noun for change in changes} == {
        "seller",
        "metric",
        "customer",
        "plan",
        "contract",
        "subscription",
    }


def test_every_error_is_told_with_its_place_and_line() -> None:
    found = problems(
        """seller: {name: S, country: FR, currency: EURO, timezone: Europe/Nowhere}
metrics:
  - {name: usage, unit: unit, kind: delta}
  - {name: usage, unit: unit, kind: odd}
plans:
  - name: P
    charges:
      - {name: A, type: usage, vat_rate: "20", calculator: {metric: usage, price: {model: flat, amount: "1"}}}
      - name: B
        type: recurring
        amount: 2.50
        vat_rate: "20"
        colour: red
      - {name: C, type: recurring, amount: -1, vat_rate: "20"}
      - {name: D, type: gift, vat_rate: "20"}
      - {name: E, type: recurring, vat_rate: "20", name: F}
"""
    )
    assert found["plans[0].charges[1].amount"][0] == 11
    assert 'write it in quotes: "2.50"' in found["plans[0].charges[1].amount"][1]
    assert found["plans[0].charges[1].colour"][0] == 13
    assert found["plans[0].charges[2].amount"][0] == 14
    assert "'gift' is not known" in found["plans[0].charges[3]"][1]
    assert "twice" in found["plans[0].charges[4].name"][1]
    assert found["plans[0].charges[4].amount"] == (16, "this key is required; add it")
    assert found["metrics[1].kind"][0] == 4
    assert "declared twice" in found["metrics[1].name"][1]
    assert "EURO" in found["seller.currency"][1]
    assert "Europe/Nowhere" in found["seller.timezone"][1]
    assert len(found) == 10


@pytest.mark.parametrize(
    "text",
    ["a: [", "- 1", "seller: *x", "[" * 2000, "a: &a [1]\nb: [*a, *a]", "\x00", "metrics: 7", "? {a: 1}\n: 2"],
)
def test_what_is_no_catalogue_is_refused_with_a_sentence(text: str) -> None:
    assert problems(text)


def test_what_yaml_would_change_silently_is_refused_or_kept() -> None:
    assert (
        "not a plain integer"
        in problems("metrics: [{name: m, unit: u, kind: delta, decimals: 010}]")["metrics[0].decimals"][1]
    )
    loaded = catalogue.load("customers: [{reference: N, name: Oslo, country: NO}]", "file.yaml")
    assert loaded.content.customers[0].country == "NO"


def test_tiers_rise_and_end_open() -> None:
    text = """
metrics: [{name: m, unit: u, kind: delta}]
plans:
  - name: P
    charges:
      - name: A
        type: usage
        vat_rate: "20"
        calculator: {metric: m, price: {model: graduated, tiers: [{up_to: 10}, {up_to: 5}, {up_to: null}]}}
"""
    assert "above the one before" in problems(text)["plans[0].charges[0].calculator.price"][1]


def test_a_plan_whose_charges_changed_gets_a_version_and_subscriptions_keep_theirs(session: Session) -> None:
    changed = CATALOGUE.replace('"2.50"', '"3"') + "  - {name: Second, customer: FLEET, starts_on: 2022-01-01, "
    changed += "subscriptions: [Premium Fleet Subscription]}\n"
    changes = catalogue.apply(session, catalogue.load(changed, "file.yaml"), NOW)
    assert [(c.kind, c.name, c.detail) for c in changes if c.noun == "plan"] == [
        ("changed", "Premium Fleet Subscription", "version 2"),
        ("unchanged", "Fee and Usage", ""),
    ]
    query = (
        select(Contract.name, PlanVersion.version)
        .join(Subscription, Subscription.contract_id == Contract.id)  # type: ignore[arg-type]
        .join(PlanVersion, Subscription.plan_version_id == PlanVersion.id)  # type: ignore[arg-type]
        .where(Subscription.name == "Premium Fleet Subscription")
    )
    assert dict(session.exec(query).all()) == {"IOT Fleet Contract": 1, "Second": 2}


def test_amounts_that_are_equal_are_no_change(session: Session) -> None:
    changes = catalogue.apply(session, catalogue.load(CATALOGUE.replace('"2.50"', '"2.5"'), ""), NOW)
    assert {change.kind for change in changes} == {"unchanged"}


def test_names_that_are_declared_nowhere_are_told_together(session: Session) -> None:
    text = """
plans:
  - name: P
    charges: [{name: A, type: usage, vat_rate: 20, calculator: {metric: no, price: {model: flat, amount: 1}}}]
contracts:
  - {name: C, customer: NOBODY, starts_on: 2022-01-01}
  - {name: D, customer: FLEET, starts_on: 2022-01-01, subscriptions: [P, Nothing]}
"""
    with pytest.raises(catalogue.CatalogueInvalid) as caught:
        catalogue.apply(session, catalogue.load(text, "file.yaml"), NOW)
    assert [problem.place for problem in caught.value.errors] == [
        "plans[0].charges[0].calculator.metric",
        "contracts[0].customer",
        "contracts[1].subscriptions[1]",
    ]


@pytest.mark.parametrize("price", ["percentage, rate: 1, free_events: 2", "flat, amount: 1"])
def test_the_readings_of_a_register_are_not_measured_one_by_one(session: Session, price: str) -> None:
    recurring = "flat" in price
    text = (
        "metrics: [{name: energy, unit: kWh, kind: cumulative}]\n"
        "plans: [{name: P, charges: [{name: A, vat_rate: 20, type: usage, calculator: "
        f"{{metric: energy, recurring: {str(recurring).lower()}, price: {{model: {price}}}}}}}]}}]"
    )
    with pytest.raises(catalogue.CatalogueInvalid, match="energy is a register"):
        catalogue.apply(session, catalogue.load(text, "file.yaml"), NOW)


def test_a_contract_with_objects_keeps_what_was_agreed(session: Session) -> None:
    create_objects(session, [NewObject(reference="A", contract="IOT Fleet Contract")], "draft", NOW, "cli")
    request = Activation(reference="A", subscription="Fee and Usage", starts_on=date(2022, 4, 1))
    activate(session, [request], datetime(2022, 4, 1, tzinfo=UTC), "cli")
    with pytest.raises(catalogue.CatalogueInvalid, match="declare another contract"):
        catalogue.apply(session, catalogue.load(CATALOGUE.replace("2022-01-01", "2022-02-01"), ""), NOW)
    regrouped = CATALOGUE.replace("[subscription, charge]", "[object]")
    changes = catalogue.apply(session, catalogue.load(regrouped, ""), NOW)
    assert [c.detail for c in changes if c.kind == "changed"] == ["grouping"]
