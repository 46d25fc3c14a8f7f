"""The real application on a real database, asked over a real socket."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime

import httpx
import pytest

from billing import catalogue
from billing.access import Role, create_token
from config.clock import VirtualClock
from config.settings import Settings
from gateway.web.application import application
from gateway.web.serving import WebServer
from storage.database import Database
from tests.usecases.conftest import CATALOGUE

NOW = datetime(2022, 4, 20, 8, 0, tzinfo=UTC)
Speaking = Callable[[Role], httpx.Client]


SERVICE = {"contract": "IOT Fleet Contract", "subscription": "Premium Fleet Subscription", "starts_on": "2022-04-01"}


@pytest.fixture
def database(sqlite_database: Database) -> Database:
    """With the catalogue of the documentation; the use cases behind the endpoints are tested on both databases."""
    with sqlite_database.transaction() as session:
        catalogue.apply(session, catalogue.load(CATALOGUE, "catalogue.yaml"), NOW)
    return sqlite_database


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock(NOW)


@pytest.fixture
def settings() -> Settings:
    return Settings()


@pytest.fixture
def client(database: Database, clock: VirtualClock, settings: Settings) -> Iterator[httpx.Client]:
    """A client without a token."""
    with (
        WebServer(application(database, clock, settings), "127.0.0.1:0") as server,
        httpx.Client(base_url=f"{server.url}/api/v1", trust_env=False) as it,
    ):
        yield it


@pytest.fixture
def speaking(database: Database, client: httpx.Client) -> Speaking:
    """The client, with a token of the role."""

    def speak(role: Role) -> httpx.Client:
        with database.transaction() as session:
            secret = create_token(session, f"a {role.value}", role, NOW)
        client.headers["Authorization"] = f"Bearer {secret}"
        return client

    return speak
