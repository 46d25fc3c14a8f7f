"""`metergate run`, `migrate` and `doctor`."""

import gc
import logging
import signal
import threading
from contextlib import ExitStack
from typing import TYPE_CHECKING

import click

from gateway.cli.context import house
from gateway.cli.output import show_rows

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.types import ASGIApp

    from config.settings import Settings
    from gateway.cli.context import House
    from gateway.roles import Parts
    from gateway.web.serving import WebServer
    from storage.database import Database
    from storage.members import Member

YOUNG_OBJECTS = 50_000
"""A batch makes some ten thousand objects that live as long as it: the collector is not to look at them meanwhile."""

WORKER_GRACE_SECONDS = 5
"""Beyond METERGATE_STOP_SECONDS, at which a worker gives up by itself: one that does not is killed."""


@click.command()
@click.option(
    "--role", type=click.Choice(["all", "ingest", "control", "close", "web"]), default="all", show_default=True
)
@click.option("--workers", default=0, type=click.IntRange(0, 256), help="Ingest processes to start and supervise.")
@click.option("--member", default=1, show_default=True, type=click.IntRange(1), help="Number of the (first) member.")
@click.option("--embedded-broker", is_flag=True, help="Start a broker in this process; for trying out, not durable.")
@click.option("--port", default=1883, show_default=True, type=click.IntRange(1, 65535), help="Of the embedded broker.")
@click.option("--supervised", is_flag=True, hidden=True)
def run(*, role: str, workers: int, member: int, embedded_broker: bool, port: int, supervised: bool) -> int:
    """Run the gateway, or one part of it, until it is stopped (Ctrl-C, SIGTERM).

    `ingest` takes usage and reports in, as one of several members that share them; `control` obeys the back office
    and publishes; `close` closes on the cron and keeps house; `web` serves the API and the console. `--workers N`
    starts N ingest members beside the rest.
    """
    if workers and role not in {"all", "ingest"}:
        raise click.UsageError(f"--workers starts ingest processes; the role {role} has none")
    if embedded_broker and (workers or role != "all"):
        raise click.UsageError("the embedded broker is for one process: it has no shared subscriptions")
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    # An alarm that still runs at its next tick leaves that one out, as it is to: APScheduler warns of each.
    logging.getLogger("apscheduler").setLevel(logging.ERROR)
    logging.getLogger("alembic").setLevel(logging.WARNING)
    from gateway.app import Gateway
    from gateway.roles import BESIDE_WORKERS, PARTS
    from gateway.supervisor import Workers, metergate, when_orphaned

    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    if supervised:
        when_orphaned(stop.set)
    children: Workers | None = None
    with ExitStack() as stack:
        parts = stack.enter_context(house())
        settings = parts.settings
        if embedded_broker:
            from gateway.embedded_broker import EmbeddedBroker

            broker = stack.enter_context(EmbeddedBroker(port))
            settings = settings.model_copy(update={"broker_url": broker.url, "mqtt_version": "3.1.1"})
            click.echo(f"embedded broker at {broker.url}: not durable, for trying out", err=True)
        if workers:
            arguments = ("run", "--role", "ingest", "--supervised", "--member")
            commands = {f"ingest-{k}": metergate(*arguments, str(k)) for k in range(member, member + workers)}
            children = stack.enter_context(
                Workers(
                    commands,
                    lambda name, line: click.echo(f"[{name}] {line}", err=True),
                    stop_seconds=settings.stop_seconds + WORKER_GRACE_SECONDS,
                )
            )
        does = BESIDE_WORKERS if workers and role == "all" else PARTS[role]  # type: ignore[index] # click checked it
        served: WebServer | None = None
        if not (workers and role == "ingest"):
            gateway = stack.enter_context(Gateway(parts.database, parts.clock, settings, parts=does, member=member))
            served = _served(stack, parts, gateway.wake, does)
        # What was imported and built stays for good: looked at no more, it takes a seventh off the time of a message.
        gc.collect()
        gc.freeze()
        gc.set_threshold(YOUNG_OBJECTS)
        click.echo(_said(settings, does, workers, served))
        stop.wait()
        click.echo("stopping: what was received is stored first", err=True)
        seconds = settings.stop_seconds
        if children is not None:
            children.tell()  # so that all finish at the same time
            seconds += 2 * WORKER_GRACE_SECONDS
        limit = threading.Timer(seconds, _give_up, [seconds])
        limit.daemon = True
        limit.start()
    limit.cancel()
    return 1 if children is not None and children.failed else 0


