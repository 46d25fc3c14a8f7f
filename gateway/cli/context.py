"""What most commands need: the settings, the clock, and a database that is at this release's schema."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from config.clock import Clock, clock_from
from config.settings import Settings
from storage.database import Database


@dataclass(frozen=True, slots=True, kw_only=True)
class House:
    """The wired parts of one command."""

    settings: Settings
    clock: Clock
    database: Database


@contextmanager
def house() -> Iterator[House]:
    """Settings, clock and database for one command.

    A SQLite database that has no tables yet is made, so that the first command works; a PostgreSQL database, which
    may be shared, is only brought to this release by `metergate migrate`.
    """
    settings = Settings()
    clock = clock_from(settings.clock)
    database = Database(settings.database_url)
    try:
        if database.is_sqlite:
            database.migrate()
        else:
            database.require_schema()
        yield House(settings=settings, clock=clock, database=database)
    finally:
        database.dispose()
