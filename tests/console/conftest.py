"""The real application over a copy of the town, asked over a real socket; journeys ask it from a real Chromium."""

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from billing.access import Role, create_token
from config.clock import VirtualClock
from config.settings import Settings
from gateway.web.application import application
from gateway.web.serving import WebServer
from storage.database import Database
from tests.conftest import missing
from tests.console import town

CHROMIUM = Path("/usr/bin/chromium")
FIX = "run apt-get update && apt-get install --no-install-recommends chromium"
ARGUMENTS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
WAIT_MILLISECONDS = 15_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """Where the console is served, and what is behind it."""

    url: str
    database: Database
    clock: VirtualClock

    def token(self, name: str, role: Role) -> str:
        """The secret of a new token."""
        with self.database.transaction() as session:
            return create_token(session, name, role, self.clock.now())


@pytest.fixture(scope="session")
def town_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("town") / "town.db"
    made = Database(f"sqlite:///{path}")
    made.migrate()
    town.build(made)
    made.checkpoint()
    made.dispose()
    return path


@pytest.fixture
def site(town_file: Path, tmp_path: Path) -> Iterator[Site]:
    path = tmp_path / "metergate.db"
    shutil.copy(town_file, path)
    database = Database(f"sqlite:///{path}")
    clock = VirtualClock(town.JUNE)
    settings = Settings(database_url=f"sqlite:///{path}", close_cron="")
    with WebServer(application(database, clock, settings), "127.0.0.1:0") as server:
        yield Site(url=server.url, database=database, clock=clock)
    database.dispose()


@pytest.fixture
def client(site: Site) -> Iterator[httpx.Client]:
    """A client that is not signed in."""
    with httpx.Client(base_url=site.url, trust_env=False) as it:
        yield it


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    if not CHROMIUM.exists():
        missing("Chromium", FIX)
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=CHROMIUM, args=list(ARGUMENTS))
        yield started
        started.close()


@pytest.fixture
def page(browser: Browser, site: Site) -> Iterator[Page]:
    """A page of a fresh browser profile; what it complains of on its console fails the test."""
    context = browser.new_context(base_url=site.url, locale="en-GB")
    context.set_default_timeout(WAIT_MILLISECONDS)
    it = context.new_page()
    complaints: list[str] = []
    it.on("pageerror", lambda error: complaints.append(str(error)))
    it.on("console", lambda said: complaints.append(said.text) if said.type == "error" else None)
    yield it
    context.close()
    # An answer that refuses something is an answer: the browser notes its status, which the test looks at itself.
    assert [said for said in complaints if "Failed to load resource" not in said] == []


@pytest.fixture
def signed_in(page: Page, site: Site) -> Callable[[Role], Page]:
    """Signs the page in, as somebody of a role."""

    def sign_in(role: Role) -> Page:
        page.goto("/sign-in")
        page.get_by_label("Access token").fill(site.token(f"a {role.value}", role))
        page.get_by_role("button", name="Sign in").click()
        page.wait_for_url("**/")
        return page

    return sign_in