def _served(stack: ExitStack, parts: "House", wake: "Callable[[], None]", does: "Parts") -> "WebServer | None":
    """The API and the console, when this process serves them."""
    address = parts.settings.http_listen
    if not address and does.web and not does.control:
        raise ValueError("the role web has nothing to serve: METERGATE_HTTP_LISTEN is empty; set it to host:port")
    if not does.web or not address:
        return None
    from gateway.web.later import Later
    from gateway.web.serving import WebServer

    def made() -> "ASGIApp":
        from gateway.web.application import application

        return application(parts.database, parts.clock, parts.settings, wake)

    # Where it is the only purpose, what is wrong with it is to be seen at the start.
    return stack.enter_context(WebServer(Later(made) if does.ingest or does.control else made(), address))


def _give_up(seconds: int) -> None:
    """End at once: what is not committed is not acknowledged, and the broker sends it again."""
    import os

    click.echo(f"metergate: not done within {seconds} s; what is not stored stays with the broker", err=True)
    os._exit(1)


def _said(settings: "Settings", does: "Parts", workers: int, served: "WebServer | None") -> str:
    """What this process does, for its first line."""
    closes = f"closes on the cron {settings.close_cron!r}" if settings.close_cron else "does not close by itself"
    said = []
    if workers:
        said.append(f"supervises {workers} ingest {'process' if workers == 1 else 'processes'}")
    elif does.ingest:
        said.append(f"listens under {settings.topic_devices}/")
    if does.control:
        said.append(f"obeys under {settings.topic_control}/")
    if does.close:
        said.append(closes)
    if served is not None:
        said.append(f"serves {served.url}")
    return f"the gateway {'; it '.join(said)}"


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

    from config.clock import clock_from
    from config.settings import Settings
    from storage import members
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
    problem = _broker_problem(settings)
    healthy &= problem is None
    rows.append({"check": "broker", "state": "ok" if problem is None else "fault", "detail": problem or "answers"})
    database = None
    try:
        database = Database(settings.database_url)
        database.require_schema()
        rows += _contents(database)
        now = clock_from(settings.clock).now()
        with database.snapshot() as session:
            ingesting = members.members(session, now)
        rows += [_health(member) for member in ingesting]
        healthy &= all(member.state != "dead" for member in ingesting)
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
        newest_gap = gaps.listed(session, gaps.WhichGaps(open_only=True), limit=1)
        gap_count = gaps.count(session, open_only=True)
    objects = ", ".join(f"{count} {status}" for status, count in statuses.items()) or "none"
    waiting = ", ".join(f"{count} {reason}" for reason, count in refused.items()) or "empty"
    ends_at = newest_gap[0].gap.ends_at if newest_gap else None
    until = "lasts" if ends_at is None else f"until {ends_at.isoformat()}"
    lost = f"{gap_count} open, the last one {until}" if newest_gap else "none"
    return [
        {"check": "database", "state": "ok", "detail": "at this release's schema"},
        {"check": "objects", "state": "ok", "detail": objects},
        {"check": "oldest due schedule", "state": "ok", "detail": f"{oldest}" if oldest else "nothing is planned"},
        {"check": "quarantine", "state": "look" if refused else "ok", "detail": waiting},
        {"check": "reception gaps", "state": "look" if newest_gap else "ok", "detail": lost},
    ]


def _health(member: "Member") -> dict[str, object]:
    check = f"ingest member {member.client_id}"
    if member.state == "at work":
        last = "none yet" if member.last_batch_at is None else f"the last by {member.last_batch_at:%Y-%m-%d %H:%M} UTC"
        return {"check": check, "state": "ok", "detail": f"{member.messages} messages, {last}"}
    waits = f"{member.state} since {member.heartbeat_at:%Y-%m-%d %H:%M} UTC: its messages wait in the broker"
    remedy = f"start it again, or run `metergate sessions drain {member.client_id}`"
    return {"check": check, "state": "fault" if member.state == "dead" else "look", "detail": f"{waits}; {remedy}"}


def _broker_problem(settings: "Settings") -> str | None:
    from gateway.mqtt import address_from, reachable

    try:
        return reachable(address_from(settings.broker_url))
    except ValueError as error:
        return str(error)
