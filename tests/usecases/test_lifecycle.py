"""Objects from creation to termination: items, schedules, events, retained state, and what is refused."""

import json
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from fractions import Fraction

import pytest
from sqlmodel import Session, col, func, select, update

from billing import catalogue
from billing.close import close
from billing.core.errors import BillingError, Conflict, Invalid, NotFound, Refused
from billing.lifecycle import (
    Activation,
    ObjectInfo,
    activate,
    confirm,
    end_terms,
    resume,
    suspend,
    terminate,
)
from billing.registry import NewObject, create_objects
from storage import registry
from storage.database import Database
from storage.tables import (
    ConnectedObject,
    Contract,
    ContractItem,
    Invoice,
    InvoicingSchedule,
    ObjectEvent,
    Outbox,
    Suspension,
)
from tests.usecases.conftest import CATALOGUE, NOW

REF = "IOT_NS542"
CONTRACT = "IOT Fleet Contract"
PREMIUM = "Premium Fleet Subscription"
BOTH = "Fee and Usage"


def at(day: str) -> datetime:
    return datetime.fromisoformat(day).replace(hour=10, tzinfo=UTC)


def given_active(session: Session, subscription: str = PREMIUM, starts_on: date = date(2022, 4, 1)) -> None:
    new = NewObject(reference=REF, contract=CONTRACT, subscription=subscription, activate=True, starts_on=starts_on)
    [outcome] = create_objects(session, [new], "pending", NOW, "control", "r1")
    assert isinstance(outcome, ObjectInfo), outcome


def schedules(session: Session) -> Sequence[InvoicingSchedule]:
    session.expire_all()
    return session.exec(
        select(InvoicingSchedule).order_by(col(InvoicingSchedule.charge_id), col(InvoicingSchedule.starts_on))
    ).all()


def kinds(session: Session) -> list[str]:
    [row] = registry.find(session, [REF]).values()
    return [event.kind for event in registry.timeline(session, row.id)]


def revision(session: Session) -> int:
    return session.exec(select(Contract.revision)).one()


def item(session: Session) -> ContractItem:
    session.expire_all()
    return session.exec(select(ContractItem)).one()


def last_state(session: Session) -> dict[str, object]:
    row = session.exec(select(Outbox).order_by(col(Outbox.id).desc())).first()
    assert row is not None
    assert (row.topic, row.retain) == (f"devices/{REF}/state", 1)
    state: dict[str, object] = json.loads(row.payload)
    return state


def test_an_activation_gives_an_item_for_twelve_months_with_its_schedules_at_zero(session: Session) -> None:
    create_objects(session, [NewObject(reference=REF)], "draft", NOW, "cli")
    request = Activation(reference=REF, contract=CONTRACT, subscription=PREMIUM)
    [outcome] = activate(session, [request], NOW, "cli")
    assert isinstance(outcome, ObjectInfo)
    assert kinds(session) == ["created", "confirmed", "activated"]
    made = item(session)
    assert (made.name, made.starts_on, made.ends_on) == (REF, date(2022, 4, 1), date(2023, 4, 1))
    assert made.start_at == datetime(2022, 3, 31, 22, tzinfo=UTC)
    rows = schedules(session)
    assert len(rows) == 12
    zero = Fraction(0)
    assert {(row.status, row.quantity, row.amount, row.metric_id) for row in rows} == {("planned", zero, zero, 1)}
    assert rows[0].due_on == date(2022, 4, 30)
    assert [row.end_at for row in rows[:-1]] == [row.start_at for row in rows[1:]]
    assert revision(session) == 1
    assert last_state(session) == {
        "reference": REF,
        "status": "active",
        "contract_item": {
            "name": REF,
            "contract": CONTRACT,
            "subscription": PREMIUM,
            "starts_on": "2022-04-01",
            "last_day": "2023-03-31",
        },
    }
    [row] = registry.list_objects(session)
    assert (row.customer, row.contract, row.subscription) == ("FLEET", CONTRACT, PREMIUM)


def test_a_term_that_starts_inside_a_month_has_thirteen_monthly_schedules(session: Session) -> None:
    given_active(session, starts_on=date(2022, 4, 15))
    assert len(schedules(session)) == 13


