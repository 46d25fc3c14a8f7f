"""How soon a page of the console is there, on a fleet of 100,000 objects: `python -m benchmarks console`.

They are asked over a socket of this machine, one after the other, by one browser's session.
"""

import time
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta

import httpx

from benchmarks import stage
from benchmarks.figures import Figure, measure
from billing.access import Role, create_token
from billing.close import close
from config.clock import VirtualClock
from config.settings import Settings
from console.signing import COOKIE
from gateway.web.application import application
from gateway.web.serving import WebServer
from storage.database import Database

CASE = "console"
SIZES = {"full": 100_000, "small": 2_000}
SINCE = date(2026, 4, 1)
NOW = datetime(2026, 4, 20, 8, tzinfo=UTC)
UNTIL, LATER = date(2026, 4, 30), datetime(2026, 5, 2, 8, tzinfo=UTC)
"""Its first month is closed: the pages of an invoice over the whole fleet are there too."""
MUST_MILLISECONDS, REACH_MILLISECONDS = 100, 50
ASKED = 10
"""Times that each page is asked in a round, after once that is not counted."""


def run(*, scale: str, rounds: int) -> Iterator[Figure]:
    """Milliseconds of each page."""
    objects = SIZES[scale]
    with stage.store("sqlite") as store:
        url = store.create("fleet")
        stage.make_fleet(url, objects, active_since=SINCE)
        stage.fill(url, objects, objects, first=NOW - timedelta(days=1), seconds=60_000)
        database = Database(url)
        try:
            with database.transaction() as session:
                secret = create_token(session, "benchmark", Role.ADMINISTRATOR, NOW)
            close(database, UNTIL, LATER)
            app = application(database, VirtualClock(LATER), Settings(database_url=url, close_cron=""))
            with WebServer(app, "127.0.0.1:0") as server, httpx.Client(base_url=server.url, trust_env=False) as client:
                _sign_in(client, secret)
                for name, path in _paths(objects):
                    yield measure(
                        CASE, f"{name}, {objects:,} objects", _milliseconds(client, path, rounds),
                        unit="ms", must=MUST_MILLISECONDS, reach=REACH_MILLISECONDS, detail=path,
                    )  # fmt: skip
        finally:
            database.dispose()


def _sign_in(client: httpx.Client, secret: str) -> None:
    form = client.get("/sign-in").text.split('name="secret" value="')[1].split('"')[0]
    client.post("/sign-in", data={"action": "sign_in", "secret": form, "token": secret})
    assert COOKIE in client.cookies


def _paths(objects: int) -> list[tuple[str, str]]:
    one, middle = stage.reference(objects - 1), stage.reference(objects // 2)
    return [
        ("overview", "/"),
        ("overview, its charts", "/overview/charts"),
        ("fleet", "/fleet"),
        ("fleet, a page in the middle", f"/fleet?after={middle}"),
        ("fleet, by status", "/fleet?status=suspended"),
        ("object", f"/objects/{one}"),
        ("invoices", "/invoices"),
        ("invoice", "/invoices/INV/2026/04/0001"),
        ("line of an invoice", "/lines/1"),
        ("line of an invoice, largest first", "/lines/1?largest=1"),
        ("contract", "/contracts/Fleet"),
        ("activation", "/activate"),
        ("close", "/close"),
        ("quarantine", "/quarantine"),
    ]


def _milliseconds(client: httpx.Client, path: str, rounds: int) -> list[float]:
    assert client.get(path).status_code == 200, path
    found = []
    for _ in range(rounds * ASKED):
        began = time.perf_counter()
        client.get(path)
        found.append((time.perf_counter() - began) * 1000)
    return found
