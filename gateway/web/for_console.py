"""What the console asks of the gateway, which is above it: taking in what waited, and trying how messages are read."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import date, timedelta
from typing import Any

from billing import catalogue
from billing.core.errors import Invalid
from config.settings import Settings
from console.house import Replay, Services
from gateway.attached import from_kept
from gateway.replaying import discard_all, replay_all
from gateway.sources.declaration import source_rules
from gateway.sources.source import Sources, compile_source
from gateway.sources.stored import load
from gateway.sources.trying import Heard, try_message
from gateway.web.close_runs import begin, start
from gateway.web.service import Service
from storage import sources as stored
from storage.database import Database
from storage.quarantine import Which


def services(behind: Service) -> Services:
    """The services over one database."""
    database, clock, settings = behind.database, behind.clock, behind.settings

    def replay(which: Which) -> Replay:
        came = replay_all(database, settings, which, now=clock.now())
        return Replay(done=came.done, stayed=dict(came.stayed))

    def try_mapping(
        payload: bytes, properties: Mapping[str, Any] | None, topic: str, declaration: str
    ) -> Sequence[Mapping[str, Any]]:
        heard = Heard(topic=topic, payload=payload, at=clock.now(), attached=from_kept(properties))
        past, future = timedelta(days=settings.plausible_past_days), timedelta(hours=settings.plausible_future_hours)
        sources = _sources(database, settings, declaration)
        return [asdict(row) for row in try_message(sources, heard, past=past, future=future)]

    def start_close(until: date, asked_by: str) -> int:
        now = clock.now()
        with database.transaction() as session:
            identity = begin(session, until, asked_by, now).id or 0
        start(behind, identity, until, now)
        return identity

    return Services(
        replay=replay,
        discard=lambda which: discard_all(database, which, now=clock.now()),
        start_close=start_close,
        try_mapping=try_mapping,
    )


def _sources(database: Database, settings: Settings, declaration: str) -> Sources:
    """The sources that a text declares, with the metrics of the database; those in force when it says nothing."""
    if not declaration.strip():
        with database.snapshot() as session:
            return load(session)
    file = catalogue.load(declaration, sources=source_rules(settings))
    if not file.sources:
        raise Invalid("the text declares no source; begin it with `sources:`, as a catalogue file does")
    with database.snapshot() as session:
        facts = stored.metrics(session)
    return Sources({it.name: compile_source(it.name, it.definition, facts) for it in file.sources})
