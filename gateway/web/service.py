"""What stands behind every endpoint: database, clock, settings, and how to say that something must leave."""

from collections.abc import Callable
from dataclasses import dataclass, field
from threading import BoundedSemaphore
from typing import Annotated

from fastapi import Depends, Request

from config.clock import Clock
from config.settings import Settings
from gateway.web.streaming import STREAMS
from storage.database import Database


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """The wired parts of one application."""

    database: Database
    clock: Clock
    settings: Settings
    wake: Callable[[], None]
    """Called after a commit that wrote to the outbox: what waits there leaves now."""
    streams: BoundedSemaphore = field(default_factory=lambda: BoundedSemaphore(STREAMS))
    """One for each answer that is streamed."""


def service(request: Request) -> Service:
    """The parts behind the application that answers this request."""
    found: Service = request.app.state.service
    return found


Behind = Annotated[Service, Depends(service)]
