"""The demo: a virtual fleet through the whole journey, on the embedded broker and SQLite, in virtual April 2022."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from billing import catalogue, registry
from billing import close as closing
from billing.core.errors import BillingError
from config.clock import VirtualClock
from config.settings import Settings
from gateway.app import Gateway
from gateway.demo_data import CATALOGUE
from gateway.embedded_broker import EmbeddedBroker
from gateway.mqtt import Address, address_from
from gateway.simulator import Publication, publish
from storage import overview, quarantine
from storage import registry as stored
from storage.database import Database

TRACKERS, CHARGERS = 900, 100
SITES = ("Lyon", "Marseille", "Nantes")
MARCH = datetime(2022, 3, 31, 12, tzinfo=UTC)
WAIT_SECONDS = 60
Step = Callable[[str, int], "Callable[[int], object]"]
"""`step(name, total)` opens a progress bar and returns the function that moves it on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoResult:
    """What the demo made."""

    database_url: str
    objects: dict[str, int]
    published: int
    usage_records: int
    quarantined: dict[str, int]
    april: closing.CloseReport
    may: closing.CloseReport


def run(folder: Path, step: Step) -> DemoResult:
    """Play the whole journey into `folder`, which must not hold a demo already."""
    url = f"sqlite:///{folder / 'demo.db'}"
    clock = VirtualClock(MARCH)
    with _database(url) as database, EmbeddedBroker() as broker:
        settings = Settings(
            database_url=url, broker_url=broker.url, mqtt_version="3.1.1", client_id="metergate-demo", close_cron=""
        )
        address = address_from(broker.url)
        with database.transaction() as session:
            catalogue.apply(session, catalogue.load(CATALOGUE, "demo.yaml"), clock.now())
        with Gateway(database, clock, settings):
            _create(database, clock, address, step)
            april, expected = _april(), _expected_records()
            clock.set(datetime(2022, 5, 1, 6, tzinfo=UTC))
            publish(address, april, done=step("Messages of April over MQTT", len(april)))
            _wait(lambda: _records(database) >= expected, "the usage of April")
            closed_april = _close(database, clock, date(2022, 4, 30), step)
            clock.set(datetime(2022, 6, 1, 6, tzinfo=UTC))
            late = _late()
            publish(address, late, done=step("Late messages, sent in May", len(late)))
            _wait(lambda: _records(database) >= expected + len(late), "the late usage")
            closed_may = _close(database, clock, date(2022, 5, 31), step)
        with database.snapshot() as session:
            return DemoResult(
                database_url=url,
                objects=stored.count_by_status(session),
                published=len(april) + len(late),
                usage_records=overview.usage_record_count(session),
                quarantined=quarantine.counts(session),
                april=closed_april,
                may=closed_may,
            )


@contextmanager
def _database(url: str) -> Iterator[Database]:
    database = Database(url)
    try:
        database.migrate()
        yield database
    finally:
        database.dispose()


def _create(database: Database, clock: VirtualClock, address: Address, step: Step) -> None:
    """The first object by commands over MQTT, the rest of the fleet by an import."""
    moved = step("Objects created and activated", 1 + TRACKERS + CHARGERS)
    prefix = "control/objects/IOT_NS542"
    owners = {"customer": "FLEET", "contract": "IOT Fleet Contract", "subscription": "Premium Fleet Subscription"}
    for command, body in (
        ("create", {"request_id": "demo-1", "kind": "tracker", **owners}),
        ("activate", {"request_id": "demo-2", "starts_on": "2022-04-01"}),
    ):
        publish(address, [Publication.of(f"{prefix}/{command}", body)])
    _wait(lambda: _active(database) == 1, "the activation of IOT_NS542")
    moved(1)
    fleet = [
        registry.NewObject(
            reference=f"TRACKER_{index:04d}",
            kind="tracker",
            attributes={"site": SITES[index % len(SITES)]},
            customer=owners["customer"],
            contract=owners["contract"],
            subscription=owners["subscription"],
            activate=True,
            starts_on=date(2022, 4, 1),
        )
        for index in range(TRACKERS)
    ] + [
        registry.NewObject(
            reference=f"CHARGER_{index:04d}",
            kind="charger",
            attributes={"site": SITES[index % len(SITES)]},
            customer="CITY",
            contract="Town Chargers",
            subscription="Charger Subscription",
            activate=True,
            starts_on=date(2022, 4, 1) + timedelta(days=index % 30),
        )
        for index in range(CHARGERS)
    ]
    for start in range(0, len(fleet), 250):
        with database.transaction() as session:
            outcomes = registry.create_objects(
                session, fleet[start : start + 250], status="pending", now=clock.now(), origin="import"
            )
        for outcome in outcomes:
            if isinstance(outcome, BillingError):
                raise outcome
            moved(1)


