"""Thresholds beside changes of mind and drafts: whoever changes what, the total is that of a quiet contract."""

import random
from datetime import UTC, date, datetime, timedelta

import pytest

from billing.approving import approve
from billing.core.errors import BillingError, Refused
from billing.thresholds import bill_thresholds
from storage.database import Database
from storage.invoices import list_invoices
from tests.usecases.changing import World, contract, fee, noon, plans
from tests.usecases.test_thresholds import GRADUATED, UNIT, charge

NEVER = "1000000"
QUIET = {"C": "D", "E": "F", "A": "QUIET_A", "B": "QUIET_B"}
"""The contract and the plan that are the same without thresholds."""
NAMES = ("X", "Y")


def totals(database: Database) -> dict[str, int]:
    found = dict.fromkeys("CDEF", 0)
    with database.snapshot() as session:
        for it in list_invoices(session):
            found[it.contract] += it.net_minor if it.kind == "invoice" else -it.net_minor
    return found


def told(here: World, command: str, today: date, reference: str, **values: object) -> bool:
    try:
        here.do(command, today, reference, **values)
    except BillingError:
        return False
    return True


def change_one_mind(here: World, chance: random.Random, day: date) -> bool:
    """A change on one object and on its quiet twin, which both or none of them allow."""
    name = chance.choice(NAMES)
    command = chance.choice(["suspend", "resume", "change_plan", "transfer", "suspend", "resume"])
    values: dict[str, object] = {"on": day - timedelta(days=chance.choice([0, 0, 1, 5, 20]))}
    if command in {"change_plan", "transfer"}:
        values["subscription"] = chance.choice("AB")
    if command == "transfer":
        values["contract"] = chance.choice("CE")
    quiet = {key: QUIET.get(str(value), value) for key, value in values.items()}
    done = told(here, command, day, name, **values)
    assert done == told(here, command, day, f"{name}_QUIET", **quiet)
    return done


@pytest.mark.parametrize(
    "seed,price,more",
    [
        (1, UNIT, ""),
        (2, GRADUATED, ', maximum: "90.5", minimum: "30.25"'),
        (3, UNIT, ", scope: contract"),
        (4, GRADUATED, ", scope: subscription, multiplier: 2"),
        (5, UNIT, ", usage_while_suspended: ignore"),
    ],
)
def test_suspensions_terminations_and_changes_leave_the_total_of_a_quiet_contract(
    sqlite_database: Database, seed: int, price: str, more: str
) -> None:
    chance, database = random.Random(seed), sqlite_database  # noqa: S311 - a seed that is printed is the point
    text = plans(
        A=[charge(price, more, "5"), fee("30")],
        B=[charge(UNIT, more, "5"), fee("12")],
        QUIET_A=[charge(price, more, NEVER), fee("30")],
        QUIET_B=[charge(UNIT, more, NEVER), fee("12")],
    )
    contracts = contract("C", "A", "B") + contract("E", "A", "B")
    contracts += contract("D", "QUIET_A", "QUIET_B") + contract("F", "QUIET_A", "QUIET_B")
    here = World(database, text + "contracts:\n" + contracts)
    for name in NAMES:
        here.active("A", date(2022, 4, 1), name)
        here.active("QUIET_A", date(2022, 4, 1), f"{name}_QUIET", contract="D")
    looks = did = 0
    for day in (date(2022, 4, 2) + timedelta(days=ahead) for ahead in range(45)):
        at = datetime(day.year, day.month, day.day, 10, tzinfo=UTC)
        for name in NAMES:
            if chance.random() < 0.5:
                quantity, used_at = chance.randrange(1, 12), at - timedelta(hours=chance.randrange(48), seconds=day.day)
                for each in (name, f"{name}_QUIET"):
                    here.uses(quantity, used_at.isoformat(), each)
        if chance.random() < 0.2:
            did += change_one_mind(here, chance, day)
        if chance.random() < 0.6:
            report = bill_thresholds(database, at + timedelta(hours=2))
            assert report.failures == ()
            looks += len(report.invoices)
        if day == date(2022, 5, 10):
            here.do("terminate", day, "X", on=date(2022, 5, 3))
            here.do("terminate", day, "X_QUIET", on=date(2022, 5, 3))
        if day == date(2022, 4, 30):
            here.close(day)
    here.close(date(2022, 5, 31))
    assert looks
    assert did
    found = totals(database)
    assert (found["C"], found["E"]) == (found["D"], found["F"])


def test_a_contract_that_begins_to_ask_for_approval_has_the_rest_on_a_draft(database: Database) -> None:
    text = plans(A=[charge()]) + "contracts:\n"
    here = World(database, text + contract("C", "A"))
    here.active("A", date(2022, 4, 1))
    here.uses(40, "2022-04-10T10:00:00+00:00")
    (early,) = bill_thresholds(database, noon(date(2022, 4, 11))).invoices
    here.apply(text + contract("C", "A", more=", approval: required"))
    here.uses(40, "2022-04-12T10:00:00+00:00")
    assert bill_thresholds(database, noon(date(2022, 4, 13))).invoices == ()
    (draft,) = here.close(date(2022, 4, 30)).drafts
    # 80 units are 26.64, and 13.32 was invoiced.
    assert (early.net_minor, draft.net_minor, draft.status) == (1332, 1332, "draft")
    with database.transaction() as session:
        assert approve(session, draft.number, noon(date(2022, 5, 2))) == ("INV/2022/04/0002",)
    here.verified()
    assert here.bills(date(2022, 5, 31)) == []


def test_a_draft_that_waits_while_a_threshold_is_invoiced_is_made_anew(database: Database) -> None:
    text = plans(A=[charge()]) + "contracts:\n"
    here = World(database, text + contract("C", "A", more=", approval: required"))
    here.active("A", date(2022, 4, 1))
    here.uses(40, "2022-04-10T10:00:00+00:00")
    (draft,) = here.close(date(2022, 4, 30)).drafts
    here.apply(text + contract("C", "A"))
    here.uses(60, "2022-05-02T10:00:00+00:00")
    (early,) = bill_thresholds(database, noon(date(2022, 5, 3))).invoices
    assert (early.number, early.net_minor) == ("INV/2022/05/0001", 1998)
    with database.transaction() as session, pytest.raises(Refused, match="close again"):
        approve(session, draft.number, noon(date(2022, 5, 3)))
    assert here.bills(date(2022, 4, 30)) == [("INV/2022/04/0001", "A/Units", "2022-04-01", 1332)]
    assert here.bills(date(2022, 5, 31)) == []
