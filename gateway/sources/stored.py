"""The sources that a database has in force, compiled, and read again when they or their metrics change."""

import logging
from collections.abc import Callable

from sqlmodel import Session

from gateway.sources.births import Births
from gateway.sources.declaration import topics_of
from gateway.sources.source import Sources, compile_source
from storage import births
from storage import sources as stored
from storage.database import Database

log = logging.getLogger(__name__)
WATCH_SECONDS = 2
"""How often a change is looked for: how long a message may still be read as before."""


def load(session: Session) -> Sources:
    """The sources in force that are switched on."""
    metrics = stored.metrics(session)
    compiled = {
        row.name: compile_source(row.name, row.definition, metrics)
        for row in stored.in_force(session)
        if row.definition.get("enabled", True)
    }
    return Sources(compiled, Births(births.known(session)))


def filters_ever(session: Session) -> frozenset[str]:
    """Every filter that a source ever had: what a session at the broker may still collect under."""
    return frozenset(pattern for definition in stored.definitions_ever(session) for pattern in topics_of(definition))


class Watch:
    """Tells of the sources in force at the start and after each change."""

    def __init__(self, database: Database, use: Callable[[Sources, frozenset[str]], None]) -> None:
        """`use(sources, formerly)`: what is in force now, and the filters of what no longer is."""
        self._database = database
        self._use = use
        self._revision: stored.Revision | None = None

    def look(self) -> None:
        """Read them when they changed since the last look. Raises StorageError."""
        with self._database.snapshot() as session:
            revision = stored.revision(session)
            if revision == self._revision:
                return
            sources = load(session)
            ever = filters_ever(session)
        self._use(sources, ever - set(sources.filters))
        self._revision = revision
        if sources.sources:
            log.info("sources in force: %s", ", ".join(sources.sources))