def _telemetry(reference: str, metric: str, at: datetime, value: object) -> Publication:
    return Publication.of(f"devices/{reference}/telemetry", {"ts": at.isoformat(), "metrics": {metric: value}})


def _tracker_usage(index: int) -> Iterator[Publication]:
    for week in range(2):
        at = datetime(2022, 4, 4 + 7 * week, 8, index % 60, tzinfo=UTC)
        yield _telemetry(f"TRACKER_{index:04d}", "usage", at, (index + week) % 9 + 1)


def _charger_readings(index: int) -> Iterator[Publication]:
    """A register that stood at some value when the service began."""
    start = datetime(2022, 4, 1 + index % 30, 0, 5, tzinfo=UTC)
    end = datetime(2022, 4, 30, 20, index % 60, tzinfo=UTC)
    for step, at in enumerate((start, start + (end - start) / 2, end)):
        yield _telemetry(f"CHARGER_{index:04d}", "energy", at, 1000 * index + 75 * step)


def _april() -> list[Publication]:
    messages = [_telemetry("IOT_NS542", "usage", datetime(2022, 4, 14, 10, tzinfo=UTC), 12)]
    for index in range(TRACKERS):
        messages.extend(_tracker_usage(index))
    for index in range(CHARGERS):
        messages.extend(_charger_readings(index))
    repeats = messages[::40]
    return [
        *messages[: len(messages) // 2],
        Publication("devices/TRACKER_0001/telemetry", b"{not json"),
        Publication.of("devices/UNKNOWN_1/telemetry", {"metrics": {"usage": 1}}),
        Publication.of("devices/TRACKER_0002/telemetry", {"id": "x1", "metrics": {"speed": 88}}),
        Publication.of("devices/TRACKER_0003/telemetry", {"ts": "1999-01-01T00:00:00Z", "metrics": {"usage": 1}}),
        *messages[len(messages) // 2 :],
        *repeats,
    ]


def _expected_records() -> int:
    return 1 + 2 * TRACKERS + 3 * CHARGERS


def _late() -> list[Publication]:
    """Usage of 20 April that reaches the gateway after April was closed."""
    at = datetime(2022, 4, 20, 9, tzinfo=UTC)
    return [_telemetry("IOT_NS542", "usage", at, 3)] + [
        _telemetry(f"TRACKER_{index:04d}", "usage", at, 1) for index in range(0, TRACKERS, 100)
    ]


def _close(database: Database, clock: VirtualClock, until: date, step: Step) -> closing.CloseReport:
    moved = step(f"Close until {until}", 1)
    report = closing.close(database, until, clock.now())
    moved(1)
    return report


def _records(database: Database) -> int:
    with database.snapshot() as session:
        return overview.usage_record_count(session)


def _active(database: Database) -> int:
    with database.snapshot() as session:
        return stored.count_by_status(session).get("active", 0)


def _wait(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + WAIT_SECONDS
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what} did not arrive within {WAIT_SECONDS} s")
        time.sleep(0.05)
