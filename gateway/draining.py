"""Empties the session of an ingest member that does not come back: leave the group, then store what waits."""

import threading
import time

from config.clock import Clock
from config.settings import Settings
from gateway.receiver import Receiver
from gateway.roles import leaving
from gateway.sources.stored import filters_ever, load
from storage import members
from storage.database import Database

READY_SECONDS = 10
POLL_SECONDS = 0.1


def drain(settings: Settings, database: Database, clock: Clock, client_id: str, *, quiet_seconds: float) -> int:
    """Take over the session of `client_id`, store all that waits in it, and forget the member; returns how many.

    It is empty when nothing has come for `quiet_seconds`. The session itself stays at the broker, without a
    subscription, and collects nothing; were something left, draining again would find it.
    """
    if client_id == settings.client_id:
        raise ValueError(f"{client_id} is the session of the control part: `metergate run --role control` empties it")
    own = settings.model_copy(update={"client_id": client_id})
    receiver = Receiver(own, database, clock, lambda *_: None, filters=leaving(settings))
    with database.snapshot() as session:
        sources, filters = load(session), sorted(filters_ever(session))
    shared = [f"$share/{settings.client_id}/{pattern}" for pattern in filters]
    receiver.use(sources, join=(), leave=[*shared, *filters])
    receiver.start()
    try:
        receiver.wait_ready(READY_SECONDS)
        _wait_until_quiet(receiver, quiet_seconds)
    finally:
        receiver.stop()
    with database.transaction() as session:
        members.forget(session, client_id)
    return receiver.stored


def _wait_until_quiet(receiver: Receiver, quiet_seconds: float) -> None:
    pause = threading.Event()
    seen, since = receiver.stored, time.monotonic()
    while time.monotonic() - since < quiet_seconds:
        pause.wait(POLL_SECONDS)
        if receiver.stored != seen or not receiver.connected or not receiver.idle:
            seen, since = receiver.stored, time.monotonic()