def test_good_rows_are_written_and_bad_ones_are_not(session: Session) -> None:
    new = [
        NewObject(reference="A"),
        NewObject(reference="A"),
        NewObject(reference="bad/reference"),
        NewObject(reference="B", customer="NOBODY"),
        NewObject(reference="C", subscription=PREMIUM),
        NewObject(reference="D", contract=CONTRACT, activate=True),
        NewObject(
            reference="E",
            contract=CONTRACT,
            subscription=PREMIUM,
            activate=True,
            starts_on=date(2021, 12, 31),
        ),
        NewObject(reference="F", contract=CONTRACT, subscription=PREMIUM, activate=True),
    ]
    outcomes = create_objects(session, new, "pending", NOW, "import")
    expected = [ObjectInfo, Conflict, Invalid, NotFound, Invalid, Invalid, Invalid, ObjectInfo]
    assert [type(outcome) for outcome in outcomes] == expected
    assert [row.reference for row in registry.list_objects(session)] == ["A", "F"]
    assert registry.count_by_status(session) == {"active": 1, "pending": 1}


def test_ten_thousand_objects_are_created_and_activated_together(session: Session) -> None:
    new = [
        NewObject(reference=f"IOT_{n:05}", contract=CONTRACT, subscription=PREMIUM, activate=True)
        for n in range(10_000)
    ]
    outcomes = create_objects(session, new, "pending", NOW, "import")
    assert not [outcome for outcome in outcomes if isinstance(outcome, BillingError)]
    assert session.exec(select(func.count()).select_from(InvoicingSchedule)).one() == 120_000
    mismatched = (
        select(func.count())
        .select_from(InvoicingSchedule)
        .join(ContractItem, InvoicingSchedule.contract_item_id == ContractItem.id)  # type: ignore[arg-type]
        .join(ConnectedObject, ContractItem.object_id == ConnectedObject.id)  # type: ignore[arg-type]
        .where(
            (col(InvoicingSchedule.object_id) != ContractItem.object_id)
            | (col(ContractItem.name) != ConnectedObject.reference)
        )
    )
    assert session.exec(mismatched).one() == 0
    assert revision(session) == 1


def test_a_refused_command_says_what_is_allowed_and_changes_nothing(session: Session) -> None:
    given_active(session)
    events, before = kinds(session), revision(session)
    with pytest.raises(Refused) as caught:
        resume(session, REF, None, NOW, "cli")
    assert set(caught.value.allowed) == {"suspend", "change_plan", "change_price", "transfer", "no_renew", "terminate"}
    [again] = activate(session, [Activation(reference=REF)], NOW, "cli")
    assert isinstance(again, Refused)
    with pytest.raises(Invalid, match="still to come"):
        suspend(session, REF, date(2022, 4, 2), NOW, "cli")
    with pytest.raises(Invalid, match="before that"):
        terminate(session, REF, date(2022, 3, 31), NOW, "cli")
    with pytest.raises(NotFound):
        confirm(session, "NOBODY", None, NOW, "cli")
    assert (kinds(session), revision(session)) == (events, before)


def test_a_suspension_marks_what_was_charged_and_cuts_no_schedule(session: Session) -> None:
    given_active(session, BOTH)
    session.exec(
        update(InvoicingSchedule).where(col(InvoicingSchedule.starts_on) < date(2022, 6, 1)).values(status="invoiced")
    )
    suspend(session, REF, date(2022, 5, 10), at("2022-06-02"), "cli")
    marked = {(row.charge_id, row.starts_on) for row in schedules(session) if row.revalue}
    assert {day for _, day in marked} == {date(2022, 5, 1)}
    assert len(marked) == 2
    assert last_state(session)["status"] == "suspended"
    resume(session, REF, date(2022, 5, 20), at("2022-06-03"), "cli")
    [span] = session.exec(select(Suspension)).all()
    assert (span.starts_on, span.ends_on) == (date(2022, 5, 10), date(2022, 5, 20))
    suspend(session, REF, date(2022, 5, 15), at("2022-06-03"), "cli")
    session.expire_all()
    [span] = session.exec(select(Suspension)).all()
    assert (span.starts_on, span.ends_on) == (date(2022, 5, 10), None)
    assert len(schedules(session)) == 24
    assert revision(session) == 4


