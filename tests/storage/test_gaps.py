"""A session that stood once and does not stand any more is a gap."""

from datetime import UTC, datetime, timedelta

from config.clock import VirtualClock
from gateway.sessions import SessionKeeper
from storage import gaps
from storage.database import Database

NOON = datetime(2022, 4, 14, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


def note(
    database: Database,
    *,
    at: datetime,
    session_present: bool,
    broker: str = "mqtt.example:1883",
    caught_up: bool = True,
) -> None:
    with database.transaction() as session:
        gaps.note_session(
            session, client_id="metergate", broker=broker, session_present=session_present, caught_up=caught_up, at=at
        )


def recorded(database: Database) -> list[tuple[datetime, datetime, str]]:
    with database.snapshot() as session:
        assert gaps.count(session) == len(gaps.listed(session))
        found = [each.gap for each in gaps.listed(session)]
        return [(gap.starts_at, gap.ends_at, gap.reason) for gap in found if gap.ends_at is not None]


def test_the_first_session_at_a_broker_is_no_gap(database: Database) -> None:
    note(database, at=NOON, session_present=False)
    note(database, at=NOON, session_present=False, broker="another.example:1883")
    assert recorded(database) == []


def test_a_kept_session_is_no_gap_however_long_the_gateway_was_away(database: Database) -> None:
    note(database, at=NOON, session_present=False)
    note(database, at=NOON + 48 * HOUR, session_present=True)
    assert recorded(database) == []


def test_a_lost_session_is_a_gap_from_when_it_was_last_known_to_stand(database: Database) -> None:
    note(database, at=NOON, session_present=False)
    note(database, at=NOON + HOUR, session_present=True)
    note(database, at=NOON + 3 * HOUR, session_present=False)
    note(database, at=NOON + 4 * HOUR, session_present=False)
    assert recorded(database) == [
        (NOON + 3 * HOUR, NOON + 4 * HOUR, "session_lost"),
        (NOON + HOUR, NOON + 3 * HOUR, "session_lost"),
    ]


def test_a_gap_under_a_clock_that_went_back_has_no_length(database: Database) -> None:
    note(database, at=NOON, session_present=False)
    note(database, at=NOON - HOUR, session_present=False)
    assert recorded(database) == [(NOON - HOUR, NOON - HOUR, "session_lost")]


def test_a_gap_begins_where_all_was_stored_for_the_last_time(database: Database) -> None:
    note(database, at=NOON, session_present=False)
    note(database, at=NOON + HOUR, session_present=True)
    note(database, at=NOON + 2 * HOUR, session_present=True, caught_up=False)
    note(database, at=NOON + 3 * HOUR, session_present=False)
    assert recorded(database) == [(NOON + HOUR, NOON + 3 * HOUR, "session_lost")]


def test_more_messages_dropped_than_before_are_a_gap_since_all_was_stored(database: Database) -> None:
    note(database, at=NOON, session_present=False)
    for hours, dropped in ((0, 5), (2, 5), (3, 9), (4, 0), (5, 2)):
        with database.transaction() as session:
            gap = gaps.note_drops(
                session, client_id="metergate", broker="mqtt.example:1883", dropped=dropped, at=NOON + hours * HOUR
            )
            lost = None if gap is None else gap.lost
        assert lost == {3: 4, 5: 2}.get(hours), hours
        note(database, at=NOON + hours * HOUR + HOUR / 2, session_present=True)
    held = timedelta(minutes=30) - timedelta(seconds=15)
    assert recorded(database) == [
        (NOON + 4 * HOUR + held, NOON + 5 * HOUR, "broker_drops"),
        (NOON + 2 * HOUR + held, NOON + 3 * HOUR, "broker_drops"),
    ]


def test_drops_are_counted_though_the_broker_began_anew_before_they_could_be_noted(database: Database) -> None:
    who = {"client_id": "metergate", "broker": "b:1883"}
    with database.transaction() as session:
        gaps.note_drops(session, **who, dropped=5, at=NOON)
    keeper = SessionKeeper(database, VirtualClock(NOON), **who, caught_up=lambda: True)
    for dropped in (6, 7, 0):
        keeper.on_drops(dropped, NOON)
    keeper.start()
    keeper.stop(10)
    with database.snapshot() as session:
        assert [it.gap.lost for it in gaps.listed(session)] == [2]
