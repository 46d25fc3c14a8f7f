"""Fixtures that every test shares: a migrated database, on SQLite and on PostgreSQL."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest

from storage.database import Database
from storage.known import Known
from tests import postgres


def missing(what: str, fix: str) -> None:
    """Skip a test whose real part is not there, and say how to get it; in CI that is a failure."""
    if os.environ.get("METERGATE_FORBID_SKIPS"):
        pytest.fail(f"{what} is missing and skips are forbidden here; {fix}")
    pytest.skip(f"{what} is missing; {fix}")


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    if postgres.binaries() is None:
        missing("PostgreSQL", postgres.FIX)
    with postgres.server() as url:
        yield url


@pytest.fixture(scope="session")
def migrated_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated SQLite file, to be copied: the migrations are the same each time."""
    path = tmp_path_factory.mktemp("migrated") / "metergate.db"
    made = Database(f"sqlite:///{path}")
    made.migrate()
    made.dispose()
    return path


@pytest.fixture(scope="session")
def migrated_postgres(postgres_server: str) -> str:
    """The name of a migrated PostgreSQL database, to be copied."""
    with psycopg.connect(f"{postgres_server}/postgres", autocommit=True) as connection:
        connection.execute("CREATE DATABASE migrated")
    made = Database(f"{postgres_server}/migrated")
    made.migrate()
    made.dispose()
    return "migrated"


@pytest.fixture(scope="session")
def known_databases() -> dict[str, Database]:
    """By URL, a database object whose compiled statements serve the next test at the same URL."""
    return {}


@pytest.fixture(scope="session")
def sqlite_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where every test's SQLite file is, under one name."""
    return tmp_path_factory.mktemp("sqlite")


@pytest.fixture
def sqlite_url(sqlite_folder: Path) -> str:
    """A file that is not there yet."""
    path = sqlite_folder / "metergate.db"
    for left in sqlite_folder.glob("metergate.db*"):
        left.unlink()
    return f"sqlite:///{path}"


def new_postgres(server: str, template: str) -> Iterator[str]:
    """A database under one name, so that what was compiled for the test before serves this one."""
    with psycopg.connect(f"{server}/postgres", autocommit=True) as connection:
        connection.execute("DROP DATABASE IF EXISTS tested WITH (FORCE)")
        connection.execute(f"CREATE DATABASE tested TEMPLATE {template} STRATEGY FILE_COPY".encode())
    yield f"{server}/tested"


@pytest.fixture
def postgres_url(postgres_server: str, migrated_postgres: str) -> Iterator[str]:
    """A migrated database on PostgreSQL."""
    yield from new_postgres(postgres_server, migrated_postgres)


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest) -> str:
    """Where `database` is, or is to be: on PostgreSQL it is migrated already."""
    url: str = request.getfixturevalue("sqlite_url" if request.param == "sqlite" else "postgres_url")
    return url


@pytest.fixture
def database(database_url: str, migrated_file: Path, known_databases: dict[str, Database]) -> Iterator[Database]:
    """A migrated database; the test runs once on SQLite and once on PostgreSQL."""
    with prepared(database_url, migrated_file, known_databases) as it:
        yield it


@pytest.fixture
def sqlite_database(sqlite_url: str, migrated_file: Path, known_databases: dict[str, Database]) -> Iterator[Database]:
    with prepared(sqlite_url, migrated_file, known_databases) as it:
        yield it


@contextmanager
def prepared(url: str, template: Path, known: dict[str, Database]) -> Iterator[Database]:
    """The database at a URL, migrated, for one test."""
    if url.startswith("sqlite:///"):
        shutil.copy(template, url.removeprefix("sqlite:///"))
    it = known.setdefault(url, Database(url))
    # What the test before left running may hold a connection to the file, or the database, that is gone.
    it.dispose()
    it.known = Known()
    yield it
    it.dispose()
