"""The real application on a real database, asked over a real socket."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime

import httpx
import pytest

from billing.access import Role, create_token
from config.clock import VirtualClock
from config.settings import Settings
from gateway.web.application import application
from gateway.web.serving import WebServer
from storage.database import Database

NOW = datetime(2022, 4, 20, 8, 0, tzinfo=UTC)
Speaking = Callable[[Role], httpx.Client]


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock(NOW)


@pytest.fixture
def client(database: Database, clock: VirtualClock) -> Iterator[httpx.Client]:
    """A client without a token."""
    with (
        WebServer(application(database, clock, Settings()), "127.0.0.1:0") as server,
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
