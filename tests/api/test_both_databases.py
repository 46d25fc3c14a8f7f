"""Everything that can be read over HTTP is read on SQLite and on PostgreSQL, and says the same on both."""

from typing import Any

import httpx

from billing.access import Role, create_token
from config.clock import VirtualClock
from config.settings import Settings
from gateway.web.application import application
from gateway.web.serving import WebServer
from storage.database import Database
from tests.console import town

READ = (
    "catalogue",
    "close",
    "contracts?limit=1",
    "contracts/Town Chargers",
    "customers",
    "invoices?limit=1",
    "invoices/INV/2022/04/0001",
    "invoices/INV/2022/04/0001/lines",
    "invoices/INV/2022/04/0001/payments",
    "objects?limit=3&prefix=IOT&status=active",
    "objects?contract=Town Chargers&limit=3",
    "objects/IOT_NS542",
    "objects/IOT_NS542/events?limit=2",
    "objects/IOT_NS542/usage?since=2022-04-01T00:00:00Z&limit=2",
    "plans/Charger Subscription",
    "quarantine?limit=2",
    "quarantine/1",
    "schedules?contract=Town Chargers&limit=3",
    "sources",
    "webhooks",
    "metrics",
)


def said(database: Database) -> dict[str, Any]:
    town.build(database)
    clock = VirtualClock(town.JUNE)
    with database.transaction() as session:
        secret = create_token(session, "Ada", Role.ADMINISTRATOR, town.JUNE)
    with (
        WebServer(application(database, clock, Settings(close_cron="")), "127.0.0.1:0") as server,
        httpx.Client(base_url=f"{server.url}/api/v1", trust_env=False) as client,
    ):
        client.headers["Authorization"] = f"Bearer {secret}"
        answers = {path: client.get(path) for path in READ}
    return {path: (it.status_code, it.text) for path, it in answers.items()}


def test_what_is_read_is_the_same_on_both(sqlite_database: Database, postgres_url: str) -> None:
    elsewhere = Database(postgres_url)
    elsewhere.migrate()
    here, there = said(sqlite_database), said(elsewhere)
    elsewhere.dispose()
    assert {path: status for path, (status, _) in here.items() if status != 200} == {}
    assert [path for path in READ if here[path] != there[path]] == []
