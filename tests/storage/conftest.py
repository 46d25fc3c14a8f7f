"""Databases without any table, for what migrates them."""

from collections.abc import Iterator

import pytest

from tests.conftest import new_postgres


@pytest.fixture
def empty_postgres_url(postgres_server: str) -> Iterator[str]:
    yield from new_postgres(postgres_server, "template0")


@pytest.fixture(params=["sqlite", "postgresql"])
def empty_database_url(request: pytest.FixtureRequest) -> str:
    url: str = request.getfixturevalue("sqlite_url" if request.param == "sqlite" else "empty_postgres_url")
    return url
