"""Charges on events through the whole close: what is on the timeline is counted, once, also when it comes late."""

from datetime import UTC, date, datetime

from sqlalchemy import text

from billing.lifecycle import resume, suspend
from billing.verify import differences, verify
from storage import registry
from storage.database import Database
from tests.closing.fleet import Fleet

PAUSES = {
    "name": "Pauses",
    "type": "event",
    "event": "suspended",
    "vat_rate": "20",
    "price": {"model": "graduated", "tiers": [{"up_to": 1, "unit_price": "0"}, {"up_to": None, "unit_price": "3"}]},
}
APRIL, MAY, JUNE = date(2022, 4, 30), date(2022, 5, 31), date(2022, 6, 30)


def charged(fleet: Fleet, until: date) -> list[tuple[str, str, str, int]]:
    return [
        (line.component, str(line.quantity), line.unit, line.net_minor)
        for invoice in fleet.close(until).invoices
        for line in invoice.lines
    ]


def in_books(database: Database) -> bool:
    with database.snapshot() as session:
        return differences(verify(session)) == []


def test_suspensions_are_counted_in_the_period_they_occurred_in(database: Database) -> None:
    fleet = Fleet(database, charges=[PAUSES])
    fleet.activate("IOT_1")
    fleet.activate("IOT_2")
    for day in (10, 12, 14):
        at = datetime(2022, 4, day, 10, tzinfo=UTC)
        with database.transaction() as session:
            suspend(session, "IOT_1", None, at, "cli")
            resume(session, "IOT_1", None, at.replace(hour=12), "cli")
    assert charged(fleet, APRIL) == [("Tier 2", "2", "event", 600)]
    assert charged(fleet, MAY) == []
    assert in_books(database)


def test_an_event_that_comes_late_is_on_the_next_invoice(database: Database) -> None:
    fleet = Fleet(database, charges=[{**PAUSES, "event": "alarm", "price": {"model": "per_unit", "unit_price": "2"}}])
    fleet.activate("IOT_1")

    def alarm(at: str, recorded_at: str) -> None:
        event = {
            "object_id": fleet.ids["IOT_1"],
            "kind": "alarm",
            "occurred_at": datetime.fromisoformat(at),
            "recorded_at": datetime.fromisoformat(recorded_at),
            "key": "",
            "origin": "mqtt",
            "detail": {},
        }
        with database.transaction() as session:
            registry.add_events(session, [event])

    # The last second of April in Paris, the first of May.
    alarm("2022-04-30T21:59:59Z", "2022-04-30T22:00:00Z")
    alarm("2022-04-30T22:00:00Z", "2022-04-30T22:00:01Z")
    assert charged(fleet, APRIL) == [("Units", "1", "event", 200)]
    alarm("2022-04-20T10:00:00Z", "2022-05-03T10:00:00Z")
    # April's late one, and May's.
    assert charged(fleet, MAY) == [("Units", "1", "event", 200), ("Units", "1", "event", 200)]
    assert charged(fleet, JUNE) == []
    assert in_books(database)


def test_an_event_that_was_taken_away_by_hand_is_found(database: Database) -> None:
    fleet = Fleet(database, charges=[{**PAUSES, "price": {"model": "per_unit", "unit_price": "3"}}])
    fleet.activate("IOT_1")
    with database.transaction() as session:
        suspend(session, "IOT_1", None, datetime(2022, 4, 10, 10, tzinfo=UTC), "cli")
    assert charged(fleet, APRIL) == [("Units", "1", "event", 300)]
    with database.transaction() as session:
        session.connection().execute(text("DELETE FROM object_event"))
        assert "events" in {finding.check for finding in verify(session)}