def test_suspending_twice_at_one_instant_keeps_both_events(session: Session) -> None:
    given_active(session)
    for _ in range(3):
        suspend(session, REF, None, NOW, "cli")
        resume(session, REF, None, NOW, "cli")
    assert kinds(session).count("suspended") == 3
    assert session.exec(select(Suspension)).all() == []


def test_a_termination_cuts_the_straddling_schedule_and_cancels_the_later_ones(session: Session) -> None:
    given_active(session, BOTH)
    session.exec(
        update(InvoicingSchedule)
        .where(col(InvoicingSchedule.charge_id) == 2, col(InvoicingSchedule.starts_on) < date(2022, 6, 1))
        .values(status="invoiced")
    )
    terminate(session, REF, date(2022, 4, 14), at("2022-04-20"), "control", "r2")
    rows = schedules(session)
    fees = [row for row in rows if row.charge_id == 2]
    usage = [row for row in rows if row.charge_id == 3]
    charged_then_not = [("invoiced", 1), ("cancelled", 1), ("cancelled", 0)]
    assert [(row.status, row.revalue) for row in fees[:3]] == charged_then_not
    assert [(row.status, row.ends_on, row.due_on) for row in usage[:1]] == [
        ("planned", date(2022, 4, 15), date(2022, 4, 14))
    ]
    assert fees[0].end_at == usage[0].end_at == datetime(2022, 4, 14, 22, tzinfo=UTC)
    assert usage[0].nominal_ends_on == date(2022, 5, 1)
    assert {row.status for row in usage[1:]} == {"cancelled"}
    ended = item(session)
    assert (ended.status, ended.ends_on) == ("terminated", date(2022, 4, 15))
    with pytest.raises(Refused):
        terminate(session, REF, None, at("2022-04-21"), "cli")


def test_terminating_on_the_last_day_of_a_period_leaves_it_whole(session: Session) -> None:
    given_active(session)
    terminate(session, REF, date(2022, 4, 30), at("2022-05-01"), "cli")
    rows = schedules(session)
    assert (rows[0].ends_on, rows[0].due_on) == (date(2022, 5, 1), date(2022, 4, 30))
    assert [row.status for row in rows] == ["planned", *["cancelled"] * 11]


def test_a_term_that_ends_returns_the_object_to_pending_and_may_follow_again(session: Session) -> None:
    given_active(session)
    suspend(session, REF, None, NOW, "cli")
    assert end_terms(session, item(session).end_at - timedelta(microseconds=1)) == []
    now = at("2023-04-02")
    [ended] = end_terms(session, now)
    assert ended.status == "pending"
    assert end_terms(session, now) == []
    assert kinds(session)[-1] == "term_ended"
    assert session.exec(select(Suspension)).one().ends_on == date(2023, 4, 1)
    [overlapping] = activate(session, [Activation(reference=REF, starts_on=date(2023, 3, 1))], now, "cli")
    assert isinstance(overlapping, Conflict)
    [again] = activate(session, [Activation(reference=REF, starts_on=date(2023, 4, 1))], now, "cli")
    assert isinstance(again, ObjectInfo)


def test_events_name_their_origin_and_request(session: Session) -> None:
    given_active(session)
    rows = session.exec(select(ObjectEvent)).all()
    assert {(row.origin, row.key, row.occurred_at) for row in rows} == {("control", "r1", NOW)}


def test_a_termination_gives_back_at_the_next_close_what_was_charged_in_advance(database: Database) -> None:
    with database.transaction() as session:
        catalogue.apply(session, catalogue.load(CATALOGUE), NOW)
        given_active(session, BOTH)
    close(database, until=date(2022, 4, 30), now=at("2022-05-01"))
    with database.transaction() as session:
        terminate(session, REF, date(2022, 5, 3), at("2022-05-03"), "cli")
    close(database, until=date(2022, 5, 31), now=at("2022-06-01"))
    with database.snapshot() as session:
        rows = session.exec(select(Invoice).order_by(col(Invoice.id))).all()
        charged = [(row.kind, row.net_minor) for row in rows]
    # April's fee and May's in advance; then 3 of May's 31 days are kept, and May's flat usage is due: 500 - 48 - 100.
    assert charged == [("invoice", 1100), ("credit_note", 352)]
