"""`metergate run`, `migrate` and `doctor`."""

import logging
import signal
import threading
from contextlib import ExitStack
from typing import TYPE_CHECKING

import click

from gateway.cli.context import house
from gateway.cli.output import show_rows

if TYPE_CHECKING:
    from storage.database import Database


@click.command()
@click.option("--embedded-broker", is_flag=True, help="Start a broker in this process; for trying out, not durable.")
@click.option("--port", default=1883, show_default=True, type=click.IntRange(1, 65535), help="Of the embedded broker.")
def run(*, embedded_broker: bool, port: int) -> None:
    """Run the gateway until it is stopped (Ctrl-C, SIGTERM)."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    for name in ("apscheduler", "alembic"):
        logging.getLogger(name).setLevel(logging.WARNING)
    from gateway.app import Gateway

    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    with ExitStack() as stack:
        parts = stack.enter_context(house())
        settings = parts.settings
        if embedded_broker:
            from gateway.embedded_broker import EmbeddedBroker

            broker = stack.enter_context(EmbeddedBroker(port))
            settings = settings.model_copy(update={"broker_url": broker.url, "mqtt_version": "3.1.1"})
            click.echo(f"embedded broker at {broker.url}: not durable, for trying out", err=True)
        closing = f"closes on the cron {settings.close_cron!r}" if settings.close_cron else "does not close by itself"
        stack.enter_context(Gateway(parts.database, parts.clock, settings))
        click.echo(f"the gateway listens under {settings.topic_devices}/ and {settings.topic_control}/; it {closing}")
        stop.wait()
        click.echo("stopping: what was received is stored first", err=True)


@click.command()
def migrate() -> None:
    """Bring the database to this release; nothing happens when it is."""
    from config.settings import Settings
    from storage.database import Database

    database = Database(Settings().database_url)
    try:
        database.migrate()
        database.require_schema()
    finally:
        database.dispose()
    click.echo("the database is at this release's schema")


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def doctor(*, as_json: bool) -> int:
    """Say how it is: each setting and where it came from, the database, the broker, what is due."""
    import os
    from urllib.parse import urlsplit

    from config.settings import Settings
    from gateway.mqtt import address_from, reachable
    from storage.database import Database
    from storage.errors import StorageError

    settings = Settings()
    rows: list[dict[str, object]] = []
    healthy = True
    for name in Settings.model_fields:
        value = getattr(settings, name)
        if name in {"database_url", "broker_url"} and (password := urlsplit(value).password):
            value = value.replace(f":{password}@", ":***@")
        variable = f"METERGATE_{name.upper()}"
        declared = "metergate.toml" if name in settings.model_fields_set else "default"
        source = "environment" if variable in {key.upper() for key in os.environ} else declared
        rows.append({"check": variable, "state": "set", "detail": f"{value} ({source})"})
    try:
        address = address_from(settings.broker_url)
        problem = reachable(address)
    except ValueError as error:
        problem = str(error)
    healthy &= problem is None
    rows.append({"check": "broker", "state": "ok" if problem is None else "fault", "detail": problem or "answers"})
    database = None
    try:
        database = Database(settings.database_url)
        database.require_schema()
        rows += _contents(database)
    except StorageError as error:
        healthy = False
        rows.append({"check": "database", "state": "fault", "detail": str(error)})
    finally:
        if database is not None:
            database.dispose()
    rows.append(
        {
            "check": "automatic closing",
            "state": "ok" if settings.close_cron else "off",
            "detail": settings.close_cron or "METERGATE_CLOSE_CRON is empty: `metergate close` is run by hand",
        }
    )
    show_rows(rows, as_json=as_json, nothing="")
    return 0 if healthy else 1


def _contents(database: "Database") -> list[dict[str, object]]:
    from storage import gaps, overview, quarantine, registry

    with database.snapshot() as session:
        statuses = registry.count_by_status(session)
        refused = quarantine.counts(session)
        oldest = overview.oldest_due(session)
        newest_gap = gaps.listed(session, limit=1)
        gap_count = gaps.count(session)
    objects = ", ".join(f"{count} {status}" for status, count in statuses.items()) or "none"
    waiting = ", ".join(f"{count} {reason}" for reason, count in refused.items()) or "empty"
    lost = f"{gap_count}, the last one until {newest_gap[0].ends_at.isoformat()}" if newest_gap else "none"
    return [
        {"check": "database", "state": "ok", "detail": "at this release's schema"},
        {"check": "objects", "state": "ok", "detail": objects},
        {"check": "oldest due schedule", "state": "ok", "detail": f"{oldest}" if oldest else "nothing is planned"},
        {"check": "quarantine", "state": "look" if refused else "ok", "detail": waiting},
        {"check": "reception gaps", "state": "look" if newest_gap else "ok", "detail": lost},
    ]
