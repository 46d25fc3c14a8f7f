"""A small house to look at: two customers, a fleet, usage, two closed months, refused messages.

It is made by the use cases, once; each module works on a copy.
"""

import json
from datetime import UTC, date, datetime, timedelta
from typing import Any

from billing import catalogue, close, registry
from billing.core.errors import BillingError
from config.settings import Settings
from gateway.demo_data import CATALOGUE
from gateway.ingest import ingest_batch
from gateway.message import Message, Rules
from storage.database import Database

MARCH = datetime(2022, 3, 31, 12, tzinfo=UTC)
JUNE = datetime(2022, 6, 1, 6, tzinfo=UTC)
TRACKERS = 60
FLEET: dict[str, Any] = {
    "customer": "FLEET",
    "contract": "IOT Fleet Contract",
    "subscription": "Premium Fleet Subscription",
}
CITY: dict[str, Any] = {"customer": "CITY", "contract": "Town Chargers", "subscription": "Charger Subscription"}


def build(database: Database) -> None:
    """All of it, until 1 June 2022."""
    with database.transaction() as session:
        catalogue.apply(session, catalogue.load(CATALOGUE, "town.yaml"), MARCH)
        new = [
            registry.NewObject(reference=reference, kind="tracker", activate=True, starts_on=date(2022, 4, 1), **FLEET)
            for reference in ("IOT_NS542", *(f"TRACKER_{number:04d}" for number in range(TRACKERS)))
        ]
        new += [
            registry.NewObject(
                reference=f"CHARGER_{number:04d}", kind="charger", attributes={"site": "Lyon"}, activate=True,
                starts_on=date(2022, 4, 1), **CITY,
            )
            for number in range(3)
        ]  # fmt: skip
        new += [registry.NewObject(reference="SPARE_1", kind="tracker"), registry.NewObject(reference="SPARE_2")]
        for outcome in registry.create_objects(session, new, status="pending", now=MARCH, origin="import"):
            if isinstance(outcome, BillingError):
                raise outcome
    april = datetime(2022, 4, 14, 10, tzinfo=UTC)
    messages = [_telemetry("IOT_NS542", "usage", april, 12)]
    messages += [_telemetry(f"TRACKER_{number:04d}", "usage", april, 1 + number % 3) for number in range(TRACKERS)]
    messages += [
        _telemetry(f"CHARGER_{number:04d}", "energy", april + timedelta(days=7 * week), 1000 * number + 75 * week)
        for number in range(3)
        for week in range(3)
    ]
    messages += [
        _message("devices/UNKNOWN_1/telemetry", {"ts": "2022-05-14T10:00:00Z", "metrics": {"usage": 7}}),
        _message("devices/TRACKER_0002/telemetry", {"id": "x1", "metrics": {"speed": 88}}),
        Message(topic="devices/TRACKER_0001/telemetry", payload=b"{not json", received_at=april),
    ]
    rules = Rules.of(Settings(close_cron=""))
    ingest_batch(database, messages, rules, now=april)
    close.close(database, date(2022, 4, 30), datetime(2022, 5, 1, 6, tzinfo=UTC))
    ingest_batch(database, [_telemetry("IOT_NS542", "usage", april + timedelta(days=30), 5)], rules, now=JUNE)


def _message(topic: str, body: dict[str, object]) -> Message:
    return Message(topic=topic, payload=json.dumps(body).encode(), received_at=datetime(2022, 5, 14, 10, tzinfo=UTC))


def _telemetry(reference: str, metric: str, at: datetime, value: int) -> Message:
    return _message(f"devices/{reference}/telemetry", {"ts": at.isoformat(), "metrics": {metric: value}})
