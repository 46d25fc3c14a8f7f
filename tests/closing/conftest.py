"""Two migrated databases at once, for what must be the same on both."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from storage.database import Database
from tests.conftest import prepared


@pytest.fixture
def both(
    sqlite_url: str, postgres_url: str, migrated_file: Path, known_databases: dict[str, Database]
) -> Iterator[list[Database]]:
    with (
        prepared(sqlite_url, migrated_file, known_databases) as here,
        prepared(postgres_url, migrated_file, known_databases) as there,
    ):
        yield [here, there]
