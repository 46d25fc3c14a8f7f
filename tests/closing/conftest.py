"""Two migrated databases at once, for what must be the same on both."""

from collections.abc import Iterator

import pytest

from storage.database import Database


@pytest.fixture
def both(sqlite_url: str, postgres_url: str) -> Iterator[list[Database]]:
    databases = [Database(sqlite_url), Database(postgres_url)]
    for database in databases:
        database.migrate()
    yield databases
    for database in databases:
        database.dispose()
