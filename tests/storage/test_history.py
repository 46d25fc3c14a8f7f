"""What is over is forgotten after a while; what waits is kept, however old it is."""

from datetime import UTC, date, datetime, timedelta

from sqlmodel import Session, SQLModel, func, select

from storage import history, outbox
from storage.database import Database
from storage.tables import CloseRun, ConnectedObject, ControlRequest, DeviceCommand, Outbox, Webhook, WebhookDelivery

NOON = datetime(2022, 4, 14, 12, tzinfo=UTC)
DAY = timedelta(days=1)


def rows(session: Session, table: type[SQLModel]) -> int:
    return session.exec(select(func.count()).select_from(table)).one()


def write(session: Session, at: datetime, *, over: bool) -> None:
    """One row of each kind, as old as `at`."""
    outbox.put(session, "t", {"a": 1}, now=at)
    message = session.exec(select(Outbox).order_by(Outbox.id.desc())).first()  # type: ignore[union-attr] # its own id
    assert message is not None
    if over:
        outbox.mark_sent(session, [message.id or 0], now=at)
        session.add(
            ControlRequest(
                object_reference=f"{at}", command="c", request_id="r", body_hash="", reply={}, recorded_at=at
            )
        )
    session.add(
        WebhookDelivery(
            webhook_id=1,
            message_id="m",
            event="e",
            payload="{}",
            status="delivered" if over else "waiting",
            created_at=at,
            next_at=at,
        )
    )
    session.add(
        DeviceCommand(
            object_id=1,
            request_id=f"{at}{over}",
            name="n",
            status="acknowledged" if over else "sent",
            origin="o",
            requested_at=at,
            expires_at=at,
            waits_until=None if over else at,
        )
    )
    status = "done" if over else "running"
    session.add(CloseRun(until=date(2022, 3, 31), asked_by="a", status=status, started_at=at, heard_at=at))
    session.flush()


def test_what_is_over_is_forgotten_and_what_waits_is_not(database: Database) -> None:
    with database.transaction() as session:
        session.add(Webhook(id=1, url="https://example.com", events=[], secret="s", created_at=NOON))
        session.add(ConnectedObject(id=1, reference="A", status="active", created_at=NOON))
        session.flush()
        write(session, NOON, over=True)
        write(session, NOON + 2 * DAY, over=True)
        write(session, NOON, over=False)
    with database.transaction() as session:
        assert history.tidy(session, before=NOON + DAY) == 5
        assert history.tidy(session, before=NOON + DAY) == 0
    with database.snapshot() as session:
        assert rows(session, ControlRequest) == 1
        assert {rows(session, table) for table in (Outbox, WebhookDelivery, DeviceCommand, CloseRun)} == {2}
