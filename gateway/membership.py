"""The heartbeat of an ingest process: a row that says when it was last heard and how much it stored."""

import os
import socket
from collections.abc import Callable

from config.clock import Clock
from storage import members
from storage.database import Database

HEARTBEAT_SECONDS = 10
"""How often the row is written: some of these fit into the time after which a member counts as dead."""


class Membership:
    """Tells the database about this process; `stored` counts what it has committed since its start."""

    def __init__(self, database: Database, clock: Clock, client_id: str, stored: Callable[[], int]) -> None:
        self._database = database
        self._clock = clock
        self._client_id = client_id
        self._stored = stored
        self._told = 0
        self._started_at = clock.now()

    def beat(self) -> None:
        """Say that it is alive."""
        self._tell(members.beat)

    def leave(self) -> None:
        """Say that it stops as it was told to."""
        self._tell(members.stop)

    def _tell(self, write: Callable[..., None]) -> None:
        stored = self._stored()
        with self._database.transaction() as session:
            write(
                session,
                self._client_id,
                host=socket.gethostname(),
                pid=os.getpid(),
                now=self._clock.now(),
                started_at=self._started_at,
                stored=stored - self._told,
            )
        self._told = stored
