"""What nobody types: it is answered with a sentence, never with a fault; and every page on both databases."""

from collections.abc import Iterator
from datetime import date, timedelta

import httpx
import pytest

from billing.access import Role, revoke
from config.clock import VirtualClock
from config.settings import Settings
from gateway.web.application import application
from gateway.web.serving import WebServer
from storage import close_runs, quarantine
from storage.database import Database
from tests.console import town
from tests.console.conftest import Site
from tests.console.test_accessibility import PATHS
from tests.console.test_signing import sign_in

HUGE = "9" * 30


@pytest.mark.parametrize(
    "path",
    [
        f"/lines/{HUGE}",
        f"/lines/1/{HUGE}/1",
        f"/quarantine/{HUGE}",
        f"/close/{HUGE}",
        f"/close/{'9' * 5000}",
        "/objects/%00",
        "/fleet?search=%00",
        "/objects/IOT_NS542?to=0001-01-01",
        "/objects/IOT_NS542?to=9999-12-31",
    ],
)
def test_what_nobody_types_is_refused_with_a_sentence(client: httpx.Client, site: Site, path: str) -> None:
    sign_in(client, site)
    assert 400 <= client.get(path).status_code < 500


def test_a_language_that_weighs_nothing_that_is_a_number_is_passed_over(client: httpx.Client) -> None:
    answer = client.get("/sign-in", headers={"Accept-Language": "fr;q=NaN,en;q=NaN"})
    assert answer.status_code == 200


@pytest.mark.parametrize("digit", ["²", "٣", "9" * 30])
def test_a_step_is_a_number_in_the_digits_of_every_other_field(client: httpx.Client, site: Site, digit: str) -> None:
    sign_in(client, site)
    answer = client.get("/activate", params={"step": digit})
    assert answer.status_code == 422
    assert "is not a whole number" in answer.text


@pytest.mark.parametrize("scheme", ["https", "http"])
def test_the_cookie_is_only_for_tls_where_the_browser_came_by_it(client: httpx.Client, site: Site, scheme: str) -> None:
    client.headers["X-Forwarded-Proto"] = scheme
    assert ("secure" in sign_in(client, site).headers["set-cookie"].lower()) is (scheme == "https")


def test_a_close_whose_process_ended_is_lost_and_is_asked_for_no_more(client: httpx.Client, site: Site) -> None:
    sign_in(client, site)
    now = site.clock.now()
    with site.database.transaction() as session:
        run = close_runs.add(session, until=date(2022, 5, 31), asked_by="Ada", now=now - timedelta(minutes=5))
        identity = run.id
    page = client.get(f"/close/{identity}").text
    assert "Its process ended" in page
    assert "hx-trigger" not in page.split('id="run"')[1].split(">")[0]


@pytest.fixture
def anywhere(database: Database) -> Iterator[Site]:
    """The town on SQLite and on PostgreSQL."""
    town.build(database)
    clock = VirtualClock(town.JUNE)
    with WebServer(application(database, clock, Settings(close_cron="")), "127.0.0.1:0") as server:
        yield Site(url=server.url, database=database, clock=clock)


def test_pages_of_a_token_do_not_wait_for_one_another_nor_for_who_changes_it(anywhere: Site) -> None:
    with httpx.Client(base_url=anywhere.url, trust_env=False, timeout=5) as client:
        sign_in(client, anywhere)
        with anywhere.database.transaction() as session:
            revoke(session, "Ada", anywhere.clock.now())
            assert client.get("/fleet").status_code == 200
        assert client.get("/fleet").status_code == 303


def test_every_page_is_there_on_both_databases(anywhere: Site) -> None:
    with httpx.Client(base_url=anywhere.url, trust_env=False) as client:
        assert sign_in(client, anywhere, role=Role.ADMINISTRATOR).status_code == 303
        there = [path for path in PATHS if path != "/no-such-page"]
        answers = {path: client.get(path).status_code for path in there}
        assert client.get("/fleet?search=met").status_code == 200
    assert {path: status for path, status in answers.items() if status != 200} == {}


def test_what_came_with_a_refused_message_is_on_its_page_without_its_secrets(client: httpx.Client, site: Site) -> None:
    sign_in(client, site)
    with site.database.transaction() as session:
        quarantine.put(
            session,
            topic="cloudevents/y",
            payload=b'{"energy": 1}',
            retained=False,
            received_at=site.clock.now(),
            reason="unknown_object",
            detail="no object",
            object_reference="C",
            properties={"user_properties": [["subject", "C"], ["apitoken", "hush"]]},
        )
        identity = quarantine.listed(session, reason="unknown_object")[-1].id
    page = client.get(f"/quarantine/{identity}").text
    assert "&#34;subject&#34;: &#34;C&#34;" in page
    assert "hush" not in page
